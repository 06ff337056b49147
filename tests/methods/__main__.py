"""Write the tables of agreement into docs/methods."""

from tests.methods.pages import DOCS, pages, written

for page in pages():
    file = DOCS / f"{page}.md"
    file.write_text(written(page, file.read_text("utf-8")), "utf-8")

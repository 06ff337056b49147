"""The table of agreement on each page of docs/methods: our number beside the witness's.

`tests/methods/<page>.py` lists WITNESSES; the table stands between two marks in
`docs/methods/<page>.md`. `python -m tests.methods` writes it, `test_pages.py` compares it.
"""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import tests.methods as folder

DOCS = Path(__file__).parents[2] / "docs" / "methods"
BEGIN, END = "<!-- agreement -->", "<!-- /agreement -->"
_NOT_PAGES = ("pages", "test_pages", "__main__")


@dataclass(frozen=True)
class Witness:
    """One number: what it is, who gave it (the call in R, or the print), and ours.

    `tolerance` is relative; a published number has that of its last digit.
    """

    what: str
    source: str
    theirs: float
    ours: Callable[[], float]
    tolerance: float = 1e-6


def pages() -> list[str]:
    """Names of the pages that have numbers."""
    found = (module.name for module in pkgutil.iter_modules(folder.__path__))
    return sorted(name for name in found if name not in _NOT_PAGES)


def witnesses(page: str) -> list[Witness]:
    return list(import_module(f"tests.methods.{page}").WITNESSES)


@cache
def table(page: str) -> str:
    """The table of a page, as Markdown."""
    head = ["| number | witness | theirs | ours | within |", "|---|---|---:|---:|---:|"]
    rows = [
        f"| {w.what} | `{w.source}` | {w.theirs:.6g} | {w.ours():.6g} | {w.tolerance:.0e} |"
        for w in witnesses(page)
    ]
    return "\n".join([*head, *rows])


def written(page: str, text: str) -> str:
    """The text of a page with its table renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(page)}\n{END}{after}"

"""The report site shows published files and nothing else of the home."""

import threading
import urllib.error
import urllib.request

import pytest

from flows.report_site import report_server
from tasks.core.paths import Home


@pytest.fixture
def site(tmp_path):
    home = Home(tmp_path / "home").prepare()
    run = home.runs / "study" / "abc"
    run.mkdir(parents=True)
    (run / "report.en.html").write_text("<p>hello</p>")
    (home.runs / "study" / ".abc.partial").mkdir()
    (home.runs / "study" / ".abc.partial" / "report.en.html").write_text("half")
    (home.published / "study").symlink_to("../runs/study/abc")
    (home.restricted / "secret.html").write_text("secret")
    (home.lake / "catalog.html").write_text("secret")
    server = report_server(home, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def test_the_index_links_to_each_published_report(site):
    assert 'href="/published/study/report.en.html"' in get(site)
    assert get(f"{site}/published/study/report.en.html") == "<p>hello</p>"


@pytest.mark.parametrize(
    "path",
    [
        "/restricted/secret.html",
        "/published/../restricted/secret.html",
        "/published/%2e%2e/restricted/secret.html",
        "/runs/study/.abc.partial/report.en.html",
        "/lake/catalog.html",
        "/runs/",
        "/runs/study/abc/",
    ],
)
def test_everything_else_is_not_there(site, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(site + path)
    assert caught.value.code == 404

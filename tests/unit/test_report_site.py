"""The report site shows published files and nothing else of the home."""

import threading
import urllib.error
import urllib.request

import pytest

from flows.report_site import index_page, report_server
from tasks.core.paths import Home


@pytest.fixture
def site(tmp_path):
    home = Home(tmp_path / "home").prepare()
    run = home.runs / "study" / "abc"
    run.mkdir(parents=True)
    (run / "report.en.html").write_text("<title>Bleeding &amp; more</title><p>hello</p>")
    (run / "manifest.json").write_text('{"status": "published", "data_cutoff": "2026-10-31"}')
    for name, status in (("older", "published"), ("stopped", "blocked")):
        other = home.runs / "study" / name
        other.mkdir()
        (other / "report.en.html").write_text(name)
        (other / "manifest.json").write_text(
            f'{{"status": "{status}", "data_cutoff": "2026-09-30"}}'
        )
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


def get(url, method="GET"):
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read().decode()


def test_the_index_shows_title_cutoff_and_reports_of_each_study(site):
    index = get(site)
    assert "<h2>Bleeding &amp; more</h2>" in index
    assert "data to 2026-10-31 · run abc" in index
    assert 'href="/published/study/report.en.html"' in index
    assert get(f"{site}/published/study/report.en.html").endswith("<p>hello</p>")


def test_the_index_lists_earlier_published_runs_only(site):
    earlier = get(site).partition("Earlier runs")[2]
    assert 'href="/runs/study/older/report.en.html"' in earlier
    assert "stopped" not in earlier
    assert "run abc" not in earlier
    assert get(f"{site}/runs/study/older/report.en.html") == "older"


def test_the_index_of_an_empty_home_says_what_to_do(tmp_path):
    home = Home(tmp_path / "home").prepare()
    assert "start run-study" in index_page(home.root)


@pytest.mark.parametrize("path", ["/", "/published/study/report.en.html"])
def test_head_has_no_body(site, path):
    assert get(site + path, "HEAD") == ""


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
        "/published/study/.hidden.html",
        "/site.yaml",
        "/prefect/prefect.db",
    ],
)
def test_everything_else_is_not_there(site, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(site + path)
    assert caught.value.code == 404

"""A static site of published runs on loopback: reports and figures, nothing else of the home."""

import html
import re
import socketserver
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tasks.core.paths import Home
from tasks.core.runs import read_manifest

_ALLOWED = re.compile(r"/(?:published|runs)/[A-Za-z0-9_]+(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_SUFFIXES = {".html", ".pdf", ".svg", ".csv", ".json", ".parquet"}
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_HEAD_CHARACTERS = 20_000
_NAMES = {
    "report.en.html": "Report in English",
    "report.ko.html": "한국어 보고서",
    "report.en.pdf": "PDF in English",
    "report.ko.pdf": "한국어 PDF",
    "results.csv": "results.csv",
    "results.parquet": "results.parquet",
    "manifest.json": "manifest.json",
}
_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:52rem;margin:3rem auto;padding:0 1rem;"
    "color:#1a1a1a}a{color:#0b5fa5}h2{margin:2.5rem 0 0;font-size:1.2rem}p{margin:.3rem 0}"
    "small,summary{color:#52606d}details{margin:.3rem 0}"
)


class _Server(ThreadingHTTPServer):
    """A server that asks no name service who it is."""

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]


class _Handler(SimpleHTTPRequestHandler):
    """Serves files below runs/ and published/; hides everything else, and says so in no log."""

    def do_GET(self) -> None:
        """Answer with the index or with one published file."""
        if self._is_index():
            self.wfile.write(self._index_head())
        elif self._is_shown():
            super().do_GET()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        if self._is_index():
            self._index_head()
        elif self._is_shown():
            super().do_HEAD()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """Add headers that keep a page to itself."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name of the base
        """Keep requests out of the terminal."""

    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _is_index(self) -> bool:
        return self._path() == "/"

    def _is_shown(self) -> bool:
        path = self._path()
        return _ALLOWED.fullmatch(path) is not None and Path(path).suffix in _SUFFIXES

    def _index_head(self) -> bytes:
        """Send the head of the index; return its body."""
        body = index_page(Path(self.directory)).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return body


def index_page(root: Path) -> str:
    """Return the page that lists every published study, its reports and its earlier runs."""
    home = Home(root)
    studies = [_study(home, link) for link in sorted(home.published.glob("[!.]*"))]
    listed = "\n".join(studies) or "<p>Nothing is published yet: start run-study.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Causeway reports</title><style>{_STYLE}</style></head>"
        f"<body><h1>Published reports</h1>{listed}</body></html>"
    )


def report_server(home: Home, port: int) -> ThreadingHTTPServer:
    """Return a server of this home's published runs, bound to loopback and not yet started."""
    return _Server(("127.0.0.1", port), partial(_Handler, directory=str(home.root)))


def _study(home: Home, link: Path) -> str:
    study, newest = html.escape(link.name), link.resolve().name
    runs = [file.parent for file in (home.runs / link.name).glob("[!.]*/manifest.json")]
    earlier = "".join(
        f"<p>{_about(run)}: {_links(run, f'/runs/{study}/{run.name}')}</p>"
        for run in sorted(runs, key=_age)
        if run.name != newest and _manifest(run).get("status") == "published"
    )
    folded = f"<details><summary>Earlier runs</summary>{earlier}</details>" if earlier else ""
    return (
        f"<section><h2>{_title(link)}</h2><p><small>{study} · {_about(link)}</small></p>"
        f"<p>{_links(link, f'/published/{study}')}</p>{folded}</section>"
    )


def _title(folder: Path) -> str:
    """The title of a run's own report, which is HTML already; the study's id without one."""
    for report in sorted(folder.glob("report.*.html")):
        with report.open(encoding="utf-8") as stream:
            if found := _TITLE.search(stream.read(_HEAD_CHARACTERS)):
                return found[1]
    return html.escape(folder.name)


def _about(run: Path) -> str:
    cutoff = html.escape(str(_manifest(run).get("data_cutoff", "unknown")))
    return f"data to {cutoff} · run {html.escape(run.resolve().name)}"


def _links(run: Path, address: str) -> str:
    present = (name for name in _NAMES if (run / name).is_file())
    return " · ".join(f'<a href="{address}/{name}">{_NAMES[name]}</a>' for name in present)


def _manifest(run: Path) -> dict[str, object]:
    return read_manifest(run) or {}


def _age(run: Path) -> float:
    """Sorting key: the newest run first."""
    return -(run / "manifest.json").stat().st_mtime

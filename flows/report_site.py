"""A static site of published runs on loopback: reports and figures, nothing else of the home."""

import html
import re
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tasks.core.paths import Home

_ALLOWED = re.compile(r"/(?:published|runs)/[A-Za-z0-9_]+(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_SUFFIXES = {".html", ".pdf", ".svg", ".csv", ".json", ".parquet"}


class _Handler(SimpleHTTPRequestHandler):
    """Serves files below runs/ and published/; hides everything else, and says so in no log."""

    def do_GET(self) -> None:
        """Answer with the index or with one published file."""
        path = unquote(urlsplit(self.path).path)
        if path == "/":
            self._send_index()
        elif _ALLOWED.fullmatch(path) and Path(path).suffix in _SUFFIXES:
            super().do_GET()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET  # noqa: N815 - names are those of http.server

    def end_headers(self) -> None:
        """Add headers that keep a page to itself."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name of the base
        """Keep requests out of the terminal."""

    def _send_index(self) -> None:
        body = index_page(Path(self.directory)).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def index_page(root: Path) -> str:
    """Return the page that lists every published study and its reports."""
    items = [
        f"<li><strong>{html.escape(link.name)}</strong> "
        + " · ".join(
            f'<a href="/published/{html.escape(link.name)}/{file.name}">{file.name}</a>'
            for file in sorted(link.glob("report.*"))
        )
        + "</li>"
        for link in sorted((root / "published").glob("[!.]*"))
    ]
    listed = "\n".join(items) or "<li>Nothing is published yet: start run-study.</li>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Causeway reports</title>'
        "<style>body{font:16px/1.6 system-ui,sans-serif;max-width:50rem;margin:3rem auto;"
        "padding:0 1rem;color:#1a1a1a}a{color:#0b5fa5}li{margin:.6rem 0}</style></head>"
        f"<body><h1>Published reports</h1><ul>{listed}</ul></body></html>"
    )


def report_server(home: Home, port: int) -> ThreadingHTTPServer:
    """Return a server of this home's published runs, bound to loopback and not yet started."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(home.root)))

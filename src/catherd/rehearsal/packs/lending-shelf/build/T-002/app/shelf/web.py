"""HTTP for the shelf: a table of routes, JSON in and out, and the files of the page.

A route is (method, pattern, act). `act(shelf, request)` returns (status, answer); what it raises becomes a status too.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .store import Conflict, Invalid, NotFound, Shelf

PAGE = Path(__file__).parent.parent / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class BadRequest(Exception):
    """It is not even the question that we answer."""


STATUS = {BadRequest: 400, NotFound: 404, Conflict: 409, Invalid: 422}


@dataclass(frozen=True)
class Request:
    numbers: tuple[int, ...] = ()  # what the pattern's groups matched
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


Act = Callable[[Shelf, Request], tuple[int, Any]]
Route = tuple[str, str, Act]


class Server(ThreadingHTTPServer):
    """A thread per connection: a browser that opens one and says nothing keeps nobody waiting."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], shelf: Shelf, routes: Sequence[Route]) -> None:
        self.shelf, self.routes = shelf, [(method, re.compile(pattern), act) for method, pattern, act in routes]
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        super(ThreadingHTTPServer, self).server_bind()  # HTTPServer asks the network for the host's name: slow, unused
        self.server_name, self.server_port = self.server_address[:2]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_DELETE = do_GET

    def answer(self) -> None:
        url = urlsplit(self.path)
        try:
            status, answer = self.act(url.path, dict(parse_qsl(url.query)))
        except tuple(STATUS) as error:
            status, answer = STATUS[type(error)], {"error": str(error)}
        if isinstance(answer, Path):
            self.send(status, TYPES[answer.suffix], answer.read_bytes())
        else:
            self.send(status, "application/json", json.dumps(answer, ensure_ascii=False).encode())

    def act(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if self.command == "GET" and (page := page_file(path)):
            return 200, page
        for method, pattern, act in self.server.routes:
            if method == self.command and (match := pattern.fullmatch(path)):
                numbers = tuple(int(group) for group in match.groups())
                return act(self.server.shelf, Request(numbers, query, self.body()))
        raise NotFound(f"nothing answers {self.command} {path}")

    def body(self) -> dict[str, Any]:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw or b"{}")
        except ValueError:  # not JSON, or not even UTF-8
            raise BadRequest("the body is not JSON") from None
        if not isinstance(body, dict):
            raise BadRequest("the body is not a JSON object")
        return body

    def send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """One line a request is noise in a house of twelve; errors still reach the log."""


def page_file(path: str) -> Path | None:
    """The page's file for `path`: looked up among those that exist, never joined from what was asked."""
    files = {f"/{file.name}": file for file in PAGE.glob("*") if file.suffix in TYPES}
    return files.get("/index.html" if path == "/" else path)


def make_server(shelf: Shelf, routes: Sequence[Route], host: str, port: int) -> Server:
    """Listens on `port` (0: any free one), answers once `serve_forever` runs."""
    return Server((host, port), shelf, routes)

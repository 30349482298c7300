"""A server on a free port for one test, and a plain HTTP client for it."""

import http.client
import json
import tempfile
import threading
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.shelf.store import Shelf
from app.shelf.web import Route, make_server


class ServerTest(unittest.TestCase):
    """`self.shelf` is served with `routes`; `self.call` asks it and returns (status, decoded answer)."""

    routes: Sequence[Route] = ()

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.shelf = Shelf(Path(folder.name) / "shelf.db")
        self.addCleanup(self.shelf.close)
        self.server = make_server(self.shelf, self.routes, "127.0.0.1", 0)
        self.addCleanup(self.server.server_close)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.addCleanup(self.server.shutdown)

    def raw(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        self.addCleanup(connection.close)
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        answer = self.raw(method, path, None if body is None else json.dumps(body).encode())
        return answer.status, json.loads(answer.read())

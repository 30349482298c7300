"""T-002: the server starts as app.yaml will start it, serves the page's files, and survives bad requests."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

from app.shelf.store import Conflict
from app.shelf.web import Request, page_file
from app.tests.calls import ServerTest


def busy(shelf: object, request: Request) -> tuple[int, object]:
    raise Conflict("not now")


def echo(shelf: object, request: Request) -> tuple[int, object]:
    return 200, {"numbers": request.numbers, "query": request.query, "body": request.body}


class WebTest(ServerTest):
    routes = [("POST", r"/echo/(\d+)", echo), ("GET", "/busy", busy)]

    def test_an_act_gets_numbers_query_and_body(self) -> None:
        expected = {"numbers": [7], "query": {"q": "tall ladder"}, "body": {"name": "Zelt für vier"}}
        self.assertEqual((200, expected), self.call("POST", "/echo/7?q=tall+ladder", {"name": "Zelt für vier"}))

    def test_a_body_that_is_no_json_object_is_refused(self) -> None:
        for body in (b"{", b"[1]", b'{"name": "\xff"}'):
            with self.subTest(body=body):
                self.assertEqual(400, self.raw("POST", "/echo/7", body).status)

    def test_what_an_act_raises_becomes_a_status_with_the_reason(self) -> None:
        self.assertEqual((409, {"error": "not now"}), self.call("GET", "/busy"))

    def test_an_unknown_address_is_not_found(self) -> None:
        for method, path in (("GET", "/nothing"), ("POST", "/busy"), ("GET", "/../server.py"), ("GET", "/echo/x")):
            with self.subTest(method=method, path=path):
                self.assertEqual((404, {"error": f"nothing answers {method} {path}"}), self.call(method, path))

    def test_only_files_of_the_page_are_served(self) -> None:
        self.assertIsNone(page_file("/../server.py"))
        self.assertIsNone(page_file("/server.py"))


class StartTest(unittest.TestCase):
    def test_it_starts_where_the_environment_says_and_stops_when_told(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            server = subprocess.Popen(
                [sys.executable, "server.py"],
                cwd=Path(__file__).parent.parent,
                env={**os.environ, "PORT": "0", "APP_DATA": f"{folder}/house"},
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                address = server.stdout.readline().split()[-1]
                with urllib.request.urlopen(f"{address}/healthz", timeout=10) as answer:
                    self.assertEqual((200, b'{"things": 0}'), (answer.status, answer.read()))
                self.assertTrue(Path(folder, "house", "shelf.db").exists())
                server.send_signal(signal.SIGTERM)
                self.assertEqual(0, server.wait(timeout=10))
            finally:
                server.kill()
                server.wait()
                server.stdout.close()


if __name__ == "__main__":
    unittest.main()

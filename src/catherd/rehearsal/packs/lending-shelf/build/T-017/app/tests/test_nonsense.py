"""T-017: whatever comes in is refused with a reason, and the next request is answered."""

import contextlib
import io
import json
import socket
import unittest

from app.shelf.routes import ROUTES
from app.tests.calls import ServerTest


def stumble(shelf: object, request: object) -> tuple[int, object]:
    raise ZeroDivisionError("nobody foresaw this")


class NonsenseTest(ServerTest):
    routes = [*ROUTES, ("GET", "/stumble", stumble)]

    def tearDown(self) -> None:
        self.assertEqual((200, {"things": []}), self.call("GET", "/api/things"), "the next request is answered")

    def sent(self, *lines: str) -> tuple[int, str]:
        """What the server says to a request that no client library would send: (status, reason)."""
        with socket.create_connection(("127.0.0.1", self.server.server_port), timeout=10) as client:
            client.sendall("\r\n".join([*lines, "", ""]).encode())
            client.shutdown(socket.SHUT_WR)
            head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)["error"]

    def test_a_megabyte_is_too_much_and_the_sender_hears_it(self) -> None:
        body = json.dumps({"name": "x" * 1_000_000, "owner": "Ana"}).encode()
        answer = self.raw("POST", "/api/things", body)
        self.assertEqual((413, {"error": f"a body of {len(body)} bytes is too much"}), (answer.status, json.loads(answer.read())))

    def test_a_length_that_is_no_number_is_refused(self) -> None:
        for length in ("many", "-1", "1e3", "١"):
            with self.subTest(length=length):
                said = self.sent("POST /api/things HTTP/1.0", f"Content-Length: {length}")
                self.assertEqual((400, "the length of the body is not a number"), said)

    def test_a_body_that_ends_early_is_refused(self) -> None:
        self.assertEqual((400, "the body is not JSON"), self.sent("POST /api/things HTTP/1.0", "Content-Length: 50", "", "{"))

    def test_a_page_from_elsewhere_cannot_change_anything(self) -> None:
        here = f"127.0.0.1:{self.server.server_port}"
        said = self.sent("POST /api/things HTTP/1.0", f"Host: {here}", "Origin: http://evil.example", "Content-Length: 0")
        self.assertEqual((403, "a page from elsewhere cannot change the shelf"), said)
        said = self.sent("POST /api/things HTTP/1.0", f"Host: {here}", f"Origin: http://{here}", "Content-Length: 0")
        self.assertEqual((422, "the name of the thing is missing"), said)

    def test_what_nobody_foresaw_is_told_and_logged(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as log:
            self.assertEqual((500, {"error": "the shelf stumbled; its log says over what"}), self.call("GET", "/stumble"))
        self.assertIn("nobody foresaw this", log.getvalue())

    def test_everything_is_sent_with_the_guards_of_a_browser(self) -> None:
        for path in ("/", "/api/things", "/nothing"):
            headers = self.raw("GET", path).headers
            self.assertIn("default-src 'self'", headers["Content-Security-Policy"])
            self.assertEqual("nosniff", headers["X-Content-Type-Options"])


if __name__ == "__main__":
    unittest.main()

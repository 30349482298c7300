"""What the server answers: docs/spec/openapi.yaml, one function an operation."""

from typing import Any

from .loans import give_back, lend
from .store import Shelf
from .web import Request, Route


def health(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, {"things": len(shelf.things())}


ROUTES: list[Route] = [
    ("GET", "/healthz", health),
    ("POST", r"/api/things/(\d{1,9})/loan", lend),
    ("DELETE", r"/api/things/(\d{1,9})/loan", give_back),
]

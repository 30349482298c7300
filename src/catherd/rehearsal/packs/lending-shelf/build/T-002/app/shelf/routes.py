"""What the server answers: docs/spec/openapi.yaml, one function an operation."""

from typing import Any

from .store import Shelf
from .web import Request, Route


def health(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, {"things": len(shelf.things())}


ROUTES: list[Route] = [
    ("GET", "/healthz", health),
]

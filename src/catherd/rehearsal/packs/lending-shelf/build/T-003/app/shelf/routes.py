"""What the server answers: docs/spec/openapi.yaml, one function an operation."""

from typing import Any

from .store import Shelf
from .web import Request, Route


def health(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, {"things": len(shelf.things())}


def list_things(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, {"things": shelf.things()}


def add_thing(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 201, shelf.add(request.body.get("name"), request.body.get("owner"))


ROUTES: list[Route] = [
    ("GET", "/healthz", health),
    ("GET", "/api/things", list_things),
    ("POST", "/api/things", add_thing),
]

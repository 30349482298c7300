"""What the server answers: docs/spec/openapi.yaml, one function an operation."""

from typing import Any

from .loans import give_back, lend, list_loans
from .store import Invalid, Shelf
from .web import Request, Route


def health(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, {"things": len(shelf.things())}


def list_things(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, {"things": shelf.things(**wanted(request))}


def wanted(request: Request) -> dict[str, Any]:
    """The filter that the query asks for; a misspelt value would show the wrong list, so it is refused."""
    free = request.query.get("free")
    if free not in {None, "1"}:
        raise Invalid("free is 1 or left out")
    return {"q": request.query.get("q", ""), "free": free == "1"}


def add_thing(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 201, shelf.add(request.body.get("name"), request.body.get("owner"))


def remove_thing(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, shelf.remove(request.numbers[0])


ROUTES: list[Route] = [
    ("GET", "/healthz", health),
    ("GET", "/api/things", list_things),
    ("POST", "/api/things", add_thing),
    ("DELETE", r"/api/things/(\d{1,9})", remove_thing),
    ("POST", r"/api/things/(\d{1,9})/loan", lend),
    ("DELETE", r"/api/things/(\d{1,9})/loan", give_back),
    ("GET", r"/api/things/(\d{1,9})/loans", list_loans),
]

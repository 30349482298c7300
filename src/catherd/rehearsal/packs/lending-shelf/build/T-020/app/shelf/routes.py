"""What the server answers: docs/spec/openapi.yaml, one function an operation."""

from typing import Any

from .export import table
from .loans import give_back, lend, list_loans
from .notice import sheet
from .store import Invalid, Shelf
from .web import Request, Route, Text


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


def export_things(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, Text("text/csv", table(shelf.things(**wanted(request))), save_as="lending-shelf.csv")


def notice_sheet(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, Text("text/html", sheet(shelf.things(), shelf.today(), request.query.get("by", "name")))


def remove_thing(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, shelf.remove(request.numbers[0])


ROUTES: list[Route] = [
    ("GET", "/healthz", health),
    ("GET", "/api/things", list_things),
    ("POST", "/api/things", add_thing),
    ("GET", r"/api/things\.csv", export_things),
    ("DELETE", r"/api/things/(\d{1,9})", remove_thing),
    ("POST", r"/api/things/(\d{1,9})/loan", lend),
    ("DELETE", r"/api/things/(\d{1,9})/loan", give_back),
    ("GET", r"/api/things/(\d{1,9})/loans", list_loans),
    ("GET", "/notice", notice_sheet),
]

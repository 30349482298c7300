"""Lending and giving back, as the page asks for them."""

from typing import Any

from .store import Shelf
from .web import Request


def lend(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 201, shelf.lend(request.numbers[0], request.body.get("borrower"), request.body.get("back_by"))


def give_back(shelf: Shelf, request: Request) -> tuple[int, Any]:
    return 200, shelf.give_back(request.numbers[0])

"""T-013: who had a thing, the latest first."""

import unittest

from app.shelf.routes import ROUTES
from app.tests.calls import ServerTest


class HistoryTest(ServerTest):
    routes = ROUTES

    def setUp(self) -> None:
        super().setUp()
        self.clock = iter(f"2026-01-{day:02}T12:00:00+00:00" for day in range(1, 29))
        self.shelf.now = lambda: next(self.clock)
        self.shelf.add("Drill", "Ana")

    def past(self) -> list[tuple[str, str, str | None]]:
        status, answer = self.call("GET", "/api/things/1/loans")
        self.assertEqual(200, status)
        return [(loan["borrower"], loan["lent_at"][:10], loan["returned_at"] and loan["returned_at"][:10]) for loan in answer["loans"]]

    def test_a_thing_that_nobody_has_borrowed_has_no_past(self) -> None:
        self.assertEqual([], self.past())

    def test_the_latest_loan_comes_first_and_is_open_while_the_thing_is_out(self) -> None:
        self.shelf.lend(1, "Ben")
        self.shelf.give_back(1)
        self.shelf.lend(1, "Chidi")
        self.assertEqual([("Chidi", "2026-01-04", None), ("Ben", "2026-01-02", "2026-01-03")], self.past())

    def test_what_was_taken_off_the_shelf_keeps_its_past(self) -> None:
        self.shelf.lend(1, "Ben")
        self.shelf.give_back(1)
        self.shelf.remove(1)
        self.assertEqual([("Ben", "2026-01-02", "2026-01-03")], self.past())

    def test_a_thing_that_never_was_is_not_found(self) -> None:
        self.assertEqual((404, {"error": "there is no thing 99"}), self.call("GET", "/api/things/99/loans"))


if __name__ == "__main__":
    unittest.main()

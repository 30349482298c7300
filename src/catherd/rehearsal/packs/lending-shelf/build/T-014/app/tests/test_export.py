"""T-014: the list as a table."""

import csv
import io
import unittest

from app.shelf.routes import ROUTES
from app.tests.calls import ServerTest


class ExportTest(ServerTest):
    routes = ROUTES

    def setUp(self) -> None:
        super().setUp()
        self.shelf.now = lambda: "2026-03-02T18:00:00+00:00"
        self.shelf.add("Zelt, groß", "Ana")
        self.shelf.add('12" ladder', "Ben")
        self.shelf.lend(2, "Chidi", "2099-03-12")

    def rows(self, query: str = "") -> list[list[str]]:
        answer = self.raw("GET", f"/api/things.csv{query}")
        self.assertEqual((200, "text/csv; charset=utf-8"), (answer.status, answer.headers["Content-Type"]))
        self.assertEqual('attachment; filename="lending-shelf.csv"', answer.headers["Content-Disposition"])
        return list(csv.reader(io.StringIO(answer.read().decode(), newline="")))

    def test_a_header_and_a_line_a_thing(self) -> None:
        expected = [
            ["thing", "owner", "holder", "since", "back by"],
            ['12" ladder', "Ben", "Chidi", "2026-03-02", "2099-03-12"],
            ["Zelt, groß", "Ana", "", "", ""],
        ]
        self.assertEqual(expected, self.rows())

    def test_it_takes_the_filter_of_the_list(self) -> None:
        self.assertEqual(["Zelt, groß"], [row[0] for row in self.rows("?free=1")[1:]])
        self.assertEqual(422, self.raw("GET", "/api/things.csv?free=2").status)

    def test_a_formula_is_text(self) -> None:
        self.shelf.add("=HYPERLINK(1)", "@mal")
        self.assertEqual(["'=HYPERLINK(1)", "'@mal"], self.rows("?q=hyperlink")[1][:2])


if __name__ == "__main__":
    unittest.main()

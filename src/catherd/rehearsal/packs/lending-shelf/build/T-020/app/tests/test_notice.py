"""T-020: the sheet for the stairs."""

import unittest
from datetime import date

from app.shelf.routes import ROUTES
from app.tests.calls import ServerTest
from app.tests.test_page import STATIC, Elements


class NoticeTest(ServerTest):
    routes = ROUTES

    def setUp(self) -> None:
        super().setUp()
        self.shelf.now, self.shelf.today = lambda: "2026-02-28T17:00:00+00:00", lambda: date(2026, 3, 2)

    def sheet(self, query: str = "", status: int = 200) -> str:
        answer = self.raw("GET", f"/notice{query}")
        self.assertEqual(status, answer.status)
        return answer.read().decode()

    def fill(self) -> None:
        for name, owner in (("Tall ladder", "Ben"), ("Raclette grill", "Chidi"), ("Drill", "Dora")):
            self.shelf.add(name, owner)
        self.shelf.lend(1, "Ana")

    def test_an_empty_shelf_says_so(self) -> None:
        self.assertIn("Nothing yet. Put the first thing on the shelf.", self.sheet())
        self.assertNotIn("Out at the moment", self.sheet())

    def test_what_is_free_stands_with_its_owner_what_is_out_with_its_borrower(self) -> None:
        self.fill()
        free, out = self.sheet().split("Out at the moment")
        self.assertIn("As of Monday, 2 March 2026.", free)
        self.assertIn("<td>Raclette grill</td><td>Chidi</td>", free)
        self.assertIn("<td>Tall ladder</td><td>Ana</td><td>28 February</td>", out)
        self.assertNotIn("Tall ladder", free)

    def test_it_is_sorted_as_asked(self) -> None:
        self.fill()
        for query, names in (("", ["Drill", "Raclette grill"]), ("?by=owner", ["Raclette grill", "Drill"])):
            text = self.sheet(query)
            self.assertEqual(sorted(names, key=text.index), names)

    def test_an_order_that_does_not_exist_is_refused(self) -> None:
        self.assertIn("the sheet is ordered by name or owner", self.sheet("?by=colour", 422))

    def test_a_name_is_text(self) -> None:
        self.shelf.add("<script>alert(1)</script>", "Mal & Co")
        self.assertIn("<td>&lt;script&gt;alert(1)&lt;/script&gt;</td><td>Mal &amp; Co</td>", self.sheet())

    def test_it_needs_no_script_and_the_page_leads_to_it(self) -> None:
        self.assertNotIn("<script", self.sheet())
        page = Elements((STATIC / "index.html").read_text(encoding="utf-8"))
        self.assertIn("/notice", page.values("href", "a"))
        self.assertIn("@media print", (STATIC / "notice.css").read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()

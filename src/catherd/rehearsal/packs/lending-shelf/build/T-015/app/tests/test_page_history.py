"""T-015: the page shows who had a thing, and leads to the table."""

import unittest

from app.tests.test_page import STATIC, Elements


class HistoryOnThePageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.script = (STATIC / "shelf.js").read_text(encoding="utf-8")
        self.page = Elements((STATIC / "index.html").read_text(encoding="utf-8"))

    def test_the_history_is_a_named_dialog_that_can_be_closed(self) -> None:
        self.assertEqual(["history-title"], self.page.values("aria-labelledby", "dialog"))
        self.assertIn("dialog", self.page.values("method", "form"))
        self.assertIn('byId("history").showModal()', self.script)

    def test_the_table_of_loans_has_column_heads(self) -> None:
        self.assertEqual(["col"] * 3, self.page.values("scope", "th"))

    def test_it_asks_the_interface_and_writes_text(self) -> None:
        self.assertIn('"GET", `/api/things/${thing.id}/loans`', self.script)
        self.assertNotIn("innerHTML", self.script)

    def test_the_link_to_the_table_carries_the_filter(self) -> None:
        self.assertIn("/api/things.csv", self.page.values("href", "a"))
        self.assertIn('byId("table").href = "/api/things.csv" + filter()', self.script)


if __name__ == "__main__":
    unittest.main()

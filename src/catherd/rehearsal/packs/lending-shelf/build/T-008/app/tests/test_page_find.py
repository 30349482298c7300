"""T-008: the page can look for things and take them off the shelf."""

import unittest

from app.tests.test_page import STATIC, Elements


class FindOnThePageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.script = (STATIC / "shelf.js").read_text(encoding="utf-8")
        self.page = Elements((STATIC / "index.html").read_text(encoding="utf-8"))

    def test_the_search_is_a_landmark_with_labelled_fields(self) -> None:
        self.assertIn("search", self.page.values("role", "form"))
        self.assertLessEqual({"find", "free"}, set(self.page.values("for", "label")))

    def test_it_asks_the_server_and_draws_the_latest_answer_only(self) -> None:
        for words in ('"/api/things" + filter()', "if (mine !== asked) return"):
            self.assertIn(words, self.script)

    def test_taking_off_asks_once_before_it_does(self) -> None:
        for words in ("Take off the shelf: ${thing.name}", "Really take off: ${thing.name}", '"DELETE", `/api/things/${thing.id}`'):
            self.assertIn(words, self.script)

    def test_it_tells_an_empty_shelf_from_an_empty_answer(self) -> None:
        self.assertLessEqual({"empty", "nothing", "count"}, set(self.page.values("id")))


if __name__ == "__main__":
    unittest.main()

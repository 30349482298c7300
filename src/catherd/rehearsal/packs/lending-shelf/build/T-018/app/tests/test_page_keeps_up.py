"""T-018: the page asks again by itself, keeps what is being typed, and says when nobody answers."""

import unittest

from app.tests.test_page import STATIC, Elements


class KeepsUpTest(unittest.TestCase):
    def setUp(self) -> None:
        self.script = (STATIC / "shelf.js").read_text(encoding="utf-8")
        self.page = Elements((STATIC / "index.html").read_text(encoding="utf-8"))

    def test_it_asks_again_while_it_is_seen(self) -> None:
        for words in ("setInterval(keepUp, 3000)", '"visibilitychange", keepUp', "if (document.hidden) return"):
            self.assertIn(words, self.script)

    def test_a_card_that_tells_nothing_new_stays_as_it_is(self) -> None:
        self.assertIn("if (had?.told === told) return had.item", self.script)
        self.assertNotIn("replaceChildren(...sorted", self.script)

    def test_an_answer_from_before_an_action_is_not_drawn_after_it(self) -> None:
        self.assertIn("function show(thing) {\n  asked += 1;", self.script)

    def test_it_says_when_nobody_answers(self) -> None:
        self.assertIn("old", self.page.values("id", "p"))
        self.assertIn("The shelf does not answer. What you see is from ${time}.", self.script)


if __name__ == "__main__":
    unittest.main()

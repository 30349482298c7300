"""T-011: the page asks for the day, says it, and marks what is overdue with a word."""

import unittest

from app.tests.test_page import STATIC, Elements


class BackByOnThePageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.html = (STATIC / "index.html").read_text(encoding="utf-8")
        self.script = (STATIC / "shelf.js").read_text(encoding="utf-8")

    def test_the_form_of_a_card_has_a_field_for_the_day(self) -> None:
        fields = {have.get("name"): have.get("type") for tag, have in Elements(self.html).seen if tag == "input"}
        self.assertEqual("date", fields["back_by"])
        self.assertIn("Back by, for ${thing.name}", self.script)

    def test_the_day_is_sent_and_none_is_sent_as_none(self) -> None:
        self.assertIn("back_by: backBy.value || null", self.script)

    def test_overdue_is_a_word_not_a_colour_alone(self) -> None:
        self.assertIn('<p class="late" hidden>Overdue</p>', self.html)
        self.assertIn("late.hidden = !thing.overdue", self.script)


if __name__ == "__main__":
    unittest.main()

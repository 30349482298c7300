"""T-003: `halfpast start`."""

import unittest

from app.tests.shell import ShellTest


class StartTest(ShellTest):
    def written(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def test_it_writes_what_was_begun_and_when(self) -> None:
        self.assertEqual((0, "14:00 started writing the report\n", ""), self.halfpast("start", "writing", "the", "report"))
        self.assertEqual([f"2026-03-02 14:00 {self.offset()} start writing the report"], self.written())

    def test_at_says_when_one_really_began(self) -> None:
        self.assertEqual("09:30 started tea\n", self.halfpast("start", "tea", "--at", "9:30").out)
        self.assertEqual([f"2026-03-02 09:30 {self.offset()} start tea"], self.written())

    def test_a_second_start_ends_the_first(self) -> None:
        self.halfpast("start", "tea", "--at", "9:30")
        self.assertEqual("14:00 stopped tea\n14:00 started lunch\n", self.halfpast("start", "lunch").out)

    def test_it_cannot_begin_before_what_was_written_last(self) -> None:
        self.halfpast("start", "tea", "--at", "9:30")
        said = self.halfpast("start", "lunch", "--at", "9:00")
        self.assertEqual((1, "", "halfpast: 09:00 is before line 1, which says 2026-03-02 09:30\n"), said)
        self.assertEqual(1, len(self.written()))

    def test_it_cannot_begin_later_than_now(self) -> None:
        said = self.halfpast("start", "lunch", "--at", "14:30")
        self.assertEqual((1, ""), (said.exit, said.out))
        self.assertIn("14:30 is still to come", said.err)
        self.assertFalse(self.log.exists())

    def test_it_wants_to_know_what(self) -> None:
        self.assertEqual(2, self.halfpast("start").exit)
        self.assertEqual((1, "", "halfpast: start what? Say it in a word or two\n"), self.halfpast("start", "  "))
        self.assertFalse(self.log.exists())


if __name__ == "__main__":
    unittest.main()

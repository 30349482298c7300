"""T-008: `halfpast now`."""

import unittest

from app.tests.shell import ShellTest


class NowTest(ShellTest):
    def test_it_says_what_runs_how_long_and_since_when(self) -> None:
        self.halfpast("start", "tea", "--at", "10:30")
        self.assertEqual((0, "tea, 3:30, since 10:30\n", ""), self.halfpast("now"))

    def test_since_another_day_is_said_with_its_date(self) -> None:
        self.halfpast("start", "night", "shift", "--at", "2026-03-01 22:00")
        self.assertEqual("night shift, 16:00, since 2026-03-01 22:00\n", self.halfpast("now").out)

    def test_nothing_is_an_answer_and_exit_1(self) -> None:
        self.assertEqual((1, "nothing is running\n", ""), self.halfpast("now"))
        self.halfpast("start", "tea")
        self.halfpast("stop")
        self.assertEqual((1, "nothing is running\n", ""), self.halfpast("now"))


if __name__ == "__main__":
    unittest.main()

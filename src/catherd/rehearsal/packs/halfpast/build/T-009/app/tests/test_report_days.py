"""T-009: `halfpast report` over several days, and in steps."""

import unittest

from app.tests.shell import ShellTest


class DaysTest(ShellTest):
    def setUp(self) -> None:
        super().setUp()
        self.clock("2026-03-06 20:00")  # a Friday
        for what, begin, end in (
            ("writing", "2026-03-01 09:00", "2026-03-01 15:00"),  # the Sunday before
            ("writing", "2026-03-02 09:00", "2026-03-02 10:00"),
            ("writing", "2026-03-06 09:00", "2026-03-06 10:10"),
            ("tea", "2026-03-06 10:10", "2026-03-06 10:15"),
        ):
            self.halfpast("start", what, "--at", begin)
            self.halfpast("stop", "--at", end)

    def test_a_week_is_monday_to_sunday(self) -> None:
        expected = "Monday, 2026-03-02 to Sunday, 2026-03-08\n   2:10  writing\n   0:05  tea\n   2:15  in all\n"
        self.assertEqual((0, expected, ""), self.halfpast("report", "--week"))

    def test_days_are_counted_from_the_first_to_the_last(self) -> None:
        self.assertIn("7:00  writing\n", self.halfpast("report", "--from", "2026-03-01", "--to", "2026-03-02").out)
        self.assertIn("1:10  writing\n", self.halfpast("report", "--from", "2026-03-03").out)

    def test_each_thing_is_rounded_up_and_the_sum_says_so(self) -> None:
        expected = "   2:30  writing\n   0:30  tea\n   3:00  in all, in steps of 0:30\n"
        self.assertTrue(self.halfpast("report", "--week", "--round", "30").out.endswith(expected))

    def test_what_is_a_multiple_already_is_not_rounded(self) -> None:
        self.assertIn("1:00  writing\n", self.halfpast("report", "--day", "2026-03-02", "--round", "30").out)

    def test_a_span_of_days_that_is_none_is_refused(self) -> None:
        for argv, reason in (
            (["--from", "2026-03-06", "--to", "2026-03-02"], "from 2026-03-06 to 2026-03-02 is no span of days"),
            (["--to", "2026-03-02"], "--to wants a --from"),
            (["--from", "Monday"], '"Monday" is not a day like 2026-03-02'),
            (["--week", "--round", "0"], "--round wants a whole number of minutes, 1 or more"),
        ):
            with self.subTest(argv=argv):
                self.assertEqual((1, "", f"halfpast: {reason}\n"), self.halfpast("report", *argv))

    def test_two_ways_to_say_which_days_are_wrong_usage(self) -> None:
        self.assertEqual(2, self.halfpast("report", "--week", "--day", "2026-03-02").exit)


if __name__ == "__main__":
    unittest.main()

"""T-006: `halfpast report`."""

import unittest

from app.tests.shell import ShellTest


class ReportTest(ShellTest):
    def day(self) -> None:
        for command in ("start writing the report --at 9:00", "start tea --at 10:30", "start writing the report --at 10:45", "stop --at 12:00"):
            words = command.split()
            self.assertEqual(0, self.halfpast(*words).exit)

    def test_it_adds_up_the_day(self) -> None:
        self.day()
        expected = "Monday, 2026-03-02\n   2:45  writing the report\n   0:15  tea\n   3:00  in all\n"
        self.assertEqual((0, expected, ""), self.halfpast("report"))

    def test_what_still_runs_counts_up_to_now_and_is_marked(self) -> None:
        self.halfpast("start", "lunch", "--at", "13:15")
        self.assertEqual("Monday, 2026-03-02\n   0:45  lunch (running)\n   0:45  in all\n", self.halfpast("report").out)

    def test_another_day_is_asked_for_by_its_date(self) -> None:
        self.day()
        self.clock("2026-03-05 08:00")
        self.assertEqual("nothing on Thursday, 2026-03-05\n", self.halfpast("report").out)
        self.assertIn("2:45  writing the report\n", self.halfpast("report", "--day", "2026-03-02").out)

    def test_a_log_that_was_mended_by_hand_counts_as_it_stands(self) -> None:
        self.day()
        self.log.write_text(self.log.read_text().replace("12:00", "11:00") + "\n# the fire drill\n")
        self.assertIn("1:45  writing the report\n", self.halfpast("report").out)

    def test_a_line_that_is_not_understood_is_named(self) -> None:
        self.day()
        self.log.write_text(self.log.read_text() + "twelve o'clock lunch\n")
        said = self.halfpast("report")
        self.assertEqual((1, ""), (said.exit, said.out))
        self.assertIn(f"halfpast: {self.log}:5: ", said.err)
        self.assertIn("twelve o'clock lunch", said.err)


if __name__ == "__main__":
    unittest.main()

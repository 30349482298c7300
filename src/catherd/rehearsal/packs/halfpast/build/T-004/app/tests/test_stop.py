"""T-004: `halfpast stop`."""

import unittest

from app.tests.shell import ShellTest


class StopTest(ShellTest):
    def begin(self, time: str = "09:30") -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"2026-03-02 {time} {self.offset()} start tea\n")

    def test_it_ends_what_runs_and_says_how_long_it_took(self) -> None:
        self.begin()
        self.assertEqual((0, "14:00 stopped tea after 4:30\n", ""), self.halfpast("stop"))
        self.assertEqual(f"2026-03-02 14:00 {self.offset()} stop", self.log.read_text(encoding="utf-8").splitlines()[-1])

    def test_at_says_when_one_really_ended(self) -> None:
        self.begin()
        self.assertEqual("09:35 stopped tea after 0:05\n", self.halfpast("stop", "--at", "9:35").out)

    def test_it_complains_when_nothing_runs(self) -> None:
        self.assertEqual((1, "", "halfpast: nothing is running\n"), self.halfpast("stop"))
        self.begin()
        self.halfpast("stop")
        self.assertEqual((1, "", "halfpast: nothing is running\n"), self.halfpast("stop"))

    def test_it_cannot_end_before_it_began(self) -> None:
        self.begin()
        before = self.log.read_bytes()
        said = self.halfpast("stop", "--at", "9:00")
        self.assertEqual((1, "", "halfpast: 09:00 is before line 1, which says 2026-03-02 09:30\n"), said)
        self.assertEqual(before, self.log.read_bytes())


if __name__ == "__main__":
    unittest.main()

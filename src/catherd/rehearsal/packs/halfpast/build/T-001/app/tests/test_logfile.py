"""T-001: the log is read as it stands, line by line, and only ever grows at its end."""

import tempfile
import unittest
from datetime import datetime
from pathlib import Path

from app.timelog.logfile import MOMENT, Complaint, Event, append, read, running

DAY = """# the week in Lisbon

2026-03-02 09:00 +0000 start writing the report
2026-03-02 10:30 +0000 start tea
2026-03-02 10:45 +0000 stop
"""


def at(text: str) -> datetime:
    return datetime.strptime(text, MOMENT)


class LogTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "deep" / "halfpast.log"

    def write(self, text: str) -> None:
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(text, encoding="utf-8")

    def test_no_file_is_an_empty_log(self) -> None:
        self.assertEqual([], read(self.path))

    def test_events_are_read_with_their_lines_and_the_rest_is_skipped(self) -> None:
        self.write(DAY)
        self.assertEqual([(3, "writing the report"), (4, "tea"), (5, "")], [(e.line, e.what) for e in read(self.path)])

    def test_a_line_that_is_not_understood_is_named_with_its_number(self) -> None:
        for line, reason in (
            ("2026-03-02 11:00 start lunch", '"2026-03-02 11:00 start lunch" is neither'),
            ("2026-13-02 11:00 +0000 start lunch", "does not match format"),
            ("2026-03-02 10:00 +0000 start lunch", "10:00 is before line 5, which says 2026-03-02 10:45"),
            ("2026-03-02 11:00 +0000 stop", "nothing is running that could be stopped"),
        ):
            self.write(f"{DAY}{line}\n")
            with self.subTest(line=line), self.assertRaises(Complaint) as complaint:
                read(self.path)
            self.assertIn("halfpast.log:6: ", str(complaint.exception))
            self.assertIn(reason, str(complaint.exception))

    def test_moments_compare_across_time_zones(self) -> None:
        self.write("2026-03-29 01:30 +0100 start the night shift\n2026-03-29 03:00 +0200 stop\n")
        first, last = read(self.path)
        self.assertEqual(30 * 60, (last.at - first.at).total_seconds())

    def test_what_runs_is_the_last_start(self) -> None:
        self.write(DAY)
        self.assertIsNone(running(read(self.path)))
        self.write(DAY.rsplit("\n", 2)[0])
        self.assertEqual("tea", running(read(self.path)).what)

    def test_an_event_is_added_below_what_stands_there_byte_for_byte(self) -> None:
        self.write(DAY.rstrip("\n"))
        append(self.path, read(self.path), Event(at("2026-03-02 11:00 +0000"), "Käse kaufen"))
        self.assertEqual(DAY + "2026-03-02 11:00 +0000 start Käse kaufen\n", self.path.read_text(encoding="utf-8"))

    def test_the_first_event_makes_the_file(self) -> None:
        append(self.path, [], Event(at("2026-03-02 11:00 -0330"), "lunch"))
        self.assertEqual("2026-03-02 11:00 -0330 start lunch\n", self.path.read_text(encoding="utf-8"))

    def test_an_event_before_the_last_one_is_refused_and_nothing_is_written(self) -> None:
        self.write(DAY)
        with self.assertRaisesRegex(Complaint, "09:30 is before line 5"):
            append(self.path, read(self.path), Event(at("2026-03-02 09:30 +0000"), "lunch"))
        self.assertEqual(DAY, self.path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()

"""T-002: what is typed reaches its command, and every way to fail says so."""

import os
import subprocess
import sys
import types
import unittest
from pathlib import Path

from app.tests.shell import ShellTest
from app.timelog.logfile import Complaint
from app.timelog.moments import parse_at, parse_day


def echo(commands) -> None:
    command = commands.add_parser("echo")
    command.add_argument("word")
    command.set_defaults(run=lambda options, log, now: [f"{options.word} {log.name} {now:%H:%M}"])


def grumble(commands) -> None:
    def run(options, log, now):
        yield "first"
        raise Complaint("not today")

    commands.add_parser("grumble").set_defaults(run=run)


COMMANDS = [types.SimpleNamespace(add=echo), types.SimpleNamespace(add=grumble)]


class CliTest(ShellTest):
    def test_a_command_gets_its_words_the_log_and_the_time(self) -> None:
        self.assertEqual((0, "hello halfpast.log 14:00\n", ""), self.halfpast("echo", "hello", commands=COMMANDS))

    def test_a_complaint_goes_to_stderr_and_is_exit_1(self) -> None:
        self.assertEqual((1, "first\n", "halfpast: not today\n"), self.halfpast("grumble", commands=COMMANDS))

    def test_wrong_usage_is_exit_2_and_shows_the_usage(self) -> None:
        for argv in ([], ["frobnicate"], ["echo"]):
            with self.subTest(argv=argv):
                said = self.halfpast(*argv, commands=COMMANDS)
                self.assertEqual((2, ""), (said.exit, said.out))
                self.assertIn("usage: halfpast", said.err)

    def test_it_can_be_started_as_a_program(self) -> None:
        script = Path(__file__).parent.parent / "halfpast.py"
        shown = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, env=os.environ, timeout=30)
        self.assertEqual((0, ""), (shown.returncode, shown.stderr))
        self.assertIn("A time log in a plain text file.", shown.stdout)


class MomentsTest(ShellTest):
    def test_a_time_is_one_of_today(self) -> None:
        self.assertEqual(self.now, parse_at(None, self.now))
        for text in ("9:30", "09:30", "2026-03-02 09:30"):
            self.assertEqual("2026-03-02 09:30", f"{parse_at(text, self.now):%Y-%m-%d %H:%M}")

    def test_what_is_still_to_come_or_no_time_is_refused(self) -> None:
        for text, reason in (("14:01", "14:01 is still to come"), ("half past", '"half past" is neither HH:MM'), ("25:00", "neither")):
            with self.subTest(text=text), self.assertRaisesRegex(Complaint, reason):
                parse_at(text, self.now)

    def test_a_day_is_today_unless_it_is_named(self) -> None:
        self.assertEqual("2026-03-02", str(parse_day(None, self.now)))
        self.assertEqual("2024-02-29", str(parse_day("2024-02-29", self.now)))
        with self.assertRaisesRegex(Complaint, '"2025-02-29" is not a day'):
            parse_day("2025-02-29", self.now)


if __name__ == "__main__":
    unittest.main()

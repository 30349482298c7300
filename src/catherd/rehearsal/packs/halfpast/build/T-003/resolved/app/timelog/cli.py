"""The command line: what is typed goes to a command, what it says is printed, what it complains about ends with exit 1."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from . import moments, start, stop
from .logfile import Complaint

Act = Callable[[argparse.Namespace, Path, datetime], Iterable[str]]  # options, log, now → lines to print


class Command(Protocol):
    def add(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Adds its own parser, with `run`, an Act, among the defaults."""


COMMANDS: list[Command] = [start, stop]


def log_path() -> Path:
    return Path(os.environ.get("HALFPAST_LOG") or Path.home() / "halfpast.log")


def parser(commands: Sequence[Command]) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="halfpast",
        description="A time log in a plain text file.",
        epilog="The log is $HALFPAST_LOG, or halfpast.log in your home directory. It is yours to edit.",
    )
    choices = top.add_subparsers(metavar="COMMAND", required=True)
    for command in commands:
        command.add(choices)
    return top


def main(argv: Sequence[str], now: datetime | None = None, commands: Sequence[Command] | None = None) -> int:
    """The exit code: 0 done, 1 a complaint on stderr; argparse ends the process with 2 on wrong usage."""
    options = parser(COMMANDS if commands is None else commands).parse_args(argv)
    try:
        for line in options.run(options, log_path(), now or moments.now()):
            print(line)
    except Complaint as complaint:
        print(f"halfpast: {complaint}", file=sys.stderr)
        return 1
    return 0

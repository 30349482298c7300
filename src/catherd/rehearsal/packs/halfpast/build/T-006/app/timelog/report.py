"""`report`: how the time of a day was spent."""

import argparse
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from .logfile import read
from .moments import parse_day
from .spans import spans, totals, within


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("report", help="how the time of a day was spent")
    command.add_argument("--day", metavar="DATE", help="2026-03-02; today when left out")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, log: Path, now: datetime) -> Iterator[str]:
    day = parse_day(options.day, now)
    parts = within(spans(read(log), now), day, day)
    if not parts:
        yield f"nothing on {day:%A, %Y-%m-%d}"
        return
    yield f"{day:%A, %Y-%m-%d}"
    still = {part.what for part in parts if part.open}
    rows = totals(parts)
    for what, spent in rows:
        yield f"{hours(spent):>7}  {what}{' (running)' if what in still else ''}"
    yield f"{hours(sum((spent for _, spent in rows), timedelta())):>7}  in all"


def hours(spent: timedelta) -> str:
    """1:05, 26:00: hours and minutes."""
    minutes = int(spent.total_seconds()) // 60
    return f"{minutes // 60}:{minutes % 60:02}"

"""`report`: how the time of a day, or of several, was spent."""

import argparse
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

from .logfile import Complaint, read
from .moments import parse_day, week_of
from .spans import spans, totals, within


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("report", help="how the time of a day, or of several, was spent")
    days = command.add_mutually_exclusive_group()
    days.add_argument("--day", metavar="DATE", help="2026-03-02; today when left out")
    days.add_argument("--week", action="store_true", help="this week, Monday to Sunday")
    days.add_argument("--from", dest="first", metavar="DATE", help="the first day; --to says the last")
    command.add_argument("--to", dest="last", metavar="DATE", help="the last day; today when left out")
    command.add_argument("--round", type=int, default=1, metavar="MINUTES", help="each sum up to a multiple of MINUTES")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, log: Path, now: datetime) -> Iterator[str]:
    first, last = days_of(options, now)
    if options.round < 1:
        raise Complaint("--round wants a whole number of minutes, 1 or more")
    parts = within(spans(read(log), now), first, last)
    title = f"{first:%A, %Y-%m-%d}" + (f" to {last:%A, %Y-%m-%d}" if last != first else "")
    if not parts:
        yield f"nothing on {title}"
        return
    yield title
    still = {part.what for part in parts if part.open}
    rows = [(what, rounded(spent, options.round)) for what, spent in totals(parts)]
    for what, spent in rows:
        yield f"{hours(spent):>7}  {what}{' (running)' if what in still else ''}"
    steps = f", in steps of {hours(timedelta(minutes=options.round))}" if options.round > 1 else ""
    yield f"{hours(sum((spent for _, spent in rows), timedelta())):>7}  in all{steps}"


def days_of(options: argparse.Namespace, now: datetime) -> tuple[date, date]:
    """The first and the last day that are asked for."""
    if options.week:
        return week_of(now.date())
    if not options.first:
        if options.last:
            raise Complaint("--to wants a --from")
        day = parse_day(options.day, now)
        return day, day
    first, last = parse_day(options.first, now), parse_day(options.last, now)
    if last < first:
        raise Complaint(f"from {first} to {last} is no span of days")
    return first, last


def rounded(spent: timedelta, minutes: int) -> timedelta:
    """`spent`, up to the next multiple of `minutes`: what was begun is paid."""
    step = timedelta(minutes=minutes)
    return -(-spent // step) * step


def hours(spent: timedelta) -> str:
    """1:05, 26:00: hours and minutes."""
    minutes = int(spent.total_seconds()) // 60
    return f"{minutes // 60}:{minutes % 60:02}"

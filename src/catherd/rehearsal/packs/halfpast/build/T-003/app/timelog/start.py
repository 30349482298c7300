"""`start WHAT`: from now on, or from --at on, this is what is being done."""

import argparse
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from .logfile import Complaint, Event, append, read, running
from .moments import parse_at


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("start", help="begin something; what ran before ends there")
    command.add_argument("what", nargs="+", metavar="WHAT", help="what you do, in your own words")
    command.add_argument("--at", metavar="TIME", help='when you really began: 9:30, or "2026-03-02 09:30"')
    command.set_defaults(run=run)


def run(options: argparse.Namespace, log: Path, now: datetime) -> Iterator[str]:
    what = " ".join(" ".join(options.what).split())  # one line, whatever was pasted
    if not what:
        raise Complaint("start what? Say it in a word or two")
    at = parse_at(options.at, now)
    events = read(log)
    append(log, events, Event(at, what))
    if before := running(events):
        yield f"{at:%H:%M} stopped {before.what}"
    yield f"{at:%H:%M} started {what}"

"""`stop`: now, or at --at, nothing is being done any more."""

import argparse
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from .logfile import Complaint, Event, append, read, running
from .moments import parse_at


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("stop", help="end what is running")
    command.add_argument("--at", metavar="TIME", help='when you really ended: 17:30, or "2026-03-02 17:30"')
    command.set_defaults(run=run)


def run(options: argparse.Namespace, log: Path, now: datetime) -> Iterator[str]:
    at = parse_at(options.at, now)
    events = read(log)
    ended = running(events)
    if not ended:
        raise Complaint("nothing is running")
    append(log, events, Event(at))
    minutes = (at - ended.at).total_seconds() // 60
    yield f"{at:%H:%M} stopped {ended.what} after {minutes // 60:.0f}:{minutes % 60:02.0f}"

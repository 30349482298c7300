"""`now`: what is running, how long, and since when; its exit code serves a prompt."""

import argparse
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from .logfile import read, running
from .report import hours


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("now", help="what is running, and since when")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, log: Path, now: datetime) -> Iterator[str]:
    event = running(read(log))
    if not event:
        yield "nothing is running"
        raise SystemExit(1)  # an answer, not a complaint: standard error stays empty
    day = "" if event.at.date() == now.date() else f"{event.at:%Y-%m-%d} "
    yield f"{event.what}, {hours(now - event.at)}, since {day}{event.at:%H:%M}"

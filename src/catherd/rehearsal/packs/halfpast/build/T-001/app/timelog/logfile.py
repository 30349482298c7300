"""The log: a plain text file, one line an event, oldest first. Its contract is docs/spec/data.md.

    2026-03-02 09:00 +0100 start writing the report
    2026-03-02 10:30 +0100 stop

It is yours to edit. Empty lines and lines that begin with # mean nothing and are never touched.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

MOMENT = "%Y-%m-%d %H:%M %z"
LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d [+-]\d{4}) (?:start (\S.*)|stop)")


class Complaint(Exception):
    """Something that the person at the keyboard can put right."""


@dataclass(frozen=True)
class Event:
    """From `at` on, `what` was done; an empty `what` is a stop. `line` is its place in the file."""

    at: datetime
    what: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.at:{MOMENT}} start {self.what}" if self.what else f"{self.at:{MOMENT}} stop"


def read(path: Path) -> list[Event]:
    """All events; no file is an empty log. Complaint, with the line, about what is not understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise Complaint(f"{path}: is not UTF-8 text") from None
    events: list[Event] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                events.append(follow(events, parse(line.rstrip(), number)))
            except ValueError as error:
                raise Complaint(f"{path}:{number}: {error}") from None
    return events


def parse(line: str, number: int) -> Event:
    """The event that `line` describes; ValueError when it describes none."""
    match = LINE.fullmatch(line)
    if not match:
        raise ValueError(f'"{line}" is neither "DATE HH:MM +HHMM start WHAT" nor "… stop"')
    return Event(datetime.strptime(match[1], MOMENT), match[2] or "", number)


def follow(events: Sequence[Event], event: Event) -> Event:
    """`event`, if it can come after `events`; ValueError when it cannot."""
    if events and event.at < events[-1].at:
        raise ValueError(f"{event.at:%H:%M} is before line {events[-1].line}, which says {events[-1].at:%Y-%m-%d %H:%M}")
    if not event.what and not running(events):
        raise ValueError("nothing is running that could be stopped")
    return event


def running(events: Sequence[Event]) -> Event | None:
    """The start that no stop has followed."""
    return events[-1] if events and events[-1].what else None


def append(path: Path, events: Sequence[Event], event: Event) -> None:
    """Adds a line to the end, on the disk when it returns. What stands above is not rewritten."""
    try:
        follow(events, event)
    except ValueError as error:
        raise Complaint(str(error)) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b""
    with path.open("ab") as file:
        if before and not before.endswith(b"\n"):  # an editor left the last line open
            file.write(b"\n")
        file.write(f"{event}\n".encode())
        file.flush()
        os.fsync(file.fileno())

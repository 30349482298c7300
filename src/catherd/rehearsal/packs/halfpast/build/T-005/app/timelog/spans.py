"""From events to time spent: spans, and how much of them falls on which days."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from .logfile import Event


@dataclass(frozen=True)
class Span:
    """`what` was done from `begin` to `end`; `open` while it still runs (then `end` is now)."""

    what: str
    begin: datetime
    end: datetime
    open: bool = False


def spans(events: Sequence[Event], now: datetime) -> Iterator[Span]:
    """Each start up to the event that follows it, or up to now."""
    for event, following in zip(events, [*events[1:], None]):
        if event.what and following:
            yield Span(event.what, event.at, following.at)
        elif event.what:
            yield Span(event.what, event.at, max(event.at, now), open=True)


def within(all_spans: Iterable[Span], first: date, last: date) -> list[Span]:
    """The parts of the spans that fall on the days from `first` to `last`, both included."""
    begin, end = midnight(first), midnight(last + timedelta(days=1))
    parts = []
    for span in all_spans:
        part = Span(span.what, max(span.begin, begin), min(span.end, end), span.open and span.end <= end)
        if part.begin < part.end or (span.begin == span.end and begin <= span.begin < end):
            parts.append(part)
    return parts


def midnight(day: date) -> datetime:
    """When `day` begins on the wall clock; the offset is that of the day, so a day may have 23 or 25 hours."""
    return datetime.combine(day, time.min).astimezone()


def totals(parts: Iterable[Span]) -> list[tuple[str, timedelta]]:
    """How long each thing took in all, the longest first, equals by name."""
    sums: dict[str, timedelta] = {}
    for part in parts:
        sums[part.what] = sums.get(part.what, timedelta()) + (part.end - part.begin)
    return sorted(sums.items(), key=lambda item: (-item[1], item[0]))

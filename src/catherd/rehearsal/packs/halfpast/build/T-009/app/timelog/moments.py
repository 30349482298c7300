"""Moments as people type them: now, 9:30, 2026-03-02 09:30, and days."""

from datetime import date, datetime, timedelta

from .logfile import Complaint


def now() -> datetime:
    """This minute, with the offset that the clock on the wall has today."""
    return datetime.now().astimezone().replace(second=0, microsecond=0)


def parse_at(text: str | None, now: datetime) -> datetime:
    """The moment that `--at` names: a time of today or a date and a time, never one that is still to come."""
    if text is None:
        return now
    at = _wall_clock(text, now).astimezone()  # the offset is that of the day meant, summer or winter
    if at > now:
        raise Complaint(f'{text} is still to come; for another day write --at "YYYY-MM-DD HH:MM"')
    return at


def _wall_clock(text: str, now: datetime) -> datetime:
    try:
        return datetime.combine(now, datetime.strptime(text, "%H:%M").time())
    except ValueError:
        pass
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M")
    except ValueError:
        raise Complaint(f'"{text}" is neither HH:MM nor "YYYY-MM-DD HH:MM"') from None


def parse_day(text: str | None, now: datetime) -> date:
    """The day that `--day`, `--from` or `--to` names; today when it names none."""
    if text is None:
        return now.date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Complaint(f'"{text}" is not a day like 2026-03-02') from None


def week_of(day: date) -> tuple[date, date]:
    """Monday and Sunday of the week that `day` belongs to."""
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=6)

"""T-005: what the events add up to."""

import os
import time
import unittest
from datetime import date, datetime, timedelta
from unittest.mock import patch

from app.timelog.logfile import Event
from app.timelog.spans import Span, spans, totals, within


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone()


class SpansTest(unittest.TestCase):
    def setUp(self) -> None:
        """Noon is noon in Vienna, wherever the test runs."""
        self.addCleanup(time.tzset)
        zone = patch.dict(os.environ, TZ="CET-1CEST,M3.5.0,M10.5.0/3")
        zone.start()
        self.addCleanup(zone.stop)
        time.tzset()

    def test_each_start_lasts_until_the_next_event(self) -> None:
        events = [Event(at("2026-03-02 09:00"), "report"), Event(at("2026-03-02 10:30"), "tea"), Event(at("2026-03-02 10:45"))]
        expected = [
            Span("report", at("2026-03-02 09:00"), at("2026-03-02 10:30")),
            Span("tea", at("2026-03-02 10:30"), at("2026-03-02 10:45")),
        ]
        self.assertEqual(expected, list(spans(events, at("2026-03-02 14:00"))))

    def test_what_still_runs_lasts_until_now(self) -> None:
        (span,) = spans([Event(at("2026-03-02 09:00"), "report")], at("2026-03-02 14:00"))
        self.assertEqual((timedelta(hours=5), True), (span.end - span.begin, span.open))

    def test_a_night_shift_falls_on_two_days(self) -> None:
        shift = [Span("shift", at("2026-03-02 22:00"), at("2026-03-03 06:00"))]
        for day, hours in ((2, 2), (3, 6), (4, 0)):
            with self.subTest(day=day):
                (found, *_) = totals(within(shift, date(2026, 3, day), date(2026, 3, day))) or [("shift", timedelta())]
                self.assertEqual(("shift", timedelta(hours=hours)), found)

    def test_what_ends_at_midnight_is_not_of_the_next_day(self) -> None:
        evening = [Span("film", at("2026-03-02 21:00"), at("2026-03-03 00:00"))]
        self.assertEqual([], within(evening, date(2026, 3, 3), date(2026, 3, 3)))

    def test_what_took_less_than_a_minute_is_there(self) -> None:
        blink = [Span("call", at("2026-03-02 21:00"), at("2026-03-02 21:00"))]
        self.assertEqual([("call", timedelta())], totals(within(blink, date(2026, 3, 2), date(2026, 3, 2))))

    def test_the_night_when_the_clocks_change_has_its_true_length(self) -> None:
        for begin, end, hours in (("2026-03-28 22:00", "2026-03-29 06:00", 7), ("2026-10-24 22:00", "2026-10-25 06:00", 9)):
            with self.subTest(begin=begin):
                parts = within([Span("shift", at(begin), at(end))], at(begin).date(), at(end).date())
                self.assertEqual([("shift", timedelta(hours=hours))], totals(parts))

    def test_the_longest_comes_first(self) -> None:
        day = [
            Span("tea", at("2026-03-02 09:00"), at("2026-03-02 09:10")),
            Span("report", at("2026-03-02 09:10"), at("2026-03-02 11:00")),
            Span("tea", at("2026-03-02 11:00"), at("2026-03-02 11:05")),
        ]
        self.assertEqual([("report", timedelta(minutes=110)), ("tea", timedelta(minutes=15))], totals(day))


if __name__ == "__main__":
    unittest.main()

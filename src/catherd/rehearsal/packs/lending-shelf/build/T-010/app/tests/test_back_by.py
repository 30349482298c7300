"""T-010: a loan may have a day by which the thing should be back; older files open."""

import sqlite3
import tempfile
import unittest
from datetime import date, timedelta
from pathlib import Path

from app.shelf.routes import ROUTES
from app.shelf.store import MIGRATIONS, Invalid, Shelf
from app.tests.calls import ServerTest


class BackByTest(unittest.TestCase):
    def setUp(self) -> None:
        self.today = date(2026, 3, 2)
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.shelf = Shelf(self.folder / "shelf.db", today=lambda: self.today)
        self.addCleanup(self.shelf.close)
        self.ladder = self.shelf.add("Ladder", "Ben")["id"]

    def test_the_day_is_said_with_the_thing_and_goes_with_the_loan(self) -> None:
        self.assertEqual((None, False), self.day(self.shelf.thing(self.ladder)))
        self.assertEqual(("2026-03-05", False), self.day(self.shelf.lend(self.ladder, "Chidi", "2026-03-05")))
        self.assertEqual((None, False), self.day(self.shelf.give_back(self.ladder)))

    def test_a_thing_is_overdue_from_the_day_after(self) -> None:
        self.shelf.lend(self.ladder, "Chidi", "2026-03-02")
        for today, overdue in ((date(2026, 3, 2), False), (date(2026, 3, 3), True)):
            self.today = today
            self.assertEqual(("2026-03-02", overdue), self.day(self.shelf.things()[0]))

    def test_a_loan_without_a_day_is_never_overdue(self) -> None:
        for none in (None, ""):
            self.shelf.lend(self.ladder, "Chidi", none)
            self.today = date(2036, 1, 1)
            self.assertEqual((None, False), self.day(self.shelf.thing(self.ladder)))
            self.shelf.give_back(self.ladder)

    def test_what_is_no_day_or_has_passed_is_refused_and_nothing_is_lent(self) -> None:
        for text, reason in (
            ("2026-03-01", "2026-03-01 has passed"),
            ("2026-02-30", "not a date"),
            ("Saturday", "not a date"),
            ("20260305", "not a date"),
            (7, "not a date"),
        ):
            with self.subTest(text=text), self.assertRaisesRegex(Invalid, reason):
                self.shelf.lend(self.ladder, "Chidi", text)
        self.assertIsNone(self.shelf.thing(self.ladder)["holder"])

    def test_files_of_both_older_versions_open_with_their_loans(self) -> None:
        for version in (1, 2):
            with self.subTest(version=version):
                file = self.folder / f"old-{version}.db"
                old = sqlite3.connect(file)
                old.executescript(f"""
                    {"".join(MIGRATIONS[:version])} PRAGMA user_version = {version};
                    INSERT INTO thing (name, owner, added_at) VALUES ('Drill', 'Ana', '2026-01-02T18:00:00+00:00');
                    INSERT INTO loan (thing_id, borrower, lent_at) VALUES (1, 'Ben', '2026-01-03T18:00:00+00:00');
                """)
                old.close()
                shelf = Shelf(file)
                self.addCleanup(shelf.close)
                (drill,) = shelf.things()
                self.assertEqual(("Ben", None, False), (drill["holder"], *self.day(drill)))

    def day(self, thing: dict[str, object]) -> tuple[object, object]:
        return thing["back_by"], thing["overdue"]


class BackByOverHttpTest(ServerTest):
    routes = ROUTES

    def test_the_day_goes_through_every_layer(self) -> None:
        self.shelf.add("Ladder", "Ben")
        tomorrow = (date.today() + timedelta(days=1)).isoformat()
        status, thing = self.call("POST", "/api/things/1/loan", {"borrower": "Chidi", "back_by": tomorrow})
        self.assertEqual((201, tomorrow, False), (status, thing["back_by"], thing["overdue"]))
        self.call("DELETE", "/api/things/1/loan")
        refused = self.call("POST", "/api/things/1/loan", {"borrower": "Chidi", "back_by": "2001-01-01"})
        self.assertEqual((422, {"error": "2001-01-01 has passed"}), refused)


if __name__ == "__main__":
    unittest.main()

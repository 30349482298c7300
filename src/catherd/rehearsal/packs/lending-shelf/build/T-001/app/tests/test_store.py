"""T-001: the shelf keeps things and loans, and refuses what makes no sense."""

import sqlite3
import tempfile
import unittest
from pathlib import Path

from app.shelf.store import Conflict, Invalid, NotFound, Shelf


class StoreTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "shelf.db"
        self.clock = "2026-03-02T18:00:00+00:00"
        self.shelf = Shelf(self.file, now=lambda: self.clock)
        self.addCleanup(self.shelf.close)

    def test_a_thing_that_was_added_is_on_the_shelf(self) -> None:
        drill = self.shelf.add("Cordless drill", "Ana")
        self.assertEqual(("Cordless drill", "Ana", None, None), tuple(drill[k] for k in ("name", "owner", "holder", "since")))
        self.assertEqual([drill], self.shelf.things())

    def test_things_are_listed_by_name_whatever_the_capitals(self) -> None:
        for name in ("tent", "Drill", "ladder"):
            self.shelf.add(name, "Ana")
        self.assertEqual(["Drill", "ladder", "tent"], [thing["name"] for thing in self.shelf.things()])

    def test_a_name_of_blanks_is_refused_and_nothing_is_stored(self) -> None:
        for name, owner in (("   ", "Ana"), ("Drill", "\t"), (None, "Ana"), ("x" * 81, "Ana")):
            with self.subTest(name=name, owner=owner), self.assertRaises(Invalid):
                self.shelf.add(name, owner)
        self.assertEqual([], self.shelf.things())

    def test_a_lent_thing_says_who_has_it_since_when(self) -> None:
        drill = self.shelf.add("Drill", "Ana")
        self.clock = "2026-03-05T09:30:00+00:00"
        lent = self.shelf.lend(drill["id"], "  Ben   Okafor ")
        self.assertEqual(("Ben Okafor", "2026-03-05T09:30:00+00:00"), (lent["holder"], lent["since"]))

    def test_a_thing_is_lent_to_one_neighbour_at_a_time(self) -> None:
        drill = self.shelf.add("Drill", "Ana")
        self.shelf.lend(drill["id"], "Ben")
        with self.assertRaisesRegex(Conflict, "Ben has it since 2026-03-02"):
            self.shelf.lend(drill["id"], "Chidi")
        self.assertEqual("Ben", self.shelf.thing(drill["id"])["holder"])

    def test_the_file_itself_refuses_a_second_open_loan(self) -> None:
        drill = self.shelf.add("Drill", "Ana")
        self.shelf.lend(drill["id"], "Ben")
        with self.assertRaises(sqlite3.IntegrityError), self.shelf.db:
            self.shelf.db.execute(
                "INSERT INTO loan (thing_id, borrower, lent_at) VALUES (?, 'Chidi', ?)", (drill["id"], self.clock)
            )

    def test_what_comes_back_can_be_lent_again(self) -> None:
        drill = self.shelf.add("Drill", "Ana")
        self.shelf.lend(drill["id"], "Ben")
        self.assertIsNone(self.shelf.give_back(drill["id"])["holder"])
        self.assertEqual("Chidi", self.shelf.lend(drill["id"], "Chidi")["holder"])

    def test_what_is_on_the_shelf_cannot_come_back(self) -> None:
        drill = self.shelf.add("Drill", "Ana")
        with self.assertRaisesRegex(Conflict, "on the shelf already"):
            self.shelf.give_back(drill["id"])

    def test_an_unknown_thing_is_not_found(self) -> None:
        for act in (self.shelf.thing, self.shelf.give_back, lambda number: self.shelf.lend(number, "Ben")):
            with self.assertRaisesRegex(NotFound, "there is no thing 7"):
                act(7)

    def test_a_second_opening_finds_what_was_added(self) -> None:
        drill = self.shelf.add("Drill", "Ana")
        again = Shelf(self.file)
        self.addCleanup(again.close)
        self.assertEqual([drill], again.things())


if __name__ == "__main__":
    unittest.main()

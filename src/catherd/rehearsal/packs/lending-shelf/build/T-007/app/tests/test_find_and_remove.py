"""T-007: finding things and taking them off the shelf, and a file of the PoC that is opened by the MVP."""

import sqlite3
import tempfile
import unittest
from pathlib import Path

from app.shelf.routes import ROUTES
from app.shelf.store import MIGRATIONS, Shelf
from app.tests.calls import ServerTest


class FindCase(ServerTest):
    routes = ROUTES

    def setUp(self) -> None:
        super().setUp()
        for name, owner in (("Tall ladder", "Ben Okafor"), ("Cordless drill", "Ana Ruiz"), ("Übergroßes Zelt", "Ana Ruiz")):
            self.shelf.add(name, owner)
        self.shelf.lend(2, "Ben Okafor")

    def found(self, query: str) -> list[str]:
        status, answer = self.call("GET", f"/api/things?{query}")
        self.assertEqual(200, status, answer)
        return [thing["name"] for thing in answer["things"]]


class FindTest(FindCase):
    def test_words_of_thing_or_owner_are_found_whatever_the_capitals(self) -> None:
        for query, names in (
            ("q=LADDER", ["Tall ladder"]),
            ("q=ana", ["Cordless drill", "Übergroßes Zelt"]),
            ("q=drill+ruiz", ["Cordless drill"]),
            ("q=%C3%BCbergro%C3%9F", ["Übergroßes Zelt"]),
            ("q=trombone", []),
            ("q=%25", []),
            ("q=", ["Cordless drill", "Tall ladder", "Übergroßes Zelt"]),
        ):
            with self.subTest(query=query):
                self.assertEqual(names, self.found(query))

    def test_only_what_is_free(self) -> None:
        self.assertEqual(["Tall ladder", "Übergroßes Zelt"], self.found("free=1"))
        self.assertEqual(["Übergroßes Zelt"], self.found("q=ana&free=1"))

    def test_a_query_that_makes_no_sense_is_refused(self) -> None:
        for query, reason in (("free=yes", "free is 1 or left out"), ("q=" + "x" * 81, "the query is longer than 80 characters")):
            with self.subTest(query=query[:9]):
                self.assertEqual((422, {"error": reason}), self.call("GET", f"/api/things?{query}"))


class RemoveTest(FindCase):
    def test_what_is_taken_off_is_gone_for_every_request(self) -> None:
        status, thing = self.call("DELETE", "/api/things/1")
        self.assertEqual((200, "Tall ladder"), (status, thing["name"]))
        self.assertEqual([], self.found("q=ladder"))
        for method, path in (("DELETE", "/api/things/1"), ("POST", "/api/things/1/loan")):
            self.assertEqual((404, {"error": "there is no thing 1"}), self.call(method, path, {"borrower": "Chidi"}))

    def test_what_is_out_stays_listed(self) -> None:
        status, answer = self.call("DELETE", "/api/things/2")
        self.assertEqual(409, status)
        self.assertIn("Ben Okafor has it since", answer["error"])
        self.assertEqual(["Cordless drill"], self.found("q=drill"))


class OlderFileTest(unittest.TestCase):
    def test_a_file_of_the_poc_opens_with_its_things_and_loans(self) -> None:
        file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "old.db"
        old = sqlite3.connect(file)
        old.executescript(f"""
            {MIGRATIONS[0]} PRAGMA user_version = 1;
            INSERT INTO thing VALUES (1, 'Drill', 'Ana', '2026-03-02T18:00:00+00:00');
            INSERT INTO loan VALUES (1, 1, 'Ben', '2026-03-03T18:00:00+00:00', NULL);
        """)
        old.close()
        shelf = Shelf(file)
        self.addCleanup(shelf.close)
        self.assertEqual([("Drill", "Ben")], [(thing["name"], thing["holder"]) for thing in shelf.things()])


if __name__ == "__main__":
    unittest.main()

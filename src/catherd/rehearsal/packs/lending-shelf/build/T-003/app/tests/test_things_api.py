"""T-003: listing and adding things over HTTP."""

import unittest

from app.shelf.routes import ROUTES
from app.tests.calls import ServerTest


class ThingsTest(ServerTest):
    routes = ROUTES

    def test_an_empty_shelf_is_an_empty_list(self) -> None:
        self.assertEqual((200, {"things": []}), self.call("GET", "/api/things"))

    def test_what_is_added_comes_back_and_is_listed(self) -> None:
        status, thing = self.call("POST", "/api/things", {"name": "Zelt für vier", "owner": "Ana"})
        self.assertEqual((201, "Zelt für vier", "Ana", None), (status, thing["name"], thing["owner"], thing["holder"]))
        self.assertEqual((200, {"things": [thing]}), self.call("GET", "/api/things"))

    def test_a_thing_without_a_name_or_an_owner_is_refused_with_the_reason(self) -> None:
        for body, reason in (
            ({"owner": "Ana"}, "the name of the thing is missing"),
            ({"name": " ", "owner": "Ana"}, "the name of the thing is missing"),
            ({"name": "Drill"}, "the owner's name is missing"),
            ({"name": "x" * 81, "owner": "Ana"}, "the name of the thing is longer than 80 characters"),
        ):
            with self.subTest(body=body):
                self.assertEqual((422, {"error": reason}), self.call("POST", "/api/things", body))
        self.assertEqual((200, {"things": []}), self.call("GET", "/api/things"))

    def test_two_things_of_one_name_are_two_things(self) -> None:
        ids = {self.call("POST", "/api/things", {"name": "Ladder", "owner": "Ana"})[1]["id"] for _ in range(2)}
        self.assertEqual(2, len(ids))


if __name__ == "__main__":
    unittest.main()

"""T-004: lending and giving back over HTTP."""

import unittest
from concurrent.futures import ThreadPoolExecutor

from app.shelf.routes import ROUTES
from app.tests.calls import ServerTest


class LoansTest(ServerTest):
    routes = ROUTES

    def setUp(self) -> None:
        super().setUp()
        self.drill = self.shelf.add("Drill", "Ana")
        self.loan = f"/api/things/{self.drill['id']}/loan"

    def test_a_lent_thing_says_who_has_it_and_since_when(self) -> None:
        status, thing = self.call("POST", self.loan, {"borrower": "Ben"})
        self.assertEqual((201, "Drill", "Ben"), (status, thing["name"], thing["holder"]))
        self.assertRegex(thing["since"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")

    def test_a_thing_that_is_out_is_refused_and_the_answer_names_who_has_it(self) -> None:
        self.call("POST", self.loan, {"borrower": "Ben"})
        status, answer = self.call("POST", self.loan, {"borrower": "Chidi"})
        self.assertEqual(409, status)
        self.assertIn("Ben has it since", answer["error"])

    def test_of_ten_who_ask_at_once_one_gets_it(self) -> None:
        with ThreadPoolExecutor(10) as crowd:
            asked = crowd.map(lambda n: self.call("POST", self.loan, {"borrower": f"Neighbour {n}"})[0], range(10))
            self.assertEqual([201] + [409] * 9, sorted(asked))

    def test_a_loan_to_nobody_is_refused(self) -> None:
        for body in ({}, {"borrower": "  "}, {"borrower": 7}):
            with self.subTest(body=body):
                self.assertEqual((422, {"error": "the borrower's name is missing"}), self.call("POST", self.loan, body))

    def test_what_comes_back_is_free_and_cannot_come_back_twice(self) -> None:
        self.call("POST", self.loan, {"borrower": "Ben"})
        status, thing = self.call("DELETE", self.loan)
        self.assertEqual((200, None, None), (status, thing["holder"], thing["since"]))
        self.assertEqual((409, {"error": "it is on the shelf already"}), self.call("DELETE", self.loan))

    def test_a_thing_that_does_not_exist_is_not_found(self) -> None:
        for method in ("POST", "DELETE"):
            with self.subTest(method=method):
                status, answer = self.call(method, "/api/things/99/loan", {"borrower": "Ben"})
                self.assertEqual((404, "there is no thing 99"), (status, answer["error"]))


if __name__ == "__main__":
    unittest.main()

"""T-010: every story of the MVP has a journey, and those of the PoC have kept theirs."""

import re
import unittest
from pathlib import Path


class JourneysTest(unittest.TestCase):
    def setUp(self) -> None:
        self.text = (Path(__file__).parent.parent / "app.yaml").read_text(encoding="utf-8")

    def test_the_stories_have_journeys(self) -> None:
        shown = set(re.findall(r"^    story: (US-\d+)$", self.text, re.M))
        self.assertLessEqual({f"US-{n:03}" for n in range(1, 7)}, shown)

    def test_no_journey_has_gone_and_no_number_is_used_twice(self) -> None:
        numbers = re.findall(r"^  - id: J-(\d+)$", self.text, re.M)
        self.assertEqual(len(numbers), len(set(numbers)))
        self.assertLessEqual({f"{n:03}" for n in range(1, 10)}, set(numbers))

    def test_the_week_is_no_gap_any_more(self) -> None:
        self.assertNotIn("added up by hand", self.text)


if __name__ == "__main__":
    unittest.main()

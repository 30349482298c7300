"""T-012: every story of the Vertical Slice has a journey, and the older ones have kept theirs."""

import re
import unittest
from pathlib import Path


class JourneysTest(unittest.TestCase):
    def setUp(self) -> None:
        self.text = (Path(__file__).parent.parent / "app.yaml").read_text(encoding="utf-8")

    def test_every_story_up_to_here_has_a_journey(self) -> None:
        shown = set(re.findall(r"^    story: (US-\d+)$", self.text, re.M))
        self.assertLessEqual({f"US-{n:03}" for n in range(1, 7)}, shown)

    def test_no_journey_has_gone_and_no_number_is_used_twice(self) -> None:
        numbers = re.findall(r"^  - id: J-(\d+)$", self.text, re.M)
        self.assertEqual(len(numbers), len(set(numbers)))
        self.assertLessEqual({f"{n:03}" for n in range(1, 14)}, set(numbers))


if __name__ == "__main__":
    unittest.main()

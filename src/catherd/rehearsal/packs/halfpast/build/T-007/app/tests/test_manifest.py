"""T-007: app.yaml starts the program, and has a journey for every story of the PoC."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

APP = Path(__file__).parent.parent


class ManifestTest(unittest.TestCase):
    def setUp(self) -> None:
        self.text = (APP / "app.yaml").read_text(encoding="utf-8")

    def field(self, pattern: str) -> str:
        found = re.search(pattern, self.text, re.M)
        self.assertIsNotNone(found, pattern)
        return found[1]

    def test_what_it_starts_writes_where_it_says(self) -> None:
        run = self.field(r"^  run: \[(.*)\]$").split(", ")
        name, value = re.fullmatch(r'(\w+): "(.*)"', self.field(r"^  env: \{(.*)\}$")).groups()
        with tempfile.TemporaryDirectory() as data:
            log = Path(value.format(data=data))
            subprocess.run([*run, "start", "tea"], cwd=APP, env={**os.environ, name: str(log)}, check=True, capture_output=True)
            self.assertIn("start tea", log.read_text(encoding="utf-8"))

    def test_every_story_of_the_poc_has_a_journey(self) -> None:
        shown = set(re.findall(r"^    story: (US-\d+)$", self.text, re.M))
        self.assertLessEqual({"US-001", "US-002", "US-003", "US-004"}, shown)

    def test_it_shows_refusals_and_the_file(self) -> None:
        for line in ("persistence: true", "failure: true", "- file: {path: halfpast.log}"):
            self.assertIn(line, self.text)


if __name__ == "__main__":
    unittest.main()

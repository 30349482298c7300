"""T-006: app.yaml starts a server that answers, and has a journey for every story of the PoC."""

import os
import re
import shlex
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

APP = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ManifestTest(unittest.TestCase):
    def setUp(self) -> None:
        self.text = (APP / "app.yaml").read_text(encoding="utf-8")

    def field(self, pattern: str) -> str:
        found = re.search(pattern, self.text, re.M)
        self.assertIsNotNone(found, pattern)
        return found[1]

    def test_it_starts_what_answers_where_it_says(self) -> None:
        run = self.field(r"^  run: \[(.*)\]$").split(", ")
        ready = self.field(r"^ready: \{http: (\S+),")
        values = {"port": str(free_port()), "host": "127.0.0.1", "data": self.enterContext(tempfile.TemporaryDirectory())}
        env = dict(pair.split(": ") for pair in self.field(r"^  env: \{(.*)\}$").split(", "))
        env = {name: shlex.split(value)[0].format(**values) for name, value in env.items()}
        server = subprocess.Popen(run, cwd=APP, env={**os.environ, **env}, stdout=subprocess.DEVNULL)
        try:
            self.assertEqual(200, self.first_status(f"http://127.0.0.1:{values['port']}{ready}"))
        finally:
            server.kill()
            server.wait()

    def first_status(self, url: str) -> int:
        deadline = time.monotonic() + 10
        while True:
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:
                    return answer.status
            except urllib.error.URLError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def test_every_story_of_the_poc_has_a_journey(self) -> None:
        shown = set(re.findall(r"^    story: (US-\d+)$", self.text, re.M))
        self.assertLessEqual({"US-001", "US-002", "US-003"}, shown)

    def test_it_shows_a_crash_a_refusal_and_a_person_at_the_page(self) -> None:
        for line in ("persistence: true", "- restart: kill", "failure: true", "- browser:"):
            self.assertIn(line, self.text)


if __name__ == "__main__":
    unittest.main()

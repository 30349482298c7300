"""T-021: a running shelf is copied, whole, into a new file."""

import os
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from app.shelf.backup import copy
from app.shelf.store import Shelf

APP = Path(__file__).parent.parent


class BackupTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.shelf = Shelf(self.folder / "shelf.db")
        self.addCleanup(self.shelf.close)
        self.shelf.add("Drill", "Ana")
        self.shelf.add("Ladder", "Ben")
        self.shelf.lend(1, "Chidi")

    def backup(self, *arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "shelf.backup", *arguments],
            cwd=APP,
            env={**os.environ, "APP_DATA": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.returncode, done.stdout, done.stderr

    def test_a_shelf_that_is_started_with_the_copy_shows_the_same(self) -> None:
        target = self.folder / "copy.db"
        self.assertEqual((0, f"copied 2 things, 1 loan to {target}\n", ""), self.backup(str(target)))
        copied = Shelf(target)
        self.addCleanup(copied.close)
        self.assertEqual(self.shelf.things(), copied.things())

    def test_an_older_copy_is_never_written_over(self) -> None:
        target = self.folder / "march.db"
        target.write_bytes(b"last month")
        self.assertEqual((1, "", f"{target} exists; a copy is never written over another one\n"), self.backup(str(target)))
        self.assertEqual(b"last month", target.read_bytes())

    def test_a_copy_of_nothing_is_refused_and_leaves_no_file(self) -> None:
        (self.folder / "shelf.db").rename(self.folder / "elsewhere.db")
        code, out, err = self.backup(str(self.folder / "copy.db"))
        self.assertEqual((1, ""), (code, out))
        self.assertIn("shelf.db was not copied", err)
        self.assertEqual(["elsewhere.db"], [path.name for path in self.folder.iterdir()])

    def test_wrong_usage_shows_the_usage(self) -> None:
        for arguments in ((), ("a", "b"), ("--help",)):
            with self.subTest(arguments=arguments):
                self.assertEqual((2, "", "usage: python3 -m shelf.backup FILE\n"), self.backup(*arguments))

    def test_a_copy_is_whole_while_others_write(self) -> None:
        done = threading.Event()

        def busy() -> None:
            while not done.wait(0.02):  # a neighbour each 20 ms
                self.shelf.lend(2, "Dora")
                self.shelf.give_back(2)

        writer = threading.Thread(target=busy)
        writer.start()
        try:
            counts = [copy(self.folder / "shelf.db", self.folder / f"copy-{n}.db") for n in range(2)]
        finally:
            done.set()
            writer.join()
        self.assertEqual([2] * 2, [things for things, _ in counts])
        self.assertEqual(sorted(counts), counts)


if __name__ == "__main__":
    unittest.main()

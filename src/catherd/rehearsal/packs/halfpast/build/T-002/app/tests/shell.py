"""A log of its own and a fixed clock for one test; `self.halfpast(...)` runs a command line in this process."""

import contextlib
import io
import os
import tempfile
import unittest
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from app.timelog.cli import main


class Said(NamedTuple):
    exit: int
    out: str
    err: str


class ShellTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.log = Path(folder.name) / "halfpast.log"
        environment = patch.dict(os.environ, HALFPAST_LOG=str(self.log))
        environment.start()
        self.addCleanup(environment.stop)
        self.clock("2026-03-02 14:00")

    def clock(self, text: str) -> None:
        self.now = datetime.fromisoformat(text).astimezone()

    def offset(self) -> str:
        return f"{self.now:%z}"

    def halfpast(self, *argv: str, **more: object) -> Said:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            try:
                code = main(argv, now=self.now, **more)
            except SystemExit as usage:
                code = usage.code
        return Said(code, out.getvalue(), err.getvalue())

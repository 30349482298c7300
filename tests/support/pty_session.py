"""A command on a pseudo terminal that goes on while a test types."""

import os
import pty
import re
import signal
import subprocess
from pathlib import Path

from support import games


class Terminal:
    """`make run` on a terminal, as a person has it."""

    def __init__(self, game: Path) -> None:
        self.master, slave = pty.openpty()
        self.child = subprocess.Popen(
            ["make", "run"],
            cwd=game,
            env=games.env(NO_COLOR="1"),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.said = ""

    def until(self, pattern: str) -> "re.Match[str]":
        """Read until it says that."""
        while not (found := re.search(pattern, self.said)):
            try:
                self.said += os.read(self.master, 4096).decode(errors="replace")
            except OSError:
                raise AssertionError(
                    f"it ended without saying {pattern}:\n{self.said}"
                ) from None
        return found

    def type(self, text: str) -> None:
        """Type a line, or ^C."""
        if text == "^C":
            os.killpg(self.child.pid, signal.SIGINT)
        else:
            os.write(self.master, f"{text}\n".encode())

    def end(self) -> None:
        """Read on until it has ended."""
        try:
            while self.child.poll() is None:
                self.said += os.read(self.master, 4096).decode(errors="replace")
        except OSError:
            pass
        self.child.wait(30)

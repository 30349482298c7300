"""`make` typed at a terminal, what its herd logged, and waiting for something to become true."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from support import games

HERD = ("chatgpt", "claude", "gemini", "wildcard")


class Typed:
    """`make WORDS…` as typed at a terminal: in a process group of its own, what it says kept."""

    def __init__(self, game: Path, *words: str, **more: str) -> None:
        self.said: list[str] = []
        self.child = subprocess.Popen(
            ["make", *words],
            cwd=game,
            env=games.env(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        self.said.extend(self.child.stdout)

    def ended(self, seconds: float = 60) -> int:
        """Its exit code, once it has ended and all that it said is there."""
        code = self.child.wait(seconds)
        self._reader.join(seconds)
        return code

    def kill(self, number: int) -> None:
        """A signal to it and to everything in its process group, as a terminal sends ^C."""
        os.killpg(self.child.pid, number)

    @property
    def text(self) -> str:
        return "".join(self.said)


def until(what: str, true: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something to become true."""
    end, bell = time.monotonic() + seconds, threading.Event()
    while not true():
        assert time.monotonic() < end, f"never: {what}"
        bell.wait(0.02)


def events(game: Path, kind: str) -> list[str]:
    """The subjects of the events of a kind, in order."""
    lines = [
        line
        for day in sorted((game / "bus/events").glob("*.jsonl"))
        for line in day.read_text().splitlines()
    ]
    found = [json.loads(line) for line in lines]
    return [event["subject"] for event in found if event["kind"] == kind]

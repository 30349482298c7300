"""A daemon with nothing behind it and with ten thousand of everything; and what one costs that waits."""

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import figures
from figures import ROOT, Figure

from catherd import files
from catherd.bus import Bus
from catherd.herd import pid_of
from catherd.messages import Chat
from catherd.yamldoor import dumps

KEPT = 10_000


def history(root: Path, count: int, lines: int) -> None:
    """`count` journalled messages, finished tasks and claims; `lines` lines of chat and merged PRs."""
    bus = root / "bus"
    (bus / "runs" / "claude").mkdir(parents=True, exist_ok=True)
    (bus / "prs").mkdir(exist_ok=True)
    one = bus / "archive"
    one.mkdir()
    (one / "chat").write_text(dumps(Chat(text="so it was", at="2026-01-01T00:00:00.000Z")))
    (one / "other").write_text("catherd: 1\n")
    for n in range(lines):
        day, rest = divmod(n, 1000)
        os.link(one / "chat", bus / "chat" / f"202601{day + 1:02}T0000{rest // 60:02}.{rest:03}Z.gemini.yaml")
        (bus / "prs" / f"PR-{n:05}").mkdir()
        os.link(one / "other", bus / "prs" / f"PR-{n:05}" / "merged.yaml")
    for n in range(count):
        os.link(one / "other", bus / "runs" / "claude" / f"old.{n}.1.yaml")
        os.link(one / "other", bus / "tasks" / f"T-{n:05}.yaml")
        os.link(one / "other", bus / "claims" / "done" / f"T-{n:05}.lock")


def start(root: Path) -> int:
    """Start Claude's daemon as the herd does; its pid."""
    argv = [sys.executable, "-P", "-m", "catherd", "agent", "agents/claude.yaml"]
    with (root / "bus/agents/claude.log").open("ab") as log:
        told = figures.env(PYTHONPATH=str(ROOT / "src"), CATHERD_LOCK="none")
        return subprocess.Popen(argv, cwd=root, env=told, stdout=log, stderr=log, start_new_session=True).pid


def stop(pid: int) -> None:
    """Tell it to leave and wait until it has."""
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)


class Person:
    """Speaks to Claude in one game and waits for the answer in the journal."""

    def __init__(self, root: Path) -> None:
        self.root, self.bus, self.said = root, Bus(str(root)), 0

    def say(self) -> str:
        """A message that Claude owes an answer to; where that answer will be."""
        self.said += 1
        stem = f"20260601T000000.{self.said:03}Z.human"
        files.publish(self.bus.path, f"chat/{stem}.yaml", dumps(Chat(text=f"@claude how is {self.said}?")))
        return self.bus.here(f"runs/claude/chat.{stem}.reply.1.1.answer.yaml")

    def turn(self) -> None:
        """One whole turn of a daemon that waits."""
        answer = self.say()
        figures.until(lambda: os.path.exists(answer))

    def begin(self) -> None:
        """A daemon's start, to its first answer."""
        answer = self.say()
        pid = start(self.root)
        figures.until(lambda: os.path.exists(answer))
        stop(pid)


def idle(root: Path, seconds: float) -> float:
    """Milliseconds of CPU per second of a daemon that waits, as the scheduler counts them."""
    pid = start(root)
    figures.until(lambda: pid_of(Bus(str(root)), "claude") == pid)
    time.sleep(2.0)  # its first look is behind it
    before = ran(pid)
    time.sleep(seconds)
    spent = ran(pid) - before
    stop(pid)
    return spent * 1000 / seconds


def ran(pid: int) -> float:
    """Seconds that all threads of a process have run."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def measure(turns: int = 9, runs: int = 3, rest: float = 45.0) -> Iterator[Figure]:
    """Three figures."""
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-") as folder, ExitStack() as stack:
        people = []
        for name, kept, lines in (("new", 0, 0), ("old", KEPT, KEPT // 20), ("talkative", KEPT, KEPT)):
            root = stack.enter_context(figures.game(folder, name))
            for phase in (root / "phases").glob("*.yaml"):
                phase.write_text(re.sub(r"human_mentions: \d+", "human_mentions: 199", phase.read_text()))
            figures.begin(root)
            history(root, kept, lines)
            people.append(Person(root))
        new = people[0]
        judged = f"with {KEPT} messages and tasks behind it / with none", 1.2
        told = f"with {KEPT} lines of chat and PRs too / with none", None
        for old, (what, limit) in zip(people[1:], (judged, told), strict=True):
            ratio = statistics.median(figures.by_turns(old.begin, new.begin, 3, 1) for _ in range(runs))
            yield Figure("daemons", f"start to first answer, {what}", ratio, "x", limit)
            pids = [start(person.root) for person in (old, new)]
            old.turn()
            new.turn()
            yield Figure("daemons", f"a turn, {what}", figures.by_turns(old.turn, new.turn, turns, runs), "x", limit)
            for pid in pids:
                stop(pid)
        yield Figure(
            "daemons", "a waiting daemon, CPU", idle(new.root, rest), "ms/s", 0.2, 0.1, note=f"over {rest:.0f} s"
        )

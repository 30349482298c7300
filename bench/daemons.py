"""A daemon with nothing behind it and with ten thousand of everything; and what one costs that waits."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import figures
from figures import ROOT, Figure

from catherd.bus import atomic
from catherd.bus.store import Bus
from catherd.bus.yaml_write import dumps
from catherd.core.messages import Chat
from catherd.core.tasks import Head, Pr, Task
from catherd.herd.processes import pid_of
from catherd.pulls import board

KEPT = 10_000


def history(root: Path, count: int) -> None:
    """`count` journalled messages, lines of chat, tasks that are done, and pull requests that are merged or closed."""
    bus = root / "bus"
    (bus / "runs" / "claude").mkdir(parents=True, exist_ok=True)
    one = bus / "archive"
    one.mkdir()
    (one / "chat").write_text(
        dumps(Chat(text="so it was", at="2026-01-01T00:00:00.000Z"))
    )
    for name in ("other", "pr"):  # two, because a file has at most 65,000 names
        (one / name).write_text("catherd: 1\n")
    for n in range(count):
        day, rest = divmod(n, 1000)
        os.link(
            one / "chat",
            bus
            / "chat"
            / f"202601{day + 1:02}T0000{rest // 60:02}.{rest:03}Z.gemini.yaml",
        )
        os.link(one / "other", bus / "runs" / "claude" / f"old.{n}.1.yaml")
        os.link(one / "other", bus / "tasks" / f"T-{n:05}.yaml")
        os.link(one / "other", bus / "claims" / "done" / f"T-{n:05}.lock")
        pr = bus / "prs" / f"PR-{n:05}"
        (pr / "reviews").mkdir(parents=True)
        for name in (
            "pr",
            "head-1",
            "reviews/0123456789ab.claude",
            "merged" if n % 10 else "closed",
        ):
            os.link(one / "pr", pr / f"{name}.yaml")
    over = [f"PR-{n:05} {'merged' if n % 10 else 'closed'}\n" for n in range(count)]
    (bus / "prs.log").write_text("".join(over))


def at_work(root: Path) -> None:
    """A task that waits for Gemini's pull request, so that the daemon has to look at claims and at what is open."""
    bus = Bus(str(root))
    pr = Pr(
        task="T-first",
        author="gemini",
        branch="gemini/T-first",
        title="First",
        opened="2026-06-01T00:00:00.000Z",
    )
    bus.post("prs/PR-99999/pr.yaml", pr)
    bus.post("prs/PR-99999/head-1.yaml", Head(head="0" * 40))
    bus.post("tasks/T-then.yaml", Task(kind="design", title="Then", needs=["T-first"]))
    board.open_claim(bus, "T-then")


def start(root: Path) -> int:
    """Start Claude's daemon as the herd does; its pid."""
    argv = [sys.executable, "-P", "-m", "catherd.herd", "agents/claude.yaml"]
    with (root / "bus/agents/claude.log").open("ab") as log:
        told = figures.env(PYTHONPATH=str(ROOT / "src"), CATHERD_LOCK="none")
        return subprocess.Popen(
            argv, cwd=root, env=told, stdout=log, stderr=log, start_new_session=True
        ).pid


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
        atomic.publish(
            self.bus.path,
            f"chat/{stem}.yaml",
            dumps(Chat(text=f"@claude how is {self.said}?")),
        )
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
    return (
        sum(
            int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()
        )
        / 1e9
    )


def measure(turns: int = 25, runs: int = 3, rest: float = 45.0) -> Iterator[Figure]:
    """Three figures."""
    with (
        tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-") as folder,
        ExitStack() as stack,
    ):
        people = []
        for name, kept in (("new", 0), ("old", KEPT)):
            root = stack.enter_context(figures.game(folder, name))
            for phase in (root / "phases").glob("*.yaml"):
                phase.write_text(
                    re.sub(
                        r"human_mentions: \d+", "human_mentions: 199", phase.read_text()
                    )
                )
            figures.begin(root)
            history(root, kept)
            at_work(root)
            people.append(Person(root))
        new, old = people
        what = f"with {KEPT} calls, chat lines, tasks and PRs behind it / with none"
        ratio = figures.by_turns(old.begin, new.begin, 5, runs)
        yield Figure("daemons", f"start to first answer, {what}", ratio, "x", 1.2)
        pids = [start(person.root) for person in (old, new)]
        old.turn()
        new.turn()
        yield Figure(
            "daemons",
            f"a turn, {what}",
            figures.by_turns(old.turn, new.turn, turns, runs),
            "x",
            1.2,
        )
        for pid in pids:
            stop(pid)
        yield Figure(
            "daemons",
            "a waiting daemon, CPU",
            idle(new.root, rest),
            "ms/s",
            0.2,
            0.1,
            note=f"over {rest:.0f} s",
        )

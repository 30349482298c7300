"""The herd: one daemon per `agents/*.yaml`, in its own session, with no inherited descriptor and a log that rotates.

Liveness is the lock that each daemon holds, never a pid. The crank looks after the herd while it waits at a gate: a dead
daemon is started again with a growing pause, and after three deaths without a new answer in its journal between them its fuse is
blown until somebody types make again.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress

import msgspec

from catherd.bus import yaml_read
from catherd.bus.atomic import (
    is_held,
    started,
    take_lock,
    until_free,
    whole,
    write_holder,
)
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError

LOG_BYTES = 1 << 20
FUSE = 3

Daemon = Callable[[str, str], int]  # (root, agent file) → exit code


class Life(msgspec.Struct):
    """What the crank remembers of one daemon: deaths in a row without a new answer, and when it may be started again."""

    deaths: int = 0
    again: float = 0.0
    files: int = -1
    seen: bool = False


class Herd:
    """Keeps the daemons of `agents` alive. `look` is called whenever somebody waits."""

    def __init__(self, bus: Bus, agents: dict[str, Agent]) -> None:
        self.bus = bus
        self.agents = {
            name: agent for name, agent in agents.items() if agent.runs == "here"
        }
        self.lives: dict[str, Life] = {name: Life() for name in self.agents}
        self.goal = bus.goal() or os.environ.get(
            "CATHERD_GOAL", ""
        )  # what was typed, though it be cleared already
        self.ring: Callable[[], None] = (
            _nobody  # called, from another thread, as soon as a daemon dies
        )
        self._heeded: set[str] = set()

    def look(self, life_of: Daemon | None = None) -> list[str]:
        """Start who is not alive and may be; the names that were started. Nobody is, once the goal that was on is cleared.

        With `life_of` (catherd.agent.main) a daemon is a fork of this process, which must have one thread only.
        """
        begun: list[str] = []
        if (self.goal and not self.bus.goal()) or not whole(self.bus.path):
            return begun
        for name in self.agents:
            life = self.lives[name]
            if self.bus.alive(name):
                life.seen = True
                self._heed(name)
                continue
            if time.monotonic() < life.again:
                continue
            if life.seen or life.deaths or _fell(self.bus, name):
                self._died(name, life)
                if life.deaths >= FUSE:
                    continue
            life.again = time.monotonic() + max(2.0, 0.5 * 2**life.deaths)
            life.seen = False
            life.deaths += 1
            if start_daemon(self.bus, name, life_of):
                begun.append(name)
            self._heed(name)
        return begun

    def _heed(self, name: str) -> None:
        """Death is seen at once: a thread waits for the daemon's lock and rings."""
        if self.ring is not _nobody and name not in self._heeded:
            self._heeded.add(name)
            threading.Thread(target=self._until_dead, args=(name,), daemon=True).start()

    def _until_dead(self, name: str) -> None:
        until_free(self.bus.here(f"agents/{name}.lock"))
        self._heeded.discard(name)
        self.ring()

    def _died(self, name: str, life: Life) -> None:
        made = _work(self.bus, name)
        if made != life.files:
            life.deaths, life.files = 0, made
        self.bus.event("died", name, deaths=life.deaths)
        if life.deaths >= FUSE:
            life.again = float("inf")
            self.bus.trouble(
                f"fuse-{name}",
                f"bus/agents/{name}.log",
                f"{name} died {life.deaths} times without posting anything; it is not started again",
                "read the end of its log, mend what it says, and type make again",
                str(made),
            )

    def fine(self, name: str) -> None:
        """A life that posted something is not counted as a death."""
        if name in self.lives and self.lives[name].files != (
            made := _work(self.bus, name)
        ):
            self.lives[name].deaths, self.lives[name].files = 0, made


def _fell(bus: Bus, name: str) -> bool:
    """Whether its last daemon died: one that leaves writes pid 0 into its lock file."""
    try:
        with open(
            bus.here(f"agents/{name}.lock"), encoding="utf-8", errors="replace"
        ) as file:
            return re.search(r"^pid: [1-9]", file.read(), re.MULTILINE) is not None
    except OSError:
        return False


def _work(bus: Bus, name: str) -> int:
    """How many calls came back: one that never does is no work, however often it is made."""
    return sum(entry.endswith(".answer.yaml") for entry in bus.names(f"runs/{name}"))


def start_daemon(bus: Bus, name: str, life_of: Daemon | None = None) -> bool:
    """Start the daemon of `name`; False when one lives already.

    It is born with its lock held: it counts as alive from its first moment, and nobody can start a second one. It also
    learns which goal it is for, so that it leaves when that is gone before its first look.
    """
    path = bus.here(f"agents/{name}.lock")
    lock = take_lock(path, wait=False)
    if lock is None:
        return False
    told = {"CATHERD_LOCK": str(lock), "CATHERD_GOAL": bus.goal()}
    try:
        with open(_log(bus, name), "ab") as out:
            words = bus.root, _file(bus, name), told, lock, out.fileno()
            pid = _fork(life_of, *words) if life_of else _spawn(*words)
        write_holder(lock, f"agents/{name}.lock", pid)
    finally:
        os.close(lock)
    return True


def _spawn(root: str, file: str, told: dict[str, str], lock: int, out: int) -> int:
    words = [
        sys.executable,
        "-P",
        "-m",
        "catherd.herd",
        file,
    ]  # -P: nothing in the repo shadows a module
    return subprocess.Popen(
        words,
        cwd=root,
        env={**os.environ, **told},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        start_new_session=True,
        pass_fds=(lock,),
    ).pid


def _fork(
    life_of: Daemon, root: str, file: str, told: dict[str, str], lock: int, out: int
) -> int:
    """Four Pythons that start at once need half a second of CPU to import the same modules; four forks of one that has them do not."""
    import jinja2  # noqa: F401 - what a daemon imports for its first prompt

    os.environ["SPT_NOENV"] = (
        "1"  # else the title is written over /proc/PID/environ, where cast looks for its keys
    )
    import setproctitle

    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 3
    try:
        os.setsid()
        os.chdir(root)
        setproctitle.setproctitle(f"catherd agent {file}")
        with open(os.devnull, "rb") as nothing:
            for target, source in enumerate((nothing.fileno(), out, out)):
                os.dup2(source, target)
        os.closerange(3, lock)
        os.closerange(lock + 1, os.sysconf("SC_OPEN_MAX"))
        os.environ.update(told)
        code = life_of(root, file)
    finally:
        os._exit(code)  # nothing of what the parent had under way is done twice


def _log(bus: Bus, name: str) -> str:
    log = bus.here(f"agents/{name}.log")
    if os.path.exists(log) and os.path.getsize(log) > LOG_BYTES:
        os.replace(log, f"{log}.1")
    return log


def _file(bus: Bus, name: str) -> str:
    paths = (f"agents/{name}.yaml", f"agents/{name}.yml")
    return next(
        (path for path in paths if os.path.exists(os.path.join(bus.root, path))), ""
    )


def _nobody() -> None:
    """Nobody waits to hear of a death."""


def pid_of(bus: Bus, name: str) -> int | None:
    """The pid of a living daemon, None when nobody holds its lock or the pid is another process by now."""
    path = bus.here(f"agents/{name}.lock")
    if not is_held(path):
        return None
    try:
        data = yaml_read.read_yaml(path).data
        pid, start_time = int(data["pid"]), str(data["start"])
    except (OSError, CatherdError, KeyError, TypeError, ValueError):
        return None
    return pid if started(pid) == start_time else None


def living(bus: Bus) -> dict[str, int]:
    """Agent → pid of every daemon that lives."""
    locks = [
        name.removesuffix(".lock")
        for name in bus.names("agents")
        if name.endswith(".lock")
    ]
    return {name: pid for name in locks if (pid := pid_of(bus, name)) is not None}


def stop_daemons(
    bus: Bus, patience: float = 3.0, only: Collection[str] | None = None
) -> list[str]:
    """Stop every daemon, or those named: SIGTERM, and SIGKILL for one that does not go within `patience` seconds. The names stopped."""
    told = {
        name: pid for name, pid in living(bus).items() if only is None or name in only
    }
    for pid in told.values():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + patience
    for name, pid in told.items():
        while (
            pid_of(bus, name) == pid and time.monotonic() < until
        ):  # another may be started in its place meanwhile
            time.sleep(0.02)
        if pid_of(bus, name) == pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return list(told)

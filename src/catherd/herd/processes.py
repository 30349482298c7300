"""The herd: one daemon for each `agents/*.yaml`.

A daemon has its own session, no inherited descriptor, and a log that rotates. The lock
that it holds says that it lives, never a pid. The crank looks after the herd while it
waits at a gate. It starts a dead daemon again with a growing pause. After three deaths
without a new answer in its journal between them the fuse of the daemon is blown until
somebody types make again.
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
    """What the crank remembers of one daemon.

    `deaths` are those in a row without a new answer, `again` is when it may be started
    again. `files` counts its answers, `seen` says that it was alive.
    """

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
        # The goal that was typed, though it may be cleared already.
        self.goal = bus.goal() or os.environ.get("CATHERD_GOAL", "")
        # Called, from another thread, as soon as a daemon dies.
        self.ring: Callable[[], None] = _nobody
        self._heeded: set[str] = set()

    def look(self, life_of: Daemon | None = None) -> list[str]:
        """Start each daemon that is not alive and may be; the names that were started.

        None is started once the goal that was on is cleared. With `life_of`
        (catherd.herd.daemon.main) a daemon is a fork of this process, which must have
        one thread only.
        """
        if (self.goal and not self.bus.goal()) or not whole(self.bus.path):
            return []
        begun = []
        for name in self.agents:
            if self.bus.alive(name):
                self.lives[name].seen = True
                self._heed(name)
            elif self._may_start(name):
                if start_daemon(self.bus, name, life_of):
                    begun.append(name)

                self._heed(name)

        return begun

    def _may_start(self, name: str) -> bool:
        """Whether a daemon that is not alive may be started now.

        Then its next life is counted.
        """
        life = self.lives[name]
        if time.monotonic() < life.again:
            return False
        if life.seen or life.deaths or _fell(self.bus, name):
            self._died(name, life)
            if life.deaths >= FUSE:
                return False

        life.again = time.monotonic() + max(2.0, 0.5 * 2**life.deaths)
        life.seen = False
        life.deaths += 1
        return True

    def _heed(self, name: str) -> None:
        """See death at once: a thread waits for the daemon's lock and rings."""
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
        """Count no death of a daemon that posted something."""
        life = self.lives.get(name)
        if life is None:
            return
        made = _work(self.bus, name)
        if life.files != made:
            life.deaths, life.files = 0, made


def _fell(bus: Bus, name: str) -> bool:
    """Whether its last daemon died. One that leaves writes pid 0 into its lock file."""
    path = bus.here(f"agents/{name}.lock")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return re.search(r"^pid: [1-9]", file.read(), re.MULTILINE) is not None
    except OSError:
        return False


def _work(bus: Bus, name: str) -> int:
    """How many calls came back.

    One that never does is no work, however often it is made.
    """
    return sum(entry.endswith(".answer.yaml") for entry in bus.names(f"runs/{name}"))


def start_daemon(bus: Bus, name: str, life_of: Daemon | None = None) -> bool:
    """Start the daemon of `name`; False when one lives already.

    It is born with its lock held: it counts as alive from its first moment, and nobody
    can start a second one. It also learns which goal it is for, so that it leaves when
    that is gone before its first look.
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
    # -P: nothing in the repository shadows a module.
    words = [sys.executable, "-P", "-m", "catherd.herd", file]
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
    """Start a daemon as a fork, which has the modules already.

    Four Pythons that start at once need half a second of CPU to import the same ones.
    """
    import jinja2  # noqa: F401 - what a daemon imports for its first prompt

    # Else the title is written over /proc/PID/environ, where `cast` looks for the keys.
    os.environ["SPT_NOENV"] = "1"
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
    """The path of its YAML, from the root; "" where it has none."""
    for path in (f"agents/{name}.yaml", f"agents/{name}.yml"):
        if os.path.exists(os.path.join(bus.root, path)):
            return path
    return ""


def _nobody() -> None:
    """Nobody waits to hear of a death."""


def pid_of(bus: Bus, name: str) -> int | None:
    """The pid of a living daemon, None when nobody holds its lock or the pid is another
    process by now.
    """
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
    files = [name for name in bus.names("agents") if name.endswith(".lock")]
    pids = {}
    for name in [file.removesuffix(".lock") for file in files]:
        pid = pid_of(bus, name)
        if pid is not None:
            pids[name] = pid

    return pids


def stop_daemons(
    bus: Bus, patience: float = 3.0, only: Collection[str] | None = None
) -> list[str]:
    """Stop every daemon, or `only` those named; the names that were stopped.

    Each gets SIGTERM, and SIGKILL when it does not go within `patience` seconds.
    """
    alive = living(bus)
    chosen = alive.keys() if only is None else alive.keys() & set(only)
    told = {name: pid for name, pid in alive.items() if name in chosen}
    for pid in told.values():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    until = time.monotonic() + patience
    for name, pid in told.items():
        # Another may be started in its place meanwhile: only this pid counts.
        while pid_of(bus, name) == pid and time.monotonic() < until:
            time.sleep(0.02)

        if pid_of(bus, name) == pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    return list(told)

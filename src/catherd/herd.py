"""The herd: one daemon per `agents/*.yaml`, in its own session, with no inherited descriptor and a log that rotates.

Liveness is the lock that each daemon holds, never a pid. The crank looks after the herd while it waits at a gate: a dead
daemon is started again with a growing pause, and after three deaths without a new file on the bus between them its fuse is
blown until somebody types make again.
"""

import os
import signal
import subprocess
import sys
import time

import msgspec

from catherd import yamldoor
from catherd.bus import Bus
from catherd.config import Agent
from catherd.errors import CatherdError
from catherd.files import is_held, started

LOG_BYTES = 1 << 20
FUSE = 3


class Life(msgspec.Struct):
    """What the crank remembers of one daemon: deaths in a row without a new file, and when it may be started again."""

    deaths: int = 0
    again: float = 0.0
    files: int = -1
    seen: bool = False


class Herd:
    """Keeps the daemons of `agents` alive. `look` is called whenever somebody waits."""

    def __init__(self, bus: Bus, agents: dict[str, Agent]) -> None:
        self.bus = bus
        self.agents = {name: agent for name, agent in agents.items() if agent.runs == "here"}
        self.lives: dict[str, Life] = {name: Life() for name in self.agents}

    def look(self) -> list[str]:
        """Start who is not alive and may be; the names that were started."""
        begun = []
        for name in self.agents:
            life = self.lives[name]
            if self.bus.alive(name):
                life.seen = True
                continue
            if time.monotonic() < life.again:
                continue
            if life.seen or life.deaths:
                self._died(name, life)
                if life.deaths >= FUSE:
                    continue
            life.again = time.monotonic() + max(2.0, 0.5 * 2**life.deaths)
            life.seen = False
            life.deaths += 1
            start(self.bus, name)
            begun.append(name)
        return begun

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
        if name in self.lives and self.lives[name].files != (made := _work(self.bus, name)):
            self.lives[name].deaths, self.lives[name].files = 0, made


def _work(bus: Bus, name: str) -> int:
    return len(bus.names(f"runs/{name}"))


def start(bus: Bus, name: str) -> None:
    """Start the daemon of `name`; it takes its own lock, so a second one ends by itself."""
    os.makedirs(bus.here("agents"), exist_ok=True)
    log = bus.here(f"agents/{name}.log")
    if os.path.exists(log) and os.path.getsize(log) > LOG_BYTES:
        os.replace(log, f"{log}.1")
    file = next(
        (f for f in (f"agents/{name}.yaml", f"agents/{name}.yml") if os.path.exists(os.path.join(bus.root, f))), ""
    )
    with open(log, "ab") as out:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "catherd", "agent", file],  # -P: nothing in the repository shadows a module
            cwd=bus.root,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def pid_of(bus: Bus, name: str) -> int | None:
    """The pid of a living daemon, None when nobody holds its lock or the pid is another process by now."""
    path = bus.here(f"agents/{name}.lock")
    if not is_held(path):
        return None
    try:
        data = yamldoor.read(path).data
        pid, start_time = int(data["pid"]), str(data["start"])
    except (OSError, CatherdError, KeyError, TypeError, ValueError):
        return None
    return pid if started(pid) == start_time else None


def down(bus: Bus, patience: float = 3.0) -> list[str]:
    """Stop every daemon: SIGTERM, and SIGKILL for one that does not go within `patience` seconds. The names stopped."""
    locks = [name.removesuffix(".lock") for name in bus.names("agents") if name.endswith(".lock")]
    living = {name: pid_of(bus, name) for name in locks}
    stopped = []
    for name, pid in living.items():
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            stopped.append(name)
    until = time.monotonic() + patience
    for name in stopped:
        while bus.alive(name) and time.monotonic() < until:
            time.sleep(0.02)
        pid = pid_of(bus, name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
    return stopped

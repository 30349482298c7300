"""How large things may get: one file of a pull request, an agent's worktree, the bus. From the phase file, shown in status."""

import os
import stat

import msgspec

from catherd.bus import Bus
from catherd.config import Phase
from catherd.treescan import walk

MB = 1_000_000
DEFAULT = {"artifact": 1.0, "worktree": 400.0, "bus": 500.0}


class Caps(msgspec.Struct, frozen=True):
    """In megabytes: `options: {caps: {artifact: 1, worktree: 400, bus: 500}}` of a phase file."""

    artifact: float
    worktree: float
    bus: float


def caps(phase: Phase) -> Caps:
    """The caps of a phase; what it does not say, or says as no number, is the default."""
    told = phase.options.get("caps") or {}
    told = told if isinstance(told, dict) else {}
    return Caps(**{k: float(told[k]) if isinstance(told.get(k), int | float) else d for k, d in DEFAULT.items()})


def used(path: str) -> float:
    """Megabytes of the files below `path`, links not followed."""
    return sum(seen.st_size for _, seen in walk(path, 40) if stat.S_ISREG(seen.st_mode)) / MB


def table(bus: Bus, names: list[str]) -> dict[str, float]:
    """What the bus and each agent's worktree take, in megabytes, those that are there."""
    found = {"bus": used(bus.path)}
    for name in names:
        path = os.path.join(bus.root, "worktrees", name)
        if os.path.isdir(path):
            found[f"worktrees/{name}"] = used(path)
    return found


def line(bus: Bus, phase: Phase, names: list[str]) -> str:
    """The line for status: what is used of what is allowed."""
    cap, there = caps(phase), table(bus, names)
    mb = there.pop("bus")
    trees = f", the largest worktree {max(there.values()):.0f} of {cap.worktree:g} MB" if there else ""
    return f"disk: bus {mb:.0f} of {cap.bus:g} MB{trees}, a file at most {cap.artifact:g} MB"


def watch(bus: Bus, phase: Phase, names: list[str]) -> None:
    """Tell of what has grown over its cap; nothing is removed."""
    cap = caps(phase)
    for what, mb in table(bus, names).items():
        trouble = f"large-{what.replace('/', '-')}"
        if mb <= _of(cap, what):
            bus.solved(trouble)
            continue
        fix = "make tidy" if what == "bus" else f"see what is large: du -a {what} | sort -n | tail"
        said = f"is over its cap of {_of(cap, what):g} MB"
        bus.trouble(trouble, f"{what}/", said, f"{fix}; or raise caps in phases/{phase.name}.yaml")


def _of(cap: Caps, what: str) -> float:
    return cap.bus if what == "bus" else cap.worktree

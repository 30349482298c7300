"""How large things may get: one file of a pull request, an agent's worktree, the bus. From the phase file, shown in status.

A file that is too large goes back to its author, and so does a worktree that has grown
too large in a turn. A bus that is too large waits for you, and so does a worktree that
was too large before the turn.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from catherd.bus import config
from catherd.bus.config import Phase
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError, NeedsYou

MB = 1_000_000
EVERY = 60.0  # seconds between two looks at how large the bus is, while a gate waits
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
    return Caps(
        **{
            k: float(told[k]) if isinstance(told.get(k), int | float) else d
            for k, d in DEFAULT.items()
        }
    )


def caps_of(root: str, phase: str) -> Caps:
    """The caps of the phase of that name; of one that has no file, the default."""
    found = config.phases(root).get(phase)
    return caps(found) if found is not None else Caps(**DEFAULT)


def used(path: str) -> float:
    """Megabytes of the files below `path`, links not followed; what vanishes or is forbidden is passed over."""
    size, folders = 0, [path]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    with suppress(OSError):
                        size += entry.stat(follow_symlinks=False).st_size

    return size / MB


def size_table(bus: Bus, names: list[str]) -> dict[str, float]:
    """What the bus and each agent's worktree take, in megabytes, those that are there."""
    found = {"bus": used(bus.path)}
    for name in names:
        path = os.path.join(bus.root, "worktrees", name)
        if os.path.isdir(path):
            found[f"worktrees/{name}"] = used(path)

    return found


def usage_line(bus: Bus, phase: Phase, names: list[str]) -> str:
    """The line for status: what is used of what is allowed."""
    cap, there = caps(phase), size_table(bus, names)
    mb = there.pop("bus")
    trees = (
        f", the largest worktree {max(there.values()):.0f} of {cap.worktree:g} MB"
        if there
        else ""
    )
    return f"disk: bus {mb:.0f} of {cap.bus:g} MB{trees}, a file at most {cap.artifact:g} MB"


def hold_at_cap(bus: Bus, phase: Phase) -> None:
    """Raises NeedsYou when the bus is over its cap: then nothing more is asked, and nothing of it is lost."""
    cap, mb = caps(phase).bus, used(bus.path)
    if mb > cap:
        raise NeedsYou(
            f"is over its cap of {cap:g} MB",
            where="bus/",
            fix=f"make tidy; {_raised(phase.name, 'bus', mb)}",
        )


def scale(bus: Bus, phase: Phase) -> Callable[[], None]:
    """`hold_at_cap`, to be called as often as one likes: it looks at most once a minute."""
    last = [float("-inf")]

    def weigh() -> None:
        if time.monotonic() - last[0] > EVERY:
            hold_at_cap(bus, phase)
            last[0] = time.monotonic()

    return weigh


def fits(root: str, agent: str, phase: str) -> str:
    """Why an agent's worktree is too large for the phase; "" when it is not."""
    cap = caps_of(root, phase).worktree
    mb = used(os.path.join(root, "worktrees", agent))
    return f"{mb:.1f} MB; at most {cap:g}" if mb > cap else ""


def ready(root: str, agent: str, phase: str) -> None:
    """Raises CatherdError when a worktree that was just cleaned is over its cap: its agent can do nothing about that."""
    if why := fits(root, agent, phase):
        see = f"du -a worktrees/{agent} | sort -n | tail"
        fix = f"{see}; {_raised(phase, 'worktree', float(why.partition(' ')[0]))}"
        raise CatherdError(
            f"is over its cap before any work: {why}",
            where=f"worktrees/{agent}/",
            fix=fix,
        )


def _raised(phase: str, cap: str, mb: float) -> str:
    return f"or options: {{caps: {{{cap}: {max(1, round(2 * mb))}}}}} in phases/{phase}.yaml"

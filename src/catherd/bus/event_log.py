"""The log of what happened, made whole again: whatever stands on the bus has its line in `events/`.

A process that is killed between a post and its line leaves a file without one; one that is killed in a call leaves a call
without an answer, which nobody makes again when its turn is not needed any more. `settle` adds those lines; ids are stable, so
a line that is there twice is one event.
"""

import os
import re

from catherd.bus.store import Bus

# What is posted: a folder for each phase, and what is common to all; the rest is locks, logs, and files that tell of themselves.
POSTED = re.compile(r"(game\.yaml|.+/.+(?<!/evidence)\.yaml)\Z")
APART = {".tmp", "agents", "archive", "claims", "events", "problems"}
_CALL = re.compile(r"(runs/([^/]+)/.+\.\d+)\.yaml\Z")
_ID = re.compile(r'"id":"((?:[^"\\]|\\.)*)"')


def log_missing(bus: Bus) -> list[str]:
    """Log what was posted and is not logged; the paths. Costs a look at every file of the game: for `make` and landings."""
    known, posted = _logged(bus), _posted(bus.path)
    late = [path for path in posted if f"posted:{path}" not in known]
    for path in late:
        bus.event("posted", path)
    for call in _lost(bus, posted):
        if f"may-have-been-billed:{call}" not in known:
            bus.event("may-have-been-billed", call)
    return late


def _lost(bus: Bus, posted: list[str]) -> list[str]:
    """The calls without an answer, but for those that a daemon made that lives: it may be waiting for one."""
    there, lost = set(posted), list[str]()
    for path in posted:
        found = _CALL.match(path)
        if found and f"{found[1]}.answer.yaml" not in there:
            lock = f"agents/{found[2]}.lock"  # written when its daemon began
            if (
                not bus.alive(found[2])
                or os.stat(bus.here(path)).st_mtime < os.stat(bus.here(lock)).st_mtime
            ):
                lost.append(found[1])
    return lost


def _logged(bus: Bus) -> set[str]:
    known: set[str] = set()
    for name in bus.names("events"):
        with open(
            bus.here(f"events/{name}"), encoding="utf-8", errors="replace"
        ) as file:
            known.update(found[1] for line in file if (found := _ID.search(line)))
    return known


def _posted(top: str) -> list[str]:
    """Every posted file, sorted, relative to the bus."""
    found = []
    for folder, folders, names in os.walk(top):
        inside = os.path.relpath(folder, top)
        if inside == ".":
            folders[:] = [name for name in folders if name not in APART]
        paths = (os.path.normpath(os.path.join(inside, name)) for name in names)
        found += [
            path
            for path in paths
            if POSTED.match(path) and not os.path.basename(path).startswith(".")
        ]
    return sorted(found)

"""The log of what happened, made whole again: whatever stands on the bus has its line in `events/`.

A process that is killed between a post and its line leaves a file without one. One that
is killed in a call leaves a call without an answer, which nobody makes again when its
turn is not needed any more. `log_missing` adds those lines. Ids are stable, so a line
that is there twice is one event.
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
    """Log what was posted and is not logged; the paths.

    It looks at every file of the game, so it is for `make` and for landings.
    """
    known = _logged(bus)
    posted = _posted(bus.path)

    late = [path for path in posted if f"posted:{path}" not in known]
    for path in late:
        bus.event("posted", path)

    for call in _lost(bus, posted):
        if f"may-have-been-billed:{call}" not in known:
            bus.event("may-have-been-billed", call)
    return late


def _lost(bus: Bus, posted: list[str]) -> list[str]:
    """The calls without an answer that nobody waits for."""
    there = set(posted)
    lost = []
    for path in posted:
        found = _CALL.match(path)
        if found is None:
            continue
        call, agent = found.groups()
        is_answered = f"{call}.answer.yaml" in there
        if not is_answered and not _is_awaited(bus, path, agent):
            lost.append(call)
    return lost


def _is_awaited(bus: Bus, path: str, agent: str) -> bool:
    """Whether the agent's daemon lives and has made the call at `path` itself."""
    if not bus.alive(agent):
        return False
    made = os.stat(bus.here(path)).st_mtime
    began = os.stat(bus.here(f"agents/{agent}.lock")).st_mtime
    return made >= began


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

        for name in names:
            path = os.path.normpath(os.path.join(inside, name))
            if POSTED.match(path) and not name.startswith("."):
                found.append(path)

    return sorted(found)

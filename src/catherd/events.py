"""The log of what happened, made whole again: whatever stands on the bus has its line in `events/`.

A process that is killed between a post and its line leaves a file without one. `settle` adds those lines; ids are stable,
so a line that is there twice is one event.
"""

import os
import re

from catherd.bus import Bus

# What is posted, by its first name below bus/; the rest is locks, logs, and files that tell of themselves.
POSTED = re.compile(r"(game\.yaml|(chat|ci|debate|gates|plan|prs|runs|tasks)/.+\.yaml)\Z")
_ID = re.compile(r'"id":"((?:[^"\\]|\\.)*)"')


def settle(bus: Bus) -> list[str]:
    """Log what was posted and is not logged; the paths. Costs a look at every file of the game: for `make` and landings."""
    known = _logged(bus)
    late = [path for path in _posted(bus.path) if f"posted:{path}" not in known]
    for path in late:
        bus.event("posted", path)
    return late


def _logged(bus: Bus) -> set[str]:
    known: set[str] = set()
    for name in bus.names("events"):
        with open(bus.here(f"events/{name}"), encoding="utf-8", errors="replace") as file:
            known.update(found[1] for line in file if (found := _ID.search(line)))
    return known


def _posted(top: str) -> list[str]:
    """Every posted file, sorted, relative to the bus."""
    found = []
    for folder, folders, names in os.walk(top):
        inside = os.path.relpath(folder, top)
        if inside == ".":
            folders[:] = [name for name in folders if name not in {".tmp", "agents", "archive", "claims", "events"}]
        paths = (os.path.normpath(os.path.join(inside, name)) for name in names)
        found += [path for path in paths if POSTED.match(path) and not os.path.basename(path).startswith(".")]
    return sorted(found)

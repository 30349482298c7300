"""What a pull request may not take back: the tests of tasks that are merged, the journeys of milestones that are proved."""

import re
from typing import Any

from catherd.app.manifest_file import NAME
from catherd.bus import yaml_read
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.git import objects
from catherd.git.checkouts import ABSENT, tree_changes
from catherd.pulls.board import Desk
from catherd.pulls.task_check import judges, leads

_WORDS = ("title", "by")  # of a journey: they prove nothing


def weakened(bus: Bus, desk: Desk, task: str, main: str, tree: str) -> list[str]:
    """What of the judges of earlier work the merge result `tree` has otherwise than `main`, a line each. New ones are free."""
    changed = tree_changes(bus.root, main, tree)
    touched = {
        path: change.old_mode == ABSENT
        for path, change in changed.items()
        if path != NAME
    }
    return _tests(bus, desk, task, main, tree, touched) + (
        _journeys(bus.root, main, tree) if NAME in changed else []
    )


def _tests(
    bus: Bus, desk: Desk, task: str, main: str, tree: str, touched: dict[str, bool]
) -> list[str]:
    """`touched`: path → whether it is new."""
    if not touched:
        return []
    there = sorted(objects.list_tree(bus.root, main, "app"))
    ran = {
        path
        for path, new in touched.items()
        if new and (objects.read_blob(bus.root, tree, path) or b"").strip()
    }
    judged: dict[str, list[str]] = {}
    for name in (file.removesuffix(".yaml") for file in bus.names("tasks")):
        earlier = (
            desk.task(name)
            if name != task and bus.there(f"claims/done/{name}.lock")
            else None
        )
        kept = (
            judges(earlier.accept, there)
            if earlier is not None and earlier.accept
            else []
        )
        for path, new in touched.items():
            if (path in ran and leads(path, kept)) or (not new and path in kept):
                judged.setdefault(path, []).append(name)
    return [
        f"{path} would run before the tests of {', '.join(names)}, merged before: leave it out, or empty"
        if touched[path]
        else f"{path} judges {', '.join(names)}, merged before: leave it as it is on main and put new tests into a file of their own"
        for path, names in sorted(judged.items())
    ]


def _journeys(root: str, main: str, tree: str) -> list[str]:
    before, after = _manifest(root, main), _manifest(root, tree)
    proved = _proved(root, main)
    old, new = _by_id(before), _by_id(after)
    found = [
        f"{NAME}: {name} is a journey of {proved[name]}, which is proved: leave it as it is on main and show new things in journeys of their own"
        for name in sorted(old.keys() & proved.keys())
        if new.get(name) != old[name]
    ]
    if proved and before.get("persistence") is True is not after.get("persistence"):
        found.append(
            f"{NAME}: persistence is claimed by what is proved: leave it as it is on main"
        )
    return found


def _manifest(root: str, tree: str) -> dict[str, Any]:
    text = (objects.read_blob(root, tree, NAME) or b"").decode("utf-8", "replace")
    try:
        data = yaml_read.loads(text, NAME).data
    except CatherdError:
        return {}
    return data if isinstance(data, dict) else {}


def _by_id(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    listed = manifest.get("journeys")
    plain = (
        [one for one in listed if isinstance(one, dict)]
        if isinstance(listed, list)
        else []
    )
    return {
        str(one.get("id")): {
            key: what for key, what in one.items() if key not in _WORDS
        }
        for one in plain
    }


def _proved(root: str, main: str) -> dict[str, str]:
    """Journey → the first milestone that main has proved with it."""
    found: dict[str, str] = {}
    for path in sorted(objects.list_tree(root, main, "docs/milestones")):
        if milestone := re.fullmatch(r"docs/milestones/([\w-]+)/evidence\.yaml", path):
            data = yaml_read.loads(
                (objects.read_blob(root, main, path) or b"").decode("utf-8", "replace"),
                path,
            ).data
            for one in data.get("journeys", []) if isinstance(data, dict) else []:
                found.setdefault(str(one.get("id")), milestone[1])
    return found

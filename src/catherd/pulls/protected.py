"""What a pull request may only do with your approval.

That is to take back a test of a task that is merged or a journey of a milestone that is
proved, to change the gate's files outside the task that makes them, and to bring a
dependency.
"""

import re
from typing import Any

from catherd.app.manifest_file import NAME
from catherd.bus import yaml_read
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.tasks import Task, View
from catherd.git import objects
from catherd.git.checkouts import ABSENT, tree_changes
from catherd.pulls.board import Desk
from catherd.pulls.task_check import GATE_FILES, brings, judges, leads

# Keys of a journey that prove nothing.
_WORDS = ("title", "by")


def needs_approval(
    bus: Bus, desk: Desk, view: View, task: Task, main: str, tree: str
) -> list[str]:
    """What of the merge result `tree` needs your approval, one line each."""
    if task.kind != "build":
        return []
    changed = set(tree_changes(bus.root, main, tree))
    yes = f"needs your approval (make approve N={int(view.name[3:])})"
    judging = sorted(changed & GATE_FILES - set(task.artifacts))
    taken_back = weakened(bus, desk, view.pr.task, main, tree)
    return [
        *(f"{path} judges other work; to change it here {yes}" for path in judging),
        *(f"{what}; that {yes}" for what in taken_back),
        *(f"{path} brings a dependency; that {yes}" for path in brings(changed)),
    ]


def weakened(bus: Bus, desk: Desk, task: str, main: str, tree: str) -> list[str]:
    """What of the judges of earlier work is otherwise in `tree` than on `main`, one
    line each.

    New tests and new journeys are free.
    """
    changed = tree_changes(bus.root, main, tree)
    touched = {}
    for path, change in changed.items():
        if path != NAME:
            touched[path] = change.old_mode == ABSENT

    found = []
    if touched:
        kept = _judges_of_merged(bus, desk, task, main)
        found += _tests(bus.root, tree, kept, touched)

    if NAME in changed:
        found += _journeys(bus.root, main, tree)

    return found


def _judges_of_merged(
    bus: Bus, desk: Desk, task: str, main: str
) -> dict[str, list[str]]:
    """Each merged task but `task` that has an accept → the files on main that judge it."""
    there = sorted(objects.list_tree(bus.root, main, "app"))
    kept = {}
    for file in bus.names("tasks"):
        name = file.removesuffix(".yaml")
        if name == task or not bus.there(f"claims/done/{name}.lock"):
            continue
        earlier = desk.task(name)
        if earlier is not None and earlier.accept:
            kept[name] = judges(earlier.accept, there)

    return kept


def _tests(
    root: str, tree: str, kept: dict[str, list[str]], touched: dict[str, bool]
) -> list[str]:
    """The touched files that judge a merged task, or would run before its tests.

    `kept`: task → its judges. `touched`: path → whether it is new.
    """
    found = []
    for path, new in sorted(touched.items()):
        if new:
            names = [name for name in kept if leads(path, kept[name])]
            if names and _has_text(root, tree, path):
                found.append(
                    f"{path} would run before the tests of {', '.join(names)}, merged before: leave it out, or empty"
                )

            continue

        names = [name for name in kept if path in kept[name]]
        if names:
            found.append(
                f"{path} judges {', '.join(names)}, merged before: leave it as it is on main and put new tests into a file of their own"
            )

    return found


def _has_text(root: str, tree: str, path: str) -> bool:
    return bool((objects.read_blob(root, tree, path) or b"").strip())


def _journeys(root: str, main: str, tree: str) -> list[str]:
    """The proved journeys that are otherwise in `tree`, and a claim to persistence
    taken back.
    """
    before, after = _manifest(root, main), _manifest(root, tree)
    proved = _proved(root, main)
    old, new = _by_id(before), _by_id(after)
    changed = [name for name in sorted(old) if new.get(name) != old[name]]
    found = [
        f"{NAME}: {name} is a journey of {proved[name]}, which is proved: leave it as it is on main and show new things in journeys of their own"
        for name in changed
        if name in proved
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
    """Journey id → the journey, without the keys that prove nothing."""
    listed = manifest.get("journeys")
    if not isinstance(listed, list):
        return {}
    found = {}
    for one in listed:
        if isinstance(one, dict):
            told = {key: what for key, what in one.items() if key not in _WORDS}
            found[str(one.get("id"))] = told

    return found


def _proved(root: str, main: str) -> dict[str, str]:
    """Journey → the first milestone that main has proved with it."""
    found: dict[str, str] = {}
    for path in sorted(objects.list_tree(root, main, "docs/milestones")):
        milestone = re.fullmatch(r"docs/milestones/([\w-]+)/evidence\.yaml", path)
        if milestone is None:
            continue
        text = (objects.read_blob(root, main, path) or b"").decode("utf-8", "replace")
        data = yaml_read.loads(text, path).data
        journeys = data.get("journeys", []) if isinstance(data, dict) else []
        for one in journeys:
            found.setdefault(str(one.get("id")), milestone[1])

    return found

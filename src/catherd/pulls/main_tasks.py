"""The tasks of a phase as main's `docs/tasks/` has them, and how often each agent's
first head was passed.
"""

import re
from typing import Any

from catherd.bus import yaml_read, yaml_write
from catherd.bus.config import Phase
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.tasks import Head, Pr, Review, Task, cycle
from catherd.git import objects


def tasks_of(bus: Bus, phase: Phase, main: str) -> dict[str, Task]:
    """The tasks of a phase: those in its phase file, or those of its milestone on main.

    Raises CatherdError when there are none, or when they need each other in a circle.
    """
    if "tasks" in phase.options:
        where = f"phases/{phase.name}.yaml"
        return _sound(_of_phase_file(phase, where), where)

    milestone = phase.options.get("milestone", phase.name)
    tier = str(phase.options.get("sandbox", "bwrap"))
    found = {}
    for name, path in _task_files(bus.root, main):
        blob = objects.read_blob(bus.root, main, path) or b""
        data = yaml_read.loads(blob.decode("utf-8", "replace"), path).data
        if isinstance(data, dict) and data.get("milestone") == milestone:
            found[name] = _build(data, milestone, tier)

    if not found:
        raise CatherdError(
            f"no task of the milestone {milestone} is on main",
            where="docs/tasks/",
            fix="make plan writes them",
        )
    return _sound(found, "docs/tasks/")


def _of_phase_file(phase: Phase, where: str) -> dict[str, Task]:
    found = {}
    for name, data in phase.options["tasks"].items():
        text = yaml_write.dumps({"kind": "design", **data})
        found[name] = yaml_read.typed(yaml_read.loads(text, where), Task)
    return found


def _task_files(root: str, main: str) -> list[tuple[str, str]]:
    """(id, path) of each task in main's `docs/tasks/`.

    A file with another name is no artifact, as the checks say. An id stands in prompts
    where no text by others may stand.
    """
    found = []
    for path in sorted(objects.list_tree(root, main, "docs/tasks")):
        name = re.fullmatch(r"docs/tasks/(T-\d{3,})\.yaml", path)
        if name is not None:
            found.append((name[1], path))

    return found


def _build(data: dict[str, Any], milestone: str, tier: str) -> Task:
    """The task that a file of `docs/tasks/` describes.

    `tier`: the lowest sandbox for its accept.
    """
    accept = data.get("accept") or {}
    run, seconds = accept, 60
    if isinstance(accept, dict):
        run = accept.get("run", [])
        seconds = accept.get("timeout_s", 60)

    return Task(
        kind="build",
        title=str(data.get("title", "")),
        milestone=milestone,
        needs=_words(data, "needs"),
        paths=["app/"],
        artifacts=_words(data, "artifacts"),
        accept=[str(word) for word in run] if isinstance(run, list) else [],
        accept_s=float(seconds),
        sandbox=tier,
        stories=_words(data, "stories"),
        steps=_words(data, "steps"),
        skills=_words(data, "skills"),
    )


def _words(data: dict[str, Any], key: str) -> list[str]:
    return [str(word) for word in data.get(key) or []]


def _sound(tasks: dict[str, Task], where: str) -> dict[str, Task]:
    """The same tasks. Raises CatherdError when they need each other in a circle."""
    circle = cycle(tasks)
    if circle:
        raise CatherdError(
            f"the tasks need each other in a circle: {' → '.join(circle)}",
            where=where,
            fix=f"take one of the needs of {circle[0]} away",
        )
    return tasks


def rates(bus: Bus) -> dict[str, tuple[int, int]]:
    """Agent → (how many of its pull requests passed at first sight, how many were
    read).

    One passed when no other agent asked to change its first head. Only those are
    counted whose first head another agent reviewed.
    """
    found: dict[str, tuple[int, int]] = {}
    for name in bus.names("prs"):
        try:
            pr = bus.get(f"prs/{name}/pr.yaml", Pr)
            verdicts = _first_verdicts(bus, name, pr.author) if pr is not None else []
        except CatherdError:
            continue  # the readers of PRs report it

        if pr is not None and verdicts:
            passed, of = found.get(pr.author, (0, 0))
            good = all(word == "approve" for word in verdicts)
            found[pr.author] = (passed + good, of + 1)

    return found


def _first_verdicts(bus: Bus, pr: str, author: str) -> list[str]:
    """What other agents said of the first head.

    Raises CatherdError for a file that cannot be read.
    """
    first = bus.get(f"prs/{pr}/head-1.yaml", Head)
    if first is None:
        return []
    verdicts: list[str] = []
    for file in bus.names(f"prs/{pr}/reviews"):
        seen, _, rest = file.partition(".")
        who = rest.partition(".")[0]
        if seen != first.head[:12] or who in {"human", author}:
            continue
        review = bus.get(f"prs/{pr}/reviews/{file}", Review)
        if review is not None and review.head == first.head:
            verdicts.append(review.verdict)

    return verdicts

"""The tasks of a phase as main's `docs/tasks/` has them, and how often each agent's first head was passed."""

import re
from typing import Any

from catherd.bus import yaml_read, yaml_write
from catherd.bus.config import Phase
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.tasks import Head, Pr, Review, Task, cycle
from catherd.git import objects


def tasks_of(bus: Bus, phase: Phase, main: str) -> dict[str, Task]:
    """The tasks of a phase: those that its phase file lists, or those of its milestone in main's `docs/tasks/`."""
    where = f"phases/{phase.name}.yaml"
    if "tasks" in phase.options:
        found = {}
        for name, data in phase.options["tasks"].items():
            found[name] = yaml_read.typed(
                yaml_read.loads(yaml_write.dumps({"kind": "design", **data}), where),
                Task,
            )
        return _sound(found, where)
    milestone = phase.options.get("milestone", phase.name)
    found = {}
    for path in sorted(objects.list_tree(bus.root, main, "docs/tasks")):
        if not (name := re.fullmatch(r"docs/tasks/(T-\d{3,})\.yaml", path)):
            continue  # no artifact's name, as the checks say; and an id stands in prompts where no text by others may
        text = (objects.read_blob(bus.root, main, path) or b"").decode(
            "utf-8", "replace"
        )
        data = yaml_read.loads(text, path).data
        if isinstance(data, dict) and data.get("milestone") == milestone:
            found[name[1]] = _build(
                data, milestone, str(phase.options.get("sandbox", "bwrap"))
            )
    if not found:
        raise CatherdError(
            f"no task of the milestone {milestone} is on main",
            where="docs/tasks/",
            fix="make plan writes them",
        )
    return _sound(found, "docs/tasks/")


def _build(data: dict[str, Any], milestone: str, tier: str) -> Task:
    accept = data.get("accept") or {}
    run = accept.get("run", []) if isinstance(accept, dict) else accept
    seconds = accept.get("timeout_s", 60) if isinstance(accept, dict) else 60
    words = {
        k: [str(w) for w in data.get(k) or []]
        for k in ("needs", "artifacts", "stories", "steps", "skills")
    }
    return Task(
        kind="build",
        title=str(data.get("title", "")),
        milestone=milestone,
        needs=words["needs"],
        paths=["app/"],
        artifacts=words["artifacts"],
        accept=[str(w) for w in run] if isinstance(run, list) else [],
        accept_s=float(seconds),
        sandbox=tier,
        stories=words["stories"],
        steps=words["steps"],
        skills=words["skills"],
    )


def _sound(tasks: dict[str, Task], where: str) -> dict[str, Task]:
    if round_trip := cycle(tasks):
        raise CatherdError(
            f"the tasks need each other in a circle: {' → '.join(round_trip)}",
            where=where,
            fix=f"take one of the needs of {round_trip[0]} away",
        )
    return tasks


def rates(bus: Bus) -> dict[str, tuple[int, int]]:
    """Agent → (pull requests whose first head no other agent asked to change, those whose first head one reviewed)."""
    found: dict[str, tuple[int, int]] = {}
    for name in bus.names("prs"):
        try:
            pr, head = (
                bus.get(f"prs/{name}/pr.yaml", Pr),
                bus.get(f"prs/{name}/head-1.yaml", Head),
            )
            first = f"{head.head[:12]}." if head is not None else "-"
            seen = [n for n in bus.names(f"prs/{name}/reviews") if n.startswith(first)]
            others = [
                n
                for n in seen
                if n.split(".")[1] not in {"human", pr.author if pr is not None else ""}
            ]
            read = [bus.get(f"prs/{name}/reviews/{n}", Review) for n in others]
            said = [
                one.verdict
                for one in read
                if one is not None and head is not None and one.head == head.head
            ]
        except CatherdError:
            continue  # reported by who reads PRs
        if pr is not None and said:
            passed, of = found.get(pr.author, (0, 0))
            found[pr.author] = (
                passed + all(word == "approve" for word in said),
                of + 1,
            )
    return found

"""What the roadmap asks of a milestone: when it may begin, when it is reached. Commands are run in the box, the rest is yours.

`docs/roadmap.yaml` in the tree that is judged says both; where there is none, or nothing for the milestone, nothing is asked.
"""

import os
import re
import shlex
from typing import Any

from catherd.app.evidence import Criterion, Evidence, judge_evidence
from catherd.box import box_trees, sandbox
from catherd.bus import yaml_read
from catherd.core.errors import CatherdError
from catherd.git import objects

ROADMAP = "docs/roadmap.yaml"
SECONDS = 300
_BEFORE = re.compile(
    r"\b(poc|mvp|vertical[ -]slice|alpha|beta|release)\b.*\b(delivered|proved)\b",
    re.IGNORECASE,
)


def asked(tree: str, milestone: str) -> dict[str, Any]:
    """The milestone's entry in the roadmap of `tree`; empty when there is none. Raises CatherdError where it does not parse."""
    path = os.path.join(tree, ROADMAP)
    if not os.path.isfile(path):
        return {}
    data = yaml_read.read_yaml(path, ROADMAP).data
    entry = (
        (data.get("milestones") or {}).get(milestone)
        if isinstance(data, dict)
        else None
    )
    return entry if isinstance(entry, dict) else {}


def judge_criteria(
    evidence: Evidence, tree: str, milestone: str, minimum: str
) -> Evidence:
    """The evidence with the milestone's goal and criteria in it; a command that fails is a reason against it."""
    try:
        roadmap = asked(tree, milestone)
    except CatherdError as error:
        return judge_evidence(evidence, [*evidence.reasons, str(error)], [])
    evidence.goal, evidence.demo = (
        " ".join(str(roadmap.get(key, "")).split()) for key in ("goal", "demo")
    )
    evidence.entry = _entry(roadmap, tree)
    evidence.exits = [
        _seen(one, tree, minimum)
        for one in roadmap.get("exit") or []
        if isinstance(one, dict)
    ]
    wrong = {
        verdict: [_told(one) for one in evidence.exits if one.verdict == verdict]
        for verdict in ("fail", "unknown")
    }
    if wrong["fail"]:
        return judge_evidence(evidence, [*evidence.reasons, *wrong["fail"]], [])
    if wrong["unknown"] and evidence.verdict != "red":
        return judge_evidence(evidence, [], [*evidence.reasons, *wrong["unknown"]])
    return evidence


def entry_criteria(root: str, commit: str, milestone: str) -> list[str]:
    """What the roadmap of `commit` asks before the milestone begins, each with what the tree shows of it."""
    with box_trees.scratch_directory("entry") as tree:
        objects.export(root, commit, tree)
        return _entry(asked(tree, milestone), tree)


def _entry(roadmap: dict[str, Any], tree: str) -> list[str]:
    return [f"{one} {held(str(one), tree)}" for one in roadmap.get("entry") or []]


def held(criterion: str, tree: str) -> str:
    """What `tree` shows of an entry criterion: yes, not yet and what is missing, or that only you can tell."""
    found = _BEFORE.search(criterion)
    if found:
        name = re.sub(r"[ -]", "-", found[1].lower())
        status = (
            _first(os.path.join(tree, "docs", "milestones", f"{name}.md"))
            .removeprefix(f"# {name}: ")
            .split(" (")[0]
        )
        if status == "delivered" or status == found[2].lower():
            return f"(yes: {name} is {status})"
        return f"(not yet: {name} is {status or 'not proved'}{'; make run, and say yes' if status == 'proved' else ''})"
    if "design document" in criterion.lower():
        return (
            "(yes: docs/index.md)"
            if _first(os.path.join(tree, "docs", "index.md"))
            else "(not yet: no docs/index.md)"
        )
    return "(for you to see)"


def _first(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip()
    except OSError:
        return ""


def _seen(one: dict[str, Any], tree: str, minimum: str) -> Criterion:
    run = [str(word) for word in one.get("run") or []]
    if not run:
        return Criterion(
            text=" ".join(str(one.get("human", "")).split()), verdict="yours"
        )
    text = shlex.join(run)
    limits = sandbox.Limits(wall_s=SECONDS, cpu_s=SECONDS)
    try:
        order = sandbox.BoxOrder(tree=tree, limits=limits, minimum=minimum)
        got = sandbox.run_in_box(run, order)
    except CatherdError as error:
        return Criterion(text=text, verdict="unknown", why=str(error))
    if got.rc == 0 and got.why is None:
        return Criterion(text=text, verdict="pass")
    how = f"stopped: {got.why}" if got.why else f"exit {got.rc}"
    return Criterion(text=text, verdict="fail", why=f"{how}: {got.log[-600:].strip()}")


def _told(one: Criterion) -> str:
    return f"the roadmap's exit criterion `{one.text}`: {one.why}"

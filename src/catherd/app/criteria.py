"""What the roadmap asks of a milestone: when it may begin, and when it is reached.

`docs/roadmap.yaml` in the tree that is judged says both. Commands are run in the box,
the rest is for a person to see. Where there is no roadmap, or nothing in it for the
milestone, nothing is asked.
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
    """The milestone's entry in the roadmap of `tree`. Empty when there is none.

    Raises CatherdError where the roadmap does not parse.
    """
    path = os.path.join(tree, ROADMAP)
    if not os.path.isfile(path):
        return {}
    data = yaml_read.read_yaml(path, ROADMAP).data
    if not isinstance(data, dict):
        return {}
    entry = (data.get("milestones") or {}).get(milestone)
    return entry if isinstance(entry, dict) else {}


def judge_criteria(
    evidence: Evidence, tree: str, milestone: str, minimum: str
) -> Evidence:
    """The evidence with the milestone's goal and criteria in it.

    A command that fails is a reason against it. `minimum`: the lowest sandbox tier.
    """
    try:
        roadmap = asked(tree, milestone)
    except CatherdError as error:
        return judge_evidence(evidence, [*evidence.reasons, str(error)], [])

    evidence.goal = _one_line(roadmap.get("goal", ""))
    evidence.demo = _one_line(roadmap.get("demo", ""))
    evidence.entry = _entry(roadmap, tree)
    criteria = [one for one in roadmap.get("exit") or [] if isinstance(one, dict)]
    evidence.exits = [_seen(one, tree, minimum) for one in criteria]

    failed = _told(evidence, "fail")
    unknown = _told(evidence, "unknown")
    if failed:
        return judge_evidence(evidence, [*evidence.reasons, *failed], [])
    if unknown and evidence.verdict != "red":
        return judge_evidence(evidence, [], [*evidence.reasons, *unknown])

    return evidence


def _one_line(value: Any) -> str:
    return " ".join(str(value).split())


def _told(evidence: Evidence, verdict: str) -> list[str]:
    """The exit criteria with that verdict, a line each."""
    return [
        f"the roadmap's exit criterion `{one.text}`: {one.why}"
        for one in evidence.exits
        if one.verdict == verdict
    ]


def entry_criteria(root: str, commit: str, milestone: str) -> list[str]:
    """What the roadmap of `commit` asks before the milestone begins.

    A line each, with what the tree of that commit shows of it.
    """
    with box_trees.scratch_directory("entry") as tree:
        objects.export(root, commit, tree)
        return _entry(asked(tree, milestone), tree)


def _entry(roadmap: dict[str, Any], tree: str) -> list[str]:
    return [f"{one} {held(str(one), tree)}" for one in roadmap.get("entry") or []]


def held(criterion: str, tree: str) -> str:
    """What `tree` shows of an entry criterion.

    It is yes, not yet and what is missing, or that only a person can tell.
    """
    found = _BEFORE.search(criterion)
    if found:
        name = re.sub(r"[ -]", "-", found[1].lower())
        return _milestone_held(name, found[2].lower(), tree)

    if "design document" in criterion.lower():
        if _first(os.path.join(tree, "docs", "index.md")):
            return "(yes: docs/index.md)"

        return "(not yet: no docs/index.md)"

    return "(for you to see)"


def _milestone_held(name: str, wanted: str, tree: str) -> str:
    """Whether the note of a milestone says that it is `wanted`, proved or delivered."""
    title = _first(os.path.join(tree, "docs", "milestones", f"{name}.md"))
    status = title.removeprefix(f"# {name}: ").split(" (")[0]
    if status in {"delivered", wanted}:
        return f"(yes: {name} is {status})"
    more = "; make run, and say yes" if status == "proved" else ""
    return f"(not yet: {name} is {status or 'not proved'}{more})"


def _first(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip()
    except OSError:
        return ""


def _seen(one: dict[str, Any], tree: str, minimum: str) -> Criterion:
    """Look at an exit criterion.

    Its command is run in the box. A sentence is for a person to judge.
    """
    words = [str(word) for word in one.get("run") or []]
    if not words:
        return Criterion(text=_one_line(one.get("human", "")), verdict="yours")

    text = shlex.join(words)
    limits = sandbox.Limits(wall_s=SECONDS, cpu_s=SECONDS)
    try:
        order = sandbox.BoxOrder(tree=tree, limits=limits, minimum=minimum)
        got = sandbox.run_in_box(words, order)
    except CatherdError as error:
        return Criterion(text=text, verdict="unknown", why=str(error))

    if got.rc == 0 and got.why is None:
        return Criterion(text=text, verdict="pass")
    how = f"stopped: {got.why}" if got.why else f"exit {got.rc}"
    last = got.log[-600:].strip()
    return Criterion(text=text, verdict="fail", why=f"{how}: {last}")

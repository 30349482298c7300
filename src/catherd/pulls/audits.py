"""`catherd audit`: proof by git alone, in any clone, that every merge on a branch was
earned.

Each merge had its reviews and its green verdict. The game's first commit and its roll
stand in docs/debate/decision.yaml on that branch. Files that the engine itself made
(drawings, the Gantt chart, the trace) must be what their sources in the same commit
give.
"""

import os
from typing import Any

from catherd.box import box_trees
from catherd.bus import yaml_read
from catherd.bus.store import DECISION
from catherd.core.errors import CatherdError
from catherd.design import trace
from catherd.design.wireframe import screens
from catherd.git import landing, merge, objects
from catherd.git.checkouts import ABSENT, tree_changes
from catherd.git.pr_rules import RuleFinding, shown_path
from catherd.git.run import call, git, head_branch, rev

DRAWN = ("docs/ux/SCR-", "docs/ux/map.mmd", trace.GANTT, trace.TRACE)


def audit_branch(root: str, name: str = "") -> tuple[list[RuleFinding], int]:
    """What is not proved on a branch, and how many merges by catherd it has.

    `name` is a branch or commit; without it, the branch of the game. Raises
    CatherdError when there is no such commit, or no game on it.
    """
    head = rev(root, name) if name else landing.tip(root, head_branch(root))
    if not head:
        raise CatherdError(
            f"there is no commit {name}", where=root, fix="git log --oneline --branches"
        )
    decision = _decision(root, head)
    base = _base(root, head, decision)
    roll = _roll(decision)
    found = merge.unproved(
        root,
        base,
        head,
        needed=_needed(roll, decision),
        roll=roll,
        engine=(*merge.ENGINE, *DRAWN),
    )
    for sha, parent in _plain_commits(root, base, head):
        found += _drawn(root, sha, parent)

    return found, merge.merges_between(root, base, head)


def _decision(root: str, head: str) -> dict[str, Any]:
    """The decision of the game on a commit; empty where it is no mapping.

    Raises CatherdError where there is none.
    """
    text = objects.read_blob(root, head, DECISION)
    if not text:
        raise CatherdError(
            "is not there: no game was landed",
            where=f"{head[:12]}:{DECISION}",
            fix=f"git log --oneline --branches -- {DECISION}",
        )
    data = yaml_read.loads(text.decode("utf-8", "replace"), DECISION).data
    return data if isinstance(data, dict) else {}


def _base(root: str, head: str, decision: dict[str, Any]) -> str:
    """The commit that the game began on.

    Raises CatherdError where it is not named, or not here.
    """
    where = f"{head[:12]}:{DECISION}"
    named = str(decision.get("base") or "")
    if not named:
        raise CatherdError(
            "says no base: there is nothing to prove from",
            where=where,
            fix=f"git log --oneline --branches -- {DECISION}",
        )
    base = rev(root, named)
    if not base:
        shallow = git(root, "rev-parse", "--is-shallow-repository") == "true"
        raise CatherdError(
            f"names {shown_path(named[:12])} as its base, and that commit is not in this repository",
            where=where,
            fix="git fetch --unshallow origin" if shallow else "git fetch origin",
        )

    return base


def _roll(decision: dict[str, Any]) -> list[str]:
    """The agents that took part; empty in a decision that is older than `roll`."""
    roll = decision.get("roll")
    return [str(name) for name in roll] if isinstance(roll, list) else []


def _needed(roll: list[str], decision: dict[str, Any]) -> int:
    """How many others must have read each merge.

    A decision that is older than `roll` has the number of agents in `ballots: 3 of 4`.
    Alone, your approval is the one review that there can be.
    """
    last = str(decision.get("ballots", "")).rpartition(" ")[2]
    many = len(roll) or (int(last) if last.isdecimal() else 3)
    return max(1, min(2, many - 1))


def _plain_commits(root: str, base: str, head: str) -> list[tuple[str, str]]:
    """(commit, its only parent) of each commit after `base` that is no merge."""
    told = call(
        root, "rev-list", "--first-parent", "--parents", f"{base}..{head}", "--"
    )
    found = []
    for line in told.out.decode().splitlines():
        sha, *parents = line.split()
        if len(parents) == 1:
            found.append((sha, parents[0]))

    return found


def _drawn(root: str, sha: str, parent: str) -> list[RuleFinding]:
    """The drawings in an engine commit that are not what their sources give."""
    touched = []
    for path, change in sorted(tree_changes(root, parent, sha).items()):
        if path.startswith(DRAWN) and change.new_mode != ABSENT:
            touched.append(path)

    mail = call(root, "show", "-s", "--format=%ce", sha).out.decode().strip()
    if not touched or mail != "catherd@agents.invalid":
        return []
    found = []
    with box_trees.scratch_directory("audit") as folder:
        objects.export(root, sha, folder)
        made = _made(folder)
        for path in touched:
            there = os.path.join(folder, path)
            if os.path.isfile(there) and made.get(path) != _read(there):
                what = f"{path} is not what its sources give"
                found.append(RuleFinding(sha[:12], "drawn", "error", what))

    return found


def _made(folder: str) -> dict[str, str]:
    """Path → text of everything that the engine draws out of the sources in `folder`."""
    made = {}
    source = os.path.join(folder, screens.FILE)
    if os.path.isfile(source):
        for name, text in screens.compiled(_read(source)).items():
            made[f"docs/ux/{name}"] = text

    plan = trace.read_plan(folder)
    if plan.milestones:
        made[trace.GANTT] = trace.gantt(plan)

    known = os.path.join(folder, trace.TRACE)
    if os.path.isfile(known):
        made[trace.TRACE] = trace.trace(plan, trace.prs_in(_read(known)))

    return made


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()

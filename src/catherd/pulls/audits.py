"""`catherd audit`: that every merge on a branch had its reviews and its green verdict, proved by git alone, in any clone.

The game's first commit and how many took part stand in docs/debate/decision.yaml on that branch. Files that the engine
itself made (drawings, the Gantt chart, the trace) must be what their sources in the same commit give.
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
    """What is not proved on `name` (a branch or commit; the game's branch), and how many merges by catherd there are.

    Raises CatherdError when there is no such commit, or no game on it.
    """
    head = rev(root, name) if name else landing.tip(root, head_branch(root))
    if not head:
        raise CatherdError(
            f"there is no commit {name}", where=root, fix="git log --oneline --branches"
        )
    text = objects.read_blob(root, head, DECISION)
    data = (
        yaml_read.loads((text or b"").decode("utf-8", "replace"), DECISION).data
        if text
        else None
    )
    named = str(data.get("base") or "") if isinstance(data, dict) else ""
    base = rev(root, named) if named else ""
    if not isinstance(data, dict) or not base:
        what = (
            "says no base: there is nothing to prove from"
            if text
            else "is not there: no game was landed"
        )
        fix = f"git log --oneline --branches -- {DECISION}"
        if named:
            what = f"names {shown_path(named[:12])} as its base, and that commit is not in this repository"
            shallow = git(root, "rev-parse", "--is-shallow-repository") == "true"
            fix = "git fetch --unshallow origin" if shallow else "git fetch origin"
        raise CatherdError(what, where=f"{head[:12]}:{DECISION}", fix=fix)
    roll = (
        [str(name) for name in data["roll"]]
        if isinstance(data.get("roll"), list)
        else []
    )
    engine = (*merge.ENGINE, *DRAWN)
    found = merge.unproved(
        root, base, head, needed=_needed(roll, data), roll=roll, engine=engine
    )
    out = (
        call(root, "rev-list", "--first-parent", "--parents", f"{base}..{head}", "--")
        .out.decode()
        .splitlines()
    )
    found += [
        f for line in out if line.count(" ") == 1 for f in _drawn(root, *line.split())
    ]
    return found, merge.merges_between(root, base, head)


def _needed(roll: list[str], data: dict[str, Any]) -> int:
    """How many others must have read each merge. A decision that is older than `roll` has the number in `ballots: 3 of 4`.

    Alone, your approval is the one review that there can be.
    """
    last = str(data.get("ballots", "")).rpartition(" ")[2]
    many = len(roll) or (int(last) if last.isdecimal() else 3)
    return max(1, min(2, many - 1))


def _drawn(root: str, sha: str, parent: str) -> list[RuleFinding]:
    """What in an engine commit is called a drawing and is not what its sources give."""
    touched = {
        p
        for p, c in tree_changes(root, parent, sha).items()
        if p.startswith(DRAWN) and c.new_mode != ABSENT
    }
    who = call(root, "show", "-s", "--format=%ce", sha).out.decode().strip()
    if not touched or who != "catherd@agents.invalid":
        return []
    with box_trees.scratch_directory("audit") as folder:
        objects.export(root, sha, folder)
        made = _made(folder)
        wrong = []
        for path in sorted(touched):
            there = os.path.join(folder, path)
            text = _read(there) if os.path.isfile(there) else None
            if text is not None and made.get(path) != text:
                wrong.append(
                    RuleFinding(
                        sha[:12],
                        "drawn",
                        "error",
                        f"{path} is not what its sources give",
                    )
                )
    return wrong


def _made(folder: str) -> dict[str, str]:
    source = os.path.join(folder, screens.FILE)
    made = {}
    if os.path.isfile(source):
        made = {
            f"docs/ux/{name}": text
            for name, text in screens.compiled(_read(source)).items()
        }
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

"""`catherd why FILE:LINE`: which pull request, task, story and vote a line came from. Reads git, main's documents, and the bus where it is."""

import re
from typing import Any

from catherd.bus import yaml_read
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.tasks import Task
from catherd.git import landing, objects, run
from catherd.git.trailers import parse_trailers
from catherd.pulls.context import DECISION


def why_line(root: str, branch: str, place: str) -> list[str]:
    """The chain behind `FILE:LINE` on the game's main, a line each. Raises CatherdError for a place that is none."""
    path, _, number = place.rpartition(":")
    if not number.isdecimal() or not path:
        raise CatherdError(
            "is no place in a file",
            where=place,
            fix=".venv/bin/catherd why app/server.py:12",
        )
    main = landing.tip(root, branch)
    text = objects.read_blob(root, main, path)
    if text is None:
        raise CatherdError(
            "is not on main",
            where=path,
            fix=f"git ls-tree -r --name-only {main[:12]} lists what is",
        )
    lines = len(text.splitlines())
    if not 1 <= int(number) <= lines:
        raise CatherdError(
            f"has no line {number}", where=path, fix=f"it has {lines} lines"
        )
    blamed = run.git(
        root, "blame", "--porcelain", "-L", f"{number},{number}", main, "--", path
    )
    commit = blamed.split()[0]
    line = next(
        (row[1:] for row in blamed.splitlines() if row.startswith("\t")), ""
    ).strip()
    who = _one(r"^author (.+)$", blamed)
    out = [f"{path}:{number}: {line}", f"  written by {who}, {commit[:12]}"]
    merge = _merge(root, commit, main)
    if not merge:
        return [*out, "  not by a pull request"]
    proof = parse_trailers(run.git(root, "log", "-1", "--format=%B", merge))
    reviewers = ", ".join(name for name, _ in proof.reviews)
    out.append(
        f"  pull request {proof.pr}, merged as {merge[:12]}, reviewed by {reviewers or 'nobody'}"
    )
    out += _task(
        root, main, proof.task, run.git(root, "log", "-1", "--format=%s", merge)
    )
    return [*out, *_vote(root, main)]


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def _merge(root: str, commit: str, main: str) -> str:
    """The merge on main's own line that brought `commit`; "" when it is on that line itself."""
    line = run.git(root, "rev-list", "--first-parent", main).split()
    if commit in line:
        return ""
    after = set(
        run.git(root, "rev-list", "--ancestry-path", f"{commit}..{main}").split()
    )
    return next((sha for sha in reversed(line) if sha in after), "")


def _task(root: str, main: str, task: str, subject: str) -> list[str]:
    """A task of the plan stands on main; one that a gate made, on the bus; where that is gone the merge still tells its title."""
    path = f"docs/tasks/{task}.yaml"
    text = objects.read_blob(root, main, path)
    data: dict[str, Any] = {}
    if text is not None:
        data = yaml_read.loads(text.decode("utf-8", "replace"), path).data or {}
    elif (posted := _posted(root, task)) is not None:
        data = {
            "title": posted.title,
            "milestone": posted.milestone,
            "stories": posted.stories,
        }
    else:
        made = re.fullmatch(r"M-(.+?)(?:-no)?-\d+", task)
        title = _one(r"^Merge \S+: (.+) \(PR-\d+\)$", subject)
        data = {"title": title, "milestone": made[1] if made else "?"}
    out = [
        f"  task {task}: {data.get('title', '')} (milestone {data.get('milestone', '')})"
    ]
    for story in data.get("stories") or []:
        page = (
            objects.read_blob(root, main, f"docs/stories/{story}.md") or b""
        ).decode("utf-8", "replace")
        out.append(f"  story {story}: {_one(r'^# (.+)$', page)}")
    return out


def _posted(root: str, task: str) -> Task | None:
    try:
        return Bus(root).get(f"tasks/{task}.yaml", Task)
    except CatherdError:
        return None


def _vote(root: str, main: str) -> list[str]:
    text = objects.read_blob(root, main, DECISION)
    if text is None:
        return []
    data = yaml_read.loads(text.decode("utf-8", "replace"), DECISION).data or {}
    by = " and ".join(data.get("authors") or [])
    return [
        f"  vote: {data.get('title', '')}, proposed by {by}; {data.get('method', '')}, {data.get('ballots', '')} ballots"
    ]

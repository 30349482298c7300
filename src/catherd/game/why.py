"""`catherd why FILE:LINE`: the pull request, task, story and vote that a line is from.

It reads git, main's documents, and the bus where there is one.
"""

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
    """The chain behind `FILE:LINE` on the game's main, a line each.

    Raises CatherdError for a place that is not there.
    """
    main = landing.tip(root, branch)
    path, number = _checked_place(root, main, place)

    only = f"{number},{number}"
    blamed = run.git(root, "blame", "--porcelain", "-L", only, main, "--", path)
    commit = blamed.split()[0]
    line = _one(r"^\t(.*)$", blamed).strip()
    author = _one(r"^author (.+)$", blamed)

    out = [f"{path}:{number}: {line}", f"  written by {author}, {commit[:12]}"]
    merge = _merge(root, commit, main)
    if not merge:
        return [*out, "  not by a pull request"]

    message = run.git(root, "log", "-1", "--format=%B", merge)
    subject = run.git(root, "log", "-1", "--format=%s", merge)
    proof = parse_trailers(message)
    reviewers = ", ".join(name for name, _ in proof.reviews) or "nobody"
    pull = f"pull request {proof.pr}, merged as {merge[:12]}"
    out.append(f"  {pull}, reviewed by {reviewers}")

    return [*out, *_task(root, main, proof.task, subject), *_vote(root, main)]


def _checked_place(root: str, main: str, place: str) -> tuple[str, str]:
    """(file, line) of a place on main. Raises CatherdError where there is none."""
    path, _, number = place.rpartition(":")
    if not number.isdecimal() or not path:
        raise CatherdError(
            "is no place in a file",
            where=place,
            fix=".venv/bin/catherd why app/server.py:12",
        )

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

    return path, number


def _one(pattern: str, text: str) -> str:
    """The first group of the first match, or ""."""
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def _merge(root: str, commit: str, main: str) -> str:
    """The merge on main's own line that brought `commit`.

    It is "" when it is on that line itself.
    """
    line = run.git(root, "rev-list", "--first-parent", main).split()
    if commit in line:
        return ""
    after = set(
        run.git(root, "rev-list", "--ancestry-path", f"{commit}..{main}").split()
    )

    return next((sha for sha in reversed(line) if sha in after), "")


def _task(root: str, main: str, task: str, subject: str) -> list[str]:
    """The task that a merge brought, and its stories. `subject`: of the merge."""
    told = _task_data(root, main, task, subject)
    title, milestone = told.get("title", ""), told.get("milestone", "")
    out = [f"  task {task}: {title} (milestone {milestone})"]

    for story in told.get("stories") or []:
        page = _text(root, main, f"docs/stories/{story}.md")
        title = _one(r"^# (.+)$", page)
        out.append(f"  story {story}: {title}")

    return out


def _task_data(root: str, main: str, task: str, subject: str) -> dict[str, Any]:
    """What is known of a task: its title, its milestone, its stories.

    A task of the plan stands on main, one that a gate made on the bus. Where the bus is
    gone, the subject of the merge still tells the title.
    """
    path = f"docs/tasks/{task}.yaml"
    text = _text(root, main, path)
    if text:
        return yaml_read.loads(text, path).data or {}
    posted = _posted(root, task)
    if posted is not None:
        return {
            "title": posted.title,
            "milestone": posted.milestone,
            "stories": posted.stories,
        }

    made = re.fullmatch(r"M-(.+?)(?:-no)?-\d+", task)
    title = _one(r"^Merge \S+: (.+) \(PR-\d+\)$", subject)
    return {"title": title, "milestone": made[1] if made else "?"}


def _text(root: str, main: str, path: str) -> str:
    """The text of a file on main, or ""."""
    return (objects.read_blob(root, main, path) or b"").decode("utf-8", "replace")


def _posted(root: str, task: str) -> Task | None:
    try:
        return Bus(root).get(f"tasks/{task}.yaml", Task)
    except CatherdError:
        return None


def _vote(root: str, main: str) -> list[str]:
    """The decision that the app is built by."""
    text = _text(root, main, DECISION)
    if not text:
        return []

    data = yaml_read.loads(text, DECISION).data or {}
    by = " and ".join(data.get("authors") or [])
    title, method = data.get("title", ""), data.get("method", "")
    ballots = data.get("ballots", "")
    return [f"  vote: {title}, proposed by {by}; {method}, {ballots} ballots"]

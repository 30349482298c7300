"""docs/trace.md and docs/roadmap.mmd, generated: what proves what, from journey to pull request, and the Gantt.

Both are functions of the other artifacts (and of the pull requests handed in): the same document gives the same bytes.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from catherd.bus.yaml_read import loads, text_of
from catherd.core.errors import CatherdError
from catherd.design.checks.markdown import split_front
from catherd.design.checks.plans import MILESTONES
from catherd.design.wireframe.language import parse_screens as parse
from catherd.design.wireframe.screens import write_picture

TRACE, GANTT = "docs/trace.md", "docs/roadmap.mmd"
NOTE = "made by catherd from the files it names; edit those"


class Piece(NamedTuple):
    """An artifact as the matrix needs it."""

    ident: str
    path: str
    title: str
    data: dict[str, Any]

    def names(self, key: str) -> list[str]:
        """The ids under `key`, whatever a person made of it."""
        value = self.data.get(key)
        return [str(item) for item in value] if isinstance(value, list) else []


class TracePlan(NamedTuple):
    """Everything that is traced; what does not parse is left out, for it is the checker's business."""

    journeys: dict[str, Piece]
    stories: dict[str, Piece]
    tasks: dict[str, Piece]
    screens: dict[str, Piece]
    milestones: dict[str, dict[str, Any]]


def read_plan(root: str) -> TracePlan:
    """The plan below `root`."""
    screens: dict[str, Piece] = {}
    for screen in parse_screens(root):
        data = {"stories": screen.stories, "states": list(screen.states)}
        screens[screen.ident] = Piece(
            screen.ident, "docs/ux/screens.yaml", screen.title, data
        )
    road = _yaml(root, "docs/roadmap.yaml").get("milestones")
    milestones = (
        {key: value for key, value in (road or {}).items() if isinstance(value, dict)}
        if road
        else {}
    )
    return TracePlan(
        _pieces(root, "docs/journeys", r"(UJ-\d{3,})\.md"),
        _pieces(root, "docs/stories", r"(US-\d{3,})\.md"),
        _pieces(root, "docs/tasks", r"(T-\d{3,})\.yaml"),
        screens,
        milestones,
    )


def parse_screens(root: str) -> Any:
    """The screens of docs/ux/screens.yaml, none when it is missing or does not parse."""
    path = "docs/ux/screens.yaml"
    try:
        return parse(loads(text_of(os.path.join(root, path), path), path)).screens
    except (CatherdError, FileNotFoundError):
        return []


def _yaml(root: str, path: str) -> dict[str, Any]:
    try:
        data = loads(text_of(os.path.join(root, path), path), path).data
    except (CatherdError, FileNotFoundError):
        return {}
    return data if isinstance(data, dict) else {}


def _pieces(root: str, folder: str, pattern: str) -> dict[str, Piece]:
    found: dict[str, Piece] = {}
    try:
        names = sorted(os.listdir(os.path.join(root, folder)))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    for name in names:
        match = re.fullmatch(pattern, name)
        path = f"{folder}/{name}"
        if not match:
            continue
        if name.endswith(".yaml"):
            data = _yaml(root, path)
            found[match[1]] = Piece(match[1], path, str(data.get("title", "")), data)
            continue
        try:
            front, body = split_front(text_of(os.path.join(root, path), path))
            data = loads(front, path).data
        except CatherdError:
            continue
        title = re.search(r"^# (.+)$", body, re.MULTILINE)
        data = data if isinstance(data, dict) else {}
        found[match[1]] = Piece(match[1], path, title[1].strip() if title else "", data)
    return found


def trace(plan: TracePlan, prs: Mapping[str, Sequence[str]] | None = None) -> str:
    """docs/trace.md: a row per story and task. `prs` maps a task to the pull requests that brought it."""
    head = [
        "Journey",
        "Story",
        "Milestone",
        "Screens",
        "Task",
        "Operations",
        "Accept",
        "PR",
    ]
    rows: list[list[str]] = []
    for story in plan.stories.values():
        screens = [
            s.ident for s in plan.screens.values() if story.ident in s.names("stories")
        ]
        mine = [
            task for task in plan.tasks.values() if story.ident in task.names("stories")
        ]
        for task in (*mine,) or (None,):
            journeys = ", ".join(
                _link(plan.journeys, name) for name in story.names("journeys")
            )
            milestone = str(
                task.data.get("milestone", "")
                if task
                else story.data.get("milestone", "")
            )
            row = [
                journeys,
                f"{_link(plan.stories, story.ident)} {_cell(story.title)}",
                milestone,
                ", ".join(screens),
            ]
            rows.append(row + _task(plan, task, prs or {}))
    loose = [
        task
        for task in plan.tasks.values()
        if not any(name in plan.stories for name in task.names("stories"))
    ]
    rows += [
        [
            "—",
            "—",
            str(task.data.get("milestone", "")),
            "—",
            *_task(plan, task, prs or {}),
        ]
        for task in loose
    ]
    lines = [
        "# Trace",
        "",
        f"What proves what ({NOTE}). An empty cell is work that is still to be planned.",
        "",
    ]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell or ' ' for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _task(
    plan: TracePlan, task: Piece | None, prs: Mapping[str, Sequence[str]]
) -> list[str]:
    if task is None:
        return ["", "", "", ""]
    accept = task.data.get("accept")
    argv = accept.get("run") if isinstance(accept, dict) else None
    command = " ".join(map(str, argv)) if isinstance(argv, list) else ""
    return [
        f"{_link(plan.tasks, task.ident)} {_cell(task.title)}",
        ", ".join(f"`{_code(name)}`" for name in task.names("operations")) or "—",
        f"`{_code(command)}`" if command else "",
        ", ".join(prs.get(task.ident, [])),
    ]


def _link(pieces: Mapping[str, Piece], ident: str) -> str:
    piece = pieces.get(ident)
    return f"[{ident}]({piece.path.removeprefix('docs/')})" if piece else ident


def _cell(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").replace("|", r"\|").split())


def prs_in(text: str) -> dict[str, list[str]]:
    """The pull requests that a trace.md names, by task: so that it can be made anew without asking the bus."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        task = re.search(r"\| \[(T-\d{3,})\]", line)
        last = line.rstrip().rstrip("|").rpartition("| ")[2]
        names = re.findall(r"PR-\d+", last)
        if task and names:
            found[task[1]] = names
    return found


def gantt(plan: TracePlan) -> str:
    """docs/roadmap.mmd: the milestones one after the other, in working days counted from day 1."""
    lines = [
        f"%% {NOTE}", "gantt", "  title Roadmap, in working days", "  dateFormat YYYY-MM-DD", "  axisFormat day %j"
    ]  # fmt: skip
    before = ""
    for key in MILESTONES:
        if key not in plan.milestones:
            continue
        mine = [
            task for task in plan.tasks.values() if task.data.get("milestone") == key
        ]
        hours = sum(
            h
            for task in mine
            if isinstance(h := task.data.get("estimate"), (int, float))
        )
        days = plan.milestones[key].get("days")
        days = days if isinstance(days, int) and days > 0 else 1
        begin = (
            f"after {before}" if before else "2024-01-01"
        )  # any January 1st: the axis shows the day of the year
        name = f"{len(mine)} task{'' if len(mine) == 1 else 's'} ({hours:g} h)"
        lines += [f"  section {key}", f"    {name} :{key}, {begin}, {days}d"]
        before = key
    return "\n".join(lines) + "\n"


def generate_trace(
    root: str, prs: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """Write docs/trace.md and docs/roadmap.mmd; the paths that changed. `prs` None: those named in trace.md stay."""
    if prs is None:
        try:
            prs = prs_in(text_of(os.path.join(root, TRACE), TRACE))
        except (FileNotFoundError, CatherdError):
            prs = {}
    plan = read_plan(root)
    made = {
        TRACE: trace(plan, prs),
        **({GANTT: gantt(plan)} if plan.milestones else {}),
    }
    return [
        path
        for path, text in made.items()
        if write_picture(os.path.join(root, path), text)
    ]

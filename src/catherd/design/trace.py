"""docs/trace.md and docs/roadmap.mmd, generated: what proves what, and the Gantt.

The trace leads from journey to pull request. Both are functions of the other artifacts,
and of the pull requests that are handed in: the same document gives the same bytes.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from catherd.bus.yaml_read import loads, text_of
from catherd.core.errors import CatherdError
from catherd.design.checks.adapters.markdown import split_front, title_of
from catherd.design.checks.plans import MILESTONES, accept_command
from catherd.design.wireframe.language import Screen, parse_screens
from catherd.design.wireframe.screens import write_picture

TRACE, GANTT = "docs/trace.md", "docs/roadmap.mmd"
NOTE = "made by catherd from the files it names; edit those"
_HEAD = (
    "Journey", "Story", "Milestone", "Screens", "Task", "Operations", "Accept", "PR"
)  # fmt: skip
Pulls = Mapping[str, Sequence[str]]


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

    def word(self, key: str) -> str:
        """What stands under `key` as text, "" when nothing does."""
        return str(self.data.get(key, ""))


class TracePlan(NamedTuple):
    """Everything that is traced, by id.

    What does not parse is left out, for it is the checker's business.
    """

    journeys: dict[str, Piece]
    stories: dict[str, Piece]
    tasks: dict[str, Piece]
    screens: dict[str, Piece]
    milestones: dict[str, dict[str, Any]]

    def screens_of(self, story: str) -> list[str]:
        """The ids of the screens that name a story."""
        return _naming(self.screens, "stories", story)

    def tasks_of(self, story: str) -> list[str]:
        """The ids of the tasks that name a story."""
        return _naming(self.tasks, "stories", story)

    def tasks_for(self, operation: str) -> list[str]:
        """The ids of the tasks that make an operation."""
        return _naming(self.tasks, "operations", operation)

    def journeys_over(self, screen: str) -> list[str]:
        """The ids of the journeys that pass through a screen."""
        return _naming(self.journeys, "screens", screen)

    def tasks_in(self, milestone: str) -> list[Piece]:
        """The tasks of a milestone."""
        tasks = self.tasks.values()
        return [task for task in tasks if task.data.get("milestone") == milestone]


def _naming(pieces: Mapping[str, Piece], key: str, name: str) -> list[str]:
    """The ids of those pieces that have `name` under `key`."""
    return [piece.ident for piece in pieces.values() if name in piece.names(key)]


def read_plan(root: str) -> TracePlan:
    """The plan below `root`."""
    screens: dict[str, Piece] = {}
    for screen in _screens(root):
        data = {"stories": screen.stories}
        path = "docs/ux/screens.yaml"
        screens[screen.ident] = Piece(screen.ident, path, screen.title, data)
    return TracePlan(
        _pieces(root, "docs/journeys", r"(UJ-\d{3,})\.md"),
        _pieces(root, "docs/stories", r"(US-\d{3,})\.md"),
        _pieces(root, "docs/tasks", r"(T-\d{3,})\.yaml"),
        screens,
        _milestones(root),
    )


def _milestones(root: str) -> dict[str, dict[str, Any]]:
    """The milestones of the roadmap that are mappings."""
    rows = mapping(text_at(root, "docs/roadmap.yaml")).get("milestones")
    if not isinstance(rows, dict):
        return {}
    return {key: row for key, row in rows.items() if isinstance(row, dict)}


def _screens(root: str) -> list[Screen]:
    """The screens of docs/ux/screens.yaml, none when it is missing or does not parse."""
    path = "docs/ux/screens.yaml"
    try:
        return parse_screens(
            loads(text_of(os.path.join(root, path), path), path)
        ).screens
    except (CatherdError, FileNotFoundError):
        return []


def text_at(root: str, path: str) -> str:
    """The text of a file, "" when it is not there or no text."""
    try:
        return text_of(os.path.join(root, path), path)
    except (CatherdError, FileNotFoundError):
        return ""


def mapping(text: str) -> dict[str, Any]:
    """The mapping in a YAML text, {} when there is none."""
    try:
        data = loads(text, "").data
    except CatherdError:
        return {}
    return data if isinstance(data, dict) else {}


def _pieces(root: str, folder: str, pattern: str) -> dict[str, Piece]:
    """The artifacts of a folder whose names have the pattern; group 1 is the id."""
    try:
        names = sorted(os.listdir(os.path.join(root, folder)))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found: dict[str, Piece] = {}
    for name in names:
        match = re.fullmatch(pattern, name)
        piece = _piece(root, f"{folder}/{name}", match[1]) if match else None
        if piece:
            found[piece.ident] = piece
    return found


def _piece(root: str, path: str, ident: str) -> Piece | None:
    """A task, or a page with front matter, or None for a page that does not parse."""
    if path.endswith(".yaml"):
        data = mapping(text_at(root, path))
        return Piece(ident, path, str(data.get("title", "")), data)
    try:
        front, body = split_front(text_of(os.path.join(root, path), path))
        data = loads(front, path).data
    except CatherdError:
        return None
    data = data if isinstance(data, dict) else {}
    return Piece(ident, path, title_of(body).strip(), data)


def trace(plan: TracePlan, prs: Pulls | None = None) -> str:
    """docs/trace.md: a row for each story and task.

    `prs` maps a task to the pull requests that brought it.
    """
    rows: list[list[str]] = []
    for story in plan.stories.values():
        rows += _story_rows(plan, story, prs or {})
    for task in plan.tasks.values():
        if not any(name in plan.stories for name in task.names("stories")):
            row = ["—", "—", task.word("milestone"), "—"]
            rows.append(row + _task_cells(plan, task, prs or {}))
    lines = [
        "# Trace",
        "",
        f"What proves what ({NOTE}). An empty cell is work that is still to be planned.",
        "",
        f"| {' | '.join(_HEAD)} |",
        f"|{'---|' * len(_HEAD)}",
    ]
    for row in rows:
        cells = [cell or " " for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _story_rows(plan: TracePlan, story: Piece, prs: Pulls) -> list[list[str]]:
    """A row for each task of a story; one row when it has none."""
    journeys = [_link(plan.journeys, name) for name in story.names("journeys")]
    head = [
        ", ".join(journeys),
        f"{_link(plan.stories, story.ident)} {_cell(story.title)}",
    ]
    screens = ", ".join(plan.screens_of(story.ident))
    tasks = plan.tasks_of(story.ident)
    if not tasks:
        return [[*head, story.word("milestone"), screens, "", "", "", ""]]
    rows = []
    for name in tasks:
        task = plan.tasks[name]
        row = [*head, task.word("milestone"), screens]
        rows.append(row + _task_cells(plan, task, prs))
    return rows


def _task_cells(plan: TracePlan, task: Piece, prs: Pulls) -> list[str]:
    """Task, operations, accept command and pull requests."""
    operations = [f"`{_code(name)}`" for name in task.names("operations")]
    argv = [str(word) for word in accept_command(task.data)]
    command = " ".join(argv)

    return [
        f"{_link(plan.tasks, task.ident)} {_cell(task.title)}",
        ", ".join(operations) or "—",
        f"`{_code(command)}`" if command else "",
        ", ".join(prs.get(task.ident, [])),
    ]


def _link(pieces: Mapping[str, Piece], ident: str) -> str:
    piece = pieces.get(ident)
    return f"[{ident}]({piece.path.removeprefix('docs/')})" if piece else ident


def _cell(text: str) -> str:
    """Text that cannot leave its cell of a Markdown table."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Text that cannot leave a code span in a Markdown table."""
    return " ".join(text.replace("`", "'").replace("|", r"\|").split())


def prs_in(text: str) -> dict[str, list[str]]:
    """The pull requests that a trace.md names, by task.

    With them the trace can be made anew without asking the bus.
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        task = re.search(r"\| \[(T-\d{3,})\]", line)
        last = line.rstrip().rstrip("|").rpartition("| ")[2]
        names = re.findall(r"PR-\d+", last)
        if task and names:
            found[task[1]] = names
    return found


def gantt(plan: TracePlan) -> str:
    """docs/roadmap.mmd: the milestones one after the other, in working days from day 1."""
    lines = [
        f"%% {NOTE}",
        "gantt",
        "  title Roadmap, in working days",
        "  dateFormat YYYY-MM-DD",
        "  axisFormat day %j",
    ]
    begin = "2024-01-01"  # any January 1st: the axis shows the day of the year
    for key in MILESTONES:
        if key in plan.milestones:
            days = _days(plan.milestones[key])
            name = _amount(plan.tasks_in(key))
            lines += [f"  section {key}", f"    {name} :{key}, {begin}, {days}d"]
            begin = f"after {key}"
    return "\n".join(lines) + "\n"


def _days(milestone: dict[str, Any]) -> int:
    """How many days a milestone takes, or 1 when it does not say so."""
    days = milestone.get("days")
    return days if isinstance(days, int) and days > 0 else 1


def _amount(tasks: list[Piece]) -> str:
    """How many tasks there are, and their hours."""
    estimates = [task.data.get("estimate") for task in tasks]
    hours = sum(one for one in estimates if isinstance(one, (int, float)))
    word = "task" if len(tasks) == 1 else "tasks"
    return f"{len(tasks)} {word} ({hours:g} h)"


def generate_trace(root: str, prs: Pulls | None = None) -> list[str]:
    """Write docs/trace.md and docs/roadmap.mmd; the paths that changed.

    With `prs` None the pull requests that trace.md names stay.
    """
    if prs is None:
        prs = prs_in(text_at(root, TRACE))
    plan = read_plan(root)
    made = {TRACE: trace(plan, prs)}
    if plan.milestones:
        made[GANTT] = gantt(plan)
    changed = []
    for path, text in made.items():
        if write_picture(os.path.join(root, path), text):
            changed.append(path)
    return changed

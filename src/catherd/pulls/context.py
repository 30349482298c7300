"""What a prompt about work shows, as an ask in memory.

It shows the decision, the task, the files beside it, what was found and what was said.
Everything comes from main's tree or the pull request's own, never from a person's
checkout. So the same state gives the same prompt. The journal keeps it word for word.
"""

import os

import msgspec

from catherd.answers.seat import Seat
from catherd.bus import yaml_read, yaml_write
from catherd.core.messages import Ask, Input
from catherd.core.paths import below
from catherd.core.tasks import Review, Task, View
from catherd.git import objects, workspace
from catherd.git.pr_rules import diff
from catherd.git.run import git

DECISION = "docs/debate/decision.yaml"
# Characters of files in one prompt. The task's own and what it needs come first.
SHOWN = 90_000
# Folders of docs/ that say nothing about what is to be built.
ASIDE = ("docs/handbook/", "docs/debate/", "docs/game/", "docs/milestones/")


class Matter(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn of work is about.

    `kind` is write, revise or review. `main` is the commit that the work goes on from.
    `view` is the pull request, where there is one. `conflicts`: path → the file with
    the marks of the conflict.
    """

    kind: str
    task_id: str
    task: Task
    main: str
    view: View | None = None
    conflicts: dict[str, str] = msgspec.field(default_factory=dict)


def ask_for(seat: Seat, matter: Matter) -> Ask:
    """The ask for one turn of work."""
    root, task, view = seat.bus.root, matter.task, matter.view
    inputs = [_decision(root, matter.main), _task(matter.task_id, task)]
    inputs += _formats(root, task)
    inputs += _files(root, matter.main if view is None else view.head, task)

    if view is not None:
        inputs += findings_of(view)
        if matter.kind == "review":
            inputs.append(_diff(root, matter.main, view.head))

    for path, text in matter.conflicts.items():
        inputs.append(_input("conflict", text, path=path))

    return Ask(
        gate="",
        step=f"{task.kind}/{matter.task_id}",
        kind=matter.kind,
        template=f"work/{matter.kind}.md.j2",
        roll=list(seat.game.roll),
        brief=seat.game.brief,
        inputs=inputs,
    )


def _input(kind: str, text: str, *, path: str = "", by: str = "") -> Input:
    return Input(path=path, sha256="", kind=kind, by=by, data={"text": text})


def _diff(root: str, main: str, head: str) -> Input:
    """What the pull request changes since it left main."""
    base = git(root, "merge-base", main, head)
    return _input("diff", diff(root, base, head)[:SHOWN])


def _decision(root: str, main: str) -> Input:
    text = _text(root, main, DECISION)
    data = yaml_read.loads(text, DECISION).data or {}
    still = data.get("open_objection") or {}
    told = {
        "title": data.get("title", ""),
        "text": data.get("text", ""),
        "objection": still.get("text", ""),
    }
    return Input(path=DECISION, sha256="", kind="decision", data=told)


def _text(root: str, at: str, path: str) -> str:
    """The file as a commit has it; "" where it has none."""
    return (objects.read_blob(root, at, path) or b"").decode("utf-8", "replace")


def _task(task_id: str, task: Task) -> Input:
    told = msgspec.to_builtins(task)
    for key in ("catherd", "seal", "wrote"):
        told.pop(key, None)
    text = yaml_write.dumps(told)
    return _input("task", text, path=f"tasks/{task_id}.yaml", by=task_id)


def handbook(root: str, name: str) -> str:
    """A page of the handbook: the repository's own, or the one that came with the
    package.
    """
    for folder in (
        os.path.join(root, "docs", "handbook"),
        os.path.join(workspace.source(), "docs", "handbook"),
    ):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                return file.read()

    return ""


def _formats(root: str, task: Task) -> list[Input]:
    """The pages of the handbook that say how the task's files are written."""
    pages = ["document.md"] if task.kind == "design" else []
    if any(path.startswith("app/app.yaml") or path == "app/" for path in task.paths):
        pages.append("app.md")
    found = [_input("format", handbook(root, page), path=page) for page in pages]
    return [one for one in found if one.data["text"]]


def _files(root: str, at: str, task: Task) -> list[Input]:
    """The files of the game so far, as many as one prompt has room for."""
    there = list(objects.list_tree(root, at))
    made: list[Input] = []
    left = SHOWN

    for path in _by_weight(there, task):
        text = _text(root, at, path)
        binary = "\0" in text
        if binary or len(text) > left:
            continue
        left -= len(text)
        made.append(_input("file", text, path=path))

    return sorted(made, key=lambda one: one.path)


def _by_weight(there: list[str], task: Task) -> list[str]:
    """The paths that a prompt may show: the task's own, then the app, then the
    document.
    """
    mine = [path for path in there if _belongs(path, task)]
    app = [path for path in there if path.startswith("app/")]
    if task.kind == "design":
        app = []

    pages = [path for path in there if path.startswith("docs/")]
    design = [path for path in pages if not path.startswith(ASIDE)]
    return list(dict.fromkeys([*mine, *app, *design]))


def _belongs(path: str, task: Task) -> bool:
    """Whether a path is one of the task's own, or lies in one of its folders."""
    return any(below(path, own) for own in task.paths)


def findings_of(view: View) -> list[Input]:
    """What stands against the PR's head.

    These are review notes by reviewer, and what its checks or the merge found.
    """
    made = []
    for who, review in sorted(view.reviews.items()):
        if review.verdict != "approve":
            made.append(_input("review", _notes(review), by=who))

    needs = view.needs
    if needs is not None:
        text = "\n".join([needs.why, *needs.files, *needs.findings])
        made.append(_input("finding", text))

    return made


def _notes(review: Review) -> str:
    """The notes of a review, one a line, and its text."""
    lines = []
    for note in review.notes:
        place = f"{note.file}:{note.line}: " if note.file else ""
        lines.append(f"{place}{note.text}")
    return "\n".join([*lines, review.body]).strip()

"""What a prompt about work shows: the decision, the task, the files beside it, what was found and said. As an ask in memory.

Everything comes from main's tree or the PR's own, never from a person's checkout, so that the same state gives the same
prompt; the journal keeps it verbatim.
"""

import os

import msgspec

from catherd.answers.seat import Seat
from catherd.bus import yaml_read, yaml_write
from catherd.core.messages import Ask, Input
from catherd.core.paths import below
from catherd.core.tasks import Task, View
from catherd.git import objects, workspace
from catherd.git.pr_rules import diff
from catherd.git.run import git

DECISION = "docs/debate/decision.yaml"
SHOWN = 90_000  # characters of files in one prompt; the task's own and what it needs come first


def ask_for(
    seat: Seat,
    task_id: str,
    task: Task,
    kind: str,
    main: str,
    *,
    view: View | None = None,
    tree: str = "",
    conflicts: tuple[str, ...] = (),
) -> Ask:
    """The ask for one turn of work. `kind`: write, revise or review; `main` is the commit that it is carried out on; `tree` is
    the worktree whose conflicts are shown.
    """
    bus = seat.bus
    inputs = [_decision(bus.root, main), _task(task_id, task)]
    inputs += _formats(bus.root, task)
    at = view.head if view is not None else main
    inputs += _files(bus.root, at, task)
    if view is not None:
        inputs += findings_of(view)
    if kind == "review" and view is not None:
        base = merge_base(bus.root, main, view.head)
        inputs.append(
            Input(
                path="",
                sha256="",
                kind="diff",
                data={"text": diff(bus.root, base, view.head)[:SHOWN]},
            )
        )
    for path in conflicts:
        with open(os.path.join(tree, path), encoding="utf-8", errors="replace") as file:
            inputs.append(
                Input(path=path, sha256="", kind="conflict", data={"text": file.read()})
            )
    return Ask(
        gate="",
        step=f"{task.kind}/{task_id}",
        kind=kind,
        template=f"work/{kind}.md.j2",
        roll=list(seat.game.roll),
        brief=seat.game.brief,
        inputs=inputs,
    )


def _decision(root: str, main: str) -> Input:
    found = objects.read_blob(root, main, DECISION)
    data = (
        yaml_read.loads((found or b"").decode("utf-8", "replace"), DECISION).data or {}
    )
    still = data.get("open_objection") or {}
    return Input(
        path=DECISION,
        sha256="",
        kind="decision",
        data={
            "title": data.get("title", ""),
            "text": data.get("text", ""),
            "objection": still.get("text", ""),
        },
    )


def _task(task_id: str, task: Task) -> Input:
    told = {
        k: v
        for k, v in msgspec.to_builtins(task).items()
        if k not in {"catherd", "seal", "wrote"}
    }
    return Input(
        path=f"tasks/{task_id}.yaml",
        sha256="",
        kind="task",
        by=task_id,
        data={"text": yaml_write.dumps(told)},
    )


def handbook(root: str, name: str) -> str:
    """A page of the handbook: the repository's own, or the one that came with the package."""
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
    pages = ["document.md"] if task.kind == "design" else []
    if any(path.startswith("app/app.yaml") or path == "app/" for path in task.paths):
        pages.append("app.md")
    return [
        Input(path=page, sha256="", kind="format", data={"text": text})
        for page in pages
        if (text := handbook(root, page))
    ]


def _files(root: str, at: str, task: Task) -> list[Input]:
    """The files of the game so far, the task's own paths first, within the budget of one prompt."""
    there = objects.list_tree(root, at)
    mine = [p for p in there if any(below(p, prefix) for prefix in task.paths)]
    design = [
        p
        for p in there
        if p.startswith("docs/")
        and not p.startswith(
            ("docs/handbook/", "docs/debate/", "docs/game/", "docs/milestones/")
        )
    ]
    app = [p for p in there if p.startswith("app/")] if task.kind != "design" else []
    made: list[Input] = []
    left = SHOWN
    for path in dict.fromkeys([*mine, *app, *design]):
        text = (objects.read_blob(root, at, path) or b"").decode("utf-8", "replace")
        if len(text) <= left and "\0" not in text:
            left -= len(text)
            made.append(Input(path=path, sha256="", kind="file", data={"text": text}))
    return sorted(made, key=lambda one: one.path)


def findings_of(view: View) -> list[Input]:
    """What stands against the PR's head: review notes by reviewer, and what its checks or the merge found."""
    made = []
    for who, review in sorted(view.reviews.items()):
        if review.verdict != "approve":
            notes = [
                f"{n.file}:{n.line}: {n.text}" if n.file else n.text
                for n in review.notes
            ]
            text = "\n".join([*notes, review.body]).strip()
            made.append(
                Input(path="", sha256="", kind="review", by=who, data={"text": text})
            )
    if view.needs is not None:
        text = "\n".join([view.needs.why, *view.needs.files, *view.needs.findings])
        made.append(Input(path="", sha256="", kind="finding", data={"text": text}))
    return made


def merge_base(root: str, one: str, other: str) -> str:
    """The commit that two have in common."""
    return git(root, "merge-base", one, other)

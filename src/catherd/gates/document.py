"""The end of the plan: the whole document is checked, completed and landed on main.

It is completed with what is generated from it. What is still wrong goes back to the
herd as one more task, a bounded number of times; then a person is called.
"""

import os

from catherd.box import box_trees
from catherd.bus import event_log
from catherd.bus.config import agents
from catherd.bus.store import Bus, now
from catherd.core.errors import NeedsYou
from catherd.core.messages import Game, Receipt
from catherd.core.tasks import Task
from catherd.debate import documents
from catherd.design import checks, trace
from catherd.design.wireframe import screens
from catherd.gates import merge_wait
from catherd.gates.step import Crank
from catherd.git import landing, objects, pr_rules
from catherd.pulls import board, pr_files

MENDS = 3


def complete(crank: Crank) -> None:
    """Check the document until it holds, then land the generated files."""
    made = _generated_when_whole(crank)
    bus, game = crank.bus, crank.game
    event_log.log_missing(bus)
    made |= documents.talk(bus, agents(bus.root))
    message = f"Land the design document\n\nGame {game.id}.\n"
    landed = landing.land(bus.root, game.branch, made, [], message)
    crank.close(
        Receipt(
            gate=crank.gate.name,
            closed=now(),
            commit=landed.sha,
            data={"files": sorted(made)},
        )
    )
    crank.teller.line(
        f"landed {landed.sha[:12]}: docs/index.md; make design renders it as one page"
    )


def _generated_when_whole(crank: Crank) -> dict[str, bytes]:
    """The generated files, as soon as the whole document has no findings.

    Raises NeedsYou when the herd could not mend the findings in `MENDS` rounds.
    """
    findings: list[str] = []
    for number in range(1, MENDS + 1):
        made, findings = _look(crank.bus, crank.game)
        if not findings:
            return made
        crank.teller.line(
            f"{crank.gate.name}: {len(findings)} findings in the whole document; back to the herd"
        )
        _mend(crank, number, findings)

    raise NeedsYou(
        f"the document still has findings after {MENDS} rounds: {findings[0]}",
        where="docs/",
        fix="make check-docs lists them; mend them on main and type make again",
    )


def _look(bus: Bus, game: Game) -> tuple[dict[str, bytes], list[str]]:
    """The generated files, and what is wrong with the document that has them."""
    main = landing.tip(bus.root, game.branch)
    with box_trees.scratch_directory("doc") as folder:
        objects.export(bus.root, main, folder)
        texts = generated_files(bus, folder)
        made = {path: text.encode() for path, text in texts.items()}

        for path, content in made.items():
            place = os.path.join(folder, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.write(content)

        cache = os.path.join(bus.root, ".catherd", "checks")
        found = checks.check(folder, None, cache, complete=True)

    return made, [str(one) for one in found if one.severity != "warning"]


def generated_files(bus: Bus, folder: str) -> dict[str, str]:
    """Everything that is made from the artifacts in `folder`, by its path there.

    That is the drawings, the Gantt chart and the trace matrix.
    """
    path = os.path.join(folder, screens.FILE)
    made: dict[str, str] = {}
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as file:
            drawings = screens.compiled(file.read())
        made = {f"docs/ux/{name}": text for name, text in drawings.items()}

    plan = trace.read_plan(folder)
    if plan.milestones:
        made[trace.GANTT] = trace.gantt(plan)
    made[trace.TRACE] = trace.trace(plan, pulls_of_tasks(bus))
    return made


def pulls_of_tasks(bus: Bus) -> dict[str, list[str]]:
    """Task → the merged pull requests that brought it."""
    found: dict[str, list[str]] = {}
    for name in bus.names("prs"):
        if bus.there(f"prs/{name}/merged.yaml"):
            task = pr_files.merged_task(bus, name)
            if task:
                found.setdefault(task, []).append(name)

    return found


def _mend(crank: Crank, number: int, findings: list[str]) -> None:
    """Give the herd a task with the findings, and wait until it is merged."""
    name = f"D-mend-{number}"
    paths = sorted({pr_rules.shown_path(line.partition(":")[0]) for line in findings})
    task = Task(
        kind="design",
        title="Mend what the whole document shows",
        paths=[*paths, "docs/"],
        body="\n".join(findings),
    )
    crank.bus.post(f"tasks/{name}.yaml", task)
    board.open_claim(crank.bus, name, "mend the document")
    merge_wait.merge_some(crank, [name])

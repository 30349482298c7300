"""The end of the plan: the whole document is checked, what is generated from it is made, and both land on main.

What is still wrong goes back to the herd as one more task, a bounded number of times; then a person is called.
"""

import os

from catherd.box import box_trees
from catherd.bus import event_log
from catherd.bus.config import Phase, agents
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus, now
from catherd.core.errors import NeedsYou
from catherd.core.messages import Game, Receipt
from catherd.core.tasks import Task
from catherd.debate import documents
from catherd.design import checks, trace
from catherd.design.wireframe import screens
from catherd.gates import merge_wait
from catherd.git import landing, objects, pr_rules
from catherd.herd.processes import Herd
from catherd.pulls import board, pr_files

MENDS = 3


def complete(
    bus: Bus, phase: Phase, gate: str, game: Game, herd: Herd, teller: Teller
) -> None:
    """Check the document as a whole until it holds, then land the generated files and the receipt."""
    for n in range(1, MENDS + 1):
        made, findings = _look(bus, game)
        if not findings:
            break
        teller.line(
            f"{gate}: {len(findings)} findings in the whole document; back to the herd"
        )
        _mend(bus, phase, gate, n, findings, game, herd, teller)
    else:
        raise NeedsYou(
            f"the document still has findings after {MENDS} rounds: {findings[0]}",
            where="docs/",
            fix="make check-docs lists them; mend them on main and type make again",
        )
    event_log.log_missing(bus)
    made |= documents.talk(bus, agents(bus.root))
    landed = landing.land(
        bus.root,
        game.branch,
        made,
        [],
        f"Land the design document\n\nGame {game.id}.\n",
    )
    receipt = Receipt(
        gate=gate, closed=now(), commit=landed.sha, data={"files": sorted(made)}
    )
    bus.post(f"gates/{gate}.yaml", receipt)
    teller.line(
        f"landed {landed.sha[:12]}: docs/index.md; make design renders it as one page"
    )


def _look(bus: Bus, game: Game) -> tuple[dict[str, bytes], list[str]]:
    """The generated files, and what is wrong with the document when they are there."""
    main = landing.tip(bus.root, game.branch)
    with box_trees.scratch_directory("doc") as folder:
        objects.export(bus.root, main, folder)
        made = {
            name: text.encode() for name, text in generated_files(bus, folder).items()
        }
        for path, content in made.items():
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            with open(os.path.join(folder, path), "wb") as file:
                file.write(content)
        cache = os.path.join(bus.root, ".catherd", "checks")
        found = checks.check(folder, None, cache, complete=True)
    return made, [str(one) for one in found if one.severity != "warning"]


def generated_files(bus: Bus, folder: str) -> dict[str, str]:
    """Everything that is made from the artifacts in `folder`: drawings, the Gantt chart, the trace matrix."""
    path = os.path.join(folder, screens.FILE)
    made: dict[str, str] = {}
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as file:
            made |= {
                f"docs/ux/{name}": text
                for name, text in screens.compiled(file.read()).items()
            }
    plan = trace.read_plan(folder)
    if plan.milestones:
        made[trace.GANTT] = trace.gantt(plan)
    made[trace.TRACE] = trace.trace(plan, pulls_of_tasks(bus))
    return made


def pulls_of_tasks(bus: Bus) -> dict[str, list[str]]:
    """Task → the merged pull requests that brought it."""
    found: dict[str, list[str]] = {}
    for name in bus.names("prs"):
        if bus.there(f"prs/{name}/merged.yaml") and (
            task := pr_files.merged_task(bus, name)
        ):
            found.setdefault(task, []).append(name)
    return found


def _mend(
    bus: Bus,
    phase: Phase,
    gate: str,
    n: int,
    findings: list[str],
    game: Game,
    herd: Herd,
    teller: Teller,
) -> None:
    name = f"D-mend-{n}"
    paths = sorted({pr_rules.shown_path(line.partition(":")[0]) for line in findings})
    bus.post(
        f"tasks/{name}.yaml",
        Task(
            kind="design",
            title="Mend what the whole document shows",
            paths=[*paths, "docs/"],
            body="\n".join(findings),
        ),
    )
    board.open_claim(bus, name, "mend the document")
    merge_wait.merge_some(bus, phase, gate, [name], game, herd, teller)

"""The end of the plan: the whole document is checked, what is generated from it is made, and both land on main.

What is still wrong goes back to the herd as one more task, a bounded number of times; then a person is called.
"""

import os

from catherd import boxtree, changeset, checks, desk, events, landing, objects, record_files, screens, stages, trace
from catherd.bus import Bus, now
from catherd.config import Phase, agents
from catherd.errors import NeedsYou
from catherd.herd import Herd
from catherd.messages import Game, Receipt
from catherd.tasks import Task
from catherd.tell import Teller

MENDS = 3


def complete(bus: Bus, phase: Phase, gate: str, game: Game, herd: Herd, teller: Teller) -> None:
    """Check the document as a whole until it holds, then land the generated files and the receipt."""
    for n in range(1, MENDS + 1):
        made, findings = _look(bus, game)
        if not findings:
            break
        teller.line(f"{gate}: {len(findings)} findings in the whole document; back to the herd")
        _mend(bus, phase, gate, n, findings, game, herd, teller)
    else:
        raise NeedsYou(
            f"the document still has findings after {MENDS} rounds: {findings[0]}",
            where="docs/",
            fix="make check-docs lists them; mend them on main and type make again",
        )
    events.settle(bus)
    made |= record_files.talk(bus, agents(bus.root))
    landed = landing.land(bus.root, game.branch, made, [], f"Land the design document\n\nGame {game.id}.\n")
    receipt = Receipt(gate=gate, closed=now(), commit=landed.sha, data={"files": sorted(made)})
    bus.post(f"gates/{gate}.yaml", receipt)
    teller.line(f"landed {landed.sha[:12]}: docs/index.md; make design renders it as one page")


def _look(bus: Bus, game: Game) -> tuple[dict[str, bytes], list[str]]:
    """The generated files, and what is wrong with the document when they are there."""
    main = landing.tip(bus.root, game.branch)
    with boxtree.room("doc") as folder:
        objects.export(bus.root, main, folder)
        made = {name: text.encode() for name, text in generated(bus, folder).items()}
        for path, content in made.items():
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            with open(os.path.join(folder, path), "wb") as file:
                file.write(content)
        cache = os.path.join(bus.root, ".catherd", "checks")
        found = checks.check(folder, None, cache, complete=True)
    return made, [str(one) for one in found if one.severity != "warning"]


def generated(bus: Bus, folder: str) -> dict[str, str]:
    """Everything that is made from the artifacts in `folder`: drawings, the Gantt chart, the trace matrix."""
    path = os.path.join(folder, screens.FILE)
    made: dict[str, str] = {}
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as file:
            made |= {f"docs/ux/{name}": text for name, text in screens.compiled(file.read()).items()}
    plan = trace.read(folder)
    if plan.milestones:
        made[trace.GANTT] = trace.gantt(plan)
    made[trace.TRACE] = trace.trace(plan, prs(bus))
    return made


def prs(bus: Bus) -> dict[str, list[str]]:
    """Task → the merged pull requests that brought it."""
    found: dict[str, list[str]] = {}
    for name in bus.names("prs"):
        if bus.there(f"prs/{name}/merged.yaml") and (task := desk.task_of(bus, name)):
            found.setdefault(task, []).append(name)
    return found


def _mend(
    bus: Bus, phase: Phase, gate: str, n: int, findings: list[str], game: Game, herd: Herd, teller: Teller
) -> None:
    name = f"D-mend-{n}"
    paths = sorted({changeset.shown(line.partition(":")[0]) for line in findings})
    bus.post(
        f"tasks/{name}.yaml",
        Task(
            kind="design", title="Mend what the whole document shows", paths=[*paths, "docs/"], body="\n".join(findings)
        ),
    )
    desk.offer(bus, name, "mend the document")
    stages.merge_some(bus, phase, gate, [name], game, herd, teller)

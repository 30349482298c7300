"""The gates of plan and of the milestones: allot the tasks, wait until they are merged, land what the engine adds.

Called by the crank, which holds its lock: so there is one merger, and what it does is repeatable.
"""

import os
import time

from catherd.app import criteria
from catherd.bus import config, size_limits, yaml_read
from catherd.bus.config import Phase
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus, now, slug
from catherd.bus.watch import Watch
from catherd.core.errors import CatherdError, NeedsYou
from catherd.core.messages import Game, Input, Receipt, Trouble
from catherd.git import bus_ref, landing, objects
from catherd.herd import readiness, recovery
from catherd.herd.processes import Herd
from catherd.pulls import board, merge_queue
from catherd.pulls.main_tasks import rates, tasks_of


def inputs(bus: Bus, phase: Phase, branch: str) -> list[Input]:
    """What a bid is shown: the decision and the tasks."""
    from catherd.pulls.context import DECISION

    if (game := bus.game()) is not None:
        readiness.packed(bus, config.phases(bus.root), game, phase.name)
    main = landing.tip(bus.root, branch)
    text = (objects.read_blob(bus.root, main, DECISION) or b"").decode(
        "utf-8", "replace"
    )
    data = yaml_read.loads(text, DECISION).data or {}
    made = [
        Input(
            path=DECISION,
            sha256="",
            kind="decision",
            data={"title": data.get("title", ""), "text": data.get("text", "")},
        )
    ]
    for name, task in tasks_of(bus, phase, main).items():
        told = {
            "title": task.title,
            "needs": ", ".join(task.needs),
            "skills": ", ".join(task.skills),
            "body": task.body,
        }
        made.append(
            Input(path=f"tasks/{name}.yaml", sha256="", kind="task", by=name, data=told)
        )
    for name, (passed, of) in sorted(rates(bus).items()):
        made.append(
            Input(
                path="",
                sha256="",
                kind="record",
                by=name,
                data={"passed": passed, "of": of},
            )
        )
    return made


def merge_all(
    bus: Bus, phase: Phase, gate: str, game: Game, herd: Herd, teller: Teller
) -> None:
    """Turn the merge queue until every task of the phase is merged."""
    given = bus.must(f"gates/{_gate(phase, 'allot')}.yaml", Receipt)
    tasks = list(given.data["tasks"])
    if any(one.does == "prove" for one in phase.gates.values()):
        milestone = str(phase.options.get("milestone", phase.name))
        for asked in criteria.entry_criteria(
            bus.root, landing.tip(bus.root, game.branch), milestone
        ):
            teller.line(f"  before {phase.name}: {asked}")
    merge_some(bus, phase, gate, tasks, game, herd, teller)
    forget_troubles(bus, phase.name, tasks)
    bus.post(
        f"gates/{gate}.yaml",
        Receipt(gate=gate, closed=now(), roll=game.roll, data={"tasks": tasks}),
    )
    teller.line(f"{gate} closed: {len(tasks)} tasks merged")


def forget_troubles(bus: Bus, phase: str, tasks: list[str]) -> None:
    """All is merged: what was wrong with a bid or with the allotment needs a person no more."""
    for name in [
        n
        for n in bus.names("problems")
        if n.startswith((f"bid-{phase}-", f"added-{phase}-"))
    ]:
        bus.solved(name.removesuffix(".yaml"))
    for task in tasks:
        bus.solved(f"assignment-{slug(task)}")


def merge_some(
    bus: Bus,
    phase: Phase,
    gate: str,
    tasks: list[str],
    game: Game,
    herd: Herd,
    teller: Teller,
) -> None:
    """Turn the merge queue until these tasks are merged. Raises NeedsYou when all that is left is blocked, CatherdError when the
    goal is cleared meanwhile.
    """
    agents = config.agents(bus.root)
    recovery.recover(bus.root)
    kept = bool(phase.options.get("keep_branches", False))
    largest = int(size_limits.caps(phase).artifact * size_limits.MB)
    readiness.boxed(phase)
    queue = merge_queue.Queue(
        bus, game, agents, board.Desk(bus, agents), tuple(game.roll), kept, largest
    )
    grace = config.seconds(phase.grace, "grace")
    dead: dict[str, float] = {}
    began, told, weigh = time.monotonic(), bus.told(), size_limits.scale(bus, phase)
    with Watch(bus.path, ("", "chat", "problems", "prs"), ("claims",)) as watch:
        while True:
            if not os.path.isdir(bus.path):
                raise CatherdError(
                    "was removed while the game was on",
                    where="bus/",
                    fix=".venv/bin/catherd bus restore",
                )
            if herd.goal and not bus.goal():
                raise CatherdError(
                    "stopped: the goal was cleared",
                    where="bus/goal",
                    fix=f"make {herd.goal}",
                )
            weigh()
            done = [t for t in tasks if bus.there(f"claims/done/{t}.lock")]
            teller.troubles(bus.troubles(told))
            prs = queue.desk.pulls()  # before the turn: what came last to those that are merged in it is told too
            watch.follow(f"prs/{name}" for name in prs)
            if not bus.paused():
                if len(done) == len(tasks):
                    break
                merged = queue.turn()
                if merged:
                    teller.work(
                        bus, gate, prs, len(done), len(tasks), time.monotonic() - began
                    )
                for name in merged:
                    teller.merged(bus, name)
                    bus_ref.snapshot(bus.root, f"{name} merged")
                    watch.ring()
                herd.look()
                for name in agents:
                    herd.fine(name)
                merge_queue.frees(queue, dead, grace)
                readiness.box_refused(bus)
                stuck(bus, tasks, done)
            teller.work(bus, gate, prs, len(done), len(tasks), time.monotonic() - began)
            watch.wait(teller.patience(2.0))


def _gate(phase: Phase, does: str) -> str:
    return next(g.name for g in phase.gates.values() if g.does == does)


def stuck(bus: Bus, tasks: list[str], done: list[str]) -> None:
    """Every task that is left is blocked, or open and waits for one that is: a person must look."""
    left = [t for t in tasks if t not in done]
    held, looking = {t: board.holder(bus, t) for t in left}, board.Desk(bus, {})
    blocked = [t for t in left if held[t] == "blocked"]
    stopped, more = (
        set(blocked),
        [t for t in left if held[t] == "open"] if blocked else [],
    )
    needs = {t: task.needs for t in more if (task := looking.task(t)) is not None}
    while new := {
        t for t in needs if t not in stopped and not stopped.isdisjoint(needs[t])
    }:
        stopped |= new
    if blocked and stopped == set(left):
        first = blocked[0]
        said = bus.look(f"problems/blocked-{first.lower()}.yaml", Trouble)
        raise NeedsYou(
            said.what
            if said and len(blocked) == 1
            else f"{', '.join(blocked)} failed too often",
            where="bus/claims/blocked/",
            fix=f"edit bus/tasks/{first}.yaml, then mv bus/claims/blocked/{first}.lock bus/claims/open/",
        )

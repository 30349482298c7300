"""Waiting for merges: the queue is turned until the tasks of a gate are on main.

The caller holds the crank. So there is one merger, and what it does can be repeated.
"""

import os
import time
from collections.abc import Collection

from catherd.app import criteria
from catherd.bus import config, size_limits
from catherd.bus.store import Bus, now, slug
from catherd.bus.watch import Watch
from catherd.core.errors import NeedsYou
from catherd.core.messages import Receipt, Trouble
from catherd.gates.step import Crank, bus_removed, goal_cleared
from catherd.git import bus_ref, landing
from catherd.herd import readiness, recovery
from catherd.pulls import board, merge_queue


def merge_all(crank: Crank) -> None:
    """Turn the merge queue until every task of the phase is merged."""
    bus, phase, gate = crank.bus, crank.phase, crank.gate.name
    allot = next(one.name for one in phase.gates.values() if one.does == "allot")
    allotted = bus.must(f"gates/{allot}.yaml", Receipt)
    tasks = list(allotted.data["tasks"])

    if any(one.does == "prove" for one in phase.gates.values()):
        _tell_entry_criteria(crank)

    merge_some(crank, tasks)
    forget_troubles(bus, phase.name, tasks)
    crank.close(
        Receipt(
            gate=gate,
            closed=now(),
            roll=crank.game.roll,
            data={"tasks": tasks},
        )
    )
    crank.teller.line(f"{gate} closed: {len(tasks)} tasks merged")


def _tell_entry_criteria(crank: Crank) -> None:
    """Say what the roadmap asks before the milestone begins. Nothing waits for it."""
    root = crank.bus.root
    main = landing.tip(root, crank.game.branch)
    for asked in criteria.entry_criteria(root, main, crank.milestone):
        crank.teller.line(f"  before {crank.phase.name}: {asked}")


def forget_troubles(bus: Bus, phase: str, tasks: list[str]) -> None:
    """All is merged: a wrong bid or allotment needs a person no more."""
    for name in bus.names("problems"):
        if name.startswith((f"bid-{phase}-", f"added-{phase}-")):
            bus.solved(name.removesuffix(".yaml"))
    for task in tasks:
        bus.solved(f"assignment-{slug(task)}")


def merge_some(crank: Crank, tasks: list[str]) -> None:
    """Turn the merge queue until these tasks are merged.

    Raises NeedsYou when all that is left is blocked, CatherdError when the bus was
    removed or the goal was cleared meanwhile.
    """
    bus, teller = crank.bus, crank.teller
    queue = _queue(crank)
    dead: dict[str, float] = {}  # agent → since when it is not alive
    weigh = size_limits.scale(bus, crank.phase)
    since = bus.told()
    began = time.monotonic()

    def tell(prs: list[str], done: list[str]) -> None:
        waited = time.monotonic() - began
        teller.work(bus, crank.gate.name, prs, len(done), len(tasks), waited)

    with Watch(bus.path, ("", "chat", "problems", "prs"), ("claims",)) as watch:
        while True:
            _still_wanted(crank)
            weigh()
            done = [task for task in tasks if bus.there(f"claims/done/{task}.lock")]
            teller.troubles(bus.troubles(since))

            # Read before the queue turns: what came last to the pull requests that it
            # merges is told, too.
            prs = queue.desk.pulls()
            watch.follow(f"prs/{name}" for name in prs)

            if not bus.paused():
                if len(done) == len(tasks):
                    return
                merged = queue.turn()
                if merged:
                    tell(prs, done)
                for name in merged:
                    teller.merged(bus, name)
                    bus_ref.snapshot(bus.root, f"{name} merged")
                    watch.ring()

                _look_after(crank, queue, dead)
                stuck(bus, tasks, done)

            tell(prs, done)
            watch.wait(teller.patience(2.0))


def _queue(crank: Crank) -> merge_queue.Queue:
    """The merge queue of this game. Raises NeedsYou where nothing can be built here."""
    bus, phase = crank.bus, crank.phase
    agents = config.agents(bus.root)
    recovery.recover(bus.root)
    megabytes = size_limits.caps(phase).artifact
    readiness.boxed(phase)

    return merge_queue.Queue(
        bus,
        crank.game,
        agents,
        board.Desk(bus, agents),
        tuple(crank.game.roll),
        keep_branches=bool(phase.options.get("keep_branches", False)),
        largest=int(megabytes * size_limits.MB),
    )


def _still_wanted(crank: Crank) -> None:
    """Raises CatherdError when the bus was removed or the goal was cleared."""
    if not os.path.isdir(crank.bus.path):
        raise bus_removed()
    if crank.herd.goal and not crank.bus.goal():
        raise goal_cleared(crank.herd.goal)


def _look_after(crank: Crank, queue: merge_queue.Queue, dead: dict[str, float]) -> None:
    """Keep the agents alive, and free what those hold that stay dead."""
    crank.herd.look()
    for name in queue.agents:
        crank.herd.fine(name)
    merge_queue.frees(queue, dead, config.seconds(crank.phase.grace, "grace"))
    readiness.box_refused(crank.bus)


def stuck(bus: Bus, tasks: list[str], done: Collection[str]) -> None:
    """Raises NeedsYou when every task that is left is blocked, or waits for one."""
    left = [task for task in tasks if task not in done]
    held = {task: board.holder(bus, task) for task in left}
    blocked = [task for task in left if held[task] == "blocked"]
    if not blocked:
        return

    free = [task for task in left if held[task] == "open"]
    if set(blocked) | _behind(bus, blocked, free) != set(left):
        return

    first = blocked[0]
    raise NeedsYou(
        _why_blocked(bus, blocked),
        where="bus/claims/blocked/",
        fix=f"edit bus/tasks/{first}.yaml, then mv bus/claims/blocked/{first}.lock bus/claims/open/",
    )


def _why_blocked(bus: Bus, tasks: list[str]) -> str:
    """Why a task is blocked, as its trouble says. Of several tasks: which they are."""
    if len(tasks) == 1:
        said = bus.look(f"problems/blocked-{tasks[0].lower()}.yaml", Trouble)
        if said:
            return said.what
    return f"{', '.join(tasks)} failed too often"


def _behind(bus: Bus, blocked: list[str], free: list[str]) -> set[str]:
    """The tasks of `free` that need a blocked task, or one that is behind another."""
    desk = board.Desk(bus, {})
    needs = {}
    for name in free:
        task = desk.task(name)
        if task is not None:
            needs[name] = task.needs

    stopped = set(blocked)
    while True:
        more = {name for name in needs if not stopped.isdisjoint(needs[name])}
        if more <= stopped:
            return stopped - set(blocked)
        stopped |= more

"""The gate that allots: bids become an allotment, agents may swap what costs neither, tasks are posted and open to claims.

Agents may add tasks of their own to the plan: few, and only to pages below docs/ that belong to nobody.
"""

import os
from typing import Any

import msgspec

from catherd.bus import yaml_read
from catherd.bus.chat import remark
from catherd.bus.config import Phase
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus, now, slug
from catherd.core.errors import CatherdError
from catherd.core.messages import Input, Receipt
from catherd.core.tasks import Assignment, Bid, Task, cycle
from catherd.design.checks import SKIPPED
from catherd.git import landing
from catherd.git.pr_rules import bad_name, denied
from catherd.pulls import allot, authors, board
from catherd.pulls.main_tasks import rates, tasks_of

ADDED_EACH, ADDED_ALL = 1, 4  # tasks of their own, by one agent and by all of them


class Allotment(msgspec.Struct):
    """What lies on the table: the tasks, who is to have which, and what was bid."""

    tasks: dict[str, Task]
    chosen: dict[str, str]
    bids: dict[str, Bid]
    proves: list[str]
    roll: list[str]
    closed: str

    def fits(self) -> dict[str, dict[str, int]]:
        """Agent → task → fit; who adds a task is fit for it."""
        own = {
            name: {str(one["id"]): 5 for one in bid.adds}
            for name, bid in self.bids.items()
        }
        return {name: {**own[name], **bid.fits} for name, bid in self.bids.items()}


def allot_tasks(bus: Bus, phase: Phase, branch: str) -> Allotment:
    """The allotment by the bids that were counted."""
    tasks = tasks_of(bus, phase, landing.tip(bus.root, branch))
    asked = next(g for g in phase.gates.values() if g.kind == "bid")
    receipt = bus.must(f"gates/{asked.name}.yaml", Receipt)
    made = Allotment(
        tasks=tasks,
        chosen={},
        bids={},
        proves=[],
        roll=receipt.roll,
        closed=receipt.closed,
    )
    given = list(tasks)
    for spoken in receipt.counted:
        name = os.path.basename(spoken.path).removesuffix(".yaml")
        bid = made.bids[name] = yaml_read.typed(
            yaml_read.loads(spoken.text, f"bus/{spoken.path}"), Bid
        )
        _take_in(bus, phase, made, name, bid, spoken.path, given)
    for spoken in receipt.counted:
        name = os.path.basename(spoken.path).removesuffix(".yaml")
        for odd in sorted(set(made.bids[name].fits) - set(tasks)):
            bus.trouble(
                f"bid-{slug(spoken.path)}",
                f"bus/{spoken.path}",
                f"a bid for '{odd}', which is no task, is not counted",
                f"one of: {', '.join(tasks)}",
                spoken.sha256,
            )
    made.proves = sorted(
        name for name, task in tasks.items() if "app/app.yaml" in task.artifacts
    )
    wrote = authors.provers(bus.root, landing.tip(bus.root, branch))
    for name in set(tasks) - set(made.proves) if "tasks" not in phase.options else ():
        tasks[name].apart = wrote
    made.chosen = allot.allot_apart(
        list(tasks), sorted(made.bids) or receipt.roll, made.fits(), made.proves, wrote
    )
    return made


def _take_in(
    bus: Bus,
    phase: Phase,
    made: Allotment,
    name: str,
    bid: Bid,
    path: str,
    given: list[str],
) -> None:
    """The tasks that an agent adds, as far as they may be."""
    kept: list[dict[str, Any]] = []
    for one in bid.adds:
        fault = _fault(made, phase, one, len(kept), given)
        if fault:
            bus.trouble(
                f"added-{slug(path)}",
                f"bus/{path}",
                f"the task '{one.get('id', '')}' is not added: {fault}",
                f"rm 'bus/problems/added-{slug(path)}.yaml'",
                str(one),
            )
            continue
        task = Task(
            kind="design",
            title=str(one["title"]),
            needs=list(one["needs"]),
            paths=list(one["paths"]),
            by=name,
        )
        made.tasks[str(one["id"])] = task
        kept.append(one)
    bid.adds = kept


def _fault(
    made: Allotment, phase: Phase, one: dict[str, Any], mine: int, given: list[str]
) -> str:
    """Why a task may not be added; "" when it may."""
    paths, needs, name = (
        one.get("paths"),
        one.get("needs") or [],
        str(one.get("id", "")),
    )
    if "tasks" not in phase.options:
        return "tasks are added to the plan only"
    if mine >= ADDED_EACH or len(made.tasks) - len(given) >= ADDED_ALL:
        return f"at most {ADDED_EACH} by each agent and {ADDED_ALL} in all"
    if not name.startswith("D-") or name in made.tasks or not one.get("title"):
        return "it needs a title and an id of its own, D-…"
    if not isinstance(paths, list) or not paths or not isinstance(needs, list):
        return "it says no paths"
    for path in map(str, paths):
        taken = any(
            path.startswith(p) or p.startswith(path)
            for t in made.tasks.values()
            for p in t.paths
        )
        if (
            bad_name(path)
            or denied(path)
            or not path.startswith("docs/")
            or not path.endswith(".md")
            or path.startswith(SKIPPED)
        ):
            return f"{path} is no page of the design document"
        if taken:
            return f"{path} belongs to another task"
    unknown = sorted(set(map(str, needs)) - set(given))
    return f"it needs {unknown[0]}, which is no task" if unknown else ""


def offers(made: Allotment) -> list[Input]:
    """What each agent could swap without loss to either; empty: nobody need be asked."""
    fits = made.fits()
    found = []
    for a, b in allot.swappable(made.chosen, fits, made.proves):
        for mine, theirs in ((a, b), (b, a)):
            told = {"mine": mine, "theirs": theirs, "of": made.chosen[theirs]}
            told |= {"title": made.tasks[mine].title, "other": made.tasks[theirs].title}
            found.append(
                Input(path="", sha256="", kind="swap", by=made.chosen[mine], data=told)
            )
    return sorted(found, key=lambda i: (i.by, i.data["mine"], i.data["theirs"]))


def publish_allotment(
    bus: Bus,
    phase: Phase,
    gate: str,
    made: Allotment,
    wishes: dict[str, Bid],
    teller: Teller,
) -> None:
    """Publish the allotment, after the swaps that both sides wish for, and the tasks; open their claims."""
    if circle := cycle(made.tasks):
        raise CatherdError(
            f"the tasks need each other in a circle: {' → '.join(circle)}",
            where="bus/plan/bids/",
        )
    wanted = {
        who: (b.swap.get("give", ""), b.swap.get("take", ""))
        for who, b in wishes.items()
        if b.swap
    }
    chosen = allot.swapped(made.chosen, wanted)
    why = allot.reasons(
        chosen, made.fits(), {n: b.reasons for n, b in made.bids.items()}
    )
    record = rates(bus)
    for name, agent in chosen.items():
        if agent in record:
            why[name] += (
                f" (record: {record[agent][0]} of {record[agent][1]} passed at first sight)"
            )
        if agent != made.chosen[name]:
            why[name] += f"; swapped with {made.chosen[name]}"
    header = (
        "# Yours to edit until a task is claimed: task: agent. `why` only explains.\n"
    )
    bus.post(
        f"{phase.name}/assignment.yaml",
        Assignment(tasks=chosen, proves=made.proves, why=why),
        header,
    )
    for name, task in made.tasks.items():
        bus.post(f"tasks/{name}.yaml", task)
        board.open_claim(bus, name, task.title)
    for agent, bid in sorted(made.bids.items()):
        best = sorted(bid.fits, key=lambda task: (-bid.fits[task], task))[:1]
        mine = sorted(task for task, owner in chosen.items() if owner == agent)
        if best and mine:
            said = f"I bid {bid.fits[best[0]]} on {best[0]} and have {', '.join(mine)}."
            remark(bus, agent, made.closed, f"{phase.name}/bids/{agent}", said)
    bus.post(
        f"gates/{gate}.yaml",
        Receipt(gate=gate, closed=now(), roll=made.roll, data={"tasks": chosen}),
    )
    loads = {
        a: sum(1 for owner in chosen.values() if owner == a)
        for a in sorted(set(chosen.values()))
    }
    teller.line(
        f"{gate}: "
        + ", ".join(f"{teller.names.get(a, a)} {n}" for a, n in loads.items())
    )

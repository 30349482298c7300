"""The gate that allots: bids become an allotment.

Agents may then swap what costs neither, and the tasks are posted and open to claims.
Agents may add a few tasks of their own to the plan, and only for pages below docs/ that
belong to nobody.
"""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from catherd.bus import yaml_read
from catherd.bus.chat import remark
from catherd.bus.config import Phase
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus, now, slug
from catherd.core.errors import CatherdError
from catherd.core.messages import Input, Receipt, Spoken
from catherd.core.tasks import Assignment, Bid, Task, cycle
from catherd.design.checks import SKIPPED
from catherd.git import landing
from catherd.git.pr_rules import bad_name, denied
from catherd.pulls import allot, authors, board
from catherd.pulls.main_tasks import rates, tasks_of

# Tasks of their own that one agent and all of them together may add.
ADDED_EACH, ADDED_ALL = 1, 4
HEADER = "# Yours to edit until a task is claimed: task: agent. `why` only explains.\n"


class Allotment(msgspec.Struct):
    """What lies on the table: the tasks, the agent that is to have each, and the bids.

    `given` are the tasks that no agent added, `proves` those that write journeys.
    """

    tasks: dict[str, Task]
    given: list[str]
    roll: list[str]
    closed: str
    chosen: dict[str, str] = msgspec.field(default_factory=dict)
    bids: dict[str, Bid] = msgspec.field(default_factory=dict)
    proves: list[str] = msgspec.field(default_factory=list)

    def fits(self) -> dict[str, dict[str, int]]:
        """Agent → task → fit. An agent is fit for the tasks that it adds."""
        found = {}
        for name, bid in self.bids.items():
            own = {str(one["id"]): 5 for one in bid.adds}
            found[name] = {**own, **bid.fits}
        return found


def allot_tasks(bus: Bus, phase: Phase, branch: str) -> Allotment:
    """The allotment by the bids that were counted."""
    main = landing.tip(bus.root, branch)
    tasks = tasks_of(bus, phase, main)
    asked = next(gate for gate in phase.gates.values() if gate.kind == "bid")
    receipt = bus.must(f"gates/{asked.name}.yaml", Receipt)

    made = Allotment(
        tasks=tasks, given=list(tasks), roll=receipt.roll, closed=receipt.closed
    )
    for spoken in receipt.counted:
        bid = yaml_read.typed(yaml_read.loads(spoken.text, f"bus/{spoken.path}"), Bid)
        made.bids[_author(spoken)] = bid
        _take_in(bus, phase, made, spoken)

    for spoken in receipt.counted:
        _tell_strange_bids(bus, made, spoken)

    made.proves = _proving(tasks)
    wrote = authors.provers(bus.root, main)
    if "tasks" not in phase.options:
        for name in set(tasks) - set(made.proves):
            tasks[name].apart = wrote

    bidders = sorted(made.bids) or receipt.roll
    made.chosen = allot.allot_apart(
        list(tasks), bidders, made.fits(), made.proves, wrote
    )
    return made


def _author(spoken: Spoken) -> str:
    return os.path.basename(spoken.path).removesuffix(".yaml")


def _proving(tasks: Mapping[str, Task]) -> list[str]:
    """The tasks that write journeys, sorted."""
    return sorted(
        name for name, task in tasks.items() if "app/app.yaml" in task.artifacts
    )


def _tell_strange_bids(bus: Bus, made: Allotment, spoken: Spoken) -> None:
    """Report bids for tasks that do not exist."""
    for odd in sorted(set(made.bids[_author(spoken)].fits) - set(made.tasks)):
        bus.trouble(
            f"bid-{slug(spoken.path)}",
            f"bus/{spoken.path}",
            f"a bid for '{odd}', which is no task, is not counted",
            f"one of: {', '.join(made.tasks)}",
            spoken.sha256,
        )


def _take_in(bus: Bus, phase: Phase, made: Allotment, spoken: Spoken) -> None:
    """Put the tasks that an agent adds among the others.

    Report those that may not be added.
    """
    name = _author(spoken)
    kept: list[dict[str, Any]] = []
    for one in made.bids[name].adds:
        fault = _fault(phase, made, one, len(kept))
        if fault:
            bus.trouble(
                f"added-{slug(spoken.path)}",
                f"bus/{spoken.path}",
                f"the task '{one.get('id', '')}' is not added: {fault}",
                f"rm 'bus/problems/added-{slug(spoken.path)}.yaml'",
                str(one),
            )
            continue

        made.tasks[str(one["id"])] = Task(
            kind="design",
            title=str(one["title"]),
            needs=list(one["needs"]),
            paths=list(one["paths"]),
            by=name,
        )
        kept.append(one)

    made.bids[name].adds = kept


def _fault(phase: Phase, made: Allotment, one: dict[str, Any], mine: int) -> str:
    """Why a task may not be added, "" when it may.

    `mine`: how many its agent added before.
    """
    if "tasks" not in phase.options:
        return "tasks are added to the plan only"
    added = len(made.tasks) - len(made.given)
    if mine >= ADDED_EACH or added >= ADDED_ALL:
        return f"at most {ADDED_EACH} by each agent and {ADDED_ALL} in all"
    if not one.get("title") or not _own_id(made, str(one.get("id", ""))):
        return "it needs a title and an id of its own, D-…"
    paths, needs = one.get("paths"), one.get("needs") or []
    if not isinstance(paths, list) or not paths or not isinstance(needs, list):
        return "it says no paths"

    for path in paths:
        fault = _path_fault(made, str(path))
        if fault:
            return fault

    return _needs_fault(made, [str(need) for need in needs])


def _own_id(made: Allotment, name: str) -> bool:
    """Whether an id is one for a part of the document, and no other task has it."""
    return name.startswith("D-") and name not in made.tasks


def _path_fault(made: Allotment, path: str) -> str:
    """Why a task that is added may not have a path; "" when it may."""
    if not _is_page(path):
        return f"{path} is no page of the design document"
    for task in made.tasks.values():
        for other in task.paths:
            if path.startswith(other) or other.startswith(path):
                return f"{path} belongs to another task"

    return ""


def _is_page(path: str) -> bool:
    """Whether a path is that of a page of the design document that agents write."""
    if bad_name(path) or denied(path) or path.startswith(SKIPPED):
        return False
    return path.startswith("docs/") and path.endswith(".md")


def _needs_fault(made: Allotment, needs: list[str]) -> str:
    """The first of the needs that is none of the tasks that were given; "" for none."""
    unknown = sorted(set(needs) - set(made.given))
    return f"it needs {unknown[0]}, which is no task" if unknown else ""


def offers(made: Allotment) -> list[Input]:
    """What each agent could swap without loss to either.

    Where it is empty nobody need be asked.
    """
    found = []
    for a, b in allot.swappable(made.chosen, made.fits(), made.proves):
        found += [_offer(made, a, b), _offer(made, b, a)]
    return sorted(found, key=lambda one: (one.by, one.data["mine"], one.data["theirs"]))


def _offer(made: Allotment, mine: str, theirs: str) -> Input:
    """The offer to the agent of the task `mine` to take `theirs` for it."""
    told = {
        "mine": mine,
        "theirs": theirs,
        "of": made.chosen[theirs],
        "title": made.tasks[mine].title,
        "other": made.tasks[theirs].title,
    }
    return Input(path="", sha256="", kind="swap", by=made.chosen[mine], data=told)


def publish_allotment(
    bus: Bus,
    phase: Phase,
    gate: str,
    made: Allotment,
    wishes: dict[str, Bid],
    teller: Teller,
) -> None:
    """Publish the allotment and the tasks, and open their claims.

    The swaps that both sides wish for come before that. Raises CatherdError when the
    tasks need each other in a circle.
    """
    circle = cycle(made.tasks)
    if circle:
        raise CatherdError(
            f"the tasks need each other in a circle: {' → '.join(circle)}",
            where="bus/plan/bids/",
        )

    chosen = allot.swapped(made.chosen, _wanted(wishes))
    assignment = Assignment(
        tasks=chosen,
        proves=made.proves,
        why=_reasons(bus, made, chosen),
    )
    bus.post(f"{phase.name}/assignment.yaml", assignment, HEADER)

    for name, task in made.tasks.items():
        bus.post(f"tasks/{name}.yaml", task)
        board.open_claim(bus, name, task.title)

    _remark_bids(bus, phase, made, chosen)
    receipt = Receipt(
        gate=gate,
        closed=now(),
        roll=made.roll,
        data={"tasks": chosen},
    )
    bus.post(f"gates/{gate}.yaml", receipt)
    teller.line(f"{gate}: {_loads(chosen, teller)}")


def _loads(chosen: dict[str, str], teller: Teller) -> str:
    """How many tasks each agent has: `ChatGPT 2, Claude 2`."""
    owners = list(chosen.values())
    told = []
    for agent in sorted(set(owners)):
        name = teller.names.get(agent, agent)
        told.append(f"{name} {owners.count(agent)}")

    return ", ".join(told)


def _wanted(wishes: dict[str, Bid]) -> dict[str, tuple[str, str]]:
    """Agent → (what it would give, what it would take)."""
    found = {}
    for agent, bid in wishes.items():
        if bid.swap:
            found[agent] = (bid.swap.get("give", ""), bid.swap.get("take", ""))
    return found


def _reasons(bus: Bus, made: Allotment, chosen: dict[str, str]) -> dict[str, str]:
    """Task → why this agent has it: its fit, its record, and the swap."""
    said = {name: bid.reasons for name, bid in made.bids.items()}
    why = allot.reasons(chosen, made.fits(), said)
    record = rates(bus)

    for name, agent in chosen.items():
        if agent in record:
            passed, of = record[agent]
            why[name] += f" (record: {passed} of {of} passed at first sight)"

        if agent != made.chosen[name]:
            why[name] += f"; swapped with {made.chosen[name]}"

    return why


def _remark_bids(
    bus: Bus, phase: Phase, made: Allotment, chosen: dict[str, str]
) -> None:
    """Let each agent that has a task say in the chat what it bid most on and what it
    has.
    """
    for agent, bid in sorted(made.bids.items()):
        mine = sorted(task for task, owner in chosen.items() if owner == agent)
        if not bid.fits or not mine:
            continue
        best = min(bid.fits, key=lambda task: (-bid.fits[task], task))
        said = f"I bid {bid.fits[best]} on {best} and have {', '.join(mine)}."
        remark(bus, agent, made.closed, f"{phase.name}/bids/{agent}", said)

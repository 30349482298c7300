"""The gates before the work: what a bid is shown, and the allotment of the tasks."""

from typing import Any

from catherd.bus import config, yaml_read
from catherd.core.messages import Input
from catherd.core.tasks import Bid
from catherd.debate import asks
from catherd.debate.hearing import Hearing
from catherd.gates import asking
from catherd.gates.step import Crank
from catherd.git import landing, objects
from catherd.herd import readiness
from catherd.pulls import allotment
from catherd.pulls.context import DECISION
from catherd.pulls.main_tasks import rates, tasks_of


def shown_inputs(crank: Crank) -> list[Input]:
    """What a bid is shown: the decision, the tasks, and the record of each agent.

    Raises CatherdError where a rehearsal has nothing to play this phase with.
    """
    bus, phase = crank.bus, crank.phase
    phases = config.phases(bus.root)
    readiness.packed(bus, phases, crank.game, phase.name)

    main = landing.tip(bus.root, crank.game.branch)
    shown = [_decision(bus.root, main)]

    for name, task in tasks_of(bus, phase, main).items():
        told: dict[str, Any] = {
            "title": task.title,
            "needs": ", ".join(task.needs),
            "skills": ", ".join(task.skills),
            "body": task.body,
        }
        shown.append(_input("task", told, path=f"tasks/{name}.yaml", by=name))

    for name, (passed, of) in sorted(rates(bus).items()):
        told = {"passed": passed, "of": of}
        shown.append(_input("record", told, by=name))

    return shown


def _decision(root: str, main: str) -> Input:
    """What was decided, as the commit `main` has it."""
    content = objects.read_blob(root, main, DECISION) or b""
    data = yaml_read.loads(content.decode("utf-8", "replace"), DECISION).data or {}
    told = {"title": data.get("title", ""), "text": data.get("text", "")}
    return _input("decision", told, path=DECISION)


def _input(kind: str, data: dict[str, Any], *, path: str = "", by: str = "") -> Input:
    # It is not what a receipt counted, so there is no sha256 to hold it to.
    return Input(path=path, sha256="", kind=kind, by=by, data=data)


def close_allotment(crank: Crank) -> None:
    """Give out the tasks by the bids.

    Agents that could swap a task without loss to either side are asked once, where the
    phase file has a step for it.
    """
    bus, phase, gate = crank.bus, crank.phase, crank.gate
    made = allotment.allot_tasks(bus, phase, crank.game.branch)

    wishes: dict[str, Bid] = {}
    offers = allotment.offers(made) if gate.step else []
    if offers:
        wishes = _swaps_wished(crank, offers)

    allotment.publish_allotment(bus, phase, gate.name, made, wishes, crank.teller)


def _swaps_wished(crank: Crank, offers: list[Input]) -> dict[str, Bid]:
    """Ask each agent that has an offer which swap it wants. Gives agent → answer."""
    bus, gate = crank.bus, crank.gate
    roll = sorted({one.by for one in offers})
    ask = asks.open_ask(bus, crank.phase, gate, crank.game, roll, offers)
    hearing = Hearing(bus, gate, ask)
    asking.wait_for_answers(crank, ask, hearing)

    wishes = {}
    for name, one in hearing.heard.items():
        if isinstance(one.message, Bid):
            wishes[name] = one.message

    return wishes

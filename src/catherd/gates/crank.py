"""The crank: one make step. `catherd gate NAME` takes the crank, waits until the gate is satisfied, links its receipt.

Whoever finds the crank taken follows and returns when the receipt appears, so typing the command twice is no error. The
timebox runs only while a gate waits and nothing is paused; starting again restarts it. A receipt is made once, by link(2).
"""

import os
import time

import msgspec

from catherd.bus import atomic, chat, config, crashpoints, event_log, size_limits
from catherd.bus.config import Agent, Gate, Phase
from catherd.bus.narrator import Teller
from catherd.bus.reader import Looker
from catherd.bus.store import OPEN, Bus, now, slug
from catherd.bus.watch import Watch
from catherd.core import closing
from catherd.core.errors import CatherdError, NeedsYou
from catherd.core.messages import Ask, Game, Input, Pitch, Receipt
from catherd.core.turns import Snapshot, owed
from catherd.debate import asks, proposals, vetoes
from catherd.debate.hearing import Hearing, mended_first
from catherd.git import bus_ref
from catherd.herd.processes import Herd

REHEARSAL_TIMEBOX = 30.0  # a rehearsal answers at once or never


class Crank(msgspec.Struct):
    """What one make step works with."""

    bus: Bus
    phase: Phase
    gate: Gate
    game: Game
    agents: dict[str, Agent]
    herd: Herd
    teller: Teller


def turn(root: str, name: str, teller: Teller) -> None:
    """Close the gate `name`, or follow whoever is closing it. Raises NeedsYou when a person must choose."""
    crashpoints.take_role("gate")
    bus = Bus(root)
    phase, gate = config.gate_of(root, name)
    if bus.closed(name):
        return
    lock = (
        atomic.take_lock(bus.here(".crank.lock"), wait=False)
        if os.path.isdir(bus.path)
        else None
    )
    if lock is None and os.path.isdir(bus.path):
        teller.line(f"{name}: another make is at it; following")
        lock = _follow(bus, name)
    if lock is None:
        if not bus.closed(name):
            raise removed()
        return
    atomic.touch(bus.here(".crank.lock"))
    try:
        if bus.closed(name):
            return
        atomic.sweep_writers(bus.path)
        game = bus.game()
        if game is None:
            raise CatherdError(
                "no game is on",
                where="bus/game.yaml",
                fix=f"make {bus.goal() or 'debate'}",
            )
        agents, wrong = config.readable_agents(root)
        for error in wrong:  # the game goes on without what is broken meanwhile; the next goal that is typed refuses it
            bus.trouble(
                f"file-{slug(error.where.partition(':')[0])}",
                error.where,
                error.what,
                error.fix,
            )
        crank = Crank(
            bus,
            phase,
            gate,
            game,
            agents,
            Herd(bus, {a: c for a, c in agents.items() if a in game.roll}),
            teller,
        )
        DOES[gate.does](crank)
        failed = bus_ref.snapshot(root, f"{name} closed").error
        if failed:
            bus.event("snapshot-failed", name, why=failed)
    except FileNotFoundError:
        if atomic.whole(bus.path):
            raise
        raise removed() from None
    finally:
        atomic.touch(
            bus.here(".crank.lock")
        )  # between two gates nobody holds it for a moment: that is not abandoned
        os.close(lock)


def _follow(bus: Bus, name: str) -> int | None:
    """Wait until the gate is closed (None), or the crank is free and ours."""
    with (
        Watch(bus.path, ("gates",), ()) as watch
    ):  # not the lock's folder: each of our own looks at it would wake us again
        while os.path.isdir(bus.path):
            if bus.closed(name):
                return None
            lock = atomic.take_lock(bus.here(".crank.lock"), wait=False)
            if lock is not None:
                return lock
            watch.wait(0.5)
    return None


def removed() -> CatherdError:
    """The bus went away under a running game."""
    return CatherdError(
        "was removed while the game was on",
        where="bus/",
        fix=".venv/bin/catherd bus restore",
    )


def timebox(gate: Gate, game: Game, *, yours: bool = False) -> float:
    """Seconds: the phase file's, cut in a rehearsal that does not wait for an answer of `yours`; `TIMEBOX=2s` overrides both."""
    if told := os.environ.get("TIMEBOX"):
        return config.seconds(told, "TIMEBOX")
    seconds = config.seconds(gate.timebox, gate.name)
    return (
        min(seconds, REHEARSAL_TIMEBOX)
        if game.models == "rehearsal" and not yours
        else seconds
    )


def _ask(crank: Crank) -> None:
    bus, gate = crank.bus, crank.gate
    roll = list(crank.game.roll)
    opened = bus.there(f"{gate.step}/{OPEN}")
    if gate.kind == "ballot" and not opened and crank.teller.vote_too():
        roll.append("human")
    shown = _shown(crank)
    ask = asks.open_ask(bus, crank.phase, gate, crank.game, roll, shown)
    if "human" in ask.roll:
        from catherd.debate import (
            election,
        )  # here and below: what one gate needs is not imported by the others

        crank.teller.your_ballot(
            f"bus/{election.ballot_form(bus, ask)}",
            [i.by for i in ask.inputs if i.kind == "proposal"],
        )
    hearing = Hearing(bus, gate, ask)
    verdict = _wait(crank, ask, hearing)
    if verdict.act == "human":
        raise NeedsYou(
            verdict.why,
            where=f"bus/{gate.step}/",
            fix=f"write the missing answers ({', '.join(verdict.waiting)}) there, or type make {bus.goal() or gate.name} to wait again",
        )
    _close(crank, ask, hearing, list(verdict.absent))
    asks.ahead(bus, crank.phase, crank.game, bus.goal(), asking=crank.teller.asking)


def _wait(crank: Crank, ask: Ask, hearing: Hearing) -> closing.CloseVerdict:
    bus, gate, teller = crank.bus, crank.gate, crank.teller
    looker = Looker(bus, {crank.phase.name: crank.phase}, crank.agents)
    box = timebox(gate, crank.game, yours="human" in ask.roll)
    excused = _excused(crank)
    waited, before, weigh = 0.0, time.monotonic(), size_limits.scale(bus, crank.phase)
    teller.knows(chat.logged_chat(bus))
    told = bus.told()
    with Watch(bus.path, ("", "chat", "problems", ask.step), ()) as watch:
        crank.herd.ring = watch.ring
        while True:
            if not atomic.whole(bus.path):
                raise removed()
            seen = looker.look()
            if crank.herd.goal and not seen.goal:
                for _ in range(
                    20
                ):  # or is all of it being removed? That takes a moment where many write
                    time.sleep(0.05)
                    if not atomic.whole(bus.path):
                        raise removed()
                raise CatherdError(
                    "stopped: the goal was cleared",
                    where="bus/goal",
                    fix=f"make {crank.herd.goal}",
                )
            hearing.look()
            moment = time.monotonic()
            weigh()
            waited, before = waited + (0.0 if seen.paused else moment - before), moment
            heard = hearing.ready() if waited < box else set(hearing.heard)
            pending = _pending(ask, seen)
            verdict = closing.judge_gate(
                ask.roll,
                heard,
                excused - heard,
                pending,
                closing.Clock(waited, box),
                votes=gate.kind == "ballot",
            )
            for name in heard:
                crank.herd.fine(name)
            chat.log_chat(bus)
            vetoes.tell(bus, looker.phases)
            teller.said(ask, hearing.heard, seen.chat)
            teller.troubles(bus.troubles(told))
            if verdict.act == "wait":
                mended_first(bus, ask, verdict.waiting)
            if (
                verdict.act != "wait"
                and not seen.paused
                and _may_go(bus, teller, gate.name)
            ):
                return verdict
            if not seen.paused:
                crank.herd.look()
            elif bus.there("problems/cap.yaml"):
                _money(bus)
            teller.waiting(gate.name, verdict, seen.paused, waited)
            watch.wait(
                teller.patience(
                    max(
                        0.05,
                        min(2.0, box - waited if waited < box else 2 * box - waited),
                    )
                )
            )


def _money(bus: Bus) -> None:
    from catherd.herd import budget

    budget.ask(bus)


def _pending(ask: Ask, seen: Snapshot) -> int:
    return sum(len(stems) for stems in owed(ask, seen).values())


def _excused(crank: Crank) -> set[str]:
    """Who missed the last timebox of this phase."""
    for gate in reversed([g for g in crank.phase.gates.values() if g.does == "ask"]):
        receipt = crank.bus.receipt(gate.name)
        if receipt is not None:
            return set(receipt.absent)
    return set()


def _may_go(bus: Bus, teller: Teller, name: str) -> bool:
    """With STEP on, every gate is held, full house or not, until you say `make go`."""
    if not bus.there("STEP"):
        return True
    if bus.there("GO"):
        atomic.remove(bus.path, "GO")
        return True
    teller.held(name)
    return False


def _close(crank: Crank, ask: Ask, hearing: Hearing, absent: list[str]) -> None:
    """Link the receipt: what counted, who was absent. What is not in it was late."""
    bus, gate = crank.bus, crank.gate
    voters = set(ask.roll) | ({"human"} if gate.kind == "ballot" else set())
    counted = [
        hearing.heard[name].spoken for name in sorted(hearing.heard) if name in voters
    ]
    notes = [
        f"{name} is not on the roll; bus/{ask.step}/{name}.yaml is not counted"
        for name in sorted(hearing.heard)
        if name not in voters
    ]
    notes += [f"bus/{one.path} was edited by you" for one in counted if one.edited]
    data = {}
    if gate.kind == "pitch":
        pitches = {
            n: h.message
            for n, h in hearing.heard.items()
            if n in voters and isinstance(h.message, Pitch)
        }
        if not pitches:
            raise NeedsYou(
                "nobody pitched an app",
                where=f"bus/{ask.step}/",
                fix="make debate asks again; or write a pitch there",
            )
        data["names"] = proposals.code_names(pitches, ask.roll, crank.game.seed)
    for one in counted:
        bus.event("posted", one.path)
    bus.post(
        f"gates/{gate.name}.yaml",
        Receipt(
            gate=gate.name,
            closed=now(),
            roll=ask.roll,
            counted=counted,
            absent=[name for name in absent if name not in hearing.broken],
            spoiled=[
                f"{name}: {why}"
                for name, why in sorted(hearing.broken.items())
                if name in voters
            ],
            notes=notes,
            data=data,
        ),
    )
    crank.teller.closed(
        gate.name,
        len([c for c in counted if not c.path.endswith("human.yaml")]),
        ask,
        absent,
    )


def _count(crank: Crank) -> None:
    """The decision: the count, or you."""
    from catherd.debate import election

    bus = crank.bus
    outcome = election.decide(bus, crank.phase, crank.game, crank.agents, crank.teller)
    bus.post(
        f"gates/{crank.gate.name}.yaml",
        Receipt(
            gate=crank.gate.name,
            closed=now(),
            roll=crank.game.roll,
            outcome=outcome.method,
            winner=outcome.winner or "",
            data={"choice": outcome.choice, "reason": outcome.reason},
        ),
    )
    crank.teller.decided(outcome)


def _land(crank: Crank) -> None:
    """One commit on the game's branch with everything the debate delivers; its receipt names the commit."""
    from catherd.debate import documents
    from catherd.git import landing

    bus, game, root = crank.bus, crank.game, crank.bus.root
    landing.save_before(root, game.id, game.branch)
    event_log.log_missing(bus)
    made = documents.debate(bus, crank.phase, game, crank.agents)
    title = next(iter(made.title.splitlines()), "")
    landed = landing.land(
        root,
        game.branch,
        made.files,
        [],
        f"Land the debate: {title}\n\nGame {game.id}.\n",
    )
    bus.event("landed", "debate", commit=landed.sha)
    bus.post(
        f"gates/{crank.gate.name}.yaml",
        Receipt(
            gate=crank.gate.name,
            closed=now(),
            commit=landed.sha,
            data={"files": sorted(made.files)},
        ),
    )
    crank.teller.landed(landed.sha, landed.where)


def _shown(crank: Crank) -> list[Input] | None:
    """The inputs of an ask that is not about what the debate said. (Imported here: a debate needs none of it.)"""
    if crank.gate.kind != "bid":
        return None
    from catherd.gates import merge_wait

    return merge_wait.inputs(crank.bus, crank.phase, crank.game.branch)


def _allot(crank: Crank) -> None:
    """The allotment; whoever could swap without loss to either side is asked once, where the phase file has a step for it."""
    from catherd.core.tasks import Bid
    from catherd.pulls import allotment

    bus, gate = crank.bus, crank.gate
    made = allotment.allot_tasks(bus, crank.phase, crank.game.branch)
    wishes: dict[str, Bid] = {}
    if gate.step and (shown := allotment.offers(made)):
        roll = sorted({one.by for one in shown})
        ask = asks.open_ask(bus, crank.phase, gate, crank.game, roll, shown)
        hearing = Hearing(bus, gate, ask)
        _wait(crank, ask, hearing)
        wishes = {
            who: one.message
            for who, one in hearing.heard.items()
            if isinstance(one.message, Bid)
        }
    allotment.publish_allotment(bus, crank.phase, gate.name, made, wishes, crank.teller)


def _tasks(crank: Crank) -> None:
    from catherd.gates import merge_wait

    merge_wait.merge_all(
        crank.bus, crank.phase, crank.gate.name, crank.game, crank.herd, crank.teller
    )


def _document(crank: Crank) -> None:
    from catherd.gates import document

    document.complete(
        crank.bus, crank.phase, crank.gate.name, crank.game, crank.herd, crank.teller
    )


def _prove(crank: Crank) -> None:
    from catherd.gates import proof

    proof.prove(
        crank.bus, crank.phase, crank.gate.name, crank.game, crank.herd, crank.teller
    )


DOES = {
    "ask": _ask,
    "count": _count,
    "land": _land,
    "allot": _allot,
    "tasks": _tasks,
    "document": _document,
    "prove": _prove,
}

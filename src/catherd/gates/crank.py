"""The crank: one make step. `catherd gate NAME` closes the gate NAME.

There is one crank, a lock file. The process that holds it waits until the gate is
satisfied and links its receipt into `bus/gates/`. A process that finds the crank taken
follows: it returns when the receipt appears, so typing a command twice is no error. A
receipt is made once, by link(2).

How to add a gate to a phase:

1. `phases/<phase>.yaml`: a line under `gates:` with its name, what it `does:`, and what
   that needs (docs/handbook/phases.md lists the keys).
2. `phases/<phase>.mk`: a rule `$(GATES)/<name>.yaml: | $(GATES)/<gate before>.yaml`.

How to add a kind of gate, a new value of `does:`:

3. Write a module in this package with one function that takes a `Crank`, returns when
   the gate is satisfied, and ends with `crank.close(Receipt(...))`. It may be killed
   at any line and is then called again, so everything that it does can be repeated. It
   raises NeedsYou where a person must choose.
4. Add a line to `DOES` below, and one to the table in docs/handbook/phases.md.
"""

import os
from collections.abc import Callable

from catherd.bus import atomic, config, crashpoints
from catherd.bus.config import Agent, Gate, Phase
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus, slug
from catherd.bus.watch import Watch
from catherd.core.errors import CatherdError
from catherd.gates.step import Crank, bus_removed
from catherd.git import bus_ref
from catherd.herd.processes import Herd

LOCK = ".crank.lock"


def turn(root: str, name: str, teller: Teller) -> None:
    """Close the gate `name`, or follow the process that is closing it.

    Raises NeedsYou when a person must choose, CatherdError when the bus was removed, no
    game is on, or the gate cannot be closed.
    """
    crashpoints.take_role("gate")
    bus = Bus(root)
    phase, gate = config.gate_of(root, name)
    if gate.does not in DOES:
        raise CatherdError(
            f"no gate does '{gate.does}'",
            where=f"phases/{phase.name}.yaml",
            fix=f"does: one of {', '.join(DOES)}",
        )
    if bus.closed(name):
        return
    lock = _take_or_follow(bus, name, teller)
    if lock is None:
        if not bus.closed(name):
            raise bus_removed()

        return

    atomic.touch(bus.here(LOCK))
    try:
        if not bus.closed(name):
            _close(bus, phase, gate, teller)
    except FileNotFoundError:
        if atomic.whole(bus.path):
            raise

        raise bus_removed() from None
    finally:
        # Between two gates nobody holds the crank for a moment. The date of the lock
        # says that it is not abandoned.
        atomic.touch(bus.here(LOCK))
        os.close(lock)


def _take_or_follow(bus: Bus, name: str, teller: Teller) -> int | None:
    """The crank's lock, as a descriptor. None when somebody else closed the gate."""
    if not os.path.isdir(bus.path):
        return None
    lock = atomic.take_lock(bus.here(LOCK), wait=False)
    if lock is not None:
        return lock
    teller.line(f"{name}: another make is at it; following")
    return _follow(bus, name)


def _follow(bus: Bus, name: str) -> int | None:
    """Wait until the gate is closed or the bus is gone (None), or the crank is ours."""
    # The lock's own folder is not watched: each of our looks at it would wake us again.
    with Watch(bus.path, ("gates",), ()) as watch:
        while os.path.isdir(bus.path):
            if bus.closed(name):
                return None
            lock = atomic.take_lock(bus.here(LOCK), wait=False)
            if lock is not None:
                return lock
            watch.wait(0.5)

    return None


def _close(bus: Bus, phase: Phase, gate: Gate, teller: Teller) -> None:
    """Do what the gate does, then save the bus to git. The caller holds the crank."""
    atomic.sweep_writers(bus.path)
    game = bus.game()
    if game is None:
        raise CatherdError(
            "no game is on",
            where="bus/game.yaml",
            fix=f"make {bus.goal() or 'debate'}",
        )

    agents = _readable_agents(bus)
    players = {name: agent for name, agent in agents.items() if name in game.roll}
    crank = Crank(bus, phase, gate, game, agents, Herd(bus, players), teller)
    DOES[gate.does](crank)
    failed = bus_ref.snapshot(bus.root, f"{gate.name} closed").error
    if failed:
        bus.event("snapshot-failed", gate.name, why=failed)


def _readable_agents(bus: Bus) -> dict[str, Agent]:
    """The agents whose files are right. What is wrong with the others is told.

    The game goes on without those. The next goal that is typed refuses their files.
    """
    agents, wrong = config.readable_agents(bus.root)
    for error in wrong:
        file = error.where.partition(":")[0]
        bus.trouble(f"file-{slug(file)}", error.where, error.what, error.fix)

    return agents


# What each kind of gate does. The functions import their module when they are called:
# a make step loads what its own gate needs, and starts sooner for it.


def _ask(crank: Crank) -> None:
    """Open a step, wait for the answers, count who was heard."""
    from catherd.gates import asking

    if crank.gate.kind == "bid":
        from catherd.gates import bids

        asking.ask_and_close(crank, bids.shown_inputs(crank))
    else:
        asking.ask_and_close(crank, None)


def _count(crank: Crank) -> None:
    """Count the ballots. A tie is for a person."""
    from catherd.gates import decision

    decision.count_votes(crank)


def _land(crank: Crank) -> None:
    """Commit the documents of the debate."""
    from catherd.gates import decision

    decision.land_debate(crank)


def _allot(crank: Crank) -> None:
    """Give out the tasks by the bids."""
    from catherd.gates import bids

    bids.close_allotment(crank)


def _tasks(crank: Crank) -> None:
    """Merge pull requests until every task of the phase is done."""
    from catherd.gates import merge_wait

    merge_wait.merge_all(crank)


def _document(crank: Crank) -> None:
    """Check the whole design document and land what is generated from it."""
    from catherd.gates import document

    document.complete(crank)


def _prove(crank: Crank) -> None:
    """Play every journey of the milestone, and land the note on what was seen."""
    from catherd.gates import proof

    proof.prove(crank)


# `does:` of a gate in a phase file → the function that closes it.
DOES: dict[str, Callable[[Crank], None]] = {
    "ask": _ask,
    "count": _count,
    "land": _land,
    "allot": _allot,
    "tasks": _tasks,
    "document": _document,
    "prove": _prove,
}

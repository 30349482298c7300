"""A gate that asks: open the ask, wait for answers, link the receipt of what counted.

The timebox runs only while the gate waits and nothing is paused. Starting again starts
it anew. When a gate may close is decided in `core.closing`.
"""

import os
import time
from collections.abc import Mapping

import msgspec

from catherd.bus import atomic, chat, config, size_limits
from catherd.bus.config import Gate
from catherd.bus.narrator import Teller
from catherd.bus.reader import Looker
from catherd.bus.store import OPEN, Bus, now
from catherd.bus.watch import Watch
from catherd.core import closing
from catherd.core.errors import NeedsYou
from catherd.core.messages import Ask, Game, Input, Pitch, Receipt, Spoken
from catherd.core.turns import Snapshot, owed
from catherd.debate import asks, proposals, vetoes
from catherd.debate.hearing import Hearing, mended_first
from catherd.gates.step import Crank, bus_removed, goal_cleared

REHEARSAL_TIMEBOX = 30.0  # seconds; a rehearsal answers at once or never


class _Clock(msgspec.Struct):
    """How long the gate has waited, in seconds. Time in which it is paused is not."""

    timebox: float
    waited: float = 0.0
    last: float = msgspec.field(default_factory=time.monotonic)

    def tick(self, *, paused: bool) -> None:
        """Add the time since the last tick, unless the game is paused."""
        moment = time.monotonic()
        if not paused:
            self.waited += moment - self.last
        self.last = moment

    def running(self) -> bool:
        """Whether the timebox is not over yet."""
        return self.waited < self.timebox

    def until_next(self) -> float:
        """Seconds for which nothing changes by itself, at most 2.

        After the timebox the next thing is the end of its second run, as a vote without
        a quorum gets one.
        """
        end = self.timebox if self.running() else 2 * self.timebox
        return max(0.05, min(2.0, end - self.waited))


def timebox(gate: Gate, game: Game, *, yours: bool = False) -> float:
    """How many seconds the gate waits for answers.

    The phase file says how many. A rehearsal cuts them, unless it waits for an answer
    of `yours`. The variable TIMEBOX=2s overrides both.
    """
    told = os.environ.get("TIMEBOX")
    if told:
        return config.seconds(told, "TIMEBOX")
    seconds = config.seconds(gate.timebox, gate.name)
    if game.models == "rehearsal" and not yours:
        return min(seconds, REHEARSAL_TIMEBOX)

    return seconds


def ask_and_close(crank: Crank, shown: list[Input] | None) -> None:
    """Ask what the gate asks, wait, and close it. `shown`: see `asks.open_ask`.

    Raises NeedsYou when too few answered and waiting will not change that.
    """
    bus, gate = crank.bus, crank.gate
    ask = _open(crank, shown)
    hearing = Hearing(bus, gate, ask)
    verdict = wait_for_answers(crank, ask, hearing)

    if verdict.act == "human":
        missing = ", ".join(verdict.waiting)
        goal = bus.goal() or gate.name
        raise NeedsYou(
            verdict.why,
            where=f"bus/{gate.step}/",
            fix=f"write the missing answers ({missing}) there, or type make {goal} to wait again",
        )

    _close(crank, ask, hearing, verdict.absent)
    asks.ahead(bus, crank.phase, crank.game, bus.goal(), asking=crank.teller.asking)


def _open(crank: Crank, shown: list[Input] | None) -> Ask:
    """The ask of the gate. For a vote the person at the terminal may join the roll."""
    bus, gate, teller = crank.bus, crank.gate, crank.teller
    roll = list(crank.game.roll)
    opened = bus.there(f"{gate.step}/{OPEN}")
    if gate.kind == "ballot" and not opened and teller.vote_too():
        roll.append("human")

    ask = asks.open_ask(bus, crank.phase, gate, crank.game, roll, shown)
    if "human" in ask.roll:
        from catherd.debate import election  # no other ask needs it

        form = election.ballot_form(bus, ask)
        proposed = [one.by for one in ask.inputs if one.kind == "proposal"]
        teller.your_ballot(f"bus/{form}", proposed)

    return ask


def wait_for_answers(crank: Crank, ask: Ask, hearing: Hearing) -> closing.CloseVerdict:
    """Look, judge, say what there is to say, and wait, until the gate may close.

    Gives a verdict that is not "wait". Raises CatherdError when the bus was removed,
    the goal was cleared, or a template is broken for everybody who is waited for.
    """
    bus, gate, teller = crank.bus, crank.gate, crank.teller
    looker = Looker(bus, {crank.phase.name: crank.phase}, crank.agents)
    excused = _excused(crank)
    clock = _Clock(timebox(gate, crank.game, yours="human" in ask.roll))
    weigh = size_limits.scale(bus, crank.phase)
    teller.knows(chat.logged_chat(bus))
    since = bus.told()

    with Watch(bus.path, ("", "chat", "problems", ask.step), ()) as watch:
        crank.herd.ring = watch.ring
        while True:
            seen = _look(crank, looker)
            hearing.look()
            weigh()
            clock.tick(paused=seen.paused)
            verdict = _judge(crank, hearing, seen, clock, excused)

            chat.log_chat(bus)
            vetoes.tell(bus, looker.phases)
            teller.said(ask, hearing.heard, seen.chat)
            teller.troubles(bus.troubles(since))

            if verdict.act == "wait":
                mended_first(bus, ask, verdict.waiting)
            elif not seen.paused and _may_go(bus, teller, gate.name):
                return verdict

            _keep_the_herd(crank, paused=seen.paused)
            teller.waiting(gate.name, verdict, seen.paused, clock.waited)
            watch.wait(teller.patience(clock.until_next()))


def _look(crank: Crank, looker: Looker) -> Snapshot:
    """What is on the bus now.

    Raises CatherdError where nobody wants the gate any more.
    """
    if not atomic.whole(crank.bus.path):
        raise bus_removed()
    seen = looker.look()
    if crank.herd.goal and not seen.goal:
        # Either the goal was cleared, or all of the bus is being removed. The removal
        # takes a moment where many write.
        for _ in range(20):
            time.sleep(0.05)
            if not atomic.whole(crank.bus.path):
                raise bus_removed()

        raise goal_cleared(crank.herd.goal)

    return seen


def _judge(
    crank: Crank, hearing: Hearing, seen: Snapshot, clock: _Clock, excused: set[str]
) -> closing.CloseVerdict:
    """Whether the gate may close. Agents that were heard count as alive and well."""
    ask = hearing.ask
    # In time, an answer with a fault is waited for: its author may still mend it.
    heard = hearing.ready() if clock.running() else set(hearing.heard)
    pending = sum(len(stems) for stems in owed(ask, seen).values())
    verdict = closing.judge_gate(
        ask.roll,
        heard,
        excused - heard,
        pending,
        closing.Clock(clock.waited, clock.timebox),
        votes=crank.gate.kind == "ballot",
    )
    for name in heard:
        crank.herd.fine(name)

    return verdict


def _keep_the_herd(crank: Crank, *, paused: bool) -> None:
    """Keep the daemons alive. In a pause for money, ask for more instead."""
    if not paused:
        crank.herd.look()
    elif crank.bus.there("problems/cap.yaml"):
        from catherd.herd import budget  # a rehearsal never needs it

        budget.ask(crank.bus)


def _excused(crank: Crank) -> set[str]:
    """The agents that missed the last timebox of this phase."""
    for gate in reversed(crank.phase.gates.values()):
        receipt = crank.bus.receipt(gate.name) if gate.does == "ask" else None
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


def _close(crank: Crank, ask: Ask, hearing: Hearing, absent: tuple[str, ...]) -> None:
    """Link the receipt: what counted, who was absent. What is not in it was late."""
    gate = crank.gate
    voters = set(ask.roll)
    if gate.kind == "ballot":
        voters.add("human")

    counted = _counted(hearing, voters)
    data = _pitched(crank, ask, hearing, voters) if gate.kind == "pitch" else {}
    for one in counted:
        crank.bus.event("posted", one.path)

    broken = sorted(hearing.broken.items())
    crank.close(
        Receipt(
            gate=gate.name,
            closed=now(),
            roll=ask.roll,
            counted=counted,
            absent=[name for name in absent if name not in hearing.broken],
            spoiled=[f"{name}: {why}" for name, why in broken if name in voters],
            notes=_notes(ask, hearing, voters, counted),
            data=data,
        )
    )
    by_agents = [one for one in counted if not one.path.endswith("human.yaml")]
    crank.teller.closed(gate.name, len(by_agents), ask, list(absent))
    titles = _titles(hearing, data.get("names", {}))
    if titles:
        crank.teller.code_names(titles)


def _titles(hearing: Hearing, names: Mapping[str, str]) -> dict[str, str]:
    """Code name → title, of `names` (code name → agent) those that pitched."""
    titles = {}
    for code, agent in names.items():
        heard = hearing.heard.get(agent)
        if heard is not None and isinstance(heard.message, Pitch):
            titles[code] = heard.message.title

    return titles


def _counted(hearing: Hearing, voters: set[str]) -> list[Spoken]:
    """The answers of those who have a say, by name."""
    heard = sorted(hearing.heard.items())
    return [one.spoken for name, one in heard if name in voters]


def _notes(
    ask: Ask, hearing: Hearing, voters: set[str], counted: list[Spoken]
) -> list[str]:
    """What a reader of the receipt should know about the answers."""
    strangers = sorted(set(hearing.heard) - voters)
    notes = [
        f"{name} is not on the roll; bus/{ask.step}/{name}.yaml is not counted"
        for name in strangers
    ]
    edited = [one.path for one in counted if one.edited]
    return notes + [f"bus/{path} was edited by you" for path in edited]


def _pitched(
    crank: Crank, ask: Ask, hearing: Hearing, voters: set[str]
) -> dict[str, dict[str, str]]:
    """The code names under which the pitches are discussed: {"names": name → agent}.

    Raises NeedsYou when there is no pitch.
    """
    pitches = {}
    for name, one in hearing.heard.items():
        if name in voters and isinstance(one.message, Pitch):
            pitches[name] = one.message

    if not pitches:
        raise NeedsYou(
            "nobody pitched an app",
            where=f"bus/{ask.step}/",
            fix="make debate asks again; or write a pitch there",
        )

    return {"names": proposals.code_names(pitches, ask.roll, crank.game.seed)}

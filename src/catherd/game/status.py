"""`make status`: one screen. What needs you comes first, then the game, its gates, who does what, what it cost."""

import os
import textwrap
import time

from catherd.bus import atomic, config, size_limits
from catherd.bus.config import Agent, Phase
from catherd.bus.narrator import terminal_text
from catherd.bus.reader import Looker
from catherd.bus.store import TIEBREAK, Bus
from catherd.core.errors import CatherdError
from catherd.core.messages import Trouble
from catherd.core.turns import Snapshot, Speak, next_turn
from catherd.debate import vetoes
from catherd.models import cooldown


def status_lines(root: str) -> list[str]:
    """The screen, line by line, at most 80 columns where the texts allow. Raises CatherdError when nothing was begun."""
    bus = Bus(root)
    told: list[str] = []
    agents, wrong = config.readable_agents(root, told)
    phases = config.phases(root, told)
    game = bus.game() if os.path.isdir(bus.path) else None
    if game is None:
        from catherd.game import adopt

        saved = adopt.saved(root)
        state = (
            f"bus/ is gone; make debate goes on with {saved} from refs/catherd/bus"
            if saved
            else ""
        )
        state = state or "no game is on; make debate begins one"
        return [*_needs([*map(str, wrong), *told]), state, *_herd(bus, agents, None)]
    vetoes.tell(bus, phases)
    snapshot = Looker(bus, phases, agents).look()
    out = _needs([*needs_you(bus, snapshot), *map(str, wrong), *told])
    goal = snapshot.goal
    state = "paused (rm bus/PAUSE goes on)" if snapshot.paused else _crank(bus, goal)
    brief = terminal_text(game.brief)
    out.append(f"game {game.id} · {game.models} · {state}")
    out.append(
        f"brief: {brief[:70] + '…' if len(brief) > 70 else brief or 'none, they are free'}"
    )
    for phase in phases.values():
        out.append(_gates(bus, phase, snapshot))
        if not all(bus.closed(name) for name in phase.gates):
            out += _no(bus, phase.name)
            out += [] if goal else [f"next: make {phase.name}"]
            break  # what comes later is not begun
    if bus.names("prs"):
        out.append(size_limits.usage_line(bus, phase, list(agents)))
    out += [f"  {line}" for line in waiting_for(snapshot)]
    out += ["", *_herd(bus, agents, snapshot)]
    return out


def _no(bus: Bus, phase: str) -> list[str]:
    if not any(name.startswith("said-") for name in bus.names(phase)):
        return []
    from catherd.gates.delivery import refusals

    return [
        f"  you said no: {terminal_text(words)}" for _, words in refusals(bus, phase)
    ]


def _needs(needs: list[str]) -> list[str]:
    """What needs you, each said once however many agents met it, at 80 columns; a fix stays on its line, to be pasted."""
    rows: list[str] = []
    for need in dict.fromkeys(needs):
        what, _, fix = need.partition("\n")
        rows += textwrap.wrap(
            what,
            78,
            break_long_words=False,
            break_on_hyphens=False,
            subsequent_indent="  ",
        )
        rows += [f"  {fix.strip()}"] if fix else []
    return ["needs you", *(f"  {row}" for row in rows), ""] if rows else []


def _crank(bus: Bus, goal: str) -> str:
    if not goal:
        return "no goal; the herd is at rest"
    if atomic.is_held(bus.here(".auto.lock")):
        return f"on the way to {goal}, running without a terminal"
    return (
        f"on the way to {goal}"
        if atomic.is_held(bus.here(".crank.lock"))
        else f"stopped short of {goal}; type make {goal} to go on"
    )


def needs_you(bus: Bus, snapshot: Snapshot) -> list[str]:
    """What only a person can do, most urgent first: each `where: what`, then the fix."""
    found = []
    if bus.there(TIEBREAK) and not bus.closed("decision"):
        found.append(
            f"bus/{TIEBREAK}: the vote is tied\nfix: fill in `choice:`, then make debate"
        )
    if bus.there("STEP") and snapshot.goal and not bus.there("GO"):
        found.append("STEP=1 holds every gate\nfix: make go closes the one that waits")
    for ask in snapshot.asks:
        if "human" in ask.roll and not _filled(bus, f"{ask.step}/human.yaml"):
            found.append(  # noqa: PERF401 - the list goes on below
                f"bus/{ask.step}/human.yaml: your ballot is not filled in\nfix: list proposals behind `ranking:`"
            )
    for name in bus.names("problems"):
        try:
            trouble = bus.get(f"problems/{name}", Trouble)
        except CatherdError as error:
            trouble = Trouble(
                where=f"bus/problems/{name}", what=error.what, fix=error.fix
            )
        if trouble is not None and (
            trouble.fix or not trouble.until
        ):  # one that only waits stands with its agent
            found.append(
                f"{trouble.where}: {terminal_text(trouble.what)}"
                + (f"\nfix: {terminal_text(trouble.fix)}" if trouble.fix else "")
            )
    return found


def _filled(bus: Bus, path: str) -> bool:
    try:
        with open(bus.here(path), encoding="utf-8", errors="replace") as file:
            return "ranking: []" not in file.read(4096)
    except OSError:
        return False


def _gates(bus: Bus, phase: Phase, snapshot: Snapshot) -> str:
    opened = {ask.gate for ask in snapshot.asks}
    parts = [
        f"{_mark(bus.closed(name), name in opened)} {name}" for name in phase.gates
    ]
    return f"{phase.name}: " + "  ".join(parts)


def _mark(closed: bool, opened: bool) -> str:
    return "✓" if closed else "●" if opened else "·"


def _herd(bus: Bus, agents: dict[str, Agent], snapshot: Snapshot | None) -> list[str]:
    rows = []
    for name, agent in agents.items():
        state = (
            "alive"
            if bus.alive(name)
            else "runs elsewhere"
            if agent.runs == "elsewhere"
            else "not running"
        )
        doing = ""
        if (
            snapshot is not None
            and state != "not running"
            and (turn := next_turn(name, snapshot)) is not None
        ):
            doing = (
                f"thinking: {turn.ask.gate}"
                if isinstance(turn, Speak)
                else "answering in the chat"
            )
        role = (
            snapshot.game.cast.get(name, {})
            if snapshot is not None and snapshot.game is not None
            else {}
        )
        if "sits_out" in role:
            state, doing = "sits out", role["sits_out"]
        waits = cooldown.rest_of(bus, name)
        if waits is not None:
            state, doing = "waits", f"until {cooldown.clock(waits.until)}"
        elif doing and bus.there(f"problems/model-{name}.yaml"):
            doing = "its model fails"
        rows.append(f"  {name:<12} {state:<15} {doing:<24} {_last(bus, name)}".rstrip())
        if waits is not None and not waits.fix:  # one that you can end stands on top
            rows += textwrap.wrap(
                terminal_text(waits.what.partition(": ")[2]),
                80,
                initial_indent=" " * 15,
                subsequent_indent=" " * 15,
            )
        if "model" in role:
            instead = (
                f", for want of a key for {role['instead_of']}"
                if "instead_of" in role
                else ""
            )
            rows.append(f"  {'':<12} on {role['model']}{instead}")
    return ["agents", *rows]


def _last(bus: Bus, name: str) -> str:
    """When the agent last wrote anything into its journal."""
    try:
        seconds = time.time() - os.stat(bus.here(f"runs/{name}")).st_mtime
    except FileNotFoundError:
        return ""
    return (
        f"last call {int(seconds)} s ago"
        if seconds < 120
        else f"last call {int(seconds // 60)} min ago"
    )


def waiting_for(snapshot: Snapshot) -> list[str]:
    """What the next gate waits for: `<gate>: names`."""
    found = []
    for ask in snapshot.asks:
        missing = [
            n for n in ask.roll if n not in snapshot.said.get(ask.step, frozenset())
        ]
        if missing:
            found.append(f"{ask.gate} waits for {', '.join(missing)}")
    return found

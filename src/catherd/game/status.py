"""`make status`: one screen.

What needs you comes first, then the game, its gates, and what each agent does.
"""

import os
import textwrap
import time

import msgspec

from catherd.bus import atomic, config, size_limits
from catherd.bus.config import Agent, Phase
from catherd.bus.narrator import terminal_text
from catherd.bus.reader import Looker
from catherd.bus.store import TIEBREAK, Bus
from catherd.core.errors import CatherdError
from catherd.core.messages import Game, Trouble
from catherd.core.turns import Snapshot, Speak, next_turn
from catherd.debate import vetoes
from catherd.models import cooldown

_BRIEF = 70  # characters of the brief that are shown


def status_lines(root: str) -> list[str]:
    """The screen, line by line, at most 80 columns where the texts allow.

    Raises CatherdError for a phase file that is wrong.
    """
    bus = Bus(root)
    told: list[str] = []
    agents, wrong = config.readable_agents(root, told)
    phases = config.phases(root, told)
    unreadable = [*map(str, wrong), *told]
    game = bus.game() if os.path.isdir(bus.path) else None
    if game is None:
        idle = _no_game(root)
        return [*_needs(unreadable), idle, *_agents(bus, agents, None)]

    vetoes.tell(bus, phases)
    snapshot = Looker(bus, phases, agents).look()
    lines = _needs([*needs_you(bus, snapshot), *unreadable])
    lines += _about(bus, game, snapshot)
    for phase in phases.values():
        lines.append(_gates(bus, phase, snapshot))
        if not all(map(bus.closed, phase.gates)):
            lines += _noes(bus, phase.name)
            if not snapshot.goal:
                lines.append(f"next: make {phase.name}")
            break  # the phases after it have not begun

    if bus.names("prs"):
        lines.append(size_limits.usage_line(bus, phase, list(agents)))
    lines += [f"  {line}" for line in waiting_for(snapshot)]
    return [*lines, "", *_agents(bus, agents, snapshot)]


def _no_game(root: str) -> str:
    """What to type where no game is on."""
    from catherd.game import adopt

    saved = adopt.saved(root)
    if saved:
        return f"bus/ is gone; make debate goes on with {saved} from refs/catherd/bus"
    return "no game is on; make debate begins one"


def _about(bus: Bus, game: Game, snapshot: Snapshot) -> list[str]:
    """The game, what it is doing, and its brief."""
    state = "paused (rm bus/PAUSE goes on)"
    if not snapshot.paused:
        state = _on_the_way(bus, snapshot.goal)
    brief = terminal_text(game.brief) or "none, they are free"
    if len(brief) > _BRIEF:
        brief = f"{brief[:_BRIEF]}…"

    return [f"game {game.id} · {game.models} · {state}", f"brief: {brief}"]


def _noes(bus: Bus, phase: str) -> list[str]:
    """Each no of yours to the milestone that is still to be mended."""
    if not any(name.startswith("said-") for name in bus.names(phase)):
        return []
    from catherd.gates.delivery import refusals

    found = refusals(bus, phase)
    return [f"  you said no: {terminal_text(words)}" for _, words in found]


def _needs(needs: list[str]) -> list[str]:
    """What needs you at 80 columns, each said once however many agents met it.

    A fix stays on its line, to be pasted.
    """
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
        if fix:
            rows.append(f"  {fix.strip()}")

    return ["needs you", *(f"  {row}" for row in rows), ""] if rows else []


def _on_the_way(bus: Bus, goal: str) -> str:
    """Whether somebody is on the way to the goal, and who."""
    if not goal:
        return "no goal; the herd is at rest"
    if atomic.is_held(bus.here(".auto.lock")):
        return f"on the way to {goal}, running without a terminal"
    if atomic.is_held(bus.here(".crank.lock")):
        return f"on the way to {goal}"

    return f"stopped short of {goal}; type make {goal} to go on"


def needs_you(bus: Bus, snapshot: Snapshot) -> list[str]:
    """What only a person can do, most urgent first: `where: what`, then the fix."""
    found = []
    if bus.there(TIEBREAK) and not bus.closed("decision"):
        tied = f"bus/{TIEBREAK}: the vote is tied"
        found.append(f"{tied}\nfix: fill in `choice:`, then make debate")

    if bus.there("STEP") and snapshot.goal and not bus.there("GO"):
        found.append("STEP=1 holds every gate\nfix: make go closes the one that waits")

    return found + _empty_ballots(bus, snapshot) + _troubles(bus)


def _empty_ballots(bus: Bus, snapshot: Snapshot) -> list[str]:
    """Your ballots that are not filled in."""
    found = []
    for ask in snapshot.asks:
        path = f"{ask.step}/human.yaml"
        if "human" in ask.roll and not _filled(bus, path):
            what = f"bus/{path}: your ballot is not filled in"
            found.append(f"{what}\nfix: list proposals behind `ranking:`")

    return found


def _troubles(bus: Bus) -> list[str]:
    """The troubles that a person can end. One that only waits stands with its agent."""
    found = []
    for name in bus.names("problems"):
        trouble = _trouble(bus, f"problems/{name}")
        if trouble is None or (trouble.until and not trouble.fix):
            continue
        need = f"{trouble.where}: {terminal_text(trouble.what)}"
        if trouble.fix:
            need += f"\nfix: {terminal_text(trouble.fix)}"
        found.append(need)

    return found


def _trouble(bus: Bus, path: str) -> Trouble | None:
    """A trouble on the bus. Where its file is wrong, that is the trouble."""
    try:
        return bus.get(path, Trouble)
    except CatherdError as error:
        return Trouble(where=f"bus/{path}", what=error.what, fix=error.fix)


def _filled(bus: Bus, path: str) -> bool:
    try:
        with open(bus.here(path), encoding="utf-8", errors="replace") as file:
            return "ranking: []" not in file.read(4096)
    except OSError:
        return False


def _gates(bus: Bus, phase: Phase, snapshot: Snapshot) -> str:
    """The gates of a phase on one line: closed, open, or still to come."""
    opened = {ask.gate for ask in snapshot.asks}
    parts = []
    for name in phase.gates:
        mark = "✓" if bus.closed(name) else "·"
        if mark == "·" and name in opened:
            mark = "●"
        parts.append(f"{mark} {name}")

    return f"{phase.name}: {'  '.join(parts)}"


class _Doing(msgspec.Struct):
    """What an agent does: its state, and a few words more. `why`: of a long wait."""

    state: str
    words: str = ""
    why: str = ""


def _agents(bus: Bus, agents: dict[str, Agent], snapshot: Snapshot | None) -> list[str]:
    """Who does what; `snapshot` is None where no game is on."""
    game = snapshot.game if snapshot is not None else None
    rows = ["agents"]
    for name, agent in agents.items():
        role = game.cast.get(name, {}) if game is not None else {}
        doing = _doing(bus, name, agent, snapshot, role)
        columns = f"  {name:<12} {doing.state:<15} {doing.words:<24}"
        rows.append(f"{columns} {_last(bus, name)}".rstrip())
        rows += _wrapped(doing.why)
        if "model" in role:
            rows.append(f"  {'':<12} on {role['model']}{_instead(role)}")

    return rows


def _doing(
    bus: Bus, name: str, agent: Agent, snapshot: Snapshot | None, role: dict[str, str]
) -> _Doing:
    """What an agent does. What keeps it from its work goes before its work."""
    waits = cooldown.rest_of(bus, name)
    if waits is not None:
        why = "" if waits.fix else waits.what.partition(": ")[2]
        return _Doing("waits", f"until {cooldown.clock(waits.until)}", why)

    if "sits_out" in role:
        doing = _Doing("sits out", role["sits_out"])
    else:
        state = _alive(bus, name, agent)
        idle = snapshot is None or state == "not running"
        doing = _Doing(state, "" if idle else _turn_words(name, snapshot))

    if doing.words and bus.there(f"problems/model-{name}.yaml"):
        doing.words = "its model fails"

    return doing


def _alive(bus: Bus, name: str, agent: Agent) -> str:
    if bus.alive(name):
        return "alive"
    return "runs elsewhere" if agent.runs == "elsewhere" else "not running"


def _turn_words(name: str, snapshot: Snapshot | None) -> str:
    """What the agent thinks about. It is "" when it has nothing to do."""
    turn = next_turn(name, snapshot) if snapshot is not None else None
    if turn is None:
        return ""
    if isinstance(turn, Speak):
        return f"thinking: {turn.ask.gate}"
    return "answering in the chat"


def _instead(role: dict[str, str]) -> str:
    if "instead_of" not in role:
        return ""
    return f", for want of a key for {role['instead_of']}"


def _wrapped(why: str) -> list[str]:
    """Why an agent waits. A wait that you can end stands on top instead."""
    indent = " " * 15
    return textwrap.wrap(
        terminal_text(why), 80, initial_indent=indent, subsequent_indent=indent
    )


def _last(bus: Bus, name: str) -> str:
    """When the agent last wrote anything into its journal."""
    try:
        seconds = time.time() - os.stat(bus.here(f"runs/{name}")).st_mtime
    except FileNotFoundError:
        return ""

    if seconds < 120:
        return f"last call {int(seconds)} s ago"

    return f"last call {int(seconds // 60)} min ago"


def waiting_for(snapshot: Snapshot) -> list[str]:
    """What each open gate waits for: `<gate> waits for <names>`."""
    found = []
    for ask in snapshot.asks:
        said = snapshot.said.get(ask.step, frozenset())
        missing = [name for name in ask.roll if name not in said]
        if missing:
            found.append(f"{ask.gate} waits for {', '.join(missing)}")

    return found

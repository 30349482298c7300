"""What `make GOAL` does before the first gate.

`begin_goal` looks first: it sweeps away what dead writers left, takes a receipt back
whose documents are gone from main, adopts a result that is on main while the bus is
empty, begins a game where none is on, records the goal, and wakes the herd.
"""

import os
import re
import secrets
import sys
import time

import msgspec

from catherd.bus import atomic, config, crashpoints, event_log, narrator, yaml_read
from catherd.bus.config import Agent, Phase
from catherd.bus.store import DECISION, OPEN, Bus, now
from catherd.core.errors import CatherdError
from catherd.core.messages import FORMAT, Game
from catherd.debate import asks
from catherd.game import adopt, archive, lifecycle
from catherd.git import landing, objects, run
from catherd.herd import budget, daemon, processes, readiness, recovery
from catherd.models import cast
from catherd.pulls import board

CAPS = {
    "debate": 2.0,
    "plan": 5.0,
    "poc": 10.0,
}  # dollars for each phase of a live game
_SCHEMA = "# yaml-language-server: $schema=../templates/schemas/game.json\n"
# The problems that a goal forgets: those that typing it again may have mended.
_FORGOTTEN = re.compile(r"(fuse|model|loop|file|turn)-|(crank|goal)\.")


class Begun(msgspec.Struct, kw_only=True):
    """What `begin_goal` found.

    `game` is None where none is on and nothing was to be begun. `lines` are to be told.
    `reached`: the goal is reached already.
    """

    game: Game | None
    lines: list[str]
    reached: bool


def begin_goal(
    root: str, goal: str, *, brief: str, live: bool, step: bool, dry: bool
) -> Begun:
    """Do everything that comes before the first gate of `goal`.

    With `dry` only look.
    """
    crashpoints.take_role("herd")
    unknown_keys: list[str] = []
    phases = config.phases(root, unknown_keys)
    phase = _phase_of(phases, goal)
    bus = Bus(root)

    if dry:
        game = bus.game() if os.path.isdir(bus.path) else None
        return Begun(game=game, lines=[], reached=bus.closed(goal))

    lifecycle.lay(bus)
    atomic.sweep_writers(bus.path)
    readiness.equipped(bus, phases, goal)
    if bus.goal():
        # The process that had this goal was killed, or is at it still.
        event_log.log_missing(bus)

    lines = _budget_lines(bus, phases, goal, live=live)
    lines += recovery.recover(root)
    game = _game(bus, brief, live=live, lines=lines)
    readiness.packed(bus, phases, game, phase.name)
    lines += _take_back_what_is_gone(bus, game)
    if bus.closed(goal):
        return Begun(game=game, lines=lines, reached=True)

    _record_goal(bus, goal, step=step)
    lines += map(narrator.trouble, bus.troubles())
    agents = config.agents(root, unknown_keys)
    players = {name: agent for name, agent in agents.items() if name in game.roll}

    lines += unknown_keys
    _wake(bus, players, game)
    asks.ahead(bus, _first_open(bus, phases), game, goal, asking=_on_a_terminal())
    return Begun(game=game, lines=lines, reached=False)


def _phase_of(phases: dict[str, Phase], goal: str) -> Phase:
    """The phase whose gate the goal is."""
    known: list[str] = []
    for phase in phases.values():
        if goal in phase.gates:
            return phase
        known += phase.gates

    fix = f"one of: {', '.join(known)}"
    raise CatherdError(f"no goal '{goal}'", where="phases/", fix=fix)


def _budget_lines(
    bus: Bus, phases: dict[str, Phase], goal: str, *, live: bool
) -> list[str]:
    """What the way to the goal may cost. Nothing where it is reached already."""
    before = bus.game()
    # A live game plays again what a rehearsal closed.
    anew = live and before is not None and before.models == "rehearsal"
    if bus.closed(goal) and not anew:
        return []
    return budget.offer_budget(bus, _cast(bus.root), phases, goal, asked=live)


def _record_goal(bus: Bus, goal: str, *, step: bool) -> None:
    """Write down the goal, and whether every gate on the way is held."""
    for name in ("STEP", "GO"):
        atomic.remove(bus.path, name)
    if step:
        atomic.publish(bus.path, "STEP", f"catherd: {FORMAT}\n")
    atomic.replace(bus.path, "goal", f"{goal}\n")
    bus.event("goal", goal)
    for problem in bus.names("problems"):
        if _FORGOTTEN.match(problem):
            atomic.remove(bus.path, f"problems/{problem}")


def _wake(bus: Bus, players: dict[str, Agent], game: Game) -> None:
    """Start the daemons of the players, after what they will find is in order."""
    budget.begun(bus, players, game)
    board.mend_claims(bus, players)
    processes.Herd(bus, players).look(daemon.main)


def _first_open(bus: Bus, phases: dict[str, Phase]) -> Phase:
    """The first phase that has a gate to close."""
    return next(
        phase for phase in phases.values() if not all(map(bus.closed, phase.gates))
    )


def _take_back_what_is_gone(bus: Bus, game: Game) -> list[str]:
    """Take back each receipt of a landing whose documents are gone from main.

    Its gate lands them again from the bus. Gives a line for each.
    """
    lines = []
    main = landing.tip(bus.root, game.branch)
    there = objects.list_tree(bus.root, main, "docs")
    for name in config.phases(bus.root):
        receipt = bus.receipt(name)
        landed = receipt.data.get("files", []) if receipt else []
        gone = [path for path in landed if path not in there]
        if gone:
            atomic.remove(bus.path, f"gates/{name}.yaml")
            bus.event("taken-back", name, gone=gone[:5])
            branch = game.branch or "HEAD"
            what = f"{gone[0]} is gone from {branch}"
            lines.append(f"{what}; it is landed again from the bus")

    return lines


# The game that the goal is played in


def _game(bus: Bus, brief: str, *, live: bool, lines: list[str]) -> Game:
    """The game that goes on, or a new one. What is to be told goes to `lines`."""
    game = _game_that_goes_on(bus, live=live, lines=lines)
    if game is None:
        game = _new_game(bus, brief, live=live, lines=lines)
        untouched = True
    else:
        untouched = not _has_asked(bus)
        if brief and brief.strip() != game.brief.strip():
            what = f"the game {game.id} keeps its own brief"
            lines.append(f"{what}; make new begins another")

    if untouched and adopt.adopt_decision(bus, game):
        branch = game.branch or "HEAD"
        lines.append(f"adopted what was decided on {branch}: {DECISION}")
    return game


def _game_that_goes_on(bus: Bus, *, live: bool, lines: list[str]) -> Game | None:
    """The game that is on, or is restored. It is None where a new one is to begin.

    A live goal puts a rehearsal away.
    """
    game = bus.game() or _restored(bus, lines)
    if game is None:
        return None
    if bus.there(".restoring"):
        # game.yaml is restored last: where that is, all is.
        atomic.remove(bus.path, ".restoring")

    if live and game.models == "rehearsal":
        _put_rehearsal_away(bus, game, lines)
        return None
    return game


def _restored(bus: Bus, lines: list[str]) -> Game | None:
    """The game that origin or the last snapshot holds, restored.

    It is None if neither does.
    """
    if adopt.from_origin(bus, lines) or adopt.from_snapshot(bus, lines):
        return bus.game()
    return None


def _put_rehearsal_away(bus: Bus, game: Game, lines: list[str]) -> None:
    # This refuses before anything is put away.
    cast.settle_cast(_cast(bus.root), os.environ, 0)
    what = f"the rehearsal {game.id} goes to bus/archive/"
    lines.append(f"{what}; a live game begins")
    archive.archive_game(bus.root)
    lifecycle.lay(bus)


def _new_game(bus: Bus, brief: str, *, live: bool, lines: list[str]) -> Game:
    """Begin a game. If another process began one meanwhile, it is that one."""
    agents = _cast(bus.root)
    branch = run.head_branch(bus.root)
    seed = _seed(live=live)
    roles = cast.settle_cast(agents, os.environ, seed) if live else {}
    text = brief or _brief_file(bus.root) or _ask_brief()
    game = Game(
        id=_new_id(),
        brief=text.strip(),
        branch=branch,
        base=run.rev(bus.root, "HEAD"),
        roll=[name for name in agents if "sits_out" not in roles.get(name, {})],
        models="rehearsal",
        seed=seed,
        began=now(),
        cast=roles,
    )
    if live:
        game.models, game.caps = "live", dict(CAPS)

    if bus.post("game.yaml", game, _SCHEMA):
        names = ", ".join(agents[name].name for name in game.roll)
        lines += [f"game {game.id}: {names}", _about(game)]
        if roles:
            lines += cast.cast_lines(agents, roles)

    return bus.must("game.yaml", Game)


def _new_id() -> str:
    """An id that says when the game began, in UTC, and that no other game has."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"g-{moment}-{secrets.token_hex(2)}"


def _cast(root: str) -> dict[str, Agent]:
    """The agents that take part: all, or those that AGENTS='a b' names."""
    agents = config.agents(root)
    picked = os.environ.get("AGENTS", "").split()
    for name in picked:
        if name not in agents:
            fix = f"AGENTS='{' '.join(agents)}'"
            raise CatherdError(f"no agent '{name}'", where="AGENTS", fix=fix)

    return {name: agents[name] for name in picked} if picked else agents


def _seed(*, live: bool) -> int:
    """REHEARSAL_SEED, else 0 in a rehearsal and a random number in a live game."""
    told = os.environ.get("REHEARSAL_SEED", "")
    if told and not re.fullmatch(r"\d{1,9}", told):
        raise CatherdError(
            f"'{told}' is no seed",
            where="REHEARSAL_SEED",
            fix="REHEARSAL_SEED=0, or any whole number",
        )

    if told:
        return int(told)

    return secrets.randbelow(10**6) if live else 0


def _brief_file(root: str) -> str:
    try:
        return yaml_read.text_of(os.path.join(root, "brief.md"), "brief.md")
    except FileNotFoundError:
        return ""


def _ask_brief() -> str:
    """The brief that a person types, unless CATHERD_BRIEF says that there is none."""
    if not _on_a_terminal() or "CATHERD_BRIEF" in os.environ:
        return ""
    sys.stdout.write("what should they build? (one line; empty: they are free) ")
    sys.stdout.flush()
    return sys.stdin.readline()


def _on_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _about(game: Game) -> str:
    """The brief on one line, cut."""
    words = " ".join(game.brief.split())
    if not words:
        return "no brief: they are free"
    return f"brief: {words if len(words) <= 72 else words[:71] + '…'}"


def _has_asked(bus: Bus) -> bool:
    """Whether this game has asked anything yet."""
    debate = config.phases(bus.root)["debate"]
    steps = [gate.step for gate in debate.gates.values() if gate.step]
    return any(bus.there(f"{step}/{OPEN}") for step in steps)

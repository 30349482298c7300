"""Money and you.

What is said before the first call, your yes, and the pause that a cap makes until you
decide.
"""

import contextlib
import os
import sys
from collections.abc import Mapping

from catherd.bus import atomic, config, yaml_read
from catherd.bus.config import Agent, Phase
from catherd.bus.store import Bus
from catherd.core import ledger
from catherd.core.errors import CatherdError, NeedsYou
from catherd.core.messages import Game, Trouble
from catherd.core.model import ModelError
from catherd.herd import processes
from catherd.models import accounts, cast, costs, llm

# What stands in bus/PAUSE when it was money that paused the game.
PAUSE = "catherd: 1\nwhy: a cap is reached\n"
TROUBLE = "cap"


def offer_budget(
    bus: Bus,
    agents: Mapping[str, Agent],
    phases: Mapping[str, Phase],
    gate: str,
    *,
    asked: bool,
) -> list[str]:
    """The first lines of `make GOAL`.

    They are keys and what LIVE=1 would cost, or, in a live game, who plays and what is
    spent. With LIVE=1 (`asked`) on a terminal it shows them and asks. A no raises
    CatherdError before anything is begun.
    """
    through = _phases_until(phases, gate)
    here = through[-1] if through else ""
    game = bus.game()
    if game is not None and game.models == "live":
        left = [name for name in through if not bus.closed(name)]
        lines = cast.cast_lines(config.agents(bus.root), game.cast)
        lines = [*lines, _spent(accounts.entries(bus), game.caps, left)]
    else:
        # A rehearsal is put away before a live game begins: all of it is played again.
        lines = costs.offer_costs(agents, os.environ, here, through=through)
        if not asked:
            return _rehearsal_lines(agents, lines)

    if asked and sys.stdin.isatty() and sys.stdout.isatty():
        _ask_you(lines)
        return []

    return lines


def _phases_until(phases: Mapping[str, Phase], gate: str) -> list[str]:
    """The phases up to the one that has the gate; none where no phase has it."""
    passed = []
    for name, phase in phases.items():
        passed.append(name)
        if gate in phase.gates:
            return passed

    return []


def _rehearsal_lines(agents: Mapping[str, Agent], lines: list[str]) -> list[str]:
    """What is said before a rehearsal: that it is free, and what a live game would
    cost.
    """
    if len(lines) > 2 or "keys" in lines[0]:
        return [f"a rehearsal, free; {lines[0]}", *lines[-1:]]
    keys = {key for agent in agents.values() for key in accounts.keys_named(agent)[:1]}
    if not keys:
        return ["a rehearsal, free"]
    names = ", ".join(sorted(keys))
    return [f"a rehearsal, free; no key found (LIVE=1 plays with {names})"]


def _ask_you(lines: list[str]) -> None:
    """Show the lines and ask whether to play live. Raises CatherdError at a no."""
    sys.stdout.write("\n".join([*lines, "play live? y/n "]))
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CatherdError(
            "not begun; nothing was called",
            where="LIVE=1",
            fix="leave LIVE=1 away for a rehearsal",
        )


def _spent(
    entries: list[ledger.Entry], caps: Mapping[str, float], left: list[str]
) -> str:
    spent = sum(entry.spent for entry in entries)
    most = ledger.most({**accounts.CAPS, **caps}, left, entries)
    return f"${spent:.2f} spent; at most ${most:.2f} more for {', '.join(left)} (caps: in bus/game.yaml)"


def pause(bus: Bus, agent: Agent, error: ModelError) -> None:
    """A cap is reached: the game pauses, and the trouble names the line to edit."""
    cap = getattr(error, "cap", "game")
    path, above, key = "bus/game.yaml", "caps", cap
    if cap == "agent" and "usd" in agent.limits:
        path, above, key = f"agents/{agent.id}.yaml", "limits", "usd"

    try:
        document = yaml_read.read_yaml(os.path.join(bus.root, path), path)
        where = document.where(above, key)
    except (CatherdError, OSError):
        where = path

    refusal = getattr(error, "refusal", None) or error.what
    goal = bus.goal() or "again"
    fix = f"raise `{key}:` under `{above}:` there, then make {goal}"
    bus.trouble(TROUBLE, where, f"{agent.name} waits: {refusal}", fix, cap)
    atomic.publish(bus.path, "PAUSE", PAUSE)


def ask(bus: Bus) -> None:
    """Called while the game is paused.

    Raises NeedsYou when it was a cap that paused it.
    """
    if _ours(bus):
        trouble = bus.get(f"problems/{TROUBLE}.yaml", Trouble)
        if trouble is not None:
            raise NeedsYou(trouble.what, where=trouble.where, fix=trouble.fix)


def go_on(bus: Bus) -> None:
    """End the pause that a cap made: you typed the goal again.

    A pause that you made yourself goes on.
    """
    if _ours(bus):
        atomic.remove(bus.path, "PAUSE")

    bus.solved(TROUBLE)


def _ours(bus: Bus) -> bool:
    try:
        with open(bus.here("PAUSE"), encoding="utf-8") as file:
            return file.read() == PAUSE
    except (OSError, UnicodeError):
        return False


def begun(bus: Bus, agents: Mapping[str, Agent], game: Game) -> None:
    """Do what a live game needs before its herd is woken.

    No pause of ours is left, the draw is revealed, and daemons without the keys are
    stopped.
    """
    go_on(bus)
    if game.models != "live":
        return
    cast.reveal(bus, agents, game)
    strange = cast.strangers(bus, agents, game, os.environ, processes.living(bus))
    if strange:
        processes.stop_daemons(bus, only=strange)


def cost_table(root: str) -> list[str]:
    """The lines of `make costs`.

    They say who plays on what, what was spent on what, and what each model alone would
    have cost.
    """
    bus = Bus(root)
    laid = os.path.isdir(bus.path)
    game = bus.game() if laid else None
    entries = accounts.entries(bus) if laid else []

    if game is None or game.models != "live":
        if any(entry.phase == "doctor" for entry in entries):
            return costs.report(entries, accounts.CAPS)
        if game is None:
            return ["no game is on; make debate begins one"]
        return ["a rehearsal: no model was called, nothing was spent"]

    agents = config.agents(root)
    rates: dict[str, tuple[float, float]] = {}
    for name, agent in agents.items():
        played = cast.cast_agent(agent, game)
        with contextlib.suppress(ModelError):
            rates[name] = llm.live_price(played.model, played.options)

    return [
        *cast.cast_lines(agents, game.cast),
        "",
        *costs.report(entries, {**accounts.CAPS, **game.caps}, rates),
    ]

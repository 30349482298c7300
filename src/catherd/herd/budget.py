"""Money and you: what is said before the first call, your yes, and the pause that a cap makes until you decide."""

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

PAUSE = "catherd: 1\nwhy: a cap is reached\n"  # what stands in bus/PAUSE when it was money that paused the game
TROUBLE = "cap"


def offer_budget(
    bus: Bus,
    agents: Mapping[str, Agent],
    phases: Mapping[str, Phase],
    gate: str,
    *,
    asked: bool,
) -> list[str]:
    """The first lines of `make GOAL`: keys and what LIVE=1 would cost, or, in a live game, who plays and what is spent.

    With LIVE=1 on a terminal it shows them and asks; a no raises CatherdError before anything is begun.
    """
    game = bus.game()
    here = next((name for name, phase in phases.items() if gate in phase.gates), "")
    names = list(phases)
    through = names[: names.index(here) + 1] if here else []
    if game is not None and game.models == "live":
        left = [name for name in through if not bus.closed(name)]
        lines = [
            *cast.cast_lines(config.agents(bus.root), game.cast),
            _spent(accounts.entries(bus), game.caps, left),
        ]
    else:  # a rehearsal is put away before a live game begins: all of it is played again
        lines = costs.offer_costs(agents, os.environ, here, through=through)
        if not asked:
            return (
                [f"a rehearsal, free; {lines[0]}", *lines[-1:]]
                if len(lines) > 2 or "keys" in lines[0]
                else [_free(agents)]
            )
    if asked and sys.stdin.isatty() and sys.stdout.isatty():
        sys.stdout.write("\n".join([*lines, "play live? y/n "]))
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise CatherdError(
                "not begun; nothing was called",
                where="LIVE=1",
                fix="leave LIVE=1 away for a rehearsal",
            )
        return []
    return lines


def _free(agents: Mapping[str, Agent]) -> str:
    names = sorted(
        {key for agent in agents.values() for key in accounts.keys_named(agent)[:1]}
    )
    return (
        f"a rehearsal, free; no key found (LIVE=1 plays with {', '.join(names)})"
        if names
        else "a rehearsal, free"
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
    path, keys = "bus/game.yaml", ("caps", cap)
    if cap == "agent" and "usd" in agent.limits:
        path, keys = f"agents/{agent.id}.yaml", ("limits", "usd")
    try:
        document = yaml_read.read_yaml(os.path.join(bus.root, path), path)
        where = document.where(*keys)
    except (CatherdError, OSError):
        where = path
    refusal = getattr(error, "refusal", None)
    edit = f"raise `{keys[1]}:` under `{keys[0]}:` there, then make {bus.goal() or 'again'}"
    bus.trouble(
        TROUBLE, where, f"{agent.name} waits: {refusal or error.what}", edit, cap
    )
    atomic.publish(bus.path, "PAUSE", PAUSE)


def ask(bus: Bus) -> None:
    """Called while the game is paused. Raises NeedsYou when it was a cap that paused it."""
    if _ours(bus):
        trouble = bus.get(f"problems/{TROUBLE}.yaml", Trouble)
        if trouble is not None:
            raise NeedsYou(trouble.what, where=trouble.where, fix=trouble.fix)


def go_on(bus: Bus) -> None:
    """You typed the goal again after a cap paused the game: the pause is over; one that you made yourself is not."""
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
    """What a live game needs before its herd is woken: no pause of ours, the draw revealed, daemons that have the keys."""
    go_on(bus)
    if game.models != "live":
        return
    cast.reveal(bus, agents, game)
    strange = cast.strangers(bus, agents, game, os.environ, processes.living(bus))
    if strange:
        processes.stop_daemons(bus, only=strange)


def cost_table(root: str) -> list[str]:
    """The lines of `make costs`: who plays on what, what was spent on what, and what each model alone would have cost."""
    bus = Bus(root)
    game = bus.game() if os.path.isdir(bus.path) else None
    entries = accounts.entries(bus) if os.path.isdir(bus.path) else []
    if game is None or game.models != "live":
        if any(entry.phase == "doctor" for entry in entries):
            return costs.report(entries, accounts.CAPS)
        told = "a rehearsal: no model was called, nothing was spent"
        return ["no game is on; make debate begins one" if game is None else told]
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

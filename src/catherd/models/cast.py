"""Who plays whom in a live game: settled once, when it begins, and kept in game.yaml.

An agent plays on its own model, on one that is drawn for it (`draw:`), or, where it has no key for these, on one of `also:`;
without any it sits out. Drawn from the game's seed among the models that have a key. A rehearsal draws nothing: it has a
voice of its own for each agent.
"""

import os
from collections.abc import Mapping

import msgspec

from catherd.bus.chat import remark
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.lots import draw
from catherd.core.messages import Game

Cast = dict[
    str, dict[str, str]
]  # agent → model, instead_of, temper; or why it sits out


def settle_cast(
    agents: Mapping[str, Agent], environ: Mapping[str, str], seed: int
) -> Cast:
    """The cast of a game with this seed. Raises CatherdError when nobody has a key."""
    from catherd.models import (
        accounts,  # here and below: a rehearsal, where every daemon asks who plays, needs nothing of it
    )

    cast: Cast = {}
    for name, agent in agents.items():
        if agent.runs == "elsewhere":
            continue
        drawn = _drawn(agent, environ, seed)
        model = accounts.live_model(drawn, environ)
        program = accounts.program_of(agent, environ)
        if not model and not program:
            cast[name] = {
                "sits_out": f"no key: set {' or '.join(accounts.keys_named(drawn)) or 'a model'}"
            }
            continue
        cast[name] = {"model": model} if model else {"command": program}
        if model not in {"", drawn.model}:
            cast[name]["instead_of"] = drawn.model
        if drawn.temper != agent.temper or drawn.model != agent.model:
            cast[name]["temper"] = drawn.temper
    if all("sits_out" in one for one in cast.values()) and not any(
        a.runs == "elsewhere" for a in agents.values()
    ):
        names = sorted(
            {key for agent in agents.values() for key in accounts.keys_named(agent)}
        )
        raise CatherdError(
            "no key was found, so nobody can play live",
            where="LIVE=1",
            fix=f"export one of {', '.join(names)}; or leave LIVE=1 away for a rehearsal, which is free",
        )
    return cast


def _drawn(agent: Agent, environ: Mapping[str, str], seed: int) -> Agent:
    from catherd.models import accounts

    models = agent.draw.get("model", [])
    models = [m for m in models if accounts.key_of(m, environ) is not None] or models
    tempers = agent.draw.get("temper", [])
    return msgspec.structs.replace(
        agent,
        model=_pick(models, seed, agent.id, "model") or agent.model,
        temper=_pick(tempers, seed, agent.id, "temper") or agent.temper,
        key="" if models else agent.key,
    )


def _pick(choices: list[str], *parts: object) -> str:
    return choices[int(draw(*map(str, parts)), 16) % len(choices)] if choices else ""


def cast_agent(agent: Agent, game: Game | None) -> Agent:
    """The agent as it plays in this game: its model and temper; options of its own model only where it is that."""
    role = game.cast.get(agent.id) if game is not None else None
    if not role or game is None or game.models == "rehearsal":
        return agent
    from catherd.models import accounts

    model = role.get("model", "")
    own = model == agent.model
    return msgspec.structs.replace(
        agent,
        model=model,
        temper=role.get("temper", agent.temper),
        key=agent.key if own else "",
        also=[],
        options=agent.options
        if own
        else {k: v for k, v in agent.options.items() if k not in accounts.OWN},
        vendor=agent.vendor if own else _maker(model),
    )


def vendors(agents: Mapping[str, Agent], game: Game | None) -> dict[str, str]:
    """Agent → whose model it plays on: a stand-in is no other vendor's voice."""
    return {name: cast_agent(agent, game).vendor for name, agent in agents.items()}


def _maker(model: str) -> str:
    """Who makes a model, as agents/*.yaml name it: google for gemini/…, anthropic for openrouter/anthropic/…"""
    parts = model.split("/")
    maker = parts[1] if parts[0] == "openrouter" and len(parts) > 2 else parts[0]
    return {"gemini": "google", "vertex_ai": "google"}.get(maker, maker)


def label(agent: Agent, game: Game | None) -> str:
    """The agent's name as screens show it: with the model where it is not the one that it stands for."""
    role = game.cast.get(agent.id, {}) if game is not None else {}
    stand_in = role.get("model", "") if "instead_of" in role else ""
    return f"{agent.name} on {stand_in.rpartition('/')[2]}" if stand_in else agent.name


def cast_lines(agents: Mapping[str, Agent], cast: Cast) -> list[str]:
    """Who plays on what, and who sits out; by its id, whose file is gone."""
    names = {n: agents[n].name if n in agents else n for n in cast}
    plays = [
        f"{names[n]} ({one.get('model') or one.get('command', '')}"
        + (
            f", for want of a key for {one['instead_of']}"
            if "instead_of" in one
            else ""
        )
        + ")"
        for n, one in cast.items()
        if "sits_out" not in one
    ]
    out = [
        f"{names[n]} ({one['sits_out']})"
        for n, one in cast.items()
        if "sits_out" in one
    ]
    return [
        f"live: {', '.join(plays)}",
        *([f"sitting out: {', '.join(out)}"] if out else []),
    ]


def reveal(bus: Bus, agents: Mapping[str, Agent], game: Game) -> None:
    """What was drawn, said in the chat by whoever it is about; once, however often it is called."""
    for name, role in game.cast.items():
        if name in agents and agents[name].draw and "model" in role:
            how = role.get("temper") or agents[name].temper
            instead = (
                f" (for want of a key for {role['instead_of']})"
                if "instead_of" in role
                else ""
            )
            remark(
                bus,
                name,
                game.began,
                "cast",
                f"drawn for this game: I am {role['model']}{instead}; {how}.",
            )


def strangers(
    bus: Bus,
    agents: Mapping[str, Agent],
    game: Game,
    environ: Mapping[str, str],
    living: Mapping[str, int],
) -> list[str]:
    """Those of the `living` daemons (agent → pid) that were started without a key that is here now: they are to be started again.

    Nobody else: that repeats what they have in flight. Where no environment is shown, who has made a call has its keys.
    """
    found = []
    for name, pid in living.items():
        if name not in agents:
            continue
        mine, theirs = cast_agent(agents[name], game), _environ_of(pid)
        if theirs is None and bus.names(f"runs/{name}"):
            continue
        if _keys(mine, environ) - _keys(mine, theirs or {}):
            found.append(name)
    return found


def _keys(agent: Agent, environ: Mapping[str, str]) -> set[str]:
    """The keys that are there for what speaks for an agent: its model, its program."""
    from catherd.models import accounts

    names = map(str, agent.command.get("keys") or [])
    return {
        accounts.key_of(agent.model, environ, agent.key) or "",
        *(environ.get(name, "") for name in names),
    } - {""}


def _environ_of(pid: int) -> dict[str, str] | None:
    """The environment that a process was started with; None where the system does not show it."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return None
    return {
        os.fsdecode(k): os.fsdecode(v)
        for k, _, v in (entry.partition(b"=") for entry in entries)
        if k
    }

"""The cast of a live game: settled once, when it begins, and kept in game.yaml.

An agent plays on its own model or on one that is drawn for it (`draw:`). Where it has
no key for these it plays on one of `also:`; without any it sits out. A model is drawn
from the game's seed among those that have a key. A rehearsal draws nothing: it has a
voice of its own for each agent.

`accounts` is imported by the functions that need it. A rehearsal, where every daemon
asks who plays, needs nothing of it.
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

Role = dict[str, str]  # model or command, instead_of, temper; or why it sits_out
Cast = dict[str, Role]  # by agent


def settle_cast(
    agents: Mapping[str, Agent], environ: Mapping[str, str], seed: int
) -> Cast:
    """The cast of a game with this seed. Raises CatherdError when nobody has a key."""
    cast: Cast = {}
    elsewhere = False
    for name, agent in agents.items():
        if agent.runs == "elsewhere":
            elsewhere = True
        else:
            cast[name] = _role(agent, _drawn(agent, environ, seed), environ)

    if not elsewhere and all("sits_out" in role for role in cast.values()):
        raise _no_key(agents)
    return cast


def _role(agent: Agent, drawn: Agent, environ: Mapping[str, str]) -> Role:
    """What speaks for an agent; `drawn` is the agent with what was drawn for it."""
    from catherd.models import accounts

    model = accounts.live_model(drawn, environ)
    program = accounts.program_of(agent, environ)
    if not model and not program:
        names = " or ".join(accounts.keys_named(drawn)) or "a model"
        return {"sits_out": f"no key: set {names}"}
    role = {"model": model} if model else {"command": program}
    if model and model != drawn.model:
        role["instead_of"] = drawn.model
    if drawn.temper != agent.temper or drawn.model != agent.model:
        role["temper"] = drawn.temper
    return role


def _no_key(agents: Mapping[str, Agent]) -> CatherdError:
    from catherd.models import accounts

    keys: set[str] = set()
    for agent in agents.values():
        keys.update(accounts.keys_named(agent))
    return CatherdError(
        "no key was found, so nobody can play live",
        where="LIVE=1",
        fix=f"export one of {', '.join(sorted(keys))}; or leave LIVE=1 away for a rehearsal, which is free",
    )


def _drawn(agent: Agent, environ: Mapping[str, str], seed: int) -> Agent:
    """The agent with the model and the temper that are drawn for it."""
    from catherd.models import accounts

    models = agent.draw.get("model", [])
    with_key = [m for m in models if accounts.key_of(m, environ) is not None]
    tempers = agent.draw.get("temper", [])
    return msgspec.structs.replace(
        agent,
        model=_pick(with_key or models, seed, agent.id, "model") or agent.model,
        temper=_pick(tempers, seed, agent.id, "temper") or agent.temper,
        key="" if models else agent.key,
    )


def _pick(choices: list[str], *parts: object) -> str:
    """One of the choices, drawn from the parts; "" where there are none."""
    if not choices:
        return ""
    number = int(draw(*map(str, parts)), 16)
    return choices[number % len(choices)]


def cast_agent(agent: Agent, game: Game | None) -> Agent:
    """The agent as it plays in this game, with its model and temper.

    Options of its own model hold only where it plays on that.
    """
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
        options=accounts.options_on(agent.options, own=own),
        vendor=agent.vendor if own else _maker(model),
    )


def vendors(agents: Mapping[str, Agent], game: Game | None) -> dict[str, str]:
    """Agent → whose model it plays on: a stand-in is no other vendor's voice."""
    return {name: cast_agent(agent, game).vendor for name, agent in agents.items()}


def _maker(model: str) -> str:
    """The vendor that makes a model, as agents/*.yaml name it.

    That is google for gemini/…, anthropic for openrouter/anthropic/…
    """
    parts = model.split("/")
    maker = parts[1] if parts[0] == "openrouter" and len(parts) > 2 else parts[0]
    return {"gemini": "google", "vertex_ai": "google"}.get(maker, maker)


def label(agent: Agent, game: Game | None) -> str:
    """The agent's name as screens show it, with the model where that is a stand-in."""
    role = game.cast.get(agent.id, {}) if game is not None else {}
    stand_in = role.get("model", "") if "instead_of" in role else ""
    return f"{agent.name} on {stand_in.rpartition('/')[2]}" if stand_in else agent.name


def cast_lines(agents: Mapping[str, Agent], cast: Cast) -> list[str]:
    """What each agent plays on, and which sit out; one whose file is gone by its id."""
    plays, out = [], []
    for agent, role in cast.items():
        name = agents[agent].name if agent in agents else agent
        if "sits_out" in role:
            out.append(f"{name} ({role['sits_out']})")
            continue
        voice = role.get("model") or role.get("command", "")
        if "instead_of" in role:
            voice += f", for want of a key for {role['instead_of']}"
        plays.append(f"{name} ({voice})")

    lines = [f"live: {', '.join(plays)}"]
    if out:
        lines.append(f"sitting out: {', '.join(out)}")
    return lines


def reveal(bus: Bus, agents: Mapping[str, Agent], game: Game) -> None:
    """Let each agent say in the chat, once, what was drawn for it."""
    for name, role in game.cast.items():
        if name not in agents or not agents[name].draw or "model" not in role:
            continue
        temper = role.get("temper") or agents[name].temper
        instead = ""
        if "instead_of" in role:
            instead = f" (for want of a key for {role['instead_of']})"
        said = f"drawn for this game: I am {role['model']}{instead}; {temper}."
        remark(bus, name, game.began, "cast", said)


def strangers(
    bus: Bus,
    agents: Mapping[str, Agent],
    game: Game,
    environ: Mapping[str, str],
    living: Mapping[str, int],
) -> list[str]:
    """The daemons to start again: they were started without a key that is here now.

    `living` maps an agent to the pid of its daemon. No other daemon is named, for a new
    start repeats what a daemon has in flight. Where the system shows no environment, an
    agent that has made a call has its keys.
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

    keys = {accounts.key_of(agent.model, environ, agent.key) or ""}
    for name in accounts.program_keys(agent):
        keys.add(environ.get(name, ""))
    return keys - {""}


def _environ_of(pid: int) -> dict[str, str] | None:
    """The environment that a process was started with; None where it is not shown."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return None
    found = {}
    for entry in entries:
        key, _, value = entry.partition(b"=")
        if key:
            found[os.fsdecode(key)] = os.fsdecode(value)
    return found

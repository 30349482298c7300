"""One tiny paid call for `make doctor LIVE=1`, to each model and each program that may speak for an agent.

Reserved, journalled and settled as any call of a game is (`bus/runs/<agent>/doctor…`), so that `make costs` has it and the caps of
the game and of the agent hold for it; those of a phase do not.
"""

import os
from collections.abc import Iterator, Mapping

import msgspec

from catherd.answers.journal import converse
from catherd.answers.seat import Seat
from catherd.bus import store as bus_
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.messages import Answer, Game
from catherd.core.model import ModelError, Request, Said
from catherd.models import accounts, cooldown, llm

ROOM = "64"  # tokens of the answer, thinking included: one that is cut off shows as well that key, name and price are right
PATIENCE = 60.0  # seconds
_HOME = ".doctor"  # behind the agent's name: a daemon's own run goes on in the HOME of that name


def trial_lines(bus: Bus, agent: Agent, environ: Mapping[str, str]) -> Iterator[str]:
    """`ok` or `--`, who answered and what it took, and for what failed the fix on a line of its own. `bus` is laid."""
    game = bus.game()
    game = (
        game
        if game is not None and game.models == "live"
        else Game(id="doctor", roll=[agent.id], models="live")
    )
    game = msgspec.structs.replace(
        game, cast={}
    )  # as its YAML says, not as it was cast
    models = [
        m
        for m in agent.draw.get("model", [])
        if accounts.key_of(m, environ) is not None
    ]
    models = models or list(filter(None, [accounts.live_model(agent, environ)]))
    program = accounts.program_of(agent, environ)
    if not models and not program:
        named = accounts.keys_named(agent)
        yield f"--  {agent.id}: no key: set {' or '.join(named) or 'a model'}"
        yield (
            f"    fix: export {named[0]}=…"
            if named
            else f"    fix: write `model:` into agents/{agent.id}.yaml"
        )
    for model in models:
        own = model == agent.model
        options = {
            k: v
            for k, v in agent.options.items()
            if k != "effort" and (own or k not in accounts.OWN)
        }
        key = agent.key if own and not agent.draw.get("model") else ""
        yield _told(
            bus,
            msgspec.structs.replace(
                agent, model=model, key=key, also=[], options=options
            ),
            game,
            model,
        )
    if program:
        yield _told(
            bus,
            msgspec.structs.replace(agent, model="", also=[]),
            game,
            os.path.basename(program),
        )


def _told(bus: Bus, agent: Agent, game: Game, who: str) -> str:
    """The call, and what became of it."""
    at = bus_.now()
    turn = f"doctor/{at.translate(str.maketrans(':.', '--'))}.try.1"
    try:
        seat = _seat(bus, agent, game)
        options = {**agent.options, "max_tokens": ROOM}
        said = (
            Said("user", f"It is {at}. Say ok."),
        )  # never the same prompt twice: that would look like a loop
        request = Request(
            agent.id,
            turn,
            seat.model_name,
            "",
            said,
            int(ROOM),
            PATIENCE,
            0,
            options,
            "doctor",
        )
        converse(
            bus, seat.model, request, seat.reserve, lambda _text, _last: "", tries=1
        )
    except accounts.CapReached as error:
        key, file = (f"{error.cap}:` under `caps:`", "bus/game.yaml")
        if error.cap == "agent" and "usd" in agent.limits:
            key, file = "usd:` under `limits:`", f"agents/{agent.id}.yaml"
        return (
            f"--  {agent.id}: {who}: {error.refusal}\n    fix: raise `{key} in {file}"
        )
    except ModelError as error:
        where, fix = cooldown.change(bus, agent, error)
        return f"--  {agent.id}: {who}: {error.what}\n    fix: {fix} ({where})"
    answer = bus.must(f"runs/{agent.id}/{turn.replace('/', '.')}.1.answer.yaml", Answer)
    took = f"{answer.seconds:.1f} s, {_price(agent)}this call ${answer.usd:.6f}"
    if answer.text or answer.finish == "length":
        return f"ok  {agent.id}: {who} answers in {took}"
    return f"--  {agent.id}: {who} answers nothing ({answer.finish}) in {took}\n    fix: name another `model:` in agents/{agent.id}.yaml"


def _seat(bus: Bus, agent: Agent, game: Game) -> Seat:
    if agent.model:
        return Seat(
            bus,
            agent,
            game,
            accounts.model(bus.root, agent),
            agent.model,
            accounts.reserve_call(bus, agent, game),
        )
    from catherd.models import cli_model

    program = cli_model.Program(bus, agent)
    program.home += _HOME
    return Seat(
        bus,
        agent,
        game,
        program,
        "command",
        cli_model.reserve_run(bus, agent, game, talking=True),
    )


def _price(agent: Agent) -> str:
    if not agent.model:
        return ""
    come, go = llm.live_price(agent.model, agent.options)
    return f"${come * 1e6:.2f}/{go * 1e6:.2f} per million tokens, "

"""One tiny paid call for `make doctor LIVE=1`, to each model and each program that may
speak for an agent.

It is reserved, journalled and settled as any call of a game is
(`bus/runs/<agent>/doctor…`). So `make costs` has it, and the caps of the game and of
the agent hold for it. Those of a phase do not.
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

# Tokens of the answer, thinking included. An answer that is cut off shows as well that
# key, name and price are right.
ROOM = "64"
PATIENCE = 60.0  # seconds
# Behind the agent's name: a daemon's own run goes on in the HOME of that name.
_HOME = ".doctor"


def trial_lines(bus: Bus, agent: Agent, environ: Mapping[str, str]) -> Iterator[str]:
    """`ok` or `--` for each model and program of an agent, and what the call took.

    A failure has its fix on a line of its own. `bus` is laid.
    """
    game = _trial_game(bus, agent)
    models = _models(agent, environ)
    program = accounts.program_of(agent, environ)
    if not models and not program:
        yield from _keyless(agent)

    for model in models:
        yield _told(bus, _on_model(agent, model), game, model)

    if program:
        alone = msgspec.structs.replace(agent, model="", also=[])
        yield _told(bus, alone, game, os.path.basename(program))


def _trial_game(bus: Bus, agent: Agent) -> Game:
    """The live game that is on, or one of the doctor's own.

    The agent as its YAML says, not as cast.
    """
    game = bus.game()
    if game is None or game.models != "live":
        game = Game(id="doctor", roll=[agent.id], models="live")
    return msgspec.structs.replace(game, cast={})


def _models(agent: Agent, environ: Mapping[str, str]) -> list[str]:
    """The models that may be drawn for the agent and have a key, else the one that it
    would play.
    """
    drawn = agent.draw.get("model", [])
    found = [name for name in drawn if accounts.key_of(name, environ) is not None]
    if found:
        return found
    live = accounts.live_model(agent, environ)
    return [live] if live else []


def _keyless(agent: Agent) -> Iterator[str]:
    named = accounts.keys_named(agent)
    yield f"--  {agent.id}: no key: set {' or '.join(named) or 'a model'}"
    if named:
        yield f"    fix: export {named[0]}=…"
    else:
        yield f"    fix: write `model:` into agents/{agent.id}.yaml"


def _on_model(agent: Agent, model: str) -> Agent:
    """The agent on exactly this model, with the options and the key that go with it."""
    own = model == agent.model
    left_out = {"effort"} if own else {"effort", *accounts.OWN}
    options = {k: v for k, v in agent.options.items() if k not in left_out}
    key = agent.key if own and not agent.draw.get("model") else ""
    return msgspec.structs.replace(
        agent, model=model, key=key, also=[], options=options
    )


def _told(bus: Bus, agent: Agent, game: Game, who: str) -> str:
    """Make the call; what became of it, in a line or two."""
    at = bus_.now()
    turn = f"doctor/{at.translate(str.maketrans(':.', '--'))}.try.1"
    try:
        _call(bus, agent, game, turn, at)
    except accounts.CapReached as error:
        where = f"{error.cap}:` under `caps:` in bus/game.yaml"
        if error.cap == "agent" and "usd" in agent.limits:
            where = f"usd:` under `limits:` in agents/{agent.id}.yaml"

        return f"--  {agent.id}: {who}: {error.refusal}\n    fix: raise `{where}"
    except ModelError as error:
        where, fix = cooldown.change(bus, agent, error)
        return f"--  {agent.id}: {who}: {error.what}\n    fix: {fix} ({where})"

    answer = bus.must(f"runs/{agent.id}/{turn.replace('/', '.')}.1.answer.yaml", Answer)
    took = f"{answer.seconds:.1f} s, {_price(agent)}this call ${answer.usd:.6f}"
    if answer.text or answer.finish == "length":
        return f"ok  {agent.id}: {who} answers in {took}"
    return f"--  {agent.id}: {who} answers nothing ({answer.finish}) in {took}\n    fix: name another `model:` in agents/{agent.id}.yaml"


def _call(bus: Bus, agent: Agent, game: Game, turn: str, at: str) -> None:
    """Ask the model to say ok, once. Raises ModelError when it does not answer."""
    seat = _seat(bus, agent, game)
    # Never the same prompt twice: that would look like a loop.
    said = Said("user", f"It is {at}. Say ok.")
    request = Request(
        agent=agent.id,
        turn=turn,
        model=seat.model_name,
        system="",
        messages=(said,),
        max_tokens=int(ROOM),
        deadline_s=PATIENCE,
        seed=0,
        options={**agent.options, "max_tokens": ROOM},
        phase="doctor",
    )
    converse(bus, seat.model, request, seat.reserve, lambda _text, _last: "", tries=1)


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

"""The seat of an agent in this game: the rehearsal answers for it, or a live model with
a reserve on its money.
"""

import os

from catherd.answers.seat import Seat
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.ledger import Entry
from catherd.core.messages import Game
from catherd.core.model import Model, Request


def choose(
    bus: Bus, agent: Agent, game: Game, settled: dict[str, Entry] | None = None
) -> Seat:
    """The agent's seat at this game's table, as it is cast there.

    `settled` are the entries of its journal that are known already.
    """
    if game.models == "rehearsal":
        from catherd.rehearsal import Rehearsal

        return Seat(bus, agent, game, Rehearsal(), "rehearsal", _nothing)

    from catherd.models import accounts, cast

    agent = cast.cast_agent(agent, game)
    if agent.command and not agent.model:
        from catherd.models import cli_model

        return cli_model.seat(bus, agent, game, settled)

    model: Model = accounts.model(bus.root, agent)
    return Seat(
        bus,
        agent,
        game,
        model,
        accounts.live_model(agent, os.environ),
        accounts.reserve_call(bus, agent, game, settled),
    )


def _nothing(_request: Request) -> float:
    return 0.0

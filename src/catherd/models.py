"""Who answers for an agent in this game: the rehearsal, or a live model with a reserve on its money."""

import os

from catherd.bus import Bus
from catherd.config import Agent
from catherd.ledger import Entry
from catherd.messages import Game
from catherd.model import Model, Request
from catherd.speak import Seat


def choose(bus: Bus, agent: Agent, game: Game, settled: dict[str, Entry] | None = None) -> Seat:
    """The agent's seat at this game's table, as it is cast there. `settled`: what of the journal is known already."""
    if game.models == "rehearsal":
        from catherd.rehearsal import Rehearsal

        return Seat(bus, agent, game, Rehearsal(), "rehearsal", _nothing)
    from catherd import cast, live

    agent = cast.of(agent, game)
    if agent.command and not agent.model:
        from catherd import commanded

        return commanded.seat(bus, agent, game, settled)
    model: Model = live.model(bus.root, agent)
    return Seat(bus, agent, game, model, live.name(agent, os.environ), live.reserve(bus, agent, game, settled))


def _nothing(_request: Request) -> float:
    return 0.0

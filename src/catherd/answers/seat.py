"""A seat: an agent at the table of one game. It says what answers for the agent, and what its model is given for a turn."""

import os

import msgspec

from catherd.answers import prompts
from catherd.answers.journal import Reserve
from catherd.answers.prompts import Card
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.messages import Game
from catherd.core.model import Model, Request, Said

MAX_TOKENS = {
    "pitch": 1500,
    "objections": 3000,
    "answers": 4000,
    "final": 1000,
    "ballot": 1500,
    "chat": 400,
    "write": 32000,
    "review": 3000,
}


class Seat(msgspec.Struct):
    """An agent at the table: its bus, who it is, what answers for it, and what it may spend."""

    bus: Bus
    agent: Agent
    game: Game
    model: Model
    model_name: str
    reserve: Reserve

    def card(self) -> Card:
        """Who the prompts say it is."""
        one = self.agent
        return Card(
            name=one.id,
            display=one.name,
            temper=one.temper,
            lens=one.lens,
            vendor=one.vendor,
        )


def request(seat: Seat, turn: str, kind: str, rendered: prompts.Rendered) -> Request:
    """What the model is given for a turn of that kind."""
    options = dict(seat.agent.options)
    if seat.game.models == "rehearsal":
        options |= rehearsal_options(seat.bus, seat.agent)
    elif rendered.cuts:
        options = {"stable_chars": ",".join(map(str, rendered.cuts)), **options}

    return Request(
        agent=seat.agent.id,
        turn=turn,
        model=seat.model_name,
        system=rendered.system,
        messages=(Said("user", rendered.prompt),),
        max_tokens=MAX_TOKENS.get(kind, 4096),
        deadline_s=_deadline(seat.agent, kind),
        seed=seat.game.seed,
        options=options,
    )


def _deadline(agent: Agent, kind: str) -> float:
    """Seconds for one answer, retries included: what its YAML allows, and no more than a round waits for what a round asks."""
    told = 60 * agent.limits.get("minutes", 10.0)
    return told if kind in {"write", "review"} else min(told, 300.0)


def rehearsal_options(bus: Bus, agent: Agent) -> dict[str, str]:
    """How this agent was told to misbehave: `rehearsal:` in its YAML, and `REHEARSAL_<NAME>` / `REHEARSAL_LATENCY`."""
    told = [
        f"{key}={value}" for key, value in agent.rehearsal.items() if key != "latency"
    ]
    told += [os.environ.get(f"REHEARSAL_{agent.id.upper().replace('-', '_')}", "")]
    options = {
        "rehearsal": ",".join(part for part in told if part),
        "rehearsal_marker": bus.here(f"runs/{agent.id}/"),
    }
    latency = os.environ.get("REHEARSAL_LATENCY", agent.rehearsal.get("latency", ""))
    return options | ({"latency": latency} if latency else {})

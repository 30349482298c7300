"""A fresh look: the bus as the snapshot that decisions are made from. Its cost follows the open work, not the history."""

import os

from catherd.bus.config import Agent, Gate, Phase
from catherd.bus.store import OPEN, Bus
from catherd.core.errors import CatherdError
from catherd.core.messages import Ask
from catherd.core.turns import Snapshot


class Looker:
    """Looks again and again; an ask that did not change is not parsed twice."""

    def __init__(
        self, bus: Bus, phases: dict[str, Phase], agents: dict[str, Agent]
    ) -> None:
        self.bus, self.phases, self.agents = bus, phases, agents
        self._asks: dict[str, tuple[tuple[int, int, int], Ask | None]] = {}

    def gates(self) -> list[Gate]:
        """Every gate that asks something, in order."""
        return [
            gate
            for phase in self.phases.values()
            for gate in phase.gates.values()
            if gate.step
        ]

    def look(self) -> Snapshot:
        """What is there now. A broken file that a person edited is reported once and counts as not there."""
        bus = self.bus
        try:
            game = bus.game()
        except CatherdError as error:
            bus.broken("game.yaml", error)
            game = None

        asks = []
        for gate in self.gates():
            path = f"{gate.step}/{OPEN}"
            if not bus.closed(gate.name) and (ask := self._ask(path)) is not None:
                asks.append(ask)

        some = next(iter(self.phases.values()))
        return Snapshot(
            game=game,
            goal=bus.goal(),
            paused=bus.paused(),
            asks=tuple(asks),
            said={ask.step: self.said(ask.step) for ask in asks},
            chat=bus.chat(),
            listening=frozenset(
                name for name, agent in self.agents.items() if agent.runs == "here"
            ),
            mentions=some.mentions,
            human_mentions=some.human_mentions,
        )

    def said(self, step: str) -> frozenset[str]:
        """Who has a file in that step."""
        return frozenset(
            name.removesuffix(".yaml")
            for name in self.bus.names(step)
            if name.endswith(".yaml") and name != OPEN
        )

    def _ask(self, path: str) -> Ask | None:
        try:
            info = os.stat(self.bus.here(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

        mark = (info.st_mtime_ns, info.st_ino, info.st_size)
        if self._asks.get(path, (None,))[0] != mark:
            try:
                self._asks[path] = (mark, self.bus.get(path, Ask))
            except CatherdError as error:
                self.bus.broken(path, error)
                self._asks[path] = (mark, None)

        return self._asks[path][1]

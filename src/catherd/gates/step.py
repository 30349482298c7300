"""What one make step works with, and the two ways in which it is cut short."""

import msgspec

from catherd.bus.config import Agent, Gate, Phase
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.messages import Game, Receipt
from catherd.herd.processes import Herd


class Crank(msgspec.Struct, frozen=True):
    """The gate that is to be closed, and everything that closing it needs.

    `agents` are all whose files can be read. `herd` keeps those alive that play.
    """

    bus: Bus
    phase: Phase
    gate: Gate
    game: Game
    agents: dict[str, Agent]
    herd: Herd
    teller: Teller

    @property
    def milestone(self) -> str:
        """The milestone that the phase builds, by its name in the plan."""
        return str(self.phase.options.get("milestone", self.phase.name))

    def close(self, receipt: Receipt) -> None:
        """Post the receipt of this gate: from now on the gate is closed."""
        self.bus.post(f"gates/{self.gate.name}.yaml", receipt)


def bus_removed() -> CatherdError:
    """The bus went away under a running game."""
    return CatherdError(
        "was removed while the game was on",
        where="bus/",
        fix=".venv/bin/catherd bus restore",
    )


def goal_cleared(goal: str) -> CatherdError:
    """Somebody cleared the goal while a gate on the way to it was waiting."""
    return CatherdError(
        "stopped: the goal was cleared", where="bus/goal", fix=f"make {goal}"
    )

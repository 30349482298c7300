"""What the commands know of the terminal and of the environment."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catherd.bus.narrator import Teller


def on(name: str) -> bool:
    """Whether a switch of the environment is set: anything but "", 0, no, false."""
    return os.environ.get(name, "") not in {"", "0", "no", "false"}


def teller_of(root: str) -> "Teller":
    """The voice on this terminal, for the game that is on in `root`."""
    from catherd.bus import config
    from catherd.bus.narrator import Teller
    from catherd.bus.store import Bus
    from catherd.models.cast import label

    game = Bus(root).game() if os.path.isdir(os.path.join(root, "bus")) else None
    names = {
        name: label(agent, game)
        for name, agent in config.readable_agents(root)[0].items()
    }

    return Teller(names, rehearsal=game is None or game.models == "rehearsal")

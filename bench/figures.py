"""What a benchmark gives: figures with a limit and a goal, and the few ways in which all of them measure."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]


class Figure(NamedTuple):
    """One line of the table. `limit` must hold, `goal` is what is aimed at; `least` where more is better.

    Without limit and goal it is told, not judged. `unit` "x" is a ratio within this run.
    """

    bench: str
    what: str
    value: float
    unit: str
    limit: float | None = None
    goal: float | None = None
    least: bool = False
    note: str = ""

    def verdict(self) -> str:
        """goal, good or MISSED; a dash where nothing was promised."""

        def holds(bound: float) -> bool:
            return self.value >= bound if self.least else self.value <= bound

        if self.goal is None and self.limit is None:
            return "-"
        if self.goal is not None and holds(self.goal):
            return "goal"
        return "good" if self.limit is not None and holds(self.limit) else "MISSED"


def seconds(act: Callable[[], object]) -> float:
    """How long one call took."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def by_turns(
    one: Callable[[], object], other: Callable[[], object], turns: int, runs: int
) -> float:
    """How many times as long `one` takes as `other`: they take turns, so that both see the same machine.

    The median, over the runs, of the ratio of the two medians of a run.
    """
    ratios = []
    for _ in range(runs):
        times: tuple[list[float], list[float]] = ([], [])
        for turn in range(turns):
            for which in (
                (0, 1) if turn % 2 else (1, 0)
            ):  # neither is always the one that goes first
                times[which].append(seconds((one, other)[which]))
        ratios.append(statistics.median(times[0]) / statistics.median(times[1]))
    return statistics.median(ratios)


def env(**more: str) -> dict[str, str]:
    """A person's environment: nothing that tells a game or Python how to behave."""
    odd = (
        "PYTHON",
        "REHEARSAL",
        "CATHERD",
        "MAKE",
        "MFLAGS",
        "GIT_",
        "TIMEBOX",
        "STEP",
        "LIVE",
        "AGENTS",
        "NOTIFY",
    )
    return {
        name: value for name, value in os.environ.items() if not name.startswith(odd)
    } | more


@contextmanager
def game(folder: str, name: str = "game") -> Iterator[Path]:
    """A new game repository; its herd is stopped at the end."""
    from support import games

    root = games.lay(Path(folder) / name)
    try:
        yield root
    finally:
        subprocess.run(
            [root / ".venv/bin/catherd", "down"],
            cwd=root,
            env=env(),
            capture_output=True,
        )


def begin(root: Path) -> None:
    """Lay the bus and begin a game in `root`, as `make debate` does, but start nobody."""
    from catherd.bus import config
    from catherd.bus.store import Bus
    from catherd.core.messages import Game
    from catherd.game import lifecycle as games_

    bus = Bus(str(root))
    games_.lay(bus)
    bus.post("game.yaml", Game(id="g-bench", roll=list(config.agents(str(root)))))


def until(what: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Look every fifth of a millisecond until it is so."""
    end = time.perf_counter() + limit_s
    while not what():
        if time.perf_counter() > end:
            raise TimeoutError(f"not within {limit_s:.0f} s")
        time.sleep(0.0002)

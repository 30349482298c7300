"""A whole `make debate` of four agents: at a second per answer against the five answers that must follow one another, and at none."""

import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator

import figures
from figures import Figure

ANSWERS = 5  # pitch, objections, answers, statement, ballot: none can begin before the one before it is in


def wall(latency: str) -> float:
    """Seconds of one whole debate."""
    with (
        tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-") as folder,
        figures.game(folder) as root,
    ):
        told = figures.env(REHEARSAL_LATENCY=latency, PACE="0")
        return figures.seconds(
            lambda: subprocess.run(
                ["make", "debate"], cwd=root, env=told, check=True, capture_output=True
            )
        )


def measure(runs: int = 3) -> Iterator[Figure]:
    """Two figures."""
    pairs = [(wall("1"), wall("0")) for _ in range(runs)]
    slow, fast = ([pair[which] for pair in pairs] for which in (0, 1))
    note = f"median of {runs}; best {min(slow) / ANSWERS:.2f}; load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
    ratio = statistics.median(slow) / ANSWERS
    yield Figure(
        "debate",
        "make debate, 1 s per answer / 5 answers",
        ratio,
        "x",
        1.2,
        1.1,
        note=note,
    )
    note = f"median of {runs}; best {min(fast):.2f} s"
    yield Figure(
        "debate",
        "make debate, answers at once",
        statistics.median(fast),
        "s",
        2.0,
        2.0,
        note=note,
    )

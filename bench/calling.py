"""Live models on loopback: what LiteLLM adds to a call, what a process of it weighs, and a debate through it."""

from collections.abc import Iterator

import scripts
from figures import Figure

TOLD = {"bench", "what", "vendor", "runs"}


def measure() -> Iterator[Figure]:
    """The figures of live.py, each of its numbers a line."""
    for topic in ("calls", "memory", "debate"):
        for line in scripts.lines("live.py", topic):
            about = " ".join(str(line[key]) for key in ("what", "vendor") if key in line)
            for key, value in line.items():
                if key not in TOLD and isinstance(value, (int, float)) and not isinstance(value, bool):
                    goal = 0.55 if "prefix" in key and "share" in key else None
                    yield Figure("calling", f"{about}: {key}", value, "", goal, goal, least=True)

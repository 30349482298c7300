"""Pull requests merged per minute: four agents, instant answers, every third with a conflict."""

import re
from collections.abc import Iterator

import scripts
from figures import Figure


def measure() -> Iterator[Figure]:
    """One figure."""
    out = scripts.said("merge_load.py", "--agents", "4", "--prs", "10")
    found = re.search(r"(\d+) PRs a minute", out)
    assert found is not None
    yield Figure(
        "merging",
        "PRs merged at 4 agents",
        int(found[1]),
        "/min",
        least=True,
        note=out.strip().split(", 0 killed")[0],
    )

"""What a check of a design document costs, cold and with everything kept."""

from collections.abc import Iterator

import scripts
from figures import Figure


def measure() -> Iterator[Figure]:
    """A figure per line of check.py, and how much the kept results save."""
    cost = {}
    for line in scripts.lines("check.py"):
        cost[line["what"]] = line["p50_ms"]
        yield Figure("checking", str(line["what"]), line["p50_ms"], "ms")
    yield Figure(
        "checking", "a check, cached / cold", cost["cached"] / cost["cold"], "x"
    )

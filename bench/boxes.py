"""What a command in the box costs beside a bare subprocess."""

from collections.abc import Iterator

import scripts
from figures import Figure


def measure() -> Iterator[Figure]:
    """A figure per line of box.py, and the ratio for `true`."""
    cost = {}
    for line in scripts.lines("box.py", "10"):
        cost[line["what"]] = line["p50_ms"]
        yield Figure(
            "boxes", str(line["what"]), line["p50_ms"], "ms", note=str(line["tier"])
        )
    more = cost["true: box, copy, empty tree"] - cost["true: bare"]
    yield Figure("boxes", "a box run over a bare subprocess", more, "ms")

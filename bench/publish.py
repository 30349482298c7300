"""A durable publish of a message, YAML, validation and event line included, beside the bare system calls for the same bytes."""

import os
import tempfile
import time
from collections.abc import Iterator

import figures
from figures import Figure

from catherd.bus import atomic
from catherd.bus.store import Bus
from catherd.bus.yaml_write import dumps
from catherd.core.messages import Argument, Objection

TEXT = "The plan holds when one person uses it; two people who edit the same entry lose one of the edits, silently. "


def message() -> Argument:
    """A round-2 answer of about a kilobyte."""
    return Argument(
        objections=[
            Objection(
                to=name,
                best=TEXT[:60],
                objection=TEXT * 2,
                question="Who wins?",
                risk=3,
            )
            for name in "ab"
        ],
        wrote={
            "model": "rehearsal",
            "turn": "debate/round-2.objections.1",
            "at": "2026-01-01T00:00:00.000Z",
        },
    )


def measure(turns: int = 60, runs: int = 5) -> Iterator[Figure]:
    """One figure."""
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-") as folder:
        bus = Bus(folder)
        bare = os.path.join(folder, "bare")
        for made in (
            bus.here(atomic.TMP),
            bus.here("debate/round-2"),
            bus.here("events"),
            f"{bare}/tmp",
            f"{bare}/new",
        ):
            os.makedirs(made)
        data = dumps(message()).encode()
        names = iter(range(1_000_000))

        def ours() -> None:
            assert bus.post(
                f"debate/round-2/{next(names)}.yaml", message(), agent="claude"
            )

        def theirs() -> None:
            name = str(next(names))
            fd = os.open(
                f"{bare}/tmp/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644
            )
            os.write(fd, data)
            os.fsync(fd)
            os.close(fd)
            os.rename(f"{bare}/tmp/{name}", f"{bare}/new/{name}")
            fd = os.open(f"{bare}/new", os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

        ratio = figures.by_turns(ours, theirs, turns, runs)
        cpu = time.process_time()
        for _ in range(turns):
            ours()
        cpu = (time.process_time() - cpu) / turns
        note = f"{len(data)} bytes; ours takes {cpu * 1e6:.0f} us of CPU"
        yield Figure(
            "publish",
            "durable publish / write+fsync+rename+fsync(dir)",
            ratio,
            "x",
            1.3,
            1.0,
            note=note,
        )

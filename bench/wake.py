"""Waking up: from the moment a message has its name to the moment a waiting daemon has parsed it; and a flood at a stopped reader."""

import ctypes
import os
import select
import signal
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator

import claims
import publish
from figures import Figure

from catherd.bus import atomic
from catherd.bus.store import Bus
from catherd.bus.watch import Watch
from catherd.bus.yaml_write import dumps
from catherd.core.messages import Argument
from catherd.pulls import board

Wait = Callable[[], None]
STAMP = struct.Struct("q")


def by_watchdog(bus: Bus, stop: Callable[[Wait], None]) -> None:
    """Wait as a daemon does, on the folders that a daemon watches."""
    with Watch(bus.path, ("", "chat"), ("claims", "debate", "prs")) as watch:

        def wait() -> None:
            watch.wait(5.0)

        stop(wait)


def by_inotify(folder: str, stop: Callable[[Wait], None]) -> None:
    """Wait on one folder with the bare system calls."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    assert (
        libc.inotify_add_watch(fd, folder.encode(), 0x80 | 0x100) > 0
    )  # IN_MOVED_TO, IN_CREATE

    def wait() -> None:
        if select.select([fd], [], [], 5.0)[0]:
            os.read(fd, 1 << 16)

    stop(wait)


def reader(
    bus: Bus, folder: str, run: Callable[[Callable[[Wait], None]], None]
) -> tuple[int, int]:
    """A child that waits for 0.yaml, 1.yaml … in `folder` and writes when it had parsed each; its pid and its pipe."""
    out, into = os.pipe()

    def read(wait: Wait) -> None:
        n = 0
        os.write(into, STAMP.pack(0))
        while True:
            while (bus.get(f"{folder}/{n}.yaml", Argument)) is None:
                wait()
            os.write(into, STAMP.pack(time.perf_counter_ns()))
            n += 1

    pid = claims.started(lambda: run(read))
    os.close(into)
    os.read(out, STAMP.size)
    return pid, out


def latencies(count: int, *, busy: bool) -> tuple[list[float], list[float]]:
    """Microseconds of each message, through watchdog and through bare inotify, message by message in turn."""
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-") as top:
        bus = claims.fill(top, 0)
        pids, pipes, times = [], [], ([], [])  # type: tuple[list[int], list[int], tuple[list[float], list[float]]]
        for name, run in (
            ("debate/round-1", lambda stop: by_watchdog(bus, stop)),
            ("raw", lambda stop: by_inotify(bus.here("raw"), stop)),
        ):
            os.makedirs(bus.here(name))
            os.makedirs(bus.here("chat"), exist_ok=True)
            pid, pipe = reader(bus, name, run)
            pids.append(pid)
            pipes.append(pipe)
        if busy:
            pids.append(claims.started(lambda: claiming(bus)))
        text = dumps(publish.message())
        for n in range(count):
            for which, name in enumerate(("debate/round-1", "raw")):
                atomic.publish(bus.path, f"{atomic.TMP}/{which}-{n}", text)
                time.sleep(0.004)
                began = time.perf_counter_ns()
                os.link(
                    bus.here(f"{atomic.TMP}/{which}-{n}"), bus.here(f"{name}/{n}.yaml")
                )
                times[which].append(
                    (STAMP.unpack(os.read(pipes[which], STAMP.size))[0] - began) / 1000
                )
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return times


def claiming(bus: Bus) -> None:
    """Claim and finish tasks, some hundred a second, until killed."""
    n = 0
    while True:
        with open(bus.here(f"claims/open/T-{n}.lock"), "w", encoding="ascii"):
            pass
        board.claim(bus, f"T-{n}", "a0")
        board.settle_claim(bus, f"T-{n}", "a0", "done")
        n += 1
        time.sleep(0.003)


def flood(count: int) -> tuple[int, float]:
    """Drop `count` files on a reader that is stopped: how many it never sees, and seconds until it has seen the rest."""
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-") as top:
        bus = claims.fill(top, 0)
        os.makedirs(bus.here("chat"))
        with open(bus.here("one.yaml"), "w", encoding="ascii") as file:
            file.write("catherd: 1\ntext: x\n")
        out, into = os.pipe()

        def read() -> None:
            with Watch(bus.path, ("", "chat"), ("claims",)) as watch:
                os.write(into, STAMP.pack(0))
                seen = 0
                while seen < count and watch.wait(15.0):
                    seen = len(bus.names("chat"))
                os.write(into, STAMP.pack(seen))

        pid = claims.started(read)
        os.read(out, STAMP.size)
        os.kill(pid, signal.SIGSTOP)
        for n in range(count):
            os.link(bus.here("one.yaml"), bus.here(f"chat/{n}.yaml"))
        began = time.perf_counter()
        os.kill(pid, signal.SIGCONT)
        seen = STAMP.unpack(os.read(out, STAMP.size))[0]
        took = time.perf_counter() - began
        os.waitpid(pid, 0)
        return count - seen, took


def measure(count: int = 100, runs: int = 3, burst: int = 40_000) -> Iterator[Figure]:
    """Three figures."""
    for busy, what in (
        (False, "post → parsed, watchdog / raw inotify"),
        (True, "the same beside claims"),
    ):
        found = [latencies(count, busy=busy) for _ in range(runs)]
        ratio = statistics.median(
            statistics.median(mine) / statistics.median(raw) for mine, raw in found
        )
        p50, p99 = (
            sorted(t for mine, _ in found for t in mine)[int(count * runs * part)]
            for part in (0.5, 0.99)
        )
        yield Figure(
            "wake",
            what,
            ratio,
            "x",
            3.0,
            2.0,
            note=f"p50 {p50:.0f} us, p99 {p99:.0f} us",
        )
    lost, took = flood(burst)
    yield Figure(
        "wake",
        f"{burst} files at a stopped reader, lost",
        lost,
        "",
        0,
        0,
        note=f"caught up in {took:.2f} s",
    )

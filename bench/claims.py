"""Claims: four processes empty a pool of tasks; kill -9 in the middle of it; and how soon a dead owner's task is free again."""

import os
import random
import select
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

import figures  # noqa: F401 - it makes src/ importable
from figures import Figure

from catherd.bus import atomic
from catherd.bus.store import Bus
from catherd.core.messages import Game
from catherd.pulls import board, merge_queue

Take = Callable[[Bus, str, str], bool]


def ours(bus: Bus, lock: str, me: str) -> bool:
    """Claim and finish as a daemon does, event lines included."""
    return board.claim(bus, lock, me) and board.settle_claim(bus, lock, me, "done")


def bare(bus: Bus, lock: str, me: str) -> bool:
    """The two renames and nothing else."""
    try:
        os.rename(
            f"{bus.path}/claims/open/{lock}.lock", f"{bus.path}/claims/{me}/{lock}.lock"
        )
    except FileNotFoundError:
        return False
    os.rename(
        f"{bus.path}/claims/{me}/{lock}.lock", f"{bus.path}/claims/done/{lock}.lock"
    )
    return True


def fill(folder: str, count: int) -> Bus:
    """A bus with `count` open claims."""
    bus = Bus(folder)
    for name in (
        "claims/open",
        "claims/done",
        "events",
        "agents",
        "prs",
        *(f"claims/a{n}" for n in range(4)),
        atomic.TMP,
    ):
        os.makedirs(bus.here(name), exist_ok=True)
    for n in range(count):
        with open(
            bus.here(f"claims/open/T-{n:05d}.lock"), "w", encoding="ascii"
        ) as file:
            file.write("catherd: 1\n")
    return bus


def empty(bus: Bus, number: int, take: Take) -> None:
    """Take until nothing is left: own leftovers first, then from an own place in the list, listed anew after five lost races."""
    me, lost = f"a{number}", 0
    for lock in bus.names(f"claims/{me}"):
        board.settle_claim(bus, lock.removesuffix(".lock"), me, "done")
    while names := bus.names("claims/open"):
        at = len(names) * number // 4
        lost = 0
        for name in (*names[at:], *names[:at]):
            lost += not take(bus, name.removesuffix(".lock"), me)
            if lost > 5:
                break


def started(act: Callable[[], None]) -> int:
    """The pid of a child that does `act` and ends."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(0)
    return pid


def rate(take: Take, count: int) -> float:
    """Claims a second by four processes."""
    with tempfile.TemporaryDirectory() as folder:
        bus = fill(folder, count)
        gate_out, gate_in = os.pipe()

        def work(number: int) -> None:
            os.close(gate_in)
            os.read(gate_out, 1)  # until the parent closes it
            empty(bus, number, take)

        pids = [started(lambda n=n: work(n)) for n in range(4)]  # type: ignore[misc]
        os.close(gate_out)
        began = time.perf_counter()
        os.close(gate_in)
        for pid in pids:
            os.waitpid(pid, 0)
        took = time.perf_counter() - began
        assert len(os.listdir(bus.here("claims/done"))) == count
        return count / took


def killed(seed: int, count: int = 120) -> tuple[int, int, int]:
    """One run in which claimants die in the loop: how many tasks were taken twice, how many lost, how many kills there were."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        bus = fill(folder, count)
        log = os.open(
            os.path.join(folder, "taken"), os.O_WRONLY | os.O_CREAT | os.O_APPEND
        )

        def take(bus: Bus, lock: str, me: str) -> bool:
            if not board.claim(bus, lock, me):
                return False
            os.write(log, f"{lock} {me}\n".encode())
            return board.settle_claim(bus, lock, me, "done")

        pids = {started(lambda n=n: empty(bus, n, take)): n for n in range(4)}  # type: ignore[misc]
        kills = 0
        while pids:
            if kills < 8:
                select.select([], [], [], draw.random() * 0.004)
                victim = draw.choice(list(pids))
                os.kill(victim, signal.SIGKILL)
            pid, status = os.wait()
            number = pids.pop(pid)
            if os.WIFSIGNALED(status):  # the same agent again: it finds what it held
                kills += 1
                pids[started(lambda n=number: empty(bus, n, take))] = number  # type: ignore[misc]
        os.close(log)
        with open(os.path.join(folder, "taken"), encoding="ascii") as file:
            taken = [line.split()[0] for line in file]
        return (
            len(taken) - len(set(taken)),
            count - len(os.listdir(bus.here("claims/done"))),
            kills,
        )


def freed(runs: int) -> list[float]:
    """Seconds from kill -9 of an owner until its task can be claimed again, with no grace."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        bus = fill(folder, 0)
        queue = merge_queue.Queue(
            bus, Game(id="g", roll=["a0"]), {}, board.Desk(bus, {}), ("a0",)
        )
        for n in range(runs):
            ready_out, ready_in = os.pipe()

            def own(n: int = n, ready: int = ready_in) -> None:
                atomic.take_lock(bus.here("agents/a0.lock"), wait=True)
                with open(bus.here(f"claims/a0/T-{n}.lock"), "w", encoding="ascii"):
                    pass
                os.write(ready, b"!")
                signal.pause()

            pid = started(own)
            os.read(ready_out, 1)
            rung = threading.Event()

            def heed(rung: threading.Event = rung) -> None:
                atomic.until_free(
                    bus.here("agents/a0.lock")
                )  # what the crank does for each daemon
                rung.set()

            threading.Thread(target=heed, daemon=True).start()
            rung.wait(0.02)
            began = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            rung.wait()
            while not bus.there(f"claims/open/T-{n}.lock"):
                merge_queue.frees(queue, {}, 0.0)
            times.append(time.perf_counter() - began)
            os.waitpid(pid, 0)
            os.close(ready_in)
            os.close(ready_out)
    return sorted(times)


def measure(count: int = 2000, runs: int = 9, kills: int = 100) -> Iterator[Figure]:
    """Three figures."""
    pairs = [(rate(ours, count), rate(bare, count)) for _ in range(runs)]
    mine, theirs = (
        max(pair[0] for pair in pairs),
        max(pair[1] for pair in pairs),
    )  # what else runs only ever slows
    ratio, note = mine / theirs, f"best of {runs}: {mine:.0f} of {theirs:.0f} a second"
    yield Figure(
        "claims",
        "claim+done, 4 processes / bare renames",
        ratio,
        "x",
        0.4,
        0.6,
        least=True,
        note=note,
    )
    twice = lost = dead = 0
    for seed in range(kills):
        more = killed(seed)
        twice, lost, dead = twice + more[0], lost + more[1], dead + more[2]
    note = f"{dead} claimants killed in {kills} runs"
    yield Figure(
        "claims", "taken twice, kill -9 in the loop", twice, "", 0, 0, note=note
    )
    yield Figure("claims", "lost, kill -9 in the loop", lost, "", 0, 0, note=note)
    times = freed(100)
    note = f"p50 {times[len(times) // 2] * 1000:.1f} ms of {len(times)}"
    p99 = times[int(len(times) * 0.99) - 1] * 1000
    yield Figure(
        "claims",
        "kill -9 of an owner to its task free, p99",
        p99,
        "ms",
        1000,
        10,
        note=note,
    )

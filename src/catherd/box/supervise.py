"""Watching a box: its output, memory, disk and wall clock, and how it is stopped."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import IO

import msgspec

from catherd.box import box_trees, proc_tree
from catherd.box.bwrap_args import Limits
from catherd.core import hidden

_TICK_S = 0.05  # seconds between two looks
_DISK_S = 0.2  # seconds between two looks at the disk, which cost more
_SPARE_PROCESSES = 8  # on top of the limit, which the kernel holds the box to


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """How a box took a signal to stop.

    `ended`: whether it ended in time, after `seconds`. `left`: the command lines of the
    processes that it left behind.
    """

    ended: bool
    seconds: float
    left: list[str] = []


def escaped_text(text: str | bytes) -> str:
    """Hidden characters written as backslash xNN or uNNNN; line ends as LF; tabs stay."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return hidden.escaped(text.replace("\r\n", "\n"))


class BoxWatch:
    """The output and the limits of one box.

    `attend` returns when the program has ended or was ended; `why` then says why.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.why: str | None = None
        self.peak_kb = 0
        self.endless = False  # keep the last output_kb in place of stopping there
        self.tell: Callable[[int, bytes], None] | None = None
        self._chunks: list[tuple[int, bytes]] = []  # (0 out or 1 err, bytes)
        self._size = 0  # of all chunks
        self._pipes: dict[int, int] = {}  # descriptor -> 0 out, 1 err
        self._streams: list[IO[bytes]] = []
        self._ended: int | None = None  # pidfd of the program
        self._disk_kb = 0  # what the disk held at the start
        self._disk_next = 0.0  # when to look at it again
        self._began = time.monotonic()
        self._took: float | None = None

    def begin(self, process: "subprocess.Popen[bytes]", grown: list[str]) -> None:
        """Take over the program's pipes; count disk use from what `grown` holds now."""
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
        self._streams = [process.stdout, process.stderr]
        self._pipes = {process.stdout.fileno(): 0, process.stderr.fileno(): 1}
        self._disk_kb = self._disk(grown)
        if hasattr(os, "pidfd_open"):
            # It wakes us when the program ends; without it the next tick does.
            self._ended = os.pidfd_open(process.pid)

    def seconds(self) -> float:
        """Wall time since the start, until the end."""
        return self._took if self._took is not None else time.monotonic() - self._began

    def log(self) -> bytes:
        """Both streams in the order in which they arrived."""
        # A copy of the list: the thread that attends goes on adding to it.
        return b"".join(chunk for _, chunk in list(self._chunks))

    def text(self, stream: int) -> str:
        """One stream: 0 out, 1 err."""
        chunks = [chunk for of, chunk in list(self._chunks) if of == stream]
        return b"".join(chunks).decode("utf-8", "replace")

    def attend(
        self,
        process: "subprocess.Popen[bytes]",
        root: int,
        grown: list[str],
        end: Callable[[], None],
    ) -> None:
        """Look every 50 ms until `process` has ended; past a limit call `end`.

        `root`: the pid whose descendants are counted. `grown`: the directories whose
        growth counts as disk use.
        """
        while process.poll() is None:
            self._read(_TICK_S)
            self.why = self.why or self._passed(root, grown)
            if self.why:
                end()

        self._took = time.monotonic() - self._began

    def drain(self) -> None:
        """Read what is left in the pipes; all writers are dead."""
        if self._ended is not None:
            os.close(self._ended)
            self._ended = None

        deadline = time.monotonic() + 5.0
        while self._pipes and time.monotonic() < deadline:
            self._read(0.2)

        self._pipes = {}
        for stream in self._streams:
            stream.close()

    def _read(self, wait_s: float) -> None:
        waited = list(self._pipes)
        if self._ended is not None:
            waited.append(self._ended)

        for fd in select.select(waited, [], [], wait_s)[0]:
            if fd == self._ended:
                continue
            chunk = os.read(fd, 65536)
            if not chunk:
                del self._pipes[fd]
                continue

            self._keep(self._pipes[fd], chunk)

    def _keep(self, stream: int, chunk: bytes) -> None:
        cap = self.limits.output_kb << 10
        if not self.endless and self._size + len(chunk) > cap:
            chunk = chunk[: max(0, cap - self._size)]
            self.why = self.why or "output"

        self._chunks.append((stream, chunk))
        if self.tell is not None:
            self.tell(stream, chunk)

        self._size += len(chunk)
        while self.endless and self._size > cap and len(self._chunks) > 1:
            self._size -= len(self._chunks.pop(0)[1])

    def _passed(self, root: int, grown: list[str]) -> str | None:
        """The limit that is passed, or None."""
        if self.limits.wall_s and self.seconds() > self.limits.wall_s:
            return "wall"
        if os.path.isdir("/proc/self/task"):
            passed = self._processes_passed(root)
            if passed is not None:
                return passed

        return "disk" if grown and self._disk_passed(grown) else None

    def _processes_passed(self, root: int) -> str | None:
        pids = proc_tree.descendants(root)
        most_kb = self.limits.memory_mb << 10
        weight = proc_tree.weight_kb([root, *pids], most_kb)
        self.peak_kb = max(self.peak_kb, weight)
        if weight > most_kb:
            return "memory"
        # The kernel's own limit does not hold for the box's init. A program that takes
        # that over is caught here.
        if len(pids) > self.limits.processes + _SPARE_PROCESSES:
            return "processes"
        return None

    def _disk_passed(self, grown: list[str]) -> bool:
        began = time.monotonic()
        if began < self._disk_next:
            return False
        growth_kb = self._disk(grown) - self._disk_kb
        # Looking takes at most a twentieth of the time.
        took = time.monotonic() - began
        self._disk_next = time.monotonic() + max(_DISK_S, 20 * took)
        return growth_kb > self.limits.disk_mb << 10

    def _disk(self, grown: list[str]) -> int:
        """KiB below `grown`; counting ends once the limit is passed."""
        room = self._disk_kb + (self.limits.disk_mb << 10) + 1
        stop_at = room if self._disk_kb else 1 << 40
        return sum(box_trees.size_kb(path, stop_at) for path in grown)


def stop_box(
    process: "subprocess.Popen[bytes]",
    init: int | None,
    pid: int,
    sig: signal.Signals,
    within_s: float,
) -> Stopped:
    """Send the program `sig` and see how it ends.

    `process`: bubblewrap, or the program itself where `init` is None. `init`: the pidfd
    of the box's init. `pid`: the program, 0 when it has ended.

    Bubblewrap's outer process would take everything with it when the program ends. So
    it is held with SIGSTOP for the moment: then one can see what the program leaves
    behind. The namespace's init ends by itself only when nothing is left.
    """
    if init is None:
        return _stop_unboxed(process, sig, within_s)
    if not pid:
        return Stopped(ended=False, seconds=0.0)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGSTOP)
    try:
        done = _signal_and_wait(pid, sig, within_s)
        took = time.monotonic() - began
        if not done or proc_tree.ended(init, 0.5):
            return Stopped(ended=done, seconds=took)
        return Stopped(ended=done, seconds=took, left=_left_behind(init))
    except ProcessLookupError:
        return Stopped(ended=True, seconds=time.monotonic() - began)
    finally:
        os.kill(process.pid, signal.SIGCONT)


def _signal_and_wait(pid: int, sig: signal.Signals, within_s: float) -> bool:
    """Whether `pid` ends within so many seconds after `sig`."""
    program = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(program, sig)
        return proc_tree.ended(program, within_s)
    finally:
        os.close(program)


def _left_behind(init: int) -> list[str]:
    """The command lines of what lives below the init with this pidfd."""
    children = proc_tree.descendants(_pid_of(init))
    lines = [proc_tree.command_of(child) for child in children]
    return [escaped_text(line) for line in lines if line]


def _pid_of(fd: int) -> int:
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("Pid:")).split()[1])


def _stop_unboxed(
    process: "subprocess.Popen[bytes]", sig: signal.Signals, within_s: float
) -> Stopped:
    began = time.monotonic()
    try:
        os.killpg(process.pid, sig)
        process.wait(within_s)
    except (ProcessLookupError, PermissionError):
        pass
    except subprocess.TimeoutExpired:
        return Stopped(ended=False, seconds=time.monotonic() - began)

    took = time.monotonic() - began
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return Stopped(ended=True, seconds=took)

    return Stopped(ended=True, seconds=took, left=["a process of its group"])


def limit_line(limits: Limits) -> str:
    """A shell line that sets what any POSIX shell can, then runs its arguments."""
    settings = [
        f"-v {limits.address_mb << 10}",
        f"-f {limits.file_mb << 11}",
        f"-n {limits.files}",
        "-c 0",
    ]
    if limits.cpu_s:
        settings.insert(0, f"-t {limits.cpu_s}")

    lines = [f"ulimit {words} 2>/dev/null" for words in settings]
    return "; ".join([*lines, 'exec "$@"'])


def scratch_file(data: bytes) -> int:
    """A descriptor of an unlinked file from which `data` can be read."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return os.dup(file.fileno())


def discard(path: str) -> None:
    """Remove a scratch directory; an empty name is nothing."""
    if path:
        shutil.rmtree(path, ignore_errors=True)

"""Watching a box: its output up to a cap, its memory, disk and wall clock, and how it takes a signal to stop."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable

from catherd.box import box_trees, proc_tree
from catherd.box.bwrap_args import Limits
from catherd.core import hidden

_TICK_S, _DISK_S = (
    0.05,
    0.2,
)  # seconds between looks; at the disk, which costs more, less often


def escaped_text(text: str | bytes) -> str:
    """Hidden characters written as backslash xNN or uNNNN; line ends as LF; tabs stay."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return hidden.escaped(text.replace("\r\n", "\n"))


class BoxWatch:
    """The output and the limits of one box; `attend` returns when the program has ended or was ended, `why` then says why."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.why: str | None = None
        self.peak_kb = 0
        self.endless = False  # keep the last output_kb in place of stopping there
        self.tell: Callable[[int, bytes], None] | None = None
        self._chunks: list[tuple[int, bytes]] = []
        self._size = 0
        self._pipes: dict[int, int] = {}  # descriptor -> 0 out, 1 err
        self._disk_kb = 0
        self._disk_next = 0.0
        self._began = time.monotonic()
        self._took: float | None = None
        self._streams: list[object] = []
        self._ended: int | None = None

    def begin(self, process: "subprocess.Popen[bytes]", grown: list[str]) -> None:
        """Take over the program's pipes; disk use is counted from what `grown` holds now."""
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
        self._streams = [process.stdout, process.stderr]
        self._pipes = {process.stdout.fileno(): 0, process.stderr.fileno(): 1}
        self._disk_kb = self._disk(grown)
        if hasattr(os, "pidfd_open"):
            self._ended = os.pidfd_open(
                process.pid
            )  # wakes us at its end; without it a tick does

    def seconds(self) -> float:
        """Wall time since the start, until the end."""
        return self._took if self._took is not None else time.monotonic() - self._began

    def log(self) -> bytes:
        """Both streams in the order in which they arrived."""
        return b"".join(chunk for _, chunk in list(self._chunks))

    def text(self, stream: int) -> str:
        """One stream: 0 out, 1 err."""
        return b"".join(
            chunk for of, chunk in list(self._chunks) if of == stream
        ).decode("utf-8", "replace")

    def attend(
        self,
        process: "subprocess.Popen[bytes]",
        root: int,
        grown: list[str],
        end: Callable[[], None],
    ) -> None:
        """Look every 50 ms until `process` has ended or a limit is passed (then `end` is called)."""
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
            stream.close()  # type: ignore[attr-defined]

    def _read(self, wait_s: float) -> None:
        waited = [*self._pipes, *([] if self._ended is None else [self._ended])]
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
        if self.limits.wall_s and self.seconds() > self.limits.wall_s:
            return "wall"
        if os.path.isdir("/proc/self/task"):
            pids = proc_tree.descendants(root)
            most = self.limits.memory_mb << 10
            self.peak_kb = max(
                self.peak_kb, now := proc_tree.weight_kb([root, *pids], most)
            )
            if now > most:
                return "memory"
            # The kernel's own limit holds for all but the box's init; who takes that over is counted here.
            if len(pids) > self.limits.processes + 8:
                return "processes"
        began = time.monotonic()
        if not grown or began < self._disk_next:
            return None
        over = self._disk(grown) - self._disk_kb > self.limits.disk_mb << 10
        self._disk_next = time.monotonic() + max(
            _DISK_S, 20 * (time.monotonic() - began)
        )
        return "disk" if over else None

    def _disk(self, grown: list[str]) -> int:
        room = self._disk_kb + (self.limits.disk_mb << 10) + 1
        return sum(
            box_trees.size_kb(path, room if self._disk_kb else 1 << 40)
            for path in grown
        )


def stop_box(
    process: "subprocess.Popen[bytes]",
    init: int | None,
    pid: int,
    sig: signal.Signals,
    within_s: float,
) -> tuple[bool, float, list[str]]:
    """Signal the program; (ended in time, seconds, command lines of what it left behind).

    Bubblewrap's outer process would take everything with it when the program ends. It is held with SIGSTOP for the
    moment, so that what the program leaves behind can be seen; the namespace's init ends by itself only when nothing is left.
    """
    began = time.monotonic()
    if init is None:
        return _stop_unboxed(process, sig, within_s, began)
    if not pid:
        return False, 0.0, []
    os.kill(process.pid, signal.SIGSTOP)
    try:
        program = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(program, sig)
            done = proc_tree.ended(program, within_s)
        finally:
            os.close(program)
        took = time.monotonic() - began
        if not done or proc_tree.ended(init, 0.5):
            return done, took, []
        left = [
            proc_tree.command_of(child)
            for child in proc_tree.descendants(_pid_of(init))
        ]
        return done, took, [escaped_text(line) for line in left if line]
    except ProcessLookupError:
        return True, time.monotonic() - began, []
    finally:
        os.kill(process.pid, signal.SIGCONT)


def _pid_of(fd: int) -> int:
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("Pid:")).split()[1])


def _stop_unboxed(
    process: "subprocess.Popen[bytes]",
    sig: signal.Signals,
    within_s: float,
    began: float,
) -> tuple[bool, float, list[str]]:
    try:
        os.killpg(process.pid, sig)
        process.wait(within_s)
    except (ProcessLookupError, PermissionError):
        pass
    except subprocess.TimeoutExpired:
        return False, time.monotonic() - began, []
    took = time.monotonic() - began
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return True, took, []
    return True, took, ["a process of its group"]


def limit_line(limits: Limits) -> str:
    """A shell line that sets what any POSIX shell can, then runs its arguments."""
    sets = [
        f"-t {limits.cpu_s}" if limits.cpu_s else "",
        f"-v {limits.address_mb << 10}",
        f"-f {limits.file_mb << 11}",
        f"-n {limits.files}",
        "-c 0",
    ]
    return (
        "; ".join(f"ulimit {words} 2>/dev/null" for words in sets if words)
        + '; exec "$@"'
    )


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

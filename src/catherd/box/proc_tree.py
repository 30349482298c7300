"""The processes of a box as the kernel tells them: who is there, what they weigh, and how all of them die at once.

Linux only (/proc, pidfd). The box's first process is the init of a pid namespace: the kernel reaps it only when every other member is
dead, so "its pidfd is readable" means "nothing of the box runs any more".
"""

import json
import os
import re
import select
import signal
import time

_MARK = "CATHERD_BOX_OF"
_SHARED = b"/dev/zero (deleted)"  # how the kernel calls shared memory without a name
_MAPPING = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ (\d+) +"
    + re.escape(_SHARED)
    + rb"\n(?:.*\n)*?Rss: +(\d+) kB",
    re.MULTILINE,
)
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


def descendants(pid: int) -> list[int]:
    """All living descendants of `pid`, parents first, without `pid` itself."""
    found, queue = [], [pid]
    while queue:
        parent = queue.pop(0)
        for child in _children(parent):
            found.append(child)
            queue.append(child)
    return found


def _children(pid: int) -> list[int]:
    kids: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return kids
    for tid in threads:
        try:
            with open(f"/proc/{pid}/task/{tid}/children", encoding="ascii") as file:
                kids += [int(word) for word in file.read().split()]
        except OSError:
            continue
    return kids


def weight_kb(pids: list[int], enough_kb: int) -> int:
    """Memory of these processes, in KiB: what is resident, and, once they map more than `enough_kb`, what they share without a name
    though it is resident in none of them. What has ended weighs nothing.
    """
    total = mapped = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                size, resident = file.read().split()[:2]
        except (OSError, ValueError):
            continue
        mapped += int(size) * _PAGE_KB
        total += int(resident) * _PAGE_KB
    return total + (_unseen_kb(pids) if mapped > enough_kb else 0)


def _unseen_kb(pids: list[int]) -> int:
    length: dict[bytes, int] = {}  # by inode
    resident: dict[bytes, int] = {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/maps", "rb") as file:
                if _SHARED not in file.read():
                    continue
            with open(f"/proc/{pid}/smaps", "rb") as file:
                found = _MAPPING.findall(file.read())
        except OSError:
            continue
        for start, end, offset, inode, here in found:
            reach = (int(offset, 16) + int(end, 16) - int(start, 16)) >> 10
            length[inode] = max(length.get(inode, 0), reach)
            resident[inode] = resident.get(inode, 0) + int(here)
    return sum(max(0, reach - resident[inode]) for inode, reach in length.items())


def command_of(pid: int) -> str:
    """The command line of `pid`, words joined by blanks; empty when it has ended or is a zombie."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    """The parent of `pid`; 0 when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def first_child(pid: int, fd: int) -> int:
    """The first child of `pid` (whose pidfd is `fd`), waited for a moment; 0 when `pid` ends before it has one."""
    for _ in range(500):
        kids = _children(pid)
        if kids:
            return kids[0]
        if ended(fd, 0.004):
            return 0
    return 0


def read_info(fd: int, within_s: float) -> int:
    """The `child-pid` that bubblewrap writes to its --info-fd; 0 when it ended without a word. Closes `fd`."""
    data, end = b"", time.monotonic() + within_s
    try:
        while b"}" not in data:
            if not select.select([fd], [], [], max(0.0, end - time.monotonic()))[0]:
                return 0
            chunk = os.read(fd, 4096)
            if not chunk:
                return 0
            data += chunk
        return int(json.loads(data)["child-pid"])
    finally:
        os.close(fd)


def lives(pid: int) -> bool:
    """Whether there is a process `pid`."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def marked() -> dict[str, str]:
    """What the environment of a box's outer processes holds, so that `end_orphans` knows whose they were."""
    return {_MARK: str(os.getpid())}


def end_orphans() -> None:
    """Kill what still stands of boxes whose starter was killed: bubblewrap itself, when that happened in its first milliseconds."""
    if not os.path.isdir("/proc/self"):
        return
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                found = re.search(
                    rb"(?:^|\0)" + _MARK.encode() + rb"=(\d+)(?:\0|$)", file.read()
                )
            if name.isdigit() and found and not lives(int(found[1])):
                os.kill(int(name), signal.SIGKILL)
        except OSError:
            continue


def say_go(go: int, pid: int, fd: int | None, filtered: bool) -> bool:
    """Tell the box behind init `pid` (pidfd `fd`) to begin, once that init is bound to our life; whether it was there to be told.
    Closes `go`.

    Bubblewrap's init asks for the parent-death signal, then loads the filter: where the filter is seen, the signal is set. It
    does so last: an init that ends before that could not build the box.
    """
    there = fd is not None and not ended(fd)
    for _ in range(5000):
        if not filtered or fd is None or _filtered(pid):
            break
        if ended(fd, 0.001):
            there = False
            break
    try:
        os.write(go, b"go\n")
    except BrokenPipeError:
        pass  # it has ended; its result says why
    os.close(go)
    return there


def _filtered(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            return "\nSeccomp:\t2\n" in file.read()
    except OSError:
        return False


def open_pid(pid: int, parent: int) -> int | None:
    """A pidfd of `pid` if it is a living child of `parent`, else None: a number that was used again is never ours."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return None
    if parent_of(pid) == parent:
        return fd
    os.close(fd)
    return None


def ended(fd: int, within_s: float = 0.0) -> bool:
    """Whether the process behind pidfd `fd` ends within so many seconds."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0, round(within_s * 1000))))


def kill_all(fd: int) -> None:
    """Kill the box behind the pidfd of its init and wait until its last process is dead."""
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        return
    ended(fd, 10.0)

"""The processes of a box: which there are, what they weigh, and how all die at once.

Linux only (/proc, pidfd). The box's first process is the init of a pid namespace. The
kernel reaps it only when every other member is dead, so "its pidfd is readable" means
"nothing of the box runs any more".
"""

import json
import os
import re
import select
import signal
import time

_MARK = "CATHERD_BOX_OF"
_SHARED = b"/dev/zero (deleted)"  # the kernel's word for shared memory without a name
# In smaps: the start, end, offset and inode of such a mapping, and its resident KiB.
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
    """Memory of these processes, in KiB; one that has ended weighs nothing.

    Counted is what is resident. Once they map more than `enough_kb`, memory counts too
    that they share without a name and that is resident in none of them.
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
    """KiB of nameless shared memory beyond what is resident in these processes."""
    length: dict[bytes, int] = {}  # by inode
    resident: dict[bytes, int] = {}
    for pid in pids:
        for start, end, offset, inode, resident_here in _nameless_mappings(pid):
            reach = (int(offset, 16) + int(end, 16) - int(start, 16)) >> 10
            length[inode] = max(length.get(inode, 0), reach)
            resident[inode] = resident.get(inode, 0) + int(resident_here)

    return sum(max(0, reach - resident[inode]) for inode, reach in length.items())


def _nameless_mappings(pid: int) -> list[tuple[bytes, ...]]:
    """The groups of `_MAPPING` for each such mapping of `pid`."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            if _SHARED not in file.read():
                return []  # maps is cheap to read, smaps is not

        with open(f"/proc/{pid}/smaps", "rb") as file:
            return _MAPPING.findall(file.read())
    except OSError:
        return []


def command_of(pid: int) -> str:
    """The command line of `pid`, words joined by blanks.

    Empty when it has ended or is a zombie.
    """
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
    """The first child of `pid` (whose pidfd is `fd`), waited for up to two seconds.

    0 when `pid` ends before it has one.
    """
    for _ in range(500):
        kids = _children(pid)
        if kids:
            return kids[0]
        if ended(fd, 0.004):
            return 0

    return 0


def read_info(fd: int, within_s: float) -> int:
    """The `child-pid` that bubblewrap writes to its --info-fd. Closes `fd`.

    0 when it ended, or let the time pass, without a word.
    """
    data = b""
    end = time.monotonic() + within_s
    try:
        while b"}" not in data:
            left_s = max(0.0, end - time.monotonic())
            if not select.select([fd], [], [], left_s)[0]:
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
    """The environment variable of a box's outer processes that says who started them.

    `end_orphans` reads it.
    """
    return {_MARK: str(os.getpid())}


def end_orphans() -> None:
    """Kill what still stands of boxes whose starter was killed.

    That is bubblewrap itself, where the starter died in its first milliseconds.
    """
    if not os.path.isdir("/proc/self"):
        return
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            starter = _starter_of(name)
            if starter and not lives(starter):
                os.kill(int(name), signal.SIGKILL)
        except OSError:
            continue


def _starter_of(pid: str) -> int:
    """The pid in the mark of a process; 0 when it has none."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        environ = file.read()
    found = re.search(rb"(?:^|\0)" + _MARK.encode() + rb"=(\d+)(?:\0|$)", environ)
    return int(found[1]) if found else 0


def say_go(go: int, pid: int, fd: int | None, filtered: bool) -> bool:
    """Tell a box to begin, once its init is bound to our life; whether it was there.

    `go`: the pipe that the box waits on; it is closed. `pid`, `fd`: the init and its
    pidfd. `filtered`: whether the box gets a system-call filter.

    Bubblewrap's init first asks for the parent-death signal and then loads the filter:
    where the filter is seen, the signal is set. It loads it last, so an init that ends
    before could not build the box.
    """
    there = fd is not None and not ended(fd)
    if there and filtered and fd is not None:
        there = _wait_for_filter(pid, fd)

    try:
        os.write(go, b"go\n")
    except BrokenPipeError:
        pass  # it has ended; its result says why

    os.close(go)
    return there


def _wait_for_filter(pid: int, fd: int) -> bool:
    """Wait about five seconds for the filter; False when the process ends before."""
    for _ in range(5000):
        if _filtered(pid):
            return True
        if ended(fd, 0.001):
            return False

    return True


def _filtered(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            return "\nSeccomp:\t2\n" in file.read()
    except OSError:
        return False


def open_pid(pid: int, parent: int) -> int | None:
    """A pidfd of `pid` if it is a living child of `parent`, else None.

    So a number that the kernel gave to another process meanwhile is never ours.
    """
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
    """Kill the box behind its init's pidfd and wait until its last process is dead."""
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        return
    ended(fd, 10.0)

"""Lock files that a killed git left behind: which are nobody's any more, and their removal.

A lock goes only when no living process has it open and none but our own gits works in that checkout (seen in /proc; ours
are kept apart by catherd's own locks), and when it is two seconds old: git closes a lock a moment before it renames it.
Where there is no /proc it must be a minute old. `CATHERD_PORTABLE=1` acts as if there were no /proc.
"""

import os
import time
from collections.abc import Iterator

from catherd.bus.crashpoints import effect

STALE_S, SEEN_S = 60.0, 2.0
OURS = (
    b"core.hooksPath=/dev/null"  # on the command line of every git that catherd starts
)


def drop(
    path: str, *, checkout: str, since: float | None = None, age_s: float = SEEN_S
) -> bool:
    """Remove a lock file that nobody holds; False when it stays. True also when there is none.

    To be called with the catherd lock held under which our own gits make such a lock. `since` (seconds since the epoch)
    vouches that our own killed git made every lock from then on: no waiting for age. `age_s`: up to two seconds are waited
    for, for more than that it stays.
    """
    try:
        born = os.lstat(path).st_mtime
    except FileNotFoundError:
        return True
    seen = os.path.isdir("/proc/self/fd") and os.environ.get("CATHERD_PORTABLE") != "1"
    if seen and in_use(path, checkout):
        return False
    age = time.time() - born
    missing = (age_s if seen else STALE_S) - age
    if missing > 0 and not (seen and since is not None and born >= since - 1):
        if missing > SEEN_S:
            return False
        time.sleep(missing)
    return not (seen and in_use(path, checkout)) and _unlink(path)


def _unlink(path: str) -> bool:
    with effect("unlock", os.path.basename(path)):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    return True


def in_use(path: str, checkout: str) -> bool:
    """Whether a process has the file open, or is a git, not of ours, whose working directory lies in the checkout."""
    try:
        wanted = os.lstat(path)
    except FileNotFoundError:
        return False
    top = os.path.realpath(checkout)
    return any(_git_in(pid, top) or _has_open(pid, wanted) for pid in _processes())


def _processes() -> Iterator[str]:
    mine = str(os.getpid())
    return (name for name in os.listdir("/proc") if name.isdigit() and name != mine)


def _git_in(pid: str, top: str) -> bool:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            if not file.read().startswith("git"):
                return False
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            if OURS in line.read():
                return False
        where = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False
    return where == top or where.startswith(top + os.sep)


def _has_open(pid: str, wanted: os.stat_result) -> bool:
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                found = os.stat(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    except OSError:
        return False
    return False

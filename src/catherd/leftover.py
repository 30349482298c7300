"""Lock files that a killed git left behind: which are nobody's any more, and their removal.

A lock is taken away only when no living process has it open and no git works in that checkout (seen in /proc). Where
there is no /proc, or for locks that a person's git may hold too, it must also be older than `STALE_S`.
`CATHERD_PORTABLE=1` acts as if there were no /proc.
"""

import os
import time
from collections.abc import Iterator

from catherd.effects import effect

STALE_S = 60.0


def drop(path: str, *, checkout: str, since: float | None = None) -> bool:
    """Remove a lock file that nobody holds; False when it stays. True also when there is none.

    `since` (seconds since the epoch) vouches that our own killed git made every lock from then on: no waiting for age.
    """
    try:
        born = os.lstat(path).st_mtime
    except FileNotFoundError:
        return True
    seen = os.path.isdir("/proc/self/fd") and os.environ.get("CATHERD_PORTABLE") != "1"
    ours = seen and since is not None and born >= since - 1
    if not ours and time.time() - born < STALE_S:
        return False
    if seen and in_use(path, checkout):
        return False
    with effect("unlock", os.path.basename(path)):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    return True


def in_use(path: str, checkout: str) -> bool:
    """Whether a process has the file open, or is a git whose working directory lies in the checkout."""
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

"""Lock files that a killed git left behind: which ones nobody holds, and their removal.

A lock goes only when no living process has it open and no git but ours works in that
checkout. Both are seen in /proc; our own gits are kept apart by catherd's own locks.
And it must be two seconds old, because git closes a lock a moment before it renames it.
Where there is no /proc it must be a minute old. `CATHERD_PORTABLE=1` acts as if there
were no /proc.
"""

import os
import time
from collections.abc import Iterator

from catherd.bus.crashpoints import effect

STALE_S = 60.0  # age of a lock that is left, where processes cannot be seen
SEEN_S = 2.0  # the same where they can
OURS = b"core.hooksPath=/dev/null"  # on the command line of every git of ours


def drop(
    path: str, *, checkout: str, since: float | None = None, age_s: float = SEEN_S
) -> bool:
    """Remove a lock file that nobody holds; False when it stays.

    True also when there is none. To be called with the catherd lock held under which
    our own gits make such a lock. `since` (seconds since the epoch) vouches that our
    own killed git made every lock from then on, so that none has to reach an age.
    `age_s`: the age it must have; up to two seconds are waited for, for more it stays.
    """
    try:
        born = os.lstat(path).st_mtime
    except FileNotFoundError:
        return True

    seen = _processes_are_seen()
    if seen and in_use(path, checkout):
        return False
    vouched = seen and since is not None and born >= since - 1
    if not vouched and not _comes_of_age(born, age_s if seen else STALE_S):
        return False
    # Somebody may have taken it while we waited.
    if seen and in_use(path, checkout):
        return False
    _unlink(path)
    return True


def _comes_of_age(born: float, age_s: float) -> bool:
    """Whether a lock is that old; up to two seconds are waited for."""
    missing_s = age_s - (time.time() - born)
    if missing_s > SEEN_S:
        return False
    time.sleep(max(0.0, missing_s))
    return True


def _processes_are_seen() -> bool:
    portable = os.environ.get("CATHERD_PORTABLE") == "1"
    return os.path.isdir("/proc/self/fd") and not portable


def _unlink(path: str) -> None:
    with effect("unlock", os.path.basename(path)):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def in_use(path: str, checkout: str) -> bool:
    """Whether the lock has a living holder.

    That is a process that has the file open, or a git that is not ours and whose
    working directory lies in the checkout.
    """
    try:
        wanted = os.lstat(path)
    except FileNotFoundError:
        return False

    top = os.path.realpath(checkout)
    return any(_is_git_in(pid, top) or _has_open(pid, wanted) for pid in _processes())


def _processes() -> Iterator[str]:
    mine = str(os.getpid())
    return (name for name in os.listdir("/proc") if name.isdigit() and name != mine)


def _is_git_in(pid: str, top: str) -> bool:
    """Whether `pid` is a git that catherd did not start, and works below `top`."""
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

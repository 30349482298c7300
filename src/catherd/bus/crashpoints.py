"""The doors: every effect on disk or git is counted here, so that a test can kill us at each one.

`with effect("publish", "debate/round-1/claude.yaml"):` stands around one system call that changes something.
With `CATHERD_CRASH_DIR=<dir>` set, every effect of this process's role is logged to `<dir>/<role>.log`, one line
`<door> <path>` each; the n-th line is the role's n-th effect over the whole game, whichever process made it.
`CATHERD_CRASH_AT=<role>:<n>:<before|after>` then SIGKILLs the process there, once: `<dir>/fired` says that it did.
`CATHERD_CRASH_AT=every:<k>/<m>` SIGKILLs it at every m-th point of the game: a point is (role, door, path without times and
hashes, how often the role has come by, up to `OFTEN`, before or after), and its own hash says whether it is one of share k,
so that m games with k = 0 … m-1 kill at every point. Each kills once: `<dir>/<hash>.killed` tells where.
Unset (always, outside the crash tests) the cost is one dictionary look-up.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

NOTHING = nullcontext()
OFTEN = 3  # that many times at the same door and path are points of their own
VARIES = r"\d{8}T\d{6}\.\d{3}Z|[0-9a-f]{12,64}|g-\d{8}-\d{6}-[0-9a-f]{4}|\d{4}-\d\d-\d\d"  # from game to game
role = [
    "herd"
]  # of this process: an agent's name, "gate" or "herd"; set once, by the door that starts it


def effect(door: str, path: str) -> AbstractContextManager[None]:
    """Around one system call that changes something; `path` is relative to the bus or names a ref."""
    folder = os.environ.get("CATHERD_CRASH_DIR")
    return NOTHING if folder is None else _counted(folder, door, path)


@contextmanager
def _counted(folder: str, door: str, path: str) -> Iterator[None]:
    lines = _log(folder, door, path)
    _crash(folder, lines, "before")
    yield
    _crash(folder, lines, "after")


def _log(folder: str, door: str, path: str) -> list[str]:
    """The role's effects so far, this one last."""
    name = os.path.join(folder, f"{role[0]}.log")
    fd = os.open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, f"{door} {path}\n".encode())
        os.lseek(fd, 0, os.SEEK_SET)
        data = b""
        while chunk := os.read(fd, 1 << 20):
            data += chunk
        return data.decode(errors="replace").splitlines()
    finally:
        os.close(fd)


def _crash(folder: str, lines: list[str], when: str) -> None:
    told = os.environ.get("CATHERD_CRASH_AT", "")
    mark = _share(told, lines, when) if told.startswith("every:") else ""
    if told == f"{role[0]}:{len(lines)}:{when}":
        mark = "fired"
    if not mark:
        return
    try:
        fd = os.open(
            os.path.join(folder, mark), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600
        )
    except FileExistsError:
        return
    os.write(fd, f"{role[0]} {when} {lines[-1]}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _share(told: str, lines: list[str], when: str) -> str:
    """The name of this point's mark when it is one of the share that was told, else "".

    Before and after are half the shares apart: who dies before it comes by again as the next, and would never be killed after.
    """
    import re
    from hashlib import sha256

    k, m = map(int, told.removeprefix("every:").split("/"))
    here = re.sub(VARIES, "*", lines[-1])
    nth = sum(re.sub(VARIES, "*", line) == here for line in lines)
    digest = sha256(f"{role[0]} {here} {nth}".encode()).hexdigest()
    due = (int(digest, 16) + (m // 2 if when == "after" else 0)) % m == k
    return f"{digest[:16]}-{when}.killed" if due and nth <= OFTEN else ""

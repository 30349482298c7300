"""The doors: every effect on disk or git is counted here, so that a test can kill us at each one.

`with effect("publish", "debate/round-1/claude.yaml"):` stands around one system call that changes something.
With `CATHERD_CRASH_DIR=<dir>` set, every effect of this process's role is logged to `<dir>/<role>.log`, one line
`<door> <path>` each; the n-th line is the role's n-th effect over the whole game, whichever process made it.
`CATHERD_CRASH_AT=<role>:<n>:<before|after>` then SIGKILLs the process there, once: `<dir>/fired` says that it did.
Unset (always, outside the crash tests) the cost is one dictionary look-up.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

NOTHING = nullcontext()
role = ["herd"]  # of this process: an agent's name, "gate" or "herd"; set once, by the door that starts it


def effect(door: str, path: str) -> AbstractContextManager[None]:
    """Around one system call that changes something; `path` is relative to the bus or names a ref."""
    folder = os.environ.get("CATHERD_CRASH_DIR")
    return NOTHING if folder is None else _counted(folder, door, path)


@contextmanager
def _counted(folder: str, door: str, path: str) -> Iterator[None]:
    n = _log(folder, door, path)
    _crash(folder, n, "before")
    yield
    _crash(folder, n, "after")


def _log(folder: str, door: str, path: str) -> int:
    name = os.path.join(folder, f"{role[0]}.log")
    fd = os.open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, f"{door} {path}\n".encode())
        os.lseek(fd, 0, os.SEEK_SET)
        data = b""
        while chunk := os.read(fd, 1 << 20):
            data += chunk
        return data.count(b"\n")
    finally:
        os.close(fd)


def _crash(folder: str, n: int, when: str) -> None:
    if os.environ.get("CATHERD_CRASH_AT") != f"{role[0]}:{n}:{when}":
        return
    try:
        os.close(os.open(os.path.join(folder, "fired"), os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

"""Counts every effect on disk or git, so that a test can kill the process at each one.

`with effect("publish", "debate/round-1/claude.yaml"):` stands around one system call
that changes something. Outside the crash tests it costs one look-up in the environment.

`CATHERD_CRASH_DIR=<dir>` logs every effect of this process's role to `<dir>/<role>.log`,
one line `<kind> <path>` each. The n-th line is the role's n-th effect over the whole
game, whichever process made it.

`CATHERD_CRASH_AT=<role>:<n>:<before|after>` then SIGKILLs the process at that effect,
once: `<dir>/fired` says that it did.

`CATHERD_CRASH_AT=every:<k>/<m>` SIGKILLs it at every m-th point of the game. A point is
the role, the kind and the path of an effect, how often the role has come by (up to
`OFTEN`), and before or after. Times and hashes in the path are left out. The point's own
hash says whether it is one of share k, so that m games with k = 0 … m-1 kill at every
point. Each kills once: `<dir>/<hash>.killed` tells where.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

NOTHING = nullcontext()
OFTEN = 3  # that many times at the same kind and path are points of their own
ROLE = "CATHERD_ROLE"  # `<pid>:<role>` of the process that took the role
# What differs from game to game in a path: times, hashes, the game's name, dates.
VARIES = (
    r"\d{8}T\d{6}\.\d{3}Z|[0-9a-f]{12,64}|g-\d{8}-\d{6}-[0-9a-f]{4}"
    r"|\d{4}-\d\d-\d\d"
)


def take_role(role: str) -> None:
    """Count the effects of this process as those of `role`: an agent's name, or "gate".

    A process that takes none is of the herd. The pid keeps its children from passing
    for the same role.
    """
    if "CATHERD_CRASH_DIR" in os.environ:
        os.environ[ROLE] = f"{os.getpid()}:{role}"


def effect(kind: str, path: str) -> AbstractContextManager[None]:
    """Stand around one system call that changes something; `path` is relative to the bus or names a ref."""
    folder = os.environ.get("CATHERD_CRASH_DIR")
    return NOTHING if folder is None else _counted(folder, kind, path)


def _role() -> str:
    pid, _, role = os.environ.get(ROLE, "").partition(":")
    return role if pid == str(os.getpid()) else "herd"


@contextmanager
def _counted(folder: str, kind: str, path: str) -> Iterator[None]:
    lines = _log(folder, kind, path)
    _crash(folder, lines, "before")
    yield
    _crash(folder, lines, "after")


def _log(folder: str, kind: str, path: str) -> list[str]:
    """The role's effects so far, this one last."""
    name = os.path.join(folder, f"{_role()}.log")
    fd = os.open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with open(fd, "r+b", buffering=0) as file:
        file.write(f"{kind} {path}\n".encode())
        file.seek(0)
        return file.readall().decode(errors="replace").splitlines()


def _crash(folder: str, lines: list[str], when: str) -> None:
    """Kill this process if the test wants it here, and did not kill here before."""
    mark = _mark(lines, when)
    if not mark:
        return
    try:
        fd = os.open(
            os.path.join(folder, mark), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600
        )
    except FileExistsError:
        return
    os.write(fd, f"{_role()} {when} {lines[-1]}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _mark(lines: list[str], when: str) -> str:
    """The name of the file that tells of a kill at this point, "" when none is wanted."""
    wanted = os.environ.get("CATHERD_CRASH_AT", "")
    if wanted == f"{_role()}:{len(lines)}:{when}":
        return "fired"
    if wanted.startswith("every:"):
        share, _, shares = wanted.removeprefix("every:").partition("/")
        return _shared_mark(int(share), int(shares), lines, when)
    return ""


def _shared_mark(share: int, shares: int, lines: list[str], when: str) -> str:
    """The name of this point's mark when it is one of that share, else "".

    Before and after are half the shares apart: a process that is killed before an effect
    comes by again as the next one, and would never be killed after it.
    """
    import re
    from hashlib import sha256

    # This effect, and those before it, without what differs from game to game.
    here, *earlier = (re.sub(VARIES, "*", line) for line in reversed(lines))
    times = 1 + earlier.count(here)

    digest = sha256(f"{_role()} {here} {times}".encode()).hexdigest()
    shift = shares // 2 if when == "after" else 0
    if times > OFTEN or (int(digest, 16) + shift) % shares != share:
        return ""
    return f"{digest[:16]}-{when}.killed"

"""What an app depends on: its lock file, and the wheels that this names.

`app/requirements.lock` is read strictly. It holds lines like `name==version
--hash=sha256:…` and nothing else: no option, address, path or variable reaches pip. The
wheels are fetched outside the box, and nothing of them runs there. Only wheels are
taken, because a source archive would run its setup; each is held to its hash. They are
kept in `.catherd/wheels/<sha256 of the lock>` and shown to the box as /wheels, where
`install:` works without a network.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

from catherd.bus.crashpoints import effect
from catherd.core.errors import CatherdError

LOCK = "app/requirements.lock"
_LINE = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)((?:\s+--hash=sha256:[0-9a-f]{64})+)"
)
SECONDS = 600


class Unfetched(CatherdError):
    """The wheels could not be had: that is for a person, not for the agents."""


def read_lock(text: str) -> list[str]:
    """The requirements of a lock file, one a line, as pip gets them.

    Raises CatherdError for the first line that is no pinned requirement.
    """
    made = []
    joined = re.sub(r"\\\r?\n", " ", text)
    for number, line in enumerate(joined.splitlines(), 1):
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not bare:
            continue
        found = _LINE.fullmatch(bare)
        if found is None:
            fix = "name==1.2 --hash=sha256:<64 digits>, a line each and nothing else"
            raise CatherdError(
                f"is no pinned requirement with its hash: {bare[:80]}",
                where=f"{LOCK}:{number}",
                fix=fix,
            )

        made.append(f"{found[1]}=={found[2]} {' '.join(found[3].split())}")

    return made


def fetch_wheels(root: str, tree: str) -> str:
    """The directory with the wheels of the lock in `tree`, fetched if need be.

    It is "" where nothing is locked. Raises CatherdError for a lock that is not right,
    Unfetched when a wheel cannot be had.
    """
    path = os.path.join(tree, LOCK)
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        wanted = read_lock(file.read())
    if not wanted:
        return ""
    text = "\n".join(wanted) + "\n"
    home = os.path.join(root, ".catherd", "wheels")
    folder = os.path.join(home, hashlib.sha256(text.encode()).hexdigest())
    if os.path.isdir(folder):
        return folder
    os.makedirs(home, exist_ok=True)
    partial = tempfile.mkdtemp(prefix=".part-", dir=home)
    try:
        _download(text, partial)
        os.chmod(partial, 0o755)  # noqa: S103 - the box's user reads it
        with effect("rename", f".catherd/wheels/{os.path.basename(folder)[:12]}"):
            os.rename(partial, folder)
    except OSError:
        if not os.path.isdir(folder):  # somebody else was first
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)

    return folder


def _download(text: str, into: str) -> None:
    """Let pip put the wheels of these requirements into a directory.

    Raises Unfetched with the reason that pip gives.
    """
    lock = os.path.join(into, ".lock")
    with open(lock, "w", encoding="utf-8") as file:
        file.write(text)
    pip = [sys.executable, "-I", "-m", "pip"]
    quietly = ["--disable-pip-version-check", "--no-input"]
    strictly = ["--only-binary=:all:", "--require-hashes", "--no-deps"]
    wanted = ["--dest", into, "-r", lock]
    try:
        done = subprocess.run(
            [*pip, *quietly, "download", "--quiet", *strictly, *wanted],
            cwd=into,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Unfetched(
            f"its wheels did not come in {SECONDS} s",
            where=LOCK,
            fix="look at the network",
        ) from None

    os.unlink(lock)
    if done.returncode:
        said = _reason(done.stderr)
        what = f"its wheels cannot be had: {said.removeprefix('ERROR: ')}"
        raise Unfetched(what, where=LOCK, fix=_fix(said))


def _environment() -> dict[str, str]:
    """The variables that pip may see: where it is, its own, and those for a proxy."""
    known = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")
    env = {}
    for name, value in os.environ.items():
        own = name in known or name.startswith("PIP_")
        if own or name.lower().endswith("_proxy"):
            env[name] = value

    return env


def _reason(printed: str) -> str:
    """The last error that pip printed, else the end of what it printed."""
    for line in reversed(printed.splitlines()):
        if line.startswith("ERROR"):
            return line
    return printed[-300:]


def _fix(said: str) -> str:
    if "HASH" in said.upper():
        return f"what the index holds is not what {LOCK} names: refuse the pull request that brought it"
    return "look at the network, or take the requirement out: only wheels are used"

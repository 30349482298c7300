"""The one door to git: a safe environment, data by stdin, our own process group, errors with the command in them.

Every call names its git directory, so that nothing is discovered: no `.git` file in an agent's tree, no ownership rule and
no variable of the caller decides which repository (and whose config) is used. Hooks, fsmonitor, submodules, replace
objects, remote protocols, global and system config are off; symlinks are written as plain files except in your checkout.

While a lock of `locked` is held, each git child inherits it: if we are killed, the lock stays taken until the child is
dead too. A lost compare-and-swap of a ref is `Moved`, never an overwrite.
Raises CatherdError for what you can mend (no repository, no commit, git missing or too old) and GitError for the rest.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from typing import NamedTuple

from catherd.bus.crashpoints import effect
from catherd.core import hidden
from catherd.core.errors import CatherdError, Fault
from catherd.git.stale_locks import drop

OLDEST = (2, 38)  # merge-tree --write-tree
TRIES = 5  # for a lock that somebody else holds: 20 ms · 2ⁿ

SAFE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.attributesFile=/dev/null",
    "core.packedRefsTimeout=5000",
    "core.filesRefLockTimeout=2000",
    "safe.bareRepository=explicit",
    "diff.ignoreSubmodules=all",
    "submodule.recurse=false",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "branch.autoSetupMerge=false",
    "advice.detachedHead=false",
)
# Ref locks are not here: git itself waits for those, as long as SAFE says.
LOCKED = re.compile(
    r"(index|config)\.lock': File exists|commondir: Success|unable to create temporary file",
    re.IGNORECASE,
)
HELD = re.compile(r"Unable to create '([^'\n]+\.lock)': File exists")
LOST = re.compile(
    r"but expected|reference already exists|unable to resolve reference|reference is missing"
)
CREDENTIALS = re.compile(r"://[^/@\s]+@")

_held: ContextVar[dict[str, int]] = ContextVar(
    "held"
)  # lock file -> descriptor, of this thread


class Who(NamedTuple):
    """An author or committer."""

    name: str
    email: str


CATHERD = Who("catherd", "catherd@agents.invalid")


def agent_identity(name: str) -> Who:
    """The identity under which catherd commits what an agent wrote: `Claude (catherd) <claude@agents.invalid>`."""
    return Who(f"{name[:1].upper()}{name[1:]} (catherd)", f"{name}@agents.invalid")


class WorkPlace(NamedTuple):
    """Where a call works: the work tree, its git directory, the index (empty: its own), and whether it is your checkout."""

    tree: str
    git_dir: str
    index_file: str = ""
    person: bool = False


class GitError(Fault):
    """A git command that failed: `command`, `rc` and `stderr` (scrubbed) tell how."""

    def __init__(self, command: str, rc: int, stderr: str) -> None:
        super().__init__(f"exit {rc}: {stderr or 'no message'}", where=command, fix="")
        self.command, self.rc, self.stderr = command, rc, stderr


class Moved(GitError):
    """A compare-and-swap that lost: a ref was not where it was expected. Look again and decide anew."""


class Out(NamedTuple):
    """What a command gave: exit code, stdout, scrubbed stderr."""

    rc: int
    out: bytes
    err: str


def scrub(text: str) -> str:
    """Git's message for a person: no credentials in URLs, hidden characters escaped, at most 2,000 long."""
    return hidden.escaped(CREDENTIALS.sub("://***@", text.strip()))[:2000]


@cache
def git_program(path: str) -> str:
    """The git on `path`, once known to be new enough."""
    found_at = shutil.which("git", path=path)
    if found_at is None:
        raise CatherdError(
            "git is not installed", where="git", fix="sudo apt-get install git"
        )
    said = subprocess.run(
        [found_at, "version"], capture_output=True, check=False, env={"PATH": path}
    ).stdout
    found = re.search(rb"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        version = said.decode("utf-8", "replace").strip() or "of unknown version"
        raise CatherdError(
            f"Git too old: {version}, catherd needs {OLDEST[0]}.{OLDEST[1]} or newer",
            where=found_at,
            fix="sudo apt-get install git  (or see https://git-scm.com/downloads)",
        )
    return found_at


def git_environment(
    place: WorkPlace, author: Who = CATHERD, committer: Who = CATHERD
) -> dict[str, str]:
    """The whole environment of a git call, built from nothing but PATH and TMPDIR."""
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_DIR": place.git_dir,
        "GIT_WORK_TREE": place.tree,
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_COMMITTER_NAME": committer.name,
        "GIT_COMMITTER_EMAIL": committer.email,
    }
    if "TMPDIR" in os.environ:
        env["TMPDIR"] = os.environ["TMPDIR"]
    if place.index_file:
        env["GIT_INDEX_FILE"] = place.index_file
    return env


def at(root: str, *, index: str = "", person: bool = False) -> WorkPlace:
    """The repository itself; with `index` a private one, with `person` your checkout."""
    return WorkPlace(root, os.path.join(root, ".git"), index, person)


def call(
    place: WorkPlace | str,
    *args: str,
    stdin: bytes = b"",
    okay: Sequence[int] = (0,),
    change: str = "",
    author: Who = CATHERD,
    committer: Who = CATHERD,
    timeout_s: float = 300.0,
) -> Out:
    """Run `git args…` there. `change` names the ref or work tree that it changes: then it counts as an effect.

    A held lock is waited for (five tries), one that a killed git left is removed; each command given here happens whole,
    or not at all when its lock is refused, so trying again is safe. Any exit code outside `okay` raises GitError, a lost
    compare-and-swap Moved, a full disk CatherdError.
    """
    where = at(place) if isinstance(place, str) else place
    options = [*SAFE] if where.person else [*SAFE, "core.symlinks=false"]
    diff = (
        ["--ignore-submodules=all"] if args[0] in ("diff-index", "diff-files") else []
    )  # these do not read SAFE's
    argv = [
        git_program(os.environ.get("PATH", os.defpath)),
        *(w for o in options for w in ("-c", o)),
        args[0],
        *diff,
        *args[1:],
    ]
    env = git_environment(where, author, committer)
    for attempt in range(TRIES):
        with effect("git", f"{args[0]} {change}") if change else nullcontext():
            out = run_process(argv, where.tree, env, stdin, timeout_s)
        if out.rc in okay:
            return out
        early = attempt < 2 and LOCKED.search(out.err)
        if attempt == TRIES - 1 or not (
            early or _orphan(where, out.err) or LOCKED.search(out.err)
        ):
            break
        time.sleep(0.02 * 2**attempt)
    if "No space left on device" in out.err:
        raise CatherdError(
            "the disk is full", where=where.tree, fix=f"df -h {where.tree}"
        )
    kind = Moved if LOST.search(out.err) else GitError
    raise kind(f"git {' '.join(args)}"[:300], out.rc, out.err)


def _orphan(place: WorkPlace, err: str) -> bool:
    """Whether it was refused for a lock that a killed git left, which is gone now. Your own index is yours."""
    found = HELD.search(err)
    if found is None or (place.person and LOCKED.search(err)):
        return False
    return drop(found[1], checkout=place.tree)


def git(
    place: WorkPlace | str, *args: str, stdin: bytes = b"", change: str = ""
) -> str:
    """`call` for what prints one short line: its stdout as text, without the newline."""
    return os.fsdecode(call(place, *args, stdin=stdin, change=change).out).rstrip("\n")


def run_process(
    argv: list[str], cwd: str, env: dict[str, str], stdin: bytes, timeout_s: float
) -> Out:
    """One process in its own group: ^C does not reach it, and whatever ends us early still ends it."""
    pipe = subprocess.PIPE
    held = tuple(_held.get({}).values())
    try:
        child = subprocess.Popen(
            argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            cwd=cwd,
            env=env,
            process_group=0,
            pass_fds=held,
        )
    except (FileNotFoundError, NotADirectoryError) as gone:
        raise CatherdError(
            "the directory is gone", where=cwd, fix="git worktree list"
        ) from gone
    try:
        out, err = child.communicate(stdin, timeout_s)
    except BaseException as why:
        stop = (
            signal.SIGKILL
            if isinstance(why, subprocess.TimeoutExpired)
            else signal.SIGTERM
        )
        os.killpg(child.pid, stop)  # on SIGTERM git removes its lock files
        child.communicate()
        if isinstance(why, subprocess.TimeoutExpired):
            raise GitError(
                f"git {argv[-1]}", -9, f"no end after {timeout_s:.0f} s"
            ) from why
        raise
    return Out(child.returncode, out, scrub(err.decode("utf-8", "replace")))


@contextmanager
def locked(root: str, name: str = "repo") -> Iterator[None]:
    """Hold `.git/catherd/<name>.lock`: the kernel frees it when we and our git children are dead. Re-entrant per thread.

    `repo` stands around worktree add and remove, branch delete and the move of the game's branch; nothing slow inside.
    """
    with _lock(root, name, fcntl.LOCK_EX):
        yield


@contextmanager
def locked_now(root: str, name: str) -> Iterator[bool]:
    """Like `locked`, but False at once when another process or thread holds it."""
    try:
        with _lock(root, name, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield True
    except BlockingIOError:
        yield False


@contextmanager
def _lock(root: str, name: str, how: int) -> Iterator[None]:
    path = os.path.join(state(root), f"{name}.lock")
    held = _held.get({})
    if path in held:
        yield
        return
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, how)
        token = _held.set({**held, path: fd})
        try:
            yield
        finally:
            _held.reset(token)
    finally:
        os.close(fd)


def state(root: str) -> str:
    """`.git/catherd/`, made if need be: locks, journals and saved files of this clone."""
    path = os.path.join(root, ".git", "catherd")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def root(cwd: str) -> str:
    """The workspace that `cwd` belongs to: the parent of the common git directory, also from inside a worktree."""
    top = os.path.realpath(cwd)
    while not os.path.lexists(os.path.join(top, ".git")):
        if top == os.path.dirname(top):
            fix = "git init && git add -A && git commit --allow-empty -m start"
            raise CatherdError("not inside a git repository", where=cwd, fix=fix)
        top = os.path.dirname(top)
    outer = os.path.dirname(os.path.dirname(top))
    if os.path.dirname(top) == os.path.join(outer, "worktrees") and os.path.isdir(
        os.path.join(outer, ".git")
    ):
        top = outer  # an agent's worktree, whose `.git` file is not to be believed
    here = WorkPlace(top, git_dir(top))
    said = call(
        here,
        "rev-parse",
        "--path-format=absolute",
        "--git-common-dir",
        "-q",
        "--verify",
        "HEAD^{commit}",
        okay=(0, 1),
    )
    told = os.fsdecode(said.out).removesuffix(
        "\n"
    )  # the directory, and below it the commit where there is one
    common = os.path.realpath(told if said.rc else told.rpartition("\n")[0])
    if os.path.basename(common) != ".git":
        raise CatherdError(
            f"the git directory of this checkout is {common}, not a directory .git beside the files",
            where=top,
            fix=f"git clone {top} {top}-game && cd {top}-game",
        )
    if said.rc:
        raise CatherdError(
            "the repository has no commit yet",
            where=top,
            fix="git add -A && git commit -m start",
        )
    return os.path.dirname(common)


def git_dir(top: str) -> str:
    """The git directory of a checkout of yours: `.git`, or where the file `.git` points."""
    entry = os.path.join(top, ".git")
    if os.path.isdir(entry):
        return entry
    try:
        with open(entry, "rb") as file:
            line = os.fsdecode(file.read(4096)).strip()
    except OSError as gone:
        raise CatherdError(
            "not a git checkout", where=top, fix="git worktree list"
        ) from gone
    return os.path.normpath(os.path.join(top, line.removeprefix("gitdir: ")))


def head_branch(root: str) -> str:
    """The branch checked out in the root; empty when HEAD is detached."""
    return git_ok(root, "symbolic-ref", "-q", "HEAD").removeprefix("refs/heads/")


def git_ok(place: WorkPlace | str, *args: str) -> str:
    """Like `git`, but exit 1 means "there is none" and gives an empty string."""
    return os.fsdecode(call(place, *args, okay=(0, 1)).out).rstrip("\n")


def rev(root: str, name: str) -> str:
    """The full commit id that `name` stands for; empty when there is none."""
    return git_ok(
        root, "rev-parse", "-q", "--verify", "--end-of-options", f"{name}^{{commit}}"
    )

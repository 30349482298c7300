"""The one place that starts git.

A git gets a safe environment, data by stdin and a process group of its own; an error
has the command in it. Every call names its git directory, so that nothing is
discovered: no `.git` file in an agent's tree, no ownership rule and no variable of the
caller decides which repository (and whose config) is used. Hooks, fsmonitor,
submodules, replace objects, remote protocols, global and system config are off.
Symlinks are written as plain files except in your checkout.

While a lock of `locked` is held, each git child inherits it: if we are killed, the lock
stays taken until the child is dead too. A lost compare-and-swap of a ref is `Moved`,
never an overwrite.

Raises CatherdError for what you can mend (no repository, no commit, git missing or too
old) and GitError for the rest.
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
PATIENT_TRIES = 2  # before a lock that nobody holds is removed
TIMEOUT_S = 300.0

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

# The locks that this thread holds: lock file -> descriptor.
_held: ContextVar[dict[str, int]] = ContextVar("held")


class Who(NamedTuple):
    """An author or committer."""

    name: str
    email: str


CATHERD = Who("catherd", "catherd@agents.invalid")


def agent_identity(name: str) -> Who:
    """The identity under which catherd commits what an agent wrote.

    `Claude (catherd) <claude@agents.invalid>`
    """
    return Who(f"{name[:1].upper()}{name[1:]} (catherd)", f"{name}@agents.invalid")


class WorkPlace(NamedTuple):
    """Where a call works.

    `index_file`: empty for the work tree's own. `person`: whether it is your checkout.
    """

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
    """A compare-and-swap that lost: a ref was not where it was expected.

    Look again and decide anew.
    """


class Out(NamedTuple):
    """What a command gave: exit code, stdout, scrubbed stderr."""

    rc: int
    out: bytes
    err: str


def scrub(text: str) -> str:
    """Git's message for a person: no credentials in URLs, hidden characters escaped.

    At most 2,000 characters.
    """
    return hidden.escaped(CREDENTIALS.sub("://***@", text.strip()))[:2000]


@cache
def git_program(path: str) -> str:
    """The git on `path`, once known to be new enough."""
    found_at = shutil.which("git", path=path)
    if found_at is None:
        raise CatherdError(
            "git is not installed",
            where="git",
            fix="sudo apt-get install git",
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
    """The repository itself; `index`: a private one, `person`: your checkout."""
    return WorkPlace(root, os.path.join(root, ".git"), index, person)


def call(
    place: WorkPlace | str,
    *args: str,
    stdin: bytes = b"",
    okay: Sequence[int] = (0,),
    change: str = "",
    author: Who = CATHERD,
    committer: Who = CATHERD,
) -> Out:
    """Run `git args…` there.

    `change` names the ref or work tree that it changes: then it counts as an effect. A
    held lock is waited for (five tries); one that a killed git left is removed. Each
    command given here happens whole, or not at all when its lock is refused, so trying
    again is safe. Any exit code outside `okay` raises GitError, a lost compare-and-swap
    Moved, a full disk CatherdError.
    """
    where = at(place) if isinstance(place, str) else place
    argv = _command(where, args)
    env = git_environment(where, author, committer)
    for attempt in range(TRIES):
        with effect("git", f"{args[0]} {change}") if change else nullcontext():
            out = run_process(argv, where.tree, env, stdin, TIMEOUT_S)

        if out.rc in okay:
            return out
        last = attempt == TRIES - 1
        if last or not _is_worth_a_try(where, out.err, attempt):
            break
        time.sleep(0.02 * 2**attempt)

    raise _failure(f"git {' '.join(args)}"[:300], where, out)


def _command(place: WorkPlace, args: tuple[str, ...]) -> list[str]:
    settings = list(SAFE)
    if not place.person:
        settings.append("core.symlinks=false")

    argv = [git_program(os.environ.get("PATH", os.defpath))]
    for setting in settings:
        argv += ["-c", setting]

    command, *rest = args
    argv.append(command)
    if command in ("diff-index", "diff-files"):
        argv.append("--ignore-submodules=all")  # these do not read SAFE's

    return [*argv, *rest]


def _is_worth_a_try(place: WorkPlace, err: str, attempt: int) -> bool:
    """Whether git was refused for a lock that may be free, or gone, the next time."""
    locked_out = LOCKED.search(err) is not None
    if locked_out and attempt < PATIENT_TRIES:
        return True
    return _remove_orphan(place, err) or locked_out


def _remove_orphan(place: WorkPlace, err: str) -> bool:
    """Remove the lock that git was refused for, if a killed git left it.

    The lock of your own index is never removed.
    """
    found = HELD.search(err)
    if found is None or (place.person and LOCKED.search(err)):
        return False
    return drop(found[1], checkout=place.tree)


def _failure(command: str, place: WorkPlace, out: Out) -> CatherdError:
    if "No space left on device" in out.err:
        fix = f"df -h {place.tree}"
        return CatherdError(
            "the disk is full",
            where=place.tree,
            fix=fix,
        )

    kind = Moved if LOST.search(out.err) else GitError
    return kind(command, out.rc, out.err)


def git(
    place: WorkPlace | str, *args: str, stdin: bytes = b"", change: str = ""
) -> str:
    """`call` for what prints one short line: its stdout as text, without newline."""
    return os.fsdecode(call(place, *args, stdin=stdin, change=change).out).rstrip("\n")


def run_process(
    argv: list[str], cwd: str, env: dict[str, str], stdin: bytes, timeout_s: float
) -> Out:
    """Run one process in a group of its own.

    So ^C does not reach it, and it ends when something ends us early.
    """
    pipe = subprocess.PIPE
    try:
        child = subprocess.Popen(
            argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            cwd=cwd,
            env=env,
            process_group=0,
            pass_fds=tuple(_held.get({}).values()),
        )
    except (FileNotFoundError, NotADirectoryError) as gone:
        raise CatherdError(
            "the directory is gone",
            where=cwd,
            fix="git worktree list",
        ) from gone

    try:
        out, err = child.communicate(stdin, timeout_s)
    except subprocess.TimeoutExpired as late:
        _end_group(child, signal.SIGKILL)
        text = f"no end after {timeout_s:.0f} s"
        raise GitError(f"git {argv[-1]}", -9, text) from late
    except BaseException:
        _end_group(child, signal.SIGTERM)  # on SIGTERM git removes its lock files
        raise

    return Out(child.returncode, out, scrub(err.decode("utf-8", "replace")))


def _end_group(child: "subprocess.Popen[bytes]", sig: signal.Signals) -> None:
    os.killpg(child.pid, sig)
    child.communicate()


@contextmanager
def locked(root: str, name: str = "repo") -> Iterator[None]:
    """Hold `.git/catherd/<name>.lock`. Re-entrant per thread.

    The kernel frees it when we and our git children are dead. `repo` stands around
    worktree add and remove, branch delete and the move of the game's branch; nothing
    slow inside.
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
    """`.git/catherd/`, made if need be: locks, journals, saved files of this clone."""
    path = os.path.join(root, ".git", "catherd")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def root(cwd: str) -> str:
    """The workspace that `cwd` belongs to, also from inside a worktree.

    It is the parent of the common git directory. Raises CatherdError when there is no
    repository, no commit, or the git directory is no `.git` beside the files.
    """
    top = _top(cwd)
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
    # git prints the directory, and below it the commit where there is one.
    told = os.fsdecode(said.out).removesuffix("\n")
    common = os.path.realpath(told if said.rc else told.rpartition("\n")[0])
    if os.path.basename(common) != ".git":
        what = (
            f"the git directory of this checkout is {common}, "
            "not a directory .git beside the files"
        )
        fix = f"git clone {top} {top}-game && cd {top}-game"
        raise CatherdError(
            what,
            where=top,
            fix=fix,
        )

    if said.rc:
        what = "the repository has no commit yet"
        raise CatherdError(
            what,
            where=top,
            fix="git add -A && git commit -m start",
        )

    return os.path.dirname(common)


def _top(cwd: str) -> str:
    """The checkout that `cwd` stands in; of an agent's worktree the workspace.

    The `.git` file of such a worktree is not to be believed.
    """
    top = os.path.realpath(cwd)
    while not os.path.lexists(os.path.join(top, ".git")):
        if top == os.path.dirname(top):
            fix = "git init && git add -A && git commit --allow-empty -m start"
            raise CatherdError(
                "not inside a git repository",
                where=cwd,
                fix=fix,
            )

        top = os.path.dirname(top)

    outer = os.path.dirname(os.path.dirname(top))
    if os.path.dirname(top) != os.path.join(outer, "worktrees"):
        return top
    return outer if os.path.isdir(os.path.join(outer, ".git")) else top


def git_dir(top: str) -> str:
    """The git directory of a checkout: `.git`, or where a `.git` file points."""
    entry = os.path.join(top, ".git")
    if os.path.isdir(entry):
        return entry
    try:
        with open(entry, "rb") as file:
            line = os.fsdecode(file.read(4096)).strip()
    except OSError as gone:
        raise CatherdError(
            "not a git checkout",
            where=top,
            fix="git worktree list",
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

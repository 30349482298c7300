"""What a program did to the tree that it worked in, and to the repository around it.

`scan_tree` looks at the tree by lstat alone, before host git looks at any of it. Then
`tampering` compares the repository with what it was: a program may change files and
commit on its branch, but it must not touch the repository itself.
"""

import fnmatch
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from catherd.core import hidden
from catherd.git import run
from catherd.git.pr_rules import RuleFinding, shown_path
from catherd.git.run import WorkPlace


class TreeLimits(NamedTuple):
    """Caps of an agent's whole tree, what it built there included.

    `files`: how many. `largest`, `total`: bytes of one file and of all. `depth`: how
    many directories deep.
    """

    files: int = 20_000
    largest: int = 20_000_000
    total: int = 400_000_000
    depth: int = 30


LIMITS = TreeLimits()
ENOUGH = 100  # findings
# `.git` as some file system might spell it, or say it for short.
_NAME_OF_GIT = re.compile(r"(\.git|git~[0-9])([ .:\\]?)\Z")


def walk_tree(tree: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    """(path, lstat) of everything below, parents first; links are not followed.

    What vanishes or is forbidden is passed over.
    """
    try:
        names = sorted(os.listdir(tree))
    except OSError:
        return

    for name in names:
        path = os.path.join(tree, name)
        try:
            seen = os.lstat(path)
        except OSError:
            continue

        yield path, seen
        if stat.S_ISDIR(seen.st_mode) and depth > 1:
            yield from walk_tree(path, depth - 1)


def scan_tree(
    tree: str, limits: TreeLimits = LIMITS, *, skip: Sequence[str] = ()
) -> list[RuleFinding]:
    """What in a worktree must be gone before host git looks at it, sorted.

    Refused are a `.git` below the root, links, fifos, sockets, devices, setuid and
    setgid bits, unreadable directories, and more or larger files than `limits`. `skip`
    names directories that may hold links.
    """
    found: list[RuleFinding] = []
    files = total = 0
    for path, seen in walk_tree(tree, limits.depth + 1):
        name = os.path.relpath(path, tree)
        if name == ".git":
            continue  # never read; `worktree.ensure` puts it right
        links_allowed = not set(skip).isdisjoint(name.split("/"))
        for code, text in _faults(name, seen, limits, links_allowed=links_allowed):
            found.append(RuleFinding(shown_path(name), code, "error", text))

        if not stat.S_ISDIR(seen.st_mode):
            files += 1

        if stat.S_ISREG(seen.st_mode):
            total += seen.st_size

        if files > limits.files or len(found) > ENOUGH:
            break

    if files > limits.files:
        text = f"more than {limits.files} files"
        found.append(RuleFinding(".", "count", "error", text))

    if total > limits.total:
        text = f"more than {limits.total} bytes in all"
        found.append(RuleFinding(".", "size", "error", text))

    return sorted(found)


def _faults(
    name: str, seen: os.stat_result, limits: TreeLimits, *, links_allowed: bool
) -> Iterator[tuple[str, str]]:
    """(code, text) of each rule that one entry of the tree breaks."""
    last = name.rpartition("/")[2]
    if _NAME_OF_GIT.match(hidden.seen_name(last)):
        yield "nested", "a repository inside the worktree; remove its .git"

    if stat.S_ISDIR(seen.st_mode):
        yield from _folder_faults(name, seen.st_mode, limits.depth)
    elif stat.S_ISREG(seen.st_mode):
        yield from _file_faults(seen, limits.largest)
    elif not stat.S_ISLNK(seen.st_mode):
        yield "special", "not a regular file; remove it"
    elif not links_allowed:
        yield "link", "a symbolic link; use the file itself"


def _folder_faults(name: str, mode: int, depth: int) -> Iterator[tuple[str, str]]:
    needed = stat.S_IRUSR | stat.S_IXUSR
    if name.count("/") + 1 > depth:
        yield "depth", f"deeper than {depth} directories"
    if mode & needed != needed:
        yield "unreadable", "a directory that cannot be read; chmod u+rwx"


def _file_faults(seen: os.stat_result, largest: int) -> Iterator[tuple[str, str]]:
    if seen.st_mode & (stat.S_ISUID | stat.S_ISGID):
        yield "setuid", "a setuid or setgid bit; chmod ug-s"
    if seen.st_size > largest:
        yield "size", f"{seen.st_size} bytes; at most {largest}"


class Before(msgspec.Struct):
    """A worktree's repository before a program ran.

    `head` may move forward; nothing else of this may be different afterwards. `guarded`
    is a hash, see `_guarded`.
    """

    place: WorkPlace
    head: str
    branch: str
    guarded: str


class ProgramChanges(NamedTuple):
    """What a program changed.

    `paths`: those that differ from the commit that it began on, sorted. `commits`: how
    many it made itself.
    """

    paths: list[str]
    commits: int


def repository_state(worktree: str) -> Before:
    """The state of the repository around `worktree`, to be compared with later."""
    place = _place(worktree)
    return Before(place, _head(place), _branch(place), _guarded(place))


def _place(worktree: str) -> WorkPlace:
    entry = os.path.join(worktree, ".git")
    if os.path.isdir(entry):
        return WorkPlace(worktree, entry)
    with open(entry, encoding="utf-8") as file:
        return WorkPlace(worktree, file.read().removeprefix("gitdir:").strip())


def _head(place: WorkPlace) -> str:
    return run.git_ok(place, "rev-parse", "--verify", "--quiet", "HEAD")


def _branch(place: WorkPlace) -> str:
    return run.git_ok(place, "symbolic-ref", "--quiet", "HEAD")


def _guarded(place: WorkPlace) -> str:
    """A hash of what no program may touch.

    That is the `.git` file and the repository's config, hooks and attributes.
    """
    common = _common_dir(place.git_dir)
    names = [
        os.path.join(place.tree, ".git"),
        os.path.join(common, "config"),
        os.path.join(common, "info", "attributes"),
        os.path.join(place.git_dir, "config.worktree"),
    ]
    hooks = os.path.join(common, "hooks")
    if os.path.isdir(hooks):
        names += [os.path.join(hooks, name) for name in sorted(os.listdir(hooks))]

    whole = hashlib.sha256()
    for name in names:
        digest = hashlib.sha256(_read(name))
        whole.update(f"{name}\0{digest.hexdigest()}\n".encode())

    return whole.hexdigest()


def _common_dir(git_dir: str) -> str:
    """The repository's git directory, of which a worktree's own only holds a part."""
    link = _read(os.path.join(git_dir, "commondir")).decode().strip()
    return os.path.normpath(os.path.join(git_dir, link or "."))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


def tampering(was: Before) -> str:
    """What the program did to the repository that it must not do; or empty."""
    if _guarded(was.place) != was.guarded:
        return "it changed the repository's hooks, config or .git file"
    branch = _branch(was.place)
    if branch != was.branch:
        now = branch.removeprefix("refs/heads/") or "a detached HEAD"
        return f"it left its branch for {now}"

    if not _is_forward(was.place, was.head, _head(was.place)):
        return "it rewrote its branch"
    return ""


def _is_forward(place: WorkPlace, old: str, new: str) -> bool:
    if old == new:
        return True
    options = ("--is-ancestor", old, new)
    return run.call(place, "merge-base", *options, okay=(0, 1, 128)).rc == 0


def program_changes(was: Before, litter: list[str]) -> ProgramChanges:
    """What differs from `was`, without the paths that match a pattern of `litter`."""
    place = was.place
    found = _edited(place)
    commits = int(run.git(place, "rev-list", "--count", f"{was.head}..HEAD"))
    if commits:
        found |= _committed(place, was.head)

    wanted = [path for path in found if not _is_litter(path, litter)]
    return ProgramChanges(sorted(wanted), commits)


def _edited(place: WorkPlace) -> set[str]:
    options = ("--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    out = run.call(place, "status", *options).out
    # Each entry is two letters, a blank and the path.
    return {os.fsdecode(entry[3:]) for entry in out.split(b"\0") if len(entry) > 3}


def _committed(place: WorkPlace, since: str) -> set[str]:
    options = ("--name-only", "-z", "--no-renames")
    out = run.call(place, "diff", *options, since, "HEAD").out
    return {os.fsdecode(path) for path in out.split(b"\0") if path}


def _is_litter(path: str, patterns: list[str]) -> bool:
    """Whether a pattern matches the whole path or its last part."""
    name = os.path.basename(path)
    return any(
        fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(name, pattern)
        for pattern in patterns
    )

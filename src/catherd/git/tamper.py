"""What a program did to the repository that it worked in.

It may change files and commit on its branch. It must not touch the repository itself.
"""

import fnmatch
import hashlib
import os
from typing import NamedTuple

import msgspec

from catherd.git import run
from catherd.git.run import WorkPlace


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
    """A hash of what no program may touch."""
    sums = []
    for name in _guarded_paths(place):
        content = hashlib.sha256(_read(name)).hexdigest()
        sums.append(f"{name}\0{content}")

    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _guarded_paths(place: WorkPlace) -> list[str]:
    """The `.git` file and the repository's config, hooks and attributes."""
    link = _read(os.path.join(place.git_dir, "commondir")).decode().strip() or "."
    common = os.path.normpath(os.path.join(place.git_dir, link))
    return [
        os.path.join(place.tree, ".git"),
        os.path.join(common, "config"),
        os.path.join(common, "info", "attributes"),
        os.path.join(place.git_dir, "config.worktree"),
        *_hooks(os.path.join(common, "hooks")),
    ]


def _hooks(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


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
    options = ("--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    status = run.call(place, "status", *options).out
    found = set()
    for entry in status.split(b"\0"):
        if len(entry) > 3:
            found.add(os.fsdecode(entry[3:]))

    commits = int(run.git(place, "rev-list", "--count", f"{was.head}..HEAD"))
    if commits:
        names = ("--name-only", "-z", "--no-renames")
        diff = run.call(place, "diff", *names, was.head, "HEAD").out
        found |= {os.fsdecode(path) for path in diff.split(b"\0") if path}

    wanted = [path for path in found if not _is_litter(path, litter)]
    return ProgramChanges(sorted(wanted), commits)


def _is_litter(path: str, patterns: list[str]) -> bool:
    """Whether a pattern matches the whole path or its last part."""
    name = os.path.basename(path)
    return any(
        fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(name, pattern)
        for pattern in patterns
    )

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

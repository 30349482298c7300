"""What a program did to the repository that it worked in: what it changed, and what it may not have touched."""

import fnmatch
import hashlib
import os

import msgspec

from catherd.git import run
from catherd.git.run import WorkPlace


class Before(msgspec.Struct):
    """The worktree's repository as it was: nothing of this may be different afterwards but HEAD moving forward."""

    place: WorkPlace
    head: str
    branch: str
    guarded: str


def repository_state(worktree: str) -> Before:
    """The state of the repository around `worktree` (an agent's or any), to be compared with later."""
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
    """A hash of what no program may touch: the `.git` file, the repository's config, hooks and attributes."""
    common = os.path.normpath(
        os.path.join(
            place.git_dir,
            _read(os.path.join(place.git_dir, "commondir")).decode().strip() or ".",
        )
    )
    entry = os.path.join(place.tree, ".git")
    names = [
        entry,
        os.path.join(common, "config"),
        os.path.join(common, "info", "attributes"),
        os.path.join(place.git_dir, "config.worktree"),
    ]
    hooks = os.path.join(common, "hooks")
    names += [
        os.path.join(hooks, name)
        for name in (sorted(os.listdir(hooks)) if os.path.isdir(hooks) else [])
    ]
    sums = [f"{name}\0{hashlib.sha256(_read(name)).hexdigest()}" for name in names]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


def tampering(was: Before) -> str:
    """What it did to the repository that it may not do, or an empty string."""
    if _guarded(was.place) != was.guarded:
        return "it changed the repository's hooks, config or .git file"
    branch, head = _branch(was.place), _head(was.place)
    if branch != was.branch:
        return f"it left its branch for {branch.removeprefix('refs/heads/') or 'a detached HEAD'}"
    forward = (
        head == was.head
        or run.call(
            was.place, "merge-base", "--is-ancestor", was.head, head, okay=(0, 1, 128)
        ).rc
        == 0
    )
    return "" if forward else "it rewrote its branch"


def program_changes(was: Before, litter: list[str]) -> tuple[list[str], int]:
    """(paths that differ from the commit that it began on, litter left out; commits of its own)."""
    place = was.place
    status = run.call(
        place, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"
    ).out
    found = {os.fsdecode(entry[3:]) for entry in status.split(b"\0") if len(entry) > 3}
    commits = int(run.git(place, "rev-list", "--count", f"{was.head}..HEAD"))
    if commits:
        diff = run.call(
            place, "diff", "--name-only", "-z", "--no-renames", was.head, "HEAD"
        ).out
        found |= {os.fsdecode(path) for path in diff.split(b"\0") if path}
    wanted = [
        path
        for path in found
        if not any(
            fnmatch.fnmatch(path, p) or fnmatch.fnmatch(os.path.basename(path), p)
            for p in litter
        )
    ]
    return sorted(wanted), commits

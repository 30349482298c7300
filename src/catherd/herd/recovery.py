"""After a kill: bring the repository back to a state in which everything works again.

A killed git leaves lock files, half-made worktrees, a half-done fast-forward. A lock goes
when nobody holds it (see git/stale_locks.py). Worktrees and branches whose agent is at
work are left alone.
"""

import os
import shutil
import time
from collections.abc import Iterator

from catherd.box import box_trees
from catherd.bus.crashpoints import effect
from catherd.git import landing
from catherd.git.run import locked, locked_now, state
from catherd.git.stale_locks import STALE_S, drop

SHARED = (
    "HEAD.lock",
    "index.lock",
    "packed-refs.lock",
    "config.lock",
    "gc.pid",
    "shallow.lock",
)
# Locks that we hardly take, or have a journal for: mostly a git of yours holds them.
YOURS = (
    "HEAD.lock",
    "index.lock",
    "config.lock",
    "shallow.lock",
)
SCRATCH = ("blobs-", "index-", "empty-", "bus.seen.")


def recover(root: str) -> list[str]:
    """Mend what a kill left.

    Gives one line for each thing done, and for each lock that could not be taken away
    yet. Safe at any time, also with agents at work. Raises NeedsYou when a fast-forward
    of your checkout waits for you.
    """
    box_trees.sweep_boxes()
    with locked(root):
        notes = [*_half_made(root), *_worktrees(root), *_shared(root)]
        _scratch(root)
        if landing.finish_landing(root):
            notes.append("a fast-forward of your checkout was finished")

    return notes


def _admins(root: str) -> Iterator[tuple[str, str]]:
    """(git directory, agent) of each worktree.

    The agent is empty for a worktree of yours, or one that does not say where it is.
    """
    trees = os.path.join(root, ".git", "worktrees")
    entries = sorted(os.listdir(trees)) if os.path.isdir(trees) else []
    for entry in entries:
        path = os.path.join(trees, entry)
        tree = _tree_of(path)
        ours = os.path.dirname(tree) == os.path.join(root, "worktrees")
        yield path, os.path.basename(tree) if ours else ""


def _tree_of(path: str) -> str:
    """The worktree of a git directory; "" where it cannot be read."""
    gitdir = os.path.join(path, "gitdir")
    try:
        with open(gitdir, encoding="utf-8", errors="surrogateescape") as file:
            return os.path.dirname(file.read().strip())
    except OSError:
        return ""


def _half_made(root: str) -> Iterator[str]:
    """Remove the worktrees that `git worktree add` did not finish.

    `git worktree prune` leaves those.
    """
    for path, name in list(_admins(root)):
        whole = _is_whole(path)
        if whole and not _initializing(path):
            continue
        try:
            old = time.time() - os.stat(path).st_mtime >= STALE_S
        except FileNotFoundError:
            continue

        yours = not name
        if yours and (whole or not old):
            continue  # it is being made by you at this moment
        with effect("remove", os.path.relpath(path, root)):
            shutil.rmtree(path)

        if name:
            _remove_empty(root, name)

        yield f"half-made worktree {name or os.path.basename(path)}: removed"


def _is_whole(path: str) -> bool:
    """Whether the git directory of a worktree has all of its files."""
    parts = ("gitdir", "HEAD", "commondir")
    return all(os.path.isfile(os.path.join(path, part)) for part in parts)


def _remove_empty(root: str, name: str) -> None:
    """Remove an agent's worktree that has nothing in it but its `.git`."""
    folder = os.path.join(root, "worktrees", name)
    if os.path.isdir(folder) and set(os.listdir(folder)) <= {".git"}:
        with effect("remove", f"worktrees/{name}"):
            shutil.rmtree(folder)


def _initializing(path: str) -> bool:
    try:
        with open(
            os.path.join(path, "locked"), encoding="utf-8", errors="replace"
        ) as file:
            return file.read().startswith("initializing")
    except OSError:
        return False


def _worktrees(root: str) -> Iterator[str]:
    """Clear away the locks and rebases in the worktrees of agents that are not at work."""
    for path, name in _admins(root):
        if not name:
            continue
        with locked_now(root, f"worktree-{name}") as free:
            if free:
                yield from _clear(root, path, name)


def _clear(root: str, path: str, name: str) -> Iterator[str]:
    """Clear away the locks and rebases of one worktree; `path` is its git directory."""
    checkout = os.path.join(root, "worktrees", name)
    for lock in ("index.lock", "HEAD.lock"):
        full = os.path.join(path, lock)
        if os.path.lexists(full):
            gone = drop(full, checkout=checkout, since=0.0)
            how = "removed" if gone else "is still held"
            yield f"worktrees/{name}: {lock} {how}"

    for kind in ("rebase-merge", "rebase-apply"):
        folder = os.path.join(path, kind)
        if os.path.isdir(folder):
            with effect("remove", f"worktrees/{name}/{kind}"):
                shutil.rmtree(folder)

            yield f"worktrees/{name}: {kind} removed"


def _shared(root: str) -> Iterator[str]:
    """Clear away the locks of the whole repository and of refs."""
    common = os.path.join(root, ".git")
    found = [os.path.join(common, name) for name in SHARED]
    found += _ref_locks(os.path.join(common, "refs"))
    for path in found:
        if not os.path.lexists(path):
            continue

        gone = _drop(root, path)
        how = "removed, nobody held it" if gone else "a git command may hold it; left"
        yield f"{os.path.relpath(path, common)}: {how}"


def _ref_locks(refs: str) -> Iterator[str]:
    """The lock files below a directory of refs."""
    for folder, _, names in os.walk(refs):
        for name in sorted(names):
            if name.endswith(".lock"):
                yield os.path.join(folder, name)


def _drop(root: str, path: str) -> bool:
    """Take a lock away; whether it is gone.

    Only with the lock under which we would hold it ourselves: the branches of an agent
    are moved under that of its worktree.
    """
    if os.path.basename(path) in YOURS:
        return drop(path, checkout=root, age_s=STALE_S)

    heads = os.path.join(root, ".git", "refs", "heads")
    agent, *rest = os.path.relpath(path, heads).split(os.sep)
    if agent == os.pardir or not rest:
        return drop(path, checkout=root)

    with locked_now(root, f"worktree-{agent}") as free:
        return free and drop(path, checkout=root)


def _scratch(root: str) -> None:
    """Remove the scratch of processes that died more than an hour ago."""
    for name in os.listdir(state(root)):
        if not name.startswith(SCRATCH):
            continue
        path = os.path.join(state(root), name)
        try:
            if time.time() - os.lstat(path).st_mtime < 3600:
                continue
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)
        except FileNotFoundError:
            continue  # its writer was not dead

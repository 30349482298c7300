"""After a kill: bring the repository back to a state in which everything works again.

What a killed git leaves: lock files, half-made worktrees, a half-done fast-forward. A lock goes when nobody holds it
(`leftover`); worktrees and branches whose agent is at work are left alone.
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
YOURS = (
    "HEAD.lock",
    "index.lock",
    "config.lock",
    "shallow.lock",
)  # these we hardly take, or have a journal for
SCRATCH = ("blobs-", "index-", "empty-", "bus.seen.")


def recover(root: str) -> list[str]:
    """Mend what a kill left; gives one line for each thing done, and for each lock that could not be taken away yet.

    Safe at any time, also with agents at work. Raises NeedsYou when a fast-forward of your checkout waits for you.
    """
    box_trees.sweep_boxes()
    with locked(root):
        notes = [*_half_made(root), *_worktrees(root), *_shared(root)]
        _scratch(root)
        if landing.finish_landing(root):
            notes.append("a fast-forward of your checkout was finished")
    return notes


def _admins(root: str) -> Iterator[tuple[str, str]]:
    """(git directory, agent) of each worktree; the agent is empty for a worktree of yours or one that cannot be told."""
    trees = os.path.join(root, ".git", "worktrees")
    for entry in sorted(os.listdir(trees)) if os.path.isdir(trees) else ():
        path = os.path.join(trees, entry)
        try:
            with open(
                os.path.join(path, "gitdir"), encoding="utf-8", errors="surrogateescape"
            ) as file:
                tree = os.path.dirname(file.read().strip())
        except OSError:
            tree = ""
        ours = os.path.dirname(tree) == os.path.join(root, "worktrees")
        yield path, os.path.basename(tree) if ours else ""


def _half_made(root: str) -> Iterator[str]:
    """Worktrees that `git worktree add` did not finish; `git worktree prune` leaves those."""
    for path, name in list(_admins(root)):
        whole = all(
            os.path.isfile(os.path.join(path, part))
            for part in ("gitdir", "HEAD", "commondir")
        )
        if whole and not _initializing(path):
            continue
        try:
            old = time.time() - os.stat(path).st_mtime >= STALE_S
        except FileNotFoundError:
            continue
        if not name and (whole or not old):
            continue  # yours, or being made by you at this moment
        with effect("remove", os.path.relpath(path, root)):
            shutil.rmtree(path)
        folder = os.path.join(root, "worktrees", name)
        if name and os.path.isdir(folder) and set(os.listdir(folder)) <= {".git"}:
            with effect("remove", f"worktrees/{name}"):
                shutil.rmtree(folder)
        yield f"half-made worktree {name or os.path.basename(path)}: removed"


def _initializing(path: str) -> bool:
    try:
        with open(
            os.path.join(path, "locked"), encoding="utf-8", errors="replace"
        ) as file:
            return file.read().startswith("initializing")
    except OSError:
        return False


def _worktrees(root: str) -> Iterator[str]:
    """Locks and rebases in the worktrees of agents that are not at work."""
    for path, name in _admins(root):
        if not name:
            continue
        with locked_now(root, f"worktree-{name}") as free:
            if not free:
                continue
            for lock in ("index.lock", "HEAD.lock"):
                full = os.path.join(path, lock)
                if os.path.lexists(full):
                    gone = drop(
                        full, checkout=os.path.join(root, "worktrees", name), since=0.0
                    )
                    yield f"worktrees/{name}: {lock} {'removed' if gone else 'is still held'}"
            for kind in ("rebase-merge", "rebase-apply"):
                if os.path.isdir(os.path.join(path, kind)):
                    with effect("remove", f"worktrees/{name}/{kind}"):
                        shutil.rmtree(os.path.join(path, kind))
                    yield f"worktrees/{name}: {kind} removed"


def _shared(root: str) -> Iterator[str]:
    """Locks of the whole repository and of refs."""
    common = os.path.join(root, ".git")
    found = [os.path.join(common, name) for name in SHARED]
    for folder, _, names in os.walk(os.path.join(common, "refs")):
        found += [
            os.path.join(folder, name)
            for name in sorted(names)
            if name.endswith(".lock")
        ]
    for path in found:
        if os.path.lexists(path):
            name = os.path.relpath(path, common)
            yield f"{name}: {'removed, nobody held it' if _drop(root, path) else 'a git command may hold it; left'}"


def _drop(root: str, path: str) -> bool:
    """Only with the lock under which we ourselves would hold it: an agent's branches are moved under its worktree's."""
    if os.path.basename(path) in YOURS:
        return drop(path, checkout=root, age_s=STALE_S)
    parts = os.path.relpath(path, os.path.join(root, ".git", "refs", "heads")).split(
        os.sep
    )
    if parts[0] == os.pardir or len(parts) == 1:
        return drop(path, checkout=root)
    with locked_now(root, f"worktree-{parts[0]}") as free:
        return free and drop(path, checkout=root)


def _scratch(root: str) -> None:
    """Throw-away directories of processes that died more than an hour ago."""
    for name in os.listdir(state(root)):
        path = os.path.join(state(root), name)
        try:
            if (
                not name.startswith(SCRATCH)
                or time.time() - os.lstat(path).st_mtime < 3600
            ):
                continue
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)
        except FileNotFoundError:
            continue  # its writer was not dead

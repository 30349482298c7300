"""Your checkouts: where a branch is checked out, what in it is yours, and the mending of an interrupted fast-forward.

Everything here runs in a person's work tree: it reads, and writes only in `put_back` and `stage`, and there only paths
that an interrupted fast-forward of ours had begun to write.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from catherd.bus.crashpoints import effect
from catherd.core.errors import NeedsYou
from catherd.git.run import WorkPlace, call, git, git_dir


class Change(NamedTuple):
    """One path between two commits: mode and object id before and after; mode 000000 is "not there"."""

    old_mode: str
    new_mode: str
    old: str
    new: str


ABSENT = "000000"
LINK = "120000"


def checkout_place(path: str) -> WorkPlace:
    """A checkout of yours as a place for git calls."""
    return WorkPlace(path, git_dir(path), "", person=True)


def list_worktrees(root: str) -> list[dict[str, str]]:
    """All worktrees as git lists them: keys worktree, HEAD, branch (full ref), detached, bare, locked, prunable."""
    entries: list[dict[str, str]] = [{}]
    for line in os.fsdecode(
        call(root, "worktree", "list", "--porcelain", "-z").out
    ).split("\0"):
        if line:
            key, _, value = line.partition(" ")
            entries[-1][key] = value
        elif entries[-1]:
            entries.append({})
    return [e for e in entries if e]


def of_ref(root: str, ref: str) -> str:
    """The checkout that has the branch checked out; empty when none has. Raises NeedsYou for two, or in mid-rebase."""
    for head in _rebasing(root):
        with open(head, encoding="utf-8", errors="replace") as file:
            if file.read().strip() == ref:
                what = f"you are rebasing {ref.removeprefix('refs/heads/')}"
                raise NeedsYou(
                    what,
                    where=os.path.dirname(head),
                    fix="git rebase --continue  (or --abort)",
                )
    paths = [
        e["worktree"]
        for e in list_worktrees(root)
        if e.get("branch") == ref and os.path.lexists(f"{e['worktree']}/.git")
    ]
    if len(paths) > 1:
        what = f"{ref.removeprefix('refs/heads/')} is checked out twice: {', '.join(paths)}"
        raise NeedsYou(what, where=paths[1], fix=f"git -C {paths[1]} switch --detach")
    return paths[0] if paths else ""


def _rebasing(root: str) -> list[str]:
    common = os.path.join(root, ".git")
    trees = os.path.join(common, "worktrees")
    admin = [
        common,
        *(
            os.path.join(trees, name)
            for name in (os.listdir(trees) if os.path.isdir(trees) else ())
        ),
    ]
    heads = [
        os.path.join(a, kind, "head-name")
        for a in admin
        for kind in ("rebase-merge", "rebase-apply")
    ]
    return [h for h in heads if os.path.isfile(h)]


def tree_changes(root: str, old: str, new: str) -> dict[str, Change]:
    """{path: Change} between two commits or trees, renames not followed."""
    options = (
        "-r",
        "-z",
        "--raw",
        "--no-renames",
        "--no-commit-id",
        "--ignore-submodules=none",
    )
    out = call(root, "diff-tree", *options, old, new).out
    words = out.split(b"\0")
    found = {}
    for meta, path in zip(words[0:-1:2], words[1::2], strict=False):
        old_mode, new_mode, a, b, _ = meta.decode().lstrip(":").split(" ")
        found[os.fsdecode(path)] = Change(old_mode, new_mode, a, b)
    return found


def dirty(checkout: str, among: Mapping[str, Change]) -> set[str]:
    """The tracked paths of `among` that are staged or edited in the checkout."""
    out = call(
        checkout_place(checkout),
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=no",
        "--no-renames",
        "--ignore-submodules=all",
    ).out
    return {os.fsdecode(entry[3:]) for entry in out.split(b"\0") if entry} & set(among)


def clashes(
    checkout: str, new: str, changed: Mapping[str, Change], dirty: set[str]
) -> list[str]:
    """What of yours a fast-forward to `new` would overwrite: edited, staged, untracked or ignored files, sorted.

    A path that you staged with exactly the new content, and did not edit since, is no clash.
    """
    found = set()
    if dirty:
        where = checkout_place(checkout)
        staged = call(
            where,
            "diff-index",
            "--cached",
            "--name-only",
            "-z",
            "--no-renames",
            new,
            "--",
            *sorted(dirty),
        ).out
        edited = call(
            where, "diff-files", "--name-only", "-z", "--", *sorted(dirty)
        ).out
        found = {os.fsdecode(p) for p in (staged + edited).split(b"\0") if p}
    gone = {p for p, c in changed.items() if c.new_mode == ABSENT}
    for path, change in changed.items():
        if change.old_mode == ABSENT and path not in dirty:
            found |= set(_in_the_way(checkout, path, gone))
    return sorted(found)


def _in_the_way(checkout: str, path: str, gone: set[str]) -> Sequence[str]:
    parts = path.split("/")
    for n in range(1, len(parts)):
        parent = "/".join(parts[:n])
        full = os.path.join(checkout, parent)
        if os.path.islink(full) or (os.path.lexists(full) and not os.path.isdir(full)):
            return () if parent in gone else (parent,)
    full = os.path.join(checkout, path)
    if os.path.isdir(full) and not os.path.islink(full):
        emptied = any(
            p.startswith(f"{path}/") for p in gone
        )  # git itself looks for what else is in there
        return () if emptied or not os.listdir(full) else (f"{path}/",)
    return (path,) if os.path.lexists(full) else ()


def state_of(checkout: str, path: str, change: Change) -> str:
    """Where an interrupted fast-forward left a path: "old", "new", "torn" (git was writing it) or "yours" (none of these)."""
    full = os.path.join(checkout, path)
    try:
        content = (
            os.fsencode(os.readlink(full)) if os.path.islink(full) else _bytes(full)
        )
    except (FileNotFoundError, NotADirectoryError):
        if change.new_mode == ABSENT:
            return "new"
        return "old" if change.old_mode == ABSENT else "torn"
    except IsADirectoryError:
        return "old" if change.old_mode == ABSENT else "yours"
    where = checkout_place(checkout)
    oid = git(
        where,
        "hash-object",
        *(["--no-filters"] if os.path.islink(full) else ["--path", path]),
        "--stdin",
        stdin=content,
    )
    if oid in (change.new, change.old) and os.path.islink(full) == (
        LINK in (change.new_mode, change.old_mode)
    ):
        return "new" if oid == change.new and change.new_mode != ABSENT else "old"
    if change.new_mode not in (ABSENT, LINK) and not os.path.islink(full):
        whole = call(where, "cat-file", "--filters", f"--path={path}", change.new).out
        if whole.startswith(content):
            return "torn"
    return "yours"


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def put_back(checkout: str, torn: Mapping[str, Change], saved: str) -> None:
    """The old content of half-written paths, from the index (which still is the old one); copies go to `saved` first."""
    for path, change in torn.items():
        full, copy = os.path.join(checkout, path), os.path.join(saved, path)
        if os.path.lexists(full):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            with effect("save", path):
                shutil.copy2(full, copy, follow_symlinks=False)
            if change.old_mode == ABSENT:
                with effect("unlink", path):
                    os.unlink(full)
    back = b"".join(
        os.fsencode(p) + b"\0" for p, c in torn.items() if c.old_mode != ABSENT
    )
    if back:
        call(
            checkout_place(checkout),
            "checkout-index",
            "-f",
            "-z",
            "--stdin",
            stdin=back,
            change="torn files",
        )


def stage_paths(checkout: str, done: Mapping[str, Change]) -> None:
    """Tell the index that these paths are in their new state already."""
    modes = {p: "0" if c.new_mode == ABSENT else c.new_mode for p, c in done.items()}
    lines = b"".join(
        f"{modes[p]} {c.new}\t".encode() + os.fsencode(p) + b"\0"
        for p, c in done.items()
    )
    if lines:
        call(
            checkout_place(checkout),
            "update-index",
            "-z",
            "--index-info",
            stdin=lines,
            change="new files",
        )

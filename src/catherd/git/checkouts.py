"""Your checkouts: where a branch is checked out, what in it is yours, and its mending.

Everything here runs in a person's work tree. It only reads, except in `put_back` and
`stage_paths`, which write paths that an interrupted fast-forward of ours had begun to
write, and no others.
"""

import os
import shutil
from collections.abc import Mapping
from typing import Literal, NamedTuple

from catherd.bus.crashpoints import effect
from catherd.core.errors import NeedsYou
from catherd.git.run import WorkPlace, call, git, git_dir


class Change(NamedTuple):
    """One path between two commits: mode and object id before and after.

    Mode 000000 means that it is not there.
    """

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
    """All worktrees as git lists them.

    Keys: worktree, HEAD, branch (the full ref), detached, bare, locked, prunable.
    """
    out = call(root, "worktree", "list", "--porcelain", "-z").out
    entries: list[dict[str, str]] = [{}]
    for line in os.fsdecode(out).split("\0"):
        if line:
            key, _, value = line.partition(" ")
            entries[-1][key] = value
        elif entries[-1]:  # an empty line ends an entry
            entries.append({})

    return [entry for entry in entries if entry]


def of_ref(root: str, ref: str) -> str:
    """The checkout that has the branch checked out; empty when none has.

    Raises NeedsYou when two have it, or when you are rebasing it.
    """
    branch = ref.removeprefix("refs/heads/")
    rebase = _rebase_of(root, ref)
    if rebase:
        fix = "git rebase --continue  (or --abort)"
        raise NeedsYou(
            f"you are rebasing {branch}",
            where=rebase,
            fix=fix,
        )

    paths = []
    for entry in list_worktrees(root):
        path = entry["worktree"]
        if entry.get("branch") == ref and os.path.lexists(f"{path}/.git"):
            paths.append(path)

    if len(paths) > 1:
        raise NeedsYou(
            f"{branch} is checked out twice: {', '.join(paths)}",
            where=paths[1],
            fix=f"git -C {paths[1]} switch --detach",
        )
    return paths[0] if paths else ""


def _rebase_of(root: str, ref: str) -> str:
    """The directory in which git keeps a rebase of `ref` that has begun; or empty."""
    for folder in _git_dirs(root):
        for kind in ("rebase-merge", "rebase-apply"):
            rebase = os.path.join(folder, kind)
            head = os.path.join(rebase, "head-name")
            if not os.path.isfile(head):
                continue
            with open(head, encoding="utf-8", errors="replace") as file:
                if file.read().strip() == ref:
                    return rebase

    return ""


def _git_dirs(root: str) -> list[str]:
    """The git directories of the repository and of each worktree."""
    common = os.path.join(root, ".git")
    trees = os.path.join(common, "worktrees")
    names = os.listdir(trees) if os.path.isdir(trees) else []
    return [common, *(os.path.join(trees, name) for name in names)]


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
        old_mode, new_mode, old_id, new_id, _ = meta.decode().lstrip(":").split(" ")
        found[os.fsdecode(path)] = Change(old_mode, new_mode, old_id, new_id)

    return found


def dirty(checkout: str, among: Mapping[str, Change]) -> set[str]:
    """The tracked paths of `among` that are staged or edited in the checkout."""
    options = (
        "--porcelain=v1",
        "-z",
        "--untracked-files=no",
        "--no-renames",
        "--ignore-submodules=all",
    )
    out = call(checkout_place(checkout), "status", *options).out
    tracked = {os.fsdecode(entry[3:]) for entry in out.split(b"\0") if entry}
    return tracked.intersection(among)


def clashes(
    checkout: str, new: str, changed: Mapping[str, Change], dirty: set[str]
) -> list[str]:
    """What of yours a fast-forward to `new` would overwrite, sorted.

    That is files that you edited, staged, left untracked or told git to ignore. A path
    that you staged with exactly the new content, and did not edit since, is no clash.
    """
    found = _unlike(checkout, new, dirty) if dirty else set()
    gone = {path for path, change in changed.items() if change.new_mode == ABSENT}
    for path, change in changed.items():
        if change.old_mode == ABSENT and path not in dirty:
            found.add(_in_the_way(checkout, path, gone))

    found.discard("")
    return sorted(found)


def _unlike(checkout: str, new: str, dirty: set[str]) -> set[str]:
    """The paths that are staged unlike `new`, or edited since they were staged."""
    where = checkout_place(checkout)
    options = ("--name-only", "-z")
    paths = sorted(dirty)
    cached = ("--cached", "--no-renames")
    staged = call(
        where,
        "diff-index",
        *cached,
        *options,
        new,
        "--",
        *paths,
    ).out
    edited = call(where, "diff-files", *options, "--", *paths).out
    return {os.fsdecode(path) for path in (staged + edited).split(b"\0") if path}


def _in_the_way(checkout: str, path: str, gone: set[str]) -> str:
    """What stands where a new file is to be, or where a directory above it is to be.

    Empty when nothing does. `gone` are the paths that the fast-forward itself removes.
    """
    full = checkout
    *parents, _ = path.split("/")
    for parent in parents:
        full = os.path.join(full, parent)
        if os.path.lexists(full) and not _is_real_folder(full):
            blocked = os.path.relpath(full, checkout)
            return "" if blocked in gone else blocked

    full = os.path.join(checkout, path)
    if not os.path.lexists(full):
        return ""
    if not _is_real_folder(full):
        return path
    # git itself looks for what else is in a directory that it empties.
    emptied = any(name.startswith(f"{path}/") for name in gone)
    if emptied or not os.listdir(full):
        return ""
    return f"{path}/"


def _is_real_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


PathState = Literal["old", "new", "torn", "yours"]


def state_of(checkout: str, path: str, change: Change) -> PathState:
    """Where an interrupted fast-forward left a path.

    "torn" means that git was writing it, "yours" that it is none of the others.
    """
    full = os.path.join(checkout, path)
    was_there, stays = change.old_mode != ABSENT, change.new_mode != ABSENT
    try:
        link = os.path.islink(full)
        content = os.fsencode(os.readlink(full)) if link else _bytes(full)
    except (FileNotFoundError, NotADirectoryError):
        if not stays:
            return "new"
        return "torn" if was_there else "old"
    except IsADirectoryError:
        return "yours" if was_there else "old"

    return _state_of_content(checkout, path, change, content, link=link)


def _state_of_content(
    checkout: str, path: str, change: Change, content: bytes, *, link: bool
) -> PathState:
    """The state of a path that is a file or a link with this content."""
    where = checkout_place(checkout)
    how = ["--no-filters"] if link else ["--path", path]
    oid = git(where, "hash-object", *how, "--stdin", stdin=content)
    link_expected = LINK in (change.new_mode, change.old_mode)
    stays = change.new_mode != ABSENT
    if link == link_expected:
        if stays and oid == change.new:
            return "new"
        if oid in (change.new, change.old):
            return "old"

    if link or change.new_mode in (ABSENT, LINK):
        return "yours"
    whole = call(where, "cat-file", "--filters", f"--path={path}", change.new).out
    return "torn" if whole.startswith(content) else "yours"


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def put_back(checkout: str, torn: Mapping[str, Change], saved: str) -> None:
    """Give half-written paths their old content; what is there is copied to `saved`.

    The old content comes from the index, which still is the old one.
    """
    for path, change in torn.items():
        full = os.path.join(checkout, path)
        copy = os.path.join(saved, path)
        if not os.path.lexists(full):
            continue
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        with effect("save", path):
            shutil.copy2(full, copy, follow_symlinks=False)

        if change.old_mode == ABSENT:
            with effect("unlink", path):
                os.unlink(full)

    _restore_from_index(
        checkout,
        [path for path, change in torn.items() if change.old_mode != ABSENT],
    )


def _restore_from_index(checkout: str, paths: list[str]) -> None:
    if not paths:
        return
    call(
        checkout_place(checkout),
        "checkout-index",
        "-f",
        "-z",
        "--stdin",
        stdin=b"".join(os.fsencode(path) + b"\0" for path in paths),
        change="torn files",
    )


def stage_paths(checkout: str, done: Mapping[str, Change]) -> None:
    """Tell the index that these paths are in their new state already."""
    lines = b""
    for path, change in done.items():
        mode = "0" if change.new_mode == ABSENT else change.new_mode
        lines += f"{mode} {change.new}\t".encode() + os.fsencode(path) + b"\0"

    if not lines:
        return
    call(
        checkout_place(checkout),
        "update-index",
        "-z",
        "--index-info",
        stdin=lines,
        change="new files",
    )

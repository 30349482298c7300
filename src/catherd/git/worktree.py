"""One git worktree per agent, `worktrees/<agent>`, reused from task to task, on branches `<agent>/<task>`.

Git is always told the worktree's git directory (`.git/worktrees/…`); the `.git` file in the tree, which a program of the
agent's might have rewritten, is never read. Files enter a commit as the bytes that they are: no filter, attribute or
.gitignore of the tree has a say. Host git touches a worktree only while no box on it is alive, and after `treescan.scan`.
One process works in a worktree at a time: `begin`, `commit` and `update` hold `.git/catherd/worktree-<agent>.lock`.
What you remove by hand is made again or moved out of the way, and told in `notes`; nothing is ever deleted that a commit
does not hold, except uncommitted files of an agent's tree, which its journal can make again.
"""

import os
import re
import shlex
import shutil
import stat
from collections.abc import Sequence
from typing import NamedTuple

from catherd.bus.crashpoints import effect
from catherd.core.errors import CatherdError, Fault, NeedsYou
from catherd.git.checkouts import of_ref
from catherd.git.objects import (
    blobs,
    build_tree,
    commit_tree,
    is_ancestor,
    list_tree,
    merge_tree,
    private,
    transaction,
)
from catherd.git.pr_rules import bad_name, shown_path
from catherd.git.run import (
    Who,
    WorkPlace,
    agent_identity,
    call,
    git,
    locked,
    rev,
    state,
)
from catherd.git.treescan import TreeLimits, walk_tree

BRANCH = re.compile(r"[a-z][a-z0-9-]{0,30}/(?!HEAD\Z)[A-Za-z0-9][A-Za-z0-9-]{0,60}\Z")
MARKER = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)


class BranchBegun(NamedTuple):
    """A worktree ready for a task: its path, branch, the commit it stands on, and what a person should be told."""

    path: str
    branch: str
    head: str
    notes: tuple[str, ...]


def folder(root: str, name: str) -> str:
    """The directory of an agent's worktree."""
    return os.path.join(root, "worktrees", name)


def admin(root: str, name: str) -> str:
    """The git directory of an agent's worktree; empty when git knows of none."""
    wanted = os.path.join(folder(root, name), ".git")
    trees = os.path.join(root, ".git", "worktrees")
    for entry in sorted(os.listdir(trees)) if os.path.isdir(trees) else ():
        path = os.path.join(trees, entry)
        try:
            with open(os.path.join(path, "gitdir"), "rb") as file:
                found = os.fsdecode(file.read(4096)).strip()
        except OSError:
            continue
        if found == wanted and all(
            os.path.exists(os.path.join(path, part)) for part in ("HEAD", "commondir")
        ):
            return path
    return ""


def worktree_place(root: str, name: str) -> WorkPlace:
    """An agent's worktree as a place for git calls. Raises Fault when there is none."""
    found = admin(root, name)
    if not found:
        raise Fault(f"{name} has no worktree", where=folder(root, name), fix="make up")
    return WorkPlace(folder(root, name), found)


def ensure(root: str, name: str, at: str = "HEAD") -> tuple[str, ...]:
    """Make `worktrees/<name>` usable, whatever state it is in; gives notes for a person. A new one is detached at `at`."""
    path = folder(root, name)
    notes: list[str] = []
    with locked(root):
        found = admin(root, name)
        if not found:
            if os.path.lexists(path):
                notes.append(
                    f"worktrees/{name} is not a worktree: moved to {_aside(root, path)}"
                )
            start = rev(root, at)
            if not start:
                raise CatherdError(
                    f"there is no commit {at}",
                    where=root,
                    fix="git log --oneline --branches",
                )
            call(
                root, "worktree", "add", "--quiet", "--no-checkout", "--detach", "--", path, start,
                change=f"worktrees/{name}",
            )  # fmt: skip
            found = admin(root, name)
        elif not os.path.isdir(path) or os.path.islink(path):
            if os.path.lexists(path):
                notes.append(
                    f"worktrees/{name} is no directory: moved to {_aside(root, path)}"
                )
            else:
                notes.append(
                    f"worktrees/{name} was removed: made again from the last commit"
                )
            with effect("mkdir", f"worktrees/{name}"):
                os.makedirs(path)
        _link(root, path, found, notes)
    return tuple(notes)


def _link(root: str, path: str, found: str, notes: list[str]) -> None:
    """See to it that the tree's `.git` file points home: you may run git in there."""
    entry, right = os.path.join(path, ".git"), f"gitdir: {found}\n"
    try:
        fd = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            if stat.S_ISREG(os.fstat(fd).st_mode) and file.read(8192) == os.fsencode(
                right
            ):
                return
    except OSError:
        pass
    if os.path.lexists(entry):
        notes.append(
            f"{os.path.relpath(entry, root)} was changed: put right, the old one is {_aside(root, entry)}"
        )
    with effect("link", os.path.relpath(entry, root)):
        fd = os.open(entry, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(right)


def _aside(root: str, path: str) -> str:
    """Move something out of the way, undeleted; gives where it is now."""
    to = os.path.join(state(root), "saved")
    os.makedirs(to, exist_ok=True)
    name, n = os.path.basename(path).lstrip("."), 1
    while os.path.lexists(os.path.join(to, f"{name}-{n}")):
        n += 1
    with effect("save", name):
        shutil.move(path, os.path.join(to, f"{name}-{n}"))
    return os.path.join(to, f"{name}-{n}")


def begin_branch(
    root: str, name: str, task: str, base: str, *, expected: str = ""
) -> BranchBegun:
    """Switch the agent's worktree, cleaned, to branch `<name>/<task>`: continued where it exists, else made at `base`.

    `expected` is the head that the bus remembers: a branch that was deleted is made again there, one that was moved by hand
    is gone on with from where it is (the old head stays under refs/catherd/moved/); both are told in `notes`. Commits on top,
    a killed self's or yours, are gone on with.
    Raises CatherdError for a name that is none, NeedsYou when you have the branch checked out yourself.
    """
    branch = f"{name}/{task}"
    if not BRANCH.match(branch):
        raise CatherdError(
            f"`{shown_path(branch)}` is no branch name",
            where="tasks",
            fix="use letters, digits and - in task ids",
        )
    with locked(root, f"worktree-{name}"):
        notes = list(ensure(root, name, base))
        where = worktree_place(root, name)
        head = _branch(root, branch, base, expected, notes)
        mine = of_ref(root, f"refs/heads/{branch}")
        if mine and mine != where.tree:
            raise NeedsYou(
                f"you have {branch} checked out",
                where=mine,
                fix=f"git -C {shlex.quote(mine)} switch -",
            )
        clean_worktree(where)
        call(
            where,
            "switch",
            "--quiet",
            "--no-guess",
            "--discard-changes",
            branch,
            change=f"worktrees/{name}",
        )
        _sweep(where)
    return BranchBegun(where.tree, branch, head, tuple(notes))


def _branch(root: str, branch: str, base: str, expected: str, notes: list[str]) -> str:
    """The head of the branch, which exists afterwards."""
    ref = f"refs/heads/{branch}"
    with locked(root):
        head = rev(root, ref)
        blocked = rev(root, f"refs/heads/{branch.partition('/')[0]}")
        if blocked:
            top = branch.partition("/")[0]
            fix = f"git branch -m {top} {top}-old"
            raise CatherdError(
                f"a branch {top} is in the way of {branch}", where=root, fix=fix
            )
        if not head:
            head = rev(root, expected or base)
            if not head:
                raise CatherdError(
                    f"there is no commit {expected or base}",
                    where=branch,
                    fix="git log --oneline --branches",
                )
            if expected:
                notes.append(f"branch {branch} was deleted: made again at {head[:12]}")
            transaction(root, [f"create {ref} {head}"], "begin")
        elif expected and not (
            rev(root, expected) and is_ancestor(root, expected, head)
        ):
            notes.append(
                f"branch {branch} was moved by hand from {expected[:12]} to {head[:12]}: going on from there"
            )
            if rev(root, expected):
                transaction(
                    root,
                    [f"update refs/catherd/moved/{branch}/{expected[:12]} {expected}"],
                    "moved by hand",
                )
    return head


def clean_worktree(where: WorkPlace) -> None:
    """Back to the last commit: no merge in progress, no edits, no untracked or ignored files."""
    for path, seen in walk_tree(
        where.tree, 200
    ):  # what a program made unreadable can be emptied again
        if (
            stat.S_ISDIR(seen.st_mode)
            and seen.st_mode & 0o700 != 0o700
            and seen.st_uid == os.getuid()
        ):
            os.chmod(path, 0o700)
    call(where, "reset", "--hard", "--quiet", change=_label(where))
    _sweep(where)


def _label(where: WorkPlace) -> str:
    return f"worktrees/{os.path.basename(where.tree)}"


def _sweep(where: WorkPlace) -> None:
    """Remove what the index does not have: `git clean` leaves fifos, sockets and devices behind."""
    tracked = {
        os.fsdecode(p) for p in call(where, "ls-files", "-z").out.split(b"\0") if p
    }
    kept = {".git", *tracked, *(part for path in tracked for part in _above(path))}
    gone = ""
    for path, seen in walk_tree(where.tree, 200):
        name = os.path.relpath(path, where.tree)
        if name in kept or (gone and name.startswith(gone)):
            continue
        with effect("remove", f"{_label(where)}/{name}"):
            if stat.S_ISDIR(seen.st_mode):
                gone = f"{name}/"
                shutil.rmtree(path)
            else:
                os.unlink(path)


def changed_paths(root: str, name: str) -> list[str]:
    """The paths in an agent's worktree that differ from its head: edited, added (unless .gitignore hides them), deleted."""
    out = call(
        worktree_place(root, name),
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=all",
        "--no-renames",
    ).out
    return sorted(
        os.fsdecode(entry[3:]).rstrip("/") for entry in out.split(b"\0") if entry
    )


def commit(
    root: str,
    name: str,
    paths: Sequence[str],
    message: str,
    *,
    merging: str = "",
    author: Who | None = None,
) -> str:
    """Commit these paths of the agent's worktree (absent ones as deleted) on its branch, as the agent; gives the head.

    Nothing differs: no commit. `merging` is main's commit, the second parent of the one that takes `update` in: then
    everything that differs from that merge is taken too. Raises CatherdError for a path that is no plain file with a
    proper name or that still has conflict markers, Moved when the branch moved meanwhile.
    """
    with locked(root, f"worktree-{name}"):
        where = worktree_place(root, name)
        branch = git(where, "symbolic-ref", "HEAD")
        head = rev(root, branch)
        start, chosen = head, set(paths)
        if merging:
            start, conflicts = merge_tree(root, head, merging)
            chosen |= {*conflicts, *_unlike(root, where, start)}
        tree = _tree(root, where.tree, start, sorted(chosen), markers=bool(merging))
        if not merging and tree == git(root, "rev-parse", f"{head}^{{tree}}"):
            return head
        new = commit_tree(
            root,
            tree,
            [head, *([merging] if merging else [])],
            message,
            author or agent_identity(name),
        )
        transaction(root, [f"update {branch} {new} {head}"], "commit")
        call(where, "reset", "--quiet", change=_label(where))
    return new


def _unlike(root: str, where: WorkPlace, tree: str) -> list[str]:
    """The paths of a worktree that differ from a tree, ignored ones left out unless the tree has them."""
    with private(root, tree) as index:
        here = where._replace(index_file=index.index_file)
        call(here, "update-index", "-q", "--refresh", okay=(0, 1))
        out = (
            call(here, "diff-files", "--name-only", "-z").out
            + call(here, "ls-files", "-o", "-z", "--exclude-standard").out
        )
    return [os.fsdecode(path).rstrip("/") for path in out.split(b"\0") if path]


def _tree(
    root: str, folder: str, start: str, chosen: Sequence[str], *, markers: bool
) -> str:
    """The tree of `start` with the chosen paths as they are on disk."""
    had = list_tree(root, start)
    contents = {p: _content(folder, p, markers=markers) for p in chosen}
    there = {p: c for p, c in contents.items() if c is not None}
    oids = blobs(root, [content for _, content in there.values()])
    entries = {
        p: (mode, oid) for (p, (mode, _)), oid in zip(there.items(), oids, strict=True)
    }
    gone = {p for p, c in contents.items() if c is None and p in had}
    gone |= {old for old in had for part in _above(old) if part in entries}
    return build_tree(root, start, entries, gone)


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _content(tree: str, path: str, *, markers: bool) -> tuple[str, bytes] | None:
    """(mode, bytes) of a file; None when it is not there."""
    odd = bad_name(path)
    if odd:
        raise CatherdError(odd, where=shown_path(path), fix="rename it")
    full = os.path.join(tree, path)
    if os.path.realpath(os.path.dirname(full)) != os.path.normpath(
        os.path.dirname(full)
    ):
        raise CatherdError(
            "a directory on the way is a link",
            where=shown_path(path),
            fix="remove the link",
        )
    try:
        fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as why:
        raise CatherdError(
            f"not a plain file: {why.strerror}",
            where=shown_path(path),
            fix=f"rm {shlex.quote(path)}",
        ) from why
    seen = os.fstat(fd)
    if stat.S_ISDIR(seen.st_mode):
        os.close(fd)
        return None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(seen.st_mode):
            raise CatherdError(
                "not a plain file",
                where=shown_path(path),
                fix=f"rm {shlex.quote(path)}",
            )
        if seen.st_size > TreeLimits().largest:
            raise CatherdError(
                f"{seen.st_size} bytes; at most {TreeLimits().largest}",
                where=shown_path(path),
                fix=f"rm {shlex.quote(path)}",
            )
        content = file.read()
    if markers and MARKER.search(content):
        raise CatherdError(
            "conflict markers are left in the file",
            where=shown_path(path),
            fix="resolve the conflict",
        )
    return ("100755" if seen.st_mode & 0o100 else "100644"), content


def update(root: str, name: str, tree: str) -> None:
    """Write a merge result (conflict markers and all, from `objects.merge_tree`) into the agent's worktree; nothing is committed."""
    with locked(root, f"worktree-{name}"):
        where = worktree_place(root, name)
        clean_worktree(where)
        call(where, "read-tree", "--reset", "-u", tree, change=_label(where))
        call(where, "reset", "--quiet", change=_label(where))

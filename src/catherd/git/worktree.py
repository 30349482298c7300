"""One git worktree per agent, `worktrees/<agent>`, reused from task to task.

Its branches are `<agent>/<task>`. Git is always told the worktree's git directory
(`.git/worktrees/…`). The `.git` file in the tree, which a program of the agent's might
have rewritten, is never read. Files enter a commit as the bytes that they are: no
filter, attribute or .gitignore of the tree has a say. Host git touches a worktree only
while no box on it is alive, and after `tamper.scan_tree`.

One process works in a worktree at a time: `begin_branch`, `commit` and `update` hold
`.git/catherd/worktree-<agent>.lock`.

What you remove by hand is made again or moved out of the way, and told in `notes`.
Nothing is ever deleted that a commit does not hold, except uncommitted files of an
agent's tree, which its journal can make again.
"""

import os
import re
import shlex
import shutil
import stat
from collections.abc import Mapping, Sequence
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
from catherd.git.tamper import LIMITS, walk_tree

BRANCH = re.compile(r"[a-z][a-z0-9-]{0,30}/(?!HEAD\Z)[A-Za-z0-9][A-Za-z0-9-]{0,60}\Z")
DEEPEST = 200  # directories that a look at a whole tree goes down
MARKER = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)


class BranchBegun(NamedTuple):
    """A worktree that is ready for a task.

    `head`: the commit that it stands on. `notes`: what a person should be told.
    """

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
    for entry in sorted(os.listdir(trees)) if os.path.isdir(trees) else []:
        path = os.path.join(trees, entry)
        if _tree_file_of(path) == wanted and _is_whole(path):
            return path
    return ""


def _tree_file_of(git_dir: str) -> str:
    """The `.git` file that a git directory belongs to; empty when unknown."""
    try:
        with open(os.path.join(git_dir, "gitdir"), "rb") as file:
            return os.fsdecode(file.read(4096)).strip()
    except OSError:
        return ""


def _is_whole(git_dir: str) -> bool:
    parts = (os.path.join(git_dir, part) for part in ("HEAD", "commondir"))
    return all(os.path.exists(part) for part in parts)


def worktree_place(root: str, name: str) -> WorkPlace:
    """An agent's worktree as a place for git calls. Raises Fault when there is none."""
    found = admin(root, name)
    if not found:
        raise Fault(
            f"{name} has no worktree",
            where=folder(root, name),
            fix="make up",
        )
    return WorkPlace(folder(root, name), found)


def ensure(root: str, name: str, at: str = "HEAD") -> tuple[str, ...]:
    """Make `worktrees/<name>` usable, whatever state it is in; notes for a person.

    A new one is detached at `at`.
    """
    notes: list[str] = []
    with locked(root):
        git_dir = admin(root, name)
        if git_dir:
            notes += _restore_folder(root, name)
        else:
            notes += _add_worktree(root, name, at)
            git_dir = admin(root, name)
        notes += _link(root, folder(root, name), git_dir)
    return tuple(notes)


def _add_worktree(root: str, name: str, at: str) -> list[str]:
    """Let git make a worktree that it does not know of."""
    path = folder(root, name)
    notes = []
    if os.path.lexists(path):
        now = _set_aside(root, path)
        notes.append(f"worktrees/{name} is not a worktree: moved to {now}")
    start = rev(root, at)
    if not start:
        raise _no_commit(at, root)
    options = ("--quiet", "--no-checkout", "--detach")
    change = f"worktrees/{name}"
    call(
        root,
        "worktree",
        "add",
        *options,
        "--",
        path,
        start,
        change=change,
    )
    return notes


def _no_commit(name: str, where: str) -> CatherdError:
    fix = "git log --oneline --branches"
    return CatherdError(
        f"there is no commit {name}",
        where=where,
        fix=fix,
    )


def _restore_folder(root: str, name: str) -> list[str]:
    """Make the directory of a worktree again that git knows of, where it is gone."""
    path = folder(root, name)
    if os.path.isdir(path) and not os.path.islink(path):
        return []
    note = f"worktrees/{name} was removed: made again from the last commit"
    if os.path.lexists(path):
        now = _set_aside(root, path)
        note = f"worktrees/{name} is no directory: moved to {now}"
    with effect("mkdir", f"worktrees/{name}"):
        os.makedirs(path)
    return [note]


def _link(root: str, path: str, git_dir: str) -> list[str]:
    """See to it that the tree's `.git` file points home: you may run git in there."""
    entry = os.path.join(path, ".git")
    right = f"gitdir: {git_dir}\n"
    if _holds(entry, os.fsencode(right)):
        return []
    notes = []
    shown = os.path.relpath(entry, root)
    if os.path.lexists(entry):
        now = _set_aside(root, entry)
        notes.append(f"{shown} was changed: put right, the old one is {now}")
    with effect("link", shown):
        fd = os.open(entry, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(right)
    return notes


_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _holds(path: str, content: bytes) -> bool:
    """Whether `path` is a plain file with exactly this content."""
    try:
        with open(os.open(path, _READ), "rb") as file:
            plain = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return plain and file.read(8192) == content
    except OSError:
        return False


def _set_aside(root: str, path: str) -> str:
    """Move something out of the way, undeleted; gives where it is now."""
    saved = os.path.join(state(root), "saved")
    os.makedirs(saved, exist_ok=True)
    name = os.path.basename(path).lstrip(".")
    stem = os.path.join(saved, name)
    number = 1
    while os.path.lexists(f"{stem}-{number}"):
        number += 1
    to = f"{stem}-{number}"
    with effect("save", name):
        shutil.move(path, to)
    return to


def begin_branch(
    root: str, name: str, task: str, base: str, *, expected: str = ""
) -> BranchBegun:
    """Switch the agent's worktree, cleaned, to branch `<name>/<task>`.

    A branch that exists is continued, with all commits on top, be they of a killed self
    or yours; else it is made at `base`. `expected` is the head that the bus remembers.
    A branch that was deleted is made again there. One that was moved by hand is
    continued from where it is, and the old head stays under refs/catherd/moved/. Both
    are told in `notes`.

    Raises CatherdError for a name that is no branch name, NeedsYou when you have the
    branch checked out yourself.
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
        with locked(root):
            head = _settle_branch(root, branch, base, expected, notes)
        yours = of_ref(root, f"refs/heads/{branch}")
        if yours and yours != where.tree:
            raise NeedsYou(
                f"you have {branch} checked out",
                where=yours,
                fix=f"git -C {shlex.quote(yours)} switch -",
            )
        clean_worktree(where)
        options = ("--quiet", "--no-guess", "--discard-changes")
        call(where, "switch", *options, branch, change=_label(where))
        _remove_untracked(where)
    return BranchBegun(where.tree, branch, head, tuple(notes))


def _settle_branch(
    root: str, branch: str, base: str, expected: str, notes: list[str]
) -> str:
    """The head of the branch, which exists afterwards."""
    agent, _, _ = branch.partition("/")
    if rev(root, f"refs/heads/{agent}"):
        raise CatherdError(
            f"a branch {agent} is in the way of {branch}",
            where=root,
            fix=f"git branch -m {agent} {agent}-old",
        )
    head = rev(root, f"refs/heads/{branch}")
    if head:
        if expected:
            notes += _keep_moved(root, branch, expected, head)
        return head
    head = rev(root, expected or base)
    if not head:
        raise _no_commit(expected or base, branch)
    if expected:
        notes.append(f"branch {branch} was deleted: made again at {head[:12]}")
    transaction(root, [f"create refs/heads/{branch} {head}"], "begin")
    return head


def _keep_moved(root: str, branch: str, expected: str, head: str) -> list[str]:
    """Keep the head that the bus remembers where the branch was moved away from it."""
    known = rev(root, expected)
    if known and is_ancestor(root, expected, head):
        return []
    if known:
        kept = f"refs/catherd/moved/{branch}/{expected[:12]}"
        transaction(root, [f"update {kept} {expected}"], "moved by hand")
    moved = f"from {expected[:12]} to {head[:12]}"
    return [f"branch {branch} was moved by hand {moved}: going on from there"]


def clean_worktree(where: WorkPlace) -> None:
    """Go back to the last commit: no merge, no edits, no untracked or ignored files."""
    for path, seen in walk_tree(where.tree, DEEPEST):
        closed = stat.S_ISDIR(seen.st_mode) and seen.st_mode & 0o700 != 0o700
        if closed and seen.st_uid == os.getuid():
            os.chmod(path, 0o700)  # so that it can be emptied
    call(where, "reset", "--hard", "--quiet", change=_label(where))
    _remove_untracked(where)


def _label(where: WorkPlace) -> str:
    return f"worktrees/{os.path.basename(where.tree)}"


def _remove_untracked(where: WorkPlace) -> None:
    """Remove all that is not in the index, ignored files too.

    `git clean` would leave fifos, sockets and devices behind.
    """
    out = call(where, "ls-files", "-z").out
    kept = {".git"}
    for entry in out.split(b"\0"):
        path = os.fsdecode(entry)
        kept |= {path, *_above(path)}
    gone = ""  # the directory that went last, with all that the walk had seen in it
    for path, seen in walk_tree(where.tree, DEEPEST):
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
    """The paths in an agent's worktree that differ from its head.

    They were edited, deleted, or added; an added one that .gitignore hides is left out.
    """
    place = worktree_place(root, name)
    options = ("--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    entries = call(place, "status", *options).out.split(b"\0")
    return sorted(os.fsdecode(entry[3:]).rstrip("/") for entry in entries if entry)


def commit(
    root: str,
    name: str,
    paths: Sequence[str],
    message: str,
    *,
    merging: str = "",
    author: Who | None = None,
) -> str:
    """Commit these paths of the agent's worktree on its branch, as the agent.

    Absent ones are committed as deleted. Gives the head; when nothing differs there is
    no commit. `merging` is main's commit, the second parent of the one that takes
    `update` in: then everything that differs from that merge is taken too.

    Raises CatherdError for a path that is no plain file with a proper name or that
    still has conflict markers, Moved when the branch moved meanwhile.
    """
    with locked(root, f"worktree-{name}"):
        where = worktree_place(root, name)
        branch = git(where, "symbolic-ref", "HEAD")
        head = start = rev(root, branch)
        parents = [head]
        chosen = set(paths)
        if merging:
            parents.append(merging)
            start, conflicts = merge_tree(root, head, merging)
            chosen |= {*conflicts, *_unlike(root, where, start)}
        contents = {}
        for path in sorted(chosen):
            contents[path] = _content(where.tree, path, markers=bool(merging))
        tree = _tree(root, start, contents)
        if not merging and tree == git(root, "rev-parse", f"{head}^{{tree}}"):
            return head
        who = author or agent_identity(name)
        new = commit_tree(root, tree, parents, message, who)
        transaction(root, [f"update {branch} {new} {head}"], "commit")
        call(where, "reset", "--quiet", change=_label(where))
    return new


def _unlike(root: str, where: WorkPlace, tree: str) -> list[str]:
    """The paths of a worktree that differ from a tree.

    Ignored ones are left out unless the tree has them.
    """
    with private(root, tree) as index:
        here = where._replace(index_file=index.index_file)
        call(here, "update-index", "-q", "--refresh", okay=(0, 1))
        edited = call(here, "diff-files", "--name-only", "-z").out
        added = call(here, "ls-files", "-o", "-z", "--exclude-standard").out
    paths = (edited + added).split(b"\0")
    return [os.fsdecode(path).rstrip("/") for path in paths if path]


class _Content(NamedTuple):
    """A file as it is to be committed."""

    mode: str
    data: bytes


def _tree(root: str, start: str, contents: Mapping[str, _Content | None]) -> str:
    """The tree of `start` with these paths as they are on disk; None: not there."""
    there: dict[str, _Content] = {}
    gone: set[str] = set()
    for path, content in contents.items():
        if content is None:
            gone.add(path)
        else:
            there[path] = content
    data = [content.data for content in there.values()]
    oids = blobs(root, data)
    entries = {}
    for (path, content), oid in zip(there.items(), oids, strict=True):
        entries[path] = (content.mode, oid)
    had = list_tree(root, start)
    gone &= had.keys()
    for path in had:
        # A file that was below what is a file now is gone as well.
        if not entries.keys().isdisjoint(_above(path)):
            gone.add(path)
    return build_tree(root, start, entries, gone)


def _above(path: str) -> list[str]:
    """The directories above a path: a, a/b."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _content(tree: str, path: str, *, markers: bool) -> _Content | None:
    """The file at `path`; None when it is not there, or a directory.

    Raises CatherdError for anything else, and, with `markers`, for one with conflict
    markers.
    """
    odd = bad_name(path)
    if odd:
        raise _unfit(path, odd, "rename it")
    full = os.path.join(tree, path)
    parent = os.path.dirname(full)
    if os.path.realpath(parent) != os.path.normpath(parent):
        raise _unfit(path, "a directory on the way is a link", "remove the link")
    found = _read_plain(full, path)
    if markers and found is not None and MARKER.search(found.data):
        what = "conflict markers are left in the file"
        raise _unfit(path, what, "resolve the conflict")
    return found


def _unfit(path: str, what: str, fix: str) -> CatherdError:
    return CatherdError(what, where=shown_path(path), fix=fix)


def _read_plain(full: str, path: str) -> _Content | None:
    """The plain file `full`, which messages call `path`; see `_content`."""
    remove = f"rm {shlex.quote(path)}"
    try:
        fd = os.open(full, _READ)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as why:
        raise _unfit(path, f"not a plain file: {why.strerror}", remove) from why
    # From here on the descriptor is asked: the path may name another file by now.
    seen = os.fstat(fd)
    if stat.S_ISDIR(seen.st_mode):
        os.close(fd)
        return None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(seen.st_mode):
            raise _unfit(path, "not a plain file", remove)
        if seen.st_size > LIMITS.largest:
            what = f"{seen.st_size} bytes; at most {LIMITS.largest}"
            raise _unfit(path, what, remove)
        data = file.read()
    executable = seen.st_mode & stat.S_IXUSR
    return _Content("100755" if executable else "100644", data)


def update(root: str, name: str, tree: str) -> None:
    """Write a merge result into the agent's worktree, conflict markers and all.

    It comes from `objects.merge_tree`. Nothing is committed.
    """
    with locked(root, f"worktree-{name}"):
        where = worktree_place(root, name)
        clean_worktree(where)
        call(where, "read-tree", "--reset", "-u", tree, change=_label(where))
        call(where, "reset", "--quiet", change=_label(where))

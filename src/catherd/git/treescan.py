"""What a program may have left in its tree, found by lstat alone before host git looks at any of it."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from catherd.core import hidden
from catherd.git.pr_rules import RuleFinding, shown_path


class TreeLimits(NamedTuple):
    """Caps of a whole agent's tree, what it built there included: files, bytes per file, bytes in all, depth."""

    files: int = 20_000
    largest: int = 20_000_000
    total: int = 400_000_000
    depth: int = 30


LIMITS = TreeLimits()


def walk_tree(tree: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    """(path, lstat) of everything below, parents first, links not followed; what vanishes or is forbidden is passed over."""
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
    """What in a worktree must be gone before host git looks at it; sorted. `skip` names directories that may hold links.

    Refused: a `.git` below the root, links, fifos, sockets, devices, setuid and setgid bits, unreadable directories, more
    or larger than `limits`.
    """
    found: list[RuleFinding] = []
    files = total = 0
    for path, seen in walk_tree(tree, limits.depth + 1):
        name = os.path.relpath(path, tree)
        if name == ".git":
            continue  # never read; `ensure` puts it right
        free = any(part in skip for part in name.split("/"))
        found += [
            RuleFinding(shown_path(name), code, "error", text)
            for code, text in _fault(name, seen, limits, free=free)
        ]
        files += not stat.S_ISDIR(seen.st_mode)
        total += seen.st_size if stat.S_ISREG(seen.st_mode) else 0
        if files > limits.files or len(found) > 100:
            break
    if files > limits.files:
        found.append(
            RuleFinding(".", "count", "error", f"more than {limits.files} files")
        )
    if total > limits.total:
        found.append(
            RuleFinding(".", "size", "error", f"more than {limits.total} bytes in all")
        )
    return sorted(found)


def _fault(
    name: str, seen: os.stat_result, limits: TreeLimits, *, free: bool
) -> Iterator[tuple[str, str]]:
    mode = seen.st_mode
    last = name.rpartition("/")[2]
    if re.match(r"(\.git|git~[0-9])([ .:\\]?)\Z", hidden.seen_name(last)):
        yield "nested", "a repository inside the worktree; remove its .git"
    if stat.S_ISLNK(mode):
        if not free:
            yield "link", "a symbolic link; use the file itself"
    elif not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        yield "special", "not a regular file; remove it"
    elif mode & (stat.S_ISUID | stat.S_ISGID) and stat.S_ISREG(mode):
        yield "setuid", "a setuid or setgid bit; chmod ug-s"
    if stat.S_ISDIR(mode) and name.count("/") + 1 > limits.depth:
        yield "depth", f"deeper than {limits.depth} directories"
    if stat.S_ISDIR(mode) and mode & 0o500 != 0o500:
        yield "unreadable", "a directory that cannot be read; chmod u+rwx"
    if stat.S_ISREG(mode) and seen.st_size > limits.largest:
        yield "size", f"{seen.st_size} bytes; at most {limits.largest}"

"""What a program left in its tree, found by lstat before host git looks at it."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from catherd.core import hidden
from catherd.git.pr_rules import RuleFinding, shown_path


class TreeLimits(NamedTuple):
    """Caps of an agent's whole tree, what it built there included.

    `files`: how many. `largest`, `total`: bytes of one file and of all. `depth`: how
    many directories deep.
    """

    files: int = 20_000
    largest: int = 20_000_000
    total: int = 400_000_000
    depth: int = 30


LIMITS = TreeLimits()
ENOUGH = 100  # findings
# `.git` as some file system might spell it, or say it for short.
_NAME_OF_GIT = re.compile(r"(\.git|git~[0-9])([ .:\\]?)\Z")


def walk_tree(tree: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    """(path, lstat) of everything below, parents first; links are not followed.

    What vanishes or is forbidden is passed over.
    """
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
    """What in a worktree must be gone before host git looks at it, sorted.

    Refused are a `.git` below the root, links, fifos, sockets, devices, setuid and
    setgid bits, unreadable directories, and more or larger files than `limits`. `skip`
    names directories that may hold links.
    """
    found: list[RuleFinding] = []
    files = total = 0
    for path, seen in walk_tree(tree, limits.depth + 1):
        name = os.path.relpath(path, tree)
        if name == ".git":
            continue  # never read; `worktree.ensure` puts it right
        links_allowed = not set(skip).isdisjoint(name.split("/"))
        for code, text in _faults(name, seen, limits, links_allowed=links_allowed):
            found.append(RuleFinding(shown_path(name), code, "error", text))
        if not stat.S_ISDIR(seen.st_mode):
            files += 1
        if stat.S_ISREG(seen.st_mode):
            total += seen.st_size
        if files > limits.files or len(found) > ENOUGH:
            break
    if files > limits.files:
        text = f"more than {limits.files} files"
        found.append(RuleFinding(".", "count", "error", text))
    if total > limits.total:
        text = f"more than {limits.total} bytes in all"
        found.append(RuleFinding(".", "size", "error", text))
    return sorted(found)


def _faults(
    name: str, seen: os.stat_result, limits: TreeLimits, *, links_allowed: bool
) -> Iterator[tuple[str, str]]:
    """(code, text) of each rule that one entry of the tree breaks."""
    last = name.rpartition("/")[2]
    if _NAME_OF_GIT.match(hidden.seen_name(last)):
        yield "nested", "a repository inside the worktree; remove its .git"
    if stat.S_ISDIR(seen.st_mode):
        yield from _folder_faults(name, seen.st_mode, limits.depth)
    elif stat.S_ISREG(seen.st_mode):
        yield from _file_faults(seen, limits.largest)
    elif not stat.S_ISLNK(seen.st_mode):
        yield "special", "not a regular file; remove it"
    elif not links_allowed:
        yield "link", "a symbolic link; use the file itself"


def _folder_faults(name: str, mode: int, depth: int) -> Iterator[tuple[str, str]]:
    needed = stat.S_IRUSR | stat.S_IXUSR
    if name.count("/") + 1 > depth:
        yield "depth", f"deeper than {depth} directories"
    if mode & needed != needed:
        yield "unreadable", "a directory that cannot be read; chmod u+rwx"


def _file_faults(seen: os.stat_result, largest: int) -> Iterator[tuple[str, str]]:
    if seen.st_mode & (stat.S_ISUID | stat.S_ISGID):
        yield "setuid", "a setuid or setgid bit; chmod ug-s"
    if seen.st_size > largest:
        yield "size", f"{seen.st_size} bytes; at most {largest}"

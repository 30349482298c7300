"""The rules that a machine can hold a pull request to, and the diff for its reviewers.

Judged is the difference between two trees (main's and the merge result's, or a branch's
base and its head), never a work tree. A broken rule is a RuleFinding. Its severity
`error` keeps a PR from merging, `person` asks for your approval, `note` only tells.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from catherd.core import hidden
from catherd.core.paths import below
from catherd.git.checkouts import ABSENT, LINK, Change, tree_changes
from catherd.git.objects import list_tree, read_blobs
from catherd.git.run import call

GITLINK = "160000"
SHOWN = 400_000  # characters of a diff
BINARY_IN = 8000  # bytes: with a NUL among these a file is binary, as for git
AT_ONCE = 500  # paths on one command line
_WINDOWS = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?\Z", re.IGNORECASE)
# `.git` as some file system might spell it, or say it for short.
_NAME_OF_GIT = re.compile(r"(\.git|git~[0-9])([ .:\\]|\Z)")
_ODD = set('\\:*?"<>|')


class RuleFinding(NamedTuple):
    """`path: code severity: text`; the path is escaped for a terminal."""

    path: str
    code: str
    severity: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.code} {self.severity}: {self.text}"


class Rules(NamedTuple):
    """What a PR may touch, and its caps.

    `allowed`: prefixes (`app/`) or whole paths. `files`: how many it may change.
    `largest`, `total`: bytes of one file and of all.
    """

    allowed: tuple[str, ...]
    files: int = 400
    largest: int = 1_000_000
    total: int = 8_000_000


def shown_path(path: str) -> str:
    """A path as it may be printed: control, bidi and undecodable characters escaped."""
    text = path.encode(errors="backslashreplace").decode()
    return hidden.escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def bad_name(path: str) -> str:
    """Why a path is no name for a file of ours; empty when it is one.

    It must be a name on any system that the repository may be cloned to.
    """
    if len(os.fsencode(path)) > 200:
        return "the path is longer than 200 bytes"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "the name is not UTF-8"

    if hidden.in_name(path):
        return "the name has a control or invisible character"
    for part in path.split("/"):
        if _is_misleading(part):
            why = "it begins with - or a blank, or ends with a dot or a blank"
            return f"`{part}` is no name: {why}"

        if _WINDOWS.match(part) or _ODD & set(part):
            return f"`{part}` is no file name on Windows"

    return ""


def _is_misleading(part: str) -> bool:
    if part in ("", ".", ".."):
        return True
    return part.endswith((".", " ")) or part.startswith(("-", " "))


def denied(path: str) -> str:
    """Why no agent may ever touch a path; empty when the allowed prefixes decide."""
    parts = [hidden.seen_name(part) for part in path.split("/")]
    if parts[0] in ("bus", "worktrees"):
        return f"{parts[0]}/ is not part of a pull request"
    for part in parts:
        if _NAME_OF_GIT.match(part) or part == ".gitmodules":
            return "git's own files are not part of a pull request"
        if part == ".env" or part.startswith((".env.", ".envrc")):
            return "it may hold secrets"

    if parts[0].startswith(".git"):
        return "git's own files are not part of a pull request"
    return ""


class _Trees(NamedTuple):
    """The step that is judged, with what the rules need to know of it.

    `changed`: every path that differs. `kept`: those of them that still are there.
    `sizes`: bytes by object id, of blobs that are still there.
    """

    changed: dict[str, Change]
    kept: dict[str, Change]
    sizes: dict[str, int]


def policy(root: str, old: str, new: str, rules: Rules) -> list[RuleFinding]:
    """All that the step from `old` to `new` (commits or trees) breaks, by path."""
    trees = _read_trees(root, old, new)
    touched = set(trees.kept)
    found: list[RuleFinding] = []
    for path, change in trees.changed.items():
        size = trees.sizes.get(change.new, 0)
        found += _judge(path, change, size, rules)

    found += _binaries(root, trees, rules.largest)
    found += _collisions(touched, list_tree(root, new))
    found += _caps(trees, rules)
    return sorted(found)


def _read_trees(root: str, old: str, new: str) -> _Trees:
    changed = tree_changes(root, old, new)
    kept = {path: c for path, c in changed.items() if c.new_mode != ABSENT}
    blobs = {change.new for change in kept.values() if change.new_mode != GITLINK}
    return _Trees(changed, kept, _sizes(root, blobs))


def _judge(path: str, change: Change, size: int, rules: Rules) -> Iterator[RuleFinding]:
    """The rules for one path by itself."""
    name = shown_path(path)
    why = denied(path)
    if why:
        yield RuleFinding(name, "denied", "error", why)
    elif not any(below(path, prefix) for prefix in rules.allowed):
        allowed = ", ".join(rules.allowed)
        text = f"only {allowed} may be changed"
        yield RuleFinding(name, "outside", "error", text)

    if change.new_mode != ABSENT:
        yield from _judge_new(path, change.new_mode, size, rules.largest)


def _judge_new(path: str, mode: str, size: int, largest: int) -> Iterator[RuleFinding]:
    """The rules for what a path is after the change."""
    name = shown_path(path)
    if mode == LINK:
        text = "a symbolic link; commit the file itself"
        yield RuleFinding(name, "link", "error", text)

    if mode == GITLINK:
        text = "a nested repository; commit its files"
        yield RuleFinding(name, "submodule", "error", text)

    odd = bad_name(path)
    if odd:
        yield RuleFinding(name, "name", "error", odd)

    if path.rpartition("/")[2].casefold() == ".gitattributes":
        text = "it changes how git shows and merges files: a person must approve"
        yield RuleFinding(name, "attributes", "person", text)

    if size > largest:
        text = f"{size} bytes; at most {largest} in one file"
        yield RuleFinding(name, "size", "error", text)


def _binaries(root: str, trees: _Trees, largest: int) -> Iterator[RuleFinding]:
    """A note for each binary file; one over the cap is refused without being read."""
    readable = {
        path: change.new
        for path, change in trees.kept.items()
        if change.new_mode not in (GITLINK, LINK) and trees.sizes[change.new] <= largest
    }
    contents = read_blobs(root, list(readable.values()))
    for path, content in zip(readable, contents, strict=True):
        if _is_binary(content):
            text = f"binary, {len(content)} bytes: reviewers see only its size"
            yield RuleFinding(shown_path(path), "binary", "note", text)


def _is_binary(content: bytes) -> bool:
    return b"\0" in content[:BINARY_IN]


def _caps(trees: _Trees, rules: Rules) -> Iterator[RuleFinding]:
    """The caps on the whole of a PR."""
    count = len(trees.changed)
    total = 0
    for change in trees.kept.values():
        total += trees.sizes.get(change.new, 0)

    if count > rules.files:
        text = f"{count} files are changed; at most {rules.files} in one PR"
        yield RuleFinding(".", "count", "error", text)

    if total > rules.total:
        text = f"{total} bytes in all; at most {rules.total} in one PR"
        yield RuleFinding(".", "size", "error", text)


def _sizes(root: str, oids: set[str]) -> dict[str, int]:
    """Bytes of each blob, by one process."""
    if not oids:
        return {}
    asked = "".join(f"{oid}\n" for oid in sorted(oids)).encode()
    shape = "--batch-check=%(objectname) %(objectsize)"
    out = call(root, "cat-file", shape, stdin=asked).out.decode()
    rows = (line.split() for line in out.splitlines())
    return {oid: int(size) for oid, size in rows}


def _collisions(touched: set[str], tree: Mapping[str, object]) -> list[RuleFinding]:
    """Paths that some file systems cannot hold beside each other.

    They differ only in case or in Unicode form. Told of are those that lead to what the
    PR touched.
    """
    leading = {name for path in touched for name in _prefixes(path)}
    spellings: dict[str, set[str]] = {}
    for path in tree:
        for name in _prefixes(path):
            folded = unicodedata.normalize("NFC", name).casefold()
            spellings.setdefault(folded, set()).add(name)

    found = []
    for names in spellings.values():
        if len(names) == 1:
            continue
        for name in sorted(names & leading):
            other = min(names - {name})
            text = f"it differs from {shown_path(other)} only in case"
            found.append(RuleFinding(shown_path(name), "case", "error", text))

    return found


def _prefixes(path: str) -> list[str]:
    """A path and the directories above it: a, a/b, a/b/c."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


_DIFF = (
    "-r",
    "-p",
    "--text",
    "--no-textconv",
    "--no-ext-diff",
    "--no-renames",
    "--no-color",
    "--no-commit-id",
)


def diff(root: str, old: str, new: str, paths: Sequence[str] = ()) -> str:
    """The unified diff as it is, whatever .gitattributes say.

    A text comes as text, a binary file as one line with its sizes. It is cut at 400,000
    characters, with a line that says so. Hidden characters come out escaped.
    """
    changed = tree_changes(root, old, new)
    if paths:
        changed = {path: change for path, change in changed.items() if path in paths}

    blobs = _blobs_of(changed.values())
    sizes = _sizes(root, blobs)
    unreadable = _no_text(root, blobs, sizes)

    parts: list[str] = []
    text: list[str] = []
    for path, change in sorted(changed.items()):
        if {change.old, change.new} & unreadable:
            was, now = sizes.get(change.old, 0), sizes.get(change.new, 0)
            parts.append(f"binary file {shown_path(path)}: {was} -> {now} bytes\n")
        else:
            text.append(path)

    while text:
        some, text = text[:AT_ONCE], text[AT_ONCE:]
        out = call(
            root,
            "diff-tree",
            *_DIFF,
            old,
            new,
            "--",
            *some,
        ).out
        parts.append(out.decode("utf-8", "replace"))

    whole = hidden.escaped("".join(parts))
    if len(whole) <= SHOWN:
        return whole
    return f"{whole[:SHOWN]}\n… cut: {len(whole) - SHOWN} more characters\n"


def _blobs_of(changes: Iterable[Change]) -> set[str]:
    """The object ids of the files before and after."""
    found = set()
    for change in changes:
        if change.old_mode not in (ABSENT, GITLINK):
            found.add(change.old)

        if change.new_mode not in (ABSENT, GITLINK):
            found.add(change.new)

    return found


def _no_text(root: str, blobs: set[str], sizes: dict[str, int]) -> set[str]:
    """Which of the blobs are not shown: binary ones, and those that are too large."""
    small = [oid for oid in sorted(blobs) if sizes[oid] <= SHOWN]
    contents = read_blobs(root, small)
    binary = {
        oid for oid, content in zip(small, contents, strict=True) if _is_binary(content)
    }
    return binary | blobs.difference(small)

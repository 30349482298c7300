"""What a pull request would change: the rules that a machine can hold it to, and the diff that reviewers read.

Judged is the difference between two trees (main's and the merge result's, or a branch's base and its head), never a work
tree. A rule that is broken is a Finding; severity `error` keeps a PR from merging, `person` asks for your approval,
`note` only tells.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from catherd.core import hidden
from catherd.core.paths import below
from catherd.git.checkouts import ABSENT, LINK, Change, tree_changes
from catherd.git.objects import list_tree, read_blobs
from catherd.git.run import call

GITLINK = "160000"
SHOWN = 400_000  # characters of a diff
_WINDOWS = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?\Z", re.IGNORECASE)
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
    """What a PR may touch, as prefixes (`app/`) or whole paths, and its caps: files, bytes per file, bytes in all."""

    allowed: tuple[str, ...]
    files: int = 400
    largest: int = 1_000_000
    total: int = 8_000_000


def shown_path(path: str) -> str:
    """A path as it may be printed: no control, bidi or undecodable character comes through."""
    text = path.encode(errors="backslashreplace").decode()
    return hidden.escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def bad_name(path: str) -> str:
    """Why a path is no name for a file of ours, on any system that it may be cloned to; empty when it is."""
    if len(os.fsencode(path)) > 200:
        return "the path is longer than 200 bytes"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "the name is not UTF-8"
    if hidden.in_name(path):
        return "the name has a control or invisible character"
    for part in path.split("/"):
        if (
            part in ("", ".", "..")
            or part.endswith((".", " "))
            or part.startswith(("-", " "))
        ):
            return f"`{part}` is no name: it begins with - or a blank, or ends with a dot or a blank"
        if _WINDOWS.match(part) or _ODD & set(part):
            return f"`{part}` is no file name on Windows"
    return ""


def denied(path: str) -> str:
    """Why no agent may ever touch a path; empty when it depends on the allowed prefixes."""
    parts = [hidden.seen_name(part) for part in path.split("/")]
    if parts[0] in ("bus", "worktrees"):
        return f"{parts[0]}/ is not part of a pull request"
    for part in parts:
        if re.match(r"(\.git|git~[0-9])([ .:\\]|\Z)", part) or part == ".gitmodules":
            return "git's own files are not part of a pull request"
        if part == ".env" or part.startswith((".env.", ".envrc")):
            return "it may hold secrets"
    return (
        ""
        if not parts[0].startswith(".git")
        else "git's own files are not part of a pull request"
    )


def policy(root: str, old: str, new: str, rules: Rules) -> list[RuleFinding]:
    """Everything that the step from `old` to `new` (commits or trees) breaks, sorted by path."""
    changed = tree_changes(root, old, new)
    kept = {p: c for p, c in changed.items() if c.new_mode != ABSENT}
    sizes = _sizes(root, {c.new for c in kept.values() if c.new_mode != GITLINK})
    found = [
        f for p, c in changed.items() for f in _judge(p, c, sizes.get(c.new, 0), rules)
    ]
    small = {
        p: c
        for p, c in kept.items()
        if c.new_mode not in (GITLINK, LINK) and sizes[c.new] <= rules.largest
    }
    found += [
        RuleFinding(
            shown_path(p),
            "binary",
            "note",
            f"binary, {sizes[c.new]} bytes: reviewers see only its size",
        )
        for p, content in zip(
            small, read_blobs(root, [c.new for c in small.values()]), strict=True
        )
        if b"\0" in content[:8000]
        for c in (small[p],)
    ]
    found += _collisions(set(kept), list_tree(root, new))
    if len(changed) > rules.files:
        found.append(
            RuleFinding(
                ".",
                "count",
                "error",
                f"{len(changed)} files are changed; at most {rules.files} in one PR",
            )
        )
    total = sum(sizes.get(c.new, 0) for c in kept.values())
    if total > rules.total:
        found.append(
            RuleFinding(
                ".",
                "size",
                "error",
                f"{total} bytes in all; at most {rules.total} in one PR",
            )
        )
    return sorted(found)


def _judge(path: str, change: Change, size: int, rules: Rules) -> Iterable[RuleFinding]:
    name = shown_path(path)
    why = denied(path)
    if why:
        yield RuleFinding(name, "denied", "error", why)
    elif not any(below(path, prefix) for prefix in rules.allowed):
        yield RuleFinding(
            name, "outside", "error", f"only {', '.join(rules.allowed)} may be changed"
        )
    if change.new_mode == ABSENT:
        return
    if change.new_mode == LINK:
        yield RuleFinding(
            name, "link", "error", "a symbolic link; commit the file itself"
        )
    if change.new_mode == GITLINK:
        yield RuleFinding(
            name, "submodule", "error", "a nested repository; commit its files"
        )
    odd = bad_name(path)
    if odd:
        yield RuleFinding(name, "name", "error", odd)
    if path.rpartition("/")[2].casefold() == ".gitattributes":
        yield RuleFinding(
            name,
            "attributes",
            "person",
            "it changes how git shows and merges files: a person must approve",
        )
    if size > rules.largest:
        yield RuleFinding(
            name, "size", "error", f"{size} bytes; at most {rules.largest} in one file"
        )


def _sizes(root: str, oids: set[str]) -> dict[str, int]:
    if not oids:
        return {}
    asked = "".join(f"{o}\n" for o in sorted(oids)).encode()
    out = call(
        root, "cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked
    ).out.decode()
    return {oid: int(size) for oid, size in (line.split() for line in out.splitlines())}


def _collisions(touched: set[str], tree: Mapping[str, object]) -> list[RuleFinding]:
    """Paths that some file systems cannot hold beside each other: they differ only in case or in Unicode form."""
    seen: dict[str, set[str]] = {}
    for path in tree:
        parts = path.split("/")
        for n in range(1, len(parts) + 1):
            name = "/".join(parts[:n])
            seen.setdefault(unicodedata.normalize("NFC", name).casefold(), set()).add(
                name
            )
    twins = [sorted(names) for names in seen.values() if len(names) > 1]
    return [
        RuleFinding(
            shown_path(name),
            "case",
            "error",
            f"it differs from {shown_path(next(n for n in names if n != name))} only in case",
        )
        for names in twins
        for name in names
        if any(p == name or p.startswith(f"{name}/") for p in touched)
    ]


def diff(root: str, old: str, new: str, paths: Sequence[str] = ()) -> str:
    """The unified diff as it is, whatever .gitattributes say: text as text, a binary file as one line with its sizes.

    Cut at 400,000 characters, with a line that says so. Hidden characters come out escaped.
    """
    changed = {
        p: c for p, c in tree_changes(root, old, new).items() if not paths or p in paths
    }
    blobs = {
        o
        for c in changed.values()
        for o, m in ((c.old, c.old_mode), (c.new, c.new_mode))
        if m not in (ABSENT, GITLINK)
    }
    sizes = _sizes(root, blobs)
    read = [o for o in sorted(blobs) if sizes[o] <= SHOWN]
    binary = {
        o
        for o, b in zip(read, read_blobs(root, read), strict=True)
        if b"\0" in b[:8000]
    } | (blobs - set(read))
    text = sorted(p for p, c in changed.items() if not {c.old, c.new} & binary)
    parts = [
        f"binary file {shown_path(p)}: {sizes.get(c.old, 0)} -> {sizes.get(c.new, 0)} bytes\n"
        for p, c in sorted(changed.items())
        if p not in text
    ]
    for start in range(0, len(text), 500):
        args = (
            "-r",
            "-p",
            "--text",
            "--no-textconv",
            "--no-ext-diff",
            "--no-renames",
            "--no-color",
            "--no-commit-id",
        )
        out = call(
            root, "diff-tree", *args, old, new, "--", *text[start : start + 500]
        ).out
        parts.append(out.decode("utf-8", "replace"))
    whole = hidden.escaped("".join(parts))
    return (
        whole
        if len(whole) <= SHOWN
        else f"{whole[:SHOWN]}\n… cut: {len(whole) - SHOWN} more characters\n"
    )

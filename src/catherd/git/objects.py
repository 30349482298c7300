"""What git stores: blobs, trees, commits and refs, read and written without a checkout.

Paths are str as os.fsdecode gives them. Objects that no ref names are scratch: only
`transaction` changes what anyone sees. Raises GitError, and Moved where a
compare-and-swap lost.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from catherd.git.run import CATHERD, GitError, Who, WorkPlace, at, call, git, rev, state

ZERO = "0" * 40


def is_ancestor(root: str, old: str, new: str) -> bool:
    """Whether commit `old` is in the history of `new` (a commit is in its own)."""
    return call(root, "merge-base", "--is-ancestor", old, new, okay=(0, 1)).rc == 0


def list_tree(root: str, rev: str, under: str = "") -> dict[str, tuple[str, str]]:
    """{path: (mode, object id)} of the files of a commit or tree, or below `under`."""
    args = ["-r", "-z", "--full-tree", rev]
    if under:
        args += ["--", under.rstrip("/")]

    out = call(root, "ls-tree", *args).out
    *entries, _ = out.split(b"\0")
    files = {}
    for entry in entries:
        meta, _, path = entry.partition(b"\t")
        mode, _, oid = meta.decode().split(" ")
        files[os.fsdecode(path)] = (mode, oid)

    return files


def read_blob(root: str, rev: str, path: str) -> bytes | None:
    """The bytes of a file in a commit or tree; None when there is no such file."""
    entry = list_tree(root, rev, path).get(path)
    return None if entry is None else call(root, "cat-file", "blob", entry[1]).out


def read_blobs(root: str, oids: Sequence[str]) -> list[bytes]:
    """The bytes of many blobs, in order, by one process."""
    asked = "".join(f"{oid}\n" for oid in oids).encode()
    out = call(root, "cat-file", "--batch", stdin=asked).out
    contents = []
    start = 0
    for oid in oids:
        # Each is a line `<oid> blob <size>`, the bytes, and a newline.
        first = out.index(b"\n", start) + 1
        line = out[start:first].decode()
        _, _, kind_and_size = line.partition(" ")
        kind, _, size = kind_and_size.partition(" ")
        if kind != "blob":
            raise GitError("git cat-file --batch", 0, f"{oid} is not a blob")
        end = first + int(size)
        contents.append(out[first:end])
        start = end + 1

    return contents


def blobs(root: str, contents: Iterable[bytes]) -> list[str]:
    """Store bytes as they are (no filter, no attribute), by one process.

    Gives their ids, in order.
    """
    with tempfile.TemporaryDirectory(prefix="blobs-", dir=state(root)) as scratch:
        paths = []
        for number, content in enumerate(contents):
            path = os.path.join(scratch, str(number))
            with open(path, "wb") as file:
                file.write(content)

            paths.append(path)

        if not paths:
            return []
        asked = "".join(f"{path}\n" for path in paths)
        out = call(
            root,
            "hash-object",
            "-w",
            "--no-filters",
            "--stdin-paths",
            stdin=os.fsencode(asked),
        ).out

    return out.decode().split()


@contextmanager
def private(root: str, tree: str = "") -> Iterator[WorkPlace]:
    """A throw-away index, filled from `tree`, or empty.

    Your index never sees what happens in it.
    """
    with tempfile.TemporaryDirectory(prefix="index-", dir=state(root)) as scratch:
        place = at(root, index=os.path.join(scratch, "index"))
        if tree:  # without one the index file is not there, which means empty
            git(place, "read-tree", tree)

        yield place


def build_tree(
    root: str,
    base: str,
    entries: Mapping[str, tuple[str, str]],
    remove: Iterable[str] = (),
) -> str:
    """The tree id of `base` (a commit, a tree or empty) after a change.

    `entries`, {path: (mode, object id)}, are put in; the paths of `remove` are taken
    out.
    """
    lines = [_index_line("0", ZERO, path) for path in remove]
    lines += [_index_line(mode, oid, path) for path, (mode, oid) in entries.items()]
    with private(root, base) as place:
        told = call(
            place,
            "update-index",
            "-z",
            "--index-info",
            stdin=b"".join(lines),
        ).err
        if told:  # a path that git will not store is left out with exit 0
            raise GitError("git update-index --index-info", 0, told)
        return git(place, "write-tree")


def _index_line(mode: str, oid: str, path: str) -> bytes:
    return f"{mode} {oid}\t".encode() + os.fsencode(path) + b"\0"


def commit_tree(
    root: str,
    tree: str,
    parents: Sequence[str],
    message: str,
    author: Who = CATHERD,
    committer: Who | None = None,
) -> str:
    """A commit object; no ref moves. The committer is the author unless named."""
    args = [tree]
    for parent in parents:
        args += ["-p", parent]

    out = call(
        root,
        "commit-tree",
        *args,
        "-F",
        "-",
        stdin=message.encode(),
        author=author,
        committer=committer or author,
    )
    return out.out.decode().strip()


def transaction(root: str, lines: Sequence[str], why: str) -> None:
    """Change refs, all or none; Moved when one of the lines does not hold.

    Lines are `update REF NEW OLD`, `create REF NEW`, `delete REF OLD`, `verify REF
    OLD`.
    """
    script = "".join(f"{line}\n" for line in ("start", *lines, "prepare", "commit"))
    changing = [line for line in lines if not line.startswith("verify ")]
    change = " ".join(line.split(" ")[1] for line in changing)
    reason = f"catherd: {why}"
    stdin = script.encode()
    call(
        root,
        "update-ref",
        "-m",
        reason,
        "--stdin",
        stdin=stdin,
        change=change,
    )


def commit_files(
    root: str,
    ref: str,
    files: Mapping[str, bytes],
    message: str,
    *,
    remove: Iterable[str] = (),
    author: Who = CATHERD,
) -> str:
    """One commit on what `ref` names, with `files` put in and `remove` taken out.

    Gives the new tip. When nothing changes there is no commit, and the old tip is
    given. A ref that does not exist is made, with a commit without a parent. Modes of
    files that exist are kept. Only the ref moves: never use it on a branch that you
    have checked out; for that there is `landing.land`.
    """
    old = rev(root, ref)
    new = child(root, old, files, message, remove=remove, author=author)
    if new != old:
        why = message.partition("\n")[0]
        transaction(root, [f"update {ref} {new} {old or ZERO}"], why)

    return new


def child(
    root: str,
    old: str,
    files: Mapping[str, bytes],
    message: str,
    *,
    remove: Iterable[str] = (),
    author: Who = CATHERD,
) -> str:
    """The commit on `old` (or, when that is empty, on nothing) with these files.

    It is `old` itself when its tree is that already. No ref moves.
    """
    had = list_tree(root, old) if old else {}
    oids = blobs(root, files.values())
    entries = {}
    for path, oid in zip(files, oids, strict=True):
        mode, _ = had.get(path, ("100644", ""))
        entries[path] = (mode, oid)

    gone = had.keys() & set(remove) - files.keys()
    if old and not gone and entries.items() <= had.items():
        return old
    tree = build_tree(root, old, entries, sorted(gone))
    return commit_tree(root, tree, [old] if old else [], message, author)


class MergeTree(NamedTuple):
    """A merge that exists only as objects.

    `tree` has conflict markers in it; `conflicts` are the paths that conflict, sorted.
    """

    tree: str
    conflicts: tuple[str, ...]


def merge_tree(root: str, ours: str, theirs: str) -> MergeTree:
    """Merge two commits without a checkout.

    No attribute of any work tree or index changes the result.
    """
    with (
        private(root) as index,
        tempfile.TemporaryDirectory(prefix="empty-", dir=state(root)) as empty,
    ):
        place = index._replace(tree=empty)
        out = call(
            place,
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--no-messages",
            ours,
            theirs,
            okay=(0, 1),
        ).out

    tree, *paths = os.fsdecode(out).split("\0")
    return MergeTree(tree, tuple(sorted({path for path in paths if path})))


def export(root: str, tree: str, into: str) -> None:
    """Write the files of a tree (or commit) into an empty directory, without `.git`.

    Links come out as plain files.
    """
    if os.listdir(into):
        raise GitError("git checkout-index", 0, f"{into} is not empty")
    with private(root, tree) as index:
        call(index._replace(tree=into), "checkout-index", "--all", "--quiet")

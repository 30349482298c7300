"""What git stores: blobs, trees, commits and refs, read and written without any checkout.

Paths are str as os.fsdecode gives them. Objects that no ref names are scratch; only `transaction` changes what anyone sees.
Raises GitError and, where a compare-and-swap lost, Moved.
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
    """{path: (mode, object id)} of all files of a commit or tree, below `under` if given. Paths as os.fsdecode gives them."""
    where = ["--", under.rstrip("/")] if under else []
    out = call(root, "ls-tree", "-r", "-z", "--full-tree", rev, *where).out
    files = {}
    for entry in out.split(b"\0")[:-1]:
        meta, _, path = entry.partition(b"\t")
        mode, _, oid = meta.decode().split(" ")
        files[os.fsdecode(path)] = (mode, oid)
    return files


def read_blob(root: str, rev: str, path: str) -> bytes | None:
    """The bytes of a file in a commit or tree; None when it is not there or not a file."""
    entry = list_tree(root, rev, path).get(path)
    return None if entry is None else call(root, "cat-file", "blob", entry[1]).out


def read_blobs(root: str, oids: Sequence[str]) -> list[bytes]:
    """The bytes of many blobs, in order, by one process."""
    out = call(
        root, "cat-file", "--batch", stdin="".join(f"{o}\n" for o in oids).encode()
    ).out
    blobs, start = [], 0
    for oid in oids:
        end = out.index(b"\n", start)
        head = out[start:end].split(b" ")
        if head[1:2] != [b"blob"]:
            raise GitError("git cat-file --batch", 0, f"{oid} is not a blob")
        size = int(head[2])
        blobs.append(out[end + 1 : end + 1 + size])
        start = end + 2 + size
    return blobs


def blobs(root: str, contents: Iterable[bytes]) -> list[str]:
    """Store bytes as they are (no filter, no attribute) and give their ids, in order, by one process."""
    with tempfile.TemporaryDirectory(prefix="blobs-", dir=state(root)) as scratch:
        count = 0
        for content in contents:
            with open(os.path.join(scratch, str(count)), "wb") as file:
                file.write(content)
            count += 1
        if not count:
            return []
        names = "".join(f"{os.path.join(scratch, str(n))}\n" for n in range(count))
        out = call(
            root,
            "hash-object",
            "-w",
            "--no-filters",
            "--stdin-paths",
            stdin=os.fsencode(names),
        ).out
    return out.decode().split()


@contextmanager
def private(root: str, tree: str = "") -> Iterator[WorkPlace]:
    """A throw-away index, filled from `tree` (empty: nothing); your index never sees what happens in it."""
    with tempfile.TemporaryDirectory(prefix="index-", dir=state(root)) as scratch:
        place = at(root, index=os.path.join(scratch, "index"))
        if tree:  # an index that is not there is an empty one
            git(place, "read-tree", tree)
        yield place


def build_tree(
    root: str,
    base: str,
    entries: Mapping[str, tuple[str, str]],
    remove: Iterable[str] = (),
) -> str:
    """The tree id of `base` (a commit, a tree or empty) with {path: (mode, object id)} put in and `remove` taken out."""
    lines = [b"0 " + ZERO.encode() + b"\t" + os.fsencode(p) + b"\0" for p in remove]
    lines += [
        f"{mode} {oid}\t".encode() + os.fsencode(p) + b"\0"
        for p, (mode, oid) in entries.items()
    ]
    with private(root, base) as place:
        told = call(
            place, "update-index", "-z", "--index-info", stdin=b"".join(lines)
        ).err
        if told:  # a path that git will not store is left out with exit 0
            raise GitError("git update-index --index-info", 0, told)
        return git(place, "write-tree")


def commit_tree(
    root: str,
    tree: str,
    parents: Sequence[str],
    message: str,
    author: Who = CATHERD,
    committer: Who | None = None,
) -> str:
    """A commit object; no ref moves. The committer is the author unless named."""
    args = [w for p in parents for w in ("-p", p)]
    who = committer or author
    out = call(
        root,
        "commit-tree",
        tree,
        *args,
        "-F",
        "-",
        stdin=message.encode(),
        author=author,
        committer=who,
    )
    return out.out.decode().strip()


def transaction(root: str, lines: Sequence[str], why: str) -> None:
    """All or none of `update REF NEW OLD`, `create REF NEW`, `delete REF OLD`, `verify REF OLD`; Moved when one does not hold."""
    script = "".join(f"{line}\n" for line in ("start", *lines, "prepare", "commit"))
    change = " ".join(
        line.split(" ")[1] for line in lines if not line.startswith("verify ")
    )
    call(
        root,
        "update-ref",
        "-m",
        f"catherd: {why}",
        "--stdin",
        stdin=script.encode(),
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
    """Put files into (and take `remove` out of) the commit that `ref` names, as its one child; gives the new tip.

    A ref that does not exist is made, with a commit without a parent. Nothing changes: no commit, the old tip. Modes of
    files that exist are kept. Only the ref moves; never use it on a branch that you have checked out: that is
    `landing.land`.
    """
    old = rev(root, ref)
    new = child(root, old, files, message, remove=remove, author=author)
    if new != old:
        transaction(
            root, [f"update {ref} {new} {old or ZERO}"], message.partition("\n")[0]
        )
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
    """The commit on `old` (empty: on nothing) with these files; `old` itself when its tree is that already. No ref moves."""
    had = list_tree(root, old) if old else {}
    oids = blobs(root, files.values())
    entries = {
        p: (had.get(p, ("100644", ""))[0], oid)
        for p, oid in zip(files, oids, strict=True)
    }
    gone = [p for p in remove if p in had and p not in files]
    if old and not gone and all(had.get(p) == e for p, e in entries.items()):
        return old
    tree = build_tree(root, old, entries, gone)
    return commit_tree(root, tree, [old] if old else [], message, author)


class MergeTree(NamedTuple):
    """A merge that only exists as objects: its tree (with conflict markers in it) and the paths that conflict, sorted."""

    tree: str
    conflicts: tuple[str, ...]


def merge_tree(root: str, ours: str, theirs: str) -> MergeTree:
    """Merge two commits without any checkout. No attribute of any work tree or index changes the result."""
    with (
        private(root) as index,
        tempfile.TemporaryDirectory(prefix="empty-", dir=state(root)) as empty,
    ):
        place = index._replace(tree=empty)
        options = ("--write-tree", "-z", "--name-only", "--no-messages")
        out = call(place, "merge-tree", *options, ours, theirs, okay=(0, 1)).out
    tree, *paths = os.fsdecode(out).split("\0")
    return MergeTree(tree, tuple(sorted({p for p in paths if p})))


def export(root: str, tree: str, into: str) -> None:
    """Write the files of a tree (or commit) into an empty directory, without `.git`; links come out as plain files."""
    if os.listdir(into):
        raise GitError("git checkout-index", 0, f"{into} is not empty")
    with private(root, tree) as index:
        call(index._replace(tree=into), "checkout-index", "--all", "--quiet")

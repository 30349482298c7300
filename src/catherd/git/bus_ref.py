"""The bus as git history: `bus/` is committed to refs/catherd/bus.

That ref stands outside every branch and work tree. The files are listed and hashed
here, so that no .gitignore or .gitattributes decides what is kept. Left out are `.tmp`,
links, sockets, fifos, devices, what cannot be read, what is over 10 MB, and names that
git refuses (`.git`).

Files whose size, times and inode are unchanged since the last snapshot are not read
again, unless they changed within the two seconds before it. A snapshot never fails what
it accompanies: an error comes back as text.
"""

import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

from catherd.bus.crashpoints import effect
from catherd.core import hidden
from catherd.core.errors import CatherdError
from catherd.git.objects import (
    ZERO,
    blobs,
    build_tree,
    commit_tree,
    list_tree,
    read_blobs,
    transaction,
)
from catherd.git.run import Moved, call, rev, state

REF = "refs/catherd/bus"
LARGEST = 10_000_000  # bytes
BATCH = 64_000_000  # bytes read before they are handed to git
RACY_NS = 2_000_000_000  # a file changed so short before may change unseen in its times


class SavedBus(NamedTuple):
    """What came of a snapshot.

    `sha`: the commit made, empty when nothing had changed. `error`: why there is none.
    `skipped`: `path: reason` of each file that was left out.
    """

    sha: str
    error: str
    skipped: tuple[str, ...]


class _Seen(NamedTuple):
    """A file as it was when its content was stored as the blob `oid`."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    oid: str

    def is_still(self, now: os.stat_result) -> bool:
        """Whether the file cannot have changed since, as far as lstat tells."""
        return self[:4] == (
            now.st_size,
            now.st_mtime_ns,
            now.st_ctime_ns,
            now.st_ino,
        )


def snapshot(root: str, message: str) -> SavedBus:
    """Commit `bus/` as it is now to refs/catherd/bus, if it changed.

    Never raises for a file or for git.
    """
    skipped: list[str] = []
    sha = ""
    error = f"{REF} kept moving"
    try:
        for _ in range(3):
            try:
                sha = _commit(root, message, skipped)
            except Moved:
                continue  # another process made a snapshot meanwhile

            error = ""
            break
    except (CatherdError, OSError) as why:
        error = str(why)

    return SavedBus(sha, error, tuple(dict.fromkeys(skipped)))


def _commit(root: str, message: str, skipped: list[str]) -> str:
    """One try to commit; the commit, or "" when nothing had changed."""
    old = rev(root, REF)
    # Without the ref the objects that we know of may be pruned.
    known = _read_seen(root) if old else {}
    seen = _store_files(root, known, skipped)
    _write_seen(root, seen)
    entries = {path: ("100644", one.oid) for path, one in seen.items()}
    if old and list_tree(root, old) == entries:
        return ""
    tree = build_tree(root, "", entries)
    new = commit_tree(root, tree, [old] if old else [], message)
    transaction(root, [f"update {REF} {new} {old or ZERO}"], "snapshot")
    return new


def _store_files(
    root: str, known: dict[str, _Seen], skipped: list[str]
) -> dict[str, _Seen]:
    """Store each file of the bus that is not known as it is; all of them by path."""
    found: dict[str, _Seen] = {}
    batch = _Batch(root)
    for path, now in _files(root, skipped):
        before = known.get(path)
        if before is not None and before.is_still(now):
            found[path] = before
            continue

        content = _read(os.path.join(root, path))
        if content is None:
            skipped.append(f"{path}: cannot be read")
            continue

        batch.add(path, now, content)
        if batch.bytes > BATCH:
            found |= batch.store()

    return found | batch.store()


class _Batch:
    """Files that were read and are not yet handed to git."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.bytes = 0
        self._stats: dict[str, os.stat_result] = {}
        self._contents: list[bytes] = []

    def add(self, path: str, now: os.stat_result, content: bytes) -> None:
        """Add a file, looked at before it was read."""
        self._stats[path] = now
        self._contents.append(content)
        self.bytes += len(content)

    def store(self) -> dict[str, _Seen]:
        """Store all of them by one process, and begin anew."""
        oids = blobs(self.root, self._contents)
        found = {}
        for (path, now), oid in zip(self._stats.items(), oids, strict=True):
            found[path] = _Seen(
                size=now.st_size,
                mtime_ns=now.st_mtime_ns,
                ctime_ns=now.st_ctime_ns,
                inode=now.st_ino,
                oid=oid,
            )

        self._stats = {}
        self._contents = []
        self.bytes = 0
        return found


def _files(root: str, skipped: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Every file to keep below bus/ with its lstat; paths relative to the root."""
    for folder, folders, names in os.walk(os.path.join(root, "bus")):
        relative = os.path.relpath(folder, root)
        if relative == "bus" and ".tmp" in folders:
            folders.remove(".tmp")

        refused = [name for name in folders if _refused(name)]
        skipped += [f"{relative}/{name}: git refuses the name" for name in refused]
        folders[:] = sorted(set(folders).difference(refused))
        for name in sorted(names):
            path = f"{relative}/{name}"
            try:
                seen = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:
                continue  # renamed while we looked; the next snapshot has it

            why = _unfit(name, seen)
            if why:
                skipped.append(f"{path}: {why}")
            else:
                yield path, seen


def _unfit(name: str, seen: os.stat_result) -> str:
    """Why a file is left out; empty when it is not."""
    if _refused(name):
        return "git refuses the name"
    if not stat.S_ISREG(seen.st_mode):
        return "a link" if stat.S_ISLNK(seen.st_mode) else "not a regular file"
    return f"larger than {LARGEST} bytes" if seen.st_size > LARGEST else ""


def _refused(name: str) -> bool:
    """Whether git refuses the component: `.git` as some file system might spell it."""
    plain = hidden.seen_name(name)  # HFS+ does not see hidden characters
    return re.match(r"(\.git|git~[0-9])([ .:\\]|\Z)", plain) is not None


def _read(path: str) -> bytes | None:
    """The content of a file that was listed; None when that is no more to be had.

    It may be gone, forbidden, grown too large, or swapped for something else.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None

    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        content = file.read(LARGEST + 1)

    return content if len(content) <= LARGEST else None


def _read_seen(root: str) -> dict[str, _Seen]:
    """What the last snapshot saw, by path. Anything odd in its file is not known."""
    try:
        with open(os.path.join(state(root), "bus.seen"), encoding="ascii") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}

    if not isinstance(found, dict):
        return {}
    seen = {}
    for path, row in found.items():
        if isinstance(row, list) and len(row) == 5:
            size, mtime_ns, ctime_ns, inode, oid = row
            seen[path] = _Seen(size, mtime_ns, ctime_ns, inode, str(oid))

    return seen


def _write_seen(root: str, seen: dict[str, _Seen]) -> None:
    settled = time.time_ns() - RACY_NS
    kept = {
        path: one
        for path, one in seen.items()
        if max(one.mtime_ns, one.ctime_ns) < settled
    }
    fd, name = tempfile.mkstemp(prefix="bus.seen.", dir=state(root))
    with open(fd, "w", encoding="ascii") as file:
        json.dump(kept, file)

    os.rename(name, os.path.join(state(root), "bus.seen"))


def restore_bus(
    root: str, to: str, *, path: str = "", ref: str = REF, overwrite: bool = False
) -> list[str]:
    """Write a snapshot's files below the directory `to`, which stands for bus/.

    With `path` that file, or what is below it, else all. Gives the paths written,
    relative to `to`. A file that exists stays as it is unless `overwrite`. Raises
    CatherdError when there is no snapshot or no such file in it.
    """
    sha = rev(root, ref)
    if not sha:
        what = f"no snapshot of the bus at {ref}"
        fix = "git fetch origin 'refs/catherd/*:refs/catherd/*'"
        raise CatherdError(
            what,
            where=root,
            fix=fix,
        )

    files = _files_of(root, sha, path.strip("/").removeprefix("bus/"), ref)
    wanted = {
        name: oid
        for name, oid in files.items()
        if overwrite or not os.path.lexists(os.path.join(to, name))
    }
    contents = read_blobs(root, list(wanted.values()))
    written = []
    for name, content in zip(wanted, contents, strict=True):
        full = os.path.join(to, name)
        if _put(full, name, content, overwrite=overwrite):
            written.append(name)

    return written


def _files_of(root: str, sha: str, under: str, ref: str) -> dict[str, str]:
    """{path below bus/: object id} of the plain files of a snapshot, in order."""
    top = f"bus/{under}" if under and under != "bus" else "bus"
    files = list_tree(root, sha, top)
    if not files:
        what = f"bus/{under} is not in the snapshot {sha[:12]}"
        fix = f"git log --stat {ref}  (then name a commit of it that has the file)"
        raise CatherdError(
            what,
            where=ref,
            fix=fix,
        )

    found = {}
    for name, (mode, oid) in sorted(files.items()):
        # The snapshot may have come from elsewhere: nothing leads out of the directory.
        confined = not {"", ".", ".."} & set(name.split("/"))
        if mode in ("100644", "100755") and confined:
            found[name.removeprefix("bus/")] = oid

    return found


def _put(full: str, name: str, content: bytes, *, overwrite: bool) -> bool:
    """Write a file whole or not at all; whether it was written.

    Without `overwrite` a file that appeared meanwhile stays.
    """
    folder = os.path.dirname(full)
    os.makedirs(folder, exist_ok=True)
    fd, staged = tempfile.mkstemp(prefix=".restore-", dir=folder)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)

        with effect("restore", name):
            if overwrite:
                os.replace(staged, full)
                return True

            try:
                os.link(staged, full)
            except FileExistsError:
                return False

            return True
    finally:
        if os.path.lexists(staged):
            os.unlink(staged)


def history(root: str, ref: str = REF) -> list[tuple[str, str]]:
    """[(commit, subject)] of the snapshots, newest first."""
    if not rev(root, ref):
        return []
    out = call(
        root,
        "log",
        "--first-parent",
        "-z",
        "--format=%H %s",
        ref,
        "--",
    ).out
    found = []
    for entry in os.fsdecode(out).split("\0"):
        sha, _, subject = entry.partition(" ")
        if sha:
            found.append((sha, subject))

    return found

"""The bus as git history: `bus/` is committed to refs/catherd/bus, outside every branch and work tree.

It lists and hashes the files itself, so that no .gitignore or .gitattributes decides what is kept. Left out: `.tmp`, links,
sockets, fifos, devices, what cannot be read, what is over 10 MB, and names that git refuses (`.git`). Files whose size,
times and inode are unchanged since the last snapshot are not read again; what changed within the last two seconds is.
A snapshot never fails what it accompanies: an error comes back as text.
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
RACY_NS = 2_000_000_000


class SavedBus(NamedTuple):
    """`sha`: the commit made, empty when nothing had changed; `error`: why there is none; `skipped`: `path: reason` each."""

    sha: str
    error: str
    skipped: tuple[str, ...]


def snapshot(root: str, message: str) -> SavedBus:
    """Commit `bus/` as it is now to refs/catherd/bus, if it changed. Never raises for a file or for git."""
    skipped: list[str] = []
    try:
        for _ in range(3):
            try:
                return SavedBus(
                    _commit(root, message, skipped), "", tuple(dict.fromkeys(skipped))
                )
            except Moved:
                continue  # another process made a snapshot meanwhile
        return SavedBus("", f"{REF} kept moving", tuple(dict.fromkeys(skipped)))
    except (CatherdError, OSError) as why:
        return SavedBus("", str(why), tuple(dict.fromkeys(skipped)))


def _commit(root: str, message: str, skipped: list[str]) -> str:
    old = rev(root, REF)
    entries = _entries(
        root, skipped, known=_known(root) if old else {}
    )  # without the ref its objects may be pruned
    if old and list_tree(root, old) == entries:
        return ""
    new = commit_tree(
        root, build_tree(root, "", entries), [old] if old else [], message
    )
    transaction(root, [f"update {REF} {new} {old or ZERO}"], "snapshot")
    return new


def _entries(
    root: str, skipped: list[str], *, known: dict[str, list[object]]
) -> dict[str, tuple[str, str]]:
    """{path: (mode, object id)} of the bus, hashing what is not known already."""
    now: dict[str, list[object]] = {}
    batch: dict[str, bytes] = {}
    sizes = 0

    def store() -> None:
        for path, oid in zip(batch, blobs(root, batch.values()), strict=True):
            now[path].append(oid)
        batch.clear()

    for path, seen in _files(root, skipped):
        mark: list[object] = [
            seen.st_size,
            seen.st_mtime_ns,
            seen.st_ctime_ns,
            seen.st_ino,
        ]
        before = known.get(path)
        if before is not None and before[:4] == mark:
            now[path] = before
            continue
        content = _read(os.path.join(root, path))
        if content is None:
            skipped.append(f"{path}: cannot be read")
            continue
        now[path], batch[path] = mark, content
        sizes += len(content)
        if sizes > BATCH:
            store()
            sizes = 0
    store()
    _remember(root, now)
    return {p: ("100644", str(m[4])) for p, m in now.items()}


def _files(root: str, skipped: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Every file worth keeping below bus/, sorted, with its lstat; paths relative to the root."""
    for folder, folders, names in os.walk(os.path.join(root, "bus")):
        relative = os.path.relpath(folder, root)
        if relative == "bus" and ".tmp" in folders:
            folders.remove(".tmp")
        for name in [f for f in folders if _refused(f)]:
            folders.remove(name)
            skipped.append(f"{relative}/{name}: git refuses the name")
        folders.sort()
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
    """The content, or None: gone, forbidden, grown too large, or swapped for something else since it was listed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        content = file.read(LARGEST + 1)
    return content if len(content) <= LARGEST else None


def _known(root: str) -> dict[str, list[object]]:
    """{path: [size, mtime, ctime, inode, object id]} as of the last snapshot; anything odd in it means "know nothing"."""
    try:
        with open(os.path.join(state(root), "bus.seen"), encoding="ascii") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {p: m for p, m in found.items() if isinstance(m, list) and len(m) == 5}


def _remember(root: str, now: dict[str, list[object]]) -> None:
    settled = time.time_ns() - RACY_NS
    kept = {
        p: m
        for p, m in now.items()
        if isinstance(m[1], int) and isinstance(m[2], int) and max(m[1], m[2]) < settled
    }
    fd, name = tempfile.mkstemp(prefix="bus.seen.", dir=state(root))
    with open(fd, "w", encoding="ascii") as file:
        json.dump(kept, file)
    os.rename(name, os.path.join(state(root), "bus.seen"))


def restore_bus(
    root: str, to: str, *, path: str = "", ref: str = REF, overwrite: bool = False
) -> list[str]:
    """Write a snapshot's files (all, or `path` and what is below it) below the directory `to`, which stands for bus/.

    Gives the paths written, relative to `to`. A file that exists stays as it is unless `overwrite`.
    Raises CatherdError when there is no snapshot or no such file in it.
    """
    sha = rev(root, ref)
    if not sha:
        raise CatherdError(
            f"no snapshot of the bus at {ref}",
            where=root,
            fix="git fetch origin 'refs/catherd/*:refs/catherd/*'",
        )
    under = path.strip("/").removeprefix("bus/")
    files = list_tree(root, sha, f"bus/{under}" if under and under != "bus" else "bus")
    if not files:
        fix = f"git log --stat {ref}  (then name a commit of it that has the file)"
        raise CatherdError(
            f"bus/{under} is not in the snapshot {sha[:12]}", where=ref, fix=fix
        )
    wanted = [
        (name.removeprefix("bus/"), oid)
        for name, (mode, oid) in sorted(files.items())
        if mode in ("100644", "100755")
        and not {"", ".", ".."} & set(name.split("/"))
        and (
            overwrite
            or not os.path.lexists(os.path.join(to, name.removeprefix("bus/")))
        )
    ]
    written = []
    for (name, _), content in zip(
        wanted, read_blobs(root, [oid for _, oid in wanted]), strict=True
    ):
        if _put(os.path.join(to, name), name, content, overwrite=overwrite):
            written.append(name)
    return written


def _put(full: str, name: str, content: bytes, *, overwrite: bool) -> bool:
    """Whole or not at all, and never over a file that appeared meanwhile."""
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
    out = call(root, "log", "--first-parent", "-z", "--format=%H %s", ref, "--").out
    lines = (os.fsdecode(entry).partition(" ") for entry in out.split(b"\0") if entry)
    return [(sha, subject) for sha, _, subject in lines]

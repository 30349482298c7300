"""Trees that go into a box and come out of it: size, what must not come out, and carrying changes back.

Call these only while no process of the box lives: then nobody moves a path between a look and an act. `.git` is never touched.
"""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from catherd.box import proc_tree
from catherd.bus.crashpoints import effect
from catherd.git import run


def size_kb(path: str, stop_at: int) -> int:
    """Disk blocks below `path` in KiB, a file with no blocks counted as one; looking ends once it exceeds `stop_at`."""
    total, queue = 0, [path]
    while queue and total <= stop_at:
        try:
            with os.scandir(queue.pop()) as entries:
                for entry in entries:
                    info = entry.stat(follow_symlinks=False)
                    total += max(1, info.st_blocks // 2)
                    if entry.is_dir(follow_symlinks=False):
                        queue.append(entry.path)
        except OSError:
            continue
    return total


def make_harmless(path: str) -> list[str]:
    """Make `path` harmless for the host: strip setuid, setgid and sticky bits, remove fifos, sockets and device nodes.

    Returns one line for each thing mended, `set-id bit stripped: a/b`.
    """
    mended: list[str] = []
    for folder, names, files in os.walk(path):
        if folder == path and ".git" in names:
            names.remove(".git")
        for name in [*names, *files]:
            full = os.path.join(folder, name)
            mode = os.lstat(full).st_mode
            shown = os.path.relpath(full, path)
            if stat.S_ISLNK(mode):
                continue
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                os.unlink(full)
                mended.append(f"special file removed: {shown}")
            elif mode & 0o7000:
                os.chmod(full, stat.S_IMODE(mode) & 0o777)
                mended.append(f"set-id bit stripped: {shown}")
    return mended


def scratch(kind: str, mode: int = 0o711) -> str:
    """A new directory that any user can walk and only we can list; its name says whose it is, for `sweep`."""
    path = tempfile.mkdtemp(prefix=f"catherd-{kind}-{os.getpid()}-")
    os.chmod(path, mode)  # boxes run as another uid
    return path


@contextmanager
def scratch_directory(kind: str) -> Iterator[str]:
    """A directory of our own, removed in the end; by `sweep`, should we be killed in it."""
    path = scratch(kind, 0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def known(folder: str) -> str:
    """A scratch copy of what git tracks, or at least does not ignore, in `folder`, a `.env` never; where there is no repository, of all of it."""
    made = scratch("box")
    out = run.call(folder, "ls-files", "-coz", "--exclude-standard", okay=(0, 128))
    names = (
        {os.fsdecode(name) for name in out.out.split(b"\0") if name}
        if out.rc == 0
        else set(os.listdir(folder))
    )
    for name in sorted(name for name in names if os.path.basename(name) != ".env"):
        source, target = os.path.join(folder, name), os.path.join(made, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(source) or os.path.isfile(source):
            shutil.copy2(source, target, follow_symlinks=False)
        elif os.path.isdir(source) and name != ".git":
            shutil.copytree(source, target, symlinks=True, ignore=_no_git(source))
    return made


def sweep_boxes() -> None:
    """End the boxes and remove the scratch directories of processes of ours that were killed."""
    proc_tree.end_orphans()
    folder = tempfile.gettempdir()
    for name in os.listdir(folder):
        found = re.fullmatch(r"catherd-[a-z]+-(\d+)-\w+", name)
        path = os.path.join(folder, name)
        if not found or proc_tree.lives(int(found[1])):
            continue
        with suppress(FileNotFoundError):  # another process may tidy up, too
            if os.lstat(path).st_uid == os.geteuid():
                shutil.rmtree(path, ignore_errors=True)


def stage_copy(tree: str, uid: int | None) -> str:
    """A copy of `tree` without its `.git` in a new scratch directory; all of it owned by `uid`, unless that is None."""
    work = os.path.join(scratch("box"), "work")
    shutil.copytree(tree, work, symlinks=True, ignore=_no_git(tree))
    if uid is not None:
        chown_tree(work, uid)
    return work


def _no_git(tree: str) -> Callable[[str, list[str]], set[str]]:
    return lambda folder, _names: {".git"} if os.path.samefile(folder, tree) else set()


def tree_readable(tree: str) -> bool:
    """Whether any user can read all of `tree`, `.git` apart."""
    for folder, names, files in os.walk(tree):
        if folder == tree and ".git" in names:
            names.remove(".git")
        if os.stat(folder).st_mode & 0o005 != 0o005:
            return False
        for name in files:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            if not stat.S_ISLNK(mode) and not mode & 0o004:
                return False
    return True


def chown_tree(path: str, uid: int) -> None:
    """Make `uid` the owner of `path` and everything below it; links themselves, never what they point to."""
    os.chown(path, uid, uid, follow_symlinks=False)
    for folder, names, files in os.walk(path):
        for name in [*names, *files]:
            os.chown(os.path.join(folder, name), uid, uid, follow_symlinks=False)


def carry_back(work: str, tree: str) -> None:
    """Make `tree` hold what the staged `work` holds, `.git` apart; a file that did not change is not written."""
    with effect("carry", tree):
        _mirror(work, tree, top=True)


def _mirror(source: str, target: str, *, top: bool = False) -> None:
    wanted = {
        entry.name: entry
        for entry in os.scandir(source)
        if not (top and entry.name == ".git")
    }
    for entry in list(os.scandir(target)):
        if top and entry.name == ".git":
            continue
        if entry.name not in wanted or _kind(entry) != _kind(wanted[entry.name]):
            _remove(entry)
    for name, entry in wanted.items():
        there = os.path.join(target, name)
        if entry.is_dir(follow_symlinks=False):
            os.makedirs(there, exist_ok=True)
            _mirror(entry.path, there)
        elif entry.is_symlink():
            if not os.path.lexists(there) or os.readlink(there) != os.readlink(
                entry.path
            ):
                if os.path.lexists(there):
                    os.unlink(there)
                os.symlink(os.readlink(entry.path), there)
        elif not os.path.exists(there) or not _same(entry.path, there):
            shutil.copyfile(entry.path, there + ".catherd~", follow_symlinks=False)
            os.chmod(there + ".catherd~", stat.S_IMODE(entry.stat().st_mode) & 0o777)
            os.replace(there + ".catherd~", there)


def _kind(entry: "os.DirEntry[str]") -> int:
    return stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)


def _remove(entry: "os.DirEntry[str]") -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        os.unlink(entry.path)


def _same(a: str, b: str) -> bool:
    one, two = os.stat(a), os.stat(b)
    if one.st_size != two.st_size or (one.st_mode ^ two.st_mode) & 0o777:
        return False
    with open(a, "rb") as left, open(b, "rb") as right:
        while chunk := left.read(1 << 16):
            if chunk != right.read(1 << 16):
                return False
    return True

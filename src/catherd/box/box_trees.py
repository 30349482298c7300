"""Trees that go into a box and come out of it.

Their size, the making harmless of what a box left in them, and the way back of what it
changed. Call these only while no process of the box lives: then nobody moves a path
between a look and an act. `.git` is never touched.
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
    """Disk blocks below `path` in KiB; a file without blocks counts as one.

    Counting ends once the sum exceeds `stop_at`.
    """
    total = 0
    queue = [path]
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
    """Make `path` harmless for the host.

    Set-id and sticky bits are stripped; fifos, sockets and device nodes are removed.
    Returns one line for each thing mended, `set-id bit stripped: a/b`.
    """
    mended: list[str] = []
    for full, mode in _walk(path):
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


def _walk(tree: str) -> Iterator[tuple[str, int]]:
    """(path, mode of lstat) of all below `tree` but its own `.git`."""
    for folder, names, files in os.walk(tree):
        if folder == tree and ".git" in names:
            names.remove(".git")

        for name in [*names, *files]:
            full = os.path.join(folder, name)
            yield full, os.lstat(full).st_mode


def scratch(kind: str, mode: int = 0o711) -> str:
    """A new directory that any user can walk and only we can list.

    Its name holds our pid, so that `sweep_boxes` knows when nobody needs it any more.
    """
    path = tempfile.mkdtemp(prefix=f"catherd-{kind}-{os.getpid()}-")
    os.chmod(path, mode)  # boxes run as another uid
    return path


@contextmanager
def scratch_directory(kind: str) -> Iterator[str]:
    """A directory of our own, removed in the end.

    `sweep_boxes` removes it when we were killed before that.
    """
    path = scratch(kind, 0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def copy_of_known(folder: str) -> str:
    """A scratch copy of the files in `folder` that git does not ignore.

    Where there is no repository all files are copied. A `.env` never is.
    """
    made = scratch("box")
    for name in sorted(_known_to_git(folder)):
        if os.path.basename(name) == ".env":
            continue
        source = os.path.join(folder, name)
        target = os.path.join(made, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(source) or os.path.isfile(source):
            shutil.copy2(source, target, follow_symlinks=False)
        elif os.path.isdir(source) and name != ".git":
            shutil.copytree(source, target, symlinks=True, ignore=_no_git(source))

    return made


def _known_to_git(folder: str) -> set[str]:
    """The paths that git does not ignore; all of them where there is no repository."""
    listed = run.call(folder, "ls-files", "-coz", "--exclude-standard", okay=(0, 128))
    if listed.rc != 0:
        return set(os.listdir(folder))
    return {os.fsdecode(name) for name in listed.out.split(b"\0") if name}


def sweep_boxes() -> None:
    """End the boxes of processes of ours that were killed; remove their directories."""
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
    """A copy of `tree` without its `.git`, in a new scratch directory.

    All of it is owned by `uid`, unless that is None.
    """
    work = os.path.join(scratch("box"), "work")
    shutil.copytree(tree, work, symlinks=True, ignore=_no_git(tree))
    if uid is not None:
        chown_tree(work, uid)

    return work


def _no_git(tree: str) -> Callable[[str, list[str]], set[str]]:
    """A filter for shutil.copytree that leaves out the `.git` of `tree` itself."""

    def ignored(folder: str, _names: list[str]) -> set[str]:
        return {".git"} if os.path.samefile(folder, tree) else set()

    return ignored


def tree_readable(tree: str) -> bool:
    """Whether any user can read all of `tree`, `.git` apart."""
    if not _open_folder(os.stat(tree).st_mode):
        return False
    return all(_open_to_all(mode) for _, mode in _walk(tree))


def _open_to_all(mode: int) -> bool:
    if stat.S_ISDIR(mode):
        return _open_folder(mode)
    return stat.S_ISLNK(mode) or bool(mode & stat.S_IROTH)


def _open_folder(mode: int) -> bool:
    needed = stat.S_IROTH | stat.S_IXOTH
    return mode & needed == needed


def chown_tree(path: str, uid: int) -> None:
    """Make `uid` the owner of `path` and everything below it.

    Of a link the link itself is given away, never the file it points to.
    """
    os.chown(path, uid, uid, follow_symlinks=False)
    for folder, names, files in os.walk(path):
        for name in [*names, *files]:
            os.chown(os.path.join(folder, name), uid, uid, follow_symlinks=False)


def carry_back(work: str, tree: str) -> None:
    """Make `tree` hold what the staged `work` holds, `.git` apart.

    A file that did not change is not written.
    """
    with effect("carry", tree):
        _mirror(_entries(work, but=".git"), tree, _entries(tree, but=".git"))


_Entries = dict[str, "os.DirEntry[str]"]


def _entries(folder: str, *, but: str = "") -> _Entries:
    with os.scandir(folder) as entries:
        return {entry.name: entry for entry in entries if entry.name != but}


def _mirror(wanted: _Entries, target: str, there: _Entries) -> None:
    """Make the entries `there` of the directory `target` what `wanted` are."""
    for name, entry in there.items():
        if name not in wanted or _kind(entry) != _kind(wanted[name]):
            _remove(entry)

    for name, entry in wanted.items():
        place = os.path.join(target, name)
        if entry.is_dir(follow_symlinks=False):
            os.makedirs(place, exist_ok=True)
            _mirror(_entries(entry.path), place, _entries(place))
        elif entry.is_symlink():
            _mirror_link(entry.path, place)
        elif not os.path.exists(place) or not _same(entry.path, place):
            mode = stat.S_IMODE(entry.stat().st_mode) & 0o777
            _mirror_file(entry.path, place, mode)


def _mirror_link(source: str, place: str) -> None:
    points_to = os.readlink(source)
    if os.path.lexists(place):
        if os.readlink(place) == points_to:
            return
        os.unlink(place)
    os.symlink(points_to, place)


def _mirror_file(source: str, place: str, mode: int) -> None:
    staged = place + ".catherd~"
    shutil.copyfile(source, staged, follow_symlinks=False)
    os.chmod(staged, mode)
    os.replace(staged, place)


def _kind(entry: "os.DirEntry[str]") -> int:
    return stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)


def _remove(entry: "os.DirEntry[str]") -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        os.unlink(entry.path)


def _same(one: str, other: str) -> bool:
    """Whether two files have the same mode and the same bytes."""
    first, second = os.stat(one), os.stat(other)
    if first.st_size != second.st_size:
        return False
    if (first.st_mode ^ second.st_mode) & 0o777:
        return False
    with open(one, "rb") as left, open(other, "rb") as right:
        while chunk := left.read(1 << 16):
            if chunk != right.read(1 << 16):
                return False

    return True

"""Changes files of the bus: publish, replace, rename, append, remove. Nothing else does.

To publish is to write in `.tmp/`, fsync, link(2) to the final name, and fsync the
directory. A reader never sees half a file, and a name that is taken stays as it is. That
was measured at two flushes, a millisecond, per message. Claims need no flush: a power cut
that undoes a claim has killed its claimant as well.
"""

import errno
import fcntl
import os
import time

from catherd.bus.crashpoints import effect
from catherd.core.errors import CatherdError

TMP = ".tmp"


def publish(bus: str, path: str, text: str) -> bool:
    """Make `path` (relative to `bus`) with `text`, durably; False, and nothing changed, when the name is taken.

    Raises CatherdError when the disk is full or the bus cannot be written: the file is then simply not there.
    """
    final = os.path.join(bus, path)
    with _explained(path):
        fd = _unnamed(bus, path, text)
        stage = f"/proc/self/fd/{fd}" if fd >= 0 else _stage(bus, path, text)
        try:
            with effect("publish", path):
                _link(stage, final, fd)
        except FileNotFoundError:
            _room(bus, path)
            with effect("publish", path):
                _link(stage, final, fd)
        except FileExistsError:
            return False
        finally:
            if fd >= 0:
                os.close(fd)
            else:
                os.unlink(stage)

        _flush(os.path.dirname(final))

    return True


def replace(bus: str, path: str, text: str) -> None:
    """Put `text` at `path` whether or not a file is there.

    This is for the few files that the engine owns alone: the goal, and derived ones.
    """
    with _explained(path):
        stage = _stage(bus, path, text)
        _room(bus, path)
        with effect("replace", path):
            os.replace(stage, os.path.join(bus, path))


def rename(bus: str, old: str, new: str) -> bool:
    """Move `old` to `new` in one step; False when `old` is not there (somebody else was first)."""
    try:
        with effect("rename", new):
            os.rename(f"{bus}/{old}", f"{bus}/{new}")
    except FileNotFoundError:
        if os.path.lexists(os.path.join(bus, old)) and not os.path.isdir(
            os.path.dirname(os.path.join(bus, new))
        ):
            _room(bus, new)
            return rename(bus, old, new)

        return False
    except OSError as error:
        raise unwritable(error, f"bus/{new}") from None

    return True


def remove(bus: str, path: str) -> bool:
    """Unlink `path`; False when it was not there."""
    try:
        with effect("remove", path):
            os.unlink(os.path.join(bus, path))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unwritable(error, f"bus/{path}") from None

    return True


def append(bus: str, path: str, line: str) -> None:
    """Add one line to `path` in one write, unflushed.

    A process that is killed may lose its last line, but never half of it.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    with _explained(path), effect("append", path):
        try:
            fd = os.open(f"{bus}/{path}", flags, 0o644)
        except FileNotFoundError:
            _room(bus, path)
            fd = os.open(f"{bus}/{path}", flags, 0o644)

        try:
            os.write(fd, line.encode("utf-8", "replace"))
        finally:
            os.close(fd)


def whole(bus: str) -> bool:
    """Whether the bus is there and is not being removed.

    `.tmp/` tells: `make` lays it, and nothing else ever makes it.
    """
    return os.path.isdir(os.path.join(bus, TMP))


def sweep_writers(bus: str) -> None:
    """Remove what dead writers left in `.tmp/`: the name says who wrote it (pid and start time)."""
    folder = os.path.join(bus, TMP)
    for name in _names(folder):
        pid, _, rest = name.partition("-")
        start = rest.partition("-")[0]
        if not pid.isdigit() or started(int(pid)) != start:
            remove(bus, f"{TMP}/{name}")


def started(pid: int) -> str:
    """When a process began, "" when it is dead. The form is good for comparison only.

    Without /proc a living process is "alive", so a recycled pid is taken for the old one.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()

        return "" if fields[0] == "Z" else fields[19]
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return ""

    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"


def take_lock(path: str, *, wait: bool) -> int | None:
    """A descriptor of the file `path` that holds its flock; None when another process holds it and `wait` is False.

    The file is made if need be and never unlinked. The kernel frees the lock when the
    holder dies, however it dies. The descriptor closes on exec.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(fd)
        return None

    return fd


def write_holder(lock: int, path: str, pid: int) -> None:
    """Write the pid of the holder into a lock file; 0 means that nobody holds it.

    The process that starts a daemon and the daemon itself write the same bytes.
    """
    text = f"catherd: 1\npid: {pid}\nstart: '{started(pid) if pid else ''}'\n".encode()
    with effect("lock", path):
        os.pwrite(lock, text, 0)
        os.ftruncate(lock, len(text))


def handed(word: str, path: str) -> int | None:
    """The lock of `path` that our parent has handed down as descriptor number `word`; None when that is another file."""
    try:
        ours, wanted = os.fstat(int(word)), os.stat(path)
        if (ours.st_dev, ours.st_ino) != (wanted.st_dev, wanted.st_ino):
            return None
        fcntl.flock(int(word), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ValueError, OSError):
        return None

    os.set_inheritable(int(word), False)
    return int(word)


def until_free(path: str) -> None:
    """Wait, for as long as it takes, until nobody holds the lock; at once when it is not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return

    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def is_held(path: str) -> bool:
    """Whether a living process holds the lock: a shared, non-blocking probe on a read-only descriptor."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False

    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)

    return False


def touch(path: str) -> None:
    """Say that a lock was just taken or let go: its mtime."""
    try:
        os.utime(path)
    except OSError:
        return


def touched(path: str) -> float:
    """Seconds since `touch`; infinite where there is no such file."""
    try:
        return max(0.0, time.time() - os.stat(path).st_mtime)
    except OSError:
        return float("inf")


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _unnamed(bus: str, path: str, text: str) -> int:
    """A descriptor of a flushed file without a name, in `.tmp/`.

    A kill leaves nothing of such a file, and it costs a third less than one that is named
    and unlinked. -1 where the system or its file system has none;
    `CATHERD_PUBLISH=named` forces that way.
    """
    kind = getattr(os, "O_TMPFILE", 0)
    if not kind or os.environ.get("CATHERD_PUBLISH") == "named":
        return -1
    try:
        fd = os.open(f"{bus}/{TMP}", os.O_WRONLY | kind | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            return -1
        raise

    try:
        _fill(fd, path, text)
    except OSError:
        os.close(fd)
        raise

    return fd


def _link(stage: str, final: str, fd: int) -> None:
    if fd >= 0:
        os.link(
            stage, final, src_dir_fd=fd, follow_symlinks=True
        )  # a src_dir_fd makes CPython follow /proc's link
    else:
        os.link(stage, final)


def _fill(fd: int, path: str, text: str) -> None:
    with effect("stage", f"{TMP}/{os.path.basename(path)}"):
        data = text.encode("utf-8")
        while data:
            data = data[os.write(fd, data) :]
        os.fsync(fd)


def _stage(bus: str, path: str, text: str) -> str:
    pid = os.getpid()
    name = f"{pid}-{started(pid)}-{time.monotonic_ns()}-{os.path.basename(path)}"
    stage = os.path.join(bus, TMP, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(stage, flags, 0o644)
    try:
        _fill(fd, path, text)
    except OSError:
        os.unlink(stage)
        raise
    finally:
        os.close(fd)

    return stage


def _room(bus: str, path: str) -> None:
    """The directory of `path`, made if need be; FileNotFoundError when the bus is being taken away."""
    folder = os.path.dirname(os.path.join(bus, path))
    if not os.path.isdir(folder):
        if not whole(bus):
            raise FileNotFoundError(2, "the bus is gone", bus)
        os.makedirs(folder, exist_ok=True)


def _flush(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class _explained:  # noqa: N801 - reads as a statement
    """Turns an error of the system into one that a person can mend.

    A name that is taken or not there is left to the caller.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(
        self, _kind: object, error: BaseException | None, _trace: object
    ) -> None:
        if not isinstance(error, OSError) or isinstance(
            error, (FileNotFoundError, FileExistsError)
        ):
            return
        raise unwritable(error, f"bus/{self.path}") from None


def unwritable(error: OSError, where: str) -> CatherdError:
    """What the system said, with what mends it."""
    fixes = {
        errno.ENOSPC: "free some space (df -h .) and type the same command again",
        errno.EROFS: "remount it writable, or move the repo",
        errno.EISDIR: f"rm -r '{where}'",
        errno.ENXIO: f"rm '{where}'",
    }
    fix = fixes.get(error.errno or 0, "make bus/ writable for you: chmod -R u+rwX bus")
    return CatherdError(
        (error.strerror or "cannot be written").lower(), where=where, fix=fix
    )

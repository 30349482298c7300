"""Files under names that a model sent: checked, confined, never through a link.

Nothing else writes under such a name.
"""

import os
import stat

from catherd.answers.fences import File
from catherd.core.errors import CatherdError
from catherd.core.paths import below
from catherd.git.pr_rules import Rules, bad_name, denied, shown_path


def put(tree: str, file: File, rules: Rules) -> None:
    """Write (or delete) `file` below `tree`.

    Each directory on the way is opened without following links. The file is written
    beside its place and renamed over it. Raises CatherdError naming the path when it
    may not be written.
    """
    path = file.path
    fault = _fault(file, rules)
    if fault:
        fix = "give it a plain name under the task's paths"
        raise CatherdError(
            fault,
            where=shown_path(path),
            fix=fix,
        )

    *folders, name = path.split("/")
    here = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            here = _enter(here, folder, path)

        _no_directory(name, here, path)
        if file.delete:
            _unlink(name, here)
        else:
            _write(name, file.text, here)
    finally:
        os.close(here)


def _fault(file: File, rules: Rules) -> str:
    """Why the file may not be written; empty when it may."""
    path = file.path
    fault = bad_name(path) or denied(path)
    if fault:
        return fault
    if not any(below(path, prefix) for prefix in rules.allowed):
        return f"is outside what this task may touch: {', '.join(rules.allowed)}"
    if len(file.text.encode()) > rules.largest:
        return f"is larger than {rules.largest} bytes"
    return ""


def _enter(here: int, folder: str, path: str) -> int:
    """Open `folder` in the directory `here`, made if need be; closes `here`."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            there = os.open(folder, flags, dir_fd=here)
        except FileNotFoundError:
            os.mkdir(folder, 0o755, dir_fd=here)
            there = os.open(folder, flags, dir_fd=here)
    except OSError as error:
        raise CatherdError(
            f"{folder} is no directory there",
            where=shown_path(path),
            fix="use another directory name",
        ) from error

    os.close(here)
    return there


def _no_directory(name: str, here: int, path: str) -> None:
    """Refuse a name that a directory has.

    An empty directory is removed: git knows of none, so nobody could ask for that.
    """
    try:
        os.rmdir(name, dir_fd=here)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        fix = "use another name, or delete the files below it first"
        raise CatherdError(
            "is a directory there",
            where=shown_path(path),
            fix=fix,
        ) from error


def _unlink(name: str, here: int) -> None:
    try:
        os.unlink(name, dir_fd=here)
    except FileNotFoundError:
        return


def _write(name: str, text: str, here: int) -> None:
    mode = _mode_of(name, here)
    stage = f".{os.getpid()}-{name[:40]}.part"
    fd = os.open(
        stage,
        os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC,
        mode,
        dir_fd=here,
    )
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(text.encode())

        os.rename(stage, name, src_dir_fd=here, dst_dir_fd=here)
    except OSError:
        os.unlink(stage, dir_fd=here)
        raise


def _mode_of(name: str, here: int) -> int:
    """The mode of the file that is there, without what we do not grant; else 0644."""
    try:
        mode = os.lstat(name, dir_fd=here).st_mode
    except FileNotFoundError:
        return 0o644
    return stat.S_IMODE(mode) & 0o755 | 0o600 if stat.S_ISREG(mode) else 0o644

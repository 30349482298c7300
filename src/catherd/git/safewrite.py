"""The one door through which names that a model sent become files: checked, confined, never through a link."""

import os
import stat

from catherd.answers.fences import File
from catherd.core.errors import CatherdError
from catherd.core.paths import below
from catherd.git.pr_rules import Rules, bad_name, denied, shown_path


def put(tree: str, file: File, rules: Rules) -> None:
    """Write (or delete) `file` below `tree`. Raises CatherdError naming the path when it may not be written.

    Each directory on the way is opened without following links; the file is written beside its place and renamed over it.
    """
    path = file.path
    fault = bad_name(path) or denied(path)
    if not fault and not any(below(path, prefix) for prefix in rules.allowed):
        fault = f"is outside what this task may touch: {', '.join(rules.allowed)}"
    if not fault and len(file.text.encode()) > rules.largest:
        fault = f"is larger than {rules.largest} bytes"
    if fault:
        raise CatherdError(
            fault,
            where=shown_path(path),
            fix="give it a plain name under the task's paths",
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


def _enter(here: int, folder: str, path: str) -> int:
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
    """An empty one goes: git knows of none, so nobody could ask for that."""
    try:
        os.rmdir(name, dir_fd=here)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        fix = "use another name, or delete the files below it first"
        raise CatherdError(
            "is a directory there", where=shown_path(path), fix=fix
        ) from error


def _unlink(name: str, here: int) -> None:
    try:
        os.unlink(name, dir_fd=here)
    except FileNotFoundError:
        return


def _write(name: str, text: str, here: int) -> None:
    mode = 0o644
    try:
        seen = os.lstat(name, dir_fd=here)
        if stat.S_ISREG(seen.st_mode):
            mode = stat.S_IMODE(seen.st_mode) & 0o755 | 0o600
    except FileNotFoundError:
        pass
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

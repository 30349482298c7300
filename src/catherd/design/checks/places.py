"""Which files a check looks at, and where it starts from."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from catherd.core.errors import CatherdError
from catherd.design.checks.finding import program_words

SKIPPED = ("docs/handbook", "docs/debate", "docs/game", "docs/milestones")
_OTHER_PEOPLES = {
    "node_modules",
    "__pycache__",
    "site-packages",
    "worktrees",
    "vendor",
    "target",
    "dist",
    "build",
}


class Place(NamedTuple):
    """The folder to check, and the paths in it that are asked for; None: all."""

    root: str
    only: list[str] | None


def place_of(path: str) -> Place:
    """The place that a person typed: a repository, its docs/, or something in them.

    Raises CatherdError when there is nothing there.
    """
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise CatherdError(
            "there is no such file or directory",
            where=path,
            fix=f"{program_words()} check .",
        )
    if os.path.isdir(os.path.join(path, "docs")):
        return Place(path, None)
    docs = _docs_above(path)
    if docs == path:
        return Place(os.path.dirname(path), None)
    if docs:
        root = os.path.dirname(docs)
        return Place(root, [os.path.relpath(path, root).replace(os.sep, "/")])
    if os.path.isdir(path):
        return Place(path, None)
    return Place(os.path.dirname(path), [os.path.basename(path)])


def _docs_above(path: str) -> str:
    """The folder docs/ that `path` is or stands in, "" when there is none."""
    at = path if os.path.isdir(path) else os.path.dirname(path)
    while os.path.dirname(at) != at:
        if os.path.basename(at) == "docs":
            return at
        at = os.path.dirname(at)
    return ""


def list_documents(root: str) -> list[str]:
    """The files to look at, relative to `root`: all of docs/, or of `root` without one."""
    top = "docs" if os.path.isdir(os.path.join(root, "docs")) else ""
    return sorted(_walk(root, top))


def _walk(root: str, top: str) -> Iterator[str]:
    for folder, folders, names in os.walk(os.path.join(root, top)):
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        below = "" if below == "." else below
        folders[:] = [name for name in folders if _worth_a_look(below, name)]
        for name in names:
            if not name.startswith(".") and not name.endswith("~"):
                yield posix(below, name)


def _worth_a_look(below: str, name: str) -> bool:
    """Whether a folder can hold documents of ours."""
    if name.startswith(".") or name in _OTHER_PEOPLES:
        return False
    return posix(below, name) not in SKIPPED


def posix(folder: str, name: str) -> str:
    """folder/name, or name at the top."""
    return f"{folder}/{name}" if folder else name

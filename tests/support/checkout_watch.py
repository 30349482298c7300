"""A watch over a person's checkout while a game is played in it: what was written there, and what the index held meanwhile."""

import os
import re
from pathlib import Path
from typing import Self

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from support.git_repos import sh

KINDS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
OURS = re.compile(
    r"(bus|worktrees)/(?!README\.md)|\.(git|venv|catherd)(/|$)"
)  # what a game writes beside its merges


class Yours(FileSystemEventHandler):
    """Used in `with`. `touched`: paths below the checkout that were written, made, moved or removed and are not the game's own.

    `staged`: every content, as `git ls-files -s` has it, under which the index held the file `of` whenever it was replaced.
    """

    def __init__(self, root: Path, of: str) -> None:
        self.root, self.of = root, of
        self.touched: set[str] = set()
        self.staged: set[str] = set()
        self.before = sh(root, "rev-parse", "HEAD")
        self.observer = Observer()

    def __enter__(self) -> Self:
        for folder in ("", "bus", "worktrees", ".git"):
            self.observer.schedule(self, str(self.root / folder), event_filter=KINDS)
        for path in self.root.iterdir():
            if (
                path.is_dir()
                and path.name not in {"bus", "worktrees"}
                and not path.name.startswith(".")
            ):
                self.observer.schedule(
                    self, str(path), recursive=True, event_filter=KINDS
                )
        self.observer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.observer.stop()
        self.observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        for told in filter(None, (event.src_path, event.dest_path)):
            path = os.path.relpath(str(told), self.root)
            if path == ".git/index":
                self.staged.add(sh(self.root, "ls-files", "-s", "--", self.of))
            elif not OURS.match(path):
                self.touched.add(path)

    def strange(self) -> list[str]:
        """What was touched though no commit since then brought it."""
        span = f"{self.before}..HEAD"
        brought = set(
            sh(
                self.root,
                "log",
                "--first-parent",
                "-m",
                "--name-only",
                "--format=",
                span,
            ).split("\n")
        )
        above = {os.path.dirname(path) for path in brought}
        while above - {""}:
            brought |= above
            above = {os.path.dirname(path) for path in above}
        return sorted(self.touched - brought)

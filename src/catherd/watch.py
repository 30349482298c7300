"""Waking up when the bus changes: watchdog says "look again", never what happened.

Every decision is made from a fresh look, so a lost event or an overflowing queue costs latency and nothing else: `wait`
returns after its timeout in any case. Measured traps designed around: a file that leaves a watched folder holds back all
delivery for half a second (so nothing is ever renamed out of one: `.tmp/` is not watched, `claims/` is watched as a whole),
and the default events wake every reader for every open and close (so only four kinds are asked for).
`CATHERD_WATCH=poll` forces the portable twin, which looks every half second.
"""

import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

IGNORED = (".log", ".lock~", ".swp", "~", ".jsonl")


class Watch:
    """Watches folders of the bus; `wait(seconds)` is True when something may have changed. Usable in `with`."""

    def __init__(self, bus: str, flat: tuple[str, ...], deep: tuple[str, ...]) -> None:
        self._bell = threading.Event()
        self._observer: BaseObserver | None = None
        if os.environ.get("CATHERD_WATCH") != "poll":
            self._observer = self._start(bus, flat, deep)

    def _start(self, bus: str, flat: tuple[str, ...], deep: tuple[str, ...]) -> "BaseObserver":
        from watchdog.events import (
            FileClosedEvent,
            FileCreatedEvent,
            FileDeletedEvent,
            FileMovedEvent,
            FileSystemEvent,
            FileSystemEventHandler,
        )
        from watchdog.observers import Observer

        bell = self._bell

        class Ring(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                if not str(event.dest_path or event.src_path).endswith(IGNORED):
                    bell.set()

        observer = Observer()
        kinds: list[type[FileSystemEvent]] = [FileCreatedEvent, FileMovedEvent, FileClosedEvent, FileDeletedEvent]
        for folder, recursive in [(f, False) for f in flat] + [(d, True) for d in deep]:
            path = os.path.join(bus, folder)
            if os.path.isdir(path):  # `make` laid them all; what is missing is being removed, and is not made again
                observer.schedule(Ring(), path, recursive=recursive, event_filter=kinds)
        observer.daemon = True
        observer.start()
        return observer

    def wait(self, seconds: float) -> bool:
        """Until something changes, at most `seconds`; then it is time for a look in either case."""
        if self._observer is None:
            seconds = min(seconds, 0.5)
        rang = self._bell.wait(seconds)
        self._bell.clear()
        return rang

    def ring(self) -> None:
        """Wake the waiter from another thread or a signal handler."""
        self._bell.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._observer is not None:
            self._observer.stop()

"""Waking up when the bus changes: watchdog says "look again", never what happened.

Every decision is made from a fresh look, so a lost event or an overflowing queue costs latency and nothing else: `wait`
returns after its timeout in any case. Measured traps designed around: a file that leaves a watched folder holds back all
delivery for half a second (so nothing is ever renamed out of one: `.tmp/` is not watched, `claims/` is watched as a whole),
and the default events wake every reader for every open and close (so only four kinds are asked for).
What an event names under `chat/` is handed on, so that ten thousand messages need not be listed again for one that came.
`CATHERD_WATCH=poll` forces the portable twin, which looks every half second.
"""

import os
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers.api import BaseObserver, ObservedWatch

IGNORED = (".log", ".lock~", ".swp", "~", ".jsonl")


def _quiet() -> None:
    """Keep what watchdog logs off the terminal.

    A watch that is ended while an event comes in logs an error, which harms nothing.
    Without a handler Python would print it to standard error.
    """
    import logging

    logger = logging.getLogger("watchdog")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


class Watch:
    """Watches folders of the bus; `wait(seconds)` is True when something may have changed. Usable in `with`.

    `flat` folders without what is below them, `deep` ones with it. `heard` is filled with the names under `chat/` that events
    tell of; None where there are no events.
    """

    def __init__(self, bus: str, flat: tuple[str, ...], deep: tuple[str, ...]) -> None:
        self._bus = bus
        self.heard: deque[str] | None = None
        self._bell = threading.Event()
        self._observer: BaseObserver | None = None
        self._followed: dict[str, ObservedWatch] = {}
        if os.environ.get("CATHERD_WATCH") != "poll":
            self.heard = deque(maxlen=1000)
            self._ring, self._kinds = _ring(
                self._bell, os.path.join(bus, "chat"), self.heard
            )
            self._observer = self._start(flat, deep)

    def _start(self, flat: tuple[str, ...], deep: tuple[str, ...]) -> "BaseObserver":
        from watchdog.observers import Observer

        _quiet()
        observer = Observer()
        for folder, recursive in [(f, False) for f in flat] + [(d, True) for d in deep]:
            path = os.path.join(self._bus, folder)
            if os.path.isdir(
                path
            ):  # `make` laid them all; what is missing is being removed, and is not made again
                observer.schedule(
                    self._ring, path, recursive=recursive, event_filter=self._kinds
                )

        observer.daemon = True
        observer.start()
        return observer

    def follow(self, folders: Iterable[str]) -> None:
        """Watch these folders too, with what is below them, and no longer those of the last call.

        A new one rings: what came into it before it was watched is seen with the next look.
        """
        if self._observer is None:
            return
        wanted = set(folders)
        for gone in self._followed.keys() - wanted:
            self._observer.unschedule(self._followed.pop(gone))

        for new in wanted - self._followed.keys():
            path = os.path.join(self._bus, new)
            with suppress(
                OSError
            ):  # gone again, or the system gives no more watches: the slow look sees to it
                self._followed[new] = self._observer.schedule(
                    self._ring, path, recursive=True, event_filter=self._kinds
                )
                self._bell.set()

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
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._observer is not None:
            self._observer.stop()


def _ring(
    bell: threading.Event, chat: str, heard: deque[str]
) -> "tuple[FileSystemEventHandler, list[type[FileSystemEvent]]]":
    """What is done about an event, and which kinds of them are asked for."""
    from watchdog.events import (
        FileClosedEvent,
        FileCreatedEvent,
        FileDeletedEvent,
        FileMovedEvent,
        FileSystemEvent,
        FileSystemEventHandler,
    )

    class Ring(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if str(event.dest_path or event.src_path).endswith(IGNORED):
                return
            for folder, name in map(
                os.path.split, (str(event.src_path), str(event.dest_path))
            ):
                if folder == chat:
                    heard.append(name)

            bell.set()

    return Ring(), [FileCreatedEvent, FileMovedEvent, FileClosedEvent, FileDeletedEvent]

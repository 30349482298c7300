"""A person tries the app, on data that stays.

A web app runs in its box, with a relay to a printed address. A command is run in its
box each time that the person types a line.
"""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from catherd.app import expectations, judge, manifest_file
from catherd.app.manifest_file import App
from catherd.app.stage import AppStage
from catherd.box import box_trees, relay, sandbox
from catherd.core.errors import CatherdError


class Served:
    """An app that runs for a person. `url`: where; `try_it`: what to do there."""

    def __init__(self, app: App, stage: AppStage, port: int) -> None:
        self.app, self._stage = app, stage
        self.url = f"http://127.0.0.1:{port}"
        self.try_it = expectations.filled_text(app.try_it, {"url": self.url})

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether the app has ended (by itself) within so many seconds."""
        return self._stage.box is None or self._stage.box.wait(timeout_s)

    def log(self) -> str:
        """The last 64 KiB of what it has printed so far, escaped."""
        return self._stage.box.result().log if self._stage.box is not None else ""


@contextmanager
def serve(
    tree: str, data: str, port: int = 0, *, wheels: str = "", minimum: str = "bwrap"
) -> Iterator[Served]:
    """The web app of `tree`, served at 127.0.0.1:`port` until the block ends.

    It runs in its box, on the directory `data`. Port 0 is any free one. Raises
    CatherdError when the port is taken or the app does not start; the error quotes the
    end of its log.
    """
    app = manifest_file.load_manifest(tree).app
    with (
        _listen(port) as listening,
        _prepared(app, tree, data, wheels, minimum) as stage,
    ):
        try:
            if why := stage.begin():
                words = stage.box.result().log[-600:] if stage.box is not None else ""
                raise CatherdError(
                    f"the app does not start: {why}\n{words}".rstrip(),
                    where=manifest_file.NAME,
                    fix="read its log above",
                )

            assert stage.box is not None  # noqa: S101 - it has just begun
            carrier = relay.start_relay(listening, stage.box.netns, stage.names["port"])
            try:
                yield Served(app, stage, int(listening.getsockname()[1]))
            finally:
                relay.end_child(carrier)
        finally:
            stage.finish()


@contextmanager
def commands(
    tree: str, data: str, *, wheels: str = "", minimum: str = "bwrap"
) -> Iterator[Callable[[list[str], bytes], sandbox.BoxResult]]:
    """The command of `tree`, of kind cli or library, installed once.

    Gives a function that runs it with arguments and standard input, each time in a box
    of its own, on the directory `data`.
    """
    app = manifest_file.load_manifest(tree).app
    with _prepared(app, tree, data, wheels, minimum) as stage:
        yield lambda args, stdin: stage.run([*app.start.run, *args], stdin)


def _listen(port: int) -> socket.socket:
    try:
        return relay.listen_here(port)
    except OSError as error:
        raise CatherdError(
            f"port {port}: {error.strerror}", where="make run", fix="make run PORT=0"
        ) from None


@contextmanager
def _prepared(
    app: App, tree: str, data: str, wheels: str, minimum: str
) -> Iterator[AppStage]:
    box_trees.sweep_boxes()
    folder = box_trees.scratch("run")
    try:
        installed = os.path.join(folder, "installed")
        log, wrong = judge.install_app(app, tree, installed, wheels, minimum)
        if wrong:
            raise CatherdError(
                f"the app does not install: {wrong}",
                where=manifest_file.NAME,
                fix=log[-300:] or "correct install:",
            )

        yield AppStage(
            app,
            installed,
            os.path.join(folder, "run"),
            minimum=minimum,
            browser=None,
            data=data,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)

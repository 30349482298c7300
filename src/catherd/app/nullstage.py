"""The null app: it does nothing, in the place of the real one.

A journey that passes against it, too, shows nothing.
"""

import socket
import subprocess
from typing import Any

from catherd.app.browser import Browser, BrowserPage
from catherd.app.manifest_file import App
from catherd.app.stage import free_port
from catherd.box import relay

_NAMES = {"host": "127.0.0.1", "data": "/data"}  # the placeholders of every journey


class NullStage:
    """The stage on which the null app plays.

    As a server it answers 200 and an echo to every request. As a command it prints
    nothing and exits 0. It has no state, so one serves all journeys: it listens from
    the first `begin` until `close`.
    """

    def __init__(self, app: App, browser: Browser | None) -> None:
        self.app = app
        self.browser = browser
        self.port = 0  # until it listens

        self.prober: relay.Prober | None = None
        self.names: dict[str, Any] = dict(_NAMES)

        self._page: BrowserPage | None = None
        self._listening: socket.socket | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def begin(self) -> str:
        """Listen, in the browser's network if there is one."""
        if self.app.kind == "web" and not self.port:
            self._listen()
        self.names.update({"port": self.port, "url": f"http://127.0.0.1:{self.port}"})
        return ""

    def _listen(self) -> None:
        netns = self.browser.netns if self.browser is not None else None
        port = free_port()
        self._listening = relay.listen_inside(netns, port)
        self._child = relay.null_app(self._listening)
        self.prober = relay.Prober(netns)
        self.port = port

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: str | None
    ) -> dict[str, Any]:
        """Ask it."""
        assert self.prober is not None  # noqa: S101
        return self.prober.ask(self.port, method, path, headers=headers, body=body)

    def command(self, argv: list[str], stdin: str) -> tuple[int, str, str, str | None]:  # noqa: ARG002 - it does nothing
        """Do nothing, successfully."""
        return 0, "", "", None

    def read(self, path: str) -> bytes | None:  # noqa: ARG002 - it wrote nothing
        """There is no file."""
        return None

    def restart(self, how: str) -> str:  # noqa: ARG002 - it has no state
        """It is as it was."""
        return ""

    def page(self) -> BrowserPage | None:
        """A page that is not waited for: what this app shows it shows at once."""
        if self._page is None and self.browser is not None:
            self._page = self.browser.page(0.5)
        return self._page

    def finish(self) -> tuple[list[str], str]:
        """Forget the journey."""
        if self._page is not None:
            self._page.close()
            self._page = None
        self.names = dict(_NAMES)
        return [], ""

    def close(self) -> None:
        """End it."""
        if self.prober is not None:
            self.prober.close()
        if self._child is not None:
            relay.end_child(self._child)
        if self._listening is not None:
            self._listening.close()

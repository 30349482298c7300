"""A person's browser, driven by the journeys.

It is the system's Chromium in a box of its own: one for a whole gate, one page per
journey. `find_browser` says whether there is one. Without one a browser step is
unknown, never passed. Nothing is downloaded.
"""

import json
import os
import re
import shutil
import struct
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any

from catherd.app.manifest_file import Action, Target
from catherd.box import box_trees, proc_tree, tiers
from catherd.core.errors import CatherdError

_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)
_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disk-cache-size=1",
]
_SIZE: Any = {"width": 1000, "height": 700}
_LOAD_MS = 10000  # the least that a page may take to load
_FEW_BYTES = 8  # different ones, in the picture of one colour

# What each action does with the element that it is about.
_DONE_TO: dict[str, Callable[[Any, Target], object]] = {
    "fill": lambda element, target: element.fill(str(target.with_)),
    "select": lambda element, target: element.select_option(label=target.option),
    "check": lambda element, _: element.check(),
    "uncheck": lambda element, _: element.uncheck(),
    "click": lambda element, _: element.click(),
    "see": lambda element, _: element.wait_for(state="visible"),
    "gone": lambda element, _: element.wait_for(state="detached"),
}


def find_browser() -> tuple[str, str]:
    """(the browser's path, "") or ("", what to install)."""
    try:
        import playwright.sync_api  # noqa: F401 - only whether it is there
    except ImportError:
        return "", f"{sys.executable} -m pip install 'catherd[poc]'"

    for name in _NAMES:
        if path := shutil.which(name):
            return path, ""

    return "", tiers.install_line(["chromium"])


class BrowserPage:
    """One page with a memory of what went wrong on it."""

    def __init__(self, page: Any, patience_s: float) -> None:
        self.page, self.patience_ms = page, patience_s * 1000
        self.errors: list[str] = []
        self._picture = b""
        page.set_default_timeout(self.patience_ms)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)

    def _console(self, message: Any) -> None:
        if message.type == "error" and not message.location.get("url", "").endswith(
            "/favicon.ico"
        ):
            self.errors.append(message.text)

    def act(self, action: Action, base: str) -> str:
        """Do one action on the app at `base`. Gives why it failed, or "".

        Raises CatherdError when the browser itself is gone.
        """
        from playwright.sync_api import Error

        try:
            return self._act(action, base)
        except Error as error:
            gone = "crashed" in str(error) or "has been closed" in str(error)
            if gone or self.page.is_closed():
                raise CatherdError(
                    f"the browser is gone: {error.message.splitlines()[0]}",
                    where="browser",
                ) from None

            return _first(error.message, self.patience_ms / 1000)

    def _act(self, action: Action, base: str) -> str:
        if action.goto is not None:
            address = base + action.goto
            self._load(lambda **how: self.page.goto(address, **how))
        elif action.reload:
            self._load(self.page.reload)
        elif action.press is not None:
            self.page.keyboard.press(action.press)
        elif action.changed:
            return self._changed()
        elif action.no_console_errors and self.errors:
            return f"the console says: {self.errors[0]}"
        else:
            self._act_on_an_element(action)

        return ""

    def _load(self, load: Callable[..., object]) -> None:
        """Load a page, and remember the picture that `changed` compares with."""
        load(wait_until="load", timeout=max(self.patience_ms, _LOAD_MS))
        self._picture = self.page.screenshot()

    def _act_on_an_element(self, action: Action) -> None:
        for name, do in _DONE_TO.items():
            target = getattr(action, name)
            if target is not None:
                do(self._element(target), target)

    def _element(self, target: Target) -> Any:
        """The first visible element that the target is about."""
        page = self.page
        if target.role and target.name:
            found = page.get_by_role(target.role, name=target.name, exact=True)
        elif target.role:
            found = page.get_by_role(target.role)
        elif target.label:
            found = page.get_by_label(target.label, exact=True)
        elif target.placeholder:
            found = page.get_by_placeholder(target.placeholder, exact=True)
        else:
            found = page.get_by_text(target.text)

        return found.filter(visible=True).first

    def _changed(self) -> str:
        end_at = time.monotonic() + self.patience_ms / 1000
        while True:
            now: bytes = self.page.screenshot()
            empty = blank(now)
            if now != self._picture and not empty:
                self._picture = now
                return ""

            if time.monotonic() > end_at:
                what = "is blank" if empty else "did not change"
                return f"the picture {what}"

            self.page.wait_for_timeout(50)

    def shot(self) -> bytes:
        """What is on the page now, as PNG. Empty when it cannot be had."""
        from playwright.sync_api import Error

        try:
            picture: bytes = self.page.screenshot()
        except Error:
            return b""

        return picture

    def text(self) -> str:
        """The text that is visible on the page, for the evidence."""
        from playwright.sync_api import Error

        try:
            return str(self.page.inner_text("body", timeout=1000))
        except Error:
            return ""

    def close(self) -> None:
        """Forget the page and its storage."""
        self.page.context.close()


class Browser:
    """Chromium in its box.

    `netns`: a descriptor of its network namespace; None when `boxed` is false.
    """

    def __init__(self, program: str, *, boxed: bool) -> None:
        from playwright.sync_api import sync_playwright

        self.scratch = box_trees.scratch("browser")
        self.netns: int | None = None
        self.init: int | None = None
        self._driver = sync_playwright().start()
        try:
            path = self._wrapper(program) if boxed else program
            self._browser = self._driver.chromium.launch(
                executable_path=path, args=_FLAGS, headless=True, timeout=30000
            )
            if boxed:
                self._join()
        except Exception as error:
            self._driver.stop()
            shutil.rmtree(self.scratch, ignore_errors=True)
            what = f"{program} does not start: {_first(str(error))}"
            raise CatherdError(what, where="browser") from None

    def _wrapper(self, program: str) -> str:
        """A program that starts the browser in its box and writes its pid to `info`."""
        os.mkdir(os.path.join(self.scratch, "tree"), 0o755)
        info = os.path.join(self.scratch, "info")
        with open(info, "w", encoding="utf-8"):
            pass  # the box writes into it

        places = os.pathsep.join(filter(os.path.isabs, sys.path))
        boxed = f"{_quoted(sys.executable)} -P -m catherd.box.browserbox {info}"
        line = f"PYTHONPATH={_quoted(places)} exec {boxed} {_quoted(program)}"
        path = os.path.join(self.scratch, "chromium")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\n{line} "$@"\n')
        os.chmod(path, 0o700)
        return path

    def _join(self) -> None:
        with open(os.path.join(self.scratch, "info"), encoding="ascii") as file:
            pid = int(json.load(file)["child-pid"])
        self.init = os.pidfd_open(pid)
        self.netns = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def page(self, patience_s: float = 5.0) -> BrowserPage:
        """A fresh page with storage of its own.

        Each action waits up to `patience_s`.
        """
        context = self._browser.new_context(viewport=_SIZE, accept_downloads=False)
        return BrowserPage(context.new_page(), patience_s)

    def close(self) -> None:
        """End the browser and all its processes."""
        try:
            self._browser.close()
        finally:
            self._driver.stop()
            if self.init is not None:
                proc_tree.kill_all(self.init)
                os.close(self.init)

            if self.netns is not None:
                os.close(self.netns)
            shutil.rmtree(self.scratch, ignore_errors=True)


def blank(png: bytes) -> bool:
    """Whether a PNG shows one colour only.

    The filtered rows of such a picture hold next to no different bytes.
    """
    data, at = b"", 8
    while at + 8 <= len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length

    return not data or len(set(zlib.decompress(data))) <= _FEW_BYTES


def _first(text: str, patience_s: float = 0.0) -> str:
    """What went wrong, in a line of Playwright's that a person can read.

    Its first line says what, its call log why. A person wants neither its locators nor
    the names of its methods. `patience_s`: how long was waited.
    """
    lines = [line.strip(" -\u2502") for line in text.splitlines() if line.strip()]
    if not lines:
        return "no reason given"
    if not patience_s or "Timeout" not in lines[0]:
        return lines[0]
    for line in reversed(lines):
        if re.search("intercepts|not enabled|not editable|strict", line):
            return f"not there within {patience_s:g} s ({line})"

    return f"not there within {patience_s:g} s"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"

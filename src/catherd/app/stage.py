"""Where a journey plays: the app in its box with a data directory of its own. The null app that stands in for it: nullstage.

Both answer to the same few calls: `begin` (why it did not start, or empty), `ask`, `command`, `read`, `restart`, `page`, `finish` (what was wrong when it
stopped). Nothing here judges an answer.
"""

import os
import secrets
import shutil
import signal
import socket
import stat
import string
import subprocess
import time
from typing import Any, Protocol

import msgspec

from catherd.app import expectations
from catherd.app.browser import Browser, BrowserPage
from catherd.app.manifest_file import App, shown_scalar
from catherd.box import relay, sandbox

_TAIL = 4000  # characters of a log that evidence keeps
# Run a command of the app, then say on stderr, behind the mark in $0, what it left running; what ends within half a second is no matter.
# In its box /proc shows the box's init, this shell and the command's own. What the shell itself says of it ("Segmentation fault") is not the app's word,
# and the app's environment is not the shell's: a PATH or LD_PRELOAD of the app could hide what it left.
_LOOK = r"""
exec 3>&2 2>/dev/null
(exec "$@" 2>&3 3>&-); code=$?
for pause in 0.1 0.4 0; do
  left=
  for each in /proc/[0-9]*; do
    case ${each#/proc/} in 1 | $$) continue ;; esac
    words=$(/usr/bin/tr '\0' ' ' <"$each/cmdline")
    [ -z "$words" ] || left="$left
$words"
  done
  [ "$left" ] || exit $code
  /usr/bin/sleep $pause
done
printf '%s%s' "$0" "$left" >&3
exit $code
"""


class Stage(Protocol):
    """What a journey needs of its surroundings."""

    names: dict[str, Any]

    def begin(self) -> str:
        """Start; why it did not, or empty."""

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: str | None
    ) -> dict[str, Any]:
        """An HTTP answer, as `relay.Prober.ask` gives it."""

    def command(self, argv: list[str], stdin: str) -> tuple[int, str, str, str | None]:
        """(exit, stdout, stderr, why we ended it)."""

    def read(self, path: str) -> bytes | None:
        """A file below the data directory; None when there is none."""

    def restart(self, how: str) -> str:
        """Stop (term or kill) and start again; what went wrong, or empty."""

    def page(self) -> BrowserPage | None:
        """The journey's page; None when there is no browser."""

    def finish(self) -> tuple[list[str], str]:
        """(what was wrong when it stopped, the end of its log)."""


def fresh_values(names: set[str]) -> dict[str, Any]:
    """A new random value for each `nonce.…` and `number.…` among `names`; no two alike."""
    values: dict[str, Any] = {}
    numbers: set[int] = set()
    for name in sorted(names):
        if name.startswith("nonce."):
            rest = "".join(
                secrets.choice(string.ascii_lowercase + string.digits) for _ in range(9)
            )
            values[name] = secrets.choice(string.ascii_lowercase) + rest
        elif name.startswith("number."):
            while (number := 1000 + secrets.randbelow(9000)) in numbers:
                pass
            numbers.add(number)
            values[name] = number
    return values


def list_tree(path: str) -> dict[str, tuple[int, int, int]]:
    """Everything below `path`: type, and of what is no directory size and time of change."""
    found = {}
    for folder, names, files in os.walk(path):
        for full in (os.path.join(folder, name) for name in [*names, *files]):
            info = os.lstat(full)
            own = not stat.S_ISDIR(info.st_mode)
            found[os.path.relpath(full, path)] = (
                stat.S_IFMT(info.st_mode),
                info.st_size * own,
                info.st_mtime_ns * own,
            )
    return found


def read_below(folder: str, path: str, limit: int = 1 << 20) -> bytes | None:
    """A regular file below `folder`, opened without following any link; None when there is none."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        *parts, last = [part for part in path.split("/") if part not in {"", "."}] or [
            ""
        ]
        for part in parts:
            below = os.open(
                part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd
            )
            os.close(fd)
            fd = below
        file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
        with open(file, "rb") as opened:
            return opened.read(limit) if stat.S_ISREG(os.fstat(file).st_mode) else None
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)


class AppStage:
    """The app itself: the installed tree, which it cannot write, a data directory, a box. Below the tier bwrap nothing can be kept from
    writing: there it has a copy, which is compared with what it was whenever the app has ended.
    """

    def __init__(
        self,
        app: App,
        tree: str,
        scratch: str,
        *,
        minimum: str,
        browser: Browser | None,
        data: str = "",
    ) -> None:
        self.app, self.minimum, self.browser = app, minimum, browser
        boxed = sandbox.probe_tier().name == "bwrap"
        self.scratch, self.work = (
            scratch,
            tree if boxed else os.path.join(scratch, "work"),
        )
        self.mode: sandbox.Mode = "ro" if boxed else "rw"
        self.data = data or os.path.join(scratch, "data")
        os.makedirs(scratch, exist_ok=True)
        os.chmod(scratch, 0o711)  # noqa: S103 - walked by the uid that the box runs as, listed by nobody
        os.makedirs(self.data, exist_ok=True)
        sandbox.hand_over(self.data)
        if not boxed:
            shutil.copytree(tree, self.work, symlinks=True)
            sandbox.hand_over(self.work)
        self.before = {} if boxed else list_tree(self.work)
        self.names: dict[str, Any] = {
            "host": "127.0.0.1",
            "data": "/data" if boxed else self.data,
        }
        self.box: sandbox.Box | None = None
        self.prober: relay.Prober | None = None
        self._page: BrowserPage | None = None
        self._said: list[str] = []  # on the console of pages before this one
        self._carrier: subprocess.Popen[bytes] | None = None
        self.logs: list[str] = []
        self.wrong: list[str] = []

    def _order(self, wall_s: float) -> sandbox.BoxOrder:
        limits = sandbox.Limits(
            wall_s=wall_s,
            cpu_s=0,
            memory_mb=self.app.limits.memory_mb,
            processes=self.app.limits.processes,
            output_kb=64,
        )
        binds = (sandbox.Bind(host=self.data, inside="/data", write=True),)
        env = {
            key: str(expectations.fill_placeholders(shown_scalar(value), self.names))
            for key, value in self.app.start.env.items()
        }
        cwd = os.path.join("app", self.app.start.cwd)
        return sandbox.BoxOrder(
            tree=self.work,
            mode=self.mode,
            owned=True,
            cwd=cwd,
            env=env,
            limits=limits,
            binds=binds,
            minimum=self.minimum,
        )

    def begin(self) -> str:
        """Start the server on a free port and wait until it is ready."""
        if self.app.kind != "web":
            return ""
        port = self.names["port"] = free_port()
        self.names["url"] = f"http://127.0.0.1:{port}"
        argv = [
            str(expectations.fill_placeholders(word, self.names))
            for word in self.app.start.run
        ]
        self.box = sandbox.start_box(argv, self._order(0))
        self.prober = relay.Prober(self.box.netns)
        if why := self._ready(port):
            return why
        if self.browser is not None and self.browser.netns is not None:
            with relay.listen_inside(self.browser.netns, port) as listening:
                self._carrier = relay.start_relay(listening, self.box.netns, port)
        return ""

    def _ready(self, port: int) -> str:
        assert self.box is not None and self.prober is not None  # noqa: S101, PT018
        ready, last = self.app.ready, ""
        end_at = time.monotonic() + ready.within_s
        while time.monotonic() < end_at:
            answer = self.prober.ask(
                port,
                "GET",
                ready.http,
                timeout_s=max(0.2, min(5.0, end_at - time.monotonic())),
            )
            if answer.get("status") == ready.status:
                return ""
            last = (
                f"it answered {answer['status']}, not {ready.status}"
                if "status" in answer
                else ""
            )
            if self.box.wait(0.02):
                got = self.box.result()
                return f"it ended with {got.rc}{f' ({got.why})' if got.why else ''} before it was ready"
        ports = _listening(self.box.pid)
        other = (
            f"; it listens on {', '.join(map(str, ports))}"
            if ports and port not in ports
            else ""
        )
        return f"GET {ready.http} on port {port}: {last or 'no answer'} within {ready.within_s:g} s{other}"

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: str | None
    ) -> dict[str, Any]:
        """Ask the app over HTTP, from within its network."""
        assert self.prober is not None  # noqa: S101 - apprules lets only web apps have http steps
        answer = self.prober.ask(
            self.names["port"], method, path, headers=headers, body=body, timeout_s=10.0
        )
        if "error" in answer and self.box is not None and self.box.wait(0.2):
            got = self.box.result()
            answer["error"] += (
                f"; the app has ended with {got.rc}{f' ({got.why})' if got.why else ''}"
            )
        return answer

    def command(self, argv: list[str], stdin: str) -> tuple[int, str, str, str | None]:
        """Run a command of the app, and keep what it said."""
        got = self.run(argv, stdin.encode())
        self.logs.append(f"$ {' '.join(argv)}\n{got.log}")
        return got.rc, got.out, got.err, got.why

    def run(self, argv: list[str], stdin: bytes) -> sandbox.BoxResult:
        """Run a command in a box of its own, on the same data; what it left running is kept as wrong."""
        order = self._order(self.app.limits.seconds)
        order = msgspec.structs.replace(order, stdin=stdin)
        if self.mode != "ro":  # below the tier bwrap /proc shows everybody's
            return sandbox.run_in_box(argv, order)
        mark = secrets.token_hex(16)
        own = [f"{key}={value}" for key, value in order.env.items()]
        order = msgspec.structs.replace(order, env={})
        look = ["/bin/sh", "-c", _LOOK, mark, "/usr/bin/env", "--", *own]
        got = sandbox.run_in_box([*look, *argv], order)
        if mark not in got.err:
            return got
        err, _, left = got.err.rpartition(mark)
        running = [sandbox.box_text(words.strip()) for words in left.splitlines()[1:]]
        self.wrong.append(_left(running))
        return msgspec.structs.replace(got, err=err, log=got.log.rpartition(mark)[0])

    def read(self, path: str) -> bytes | None:
        """A file that the app wrote."""
        return read_below(self.data, path)

    def restart(self, how: str) -> str:
        """End the server, politely or not, and start it again on another port. What the page stored would outlive a kill too: it goes as well."""
        if how == "kill" and self._page is not None:
            self._page.close()
            self._said, self._page = self._page.errors, None
        self._halt(how)
        return "; ".join(self.wrong) or self.begin()

    def _halt(self, how: str) -> None:
        if self._carrier is not None:
            relay.end_child(self._carrier)
            self._carrier = None
        if self.box is None:
            return
        limit, name = self.app.stop.within_s, self.app.stop.signal
        if self.box.wait(0):
            got = self.box.result()
            self.wrong.append(
                f"it ended by itself with {got.rc}{f' ({got.why})' if got.why else ''}"
            )
        elif how == "term":
            stopped = self.box.stop(signal.Signals[f"SIG{name}"], limit)
            if not stopped.ended:
                self.wrong.append(f"it did not end within {limit:g} s of SIG{name}")
            if stopped.left:
                self.wrong.append(_left(stopped.left))
        self.logs.append(self.box.kill().log)
        self.box = None
        self._look_outside()
        if self.prober is not None:
            if "status" in self.prober.ask(
                self.names["port"], "GET", "/", timeout_s=1.0
            ):
                self.wrong.append(
                    f"port {self.names['port']} still answers after it ended"
                )
            self.prober.close()
            self.prober = None

    def page(self) -> BrowserPage | None:
        """The page of this journey, opened at the first call and at the first after a kill."""
        if self._page is None and self.browser is not None:
            self._page = self.browser.page()
            self._page.errors += self._said
        return self._page

    def finish(self) -> tuple[list[str], str]:
        """Stop politely; say what it left, and what it wrote outside its data directory."""
        if self._page is not None:
            self._page.close()
        self._halt("term")
        self._look_outside()
        return self.wrong, "".join(self.logs)[-_TAIL:]

    def _look_outside(self) -> None:
        after = {} if self.mode == "ro" else list_tree(self.work)
        changed = sorted(
            path
            for path in after.keys() | self.before.keys()
            if after.get(path) != self.before.get(path)
        )
        if changed:
            self.wrong.append(f"it wrote outside {{data}}: {', '.join(changed)[:200]}")
        self.before = after

    def remove(self) -> None:
        """Forget the scratch copy; a data directory that was given stays."""
        shutil.rmtree(self.scratch, ignore_errors=True)


def _left(running: list[str]) -> str:
    return f"it left {len(running)} running when it ended: {'; '.join(running)[:200]}"


def free_port() -> int:
    """A port of loopback that nobody has; free on the host too, because in the weak tier the app listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _listening(pid: int) -> list[int]:
    ports = set()
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{name}", encoding="ascii") as file:
                rows = [line.split() for line in file.read().splitlines()[1:]]
        except OSError:
            continue
        ports |= {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}
    return sorted(ports)

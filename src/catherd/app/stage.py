"""Where a journey plays: the app in its box with a data directory of its own.

The null app that stands in for it is in `nullstage`. Both answer to the same few calls,
those of `Stage`. Nothing here judges an answer.
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
_LISTEN = "0A"  # the state of a listening socket in /proc/net/tcp
# A shell script that runs a command of the app. Then it says on stderr, behind the mark
# in $0, what the command left running. What ends within half a second is no matter. In
# its box /proc shows the init of the box, this shell and the processes of the command.
# What the shell itself says of the command ("Segmentation fault") is not the app's
# word. The shell does not share the app's environment: a PATH or LD_PRELOAD of the app
# could hide what it left.
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
        """Start. Gives why it did not, or ""."""

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: str | None
    ) -> dict[str, Any]:
        """An HTTP answer, as `relay.Prober.ask` gives it."""

    def command(self, argv: list[str], stdin: str) -> tuple[int, str, str, str | None]:
        """(exit, stdout, stderr, why we ended it)."""

    def read(self, path: str) -> bytes | None:
        """A file below the data directory. None when there is none."""

    def restart(self, how: str) -> str:
        """Stop (term or kill) and start again. Gives what went wrong, or ""."""

    def page(self) -> BrowserPage | None:
        """The journey's page. None when there is no browser."""

    def finish(self) -> tuple[list[str], str]:
        """(what was wrong when it stopped, the end of its log)."""


def fresh_values(names: set[str]) -> dict[str, Any]:
    """A new random value for each `nonce.…` and `number.…` among `names`.

    No two numbers are alike.
    """
    values: dict[str, Any] = {}
    for name in sorted(names):
        if name.startswith("nonce."):
            values[name] = _nonce()
        elif name.startswith("number."):
            values[name] = _number(set(values.values()))

    return values


def _nonce() -> str:
    """A word of ten small letters and digits that begins with a letter."""
    letters = string.ascii_lowercase
    rest = [secrets.choice(letters + string.digits) for _ in range(9)]
    return secrets.choice(letters) + "".join(rest)


def _number(taken: set[Any]) -> int:
    """A number of four digits that is not taken."""
    while True:
        number = 1000 + secrets.randbelow(9000)
        if number not in taken:
            return number


def list_files(path: str) -> dict[str, tuple[int, int, int]]:
    """Everything below `path`, by its path there: (type, size, time of change).

    Size and time of a directory are 0: they change with what is in it.
    """
    found = {}
    for folder, names, files in os.walk(path):
        for name in [*names, *files]:
            full = os.path.join(folder, name)
            info = os.lstat(full)

            kind, size, changed = stat.S_IFMT(info.st_mode), 0, 0
            if not stat.S_ISDIR(info.st_mode):
                size, changed = info.st_size, info.st_mtime_ns
            found[os.path.relpath(full, path)] = (kind, size, changed)

    return found


def read_below(folder: str, path: str, limit: int = 1 << 20) -> bytes | None:
    """The first `limit` bytes of a regular file below `folder`. None if there is none.

    No link is followed on the way to it.
    """
    directory = os.O_RDONLY | os.O_DIRECTORY
    fd = os.open(folder, directory)
    try:
        parts = [part for part in path.split("/") if part not in {"", "."}]
        *folders, last = parts or [""]
        for part in folders:
            below = os.open(part, directory | os.O_NOFOLLOW, dir_fd=fd)
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
    """The app itself: the installed tree, a data directory, a box.

    The app cannot write the tree. Below the tier bwrap nothing can be kept from
    writing: there the app has a copy, and whenever it has ended, the copy is compared
    with what it was.
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
        boxed = sandbox.probe_tier().name == "bwrap"
        self.app = app
        self.minimum = minimum
        self.browser = browser
        self.scratch = scratch
        self.data = data or os.path.join(scratch, "data")
        self.mode: sandbox.Mode = "ro" if boxed else "rw"
        self.work = tree if boxed else os.path.join(scratch, "work")

        os.makedirs(scratch, exist_ok=True)
        os.chmod(scratch, 0o711)  # noqa: S103 - walked by the uid that the box runs as, listed by nobody
        os.makedirs(self.data, exist_ok=True)
        sandbox.hand_over(self.data)
        if not boxed:
            shutil.copytree(tree, self.work, symlinks=True)
            sandbox.hand_over(self.work)

        self.before = {} if boxed else list_files(self.work)

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
        env = {}
        for key, value in self.app.start.env.items():
            env[key] = expectations.filled_text(shown_scalar(value), self.names)

        return sandbox.BoxOrder(
            tree=self.work,
            mode=self.mode,
            owned=True,
            cwd=os.path.join("app", self.app.start.cwd),
            binds=binds,
            env=env,
            limits=limits,
            minimum=self.minimum,
        )

    def begin(self) -> str:
        """Start the server on a free port and wait until it is ready."""
        if self.app.kind != "web":
            return ""
        port = free_port()
        self.names["port"] = port
        self.names["url"] = f"http://127.0.0.1:{port}"
        run = self.app.start.run
        argv = [expectations.filled_text(word, self.names) for word in run]
        self.box = sandbox.start_box(argv, self._order(0))
        self.prober = relay.Prober(self.box.netns)

        why = self._ready(port)
        if why:
            return why

        if self.browser is not None and self.browser.netns is not None:
            with relay.listen_inside(self.browser.netns, port) as listening:
                self._carrier = relay.start_relay(listening, self.box.netns, port)

        return ""

    def _ready(self, port: int) -> str:
        """Ask until the server is ready. Gives why it is not, or ""."""
        assert self.box is not None and self.prober is not None  # noqa: S101, PT018
        ready, last = self.app.ready, "no answer"
        end_at = time.monotonic() + ready.within_s
        while time.monotonic() < end_at:
            patience = max(0.2, min(5.0, end_at - time.monotonic()))
            answer = self.prober.ask(port, "GET", ready.http, timeout_s=patience)
            last = "no answer"
            if "status" in answer:
                if answer["status"] == ready.status:
                    return ""
                last = f"it answered {answer['status']}, not {ready.status}"

            if self.box.wait(0.02):
                return f"it ended with {_how(self.box)} before it was ready"

        where = f"GET {ready.http} on port {port}"
        return f"{where}: {last} within {ready.within_s:g} s{self._elsewhere(port)}"

    def _elsewhere(self, port: int) -> str:
        """On which ports it listens instead of the one that it was given."""
        ports = _listening(self.box.pid) if self.box is not None else []
        if not ports or port in ports:
            return ""
        return f"; it listens on {', '.join(map(str, ports))}"

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: str | None
    ) -> dict[str, Any]:
        """Ask the app over HTTP, from within its network."""
        assert self.prober is not None  # noqa: S101 - step_rules lets only web apps have http steps
        answer = self.prober.ask(
            self.names["port"], method, path, headers=headers, body=body, timeout_s=10.0
        )
        if "error" in answer and self.box is not None and self.box.wait(0.2):
            answer["error"] += f"; the app has ended with {_how(self.box)}"

        return answer

    def command(self, argv: list[str], stdin: str) -> tuple[int, str, str, str | None]:
        """Run a command of the app, and keep what it said."""
        got = self.run(argv, stdin.encode())
        self.logs.append(f"$ {' '.join(argv)}\n{got.log}")
        return got.rc, got.out, got.err, got.why

    def run(self, argv: list[str], stdin: bytes) -> sandbox.BoxResult:
        """Run a command in a box of its own, on the same data.

        If it leaves something running, that goes to what is wrong.
        """
        order = self._order(self.app.limits.seconds)
        order = msgspec.structs.replace(order, stdin=stdin)
        # Below the tier bwrap /proc shows everybody's processes.
        if self.mode != "ro":
            return sandbox.run_in_box(argv, order)

        mark = secrets.token_hex(16)
        own = [f"{key}={value}" for key, value in order.env.items()]
        order = msgspec.structs.replace(order, env={})
        look = ["/bin/sh", "-c", _LOOK, mark, "/usr/bin/env", "--", *own]

        got = sandbox.run_in_box([*look, *argv], order)
        if mark not in got.err:
            return got

        err, _, left = got.err.rpartition(mark)
        log = got.log.rpartition(mark)[0]
        commands = left.splitlines()[1:]
        running = [sandbox.box_text(words.strip()) for words in commands]
        self.wrong.append(_left(running))
        return msgspec.structs.replace(got, err=err, log=log)

    def read(self, path: str) -> bytes | None:
        """A file that the app wrote."""
        return read_below(self.data, path)

    def restart(self, how: str) -> str:
        """End the server, politely or not, and start it again on another port.

        The page goes with a kill: what it stored would outlive that, too.
        """
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
        if self.box.wait(0):
            self.wrong.append(f"it ended by itself with {_how(self.box)}")
        elif how == "term":
            self._stop(self.box)

        self.logs.append(self.box.kill().log)
        self.box = None
        self._look_outside()
        if self.prober is not None:
            port = self.names["port"]
            answer = self.prober.ask(port, "GET", "/", timeout_s=1.0)
            if "status" in answer:
                self.wrong.append(f"port {port} still answers after it ended")
            self.prober.close()
            self.prober = None

    def _stop(self, box: sandbox.Box) -> None:
        """Ask the server to end, as its manifest says, and look at what it leaves."""
        limit, name = self.app.stop.within_s, self.app.stop.signal
        stopped = box.stop(signal.Signals[f"SIG{name}"], limit)
        if not stopped.ended:
            self.wrong.append(f"it did not end within {limit:g} s of SIG{name}")
        if stopped.left:
            self.wrong.append(_left(stopped.left))

    def page(self) -> BrowserPage | None:
        """The page of this journey. It is opened by the first call, also after a kill."""
        if self._page is None and self.browser is not None:
            self._page = self.browser.page()
            self._page.errors += self._said
        return self._page

    def finish(self) -> tuple[list[str], str]:
        """Stop politely.

        Gives what was wrong, like a process that is left or a file outside the data
        directory, and the end of the log.
        """
        if self._page is not None:
            self._page.close()
        self._halt("term")
        self._look_outside()
        return self.wrong, "".join(self.logs)[-_TAIL:]

    def _look_outside(self) -> None:
        """Compare the copy of the tree with what it was. The app is not running."""
        after = {} if self.mode == "ro" else list_files(self.work)
        before = self.before
        paths = sorted(after.keys() | before.keys())
        changed = [path for path in paths if after.get(path) != before.get(path)]

        if changed:
            told = ", ".join(changed)[:200]
            self.wrong.append(f"it wrote outside {{data}}: {told}")

        self.before = after

    def remove(self) -> None:
        """Forget the scratch copy. A data directory that was given stays."""
        shutil.rmtree(self.scratch, ignore_errors=True)


def _how(box: sandbox.Box) -> str:
    """How a box has ended: the exit code, and why we ended it if we did."""
    got = box.result()
    return f"{got.rc} ({got.why})" if got.why else f"{got.rc}"


def _left(running: list[str]) -> str:
    return f"it left {len(running)} running when it ended: {'; '.join(running)[:200]}"


def free_port() -> int:
    """A port of loopback that nobody has.

    It is free on the host, too, because in the weak tier the app listens there.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _listening(pid: int) -> list[int]:
    """The TCP ports on which somebody listens in the network of a process."""
    ports = set()
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{name}", encoding="ascii") as file:
                lines = file.read().splitlines()
        except OSError:
            continue

        for line in lines[1:]:
            _, local, _, state, *_ = line.split()
            if state == _LISTEN:
                ports.add(int(local.rpartition(":")[2], 16))

    return sorted(ports)

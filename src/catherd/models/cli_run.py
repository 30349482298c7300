"""A CLI agent as hands: run in a worktree, and judged by what git sees.

Its final event, its silence or the end of its time ends the run.

The program gets its own HOME, an environment without anything that was not asked for,
and the prompt as a file on stdin: there is no pipe to hang on, and nothing of the
prompt stands in `ps`. All of its process group is dead when the run returns, however it
returns. The exit code is kept and decides nothing. The caller commits: a program that
moves the branch, the hooks or the config is refused.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from catherd.bus.crashpoints import effect
from catherd.git import secrets, tamper
from catherd.git.tamper import Before
from catherd.models.cli_spec import (
    CliTranscript,
    Driver,
    complain,
    fill_word,
    filled,
    take_line,
)

_KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
)
_LOG = 256 * 1024  # bytes of what it says that are kept
_STOP_S = 2.0  # between SIGTERM and SIGKILL


class CliOutcome(msgspec.Struct):
    """What came of a run.

    `result` is spawn_failed, auth, budget, error, denied, idle_timeout, wall_timeout,
    scope_violation, no_change or changed. `changed` are paths in the worktree. `rc` is
    for the log only. `commits` says how often it committed by itself, on its own
    branch: the commits are kept, so reset to `base` and commit them anew.
    """

    result: str
    detail: str = ""
    changed: list[str] = []
    heard: CliTranscript = msgspec.field(default_factory=CliTranscript)
    rc: int | None = None
    seconds: float = 0.0
    base: str = ""
    commits: int = 0


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a program runs, what it gets, and who is told.

    `home` is its own, made if need be (not under /tmp: codex refuses that). `keys` name
    the variables of `environ` (default: os.environ) that it gets besides PATH and the
    like. `log` is a file that is written anew with the end of its stdout and stderr as
    they came, keys cut out. `started` is told the process id.
    """

    worktree: str
    home: str
    keys: Sequence[str] = ()
    environ: Mapping[str, str] | None = None
    log: str = ""
    started: Callable[[int], None] | None = None

    def outside(self) -> Mapping[str, str]:
        """The environment that the program's own is made from."""
        return os.environ if self.environ is None else self.environ


class _Listened(NamedTuple):
    """What was understood of a run, how it ended, and its last words.

    `ended` is idle_timeout or wall_timeout; "" where it ended by itself or after its
    final event.
    """

    heard: CliTranscript
    ended: str
    said: str


def run_command(driver: Driver, prompt: str, around: Surroundings) -> CliOutcome:
    """Run the program on `prompt`, and say what came of it.

    Never raises for what the program does. A BaseException (a stop signal) kills its
    process group and passes.
    """
    began = time.monotonic()
    furnish(driver, around.home)
    before = tamper.repository_state(around.worktree)
    with tempfile.NamedTemporaryFile(
        "w", dir=around.home, prefix="prompt.", encoding="utf-8", errors="replace"
    ) as file:
        file.write(prompt)
        file.flush()
        places = _places(driver, around, file.name)
        env = program_environment(driver, around, places)
        try:
            child = _spawn(driver, around.worktree, env, places)
        except OSError as error:
            return CliOutcome(
                "spawn_failed",
                f"{driver.argv[0]}: {error.strerror}",
                seconds=time.monotonic() - began,
            )
        try:
            if around.started is not None:
                around.started(child.pid)
            listened = _listen(driver, child)
        finally:
            _kill(child)
    named = [*around.keys, *driver.keys]
    _redact(listened, around.log, {**around.outside(), **env}, named)
    outcome = _judge(before, driver, listened)
    outcome.rc = child.returncode
    outcome.seconds = round(time.monotonic() - began, 3)
    return outcome


def _places(driver: Driver, around: Surroundings, prompt_file: str) -> dict[str, str]:
    """What the places in the driver's words are filled in with."""
    return {
        "worktree": around.worktree,
        "home": around.home,
        "prompt_file": prompt_file,
        "last": os.path.join(around.home, "last.txt"),
        "model": driver.model,
        "usd": f"{driver.usd:g}",
    }


def _spawn(
    driver: Driver, worktree: str, env: dict[str, str], places: dict[str, str]
) -> subprocess.Popen[bytes]:
    argv = filled(driver, places)
    prompt = places["prompt_file"] if driver.prompt == "stdin" else os.devnull
    with open(prompt, "rb") as stdin:
        return subprocess.Popen(
            argv,
            cwd=worktree,
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


def _redact(
    listened: _Listened, log: str, known: Mapping[str, str], named: Sequence[str]
) -> None:
    """Take the keys out of what was heard, and write the log without them.

    The program knows its key, and a vendor's error may quote it.
    """

    def redacted(text: str) -> str:
        return secrets.redact(text, environ=known, named=named)[0]

    heard = listened.heard
    heard.text = redacted(heard.text)
    heard.why = redacted(heard.why)
    heard.muttered = redacted(heard.muttered)
    if log:
        with (
            effect("run-log", os.path.basename(log)),
            open(log, "w", encoding="utf-8") as kept,
        ):
            kept.write(redacted(listened.said))


def program_environment(
    driver: Driver, around: Surroundings, places: dict[str, str]
) -> dict[str, str]:
    """All that the program sees.

    There is no key but its own, no variable of an agent that we may run under, no
    config of yours.
    """
    outside, home = around.outside(), around.home
    wanted = [*_KEPT, *around.keys, *driver.keys]
    env = {name: outside[name] for name in wanted if name in outside}
    env |= {
        "HOME": home,
        "TMPDIR": os.path.join(home, "tmp"),
        "TERM": "dumb",
        "NO_COLOR": "1",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "XDG_CONFIG_HOME": os.path.join(home, ".config"),
        "XDG_DATA_HOME": os.path.join(home, ".local/share"),
        "XDG_CACHE_HOME": os.path.join(home, ".cache"),
        "XDG_STATE_HOME": os.path.join(home, ".local/state"),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    for name, value in driver.env.items():
        env[name] = fill_word(value, places)
    return env


def furnish(driver: Driver, home: str) -> None:
    """Make the program's HOME and every directory in it that its environment names.

    Codex refuses to make its own.
    """
    parts = ["tmp"]
    for value in driver.env.values():
        part = value.removeprefix("{home}/")
        if part != value and ".." not in part:
            parts.append(part)
    for part in parts:
        os.makedirs(os.path.join(home, part), mode=0o700, exist_ok=True)


# --- the process ---


class _Deadline(NamedTuple):
    """When (monotonic seconds) a run is ended, and what is said of it then."""

    at: float
    ended: str


def _listen(driver: Driver, child: subprocess.Popen[bytes]) -> _Listened:
    """Take in what a program says until it ends or is to be ended."""
    heard, said = CliTranscript(), bytearray()
    began = last = time.monotonic()
    finished = 0.0
    lines = _Lines(child)
    try:
        while True:
            now = time.monotonic()
            deadline = min(
                _Deadline(began + driver.wall_s, "wall_timeout"),
                _Deadline(last + driver.idle_s, "idle_timeout"),
                key=lambda one: one.at,
            )
            if _is_over(heard):
                finished = finished or now
                deadline = _Deadline(finished + driver.grace_s, "")
            if deadline.at <= now:
                return _Listened(heard, deadline.ended, _last(said))
            for stream, line in lines.wait(deadline.at - now):
                said += line[-_LOG:]
                del said[:-_LOG]
                if stream == "err":
                    complain(driver, heard, line)
                elif take_line(driver, heard, line):
                    last = time.monotonic()
            if lines.over:
                return _Listened(heard, "", _last(said))
    finally:
        lines.close()


def _is_over(heard: CliTranscript) -> bool:
    """Whether no more is to come: it finished, or would try the same key for ever."""
    return heard.finished or heard.failed in {"auth", "budget"}


def _last(said: bytearray) -> str:
    """The last words in whole lines.

    Half a line could hold half a key, which nobody would recognize as one.
    """
    text = said.decode("utf-8", "replace")
    return text.partition("\n")[2] if len(said) == _LOG else text


class _Lines:
    """The lines of a child's stdout and stderr as they come.

    `over` is true once it is dead, even if a grandchild holds the pipes.
    """

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.over = False
        self.rest = {"out": b"", "err": b""}
        self.select = selectors.DefaultSelector()
        for name, pipe in (("out", child.stdout), ("err", child.stderr)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self.select.register(pipe.fileno(), selectors.EVENT_READ, name)

        self.dead, told = os.pipe()
        self.select.register(self.dead, selectors.EVENT_READ, "dead")
        threading.Thread(target=self._wait_for, args=(child, told), daemon=True).start()

    @staticmethod
    def _wait_for(child: subprocess.Popen[bytes], told: int) -> None:
        child.wait()
        os.close(told)

    def wait(self, seconds: float) -> Iterator[tuple[str, bytes]]:
        """Whole lines that came within `seconds`, each with "out" or "err".

        Once the child is dead, what is left of both comes too.
        """
        ready = [key for key, _ in self.select.select(seconds)]
        for key in sorted(ready, key=lambda k: str(k.data) == "dead"):
            if key.data == "dead":
                self.over = True
                yield from self._drain()
            else:
                yield from self._read(key.fd, str(key.data))

    def _read(self, fd: int, name: str) -> Iterator[tuple[str, bytes]]:
        try:
            chunk = os.read(fd, 1 << 18)
        except BlockingIOError:
            return
        if not chunk:
            self.select.unregister(fd)
            return
        *whole, rest = (self.rest[name] + chunk).split(b"\n")
        self.rest[name] = rest[-(16 << 20) :]
        for line in whole:
            yield name, line + b"\n"

    def _drain(self) -> Iterator[tuple[str, bytes]]:
        # What the kernel still holds is a pipe's worth; a grandchild that goes on
        # talking gets no more.
        for _ in range(256):
            ready = [key for key, _ in self.select.select(0) if key.data != "dead"]
            if not ready:
                break
            for key in ready:
                yield from self._read(key.fd, str(key.data))

        for name, rest in self.rest.items():
            if rest:
                yield name, rest

    def close(self) -> None:
        """Give back the descriptors that are ours; _kill closes the child's pipes."""
        self.select.close()
        os.close(self.dead)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the whole process group: SIGTERM, a moment, SIGKILL.

    That is the leader and what it left behind.
    """
    _signal(child.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_STOP_S)

    _signal(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _judge(before: Before, driver: Driver, listened: _Listened) -> CliOutcome:
    """The outcome of a run: what its events say went wrong, then what git sees."""
    outcome = CliOutcome("", heard=listened.heard, base=before.head)
    tampered = tamper.tampering(before)
    if tampered:
        outcome.result, outcome.detail = "scope_violation", tampered
        return outcome
    outcome.changed, outcome.commits = tamper.program_changes(before, driver.litter)
    heard = listened.heard
    # An error that left changes may have been mended by the program itself.
    if heard.failed and not (heard.failed == "error" and outcome.changed):
        outcome.result, outcome.detail = heard.failed, heard.why
    elif listened.ended == "idle_timeout":
        outcome.result = listened.ended
        outcome.detail = f"no event in {driver.idle_s:g} s"
    elif listened.ended:
        outcome.result = listened.ended
        outcome.detail = f"no end in {driver.wall_s:g} s"
    elif outcome.changed:
        outcome.result = "changed"
    else:
        outcome.result = "no_change"
        outcome.detail = _why_nothing(driver, heard)

    return outcome


def _why_nothing(driver: Driver, heard: CliTranscript) -> str:
    """What is known of why nothing was changed; "" where it simply changed nothing."""
    if not driver.final or heard.finished:
        return ""
    muttered = f": {heard.muttered}" if heard.muttered else ""
    return f"it ended without its final event{muttered}"

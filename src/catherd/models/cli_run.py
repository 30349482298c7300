"""A CLI agent as hands: run in a worktree until its final event, its silence or its time ends it; judged by what git sees.

The program gets its own HOME, an environment without anything that was not asked for, and the prompt as a file on stdin: no
pipe to hang on, nothing of it in `ps`. All of its process group is dead when this returns, however it returns. The exit
code is kept and decides nothing. The caller commits: a program that moves the branch, the hooks or the config is refused.
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
    """What came of a run. `result` is one of driver.RESULTS; `changed` are paths in the worktree; `rc` is for the log only.

    `commits`: it committed by itself, on its own branch (commits are kept: reset to `base` and commit them anew).
    """

    result: str
    detail: str = ""
    changed: list[str] = []
    heard: CliTranscript = msgspec.field(default_factory=CliTranscript)
    rc: int | None = None
    seconds: float = 0.0
    base: str = ""
    commits: int = 0


def run_command(
    driver: Driver,
    prompt: str,
    worktree: str,
    env_keys: Sequence[str],
    home: str,
    *,
    environ: Mapping[str, str] | None = None,
    log: str = "",
    started: Callable[[int], None] | None = None,
    gate: Callable[[], bool] | None = None,
) -> CliOutcome:
    """Run the program on `prompt` in `worktree`, and say what came of it. Never raises for what the program does.

    `env_keys` name the variables of `environ` (os.environ) that it gets besides PATH and the like; `home` is its own, made if
    need be (not under /tmp: codex refuses that); `log` is written anew with the end of its stdout and stderr as they came, keys cut
    out; `started` is told the process id; `gate` judges
    what changed, in the box. A BaseException (a stop signal) kills its process group and passes.
    """
    began = time.monotonic()
    furnish(driver, home)
    before = tamper.repository_state(worktree)
    with tempfile.NamedTemporaryFile(
        "w", dir=home, prefix="prompt.", encoding="utf-8", errors="replace"
    ) as file:
        file.write(prompt)
        file.flush()
        places = {
            "worktree": worktree, "home": home, "prompt_file": file.name, "last": os.path.join(home, "last.txt"),
            "model": driver.model, "usd": f"{driver.usd:g}",
        }  # fmt: skip
        env = program_environment(
            driver, env_keys, home, os.environ if environ is None else environ, places
        )
        try:
            argv = filled(driver, places)
            with open(
                file.name if driver.prompt == "stdin" else os.devnull, "rb"
            ) as stdin:
                child = subprocess.Popen(
                    argv, cwd=worktree, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
                )  # fmt: skip
        except OSError as e:
            return CliOutcome(
                "spawn_failed",
                f"{driver.argv[0]}: {e.strerror}",
                seconds=time.monotonic() - began,
            )
        try:
            if started is not None:
                started(child.pid)
            heard, ended, said = _listen(driver, child)
        finally:
            _kill(child)
    known = {**(os.environ if environ is None else environ), **env}
    _redact(heard, said, log, known, [*env_keys, *driver.keys])
    outcome = _judge(before, driver, heard, ended, gate)
    outcome.rc, outcome.seconds = child.returncode, round(time.monotonic() - began, 3)
    return outcome


def _redact(
    heard: CliTranscript,
    said: str,
    log: str,
    known: Mapping[str, str],
    named: Sequence[str],
) -> None:
    """It knows its key, and a vendor's error may quote it: neither what was heard nor the log has one."""
    for field in ("text", "why", "muttered"):
        setattr(
            heard,
            field,
            secrets.redact(getattr(heard, field), environ=known, named=named)[0],
        )
    if log:
        with (
            effect("run-log", os.path.basename(log)),
            open(log, "w", encoding="utf-8") as kept,
        ):
            kept.write(secrets.redact(said, environ=known, named=named)[0])


def program_environment(
    driver: Driver,
    keys: Sequence[str],
    home: str,
    environ: Mapping[str, str],
    places: dict[str, str],
) -> dict[str, str]:
    """All that the program sees: no key but its own, no variable of an agent that we may run under, no config of yours."""
    env = {k: environ[k] for k in _KEPT if k in environ}
    env |= {k: environ[k] for k in [*keys, *driver.keys] if k in environ}
    env |= {
        "HOME": home, "TMPDIR": os.path.join(home, "tmp"), "TERM": "dumb", "NO_COLOR": "1", "PAGER": "cat", "GIT_PAGER": "cat",
        "XDG_CONFIG_HOME": os.path.join(home, ".config"), "XDG_DATA_HOME": os.path.join(home, ".local/share"),
        "XDG_CACHE_HOME": os.path.join(home, ".cache"), "XDG_STATE_HOME": os.path.join(home, ".local/state"),
        "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip
    return env | {k: fill_word(v, places) for k, v in driver.env.items()}


def furnish(driver: Driver, home: str) -> None:
    """Make the program's HOME and every directory in it that its environment names: codex refuses to make its own."""
    named = [
        v.removeprefix("{home}/")
        for v in driver.env.values()
        if v.startswith("{home}/")
    ]
    for part in ["tmp", *(n for n in named if ".." not in n)]:
        os.makedirs(os.path.join(home, part), mode=0o700, exist_ok=True)


# --- the process ----------------------------------------------------------------------------------------------------


def _listen(
    driver: Driver, child: subprocess.Popen[bytes]
) -> tuple[CliTranscript, str, str]:
    """(what was understood, how it ended: "" by itself or after its final event, idle_timeout, wall_timeout; its last words)."""
    heard, said = CliTranscript(), bytearray()
    began = last = time.monotonic()
    finished = 0.0
    lines = _Lines(child)
    try:
        while True:
            now = time.monotonic()
            ends = {
                "wall_timeout": began + driver.wall_s,
                "idle_timeout": last + driver.idle_s,
            }
            if heard.finished or heard.failed in {
                "auth",
                "budget",
            }:  # it would try the same key for ever
                finished = finished or now
                ends = {"": finished + driver.grace_s}
            why = min(ends, key=lambda k: ends[k])
            if ends[why] <= now:
                return heard, why, _last(said)
            for stream, line in lines.wait(ends[why] - now):
                said += line[-_LOG:]
                del said[:-_LOG]
                if stream == "out" and take_line(driver, heard, line):
                    last = time.monotonic()
                elif stream == "err":
                    complain(driver, heard, line)
            if lines.over:
                return heard, "", _last(said)
    finally:
        lines.close()


def _last(said: bytearray) -> str:
    """Whole lines: half a line could hold half a key, which nobody would know for one."""
    return (
        said.decode("utf-8", "replace").partition("\n")[2]
        if len(said) == _LOG
        else said.decode("utf-8", "replace")
    )


class _Lines:
    """The lines of a child's stdout and stderr as they come; `over` once it is dead, even if a grandchild holds the pipes."""

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
        """Whole lines that came within `seconds`, each with "out" or "err"; what is left of both once it is dead."""
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
        yield from ((name, line + b"\n") for line in whole)

    def _drain(self) -> Iterator[tuple[str, bytes]]:
        for _ in range(
            256
        ):  # what the kernel still holds is a pipe's worth; a spamming grandchild gets no more
            ready = [key for key, _ in self.select.select(0) if key.data != "dead"]
            if not ready:
                break
            for key in ready:
                yield from self._read(key.fd, str(key.data))
        yield from ((name, rest) for name, rest in self.rest.items() if rest)

    def close(self) -> None:
        """Give back the descriptors that are ours; the child's pipes are closed by _kill."""
        self.select.close()
        os.close(self.dead)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the whole process group, the leader and what it left behind: SIGTERM, a moment, SIGKILL."""
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


def _judge(
    before: Before,
    driver: Driver,
    heard: CliTranscript,
    ended: str,
    gate: Callable[[], bool] | None,
) -> CliOutcome:
    """The outcome ladder: what the events say went wrong, then what git sees, then the gate."""
    outcome = CliOutcome("", heard=heard, base=before.head)
    tampered = tamper.tampering(before)
    if not tampered:
        outcome.changed, outcome.commits = tamper.program_changes(before, driver.litter)
    if tampered:
        outcome.result, outcome.detail = "scope_violation", tampered
    elif heard.failed and not (heard.failed == "error" and outcome.changed):
        outcome.result, outcome.detail = heard.failed, heard.why
    elif ended:
        limit = driver.idle_s if ended == "idle_timeout" else driver.wall_s
        outcome.result, outcome.detail = (
            ended,
            f"{'no event' if ended == 'idle_timeout' else 'no end'} in {limit:g} s",
        )
    elif not outcome.changed:
        outcome.result = "no_change"
        if driver.final and not heard.finished:
            outcome.detail = f"it ended without its final event{f': {heard.muttered}' if heard.muttered else ''}"
    elif gate is None:
        outcome.result = "changed"
    else:
        outcome.result = "gate_green" if gate() else "gate_red"
    return outcome

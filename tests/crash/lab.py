"""Scratch games that can be killed: typed commands, who lives in them, and a kill -9 at a counted effect or at random.

A trial is one game in a directory of its own, copied from a template whose engine is a copy of `src/` as well: what is
proved does not change while the proof runs.
"""

import compileall
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec

from support import games

STRAY = "1-0-1-stray.yaml"
TRIES = 3  # how often a person types the same command before they complain
SECONDS = 180.0  # more than any trial takes; a hang is a fault
PRIOR = {
    "plan": "debate",
    "poc": "plan",
    "mvp": "poc",
}  # what is played already when a goal is proved
EXPECTED = (
    "rehearsal: no model was called"  # of the last lines of a goal that was reached
)


class Template(msgspec.Struct, frozen=True):
    """A game in which nothing was played but what comes before the goal, with the engine that plays it."""

    game: Path
    engine: Path


class Hit(msgspec.Struct, frozen=True):
    """One kill: at which door and path; `n` counts the role's effects from 1."""

    role: str
    n: int
    when: str
    door: str = ""
    path: str = ""

    def __str__(self) -> str:
        return f"{self.role}:{self.n}:{self.when} {self.door} {self.path}".rstrip()


class Trial(msgspec.Struct):
    """A game that was killed and typed again until it was done: where, how often, and what went wrong on the way."""

    game: Path
    crash: Path
    typed: int = 0
    killed: list[str] = []
    faults: list[str] = []


def template(where: Path, goal: str = "debate") -> Template:
    """Lay the template below `where`, with things of yours lying about, and play it until `goal` is next."""
    game = games.lay(where / "template")
    engine = where / "engine"
    shutil.copytree(games.ROOT / "src", engine, ignore=shutil.ignore_patterns("*.pyc"))
    compileall.compile_dir(engine, quiet=1)
    for name in ("python", "catherd"):
        script = game / ".venv" / "bin" / name
        script.write_text(
            script.read_text().replace(str(games.ROOT / "src"), str(engine))
        )
    games.mess(game)
    if goal in PRIOR:
        done = games.make(game, PRIOR[goal], seconds=600)
        if done.returncode or games.make(game, "down", seconds=60).returncode:
            raise SystemExit(f"make {PRIOR[goal]} failed:\n{done.stdout}{done.stderr}")
    (game / "bus" / ".tmp").mkdir(exist_ok=True)
    (game / "bus" / ".tmp" / STRAY).write_text(
        "of a process that died long ago\n"
    )  # sweeping is an effect, too
    return Template(game, engine)


def environment(crash: Path, at: str = "", *, crank: bool = False) -> dict[str, str]:
    """What the trial's commands run with. Without `crank` no daemon takes up the work of a killed make."""
    more = {"CATHERD_CRASH_DIR": str(crash)}
    more |= {"CATHERD_CRASH_AT": at} if at else {}
    more |= {} if crank else {"CATHERD_NO_CRANK": "1"}
    return games.env(**more)


def begin(from_: Template, where: Path) -> Trial:
    """A fresh game to kill."""
    crash = where.with_name(f"{where.name}.crash")
    crash.mkdir(parents=True)
    game = games.copy(from_.game, where)
    for pointer in (
        *game.glob(".git/worktrees/*/gitdir"),
        *game.glob("worktrees/*/.git"),
    ):
        pointer.write_text(pointer.read_text().replace(f"{from_.game}/", f"{game}/"))
    return Trial(game=game, crash=crash, killed=[], faults=[])


def clear(trial: Trial) -> None:
    """A game that is as it should be goes; one that is not stays where it is, to be looked at."""
    shutil.rmtree(trial.game)
    shutil.rmtree(trial.crash)


def type_again(
    trial: Trial, goal: str, env: dict[str, str], tries: int = TRIES
) -> None:
    """Type `make GOAL` as often as a person would, until it is done; then once more, with nothing left to do."""
    for _ in range(tries):
        trial.typed += 1
        rc, out = typed(trial, goal, env)
        if rc == 0:
            break
    else:
        trial.faults.append(f"not done after typing it {tries} times: {out[-600:]}")
    at_rest(trial)
    rc, out = typed(trial, goal, env)
    if rc or EXPECTED not in out:
        trial.faults.append(f"with nothing left to do: exit {rc}: {out[-600:]}")
    at_rest(trial)


def heed_interrupts() -> None:
    """A runner in the background of a shell without job control ignores ^C, and its games would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(trial: Trial, goal: str, env: dict[str, str]) -> "subprocess.Popen[str]":
    """The command, typed; in a session of its own, as from another terminal."""
    return subprocess.Popen(
        ["make", goal],
        cwd=trial.game,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def typed(trial: Trial, goal: str, env: dict[str, str]) -> tuple[int, str]:
    """The command's exit code and all that it said; a hang ends it and is a fault."""
    child = start(trial, goal, env)
    try:
        out, _ = child.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        trial.faults.append(f"make {goal} hung for {SECONDS:.0f} s")
        end(trial.game)
        out, _ = child.communicate()
    return child.returncode, out


def at_rest(trial: Trial, seconds: float = 60.0) -> None:
    """Wait until everybody has left the game; who stays is ended, and that is a fault."""
    until, bell = time.monotonic() + seconds, threading.Event()
    while who := living(trial.game):
        if time.monotonic() > until:
            trial.faults.append(f"did not leave: {', '.join(sorted(who.values()))}")
            end(trial.game)
            return
        bell.wait(0.02)


def living(game: Path) -> dict[int, str]:
    """Pid → command line of every process that works in the game: its working directory tells."""
    found = {}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            where = os.readlink(f"/proc/{pid}/cwd")
            if where == str(game) or where.startswith(f"{game}/"):
                found[pid] = (
                    Path(f"/proc/{pid}/cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                    .decode(errors="replace")
                )
        except OSError:
            continue
    return {pid: line for pid, line in found.items() if line}  # a zombie has none


def end(game: Path) -> None:
    """Kill -9 of everybody in the game, until nobody is left."""
    while who := living(game):
        for pid in who:
            kill(pid)
        threading.Event().wait(0.02)


def kill(pid: int) -> bool:
    """Kill -9; False when it was gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def effects(crash: Path) -> dict[str, list[tuple[str, str]]]:
    """Role → its effects so far, (door, path) each."""
    found = {}
    for log in sorted(crash.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()
        found[log.stem] = [
            (line.partition(" ")[0], line.partition(" ")[2]) for line in lines
        ]
    return found


def killed_at(
    from_: Template, where: Path, goal: str, hit: Hit, *, crank: bool = False
) -> tuple[Trial, Hit | None]:
    """A trial in which a role kills itself at its n-th effect; the hit with its door and path, None: it never got there.

    With `crank` nobody types the command again: a daemon must take up the work.
    """
    trial = begin(from_, where)
    env = environment(trial.crash, f"{hit.role}:{hit.n}:{hit.when}", crank=crank)
    if crank:
        typed(trial, goal, env)
        at_rest(trial, SECONDS)
    type_again(trial, goal, env)
    if not (trial.crash / "fired").exists():
        return trial, None
    trial.killed = [hit.role]
    door, path = effects(trial.crash)[hit.role][hit.n - 1]
    return trial, Hit(hit.role, hit.n, hit.when, door, path)


def killed_at_random(from_: Template, where: Path, goal: str, seed: int) -> Trial:
    """A trial in which one to three processes of the game, make and git included, or all at once, are killed at any time."""
    trial, draw = begin(from_, where), random.Random(seed)
    env = environment(trial.crash)
    for _ in range(draw.randint(1, 3)):
        trial.typed += 1
        child = start(trial, goal, env)
        said = threading.Thread(
            target=child.communicate
        )  # nobody reads what a killed command said, but it must not block
        said.start()
        threading.Event().wait(draw.uniform(0.0, 2.2))
        who = sorted(living(trial.game).items())
        chosen = (
            who
            if draw.random() < 0.2
            else draw.sample(who, min(len(who), draw.randint(1, 2)))
        )
        trial.killed += [line for pid, line in chosen if kill(pid)]
        if child.pid not in dict(chosen) and draw.random() < 0.5:
            os.killpg(child.pid, signal.SIGKILL) if kill(child.pid) else None
        said.join(SECONDS)
    type_again(trial, goal, env)
    return trial


def interpreter() -> str:
    """The Python that runs the trials, for the table."""
    return f"Python {sys.version.split()[0]}"

"""Many kills in one game: every process of it dies at each m-th point that it comes to (`CATHERD_CRASH_AT=every:<k>/<m>`).

m such games, k = 0 … m-1, kill at every point. The command is typed again until it is done; a try counts only when somebody
died in it. A daemon that died too often has its fuse blown: you press ^C then and type the command again.
"""

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import msgspec

from crash import compare, handbook, lab
from crash.lab import Trial
from support import games

SECONDS = 900.0  # more than any command that is typed takes; a hang is a fault
IDLE_TRIES = 3  # how often a command may fail although nobody was killed in it

Point = tuple[str, str, str]  # role, door, path


class Share(msgspec.Struct):
    """What came of one game: which points were killed, before or after, in that order; what was passed; what is wrong."""

    name: str
    killed: list[tuple[str, Point]]
    passed: set[Point]
    typed: int
    seconds: float
    faults: list[str]


def play(
    from_: lab.Template, where: Path, goal: str, want: compare.Left, share: str
) -> Share:
    """One game with its share of the kills; it stays where it is when it is not as it should be."""
    began, trial = time.monotonic(), lab.begin(from_, where)
    env = lab.environment(trial.crash, f"every:{share}")
    _until_done(trial, goal, env)
    lab.at_rest(trial)
    rc, out = lab.typed(trial, goal, lab.environment(trial.crash))
    if rc or lab.EXPECTED not in out:
        trial.faults.append(f"with nothing left to do: exit {rc}: {out[-600:]}")
    lab.at_rest(trial)
    killed, passed = (
        _killed(trial.crash),
        {(role, *e) for role, made in lab.effects(trial.crash).items() for e in made},
    )
    try:
        found = compare.faults(
            want,
            compare.left(trial.game),
            trial.game,
            len(killed),
            same_talk=goal == "debate",
        )
    except Exception as error:
        found = [f"cannot be read: {type(error).__name__}: {error}"]
    audit = games.catherd(trial.game, "audit", seconds=120)
    found += (
        [f"catherd audit: {audit.stdout[-1500:]}{audit.stderr[-500:]}"]
        if audit.returncode
        else []
    )
    if not (faults := trial.faults + found):
        lab.clear(trial)
    return Share(share, killed, passed, trial.typed, time.monotonic() - began, faults)


def _until_done(trial: Trial, goal: str, env: dict[str, str]) -> None:
    yours, idle = compare.yours(trial.game), 0
    while idle < IDLE_TRIES:
        had = len(_killed(trial.crash))
        rc, out = _typed(trial, goal, env)
        if (now := compare.yours(trial.game)) != yours:
            trial.faults.append(
                f"your checkout: {sorted(yours ^ now)} after {trial.typed} commands"
            )
        if rc == 0:
            return
        idle = 0 if len(_killed(trial.crash)) > had else idle + 1
    trial.faults.append(f"not done after typing it {trial.typed} times: {out[-1500:]}")


def _typed(trial: Trial, goal: str, env: dict[str, str]) -> tuple[int, str]:
    """The command until it ends, or until a blown fuse is told and you press ^C; its exit code and what it said."""
    trial.typed += 1
    began, stopped = time.time(), False
    child = lab.start(trial, goal, env)
    while True:
        try:
            out, _ = child.communicate(timeout=0.5)
        except subprocess.TimeoutExpired:
            blown = [
                p
                for p in (trial.game / "bus/problems").glob("fuse-*.yaml")
                if _mtime(p) > began
            ]
            if blown and not stopped:
                os.killpg(child.pid, signal.SIGINT)
                stopped = True
            if time.time() - began > SECONDS:
                trial.faults.append(f"make {goal} hung for {SECONDS:.0f} s")
                lab.end(trial.game)
        else:
            return child.returncode, out


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _killed(crash: Path) -> list[tuple[str, Point]]:
    found = []
    for mark in sorted(
        crash.glob("*.killed"), key=lambda path: path.stat().st_mtime_ns
    ):
        role, when, door, path = mark.read_text().rstrip("\n").split(" ", 3)
        found.append((when, (role, door, path)))
    return found


def table(played: list[Share]) -> list[str]:
    """How many kills before and after: a line for each role, one for each row of the handbook."""
    kills = Counter((role, when) for one in played for when, (role, _, _) in one.killed)
    roles = sorted({role for role, _ in kills})
    said = [f"{'killed':<12}{'before':>8}{'after':>8}"]
    said += [
        f"{role:<12}{kills[role, 'before']:>8}{kills[role, 'after']:>8}"
        for role in roles
    ]
    said += [
        f"{'all':<12}{sum(kills[r, 'before'] for r in roles):>8}{sum(kills[r, 'after'] for r in roles):>8}",
        "",
    ]
    hits = Counter(
        (row, when)
        for one in played
        for when, (_, *effect) in one.killed
        if (row := handbook.row(*effect))
    )
    rows = [row for row in handbook.rows() if hits[row, "before"] + hits[row, "after"]]
    said += [
        f"{hits[r, 'before']:>8}{hits[r, 'after']:>8}  {r.door} {r.path}" for r in rows
    ]
    return said


def uncovered(played: list[Share], goal: str) -> list[str]:
    """What the handbook names for this goal and nobody was killed at; what happened and it does not name."""
    hits = {
        row
        for one in played
        for _, (_, *effect) in one.killed
        if (row := handbook.row(*effect))
    }
    due = [row for row in handbook.rows() if row.goals & {goal, "any"}]
    never = [f"never hit: {row.door} {row.path}" for row in due if row not in hits]
    made = {(door, path) for one in played for _, door, path in one.passed}
    return never + sorted(
        f"not in {handbook.PAGE.name}: {d} {p}"
        for d, p in made
        if handbook.row(d, p) is None
    )

"""A game from nothing to a goal with its daemons killed at random every few seconds, against one that nobody disturbs.

Both must end with the same files on main (the app and the design document), each task merged once, and every merge proved.
`--crank` kills make and the gates as well. Prints what was killed and how long it took; the exit code is 1 for a difference.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crash import lab
from support import games
from support.git_repos import sh

ASIDE = (
    "docs/game/",
    "docs/milestones/",
    "docs/debate/",
)  # of the game itself: who said what and when, what was random
TRIES = 12  # how often the command is typed; with --crank it dies as often as the rest
ENOUGH = 40  # kills, after which a game may end in peace


class End(msgspec.Struct):
    """What a game left: path → blob on main, task → how often it was merged, what is wrong, and how it went."""

    files: dict[str, str]
    merged: Counter[str]
    faults: list[str]
    killed: list[str]
    typed: int
    seconds: float


def play(
    from_: lab.Template,
    where: Path,
    goal: str,
    kills: random.Random | None,
    *,
    crank: bool,
    pause: float,
) -> End:
    """One game; with `kills` a daemon dies every few seconds until the goal is reached."""
    game, began = games.copy(from_.game, where), time.monotonic()
    over, killed = threading.Event(), list[str]()
    killer = threading.Thread(
        target=_kill, args=(game, kills, over, killed, crank, pause)
    )
    if kills is not None:
        killer.start()
    try:
        typed, said = _type(game, goal)
    finally:
        over.set()
        if kills is not None:
            killer.join()
    seconds = time.monotonic() - began
    games.make(game, "down", seconds=60)
    faults = [said] if said else []
    audit = games.catherd(game, "audit", seconds=120)
    faults += [audit.stdout[-2000:] + audit.stderr[-500:]] if audit.returncode else []
    faults += [f"is still there: {line}" for line in lab.living(game).values()]
    lab.end(game)
    return End(*_tree(game), faults, killed, typed, seconds)


def _type(game: Path, goal: str) -> tuple[int, str]:
    """Type the command until it is done; how often, and what it said last when it never was."""
    said = ""
    for n in range(1, TRIES + ENOUGH + 1):
        try:
            done = games.make(game, goal, seconds=900)
        except subprocess.TimeoutExpired:
            lab.end(game)
            return n, "it hung for 900 s"
        if done.returncode == 0:
            return n, ""
        said = (done.stdout + done.stderr)[-1500:]
    return n, f"not done after typing it {n} times: {said}"


def _kill(
    game: Path,
    draw: random.Random | None,
    over: threading.Event,
    killed: list[str],
    crank: bool,
    pause: float,
) -> None:
    assert draw is not None
    while not over.wait(draw.uniform(0.4 * pause, 1.6 * pause)):
        who = {
            pid: line
            for pid, line in lab.living(game).items()
            if crank or " agent agents/" in line
        }
        if len(killed) >= ENOUGH and crank:
            return
        if who:
            pid = draw.choice(sorted(who))
            killed += [_brief(who[pid])] if lab.kill(pid) else []


def _brief(line: str) -> str:
    """Who that was, in a few words."""
    words = line.rsplit("main(prog_name='catherd')", maxsplit=1)[-1].split()
    return (
        " ".join(
            words[-2:]
            if " agent agents/" in line
            else [os.path.basename(words[0]), *words[-1:]]
        )
        if words
        else line
    )


def _tree(game: Path) -> tuple[dict[str, str], Counter[str]]:
    rows = [
        row.split(None, 3)
        for row in sh(game, "ls-tree", "-r", "main", "--", "app", "docs").splitlines()
    ]
    files = {path: blob for _, _, blob, path in rows if not path.startswith(ASIDE)}
    subjects = sh(
        game, "log", "--first-parent", "--merges", "--format=%s", "main"
    ).splitlines()
    return files, Counter(subject.split("/")[1].split(":")[0] for subject in subjects)


def differences(want: End, got: End) -> list[str]:
    """What is not the same."""
    paths = sorted(
        path
        for path in want.files.keys() | got.files.keys()
        if want.files.get(path) != got.files.get(path)
    )
    found = [f"main differs in {path}" for path in paths]
    found += [
        f"{task} was merged {n} times" for task, n in got.merged.items() if n != 1
    ]
    return [
        *found,
        *(f"{task} is not on main" for task in want.merged if task not in got.merged),
        *got.faults,
    ]


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--goal", default="poc")
    parser.add_argument(
        "--seeds", type=int, default=1, help="so many disturbed games (1)"
    )
    parser.add_argument(
        "--pause", type=float, default=3.0, help="seconds between two kills, about (3)"
    )
    parser.add_argument(
        "--crank", action="store_true", help="kill make and the gates, too"
    )
    lab.heed_interrupts()
    told = parser.parse_args()
    room = Path(tempfile.mkdtemp(prefix="random-poc-"))
    from_ = lab.template(room)
    want = play(from_, room / "undisturbed", told.goal, None, crank=False, pause=0)
    print(
        f"undisturbed: {len(want.files)} files, {len(want.merged)} tasks, {want.seconds:.0f} s",
        *want.faults,
        flush=True,
    )
    wrong = bool(want.faults)
    for seed in range(told.seeds):
        got = play(
            from_,
            room / f"seed-{seed}",
            told.goal,
            random.Random(seed),
            crank=told.crank,
            pause=told.pause,
        )
        found = differences(want, got)
        wrong = wrong or bool(found)
        per = ", ".join(f"{n}x {who}" for who, n in Counter(got.killed).most_common())
        print(
            f"seed {seed}: {len(got.killed)} kills, typed {got.typed} times, {got.seconds:.0f} s",
            flush=True,
        )
        print(
            f"  killed {per}\n  " + ("\n  ".join(found) or "the same main"), flush=True
        )
    if wrong:
        print(f"look into {room}")
    else:
        shutil.rmtree(room)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())

"""Kill every process of a game at every effect, type the same command again, compare. `make crash-proof` runs it.

An undisturbed rehearsal of the goal counts the effects of each role: every daemon, the gates, the herd (what `make` does
before and after). Then, for each of them, a fresh game in which that process kills itself there, before or after; then
random kills of whole processes, make and git included; then gates killed where nobody types again and a daemon takes up
the work. Prints a table; the exit code is 1 when a game differed, or when an effect that the handbook names was never hit.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crash import compare, handbook, lab, shares
from crash.lab import Hit, Template, Trial

WHENS = ("before", "after")
SAME_TALK = {
    "debate"
}  # goals in which not only the result but every word is the same again


class Result(msgspec.Struct):
    """One trial: the kind of row that it counts in, what was done to it, what was hit, and what is wrong."""

    kind: str
    what: str
    hit: Hit | None
    faults: list[str]
    missed: bool = False


class Play(msgspec.Struct):
    """What all trials share."""

    from_: Template
    goal: str
    want: compare.Left
    room: Path


def undisturbed(
    from_: Template, room: Path, goal: str, name: str
) -> tuple[compare.Left, dict[str, list[tuple[str, str]]]]:
    """A game that nobody kills: what it leaves, and role → its effects."""
    trial = lab.begin(from_, room / name)
    before = compare.checkout(trial.game)
    rc, out = lab.typed(trial, goal, lab.environment(trial.crash))
    lab.at_rest(trial)
    if rc or trial.faults:
        raise SystemExit(
            f"the undisturbed game failed: exit {rc} {trial.faults}\n{out}"
        )
    counted = lab.effects(trial.crash)
    found = compare.left(trial.game)
    wrong = compare.faults(found, found, trial.game, 0)
    if wrong := wrong + [
        f"your checkout: {one}" for one in sorted(before ^ found.yours)
    ]:
        raise SystemExit("the undisturbed game is not sane:\n  " + "\n  ".join(wrong))
    lab.clear(trial)
    return found, counted


def at_effect(play: Play, hit: Hit, *, crank: bool = False) -> Result:
    """Kill a role at one effect."""
    where = play.room / f"{hit.role}-{hit.n}-{hit.when}{'-alone' if crank else ''}"
    trial, found = lab.killed_at(play.from_, where, play.goal, hit, crank=crank)
    kind = f"{hit.role}, nobody types again" if crank else hit.role
    wrong = _judge(play, trial, 1)
    return Result(kind, str(found or hit), found, wrong, missed=found is None)


def unkilled(play: Play) -> list[str]:
    """How a second game that nobody kills differs from the first: nothing may."""
    trial = lab.begin(play.from_, play.room / "unkilled")
    lab.type_again(trial, play.goal, lab.environment(trial.crash))
    return _judge(play, trial, 0)


def at_random(play: Play, seed: int) -> Result:
    """Kill whole processes at any time."""
    trial = lab.killed_at_random(
        play.from_, play.room / f"random-{seed}", play.goal, seed
    )
    killed = list(trial.killed)
    return Result(
        "whole processes",
        f"seed {seed}: {'; '.join(killed) or 'nobody'}",
        None,
        _judge(play, trial, len(killed)),
    )


def _judge(play: Play, trial: Trial, kills: int) -> list[str]:
    wrong = list(trial.faults)
    try:
        wrong += compare.faults(
            play.want,
            compare.left(trial.game),
            trial.game,
            kills,
            same_talk=play.goal in SAME_TALK,
        )
    except Exception as error:
        wrong.append(f"cannot be read: {type(error).__name__}: {error}")
    if not wrong:
        lab.clear(trial)
    return wrong


def points(
    counted: dict[str, list[tuple[str, str]]], whens: tuple[str, ...] = WHENS
) -> list[Hit]:
    """Every effect of every role, before and after, spread so that a run cut short has seen all of them a little."""
    every = [
        Hit(role, n, when, *effect)
        for role, made in counted.items()
        for n, effect in enumerate(made, 1)
        for when in whens
    ]
    return sorted(every, key=lambda hit: (hash_of(hit), hit.role, hit.n, hit.when))


def hash_of(hit: Hit) -> int:
    """A fixed shuffle."""
    return (
        hit.n * 7919 + len(hit.role) * 104729 + (hit.when == "after") * 31337
    ) % 10007


def sample(every: list[Hit], count: int) -> list[Hit]:
    """`count` points, spread over roles and doors in turn."""
    doors: dict[str, dict[str, list[Hit]]] = {}
    for hit in every:
        doors.setdefault(hit.door, {}).setdefault(hit.role, []).append(hit)
    queues = [list(roles.values()) for roles in doors.values()]
    chosen: list[Hit] = []
    while len(chosen) < min(count, len(every)):
        for queue in queues:
            if queue and len(chosen) < count:
                group = queue.pop(0)
                chosen.append(group.pop(0))
                queue.extend([group] if group else [])
    return chosen


def run(
    jobs: list[Callable[[], Result]], workers: int, say: Callable[[str], None]
) -> Iterator[Result]:
    """All jobs, some at a time, with a line of progress now and then and one for each game that differs."""
    began, told = time.monotonic(), 0.0
    with ThreadPoolExecutor(workers) as pool:
        for done, future in enumerate(
            as_completed([pool.submit(job) for job in jobs]), 1
        ):
            result = future.result()
            if result.faults:
                say(f"FAILED {result.what}\n  " + "\n  ".join(result.faults))
            if time.monotonic() - told > 10 or done == len(jobs):
                told = time.monotonic()
                say(f"{done} of {len(jobs)} after {told - began:.0f} s")
            yield result


def table(
    results: list[Result], counted: dict[str, list[tuple[str, str]]]
) -> list[str]:
    """The rows that are printed: per role, how many effects, kills, kills that came out right, failures, never reached."""
    kinds = list(
        dict.fromkeys(
            r.kind
            for r in sorted(results, key=lambda r: (r.kind not in counted, r.kind))
        )
    )
    rows: list[tuple[str, ...]] = [
        ("killed", "effects", "kills", "ok", "failed", "not reached")
    ]
    for kind in [*kinds, "all"]:
        of = [r for r in results if kind in {r.kind, "all"}]
        effects = (
            sum(map(len, counted.values()))
            if kind == "all"
            else len(counted.get(kind, [])) or ""
        )
        kills = [r for r in of if not r.missed]
        bad = sum(bool(r.faults) for r in of)
        cells = (
            kind,
            effects,
            len(kills),
            sum(not r.faults for r in kills),
            bad,
            len(of) - len(kills),
        )
        rows.append(tuple(map(str, cells)))
    widths = [max(len(row[n]) for row in rows) for n in range(6)]
    return [
        "  ".join(
            c.ljust(w) if n == 0 else c.rjust(w)
            for n, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def uncovered(
    goal: str, results: list[Result], counted: dict[str, list[tuple[str, str]]]
) -> list[str]:
    """What the handbook names and no kill hit; what happens and the handbook does not name."""
    rows = handbook.rows()
    hits = [r.hit for r in results if r.hit]
    due = [row for row in rows if row.goals & {goal, "any"}]
    never = [
        f"never hit: {r.door} {r.path}"
        for r in due
        if not any(r.matches(h.door, h.path) for h in hits)
    ]
    made = {effect for effects in counted.values() for effect in effects} | {
        (h.door, h.path) for h in hits
    }
    unnamed = sorted(
        f"not in {handbook.PAGE.name}: {d} {p}"
        for d, p in made
        if not any(r.matches(d, p) for r in rows)
    )
    return never + unnamed


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--goal", default="debate", help="the make target (debate)")
    parser.add_argument(
        "--shares",
        type=int,
        default=0,
        help="so many games, each with its share of all kills (0: a game for each)",
    )
    parser.add_argument(
        "--sample", type=int, default=0, help="so many effects instead of all"
    )
    parser.add_argument(
        "--random",
        type=int,
        default=40,
        help="so many random kills of whole processes (40)",
    )
    parser.add_argument(
        "--alone",
        type=int,
        default=8,
        help="so many gate kills where nobody types again (8)",
    )
    parser.add_argument(
        "--jobs", type=int, default=2, help="so many games at a time (2)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random kills")
    parser.add_argument(
        "--only",
        default="",
        help="just this one: ROLE:N:WHEN, a seed, or with --shares K/M[,K/M …]",
    )
    parser.add_argument(
        "--keep", default="", help="play in this directory instead of a temporary one"
    )
    return parser.parse_args()


def main() -> int:
    """The exit code."""
    lab.heed_interrupts()
    told = options()
    room = Path(told.keep or tempfile.mkdtemp(prefix="crash-proof-")).resolve()
    room.mkdir(parents=True, exist_ok=True)
    from_ = lab.template(room, told.goal)
    want, counted = undisturbed(from_, room, told.goal, "undisturbed")
    play = Play(from_, told.goal, want, room)
    print(
        f"{told.goal}: {sum(map(len, counted.values()))} effects of {len(counted)} roles; {lab.interpreter()}",
        flush=True,
    )
    if not told.only and (apart := unkilled(play)):
        raise SystemExit(
            "two games that nobody killed differ:\n  " + "\n  ".join(apart)
        )
    wrong = _shares(play, told) if told.shares else _each(play, counted, told)
    if wrong:
        print(f"look into {room}")
    elif not told.keep:
        shutil.rmtree(room)
    return int(wrong)


def _shares(play: Play, told: argparse.Namespace) -> bool:
    """So many games, each with its share of the kills; whether something is wrong."""
    which = (
        told.only.split(",")
        if told.only
        else [f"{k}/{told.shares}" for k in range(told.shares)]
    )
    played = []
    with ThreadPoolExecutor(told.jobs) as pool:
        jobs = {
            pool.submit(
                shares.play,
                play.from_,
                play.room / share.replace("/", "-of-"),
                play.goal,
                play.want,
                share,
            )
            for share in which
        }
        for future in as_completed(jobs):
            played.append(one := future.result())
            print(
                f"game {one.name}: {len(one.killed)} kills, typed {one.typed} times, {one.seconds:.0f} s",
                flush=True,
            )
            print(
                "".join(f"FAILED {fault}\n" for fault in one.faults), end="", flush=True
            )
    missing = [] if told.only else shares.uncovered(played, play.goal)
    print(
        "\n".join(
            [
                *shares.table(played),
                "",
                *(missing or ["every effect that the handbook names was hit"]),
            ]
        )
    )
    return bool(missing) or any(one.faults for one in played)


def _each(
    play: Play, counted: dict[str, list[tuple[str, str]]], told: argparse.Namespace
) -> bool:
    """A game for each effect, and the random ones; whether something is wrong."""
    every = points(counted)
    if told.only:
        jobs: list[Callable[[], Result]] = [_only(play, told.only)]
    else:
        chosen = sample(every, told.sample) if told.sample else every
        gates = [hit for hit in every if hit.role == "gate"]
        jobs = [partial(at_effect, play, hit) for hit in chosen]
        jobs += [partial(at_random, play, told.seed + n) for n in range(told.random)]
        jobs += [
            partial(at_effect, play, hit, crank=True)
            for hit in sample(gates, told.alone)
        ]
    results = list(run(jobs, told.jobs, lambda text: print(text, flush=True)))
    print("\n".join(table(results, counted)))
    missing = [] if told.only or told.sample else uncovered(told.goal, results, counted)
    print("\n".join(missing) or "every effect that the handbook names was hit")
    return any(r.faults for r in results) or bool(missing)


def _only(play: Play, word: str) -> Callable[[], Result]:
    if word.isdigit():
        return partial(at_random, play, int(word))
    role, n, when = word.split(":")
    return partial(at_effect, play, Hit(role, int(n), when))


if __name__ == "__main__":
    sys.exit(main())

"""Killing a live game, and waiting for an agent that never answers: what is bought, how often, and how long the others wait.

A sample; `make live-proof` (CATHERD_SWEEP=1) kills twenty debates.
"""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from catherd.bus import config, yaml_read
from catherd.bus.store import Bus
from catherd.core.messages import Answer, Ask, Call, Receipt
from catherd.herd import processes
from catherd.models import accounts
from support import games
from support.vendors import Fault, Seen, Vendors, rehearsed

pytestmark = pytest.mark.vendors

SWEEP = os.environ.get("CATHERD_SWEEP") == "1"


class Assassin:
    """Kills every process of the game at its n-th request to the vendors, with the answer on its way; n is drawn anew each time."""

    def __init__(self, game: Path, seed: int, kills: int) -> None:
        self.game, self.draw, self.left = game, random.Random(seed), kills
        self.make: subprocess.Popen[str] | None = None
        self.lock = threading.Lock()
        self.load()

    def load(self) -> None:
        """Draw when to shoot next."""
        self.after = self.draw.randrange(1, 9)

    def answer(self, seen: Seen) -> str:
        """The vendor's answer, after the shot that it is time for."""
        with self.lock:
            self.after -= 1
            if self.after == 0 and self.left > 0 and self.make is not None:
                self.left -= 1
                self.shoot(self.make)
        return rehearsed(seen)

    def shoot(self, make: subprocess.Popen[str]) -> None:
        """Kill -9: make with all that it started, and every daemon."""
        for group in [make.pid, *processes.living(Bus(str(self.game))).values()]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def play(self, server: Vendors) -> str:
        """Type the goal until it is reached; what the last one printed."""
        while True:
            told = games.env(LIVE="1", CATHERD_NO_CRANK="1", **server.environ())
            with self.lock:
                self.make = subprocess.Popen(
                    ["make", "debate"], cwd=self.game, env=told, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, text=True, start_new_session=True,
                )  # fmt: skip
            out, _ = self.make.communicate(timeout=240)
            if self.make.returncode == 0:
                return out
            assert self.make.returncode == -signal.SIGKILL, out
            self.load()


def words(system: str, said: list[dict[str, str]]) -> str:
    """A prompt as one hash."""
    told = [[one["role"], one["content"]] for one in said]
    return hashlib.sha256(msgspec.json.encode([system.strip(), told])).hexdigest()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(20 if SWEEP else 1))
def test_no_answer_is_bought_twice_however_often_the_game_is_killed(
    game: Path, seed: int
) -> None:
    assassin = Assassin(game, seed, kills=3 if SWEEP else 2)
    with Vendors(assassin.answer) as server:
        assassin.play(server)
        games.make(game, "down")
        billed = [
            (
                words(
                    one.system,
                    [{"role": m.role, "content": m.content} for m in one.messages],
                ),
                come,
                go,
            )
            for one, come, go in server.billed
        ]
    bus = Bus(str(game))
    answered: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    turns: Counter[str] = Counter()
    tokens = Counter[str]()
    for who in bus.names("runs"):
        for name in bus.names(f"runs/{who}"):
            if not name.endswith(".yaml") or name.endswith(".answer.yaml"):
                continue
            call = bus.must(f"runs/{who}/{name}", Call)
            answer = bus.get(
                f"runs/{who}/{name.removesuffix('.yaml')}.answer.yaml", Answer
            )
            (lost if answer is None else answered)[
                words(call.system, call.messages)
            ] += 1
            if answer is not None:
                turns[f"{who} {call.turn}"] += 1
                tokens["in"] += answer.prompt_tokens
                tokens["out"] += answer.completion_tokens
    assert assassin.left == 0
    assert set(turns.values()) == {
        1
    }  # nothing that the journal holds was asked for again
    bought = Counter(key for key, _, _ in billed)
    assert all(
        answered[key] <= bought[key] <= answered[key] + lost[key] for key in bought
    )
    assert (
        sum((bought - answered).values()) <= sum(lost.values()) <= 3 * 4
    )  # at most one call in the air per agent and kill
    price = {key: (come, go) for key, come, go in billed}
    repeats = bought - answered
    assert tokens["in"] == server.tokens[0] - sum(
        price[key][0] * n for key, n in repeats.items()
    )
    assert tokens["out"] == server.tokens[1] - sum(
        price[key][1] * n for key, n in repeats.items()
    )
    spent = accounts.entries(bus)
    assert sum(e.spent for e in spent) >= sum(e.usd for e in spent)
    assert len([e for e in spent if not e.answered]) == sum(lost.values())


def test_an_agent_that_falls_silent_costs_one_timebox_in_all(game: Path) -> None:
    """It pitches, then never answers again: the next gate waits for its whole timebox, no other one when all the others are in."""
    held: list[Seen] = []

    def fault(seen: Seen) -> Fault | None:
        if (
            "(`gemini`)" in seen.system
            and "round-1"
            not in seen.messages[0].content.rpartition("Your task: ")[2][:40]
        ):
            held.append(seen)
            return Fault(hold=True)
        return None

    with Vendors(None, fault) as server:
        done = games.make(
            game, "debate", seconds=240, LIVE="1", TIMEBOX="30s", **server.environ()
        )
        games.make(game, "down")
    assert done.returncode == 0, done.stdout + done.stderr
    bus = Bus(str(game))
    after: dict[str, float] = {}  # gate → seconds from the last answer until it closed
    for gate in config.phases(str(game))["debate"].gates.values():
        if gate.does == "ask":
            ask, receipt = (
                bus.must(f"{gate.step}/open.yaml", Ask),
                bus.must(f"gates/{gate.name}.yaml", Receipt),
            )
            assert receipt.absent == ([] if gate.name == "round-1" else ["gemini"])
            said = [
                yaml_read.loads(one.text, one.path).data["wrote"]["at"]
                for one in receipt.counted
            ]
            after[gate.name] = _seconds(receipt.closed) - max(map(_seconds, said))
            assert (
                gate.name != "round-2"
                or _seconds(receipt.closed) - _seconds(ask.opened) >= 30
            )
    assert [
        name for name, seconds in after.items() if seconds >= 20 and name != "round-2"
    ] == []
    assert len(held) == 1
    assert yaml_read.read_yaml(str(game / "bus" / "gates" / "decision.yaml")).data[
        "winner"
    ]


def _seconds(at: str) -> float:
    hours, minutes, rest = at.partition("T")[2].removesuffix("Z").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)

"""The goal of a live game typed again, its terminal closed, its herd told to stop: what is in flight is let be."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from catherd.bus import config
from catherd.bus.store import Bus
from catherd.core import ledger
from catherd.core.messages import Call, Game
from catherd.herd import budget, processes
from catherd.models import accounts
from crash import lab
from support import games, terminal
from support.typed import HERD, Typed, events, until
from support.vendors import Fault, Seen, Vendors, rehearsed

pytestmark = pytest.mark.vendors


@pytest.fixture
def game(tmp_path: Path) -> Iterator[Path]:
    """A game in which nothing was played; whoever lives in it at the end of the test is ended."""
    made = games.lay(tmp_path / "game")
    yield made
    lab.end(made)


@pytest.mark.timeout(300)
def test_calls_in_flight_outlive_a_closed_terminal_and_the_goal_typed_again(
    game: Path,
) -> None:
    """Also when it is typed where there are no keys. Only who was refused, and now has another key, is started again."""
    answers = threading.Event()

    def slow(seen: Seen) -> str:
        answers.wait(120)
        return rehearsed(seen)

    with Vendors(
        slow, lambda seen: Fault(401) if seen.key == "sk-wrong" else None
    ) as server:
        keys, wrong = server.environ(), {"OPENAI_API_KEY": "sk-wrong"}
        closed = Typed(game, "round-1", LIVE="1", **keys | wrong)
        until("all four have called", lambda: len(server.seen) == len(HERD), 120)
        until("one is refused", (game / "bus/problems/model-chatgpt.yaml").exists, 120)
        bus = Bus(str(game))
        born = processes.living(bus)
        closed.kill(signal.SIGKILL)
        closed.ended()
        again = Typed(game, "round-1", **keys)
        until("it is at the gate", lambda: "── round 1" in again.text)
        keyless = Typed(game, "round-1")
        until(
            "it follows",
            lambda: "round-1: another make is at it; following\n" in keyless.said,
        )
        now = processes.living(bus)
        assert {name for name, pid in now.items() if born[name] != pid} == {"chatgpt"}
        for name, pid in now.items():
            assert lab.living(game)[pid].rstrip() == f"catherd agent agents/{name}.yaml"
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            told = keys if name == "chatgpt" else keys | wrong
            assert {f"{key}={value}".encode() for key, value in told.items()} <= set(
                environ
            )
        answers.set()
        assert (again.ended(200), keyless.ended()) == (0, 0), again.text + keyless.text
    assert sorted(
        seen.key for seen, _, _ in server.billed if seen.vendor == "openai"
    ) == ["sk-loopback-openai"]
    assert (len(server.billed), len(server.seen)) == (len(HERD), len(HERD) + 1)
    assert sorted(events(game, "came")) == sorted([*HERD, "chatgpt"])
    assert ledger.uncertain(accounts.entries(bus)) == []


_HOLDER = """
import os, signal, sys
from catherd.bus import atomic
path, what = sys.argv[1:]
if what == "goes":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("wants", flush=True)
lock = atomic.take_lock(path, wait=True)
atomic.write_holder(lock, "agents/a.lock", os.getpid())
print("holds", flush=True)
while True:
    signal.pause()
"""


def holder(path: str, what: str) -> subprocess.Popen[str]:
    """A process that holds the lock as soon as it is free, and at SIGTERM "goes" or "stays"."""
    made = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, path, what], stdout=subprocess.PIPE, text=True
    )
    assert says(made) == "wants\n"
    return made


def says(child: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert child.stdout is not None
    return child.stdout.readline()


def test_only_who_was_told_to_stop_and_does_not_is_killed(tmp_path: Path) -> None:
    """Not who takes its place meanwhile."""
    (tmp_path / "bus" / "agents").mkdir(parents=True)
    bus = Bus(str(tmp_path))
    path = bus.here("agents/a.lock")
    for what, left in (("goes", 0), ("stays", -signal.SIGKILL)):
        told = holder(path, what)
        assert says(told) == "holds\n"
        heir = holder(path, "stays")
        assert processes.stop_daemons(bus, patience=0.3) == ["a"]
        assert told.wait(10) == left
        assert says(heir) == "holds\n"
        assert heir.poll() is None
        heir.kill()
        heir.wait()


# Before it begins


def test_a_rehearsal_is_put_away_after_the_estimate_and_your_yes_and_not_before(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    bus = Bus(str(game))
    old = bus.must("game.yaml", Game)
    with Vendors(None, lambda _seen: Fault(hold=True)) as server:
        told, argv = (
            games.env(LIVE="1", **server.environ()),
            [".venv/bin/catherd", "begin", "debate"],
        )
        no = terminal.play(game, argv, told, [("play live? y/n ", "n\n")])
        kept = bus.must("game.yaml", Game)
        yes = terminal.play(
            game,
            argv,
            told,
            [("play live? y/n ", "y\n"), ("what should they build?", "A bell.\n")],
        )
        living = processes.living(bus)
        games.catherd(game, "down")
    assert (
        "LIVE=1 costs at most $2.00 for debate (caps: in bus/game.yaml)\nplay live? y/n "
        in no.text
    )
    assert (no.code, kept) == (1, old)
    assert yes.code == 0, yes.text
    assert (
        f"the rehearsal {old.id} goes to bus/archive/; a live game begins\n" in yes.text
    )
    assert sorted(living) == list(HERD)
    new = bus.must("game.yaml", Game)
    assert (new.models, new.brief) == ("live", "A bell.")


def test_what_a_rehearsal_played_is_counted_in_what_live_costs_at_most(
    finished_game: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    root = str(finished_game)
    for asked in (True, False):
        lines = budget.offer_budget(
            Bus(root), config.agents(root), config.phases(root), "plan", asked=asked
        )
        assert (
            lines[-1]
            == "LIVE=1 costs at most $7.00 for debate, plan (caps: in bus/game.yaml)"
        )


def test_a_live_game_goes_on_without_the_file_of_one_who_plays_and_says_what_is_left(
    game: Path,
) -> None:
    """Only its beginning: all agents run elsewhere, so that nobody is started and nothing is called."""
    for path in (game / "agents").glob("*.yaml"):
        path.write_text(f"{path.read_text().rstrip()}\nruns: elsewhere\n")
    bus = Bus(str(game))
    (game / "bus/.tmp").mkdir()
    cast = {
        "chatgpt": {"model": "openai/gpt-6-sol"},
        "claude": {"model": "anthropic/claude-opus-5-5"},
    }
    cast["gemini"] = {"sits_out": "no key: set GEMINI_API_KEY"}
    bus.post(
        "game.yaml",
        Game(
            id="g-1",
            roll=["chatgpt", "claude"],
            branch="main",
            models="live",
            cast=cast,
        ),
    )
    call = Call(
        turn="debate/round-1.pitch.1",
        model="m",
        sha256="p",
        reserved_usd=0.05,
        phase="debate",
    )
    bus.post("runs/claude/debate.round-1.pitch.1.1.yaml", call)
    (game / "agents/chatgpt.yaml").unlink()
    (game / "agents/gemini.yaml").unlink()
    playing = "live: chatgpt (openai/gpt-6-sol), Claude (anthropic/claude-opus-5-5)"
    begun = games.catherd(game, "begin", "plan", LIVE="1", AGENTS="wildcard")
    assert begun.returncode == 0, begun.stderr
    assert begun.stdout.splitlines()[:3] == [
        playing,
        "sitting out: gemini (no key: set GEMINI_API_KEY)",
        "$0.05 spent; at most $6.95 more for debate, plan (caps: in bus/game.yaml)",
    ]
    costs = games.catherd(game, "costs")
    assert (costs.returncode, costs.stdout.splitlines()[0]) == (0, playing), (
        costs.stderr
    )
    assert games.catherd(game, "status").returncode == 0

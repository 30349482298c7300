"""Keys and money at the table: what is said first, who sits out, what a cap does, and that the herd gets the keys."""

import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest

from catherd.answers import journal
from catherd.bus import yaml_read
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.messages import Call, Game
from catherd.core.model import ModelError, Reply, Request, Said
from catherd.herd import processes
from catherd.models import cast
from support import games
from support.vendors import Vendors


def test_without_any_key_nobody_plays_live_and_nothing_is_begun(game: Path) -> None:
    done = games.make(game, "debate", LIVE="1")
    assert done.returncode == 2
    assert "catherd: LIVE=1: no key was found, so nobody can play live\n" in done.stderr
    assert "or leave LIVE=1 away for a rehearsal, which is free\n" in done.stderr
    assert not (game / "bus" / "game.yaml").exists()


def test_on_a_terminal_it_asks_after_the_estimate_and_a_no_begins_nothing(
    game: Path,
) -> None:
    with Vendors() as server:
        ours, theirs = pty.openpty()
        told = games.env(LIVE="1", BRIEF="x", **server.environ())
        make = subprocess.Popen(
            ["make", "debate"],
            cwd=game,
            env=told,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        screen = ""
        while "play live? y/n " not in screen:
            screen += os.read(ours, 4096).decode()
        os.write(ours, b"n\n")
        try:
            while part := os.read(ours, 4096):
                screen += part.decode()
        except OSError:
            pass  # a terminal that nobody holds any more
        os.close(ours)
        assert make.wait(30) == 2
    assert "LIVE=1 costs at most $2.00 for debate (caps: in bus/game.yaml)" in screen
    assert "not begun; nothing was called" in screen
    assert server.seen == []
    assert not (game / "bus" / "game.yaml").exists()


def test_who_has_no_key_sits_out_and_a_cap_pauses_the_game_until_you_raise_it(
    game: Path,
) -> None:
    """One game: a herd that was started without keys, an agent that has none, one on another's model, one that is broke."""
    file = game / "agents" / "chatgpt.yaml"
    file.write_text(
        file.read_text().replace(
            "limits: {usd: 8, minutes: 10}", "limits:\n  usd: 0.05"
        )
    )
    assert games.make(game, "up").returncode == 0
    before = processes.living(Bus(str(game)))
    with Vendors() as server:
        keys = {k: v for k, v in server.environ().items() if not k.startswith("GEMINI")}
        done = games.make(game, "debate", seconds=200, LIVE="1", **keys)
        assert done.returncode == 2, done.stdout
        line = next(
            n
            for n, text in enumerate(file.read_text().splitlines(), 1)
            if "usd" in text
        )
        assert f"catherd: needs you: agents/chatgpt.yaml:{line}:" in done.stderr
        assert "ChatGPT waits: the cap 'agent' of $0.05 leaves $" in done.stderr
        assert (
            "fix: raise `usd:` under `limits:` there, then make debate\n" in done.stderr
        )
        status = games.catherd(game, "status").stdout
        assert "paused (rm bus/PAUSE goes on)" in status
        assert "gemini       sits out        no key: set GEMINI_API_KEY" in status
        assert "on anthropic/claude-sonnet-5-5, for want of a key for " in status
        file.write_text(file.read_text().replace("usd: 0.05", "usd: 5"))
        again = games.make(game, "debate", seconds=200, **keys)
        games.make(game, "down")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "sitting out: Gemini (no key: set GEMINI_API_KEY)" in done.stdout
    assert "Wildcard on claude-sonnet-5-5" in again.stdout
    assert again.stdout.startswith(
        "live: ChatGPT (openai/gpt-6-sol), Claude (anthropic/claude-opus-5-5), Wildcard ("
    )
    assert set(before) == {"chatgpt", "claude", "gemini", "wildcard"}
    bus = Bus(str(game))
    assert bus.must("game.yaml", Game).roll == ["chatgpt", "claude", "wildcard"]
    assert bus.names("problems") == []
    drawn = [
        m.text
        for stem, m in bus.chat().items()
        if stem.endswith(".wildcard") and m.wrote.get("turn") == "line/cast"
    ]
    assert len(drawn) == 1
    assert drawn[0].startswith(
        "drawn for this game: I am anthropic/claude-sonnet-5-5 (for want of a key for "
    )
    assert yaml_read.read_yaml(str(game / "bus" / "gates" / "decision.yaml")).data[
        "winner"
    ]


def test_the_draw_follows_from_the_seed_and_takes_a_model_that_has_a_key() -> None:
    draw = {
        "model": ["mistral/a", "deepseek/b", "moonshot/c"],
        "temper": ["wild", "tame", "tired"],
    }
    wild = Agent(
        id="wild",
        name="Wild",
        model="mistral/a",
        temper="wild",
        draw=draw,
        also=["anthropic/claude-sonnet-5-5"],
    )
    two = {"DEEPSEEK_API_KEY": "k", "MOONSHOT_API_KEY": "k"}
    made = [cast.settle_cast({"wild": wild}, two, seed)["wild"] for seed in range(40)]
    assert made == [
        cast.settle_cast({"wild": wild}, two, seed)["wild"] for seed in range(40)
    ]
    assert {one["model"] for one in made} == {"deepseek/b", "moonshot/c"}
    assert {one["temper"] for one in made} == {"wild", "tame", "tired"}
    other = cast.settle_cast({"wild": wild}, {"ANTHROPIC_API_KEY": "k"}, 1)["wild"]
    assert other["model"] == "anthropic/claude-sonnet-5-5"
    assert other["instead_of"] in draw["model"]
    played = cast.cast_agent(
        wild, Game(id="g", roll=["wild"], models="live", cast={"wild": other})
    )
    assert (played.model, played.temper, played.also) == (
        other["model"],
        other["temper"],
        [],
    )
    assert (
        cast.cast_agent(wild, Game(id="g", roll=["wild"], cast={"wild": other})) == wild
    )
    assert cast.vendors(
        {"wild": wild}, Game(id="g", roll=["wild"], models="live", cast={"wild": other})
    ) == {"wild": "anthropic"}


class _Cut:
    """Answers half a sentence, until there is room for a whole one."""

    def __init__(self, enough: int) -> None:
        self.enough = enough
        self.asked: list[Request] = []

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        cut = request.max_tokens < self.enough
        return Reply(
            "half an" if cut else "a whole one", "m", finish="length" if cut else "stop"
        )


@pytest.mark.parametrize(
    ("enough", "said", "rooms"),
    [(150, "a whole one", [100, 200]), (900, None, [100, 200, 200])],
)
def test_half_an_answer_is_never_taken_for_a_whole_one(
    tmp_path: Path, enough: int, said: str | None, rooms: list[int]
) -> None:
    (tmp_path / "bus" / ".tmp").mkdir(parents=True)
    bus, model = Bus(str(tmp_path)), _Cut(enough)
    ask = Request(
        "a", "debate/round-1.pitch.1", "m", "s", (Said("user", "Pitch."),), 100
    )
    for _ in range(2):  # the second time from the journal alone
        assert (
            journal.converse(bus, model, ask, lambda _r: 0.0, lambda _t, _l: "") == said
        )
    assert [one.max_tokens for one in model.asked] == rooms
    assert (
        model.asked[1].messages[-1].content
        == f"{journal.CUT}\n\nReturn the full document again, corrected, and nothing else."
    )


def test_twice_the_room_is_twice_what_the_yaml_says_where_it_says_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "bus" / ".tmp").mkdir(parents=True)
    model = _Cut(150)
    told = {"max_tokens": "300", "effort": "low"}
    ask = Request(
        "a",
        "debate/round-1.pitch.1",
        "m",
        "s",
        (Said("user", "Pitch."),),
        100,
        options=told,
    )
    journal.converse(Bus(str(tmp_path)), model, ask, lambda _r: 0.0, lambda _t, _l: "")
    assert [one.options for one in model.asked] == [
        told,
        {"max_tokens": "600", "effort": "low"},
    ]


def test_the_chat_is_paid_by_the_phase_that_is_on(tmp_path: Path) -> None:
    (tmp_path / "bus" / ".tmp").mkdir(parents=True)
    bus = Bus(str(tmp_path))
    ask: Any = Request(
        "a", "chat/x.reply.1", "m", "s", (Said("user", "x"),), phase="plan"
    )
    journal.converse(bus, _Cut(0), ask, lambda _r: 0.0, lambda _t, _l: "")
    assert bus.must("runs/a/chat.x.reply.1.1.yaml", Call).phase == "plan"


def test_what_others_have_in_the_air_is_waited_for_and_is_no_reason_to_ask_you(
    tmp_path: Path,
) -> None:
    from catherd.bus import atomic
    from catherd.models import accounts

    (tmp_path / "bus" / ".tmp").mkdir(parents=True)
    (tmp_path / "bus" / "agents").mkdir()
    bus, me = Bus(str(tmp_path)), Agent(id="a", name="A", model="m")
    bus.post(
        "runs/b/debate.round-1.pitch.1.1.yaml",
        Call(turn="t", model="m", sha256="p", reserved_usd=1.9, phase="debate"),
    )
    with pytest.raises(
        accounts.CapReached
    ):  # nobody waits for it: it may have been billed
        accounts.allow(bus, me, Game(id="g", roll=["a"]), "debate", 0.5, {})
    lock = atomic.take_lock(bus.here("agents/b.lock"), wait=False)
    assert lock is not None
    with pytest.raises(ModelError) as error:
        accounts.allow(bus, me, Game(id="g", roll=["a"]), "debate", 0.5, {})
    os.close(lock)
    assert (error.value.kind, error.value.retry_after_s) == ("rate_limited", 2.0)

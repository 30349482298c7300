"""A model that gives no answer: how long its agent rests, what a person learns of it, and how it begins anew."""

import os
import re
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from catherd.bus import config, yaml_read
from catherd.bus.store import Bus
from catherd.core.messages import Ask, Game, Trouble
from catherd.core.model import ModelError
from catherd.core.turns import Snapshot, Speak
from catherd.game import lifecycle as games_
from catherd.herd import processes
from catherd.herd.daemon import Daemon, Leave
from catherd.models import accounts, cooldown
from support import games
from support.typed import until
from support.vendors import Fault, Seen, Vendors

pytestmark = pytest.mark.vendors

HTML = Fault(body=b"<html>Welcome</html>", kind="text/html")
LOST = "lost; it may have been billed"


@pytest.mark.parametrize(
    ("kind", "what", "asked", "rests"),
    [
        ("timeout", "late", None, [2, 8, 32, 128, 512, 2048, 3600]),
        ("unavailable", "down", None, [5, 20, 80, 320, 1280, 3600]),
        ("unavailable", LOST, None, [5, 20, 0, 3600, 3600]),
        ("rate_limited", "too many", None, [30, 120, 480, 1920, 3600]),
        ("rate_limited", "too many", 700.0, [700, 700, 700]),
        ("unavailable", "down", 1e9, [86400]),
        ("auth", "no", None, [0, 0, 0, 0]),
        ("refused", LOST, 99.0, [0, 0, 0, 0]),
    ],
)
def test_an_agent_rests_longer_with_each_failure(
    kind: str, what: str, asked: float | None, rests: list[float]
) -> None:
    error = ModelError(kind, what, retry_after_s=asked)
    assert [cooldown.rest(error, n) for n in range(1, len(rests) + 1)] == rests


class Table(msgspec.Struct):
    """A daemon of ChatGPT in a live game that asks it for a pitch."""

    bus: Bus
    daemon: Daemon
    snapshot: Snapshot

    def ask(self) -> None:
        """Its turn, without the rest that it would take before."""
        self.daemon.setback.until = 0.0
        assert self.snapshot.asks
        assert self.snapshot.game is not None
        self.daemon.do(Speak(self.snapshot.asks[0]), self.snapshot.game)

    def told(self) -> Trouble | None:
        return self.bus.get("problems/model-chatgpt.yaml", Trouble)


def table(root: Path, **lines: str) -> Table:
    file = root / "agents" / "chatgpt.yaml"
    kept = [
        line
        for line in file.read_text().splitlines()
        if line.partition(":")[0] not in lines
    ]
    file.write_text(
        "\n".join([*kept, *(f"{key}: {value}" for key, value in lines.items())]) + "\n"
    )
    bus = Bus(str(root))
    games_.lay(bus)
    game = Game(id="g", roll=["chatgpt"], models="live")
    asked = Ask(
        gate="round-1",
        step="debate/round-1",
        kind="pitch",
        template="debate/round-1.md.j2",
        roll=["chatgpt"],
    )
    bus.post("game.yaml", game)
    (root / "bus" / "goal").write_text("debate\n")
    daemon = Daemon(bus, config.agent(str(root), "agents/chatgpt.yaml"))
    return Table(bus, daemon, Snapshot(game=game, goal="debate", asks=(asked,)))


def test_a_wrong_address_is_named_with_its_line_and_costs_three_calls(
    game: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with Vendors(lambda _: "", lambda _: HTML) as server:
        at = table(game, options=f'{{api_base: "{server.base("openai")}"}}')
        for made in (1, 2, 3):
            assert at.told() is None
            at.ask()
            assert len(server.seen) == made
        assert at.daemon.turn(at.snapshot) is None  # given up
        spent = sum(one.spent for one in accounts.entries(at.bus))
        line = len((game / "agents" / "chatgpt.yaml").read_text().splitlines())
        what = (
            "ChatGPT (openai/gpt-6-sol) cannot answer, 3 calls in a row: the answer was cut off or is not what this vendor "
            f"sends; it may have been billed; ${spent:.4f} is booked for its calls without an answer"
        )
        assert (told := at.told()) is not None
        assert (told.where, told.what, told.fix, told.until) == (
            f"agents/chatgpt.yaml:{line}:21",
            what,
            "correct `api_base:` in agents/chatgpt.yaml, then make debate",
            "",
        )
        at.ask()  # another turn, for which it is no better
        assert (told := at.told()) is not None
        assert f"4 calls in a row: {what[60:90]}" in told.what
        assert told.what.endswith(f"; it tries again at {cooldown.clock(told.until)}")
        assert at.daemon.rests()


def test_an_unreachable_server_is_told_at_the_third_failure_and_booked_at_nothing(
    game: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    at = table(game)
    for _ in range(3):
        at.daemon.unanswered(
            Speak(at.snapshot.asks[0]),
            ModelError("unavailable", "the server cannot be reached", requests=6),
            game_of(at),
        )
    assert (told := at.told()) is not None
    assert re.sub(r"\d\d:\d\d", "…", told.what) == (
        "ChatGPT (openai/gpt-6-sol) cannot answer, 3 calls in a row: the server cannot be reached; it tries again at … UTC"
    )
    assert told.fix == "correct or unset OPENAI_BASE_URL, then make debate"
    monkeypatch.delenv("OPENAI_BASE_URL")
    at.daemon.unanswered(
        Speak(at.snapshot.asks[0]),
        ModelError("unavailable", "the server cannot be reached", requests=6),
        game_of(at),
    )
    assert (told := at.told()) is not None
    assert (
        told.fix == "look whether the network and the vendor are up, then make debate"
    )


def game_of(at: Table) -> Game:
    assert at.snapshot.game is not None
    return at.snapshot.game


@pytest.mark.parametrize(
    ("kind", "what", "fix"),
    [
        (
            "auth",
            "the key is missing",
            "export OPENAI_API_KEY= with a key that is valid, then make debate",
        ),
        (
            "quota",
            "no credit",
            "raise what the account of OPENAI_API_KEY may spend, or name another `model:` in agents/chatgpt.yaml, then make debate",
        ),
        (
            "not_found",
            "no such model",
            "correct `model:` in agents/chatgpt.yaml, then make debate",
        ),
        (
            "unpriced",
            "unknown",
            "write `options: {price: 2.50/10.00}` into agents/chatgpt.yaml, then make debate",
        ),
        (
            "refused",
            "options: 'x' is not known",
            "correct `options:` in agents/chatgpt.yaml, then make debate",
        ),
        (
            "too_long",
            "too long",
            "name another `model:` in agents/chatgpt.yaml, then make debate; or write its answer yourself",
        ),
    ],
)
def test_each_failure_that_is_yours_to_mend_is_told_at_once_with_the_one_thing_to_change(
    game: Path, kind: str, what: str, fix: str
) -> None:
    at = table(game)
    at.daemon.unanswered(
        Speak(at.snapshot.asks[0]), ModelError(kind, what, requests=1), game_of(at)
    )
    assert (told := at.told()) is not None
    assert (told.what, told.fix) == (
        f"ChatGPT (openai/gpt-6-sol) cannot answer: {what}",
        fix,
    )


def test_a_failure_says_no_key(game: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-very-key-itself")
    at = table(game)
    error = ModelError("auth", "wrong (HTTP 401, sk-the-very-key-itself)", requests=1)
    at.daemon.unanswered(Speak(at.snapshot.asks[0]), error, game_of(at))
    assert (told := at.told()) is not None
    assert "sk-the-very" not in told.what


def test_an_answer_takes_back_what_was_told_and_counts_from_the_start(
    game: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with Vendors(None, lambda seen: HTML if seen.n <= 3 else None) as server:
        at = table(game, options=f'{{api_base: "{server.base("openai")}"}}')
        for _ in range(3):
            at.ask()
        assert at.told() is not None
        at.ask()
    assert at.told() is None
    assert at.daemon.setback == cooldown.Setback()
    assert (game / "bus" / "debate" / "round-1" / "chatgpt.yaml").is_file()


def test_a_daemon_leaves_to_begin_anew_when_what_was_told_of_its_model_is_taken_back(
    game: Path,
) -> None:
    at = table(game)
    error = ModelError(
        "rate_limited", "too many requests", retry_after_s=4000, requests=1
    )
    at.daemon.unanswered(Speak(at.snapshot.asks[0]), error, game_of(at))
    assert at.daemon.turn(at.snapshot) is None
    again = Daemon(at.bus, at.daemon.agent)  # as one that was killed is started again
    assert again.turn(at.snapshot) is None
    assert abs(again.setback.until - at.daemon.setback.until) < 2
    (game / "bus" / "problems" / "model-chatgpt.yaml").unlink()
    with pytest.raises(Leave):
        at.daemon.turn(at.snapshot)
    assert Daemon(at.bus, at.daemon.agent).turn(at.snapshot) is not None


def test_make_and_status_say_whose_model_fails_and_until_when_an_agent_waits(
    game: Path,
) -> None:
    """Claude's vendor wants an hour of quiet, ChatGPT's key is wrong. A daemon that is killed while it waits goes on waiting."""
    asked: dict[str, int] = {}

    def fault(seen: Seen) -> Fault | None:
        name = next(n for n in ("claude", "chatgpt") if f"(`{n}`)" in seen.system)
        asked[name] = asked.get(name, 0) + 1
        limits = Fault(429, "rate_limit_error", {"retry-after": "3600"})
        return limits if name == "claude" else Fault(401, "invalid_api_key")

    bus, screen = Bus(str(game)), game.parent / "screen.txt"
    with Vendors(None, fault) as server, screen.open("w") as out:
        told = games.env(LIVE="1", AGENTS="claude chatgpt", **server.environ())
        make = subprocess.Popen(
            ["make", "round-1"],
            cwd=game,
            env=told,
            stdin=subprocess.DEVNULL,
            stdout=out,
        )
        until("both are told", lambda: screen.read_text().count("look at ") == 2, 90)
        before = processes.pid_of(bus, "claude")
        assert before is not None
        os.kill(before, signal.SIGKILL)
        until(
            "it lives again",
            lambda: processes.pid_of(bus, "claude") not in {None, before},
            90,
        )
        status = games.catherd(game, "status").stdout
        games.make(game, "down")
        make.wait(60)
    assert asked == {"claude": 1, "chatgpt": 1}
    at = cooldown.clock(
        yaml_read.read_yaml(str(game / "bus/problems/model-claude.yaml")).data["until"]
    )
    quiet = f"until {at}: too many requests (HTTP 429, rate_limit_error)"
    wrong = "cannot answer: the key is missing, wrong or not allowed to do this (HTTP 401, invalid_api_key)"
    fix = "export OPENAI_API_KEY= with a key that is valid, then make round-1"
    said = screen.read_text()
    assert (
        f"look at agents/claude.yaml: Claude (anthropic/claude-opus-5-5) waits {quiet}\n"
        in said
    )
    assert (
        f"look at agents/chatgpt.yaml:6:6: ChatGPT (openai/gpt-6-sol) {wrong}\n  fix: {fix}\n"
        in said
    )
    needs, _, rows = status.partition("agents\n")
    assert fix in needs
    assert "Claude" not in needs
    assert re.search(rf"^  claude +waits +until {at}", rows, re.MULTILINE)
    assert "too many requests (HTTP 429, rate_limit_error)" in " ".join(rows.split())
    assert re.search(r"^  chatgpt +alive +its model fails", rows, re.MULTILINE)


def test_what_was_corrected_holds_as_soon_as_the_goal_is_typed_again(
    game: Path,
) -> None:
    """In another terminal, while the first one waits: the daemon begins anew with the YAML of now, nobody else is disturbed."""
    bus, screen, file = (
        Bus(str(game)),
        game.parent / "screen.txt",
        game / "agents" / "claude.yaml",
    )
    good = file.read_text()
    file.write_text(good + "options: {effort: huge}\n")
    with Vendors() as server, screen.open("w") as out:
        told = games.env(LIVE="1", AGENTS="claude chatgpt", **server.environ())
        make = subprocess.Popen(
            ["make", "round-1"],
            cwd=game,
            env=told,
            stdin=subprocess.DEVNULL,
            stdout=out,
        )
        until("it is told", lambda: "look at " in screen.read_text(), 90)
        other = processes.pid_of(bus, "chatgpt")
        file.write_text(good)
        done = games.make(
            game,
            "round-1",
            seconds=120,
            LIVE="1",
            AGENTS="claude chatgpt",
            **server.environ(),
        )
        make.wait(60)
        assert processes.pid_of(bus, "chatgpt") in {None, other}
    assert (make.returncode, done.returncode) == (0, 0), (
        screen.read_text() + done.stdout + done.stderr
    )
    assert (
        "Claude (anthropic/claude-opus-5-5) cannot answer: options: effort is low, medium or high\n"
        "  fix: correct `options:` in agents/claude.yaml, then make round-1\n"
    ) in screen.read_text()
    assert "round-1 closed: 2 of 2 heard\n" in screen.read_text()
    assert len(server.billed) == 2
    assert bus.names("problems") == []

"""Real herds: who starts, who follows, who goes on, who leaves. Real processes, real signals; events are awaited."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from catherd.bus import atomic
from crash import lab
from support import games
from support.git_repos import sh
from support.typed import HERD, Typed, events, until

pytestmark = pytest.mark.herd


@pytest.fixture
def game(tmp_path: Path) -> Iterator[Path]:
    """A game in which nothing was played; whoever lives in it at the end of the test is ended."""
    made = games.lay(tmp_path / "game")
    yield made
    lab.end(made)


def asked(game: Path, *agents: str, step: str = "round-1") -> bool:
    """Whether each of the agents has asked its model for an answer of that step."""
    return all(
        list((game / "bus/runs" / a).glob(f"debate.{step}.*.1.1.yaml"))
        for a in agents or HERD
    )


def alive(game: Path, *agents: str) -> list[str]:
    """Who lives."""
    return [
        a for a in agents or HERD if atomic.is_held(str(game / f"bus/agents/{a}.lock"))
    ]


def pid_of(game: Path, agent: str) -> int:
    """Who holds the lock, as it says."""
    return int(yaml.safe_load((game / f"bus/agents/{agent}.lock").read_text())["pid"])


def receipts(game: Path) -> list[str]:
    """The closed gates."""
    return sorted(path.stem for path in (game / "bus/gates").glob("*.yaml"))


def test_a_goal_that_is_typed_twice_at_once_is_reached_once(game: Path) -> None:
    (game / "bus/PAUSE").touch()
    first = Typed(game, "debate")
    until("the ask is open", (game / "bus/debate/round-1/open.yaml").exists)
    second = Typed(game, "debate")
    until(
        "the second follows",
        lambda: "round-1: another make is at it; following\n" in second.said,
    )
    (game / "bus/PAUSE").unlink()
    assert (first.ended(), second.ended()) == (0, 0), first.text + second.text
    assert sh(game, "log", "--format=%s", "main").splitlines()[1:] == ["start"]
    assert sorted(events(game, "came")) == list(HERD)
    assert all(
        len(list((game / "bus/runs" / a).glob("debate.round-1.*.answer.yaml"))) == 1
        for a in HERD
    )


def test_interrupt_clears_the_goal_and_the_herd_leaves(game: Path) -> None:
    (game / "bus/PAUSE").touch()
    typed = Typed(game, "debate")
    until(
        "the gate waits",
        lambda: (
            (game / "bus/debate/round-1/open.yaml").exists()
            and alive(game) == list(HERD)
        ),
    )
    typed.kill(signal.SIGINT)
    assert typed.ended() != 0
    assert "stopped; the same command goes on from here\n" in typed.said
    until("everybody left", lambda: not lab.living(game))
    assert not (game / "bus/goal").exists()
    assert events(game, "crank-taken-up") == []
    (game / "bus/PAUSE").unlink()
    assert games.make(game, "debate").returncode == 0


@pytest.mark.parametrize("patience", [0.05, 0.2, 0.4])
def test_interrupt_at_any_moment_leaves_no_goal_behind(
    game: Path, patience: float
) -> None:
    """Also while `make` starts a step and no code of ours runs yet that could hear it."""
    (game / "bus/PAUSE").touch()
    typed = Typed(game, "debate")
    threading.Event().wait(patience)
    typed.kill(signal.SIGINT)
    assert typed.ended() != 0
    until("everybody left", lambda: not lab.living(game))
    assert not (game / "bus/goal").exists()


def test_make_down_elsewhere_ends_the_command_and_nobody_is_started_again(
    game: Path,
) -> None:
    (game / "bus/PAUSE").touch()
    typed = Typed(game, "debate")
    until(
        "the gate waits",
        lambda: (
            (game / "bus/debate/round-1/open.yaml").exists()
            and alive(game) == list(HERD)
        ),
    )
    assert (
        games.make(game, "down").stdout
        == "stopped: chatgpt, claude, gemini, wildcard\n"
    )
    assert typed.ended() == 2
    assert (
        "catherd: bus/goal: stopped: the goal was cleared\n  fix: make debate\n"
        in typed.text
    )
    until("everybody left", lambda: not lab.living(game))


def test_a_daemon_takes_up_a_killed_command_and_goes_to_its_goal_and_no_further(
    game: Path,
) -> None:
    typed = Typed(game, "round-1", "STEP=1")
    until("the ask is open", (game / "bus/debate/round-1/open.yaml").exists)
    for pid, line in lab.living(game).items():
        if "catherd agent" not in line:
            lab.kill(pid)
    typed.ended()
    until("a daemon took it up", lambda: events(game, "crank-taken-up") == ["round-1"])
    until(
        "it waits",
        lambda: "STEP=1 holds every gate" in games.make(game, "status").stdout,
    )
    assert (
        "· on the way to round-1, running without a terminal\n"
        in games.make(game, "status").stdout
    )
    assert receipts(game) == []
    assert games.make(game, "go").returncode == 0
    until("everybody left", lambda: not lab.living(game))
    assert receipts(game) == ["round-1"]
    assert not (game / "bus/goal").exists()
    assert not (game / "bus/debate/round-2/open.yaml").exists()


def test_a_removed_bus_is_left_within_seconds_and_stays_removed(game: Path) -> None:
    typed = Typed(game, "debate", REHEARSAL_LATENCY="60")
    until(
        "everybody is in a call and the gate waits",
        lambda: asked(game) and "── round 1" in typed.text,
    )
    shutil.rmtree(game / "bus")
    assert typed.ended(10) == 2
    assert (
        "catherd: bus/: was removed while the game was on\n  fix: .venv/bin/catherd bus restore\n"
        in typed.text
    )
    until("everybody left", lambda: not lab.living(game), 10)
    assert not (game / "bus").exists()


def test_a_bus_that_is_another_directory_is_left(game: Path) -> None:
    typed = Typed(game, "debate", REHEARSAL_LATENCY="60")
    until("everybody is in a call", lambda: asked(game))
    typed.kill(signal.SIGKILL)
    for pid, line in lab.living(game).items():
        if "catherd gate" in line:
            lab.kill(pid)
    (game / "bus").rename(game / "elsewhere")
    shutil.copytree(game / "elsewhere", game / "bus")
    until("everybody left", lambda: not lab.living(game), 10)


def test_told_to_stop_a_daemon_goes_in_the_middle_of_a_call_and_loses_nothing(
    game: Path,
) -> None:
    typed = Typed(game, "round-1", REHEARSAL_LATENCY="60")
    until("everybody is in a call", lambda: asked(game))
    claude = pid_of(game, "claude")
    os.kill(claude, signal.SIGTERM)
    until("it is gone", lambda: not atomic.started(claude), 5)
    assert games.make(game, "down").returncode == 0
    typed.ended()
    assert games.make(game, "round-1").returncode == 0
    calls = sorted(p.name for p in (game / "bus/runs/claude").glob("debate.*.yaml"))
    assert [name for name in calls if "answer" in name] == [
        f"debate.round-1.pitch.1.{len(calls) - 1}.answer.yaml"
    ]
    billed = [
        f"runs/claude/debate.round-1.pitch.1.{n}" for n in range(1, len(calls) - 1)
    ]
    listed = dict.fromkeys(events(game, "may-have-been-billed"))  # an event may repeat
    assert [name for name in listed if "claude" in name] == billed


def test_a_killed_daemon_is_started_again_at_once_and_the_game_ends_as_ever(
    game: Path,
) -> None:
    typed = Typed(game, "debate", REHEARSAL_CLAUDE="die=debate/round-2")
    assert typed.ended() == 0, typed.text
    assert events(game, "came").count("claude") == 2
    assert events(game, "died") == ["claude"]
    assert events(game, "may-have-been-billed") == [
        "runs/claude/debate.round-2.objections.1.1"
    ]
    assert "decided: " in typed.text


def test_a_daemon_that_never_lives_long_enough_blows_its_fuse(game: Path) -> None:
    died = game / "bus/runs/wildcard/.died"
    died.parent.mkdir(parents=True)
    died.symlink_to("/dev/null")  # so it never remembers that it died here
    Typed(game, "round-1", REHEARSAL_WILDCARD="die=debate/round-1")
    until("its fuse is blown", (game / "bus/problems/fuse-wildcard.yaml").exists, 40)
    assert yaml.safe_load((game / "bus/problems/fuse-wildcard.yaml").read_text()) == {
        "catherd": 1,
        "where": "bus/agents/wildcard.log",
        "what": "wildcard died 3 times without posting anything; it is not started again",
        "fix": "read the end of its log, mend what it says, and type make again",
        "of": "0",
    }
    assert alive(game, "wildcard") == []


def test_there_is_one_daemon_for_an_agent(game: Path) -> None:
    (game / "bus/PAUSE").touch()
    assert (
        games.make(game, "up").stdout == "started: chatgpt, claude, gemini, wildcard\n"
    )
    assert games.make(game, "up").stdout == "all are running\n"
    second = games.run(game, str(game / "agents/claude.yaml"))
    assert (second.returncode, second.stderr) == (
        1,
        "catherd: bus/agents/claude.lock: Claude is already running\n  fix: make down stops it; make status shows it\n",
    )
    assert (
        games.make(game, "down").stdout
        == "stopped: chatgpt, claude, gemini, wildcard\n"
    )
    assert alive(game) == []


def test_an_answer_that_is_removed_while_its_round_is_open_is_asked_anew(
    game: Path,
) -> None:
    """Also where a kill came between the message and its mark."""
    typed = Typed(game, "round-1", "STEP=1")
    answer, mark = (
        game / "bus/debate/round-1/claude.yaml",
        game / "bus/runs/claude/debate.round-1.pitch.1.posted",
    )
    until("it is posted", mark.exists)
    os.kill(pid_of(game, "claude"), signal.SIGKILL)
    mark.unlink()
    until("it is marked again", mark.exists)
    answer.unlink()
    until(
        "it is asked anew",
        lambda: (
            answer.exists()
            and yaml.safe_load(answer.read_text())["wrote"]["turn"][-1] == "2"
        ),
    )
    assert events(game, "asked-anew") == ["debate/round-1/claude"]
    assert games.make(game, "go").returncode == 0
    assert typed.ended() == 0

"""Any program may be an agent: one in shell knows nothing but docs/handbook/bus.md, and one more file is one more agent."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from catherd.bus import yaml_read
from catherd.bus.store import Bus
from catherd.core.messages import Argument, Ballot, Pitch, Receipt
from support import games
from support.git_repos import sh

pytestmark = pytest.mark.herd

SHELL = games.ROOT / "examples" / "agents" / "shell.sh"
RUSTIC = "name: Rustic\nruns: elsewhere\nvendor: nobody\n"


def _counted(game: Path, gate: str) -> dict[str, str]:
    """Who counted at the gate, with the text that counted."""
    receipt = Bus(str(game)).receipt(gate)
    assert isinstance(receipt, Receipt)
    return {
        one.path.rpartition("/")[2].removesuffix(".yaml"): one.text
        for one in receipt.counted
    }


def _join(game: Path, name: str, text: str) -> None:
    (game / "agents" / f"{name}.yaml").write_text(text)
    sh(game, "add", "-A")
    sh(game, "commit", "-q", "-m", f"Add {name}")


def _debate_with_shell(game: Path, shell: str) -> None:
    agent = subprocess.Popen(
        [shell, str(SHELL), "rustic"],
        cwd=game,
        env=games.env(TICK="0.1"),
        stdin=subprocess.DEVNULL,
    )
    try:
        done = games.make(game, "debate", TIMEBOX="30s")
        assert done.returncode == 0, done.stdout + done.stderr
        assert agent.wait(timeout=20) == 0
    finally:
        agent.kill()
        agent.wait()


def test_the_shell_agent_has_at_most_sixty_lines() -> None:
    assert len(SHELL.read_text().splitlines()) <= 60
    assert os.access(SHELL, os.X_OK)


@pytest.mark.parametrize(
    "shell", [s for s in ("dash", "bash") if shutil.which(s)] or ["sh"]
)
def test_an_agent_in_shell_takes_part_in_a_whole_debate(game: Path, shell: str) -> None:
    _join(game, "rustic", RUSTIC)

    _debate_with_shell(game, shell)

    pitch = yaml_read.typed(
        yaml_read.loads(_counted(game, "round-1")["rustic"], "pitch"), Pitch
    )
    assert pitch.title == "Rain Gauge"
    objections = yaml_read.typed(
        yaml_read.loads(_counted(game, "round-2")["rustic"], "two"), Argument
    ).objections
    names = Bus(str(game)).must("gates/round-1.yaml", Receipt).data["names"]
    assert {one.to for one in objections} == {
        code for code, agent in names.items() if agent != "rustic"
    }
    answers = yaml_read.typed(
        yaml_read.loads(_counted(game, "round-3")["rustic"], "three"), Argument
    )
    assert {names[one.by] for one in answers.answers} == {
        "chatgpt",
        "claude",
        "gemini",
        "wildcard",
    }
    assert "rustic" in _counted(game, "round-4")
    ballot = yaml_read.typed(
        yaml_read.loads(_counted(game, "ballots")["rustic"], "ballot"), Ballot
    )
    assert ballot.ranking
    assert not {names[code] for code in ballot.ranking} & {"rustic"}
    results = (game / "docs/debate/vote-results.md").read_text()
    assert "5 of 5 ballots" in results
    assert "Rain Gauge" in results
    assert (
        "is here, in fifty lines of shell" in (game / "docs/game/chat.md").read_text()
    )
    assert os.listdir(game / "bus/.tmp") == []
    assert Bus(str(game)).names("problems") == []


def test_who_runs_elsewhere_is_not_started_and_shown_as_such(game: Path) -> None:
    _join(game, "rustic", RUSTIC)

    done = games.make(game, "round-1", TIMEBOX="1s")

    assert done.returncode == 0, done.stdout + done.stderr
    assert not (game / "bus/agents/rustic.log").exists()
    assert "rustic" not in _counted(game, "round-1")
    assert Bus(str(game)).must("gates/round-1.yaml", Receipt).absent == ["rustic"]
    screen = games.make(game, "status").stdout
    assert "rustic       runs elsewhere" in screen


def test_a_fifth_agent_is_one_more_file(game: Path) -> None:
    _join(
        game,
        "mistral",
        "#!/bin/sh\nname: Mistral\ntemper: brisk\nlens: what it weighs\n",
    )

    done = games.make(game, "debate")

    assert done.returncode == 0, done.stdout + done.stderr
    assert [
        gate
        for gate in ("round-1", "round-2", "round-3", "round-4", "ballots")
        if "mistral" not in _counted(game, gate)
    ] == []
    assert "5 of 5 ballots" in (game / "docs/debate/vote-results.md").read_text()


def test_an_agent_whose_file_is_deleted_is_gone_from_the_next_game(game: Path) -> None:
    (game / "agents/wildcard.yaml").unlink()

    done = games.make(game, "round-1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert list(_counted(game, "round-1")) == ["chatgpt", "claude", "gemini"]

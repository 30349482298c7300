"""What docs/handbook/phases.md says about changing and steering a game, done as it is said there."""

import re
from pathlib import Path

import pytest

from catherd.bus import yaml_read
from catherd.bus.store import Bus
from catherd.core.messages import Ask, Receipt
from support import games
from support.git_repos import sh

pytestmark = pytest.mark.herd

PAGE = (games.ROOT / "docs/handbook/phases.md").read_text(encoding="utf-8")


def test_a_fifth_round_is_one_line_in_each_of_the_two_files(game: Path) -> None:
    assert (
        games.make(game, "up").returncode == 0
    )  # a herd that lives already learns of it, too
    for_yaml, for_make = re.findall(r"^```\n(.+\n)```$", PAGE, flags=re.MULTILINE)[:2]
    for file, line, before in (
        ("yaml", for_yaml, "  ballots:"),
        ("mk", for_make, "$(GATES)/ballots.yaml:"),
    ):
        path = game / f"phases/debate.{file}"
        text = path.read_text()
        path.write_text(text.replace(before, line + before, 1))
    sh(game, "commit", "-qam", "A fifth round")

    done = games.make(game, "debate")

    assert done.returncode == 0, done.stdout + done.stderr
    bus = Bus(str(game))
    assert len(bus.must("gates/round-5.yaml", Receipt).counted) == 4
    assert (
        bus.must("debate/ballots/open.yaml", Ask).opened
        > bus.must("gates/round-5.yaml", Receipt).closed
    )
    assert (
        bus.must("debate/round-5/open.yaml", Ask).opened
        > bus.must("gates/round-4.yaml", Receipt).closed
    )
    assert (game / "docs/debate/round-5/agent-claude.md").exists()


def test_a_goal_in_the_middle_stops_there_and_make_n_shows_what_is_still_to_come(
    game: Path,
) -> None:
    done = games.make(game, "round-1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert Bus(str(game)).names("gates") == ["round-1.yaml"]
    assert Bus(str(game)).goal() == ""
    dry = games.make(game, "-n", "debate")
    assert re.findall(r"catherd gate (\S+)", dry.stdout) == [
        "round-2",
        "round-3",
        "round-4",
        "ballots",
        "decision",
        "debate",
    ]
    assert Bus(str(game)).names("gates") == ["round-1.yaml"]


def test_words_reach_the_chat_as_they_were_typed(game: Path) -> None:
    games.make(game, "round-1")
    words = """it's "quoted", $HOME and `id` and $(id) stay; 100 % \\ sure @gemini"""

    said = games.make(game, "say", f"MSG={words}", "BINDING=1")

    assert said.returncode == 0, said.stderr
    message = yaml_read.read_yaml(str(game / said.stdout.strip())).data
    assert message["text"] == words
    assert message["kind"] == "constraint"


def test_agents_begins_a_game_with_those_alone(game: Path) -> None:
    done = games.make(game, "round-1", AGENTS="claude gemini")

    assert done.returncode == 0, done.stdout + done.stderr
    assert [
        one.path for one in Bus(str(game)).must("gates/round-1.yaml", Receipt).counted
    ] == [
        "debate/round-1/claude.yaml",
        "debate/round-1/gemini.yaml",
    ]

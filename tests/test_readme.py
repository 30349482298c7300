"""The README is true: its session was seen, its seed ties, what it names is there."""

import re
from pathlib import Path

from catherd.bus import config, yaml_door
from catherd.bus.store import Bus
from catherd.core.messages import Receipt
from support import games
from support.git_repos import sh

README = (games.ROOT / "README.md").read_text(encoding="utf-8")


def _alike(line: str) -> str:
    """The line without what differs from game to game: its id, the commit."""
    return re.sub(r"g-\d{8}-\d{6}-[0-9a-f]{4}|\b[0-9a-f]{12}\b", "…", line)


def test_every_line_of_the_session_is_seen_in_a_rehearsal(finished_game: Path) -> None:
    seen = {
        _alike(line)
        for line in (finished_game.parent / "session.txt").read_text().splitlines()
    }
    session = re.search(
        r"^\$ make debate\n(.+?)^```$", README, flags=re.MULTILINE | re.DOTALL
    )
    assert session is not None
    lines = [line for line in session[1].splitlines() if line != "[…]"]

    assert len(lines) > 20
    assert [line for line in lines if _alike(line) not in seen] == []
    assert [line for line in lines if len(line) > 80] == []


def test_the_seed_that_the_readme_names_ties_and_your_choice_decides(
    game: Path,
) -> None:
    seed = re.search(r"`make debate (REHEARSAL_SEED=\d+)` ties", README)
    assert seed is not None

    tied = games.make(game, "debate", seed[1])

    assert tied.returncode == 2
    needs = [
        line
        for line in tied.stderr.splitlines()
        if line.startswith(("catherd: needs you", "  fix: "))
    ]
    assert len(needs) == 2
    assert needs[0].startswith(
        "catherd: needs you: bus/debate/tiebreak.yaml: the vote is tied between "
    )
    form = game / "bus/debate/tiebreak.yaml"
    one, two = yaml_door.read_yaml(str(form)).data["tied"]
    assert (
        needs[1]
        == f"  fix: fill in `choice:` there with one of {one}, {two}, then type make debate"
    )
    assert Bus(str(game)).goal() == ""

    form.write_text(form.read_text().replace("choice:\n", f"choice: {two}\n"))
    done = games.make(game, "debate")

    assert done.returncode == 0, done.stdout + done.stderr
    assert Bus(str(game)).must("gates/decision.yaml", Receipt).winner == two
    decision = yaml_door.loads(
        sh(game, "show", "main:docs/debate/decision.yaml"), "decision"
    ).data
    assert decision["winner"] == two
    assert decision["by"] == "human"


def test_the_same_seed_from_the_environment_ties_as_well(game: Path) -> None:
    name, value = re.findall(r"(REHEARSAL_SEED)=(\d+)", README)[0]

    tied = games.make(game, "debate", **{name: value})

    assert tied.returncode == 2
    assert "the vote is tied" in tied.stderr


def test_every_target_and_file_that_the_readme_names_is_there() -> None:
    shown = games.make(games.ROOT, "help").stdout
    gates = {
        gate
        for phase in config.phases(str(games.ROOT)).values()
        for gate in phase.gates
    }
    for target in re.findall(r"`make ([a-z-]+)", README):
        assert (
            re.search(rf"^  make {target} ", shown, re.MULTILINE) or target in gates
        ), target
    tree = re.search(r"## The house\n\n```\n(.+?)```", README, flags=re.DOTALL)
    assert tree is not None
    for line in tree[1].splitlines():
        for word in re.findall(r"^(.+?)(?:  |$)", line)[0].split():
            assert (games.ROOT / word).exists(), word
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (games.ROOT / target).exists(), target

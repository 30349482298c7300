"""The README is true: its session and its picture were seen, its seed ties, its commands and sums are those of the code."""

import re
import runpy
import struct
from pathlib import Path

import pytest

from catherd.bus import config, yaml_read
from catherd.bus.store import Bus
from catherd.core.messages import Receipt
from catherd.models import accounts, costs
from support import games
from support.git_repos import sh

README = (games.ROOT / "README.md").read_text(encoding="utf-8")
PICTURE = games.ROOT / "docs" / "picture"
FENCES = re.findall(r"^```\n(.+?)^```$", README, flags=re.MULTILINE | re.DOTALL)


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
    one, two = yaml_read.read_yaml(str(form)).data["tied"]
    assert (
        needs[1]
        == f"  fix: fill in `choice:` there with one of {one}, {two}, then type make debate"
    )
    assert Bus(str(game)).goal() == ""

    form.write_text(form.read_text().replace("choice:\n", f"choice: {two}\n"))
    done = games.make(game, "debate")

    assert done.returncode == 0, done.stdout + done.stderr
    assert Bus(str(game)).must("gates/decision.yaml", Receipt).winner == two
    decision = yaml_read.loads(
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
    named = re.findall(r"`make ([a-z-]+)", README)
    assert {"poc", "run", "debate", "test", "check", "crash-proof"} <= set(named)
    for target in named:
        assert (
            re.search(rf"^  make {target} ", shown, re.MULTILINE) or target in gates
        ), target
    for path in re.findall(r"\]\(([^)]+)\)", README) + re.findall(
        r"`([a-z/]+/)`", README
    ):
        assert (games.ROOT / path).exists() or path in {
            "app/",
            "docs/debate/",
            ".venv/",
        }, path


def test_every_pasted_line_is_a_command_that_runs_here() -> None:
    shown = games.make(games.ROOT, "help").stdout
    lines = [
        line
        for fence in FENCES
        for line in fence.splitlines()
        if re.match(r"[a-z$]", line)
    ]
    typed = [
        line.removeprefix("$ ")
        for line in lines
        if re.match(r"(\$ |make |sudo |git )", line)
    ]

    assert typed == [
        "sudo apt-get install -y git make python3 python3-venv bubblewrap chromium",
        "make poc",
        "make run",
        "make debate",
    ]
    for line in typed[1:]:
        assert re.search(rf"^  {line} ", shown, re.MULTILINE), line


def test_make_poc_plays_the_debate_and_the_plan_before_it() -> None:
    order = games.make(games.ROOT, "-pn", "help", LC_ALL="C").stdout
    before = dict(
        re.findall(
            r"^bus/gates/([a-z0-9-]+)\.yaml: *\| *bus/gates/([a-z0-9-]+)\.yaml$",
            order,
            re.MULTILINE,
        )
    )
    chain = ["poc"]
    while chain[-1] in before:
        chain.append(before[chain[-1]])

    assert [gate for gate in chain if gate in {"poc", "plan", "debate"}] == [
        "poc",
        "plan",
        "debate",
    ]


def test_the_caps_and_the_offer_are_those_of_the_code() -> None:
    said = re.search(r"caps are \$(\d+) for the debate, \$(\d+) for the plan, \$(\d+) for the proof of concept, "
                     r"\$(\d+)\s+for the game and\s+\$(\d+) for each agent", README)  # fmt: skip
    assert said is not None
    debate, plan, poc, whole, each = (float(number) for number in said.groups())
    agents = config.agents(str(games.ROOT))

    assert {"debate": debate, "plan": plan, "poc": poc, "game": whole} == accounts.CAPS
    assert {one.limits["usd"] for one in agents.values()} == {each}
    keys = dict.fromkeys(re.findall(r"`([A-Z]+_API_KEY)`", README), "x")
    assert set(keys) == {accounts.keys_named(one)[0] for one in agents.values()}
    offer = costs.offer_costs(agents, keys, "debate")[-1]
    assert re.sub(r" \(.*", "", offer) in README
    of_all = costs.offer_costs(agents, keys, "poc", through=["debate", "plan", "poc"])[
        -1
    ]
    assert re.search(r"Of `make poc LIVE=1` it says (\$\d+\.\d\d)", README)[1] in of_all  # type: ignore[index]


def test_the_picture_is_there_sharp_and_small() -> None:
    picture = (PICTURE / "game.png").read_bytes()
    wide, tall = struct.unpack(">II", picture[16:24])

    assert "(docs/picture/game.png)" in README
    assert picture.startswith(b"\x89PNG")
    assert wide == 2 * 880
    assert 500 < tall / 2 < 700
    assert len(picture) <= 300_000


def test_what_the_picture_shows_of_the_debate_is_said_in_a_rehearsal(
    finished_game: Path,
) -> None:
    make = runpy.run_path(str(PICTURE / "make.py"))
    debate = make["SHOWN"][
        : [pattern for pattern, _ in make["SHOWN"]].index(r"decided: ") + 1
    ]
    make["shown"].__globals__["SHOWN"] = debate

    rows = make["shown"]((finished_game.parent / "session.txt").read_text())

    assert len(rows) == len(debate) > 10
    assert (
        rows[-1].words
        == "decided: Lending Shelf (hazel; it beats every rival; 4 of 4 ballots)"
    )
    with pytest.raises(LookupError, match="nobody said: "):
        make["shown"]("something else")


def test_the_readme_can_be_read_in_a_terminal() -> None:
    assert [line for line in README.splitlines() if len(line) > 120] == []

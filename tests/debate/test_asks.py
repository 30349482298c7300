"""What is asked, what counts, and what you can change while they play: whole games, steered by editing files."""

import itertools
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from catherd.bus import atomic, config, yaml_read
from catherd.bus.store import Bus
from catherd.core.messages import Answer, Ask, Ballot, Call, Pitch, Receipt, Trouble
from catherd.debate import asks
from support import games
from support.git_repos import sh
from support.typed import Typed, events, until


def counted(bus: Bus, gate: str) -> dict[str, str]:
    """Who counted at the gate, with the text that counted."""
    receipt = bus.must(f"gates/{gate}.yaml", Receipt)
    return {
        one.path.rpartition("/")[2].removesuffix(".yaml"): one.text
        for one in receipt.counted
    }


def calls(game: Path) -> list[str]:
    """Every call that was made."""
    return sorted(
        str(path.relative_to(game)) for path in (game / "bus/runs").rglob("*.yaml")
    )


def test_a_steered_game(game: Path) -> None:
    """Edited while open: counted and marked. Edited after: reported, not counted. Silent: absent. Late: kept, not counted.
    A constraint stands in the next ask and not in those that are open. A veto takes a proposal off the ballot.
    """
    bus = Bus(str(game))
    quiet: dict[str, Any] = {"REHEARSAL_WILDCARD": "silent=all", "TIMEBOX": "2s"}
    typed = Typed(game, "round-1", "STEP=1", **quiet)
    until(
        "it is held", lambda: "round-1: held (STEP); make go closes it\n" in typed.said
    )
    mine = game / "bus/debate/round-1/claude.yaml"
    mine.write_text(mine.read_text().replace("Marta", "Edda"))
    assert games.make(game, "go").returncode == 0
    assert typed.ended() == 0, typed.text
    receipt = bus.must("gates/round-1.yaml", Receipt)
    assert [(one.path, one.edited) for one in receipt.counted] == [
        ("debate/round-1/chatgpt.yaml", False),
        ("debate/round-1/claude.yaml", True),
        ("debate/round-1/gemini.yaml", False),
    ]
    assert "Edda" in counted(bus, "round-1")["claude"]
    assert (receipt.absent, receipt.notes) == (
        ["wildcard"],
        ["bus/debate/round-1/claude.yaml was edited by you"],
    )
    assert "round-1 closed: 3 of 4 heard; not heard: Wildcard\n" in typed.said
    code = {agent: name for name, agent in receipt.data["names"].items()}
    assert code["wildcard"] == "guest-1"

    late, after = (
        game / "bus/debate/round-1/wildcard.yaml",
        game / "bus/debate/round-1/gemini.yaml",
    )
    late.write_text("title: Too Late\nbody: too late\n")
    after.write_text(after.read_text().replace("Ruth", "Nobody"))
    assert (
        games.make(game, "say", "MSG=It must run offline.", "BINDING=1").returncode == 0
    )
    assert games.make(game, "round-2", **quiet).returncode == 0
    ask = bus.must("debate/round-2/open.yaml", Ask)
    assert ask.constraints == ["It must run offline."]
    assert bus.must("debate/round-1/open.yaml", Ask).constraints == []
    shown = {one.by: str(one.data) for one in ask.inputs if one.kind == "proposal"}
    assert sorted(shown) == sorted(
        code[agent] for agent in ("chatgpt", "claude", "gemini")
    )
    assert "Edda" in shown[code["claude"]]
    assert "Ruth" in shown[code["gemini"]]
    assert "Nobody" not in shown[code["gemini"]]
    trouble = bus.must("problems/after-close-debate-round-1-gemini.yaml", Trouble)
    assert (trouble.where, trouble.what) == (
        "bus/debate/round-1/gemini.yaml",
        "was edited after its gate closed; the edit is not counted",
    )
    assert "Nobody" in after.read_text()
    assert late.exists()
    assert set(events(game, "late")) == {"debate/round-1/wildcard.yaml"}
    asked = (game / "bus/runs/chatgpt/debate.round-2.objections.1.1.yaml").read_text()
    assert "It must run offline." in asked

    (game / f"bus/debate/veto/{code['gemini']}.yaml").write_text(
        "reason: The last three were almanacs.\n"
    )
    (game / f"bus/debate/veto/{code['chatgpt']}.yaml").write_text("because: no\n")
    done = games.make(game, "debate", **quiet)
    assert done.returncode == 0, done.stdout + done.stderr
    ballot = bus.must("debate/ballots/open.yaml", Ask)
    assert [one.by for one in ballot.inputs if one.kind == "proposal"] == sorted(
        [code["claude"], code["chatgpt"]]
    )
    missing = bus.must(f"problems/debate-veto-{code['chatgpt']}.yaml", Trouble)
    assert (missing.what, missing.fix) == (
        "reason is missing",
        "add a line `reason: …`",
    )
    results = (game / "docs/debate/vote-results.md").read_text()
    assert "3 of 4 ballots" in results
    assert "The last three were almanacs." in results
    assert (
        "Edited by you." in (game / "docs/debate/round-1/agent-claude.md").read_text()
    )
    assert not (game / "docs/debate/round-1/agent-wildcard.md").exists()


def test_a_veto_that_vetoes_nothing_is_told_as_soon_as_somebody_looks(
    game: Path,
) -> None:
    assert games.make(game, "round-1").returncode == 0
    bus, folder = Bus(str(game)), game / "bus/debate/veto"
    first, second, *_ = bus.must("gates/round-1.yaml", Receipt).data["names"]
    atomic.remove(bus.path, "gates/round-1.yaml")
    (folder / f"{first}x.yaml").write_text("reason: a name that may come true\n")
    assert "needs you" not in games.make(game, "status").stdout
    assert games.make(game, "round-1").returncode == 0

    (folder / f"{first}.yaml").write_text("")
    (folder / f"{second}.yaml").write_text("reason: [\n")
    (folder / "other.yml").write_text("reason: no\n")
    known = ", ".join(bus.must("gates/round-1.yaml", Receipt).data["names"])
    at = "bus/debate/veto"
    shown = games.make(game, "status").stdout
    told = games.make(game, "round-2").stdout
    for where, what, fix in (
        (
            f"{first}.yaml",
            "expected `key: value` lines",
            f"echo 'reason: why it goes' > '{at}/{first}.yaml'",
        ),
        (
            f"{first}x.yaml",
            f"'{first}x' is no proposal; there are {known}",
            f"mv '{at}/{first}x.yaml' {at}/{first}.yaml",
        ),
        ("other.yml", "a veto is <id>.yaml", f"mv '{at}/other.yml' '{at}/other.yaml'"),
    ):
        assert f"look at {at}/{where}: {what}\n  fix: {fix}\n" in told
        assert f"{at}/{where}: {what}" in " ".join(shown.split())
        assert f"    fix: {fix}\n" in shown
    assert f"look at {at}/{second}.yaml:2:1: " in told

    for file in folder.iterdir():
        file.unlink()
    (folder / f"{first}.yaml").write_text("reason: ' '\n")
    shown = games.make(game, "status").stdout
    assert shown.startswith(
        f"needs you\n  {at}/{first}.yaml: a veto needs a reason\n    fix: echo 'reason: why it goes' > '{at}/{first}.yaml'\n"
    )
    assert bus.names("problems") == [f"debate-veto-{first}.yaml"]


def test_without_a_quorum_you_are_needed_and_may_answer_for_who_is_silent(
    game: Path,
) -> None:
    told: dict[str, Any] = {
        "REHEARSAL_WILDCARD": "silent=all",
        "REHEARSAL_GEMINI": "silent=all",
        "TIMEBOX": "1s",
    }
    done = games.make(game, "debate", **told)
    assert done.returncode == 2
    assert done.stderr.splitlines()[:2] == [
        "catherd: needs you: bus/debate/round-1/: 2 of 4 answers; 3 are needed",
        "  fix: write the missing answers (gemini, wildcard) there, or type make debate to wait again",
    ]
    assert done.stderr.splitlines()[2].endswith("Error 75")
    bus = Bus(str(game))
    assert bus.goal() == ""
    before = calls(game)
    (game / "bus/debate/round-1/gemini.yaml").write_text(
        "title: Bell\nbody: |\n  ## User\n  Whoever waits.\n"
    )
    garbage: dict[str, Any] = {
        "REHEARSAL_CLAUDE": "garbage=debate/ballots",
        "REHEARSAL_WILDCARD": "silent=debate/round-1",
    }
    done = games.make(game, "debate", TIMEBOX="2s", **garbage)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(before) <= set(calls(game))
    assert sorted(counted(bus, "round-1")) == ["chatgpt", "claude", "gemini"]
    assert "Whoever waits." in counted(bus, "round-1")["gemini"]
    cast = yaml_read.typed(
        yaml_read.loads(counted(bus, "ballots")["claude"], "x"), Ballot
    )
    assert (cast.abstain, cast.why) == (True, "no usable ballot in three tries")
    assert bus.must("gates/round-2.yaml", Receipt).absent == []
    assert (
        "no usable ballot in three tries"
        in (game / "docs/debate/vote-results.md").read_text()
    )


def test_a_ballot_that_nobody_can_read_is_spoiled_and_named(game: Path) -> None:
    bus = Bus(str(game))
    typed = Typed(
        game, "ballots", REHEARSAL_GEMINI="silent=debate/ballots", TIMEBOX="4s"
    )
    until("the ballots are open", (game / "bus/debate/ballots/open.yaml").exists, 60)
    (game / "bus/debate/ballots/gemini.yaml").write_text("ranking: {a: b}\n")
    assert typed.ended() == 0, typed.text
    receipt = bus.must("gates/ballots.yaml", Receipt)
    assert receipt.spoiled == ["gemini: ranking: Expected `array`, got `object`"]
    assert receipt.absent == []
    assert (
        "look at bus/debate/ballots/gemini.yaml:1:10: ranking: Expected `array`, got `object`\n"
        in typed.said
    )
    assert games.make(game, "debate").returncode == 0
    results = (game / "docs/debate/vote-results.md").read_text()
    assert "3 of 4 ballots" in results
    assert "spoiled" in results


# After the end


def test_documents_that_are_gone_from_main_are_landed_again_without_a_call(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    before, asked = sh(game, "rev-parse", "main^{tree}"), calls(game)
    sh(game, "rm", "-q", "-r", "docs/debate")
    sh(game, "commit", "-q", "-m", "Oops")
    done = games.make(game, "debate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "docs/debate/decision.yaml is gone from main; it is landed again from the bus\n"
        in done.stdout
    )
    assert calls(game) == asked
    assert set(
        sh(game, "ls-tree", "-r", "--name-only", "main", "docs/debate").splitlines()
    ) == set(
        sh(game, "ls-tree", "-r", "--name-only", before, "docs/debate").splitlines()
    )
    assert (
        sh(
            game,
            "diff",
            "--stat",
            before,
            "main",
            "--",
            "docs/debate/vote-results.md",
            "docs/debate/round-1",
        )
        == ""
    )


def test_new_puts_the_game_away_and_another_can_begin(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    found = Bus(str(game)).game()
    assert found is not None
    done = games.make(game, "new")
    kept = f"refs/catherd/games/{found.id}"
    assert done.stdout == f"put away: {found.id}; its bus is {kept}\n"
    assert Bus(str(game)).game() is None
    assert (game / f"bus/archive/{found.id}/game.yaml").is_file()
    assert (game / f"bus/archive/{found.id}/debate/round-1/claude.yaml").is_file()
    assert "Lending Shelf" in sh(game, "show", f"{kept}:bus/gates/round-1.yaml")
    assert (
        sh(game, "ls-tree", "-r", "--name-only", "main", "docs/debate", "docs/game")
        == ""
    )
    assert sh(game, "log", "-1", "--format=%s", "main") == f"Put game {found.id} away"
    assert (game / "bus/README.md").is_file()
    assert games.make(game, "new").stdout == "no game is on\n"
    assert games.make(game, "round-1", "BRIEF=Another.").returncode == 0
    again = Bus(str(game)).game()
    assert again is not None
    assert (again.brief, again.id != found.id) == ("Another.", True)


def test_a_clone_of_a_finished_game_takes_over_its_decision(
    finished_game: Path, tmp_path: Path
) -> None:
    origin = games.copy(finished_game, tmp_path / "origin")
    sh(tmp_path, "clone", "-q", "--no-local", str(origin), "clone")
    clone = tmp_path / "clone"
    games.furnish(clone)
    done = games.make(clone, "debate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "── round 1" not in done.stdout
    assert calls(clone) == [] or calls(clone) == calls(origin)
    assert (
        sh(clone, "log", "-1", "--format=%s", "main")
        == "Land the debate: Lending Shelf"
    )
    receipt = Bus(str(clone)).must("gates/decision.yaml", Receipt)
    assert receipt.outcome in {"adopted", "condorcet"}
    assert (
        receipt.winner == Bus(str(origin)).must("gates/decision.yaml", Receipt).winner
    )


def test_a_live_game_puts_the_rehearsal_away_before_it_begins(
    finished_game: Path, tmp_path: Path
) -> None:
    """Only its beginning: all agents run elsewhere, so that nobody is started and nothing is called."""
    game = games.copy(finished_game, tmp_path / "game")
    for path in (game / "agents").glob("*.yaml"):
        path.write_text(f"{path.read_text().rstrip()}\nruns: elsewhere\n")
    old = Bus(str(game)).game()
    assert old is not None
    done = games.catherd(game, "begin", "debate", LIVE="1", CATHERD_BRIEF="For real.")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        f"the rehearsal {old.id} goes to bus/archive/; a live game begins\n"
        in done.stdout
    )
    new = Bus(str(game)).game()
    assert new is not None
    assert (new.models, new.brief) == ("live", "For real.")
    assert (game / f"bus/archive/{old.id}/game.yaml").is_file()
    assert calls(game) == []
    assert sh(game, "ls-tree", "-r", "--name-only", "main", "docs/debate") == ""


# Opening ahead


@pytest.fixture
def unasked(finished_game: Path, tmp_path: Path) -> Bus:
    """A game whose fourth round is closed and whose ballots are not open yet."""
    bus = Bus(str(games.copy(finished_game, tmp_path / "game")))
    for gate in ("ballots", "decision", "debate"):
        os.unlink(bus.here(f"gates/{gate}.yaml"))
    shutil.rmtree(bus.here("debate/ballots"))
    return bus


@pytest.mark.parametrize(
    ("goal", "opens"),
    [("debate", True), ("ballots", True), ("round-4", False), ("", False)],
)
def test_an_ask_is_opened_ahead_no_further_than_the_goal(
    unasked: Bus, goal: str, opens: bool
) -> None:
    phase, game = config.phases(unasked.root)["debate"], unasked.game()
    assert game is not None
    asks.ahead(unasked, phase, game, goal, asking=False)
    assert unasked.there("debate/ballots/open.yaml") == opens


@pytest.mark.parametrize("what", ["PAUSE", "STEP", "asking"])
def test_no_ask_is_opened_ahead_while_you_hold_the_game_or_are_asked_for_your_vote(
    unasked: Bus, what: str
) -> None:
    phase, game = config.phases(unasked.root)["debate"], unasked.game()
    assert game is not None
    if what != "asking":
        Path(unasked.here(what)).touch()
    asks.ahead(unasked, phase, game, "debate", asking=what == "asking")
    assert not unasked.there("debate/ballots/open.yaml")


def test_opening_again_gives_the_ask_that_is_there(unasked: Bus) -> None:
    phase, game = config.phases(unasked.root)["debate"], unasked.game()
    assert game is not None
    first = asks.open_ask(unasked, phase, phase.gates["ballots"], game, list(game.roll))
    second = asks.open_ask(
        unasked, phase, phase.gates["ballots"], game, ["somebody", "else"]
    )
    assert first == second
    assert not unasked.edited(first)


def test_a_message_that_you_edit_in_place_is_shown_as_it_stands_when_the_next_ask_opens(
    unasked: Bus,
) -> None:
    path = Path(unasked.here("chat/me.yaml"))
    path.write_text("kind: constraint\ntext: It must be loud.\n")
    assert "me" in unasked.chat()
    with path.open("r+") as file:  # in place: neither the folder nor the inode changes
        file.write("kind: constraint\ntext: It must be mute.\n")
    phase, game = config.phases(unasked.root)["debate"], unasked.game()
    assert game is not None
    ask = asks.open_ask(unasked, phase, phase.gates["ballots"], game, list(game.roll))
    assert ask.constraints == ["It must be mute."]


def test_code_names_are_what_everybody_but_you_sees(finished_game: Path) -> None:
    bus = Bus(str(finished_game))
    names = bus.must("gates/round-1.yaml", Receipt).data["names"]
    ask = bus.must("debate/ballots/open.yaml", Ask)
    for agent in names.values():
        pitch = yaml_read.typed(
            yaml_read.loads(counted(bus, "round-1")[agent], "x"), Pitch
        )
        assert pitch.title
    prompts = "".join(
        path.read_text()
        for path in (finished_game / "bus/runs").rglob("debate.ballots.*.1.yaml")
        if "answer" not in path.name
    )
    assert prompts
    for one in ask.inputs:
        if one.kind == "proposal":
            assert not re.search(rf"{one.by}\W+(by|von|=)\W+{names[one.by]}", prompts)


def test_in_a_whole_game_each_prompt_begins_with_all_that_the_agents_last_one_showed(
    finished_game: Path,
) -> None:
    shares = []
    for agent in ("chatgpt", "claude", "gemini", "wildcard"):
        runs = finished_game / "bus/runs" / agent
        calls = [
            path
            for path in runs.glob("*.1.1.yaml")
            if not path.name.startswith("debate.ballots")
        ]
        at = {
            path: path.with_name(path.name.replace(".1.1.yaml", ".1.1.answer.yaml"))
            for path in calls
        }
        order = sorted(
            calls,
            key=lambda path: (
                yaml_read.typed(yaml_read.loads(at[path].read_text(), "x"), Answer).at
            ),
        )
        texts = [
            yaml_read.typed(yaml_read.loads(path.read_text(), "x"), Call).messages[0][
                "content"
            ]
            for path in order
        ]
        assert len(texts) >= 4
        for before, after in itertools.pairwise(texts):
            material = before.partition("\n# Your task")[0].rstrip()
            own = (
                material.rpartition("\n# From the group chat")[0].rstrip()
                if "Answer message: " in before
                else material
            )
            assert after.startswith(own)
            shares.append(len(own) / len(after))
    assert len(shares) >= 12 + 3  # the mentions of the second round


def test_a_message_keeps_its_place_in_later_asks_and_what_you_did_to_it_counts(
    finished_game: Path, tmp_path: Path
) -> None:
    bus = Bus(str(games.copy(finished_game, tmp_path / "game")))
    for path in (
        "debate/round-4/open.yaml",
        *(
            f"gates/{gate}.yaml"
            for gate in ("round-4", "ballots", "decision", "debate")
        ),
    ):
        os.unlink(bus.here(path))
    first = bus.must("debate/round-3/open.yaml", Ask)
    gone, edited, *kept = [one.path for one in first.inputs if one.kind == "chat"]
    os.unlink(bus.here(gone))
    Path(bus.here(edited)).write_text("text: I take it back.\n")
    phase, game = config.phases(bus.root)["debate"], bus.game()
    assert game is not None
    ask = asks.open_ask(bus, phase, phase.gates["round-4"], game, list(game.roll))

    begins = [one for one in first.inputs if one.path != gone]
    assert [(one.kind, one.path) for one in ask.inputs[: len(begins)]] == [
        (one.kind, one.path) for one in begins
    ]
    chat = [one for one in ask.inputs if one.kind == "chat"]
    assert [one.path for one in chat[: len(kept) + 1]] == [edited, *kept]
    assert chat[0].data == {
        "text": "I take it back.",
        "reply_to": "",
        "since": "round-2",
    }
    assert {one.data["since"] for one in chat[len(kept) + 1 :]} == {"round-3"}
    assert [one.kind for one in ask.inputs][-len(chat) + len(kept) + 1 :] == [
        "chat"
    ] * (len(chat) - len(kept) - 1)

"""What a milestone's note says beside its journeys: what the roadmap asks; and what a release is tagged with."""

from pathlib import Path

import pytest

from catherd.app import criteria
from catherd.app.evidence import Criterion, Evidence
from catherd.box import sandbox
from catherd.bus.config import Phase
from catherd.gates import note, tags
from support.games import ROOT
from support.git_repos import put, repo, sh

needs_box = pytest.mark.skipif(
    sandbox.probe_tier().name != "bwrap",
    reason=f"no bubblewrap box: {sandbox.probe_tier().why_not}",
)
ROADMAP = """
milestones:
  poc:
    goal: One note is kept.
    demo: Save a note, kill the server, see the note.
    entry: [The design document is merged.]
    exit:
      - run: [python3, app/check.py]
      - human: Ada saves a note without being told how.
    days: 3
"""


def judged(
    tmp_path: Path, check: str, verdict: str = "green", roadmap: str = ROADMAP
) -> Evidence:
    """The evidence after a look at the criteria of a tree whose exit command is this program."""
    put(tmp_path / "tree", {"docs/roadmap.yaml": roadmap, "app/check.py": check})
    reasons = [] if verdict == "green" else ["J-001 (One), app, first time: no"]
    evidence = Evidence(
        app="notes",
        kind="web",
        summary="Notes.",
        verdict=verdict,
        reasons=reasons,
        commit="c" * 40,
    )
    return criteria.judge_criteria(evidence, str(tmp_path / "tree"), "poc", "bwrap")


@needs_box
def test_commands_of_the_roadmap_are_run_in_the_box_and_the_rest_is_listed_for_you(
    tmp_path: Path,
) -> None:
    got = judged(tmp_path, "open('/work/written', 'w')")
    assert (got.verdict, got.reasons) == ("green", [])
    assert got.exits == [
        Criterion(text="python3 app/check.py", verdict="pass"),
        Criterion(text="Ada saves a note without being told how.", verdict="yours"),
    ]
    assert not (tmp_path / "tree" / "written").exists()
    said = note.note_md(got, "poc", root=str(ROOT))
    assert said[
        said.index("## What the roadmap asks") : said.index("## What works")
    ] == (
        "## What the roadmap asks\n\nOne note is kept.\n\n"
        "- to begin with: The design document is merged. (not yet: no docs/index.md)\n"
        "- in the box: `python3 app/check.py`: **pass**\n"
        "- for you to see: Ada saves a note without being told how.\n\n"
        "To show it: Save a note, kill the server, see the note.\n\n"
    )


@needs_box
@pytest.mark.parametrize("verdict", ["green", "red"])
def test_a_command_that_fails_holds_the_gate_beside_what_else_is_wrong(
    verdict: str, tmp_path: Path
) -> None:
    got = judged(tmp_path, "raise SystemExit('two notes are lost')", verdict)
    assert got.verdict == "red"
    assert (
        got.reasons[-1]
        == "the roadmap's exit criterion `python3 app/check.py`: exit 1: two notes are lost"
    )
    assert len(got.reasons) == (1 if verdict == "green" else 2)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("# poc: proved", "(not yet: poc is proved; make run, and say yes)"),
        ("# poc: delivered (you, 2026-01-02: fine)", "(yes: poc is delivered)"),
        ("# poc: not accepted (you, 2026-01-02: no)", "(not yet: poc is not accepted)"),
        ("", "(not yet: poc is not proved)"),
    ],
)
def test_an_entry_criterion_says_whether_it_is_met(
    head: str, said: str, tmp_path: Path
) -> None:
    put(tmp_path, {"docs/milestones/poc.md": f"{head}\n"})
    assert criteria.held("The PoC is delivered.", str(tmp_path)) == said
    assert (
        criteria.held("A file of the MVP is at hand.", str(tmp_path))
        == "(for you to see)"
    )


def test_a_milestone_that_the_roadmap_does_not_name_asks_for_nothing(
    tmp_path: Path,
) -> None:
    got = judged(tmp_path, "", roadmap="milestones: {}\n")
    assert (got.verdict, got.entry, got.exits) == ("green", [], [])
    assert "What the roadmap asks" not in note.note_md(got, "poc", root=str(ROOT))


def test_a_proof_is_a_candidate_and_your_yes_is_the_version(tmp_path: Path) -> None:
    root = repo(tmp_path / "game")
    first = sh(root, "rev-parse", "HEAD")
    phase = Phase(name="release", gates={}, options={"tag": "v1.0.0"})
    assert tags.tag_candidate(root, phase, first, "notes") == "v1.0.0-rc.1"
    assert tags.tag_candidate(root, phase, first, "notes") == "v1.0.0-rc.1"
    sh(root, "commit", "-q", "--allow-empty", "-m", "mended")
    second = sh(root, "rev-parse", "HEAD")
    assert tags.tag_candidate(root, phase, second, "notes") == "v1.0.0-rc.2"
    assert tags.tag_final(root, phase, second, "notes") == "v1.0.0"
    assert tags.tag_final(root, phase, first, "notes") == "v1.0.0"
    assert sh(root, "rev-parse", "v1.0.0^{commit}") == second
    assert sh(
        root, "tag", "-l", "--format=%(refname:short) %(taggername): %(subject)"
    ) == (
        "v1.0.0 catherd: notes: proved by its journeys, tried and accepted by a person\n"
        "v1.0.0-rc.1 catherd: notes: proved by its journeys; nobody has tried it yet\n"
        "v1.0.0-rc.2 catherd: notes: proved by its journeys; nobody has tried it yet"
    )


def test_a_phase_that_asks_for_no_tag_gets_none(tmp_path: Path) -> None:
    root = repo(tmp_path / "game")
    phase = Phase(name="poc", gates={}, options={})
    assert (
        tags.tag_candidate(root, phase, "HEAD", "notes")
        + tags.tag_final(root, phase, "HEAD", "notes")
        == ""
    )
    assert sh(root, "tag", "-l") == ""

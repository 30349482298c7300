"""A sample of `make crash-proof`: a game that is killed ends like one that was not. And: the proof itself can fail."""

import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from crash import compare, handbook, lab, proof
from support import games
from support.git_repos import sh

pytestmark = pytest.mark.herd

RANDOM, ALONE = 3, 1


@pytest.fixture(scope="module")
def counted(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[proof.Play, dict[str, list[tuple[str, str]]]]:
    """An undisturbed debate, and role → its effects."""
    room = tmp_path_factory.mktemp("crash")
    from_ = lab.template(room)
    want, made = proof.undisturbed(from_, room, "debate", "undisturbed")
    return proof.Play(from_, "debate", want, room), made


def test_a_game_that_is_killed_anywhere_ends_like_one_that_was_not(
    counted: tuple[proof.Play, dict[str, list[tuple[str, str]]]],
) -> None:
    play, made = counted
    every = proof.points(made)
    by_role = {role: [hit for hit in every if hit.role == role] for role in made}
    doors = {door for effects in made.values() for door, _ in effects}
    chosen = {
        *proof.sample(every, len(doors)),
        *(hit for of in by_role.values() for hit in proof.sample(of, 1)),
    }
    with ThreadPoolExecutor(2) as pool:
        alone = [
            pool.submit(proof.at_effect, play, hit, crank=True)
            for hit in proof.sample(by_role["gate"], ALONE)
        ]
        at = [pool.submit(proof.at_effect, play, hit) for hit in chosen]
        any_time = [pool.submit(proof.at_random, play, seed) for seed in range(RANDOM)]
        results = [future.result() for future in (*alone, *at, *any_time)]
    assert {result.what: result.faults for result in results if result.faults} == {}
    hits = [result.hit for result in results if result.hit]
    assert {hit.role for hit in hits} == {
        "chatgpt",
        "claude",
        "gemini",
        "wildcard",
        "gate",
        "herd",
    }
    assert {hit.door for hit in hits} == doors


def test_the_handbook_names_every_effect_of_a_debate_and_no_other(
    counted: tuple[proof.Play, dict[str, list[tuple[str, str]]]],
) -> None:
    made = {effect for effects in counted[1].values() for effect in effects}
    rows = handbook.rows()
    assert sorted(e for e in made if not any(row.matches(*e) for row in rows)) == []
    due = [row for row in rows if row.goals & {"debate", "any"}]
    assert [
        f"{row.door} {row.path}"
        for row in due
        if not any(row.matches(*e) for e in made)
    ] == []


def test_the_handbook_names_every_door() -> None:
    told = {row.door for row in handbook.rows()}
    code = "\n".join(
        path.read_text() for path in (games.ROOT / "src/catherd").rglob("*.py")
    )
    assert set(re.findall(r"\beffect\(\s*\"([\w-]+)\"", code)) == told


def lose_an_answer(game: Path) -> list[str]:
    path = game / "bus/runs/claude/debate.round-2.objections.1.1.answer.yaml"
    path.unlink()
    return [
        "claude: 0 answers to debate.round-2.objections.1",
        "files: lost runs/claude/debate.round-2.objections.1.N.answer.yaml",
        "claude: not listed as maybe billed: debate.round-2.objections.1 [1]",
        "1 calls without an answer, 0 listed as maybe billed",
        "1 calls asked again after 0 kills",
    ]


def ask_twice(game: Path) -> list[str]:
    first = game / "bus/runs/claude/debate.round-1.pitch.1.1.yaml"
    for kind in ("yaml", "answer.yaml"):
        shutil.copy(
            first.with_name(f"debate.round-1.pitch.1.1.{kind}"),
            first.with_name(f"debate.round-1.pitch.1.2.{kind}"),
        )
    made = [
        f"runs/claude/debate.round-1.pitch.1.2.{kind}"
        for kind in ("answer.yaml", "yaml")
    ]
    return [
        "claude: 2 answers to debate.round-1.pitch.1",
        "claude: answered, and asked again: debate.round-1.pitch.1",
        *(f"not in the events: {path}" for path in made),
        *(f"not in refs/catherd/bus: bus/{path}" for path in made),
    ]


def leave_a_file(game: Path) -> list[str]:
    (game / "bus/.tmp/1-2-x.yaml").touch()
    (game / ".git/HEAD.lock").touch()
    return ["left over: bus/.tmp/1-2-x.yaml", "left over: .git/HEAD.lock"]


def lose_an_event(game: Path) -> list[str]:
    for day in (game / "bus/events").glob("*.jsonl"):
        lines = day.read_text().splitlines(keepends=True)
        kept = [
            line
            for line in lines
            if json.loads(line)["id"] != "posted:gates/round-3.yaml"
        ]
        day.write_text("".join(kept))
    return [
        "events: lost posted:gates/round-3.yaml",
        "not in the events: gates/round-3.yaml",
    ]


def change_the_record(game: Path) -> list[str]:
    decision = game / "docs/debate/decision.yaml"
    decision.write_text(decision.read_text() + "more: of it\n")
    sh(game, "commit", "-q", "-am", "Change it")
    return [
        "main differs in docs/debate/decision.yaml",
        "main has also the commit Change it",
    ]


def stay(game: Path) -> list[str]:
    (game / "bus/goal").write_text("debate\n")
    sh(game, "branch", "stray")
    (game / "notes.txt").touch()
    return [
        "files: more goal",
        "refs: more refs/heads/stray",
        "your checkout: ?? notes.txt",
        "not cleared: bus/goal",
    ]


@pytest.mark.parametrize(
    "harm",
    [lose_an_answer, ask_twice, leave_a_file, lose_an_event, change_the_record, stay],
    ids=lambda h: h.__name__,
)
def test_the_proof_sees(
    harm: Callable[[Path], list[str]], finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    want = compare.left(game)
    assert compare.faults(want, want, game, 0) == []
    expected = harm(game)
    assert compare.faults(want, compare.left(game), game, 0) == expected


def test_a_call_that_a_kill_cut_off_and_nobody_makes_again_is_listed(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    (game / "bus/goal").write_text("debate\n")
    call = game / "bus/runs/claude/debate.round-1.pitch.1.1.yaml"
    shutil.copy(call, call.with_name("plan.PR-0001.review-0123456789ab.1.1.yaml"))
    for _ in range(2):
        assert games.make(game, "debate").returncode == 0
        logged = "".join(
            path.read_text() for path in (game / "bus/events").glob("*.jsonl")
        )
        listed = [
            one["subject"]
            for one in map(json.loads, logged.splitlines())
            if one["kind"] == compare.BILLED
        ]
        assert listed == ["runs/claude/plan.PR-0001.review-0123456789ab.1.1"]


def crash(game: Path, at: str, *words: str) -> None:
    """Type it, killed at an effect; and again, as often as a person would."""
    folder = game.with_name(f"{game.name}.crash")
    folder.mkdir()
    told = {
        "CATHERD_CRASH_DIR": str(folder),
        "CATHERD_CRASH_AT": at,
        "CATHERD_NO_CRANK": "1",
    }
    assert games.make(game, *words, seconds=60, **told).returncode != 0
    assert (folder / "fired").exists()
    assert games.make(game, *words, seconds=60, **told).returncode == 0


@pytest.mark.parametrize("n", [1, 2, 5, 9, 14])
def test_putting_a_game_away_can_be_killed(
    n: int, finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    had = {path.relative_to(game / "bus") for path in (game / "bus").rglob("*.yaml")}
    name = yaml.safe_load((game / "bus/game.yaml").read_text())["id"]
    crash(game, f"herd:{n}:before", "new")
    assert {
        path.relative_to(game / "bus/archive" / name)
        for path in (game / "bus").rglob("*.yaml")
    } == had
    kept = sh(
        game, "ls-tree", "-r", "--name-only", f"refs/catherd/games/{name}"
    ).splitlines()
    assert {f"bus/{path}" for path in had} <= set(kept)
    assert (sh(game, "ls-files", "docs"), sh(game, "status", "--porcelain")) == ("", "")
    assert games.make(game, "new").stdout == "no game is on\n"


@pytest.mark.parametrize("n", [1, 3, 60])
def test_restoring_a_bus_from_origin_can_be_killed(
    n: int, finished_game: Path, tmp_path: Path
) -> None:
    game = tmp_path / "clone"
    sh(tmp_path, "clone", "-q", str(finished_game), str(game))
    games.furnish(game)
    crash(game, f"herd:{n}:after", "debate")
    kept = sh(
        game,
        "ls-tree",
        "-r",
        "--name-only",
        "refs/catherd/bus",
        "bus/debate",
        "bus/gates",
        "bus/runs",
        "bus/game.yaml",
    )
    assert [path for path in kept.splitlines() if not (game / path).is_file()] == []
    assert not (game / "bus/.restoring").exists()


def clone(finished: Path, where: Path) -> Path:
    sh(where.parent, "clone", "-q", str(finished), str(where))
    games.furnish(where)
    return where


@pytest.mark.parametrize("n", [2, 4, 9, 15])
def test_adopting_a_decision_can_be_killed(
    n: int, finished_game: Path, tmp_path: Path
) -> None:
    game = clone(finished_game, tmp_path / "clone")
    sh(game, "remote", "remove", "origin")
    crash(game, f"herd:{n}:after", "debate")
    receipts = [
        yaml.safe_load(path.read_text()) for path in (game / "bus/gates").glob("*.yaml")
    ]
    assert [receipt["outcome"] for receipt in receipts] == ["adopted"] * 7
    assert list((game / "bus/runs").rglob("*.yaml")) == []


@pytest.mark.parametrize("n", [1, 40, 70, 108])
def test_going_on_with_the_bus_of_an_origin_can_be_killed(
    n: int, finished_game: Path, tmp_path: Path
) -> None:
    game = clone(finished_game, tmp_path / "clone")
    crash(game, f"herd:{n}:after", "debate")
    assert {p.relative_to(game) for p in (game / "bus").rglob("*.yaml")} == {
        p.relative_to(finished_game) for p in (finished_game / "bus").rglob("*.yaml")
    }
    assert not (game / "bus/.restoring").exists()

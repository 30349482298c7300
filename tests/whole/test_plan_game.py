"""A whole plan, played once by the rehearsal: what is on main afterwards, and what it cost you (nothing)."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from catherd.bus import yaml_read
from catherd.bus.store import DECISION
from catherd.design import checks
from catherd.pulls import audits
from crash import compare, lab, shares
from support import games
from support.checkout_watch import Yours
from support.git_repos import put, repo, sh
from support.typed import Typed, until

pytestmark = pytest.mark.herd


def merges(game: Path) -> list[str]:
    out = sh(
        game,
        "log",
        "--first-parent",
        "--merges",
        "--reverse",
        "--format=%an%x00%B%x01",
        "main",
    )
    return [one.strip("\n") for one in out.split("\x01") if one.strip()]


def test_main_has_one_merge_for_each_task_by_several_authors_each_read_by_two_others(
    finished_plan: Path,
) -> None:
    tasks = [p.stem for p in (finished_plan / "bus/tasks").glob("D-*.yaml")]
    found = merges(finished_plan)
    assert sorted(
        re.findall(r"^Task: (.+)$", "\n".join(found), re.MULTILINE)
    ) == sorted(tasks)
    authors = set()
    for one in found:
        author = one.partition(" (catherd)")[0].lower()
        authors.add(author)
        readers = set(re.findall(r"^Reviewed-by: (\w+) <", one, re.MULTILINE))
        assert len(readers - {author}) >= 2, one
        assert author not in readers
    assert len(authors) >= 3


def test_the_document_has_no_finding_and_the_history_proves_itself(
    finished_plan: Path, tmp_path: Path
) -> None:
    sh(tmp_path, "clone", "-q", str(finished_plan), "clone")
    assert (
        checks.check(
            str(tmp_path / "clone"),
            None,
            str(finished_plan / ".catherd/checks"),
            complete=True,
        )
        == []
    )
    found, count = audits.audit_branch(str(tmp_path / "clone"))
    assert (found, count) == ([], len(merges(finished_plan)))
    on = {
        name: yaml_read.read_yaml(str(finished_plan / name)).data
        for name in ("bus/game.yaml", DECISION)
    }
    assert on[DECISION]["roll"] == on["bus/game.yaml"]["roll"]


def test_a_reviewer_objected_a_check_found_something_and_two_changes_conflicted(
    finished_plan: Path,
) -> None:
    bus = finished_plan / "bus"
    assert [
        p
        for p in bus.glob("prs/*/reviews/*.yaml")
        if yaml_read.read_yaml(str(p)).data["verdict"] == "changes"
    ]
    found = [
        p for p in bus.glob("runs/*/*.write.*.2.yaml") if "Findings:" in p.read_text()
    ]
    assert found
    needs = [
        yaml_read.read_yaml(str(p)).data["why"] for p in bus.glob("prs/*/needs-*.yaml")
    ]
    assert "it conflicts with main" in needs


def test_no_more_reviews_were_paid_for_than_were_needed(finished_plan: Path) -> None:
    bus = finished_plan / "bus"
    for pr in bus.glob("prs/PR-*"):
        heads = {
            yaml_read.read_yaml(str(p)).data["head"][:12]
            for p in pr.glob("head-*.yaml")
        }
        for head in heads:
            said = [p.name for p in (pr / "reviews").glob(f"{head}.*.yaml")]
            again = {
                p.name.split(".")[1]
                for p in (pr / "reviews").glob("*.yaml")
                if "verdict: changes" in p.read_text()
            }
            assert len(said) <= max(2, len(again)), (pr.name, said)
    assert not list((bus / "claims/open").iterdir())


def test_nothing_of_yours_was_touched(finished_plan: Path) -> None:
    assert {
        name: (finished_plan / name).read_text() for name in games.YOURS
    } == games.YOURS
    now = games.run(
        finished_plan, "git", "status", "--porcelain", "--ignored=no"
    ).stdout
    assert now == (finished_plan.parent / "before.txt").read_text()


def test_that_watch_sees_what_was_put_back_at_once(tmp_path: Path) -> None:
    root = Path(
        repo(
            tmp_path / "game",
            {"docs/mine.md": "mine\n", "bus/README.md": "", "worktrees/README.md": ""},
        )
    )
    put(root, {"staged.txt": "staged\n"})
    sh(root, "add", "staged.txt")
    with Yours(root, "staged.txt") as yours:
        put(
            root,
            {
                "docs/mine.md": "theirs\n",
                "bus/goal": "plan\n",
                "docs/brought/new.md": "new\n",
            },
        )
        put(root, {"docs/mine.md": "mine\n"})
        sh(root, "rm", "-q", "--cached", "staged.txt")
        until(
            "it is seen", lambda: "" in yours.staged and "docs/mine.md" in yours.touched
        )
        sh(root, "add", "staged.txt", "docs/brought")
    sh(root, "commit", "-q", "-m", "brought", "--", "docs/brought")
    assert yours.strange() == ["docs/mine.md"]


def test_nothing_of_yours_was_touched_at_any_moment_but_what_the_merges_brought(
    finished_plan: Path,
) -> None:
    seen = json.loads((finished_plan.parent / "watched.json").read_text())
    assert seen["strange"] == []
    assert seen["brought"] > 20
    assert seen["staged"] == [sh(finished_plan, "ls-files", "-s", "--", "staged.txt")]


def test_a_plan_whose_processes_are_killed_ends_like_one_that_was_not(
    finished_game: Path, finished_plan: Path, tmp_path: Path
) -> None:
    """A sample of `make crash-proof`: one point in three hundred, all in one game."""
    game = games.copy(finished_game, tmp_path / "template")
    games.mess(game)
    from_ = lab.Template(game, games.ROOT / "src")
    played = shares.play(
        from_, tmp_path / "game", "plan", compare.left(finished_plan), "5/300"
    )
    assert played.faults == []
    assert played.killed


def test_the_chat_tells_the_plan_without_a_call_and_without_calling_anybody(
    finished_plan: Path,
) -> None:
    said = [
        yaml_read.read_yaml(str(p)).data
        for p in (finished_plan / "bus/chat").glob("*.yaml")
    ]
    lines = [
        one["text"]
        for one in said
        if one.get("wrote", {}).get("turn", "").startswith("line/")
    ]
    for what in (
        "I bid ",
        "I take ",
        " is on main ",
        "not like this: ",
        "comes back to me: it conflicts",
    ):
        assert [line for line in lines if what in line], what
    assert not [line for line in lines if "@" in line]


def test_prs_pr_and_status_show_it(finished_plan: Path) -> None:
    listed = games.catherd(finished_plan, "prs").stdout.splitlines()
    assert len(listed) == len(merges(finished_plan))
    assert all(
        re.match(r"PR-00\d\d  merged   \w+ +D-\S+ +[2-4]/2  green  ", line)
        for line in listed
    ), listed
    one = games.make(finished_plan, "pr", N="1").stdout
    assert "check docs: green on " in one
    assert "\ndiff --git a/docs/index.md b/docs/index.md\n" in one
    assert "disk: bus " in games.catherd(finished_plan, "status").stdout


def test_a_published_game_goes_on_in_a_fresh_clone(
    finished_plan: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_plan, tmp_path / "game")
    sh(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    sh(game, "remote", "add", "origin", str(tmp_path / "origin.git"))
    (game / "bus/gates/plan.yaml").unlink()  # short of its end
    done = games.make(game, "publish")
    assert done.returncode == 0, done.stderr
    sh(tmp_path, "clone", "-q", "origin.git", "clone")
    clone = tmp_path / "clone"
    games.furnish(clone)
    shutil.copytree(
        game / ".catherd/checks", clone / ".catherd/checks"
    )  # the drawings, for the sake of time
    done = games.make(clone, "plan")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"restored the bus from {tmp_path}/origin.git: " in done.stdout
    assert (clone / "bus/prs/PR-0001/merged.yaml").is_file()
    assert (clone / "bus/gates/plan.yaml").is_file()
    assert audits.audit_branch(str(clone))[0] == []


def opened(game: Path) -> tuple[set[str], set[str]]:
    """The pull requests that are merged, and those that are open."""
    there = {path.parent for path in (game / "bus/prs").glob("PR-*/head-1.yaml")}
    merged = {path.name for path in there if (path / "merged.yaml").exists()}
    return merged, {path.name for path in there} - merged


def test_what_was_published_in_the_middle_of_a_plan_goes_on_in_a_fresh_clone(
    finished_game: Path, finished_plan: Path, tmp_path: Path
) -> None:
    game, origin, clone = (
        games.copy(finished_game, tmp_path / "game"),
        tmp_path / "origin.git",
        tmp_path / "clone",
    )
    sh(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    sh(game, "remote", "add", "origin", str(origin))
    shutil.copytree(
        finished_plan / ".catherd/checks", game / ".catherd/checks"
    )  # the drawings, for the sake of time
    typed = Typed(game, "plan", REHEARSAL_LATENCY="0.1")
    try:
        until(
            "some are merged, some open",
            lambda: len(opened(game)[0]) >= 2 and opened(game)[1],
            90,
        )
        done = games.make(game, "publish")  # while the herd works
    finally:
        lab.end(game)  # and this machine is gone
        typed.ended()
    assert done.returncode == 0, done.stdout + done.stderr
    sh(tmp_path, "clone", "-q", "origin.git", "clone")
    games.furnish(clone)
    shutil.copytree(game / ".catherd/checks", clone / ".catherd/checks")
    kept = {
        p: c
        for p, c in snapshots(origin).items()
        if p.startswith(("runs/", "prs/", "plan/bids/"))
    }
    before = sh(clone, "log", "--first-parent", "--format=%H", "main").split()
    done = games.make(clone, "plan", seconds=240)
    assert done.returncode == 0, done.stdout + done.stderr
    games.make(clone, "down")
    after = sh(clone, "log", "--first-parent", "--format=%H", "main").split()
    assert after[-len(before) :] == before
    assert len([p for p in kept if re.match(r"prs/PR-\d+/merged.yaml", p)]) >= 2
    assert {
        p for p, content in kept.items() if (clone / "bus" / p).read_bytes() != content
    } == set()
    assert opened(clone)[1] == set()
    tasks = [p.stem for p in (clone / "bus/tasks").glob("D-*.yaml")]
    assert sorted(
        re.findall(r"^Task: (.+)$", "\n".join(merges(clone)), re.MULTILINE)
    ) == sorted(tasks)
    assert audits.audit_branch(str(clone)) == ([], len(tasks))
    calls = {
        p
        for p in kept
        if p.startswith("runs/")
        and p.endswith(".yaml")
        and not p.endswith(".answer.yaml")
    }
    flying = {p for p in calls if p.replace(".yaml", ".answer.yaml") not in kept}
    told = [
        json.loads(line)
        for day in (clone / "bus/events").iterdir()
        for line in day.read_text().splitlines()
    ]
    billed = {
        f"{one['subject']}.yaml"
        for one in told
        if one["kind"] == "may-have-been-billed"
    }
    assert billed == flying


def snapshots(origin: Path) -> dict[str, bytes]:
    """What the bus held, as it was published."""
    listed = sh(
        origin,
        "ls-tree",
        "-r",
        "-z",
        "--format=%(objectname) %(path)",
        "refs/catherd/bus",
        "bus",
    ).split("\0")
    found = [line.split(" ", 1) for line in listed if line]
    return {path.removeprefix("bus/"): blob(origin, oid) for oid, path in found}


def blob(origin: Path, oid: str) -> bytes:
    return subprocess.run(
        ["git", "cat-file", "blob", oid], cwd=origin, capture_output=True, check=True
    ).stdout


def test_a_clone_without_a_bus_adopts_the_plan_that_is_on_main(
    finished_plan: Path, tmp_path: Path
) -> None:
    sh(tmp_path, "clone", "-q", str(finished_plan), "clone", "--no-local")
    clone = tmp_path / "clone"
    sh(clone, "remote", "remove", "origin")
    games.furnish(clone)
    done = games.make(clone, "plan")
    assert done.returncode == 0, done.stdout + done.stderr
    receipts = [
        yaml_read.read_yaml(str(p)).data for p in (clone / "bus/gates").glob("*.yaml")
    ]
    assert {one["outcome"] for one in receipts} == {"adopted"}
    assert not list((clone / "bus/runs").iterdir())


@pytest.mark.parametrize("name", ["design.html"])
def test_design_writes_one_page_of_what_is_on_main(
    finished_plan: Path, tmp_path: Path, name: str
) -> None:
    done = games.catherd(finished_plan, "design", "--out", str(tmp_path / name))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / name}\n"), done.stderr
    page = (tmp_path / name).read_text()
    assert "SCR-001" in page
    assert "<script" not in page

"""Landing on the game's branch: what is yours in the checkout is never touched, whatever state it is in."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from catherd.bus.store import Bus
from catherd.core.errors import CatherdError, NeedsYou
from catherd.git import landing, objects, run
from support import games
from support.git_repos import everything, put, sh

NEW = {"docs/decision.md": b"we decided\n", "README.md": b"hello again\n"}
START = {"notes.txt": "mine\n", "docs/old.md": "old\n", "doomed.md": "gone soon\n"}


def land(root: str, branch: str = "main") -> landing.Landed:
    return landing.land(root, branch, NEW, ["doomed.md"], "Decide\n\nWhy.")


def holds(root: str, commit: str) -> bool:
    files = {p: objects.read_blob(root, commit, p) for p in NEW}
    return files == NEW and objects.read_blob(root, commit, "doomed.md") is None


def test_a_clean_checkout_is_fast_forwarded_and_stays_clean(root: str) -> None:
    old = run.rev(root, "main")
    landed = land(root)
    assert landed == landing.Landed(run.rev(root, "main"), root, new=True)
    assert holds(root, "main")
    assert sh(root, "status", "--porcelain") == ""
    assert Path(root, "README.md").read_text() == "hello again\n"
    assert not Path(root, "doomed.md").exists()
    assert (
        sh(root, "log", "-1", "--format=%P %an %cn %s")
        == f"{old} catherd catherd Decide"
    )


def test_the_same_content_lands_once(root: str) -> None:
    first = land(root)
    assert land(root) == landing.Landed(first.sha, "", new=False)
    assert sh(root, "rev-list", "--count", "main") == "2"


def test_a_secret_is_not_landed_and_you_are_told_where_it_stood(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-ant-" + "api03-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF"
    put(
        Path(root),
        {"bus/.tmp/x": "", "agents/m.yaml": "name: M\nkey: MISTRAL_WORK_ACCOUNT\n"},
    )
    monkeypatch.setenv("MISTRAL_WORK_ACCOUNT", "open sesame, please")
    picture = b"\x89PNG\r\n" + key.encode()
    files = {
        "docs/pitch.md": f"one\n{key} and open sesame, please\n".encode(),
        "docs/a.png": picture,
        **NEW,
    }
    landed = landing.land(root, "main", files, [], f"Land {key}")
    assert objects.read_blob(root, "main", "docs/pitch.md") == (
        b"one\nremoved-Anthropic-key and removed-the-value-of-MISTRAL_WORK_ACCOUNT\n"
    )
    assert objects.read_blob(root, "main", "docs/a.png") == picture
    assert sh(root, "log", "-1", "--format=%s") == "Land [removed: Anthropic key]"
    assert [(one.where, one.what, one.fix) for one in Bus(root).troubles()] == [
        (
            "docs/pitch.md",
            "was landed without what must not be committed: Anthropic key (line 2), the value of MISTRAL_WORK_ACCOUNT (line 2)",
            "revoke it where it was issued, the bus still holds it; then rm bus/problems/secret-docs-pitch.md.yaml",
        )
    ]
    assert landing.land(root, "main", files, [], "again") == landing.Landed(
        landed.sha, "", new=False
    )


def edit(root: str) -> None:
    put(
        Path(root),
        {
            "notes.txt": "mine, edited\n",
            ".env": "SECRET=1\n",
            "bus/x.yaml": "a: 1\n",
            "scratch": "s\n",
        },
    )


def stage(root: str) -> None:
    edit(root)
    sh(root, "add", "notes.txt", "scratch")
    sh(root, "mv", "docs/old.md", "docs/renamed.md")


@pytest.mark.parametrize("mine", [edit, stage])
def test_edits_staged_untracked_and_ignored_files_elsewhere_are_kept(
    root: str, mine: Callable[[str], None]
) -> None:
    mine(root)
    before, status = everything(root), sh(root, "status", "--porcelain", "--ignored")
    land(root)
    after = everything(root)
    assert {p: c for p, c in after.items() if p not in NEW} == {
        p: c for p, c in before.items() if p not in NEW and p != "doomed.md"
    }
    assert sh(root, "status", "--porcelain", "--ignored") == status
    assert holds(root, "main")


CLASHES: dict[str, tuple[dict[str, str], list[list[str]], str]] = {
    "edited": ({"README.md": "my words\n"}, [], "README.md"),
    "staged": ({"README.md": "my words\n"}, [["add", "README.md"]], "README.md"),
    "deleted and staged": ({}, [["rm", "-q", "README.md"]], "README.md"),
    "edited what goes": ({"doomed.md": "keep me\n"}, [], "doomed.md"),
    "untracked": ({"docs/decision.md": "my draft\n"}, [], "docs/decision.md"),
    "added": (
        {"docs/decision.md": "my draft\n"},
        [["add", "docs/decision.md"]],
        "docs/decision.md",
    ),
    "a directory in the way": ({"docs/decision.md/mine": "x"}, [], "docs/decision.md/"),
}


@pytest.mark.parametrize("case", CLASHES)
def test_a_clash_touches_nothing_and_names_the_file(root: str, case: str) -> None:
    files, commands, name = CLASHES[case]
    put(Path(root), files)
    for command in commands:
        sh(root, *command)
    index = Path(root, ".git/index").read_bytes()
    before, old = everything(root), run.rev(root, "main")
    with pytest.raises(NeedsYou) as caught:
        land(root)
    assert str(caught.value) == (
        f"{root}: main cannot move forward: it would overwrite what you have in {name}; nothing was touched\n"
        f"  fix: commit them, or put them aside: cd {root} && mkdir -p ../aside && mv {name} ../aside/"
    )
    assert everything(root) == before
    assert Path(root, ".git/index").read_bytes() == index
    assert run.rev(root, "main") == old
    assert not Path(root, ".git/catherd/ff.yaml").exists()


@pytest.mark.parametrize("ignored", [".env", "bus/pr.yaml", "docs/decision.md"])
def test_an_ignored_file_is_never_replaced(root: str, ignored: str) -> None:
    put(Path(root), {".git/info/exclude": "docs/decision.md\n", ignored: "live\n"})
    before = everything(root)
    with pytest.raises(NeedsYou) as caught:
        landing.land(root, "main", {ignored: b"from the bus"}, [], "m")
    assert ignored in str(caught.value)
    assert everything(root) == before
    Path(root, ignored).rename(Path(root, ".git/aside"))
    assert landing.land(root, "main", {ignored: b"from the bus"}, [], "m").new


def test_an_ignored_directory_where_a_file_goes_is_never_replaced(root: str) -> None:
    put(Path(root), {"bus/x.yaml/deep/precious": "live\n"})
    before = everything(root)
    with pytest.raises(NeedsYou):
        landing.land(root, "main", {"bus/x.yaml": b"file"}, [], "m")
    with pytest.raises(NeedsYou):
        landing.land(root, "main", {"bus/x.yaml/deep/precious/more": b"file"}, [], "m")
    assert everything(root) == before


def test_what_you_staged_exactly_as_it_lands_is_no_clash(root: str) -> None:
    put(Path(root), {"README.md": "hello again\n"})
    sh(root, "add", "README.md")
    assert land(root).where == root
    assert sh(root, "status", "--porcelain") == ""


def test_a_held_index_lock_is_waited_for_and_then_named(root: str) -> None:
    lock = Path(root, ".git/index.lock")
    lock.touch()
    before = everything(root)
    with pytest.raises(NeedsYou) as caught:
        land(root)
    assert str(caught.value) == (
        f"{root}: main cannot move forward: error: Unable to create '{lock}': File exists.\n"
        "  fix: let the git command in this checkout end (none runs: rm .git/index.lock)"
    )
    assert everything(root) == before
    lock.unlink()
    assert land(root).new


def other_branch(root: str) -> None:
    sh(root, "switch", "-q", "-c", "mine")


def detach(root: str) -> None:
    sh(root, "switch", "-q", "--detach")


def bare(root: str) -> None:
    sh(root, "config", "core.bare", "true")


@pytest.mark.parametrize("leave", [other_branch, detach, bare])
def test_where_the_branch_is_not_checked_out_only_the_ref_moves(
    root: str, leave: Callable[[str], None]
) -> None:
    leave(root)
    put(Path(root), {"README.md": "my words\n"})
    before = everything(root)
    landed = land(root)
    assert landed == landing.Landed(run.rev(root, "main"), "", new=True)
    assert holds(root, "main")
    assert everything(root) == before


def test_a_branch_checked_out_in_a_worktree_of_yours_moves_there(
    root: str, tmp_path: Path
) -> None:
    sh(root, "switch", "-q", "-c", "mine")
    sh(root, "worktree", "add", "-q", f"{tmp_path}/second", "main")
    put(tmp_path / "second", {"notes.txt": "edited there\n"})
    assert land(root).where == f"{tmp_path}/second"
    assert sh(tmp_path / "second", "status", "--porcelain").strip() == "M notes.txt"
    shutil.rmtree(tmp_path / "second")
    assert landing.land(root, "main", {"a": b"b"}, [], "m").where == ""


def test_a_rebase_of_the_branch_is_waited_for(root: str) -> None:
    put(Path(root), {"README.md": "one\n"})
    sh(root, "commit", "-qam", "one")
    sh(root, "branch", "theirs", "HEAD~1")
    sh(root, "switch", "-q", "theirs")
    put(Path(root), {"README.md": "two\n"})
    sh(root, "commit", "-qam", "two")
    sh(root, "switch", "-q", "main")
    sh(root, "rebase", "theirs", okay=(1,))
    with pytest.raises(NeedsYou) as caught:
        land(root)
    where = f"{root}/.git/rebase-merge"
    assert (
        str(caught.value)
        == f"{where}: you are rebasing main\n  fix: git rebase --continue  (or --abort)"
    )
    sh(root, "rebase", "--abort")
    assert land(root).new


def test_a_merge_in_progress_is_waited_for(root: str) -> None:
    sh(root, "switch", "-q", "-c", "theirs")
    put(Path(root), {"notes.txt": "theirs\n"})
    sh(root, "commit", "-qam", "theirs")
    sh(root, "switch", "-q", "main")
    sh(root, "merge", "-q", "--no-ff", "--no-commit", "theirs")
    before = everything(root)
    with pytest.raises(NeedsYou) as caught:
        land(root)
    assert (
        "main cannot move forward: fatal: You have not concluded your merge (MERGE_HEAD exists)."
        in str(caught.value)
    )
    assert everything(root) == before


def test_a_detached_game_keeps_its_own_main(root: str) -> None:
    sh(root, "switch", "-q", "--detach")
    start = run.rev(root, "HEAD")
    assert landing.save_before(root, "g1", "") == "git update-ref -d refs/catherd/main"
    landed = land(root, "")
    assert holds(root, "refs/catherd/main")
    assert (run.rev(root, "HEAD"), landing.tip(root, "")) == (start, landed.sha)
    assert landing.save_before(root, "g1", "") == "git update-ref -d refs/catherd/main"
    assert landing.tip(root, "") == landed.sha
    landing.save_before(root, "g2", "")
    assert (landing.tip(root, ""), run.rev(root, "refs/catherd/before/g2-main")) == (
        start,
        landed.sha,
    )


def test_the_undo_line_undoes_and_is_saved_once(root: str) -> None:
    start = run.rev(root, "main")
    assert (
        landing.save_before(root, "g1", "main")
        == "git reset --keep refs/catherd/before/g1"
    )
    land(root)
    put(Path(root), {"notes.txt": "edited\n"})
    undo = landing.save_before(root, "g1", "main")
    sh(root, *undo.split()[1:])
    assert run.rev(root, "main") == start
    assert Path(root, "notes.txt").read_text() == "edited\n"
    detach(root)
    assert (
        landing.save_before(root, "g1", "main")
        == "git update-ref refs/heads/main refs/catherd/before/g1"
    )


def test_a_deleted_branch_is_named(root: str) -> None:
    sh(root, "switch", "-q", "-c", "mine")
    sh(root, "branch", "-q", "-D", "main")
    with pytest.raises(CatherdError) as caught:
        land(root)
    fix = "git branch main <the commit it was at>"
    assert str(caught.value) == f"{root}: the game's branch main is gone\n  fix: {fix}"


@pytest.mark.parametrize("reset_first", [True, False])
def test_the_last_line_takes_a_whole_game_back_in_either_order(
    finished_game: Path, tmp_path: Path, reset_first: bool
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    last = (finished_game.parent / "session.txt").read_text().splitlines()[-1]
    undo = last.removeprefix("undo: ")
    one, two = undo.split(" && ")
    sh(game, "status")  # a copy has other times than the index says
    before = sh(game, "rev-parse", one.split()[-1])

    done = games.run(game, "sh", "-c", undo if reset_first else f"{two} && {one}")

    assert done.returncode == 0, done.stderr
    assert sh(game, "rev-parse", "main") == before
    assert sh(game, "status", "--porcelain") == ""
    assert games.make(game, "status").stdout.startswith(
        "no game is on; make debate begins one\n"
    )
    again = games.make(game, "round-1")
    assert again.returncode == 0
    assert "adopted" not in again.stdout
    assert sh(game, "rev-parse", "main") == before
    games.catherd(game, "down")


def test_what_stands_in_the_way_of_main_is_told_by_status_until_the_goal_is_typed_again(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    last = (finished_game.parent / "session.txt").read_text().splitlines()[-1]
    sh(game, "status")  # a copy has other times than the index says
    sh(game, *last.removeprefix("undo: ").partition(" && ")[0].split()[1:])
    put(game, {"docs/debate/decision.yaml": "mine\n"})
    what = "main cannot move forward: it would overwrite what you have in docs/debate/decision.yaml; nothing was touched"
    fix = f"fix: commit them, or put them aside: cd {game} && mkdir -p ../aside && mv docs/debate/decision.yaml ../aside/"

    stopped = games.make(game, "debate")

    assert f"catherd: needs you: {game}: {what}\n  {fix}\n" in stopped.stderr
    told = " ".join(games.make(game, "status").stdout.split())
    assert told.startswith(f"needs you {game}: {what} {fix} game ")
    assert "next: make debate" in told
    (game / "docs/debate/decision.yaml").unlink()
    again = games.make(game, "debate")
    assert again.returncode == 0, again.stderr
    assert "needs you" not in games.make(game, "status").stdout

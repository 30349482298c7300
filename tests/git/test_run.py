"""The door to git: what it refuses to run, what it says when it fails, and compare-and-swap of refs."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from catherd.core.errors import CatherdError
from catherd.git import objects, run
from support.git_repos import put, repo, sh


def trap(where: Path, mark: Path) -> str:
    """An executable that leaves a mark when it is run."""
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(f"#!/bin/sh\necho ran >> {mark}\ncat\n")
    where.chmod(0o755)
    return str(where)


def test_the_root_is_found_from_a_subdirectory_and_from_a_worktree(root: str) -> None:
    deep = Path(root, "docs", "deep")
    deep.mkdir(parents=True)
    sh(root, "worktree", "add", "-q", "-b", "claude/T-1", "worktrees/claude")
    assert run.root(str(deep)) == root
    assert run.root(f"{root}/worktrees/claude") == root


def test_outside_a_repository_the_fix_makes_one(tmp_path: Path) -> None:
    with pytest.raises(CatherdError) as caught:
        run.root(str(tmp_path))
    fix = "git init && git add -A && git commit --allow-empty -m start"
    assert str(caught.value) == f"{tmp_path}: not inside a git repository\n  fix: {fix}"


def test_a_repository_without_a_commit_is_named_as_such(tmp_path: Path) -> None:
    sh(tmp_path, "init", "-q")
    with pytest.raises(CatherdError) as caught:
        run.root(str(tmp_path))
    assert (
        str(caught.value)
        == f"{tmp_path}: the repository has no commit yet\n  fix: git add -A && git commit -m start"
    )


def test_a_git_directory_kept_elsewhere_is_refused_with_a_way_out(
    tmp_path: Path,
) -> None:
    sh(tmp_path, "init", "-q", "--separate-git-dir", "store", "game")
    with pytest.raises(CatherdError) as caught:
        run.root(f"{tmp_path}/game")
    assert str(caught.value) == (
        f"{tmp_path}/game: the git directory of this checkout is {tmp_path}/store, not a directory .git beside the files\n"
        f"  fix: git clone {tmp_path}/game {tmp_path}/game-game && cd {tmp_path}/game-game"
    )


def test_a_git_that_is_too_old_or_missing_is_said_before_anything_runs(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 2.30.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:/bin:/usr/bin")
    with pytest.raises(CatherdError) as caught:
        run.rev(root, "HEAD")
    assert str(caught.value) == (
        f"{old}: Git too old: git version 2.30.1, catherd needs 2.38 or newer\n"
        "  fix: sudo apt-get install git  (or see https://git-scm.com/downloads)"
    )
    monkeypatch.setenv("PATH", f"{tmp_path}/nowhere")
    with pytest.raises(CatherdError) as none:
        run.rev(root, "HEAD")
    assert (
        str(none.value) == "git: git is not installed\n  fix: sudo apt-get install git"
    )


def test_an_error_names_the_command_and_the_code_and_hides_credentials(
    root: str,
) -> None:
    with pytest.raises(run.GitError) as caught:
        run.git(root, "cat-file", "blob", "0123")
    assert (
        str(caught.value)
        == "git cat-file blob 0123: exit 128: fatal: Not a valid object name 0123"
    )
    assert (
        run.scrub("fatal: https://me:secret@host/x\x1b[31m\n")
        == "fatal: https://***@host/x\\x1b[31m"
    )


def test_head_branch_is_empty_when_detached(root: str) -> None:
    assert run.head_branch(root) == "main"
    sh(root, "switch", "-q", "--detach")
    assert run.head_branch(root) == ""


def test_the_callers_git_variables_change_nothing(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = repo(tmp_path / "other", {"only-here": "x"})
    monkeypatch.setenv("GIT_DIR", f"{other}/.git")
    monkeypatch.setenv("GIT_INDEX_FILE", f"{tmp_path}/no-index")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Mallory")
    sha = objects.commit_files(root, "refs/catherd/x", {"a": b"1"}, "m")
    assert "only-here" not in objects.list_tree(root, "HEAD")
    assert (
        sh(root, "show", "-s", "--format=%an <%ae> %cn", sha)
        == "catherd <catherd@agents.invalid> catherd"
    )


def test_bytes_and_odd_names_come_back_as_they_went_in(root: str) -> None:
    files = {
        "docs/a b.md": b"\0\r\n\xff",
        "docs/new\nline": b"",
        "docs/\udcff": b"raw name",
        "docs/ü": b"x" * 100_000,
    }
    sha = objects.commit_files(
        root, "refs/catherd/x", files, "odd", author=run.agent_identity("claude")
    )
    assert {p: objects.read_blob(root, sha, p) for p in files} == files
    assert set(objects.list_tree(root, sha, "docs/")) == set(files)
    assert objects.read_blob(root, sha, "docs") is None
    assert objects.read_blob(root, sha, "docs/absent") is None
    assert (
        sh(root, "show", "-s", "--format=%an <%ae>", sha)
        == "Claude (catherd) <claude@agents.invalid>"
    )


def test_the_same_content_makes_no_second_commit_and_modes_are_kept(root: str) -> None:
    put(Path(root), {"run.sh": "#!/bin/sh\n"})
    Path(root, "run.sh").chmod(0o755)
    sh(root, "add", "run.sh")
    sh(root, "commit", "-q", "-m", "script")
    sh(root, "update-ref", "refs/catherd/x", "HEAD")
    first = objects.commit_files(
        root,
        "refs/catherd/x",
        {"run.sh": b"#!/bin/sh\nexit\n", "b": b"2"},
        "m",
        remove=["README.md"],
    )
    assert objects.list_tree(root, first, "run.sh")["run.sh"][0] == "100755"
    assert objects.read_blob(root, first, "README.md") is None
    again = objects.commit_files(
        root, "refs/catherd/x", {"b": b"2"}, "m", remove=["README.md", "never-there"]
    )
    assert again == first
    assert sh(root, "status", "--porcelain") == ""


def test_a_lost_compare_and_swap_changes_nothing_and_is_called_moved(root: str) -> None:
    head = run.rev(root, "HEAD")
    other = objects.commit_tree(
        root, sh(root, "rev-parse", "HEAD^{tree}"), [head], "other"
    )
    for stale in (
        f"update refs/heads/main {other} {other}",
        f"create refs/heads/main {other}",
        f"verify refs/no/x {head}",
    ):
        with pytest.raises(run.Moved):
            objects.transaction(
                root, [f"create refs/catherd/mark {head}", stale], "test"
            )
        assert run.rev(root, "refs/catherd/mark") == ""
        assert run.rev(root, "main") == head


def test_paths_that_would_reach_into_git_never_enter_a_commit(root: str) -> None:
    for bad in (
        ".git/config",
        ".GIT/hooks/x",
        "a/../b",
        "/abs",
        "git~1/x",
        ".g\u200cit/config",
        "a//b",
    ):
        with pytest.raises(run.GitError):
            objects.commit_files(root, "refs/catherd/x", {bad: b"x"}, "m")
    assert run.rev(root, "refs/catherd/x") == ""


def test_hooks_fsmonitor_and_textconv_of_the_repository_do_not_run(
    root: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    for hook in (
        "reference-transaction",
        "post-merge",
        "pre-commit",
        "post-checkout",
        "post-index-change",
        "commit-msg",
    ):
        trap(Path(root, ".git/hooks", hook), mark)
    program = trap(tmp_path / "program", mark)
    for key in (
        "core.fsmonitor",
        "diff.bad.textconv",
        "diff.bad.command",
        "core.pager",
        "gpg.program",
    ):
        sh(root, "config", key, program)
    for key in ("commit.gpgSign", "gc.auto"):
        sh(root, "config", key, "1")
    sha = objects.commit_files(
        root,
        "refs/catherd/x",
        {".gitattributes": b"* diff=bad\n", "a.txt": b"1\n"},
        "m",
    )
    run.git(root, "status", "--porcelain")
    shown = run.git(
        root, "diff-tree", "-p", "--text", "--no-textconv", "--no-ext-diff", "HEAD", sha
    )
    assert "+1" in shown
    assert not mark.exists()


def test_a_nested_repository_cannot_make_the_outer_one_run_its_programs(
    root: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    inner = Path(root, "vendor")
    repo(inner)
    sh(inner, "config", "core.fsmonitor", trap(tmp_path / "program", mark))
    sh(inner, "config", "filter.f.clean", str(tmp_path / "program"))
    put(inner, {".gitattributes": "* filter=f\n", "README.md": "changed\n"})
    sh(
        root,
        "-c",
        "advice.addEmbeddedRepo=false",
        "update-index",
        "--add",
        "--cacheinfo",
        f"160000,{'1' * 40},vendor",
    )
    mark.unlink(missing_ok=True)
    run.git(root, "status", "--porcelain")
    run.git(root, "diff-index", "-p", "HEAD")
    assert not mark.exists()


def test_a_bare_repository_planted_in_the_tree_is_not_entered(
    root: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    planted = Path(root, "planted")
    sh(root, "init", "-q", "--bare", "planted")
    sh(planted, "config", "core.fsmonitor", trap(tmp_path / "program", mark))
    assert run.root(str(planted)) == root
    run.git(run.WorkPlace(str(planted), f"{root}/.git"), "status", "--porcelain")
    assert not mark.exists()


def test_symlinks_of_a_tree_are_written_as_plain_files_outside_your_checkout(
    root: str, tmp_path: Path
) -> None:
    oid = objects.blobs(root, [b"/etc/passwd"])[0]
    tree = objects.build_tree(root, "", {"link": ("120000", oid)})
    out = tmp_path / "out"
    out.mkdir()
    with objects.private(root, tree) as place:
        run.git(
            run.WorkPlace(str(out), place.git_dir, place.index_file),
            "checkout-index",
            "-a",
        )
    assert stat.S_ISREG(os.lstat(out / "link").st_mode)


def test_the_repo_lock_is_held_on_by_a_git_child_whose_parent_was_killed(
    root: str,
) -> None:
    """The killed parent's git must be dead before anyone repairs what it left."""
    fifo = Path(root, "fifo")
    os.mkfifo(fifo)
    code = f"""
import sys
from catherd.git import run
with run.locked({root!r}):
    with open({root!r} + "/.git/started", "w"):
        pass
    run.call({root!r}, "hash-object", "--no-filters", "--", {str(fifo)!r})
"""
    child = subprocess.Popen([sys.executable, "-c", code])
    writer = os.open(
        fifo, os.O_WRONLY
    )  # returns once git reads: so it runs, inside the lock
    child.kill()
    child.wait()
    probe = f"import fcntl; fcntl.flock(open({root!r} + '/.git/catherd/repo.lock', 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    assert (
        b"BlockingIOError"
        in subprocess.run([sys.executable, "-c", probe], capture_output=True).stderr
    )
    os.close(writer)  # git reads to the end and exits
    with run.locked(root), run.locked(root):
        assert run.rev(root, "HEAD")


def test_many_processes_lose_no_commit_to_each_other(root: str) -> None:
    code = f"""
import sys
from catherd.git import objects, run
done = 0
while done < 5:
    try:
        objects.commit_files({root!r}, "refs/catherd/x", {{f"{{sys.argv[1]}}-{{done}}": b"x"}}, "m")
        done += 1
    except run.Moved:
        pass
"""
    crowd = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
    assert [c.wait() for c in crowd] == [0] * 4
    assert len(objects.list_tree(root, "refs/catherd/x")) == 20
    assert sh(root, "rev-list", "--count", "refs/catherd/x") == "20"
    assert sh(root, "fsck", "--strict", "--no-dangling") == ""


def test_the_root_of_an_agents_worktree_does_not_depend_on_what_its_git_file_says(
    root: str, tmp_path: Path
) -> None:
    trap = repo(tmp_path / "trap")
    put(Path(root), {"worktrees/claude/.git": f"gitdir: {trap}/.git\n"})
    assert run.root(f"{root}/worktrees/claude") == root

"""Agents' worktrees: hostile trees, a person's hands, kills; nothing runs, nothing is lost, each case says what it did."""

import os
import shutil
from pathlib import Path

import pytest

from catherd.core.errors import CatherdError, NeedsYou
from catherd.git import objects, pr_rules, run, tamper, worktree
from support.git_repos import everything, put, repo, sh

START = {"worktrees/README.md": "agents work here\n", "app/main.py": "print(1)\n"}


def begin(
    root: str, task: str = "T-001", agent: str = "claude", expected: str = ""
) -> worktree.BranchBegun:
    return worktree.begin_branch(root, agent, task, "main", expected=expected)


def test_a_worktree_is_made_once_and_reused_clean_for_the_next_task(root: str) -> None:
    first = begin(root)
    assert first == worktree.BranchBegun(
        f"{root}/worktrees/claude", "claude/T-001", run.rev(root, "main"), ()
    )
    put(
        Path(first.path),
        {"app/main.py": "half done\n", "app/junk": "x", ".env": "ignored\n"},
    )
    second = begin(root, "T-002")
    assert second.branch == "claude/T-002"
    assert everything(second.path).keys() == {
        "README.md",
        ".gitignore",
        "worktrees/README.md",
        "app/main.py",
    }
    assert (
        sh(first.path, "status", "--porcelain=v1", "-b", "--ignored")
        == "## claude/T-002"
    )
    assert [e.name for e in Path(root, ".git/worktrees").iterdir()] == ["claude"]
    assert sh(root, "status", "--porcelain") == ""


def test_commits_are_the_agents_own_and_hold_the_bytes_as_they_are(root: str) -> None:
    tree = Path(begin(root).path)
    put(
        tree,
        {
            ".gitattributes": "* text eol=crlf ident\n",
            "app/new.txt": "$Id$\r\nx\n",
            "app/run": "#!/bin/sh\n",
        },
    )
    (tree / "app/run").chmod(0o755)
    (tree / "app/main.py").unlink()
    paths = worktree.changed_paths(root, "claude")
    assert paths == [".gitattributes", "app/main.py", "app/new.txt", "app/run"]
    sha = worktree.commit(root, "claude", paths, "Start the app")
    assert run.rev(root, "claude/T-001") == sha
    assert objects.read_blob(root, sha, "app/new.txt") == b"$Id$\r\nx\n"
    assert objects.list_tree(root, sha, "app/run")["app/run"][0] == "100755"
    assert objects.read_blob(root, sha, "app/main.py") is None
    assert (
        sh(root, "show", "-s", "--format=%an <%ae> %cn", sha)
        == "Claude (catherd) <claude@agents.invalid> Claude (catherd)"
    )
    assert (
        worktree.commit(root, "claude", ["app/run", "app/never-there"], "again") == sha
    )


def test_a_file_becomes_a_directory_and_back(root: str) -> None:
    tree = Path(begin(root).path)
    (tree / "app/main.py").unlink()
    put(tree, {"app/main.py/part.py": "x\n"})
    sha = worktree.commit(
        root, "claude", worktree.changed_paths(root, "claude"), "split"
    )
    assert set(objects.list_tree(root, sha, "app")) == {"app/main.py/part.py"}
    shutil.rmtree(tree / "app/main.py")
    put(tree, {"app/main.py": "y\n"})
    sha = worktree.commit(root, "claude", ["app/main.py"], "join")
    assert set(objects.list_tree(root, sha, "app")) == {"app/main.py"}


def test_a_branch_is_continued_where_the_attempt_before_left_it(root: str) -> None:
    tree = Path(begin(root).path)
    put(tree, {"app/one": "1"})
    one = worktree.commit(root, "claude", ["app/one"], "one")
    begin(root, "T-002")
    again = begin(root, expected=one)
    assert (again.head, again.notes) == (one, ())
    assert (tree / "app/one").read_text() == "1"
    over = worktree.begin_branch(root, "gemini", "T-001", one)
    assert (over.branch, over.head) == ("gemini/T-001", one)


def test_a_worktree_that_a_person_removed_is_made_again(root: str) -> None:
    tree = Path(begin(root).path)
    put(tree, {"app/one": "1"})
    one = worktree.commit(root, "claude", ["app/one"], "one")
    shutil.rmtree(tree)
    again = begin(root, expected=one)
    assert again.notes == (
        "worktrees/claude was removed: made again from the last commit",
    )
    assert (tree / "app/one").read_text() == "1"
    assert sh(tree, "status", "--porcelain", "-b") == "## claude/T-001"
    shutil.rmtree(tree)
    sh(root, "worktree", "prune")
    assert begin(root, expected=one).notes == ()
    assert (tree / "app/one").read_text() == "1"


def test_what_stands_where_a_worktree_should_be_is_moved_not_deleted(root: str) -> None:
    put(Path(root), {"worktrees/claude/my notes": "precious\n"})
    saved = f"{root}/.git/catherd/saved/claude-1"
    assert begin(root).notes == (
        f"worktrees/claude is not a worktree: moved to {saved}",
    )
    assert everything(saved) == {"my notes": b"precious\n"}


def test_a_branch_deleted_by_hand_is_made_again_and_told(root: str) -> None:
    tree = Path(begin(root).path)
    put(tree, {"app/one": "1"})
    one = worktree.commit(root, "claude", ["app/one"], "one")
    begin(root, "T-002")
    sh(root, "branch", "-q", "-D", "claude/T-001")
    again = begin(root, expected=one)
    assert again.head == one
    assert again.notes == (
        f"branch claude/T-001 was deleted: made again at {one[:12]}",
    )


def test_a_branch_moved_by_hand_is_gone_on_with_and_the_old_head_is_kept(
    root: str,
) -> None:
    tree = Path(begin(root).path)
    put(tree, {"app/one": "1"})
    one = worktree.commit(root, "claude", ["app/one"], "one")
    begin(root, "T-002")
    sh(root, "branch", "-q", "-f", "claude/T-001", "main")
    main = run.rev(root, "main")
    again = begin(root, expected=one)
    assert again.notes == (
        f"branch claude/T-001 was moved by hand from {one[:12]} to {main[:12]}: going on from there",
    )
    assert run.rev(root, f"refs/catherd/moved/claude/T-001/{one[:12]}") == one


def test_a_branch_with_commits_on_top_is_gone_on_with_and_nothing_is_told(
    root: str,
) -> None:
    tree = Path(begin(root).path)
    put(tree, {"app/one": "1"})
    one = worktree.commit(root, "claude", ["app/one"], "one")
    put(tree, {"app/one": "2"})
    two = worktree.commit(root, "claude", ["app/one"], "two")
    again = begin(root, expected=one)
    assert (again.head, again.notes) == (two, ())
    assert run.call(root, "for-each-ref", "refs/catherd").out == b""


def test_a_branch_that_you_work_on_is_yours(root: str) -> None:
    begin(root)
    begin(root, "T-002")
    sh(root, "switch", "-q", "claude/T-001")
    with pytest.raises(NeedsYou) as caught:
        begin(root)
    assert (
        str(caught.value)
        == f"{root}: you have claude/T-001 checked out\n  fix: git -C {root} switch -"
    )


def test_names_that_are_no_branches_are_refused(root: str) -> None:
    for task in (
        "HEAD",
        "-D",
        "../x",
        "a/b",
        "x.lock",
        "",
        "a b",
        "T\n1",
        "ü",
        "x" * 62,
    ):
        with pytest.raises(CatherdError) as caught:
            begin(root, task)
        name = pr_rules.shown_path(f"claude/{task}")
        fix = "use letters, digits and - in task ids"
        assert str(caught.value) == f"tasks: `{name}` is no branch name\n  fix: {fix}"
    sh(root, "branch", "claude")
    with pytest.raises(CatherdError) as blocked:
        begin(root)
    assert (
        str(blocked.value)
        == f"{root}: a branch claude is in the way of claude/T-001\n  fix: git branch -m claude claude-old"
    )


def test_a_rewritten_git_file_does_not_lead_git_astray(
    root: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho ran >> {mark}\ncat\n")
    program.chmod(0o755)
    trap = repo(tmp_path / "trap", {"app/main.py": "x\n"})
    for key in (
        "filter.f.clean",
        "filter.f.smudge",
        "core.fsmonitor",
        "core.sshCommand",
    ):
        sh(trap, "config", key, str(program))
    mark.unlink(missing_ok=True)
    tree = Path(begin(root).path)
    (tree / ".git").write_text(f"gitdir: {trap}/.git\n")
    put(tree, {".gitattributes": "* filter=f\n", "app/main.py": "mine\n"})
    worktree.commit(root, "claude", worktree.changed_paths(root, "claude"), "m")
    assert sh(trap, "log", "--format=%s") == "start"
    again = begin(root)
    assert again.notes == (
        f"worktrees/claude/.git was changed: put right, the old one is {root}/.git/catherd/saved/git-1",
    )
    assert sh(tree, "status", "--porcelain", "-b") == "## claude/T-001"
    shutil.rmtree(tree / "app")
    (tree / ".git").unlink()
    shutil.copytree(f"{trap}/.git", tree / ".git")
    begin(root)
    assert (tree / ".git").is_file()
    assert not mark.exists()


def test_the_scan_names_everything_hostile(root: str, tmp_path: Path) -> None:
    tree = Path(begin(root).path)
    assert tamper.scan_tree(str(tree)) == []
    sh(tree, "init", "-q", "vendor")
    put(
        tree,
        {"app/.GIT/hooks/x": "x", "setuid": "x", "new\nline": "x", "deep/a/b/c/d": "x"},
    )
    (tree / "setuid").chmod(0o4755)
    os.mkfifo(tree / "fifo")
    os.symlink("/etc/passwd", tree / "app/link")
    os.symlink("/", tree / "app/dir")
    (tree / "app/huge").touch()
    os.truncate(tree / "app/huge", 200_000_000)
    put(tree, {".venv/x": "x"})
    os.symlink("x", tree / ".venv/python")
    limits = tamper.TreeLimits(total=1_000_000, depth=3)
    found = [
        f
        for f in tamper.scan_tree(str(tree), limits, skip=(".venv",))
        if not f.path.startswith("vendor/.git/")
    ]
    assert [str(f) for f in found] == [
        ".: size error: more than 1000000 bytes in all",
        "app/.GIT: nested error: a repository inside the worktree; remove its .git",
        "app/dir: link error: a symbolic link; use the file itself",
        "app/huge: size error: 200000000 bytes; at most 20000000",
        "app/link: link error: a symbolic link; use the file itself",
        "deep/a/b/c: depth error: deeper than 3 directories",
        "fifo: special error: not a regular file; remove it",
        "setuid: setuid error: a setuid or setgid bit; chmod ug-s",
        "vendor/.git: nested error: a repository inside the worktree; remove its .git",
    ]
    many = tamper.scan_tree(str(tree), tamper.TreeLimits(files=3))
    assert any(str(f) == ".: count error: more than 3 files" for f in many)


def test_a_tree_full_of_traps_is_emptied_for_the_next_task(root: str) -> None:
    tree = Path(begin(root).path)
    sh(tree, "init", "-q", "vendor")
    put(tree, {"vendor/x": "x", "closed/x": "x", "\udcff": "x", "new\nline": "x"})
    os.mkfifo(tree / "fifo")
    os.symlink(root, tree / "up")
    shutil.rmtree(tree / "app")
    os.symlink("/etc", tree / "app")
    (tree / "closed").chmod(0)
    begin(root, "T-002")
    assert everything(str(tree)).keys() == {
        "README.md",
        ".gitignore",
        "worktrees/README.md",
        "app/main.py",
    }
    assert everything(root)["app/main.py"] == b"print(1)\n"


def test_paths_that_are_no_plain_files_are_not_committed(root: str) -> None:
    tree = Path(begin(root).path)
    put(tree, {"a\nb": "x", ".git-not": "x"})
    os.symlink("/etc/passwd", tree / "link")
    os.symlink("/etc", tree / "etc")
    os.mkfifo(tree / "fifo")
    (tree / "huge").touch()
    os.truncate(tree / "huge", 200_000_000)
    cases = {
        "huge": "huge: 200000000 bytes; at most 20000000\n  fix: rm huge",
        "a\nb": "a\\nb: the name has a control or invisible character\n  fix: rename it",
        "link": "link: not a plain file: Too many levels of symbolic links\n  fix: rm link",
        "etc/passwd": "etc/passwd: a directory on the way is a link\n  fix: remove the link",
        "fifo": "fifo: not a plain file\n  fix: rm fifo",
        "../../README.md": "../../README.md: `..` is no name: it begins with - or a blank, or ends with a dot or a blank\n"
        "  fix: rename it",
    }
    head = run.rev(root, "claude/T-001")
    for path, text in cases.items():
        with pytest.raises(CatherdError) as caught:
            worktree.commit(root, "claude", [path], "m")
        assert str(caught.value) == text
    assert run.rev(root, "claude/T-001") == head

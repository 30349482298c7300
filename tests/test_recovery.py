"""After a kill: what is left behind is cleared away, and what is yours is not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from catherd.git import objects, worktree
from catherd.herd import recovery
from gitrooms import PERSON, everything, put, repo, sh


@pytest.fixture
def root(tmp_path: Path) -> str:
    return repo(
        tmp_path / "game",
        {"worktrees/README.md": "agents work here\n", "app/main.py": "print(1)\n"},
    )


def begin(
    root: str, task: str = "T-001", agent: str = "claude", expected: str = ""
) -> worktree.BranchBegun:
    return worktree.begin_branch(root, agent, task, "main", expected=expected)


@pytest.mark.parametrize("portable", ["", "1"])
def test_what_killed_gits_leave_is_cleared_away(
    root: str, portable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATHERD_PORTABLE", portable)
    tree = Path(begin(root).path)
    put(tree, {"app/one": "1"})
    head = worktree.commit(root, "claude", ["app/one"], "one")
    git_dir = Path(root, ".git")
    half = git_dir / "worktrees/gemini"
    put(
        half,
        {
            "locked": "initializing",
            "gitdir": f"{root}/worktrees/gemini/.git\n",
            "HEAD": "0" * 40 + "\n",
        },
    )
    put(Path(root), {"worktrees/gemini/.git": f"gitdir: {half}\n"})
    locks = [
        "worktrees/claude/index.lock",
        "worktrees/claude/HEAD.lock",
        "refs/heads/claude/T-001.lock",
    ]
    locks += ["refs/catherd/x.lock", "packed-refs.lock", "config.lock"]
    put(git_dir, dict.fromkeys(locks, "") | {"worktrees/claude/rebase-merge/done": "x"})
    for name in locks:
        os.utime(git_dir / name, (1_000_000, 1_000_000))
    notes = recovery.recover(root)
    assert sorted(notes) == [
        "config.lock: removed, nobody held it",
        "half-made worktree gemini: removed",
        "packed-refs.lock: removed, nobody held it",
        "refs/catherd/x.lock: removed, nobody held it",
        "refs/heads/claude/T-001.lock: removed, nobody held it",
        "worktrees/claude: HEAD.lock removed",
        "worktrees/claude: index.lock removed",
        "worktrees/claude: rebase-merge removed",
    ]
    assert recovery.recover(root) == []
    assert begin(root, expected=head).head == head
    assert begin(root, agent="gemini").notes == ()
    assert sh(root, "fsck", "--strict", "--no-dangling") == ""


def test_a_lock_of_your_own_git_is_left_however_old(root: str) -> None:
    """While your `git commit` waits for its editor, its index.lock is closed."""
    put(Path(root), {"README.md": "edited\n"})
    env = {
        **os.environ,
        **PERSON,
        "GIT_EDITOR": "echo ready; read x < .git/wait; echo mine >",
    }
    os.mkfifo(Path(root, ".git/wait"))
    commit = subprocess.Popen(
        ["git", "commit", "-a"], cwd=root, env=env, stdout=-1, stderr=subprocess.STDOUT
    )
    assert commit.stdout is not None
    while b"ready" not in commit.stdout.readline():
        pass
    lock = Path(root, ".git/index.lock")
    os.utime(lock, (1_000_000, 1_000_000))
    assert recovery.recover(root) == ["index.lock: a git command may hold it; left"]
    Path(root, ".git/wait").write_text("go\n")
    commit.communicate()
    assert sh(root, "log", "-1", "--format=%s") == "mine"
    lock.touch()
    assert recovery.recover(root) == ["index.lock: a git command may hold it; left"]
    os.utime(lock, (1_000_000, 1_000_000))
    assert recovery.recover(root) == ["index.lock: removed, nobody held it"]


def test_without_proc_a_fresh_lock_is_left(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATHERD_PORTABLE", "1")
    put(Path(root, ".git"), {"config.lock": ""})
    assert recovery.recover(root) == ["config.lock: a git command may hold it; left"]


def test_a_lock_held_open_by_a_living_process_is_left_however_old(root: str) -> None:
    path = Path(root, ".git/packed-refs.lock")
    path.touch()
    os.utime(path, (1_000_000, 1_000_000))
    holder = subprocess.Popen(
        ["sh", "-c", f"exec 3<{path}; echo ready; read x"], stdin=-1, stdout=-1
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    assert recovery.recover(root) == [
        "packed-refs.lock: a git command may hold it; left"
    ]
    holder.communicate(b"\n")
    assert recovery.recover(root) == ["packed-refs.lock: removed, nobody held it"]


def test_a_lock_that_a_killed_git_left_stops_nobody_who_is_at_work(root: str) -> None:
    head = begin(root).head
    for lock in (
        "packed-refs.lock",
        "refs/heads/claude/T-001.lock",
        "worktrees/claude/index.lock",
    ):
        put(Path(root, ".git"), {lock: ""})
        os.utime(Path(root, ".git", lock), (1_000_000, 1_000_000))
    objects.transaction(root, [f"delete refs/heads/claude/T-001 {head}"], "test")
    assert begin(root, "T-002").head == head


def test_your_own_worktrees_are_never_touched_by_recovery(
    root: str, tmp_path: Path
) -> None:
    sh(root, "worktree", "add", "-q", "-b", "mine", f"{tmp_path}/mine")
    put(
        Path(root, ".git/worktrees/mine"),
        {"locked": "initializing", "index.lock": "", "rebase-merge/x": ""},
    )
    before = everything(f"{root}/.git/worktrees")
    recovery.recover(root)
    assert everything(f"{root}/.git/worktrees") == before


STEP = """
import os, sys
from catherd.git import run, worktree
root = sys.argv[1]
begun = worktree.begin_branch(root, "claude", "T-001", "main", expected=run.rev(root, "claude/T-001"))
with open(os.path.join(begun.path, "app", "one"), "w") as file:
    file.write("1")
worktree.commit(root, "claude", worktree.changed_paths(root, "claude"), "one")
"""


def test_a_kill_at_each_effect_of_a_turn_is_made_good_by_the_next(
    tmp_path: Path,
) -> None:
    for n in range(1, 30):
        fired = False
        for when in ("before", "after"):
            root = repo(tmp_path / f"{n}-{when}", {"app/main.py": "x\n"})
            crash = tmp_path / f"crash-{n}-{when}"
            crash.mkdir()
            env = {
                **os.environ,
                "CATHERD_CRASH_DIR": str(crash),
                "CATHERD_CRASH_AT": f"herd:{n}:{when}",
            }
            done = subprocess.run(
                [sys.executable, "-c", STEP, root], env=env, stderr=subprocess.PIPE
            )
            fired = (crash / "fired").exists()
            assert done.returncode == (-signal.SIGKILL if fired else 0), done.stderr
            recovery.recover(root)
            subprocess.run([sys.executable, "-c", STEP, root], check=True)
            assert sh(root, "log", "--format=%s", "claude/T-001") == "one\nstart"
            assert objects.read_blob(root, "claude/T-001", "app/one") == b"1"
            assert (
                sh(f"{root}/worktrees/claude", "status", "--porcelain", "-b")
                == "## claude/T-001"
            )
        if not fired:
            break
    assert (
        n == 7
    )  # worktree add, branch, reset, switch, commit, reset; the seventh never comes

"""A fast-forward of your checkout, killed anywhere: the next one finishes it, and what is yours stays."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from catherd.core.errors import NeedsYou
from catherd.git import landing, objects, run
from support.git_repos import everything, put, repo, sh

NEW = {"docs/decision.md": b"we decided\n", "README.md": b"hello again\n"}
START = {"notes.txt": "mine\n", "docs/old.md": "old\n", "doomed.md": "gone soon\n"}


def land(root: str, branch: str = "main") -> landing.Landed:
    return landing.land(root, branch, NEW, ["doomed.md"], "Decide\n\nWhy.")


def holds(root: str, commit: str) -> bool:
    files = {p: objects.read_blob(root, commit, p) for p in NEW}
    return files == NEW and objects.read_blob(root, commit, "doomed.md") is None


BIG = {f"docs/{n}.md": os.urandom(200_000) for n in range(60)}
SLOW = f"""
import os, sys
from catherd.git import landing
root = sys.argv[1]
big = {{name: open(os.path.join(root, ".git", "big", name.replace("/", "_")), "rb").read() for name in {sorted(BIG)!r}}}
landing.land(root, "main", big, ["doomed.md"], "big")
"""


def start_big(root: str, **env: str) -> "subprocess.Popen[bytes]":
    put(Path(root), {f".git/big/{p.replace('/', '_')}": c for p, c in BIG.items()})
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, root],
        env={**os.environ, **env},
        start_new_session=True,
    )


def kill_the_checkout(root: str, files: int) -> bool:
    """Kill catherd and its git once `files` files are there; False when it was faster."""
    child = start_big(root)
    names = [Path(root, p) for p in sorted(BIG)]
    while child.poll() is None and not names[files].exists():
        Event().wait(0.0005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    killed = False
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if (
                Path("/proc", pid, "comm").read_text() == "git\n"
                and os.readlink(f"/proc/{pid}/cwd") == root
            ):
                os.kill(int(pid), signal.SIGKILL)
                killed = True
        except OSError:
            continue
    return killed


@pytest.mark.parametrize(
    "files", [0, 3, 30] if not os.environ.get("CATHERD_SWEEP") else range(60)
)
def test_a_fast_forward_killed_half_way_is_finished_and_your_edits_stay(
    root: str, files: int
) -> None:
    put(
        Path(root),
        {"notes.txt": "mine, edited\n", ".env": "SECRET=1\n", "staged": "s\n"},
    )
    sh(root, "add", "staged")
    kill_the_checkout(root, files)
    landing.finish_landing(root)
    landing.land(root, "main", BIG, ["doomed.md"], "big")
    assert {p: Path(root, p).read_bytes() for p in BIG} == BIG
    assert sorted(sh(root, "status", "--porcelain", "-unormal").splitlines()) == [
        " M notes.txt",
        "A  staged",
    ]
    assert sh(root, "rev-list", "--count", "main") == "2"
    assert sh(root, "fsck", "--strict", "--no-dangling") == ""
    assert not Path(root, ".git/catherd/ff.yaml").exists()


def half_done(root: str, done: dict[str, bytes], torn: dict[str, bytes]) -> str:
    """The state that a kill in the middle of a fast-forward leaves: journal, index.lock, some files new, one torn."""
    old = run.rev(root, "main")
    new = objects.child(root, old, NEW, "m", remove=["doomed.md"])
    with run.locked(root):
        landing._write_journal(
            root,
            landing.Forward(
                ref="refs/heads/main", old=old, new=new, path=root, dirty=[], creates={}
            ),
        )
    put(Path(root), {**done, **torn, ".git/index.lock": ""})
    return new


def test_a_torn_file_is_saved_aside_and_put_right(root: str) -> None:
    new = half_done(
        root, {"docs/decision.md": b"we decided\n"}, {"README.md": b"hello ag"}
    )
    assert landing.finish_landing(root)
    assert run.rev(root, "main") == new
    assert sh(root, "status", "--porcelain") == ""
    assert (
        Path(root, ".git/catherd/saved", new[:12], "README.md").read_bytes()
        == b"hello ag"
    )
    assert landing.finish_landing(root) is False


def test_a_file_that_you_changed_after_the_kill_is_left_alone_and_named(
    root: str,
) -> None:
    half_done(root, {"README.md": b"my own words\n"}, {"docs/decision.md": b""})
    before = everything(root)
    with pytest.raises(NeedsYou) as caught:
        landing.finish_landing(root)
    assert "it would overwrite what you have in README.md; nothing was touched" in str(
        caught.value
    )
    assert everything(root) == before
    Path(root, "README.md").write_text("hello\n")
    assert landing.finish_landing(root)
    assert holds(root, "main")
    assert sh(root, "status", "--porcelain") == ""


def test_a_branch_that_you_moved_after_the_kill_is_yours(root: str) -> None:
    half_done(root, {}, {})
    Path(root, ".git/index.lock").unlink()
    sh(root, "commit", "-q", "--allow-empty", "-m", "mine")
    mine = run.rev(root, "main")
    assert landing.finish_landing(root)
    assert run.rev(root, "main") == mine
    assert land(root).new


def test_a_kill_at_each_effect_of_a_landing_is_made_good_by_the_next(
    tmp_path: Path,
) -> None:
    code = f"import sys; from catherd.git import landing; landing.land(sys.argv[1], 'main', {NEW!r}, ['doomed.md'], 'm')"
    crash = tmp_path / "crash"
    for n in range(1, 10):
        for when in ("before", "after"):
            root = repo(tmp_path / f"game-{n}-{when}", START)
            put(Path(root), {"notes.txt": "edited\n"})
            shutil.rmtree(crash, ignore_errors=True)
            crash.mkdir()
            env = {
                **os.environ,
                "CATHERD_CRASH_DIR": str(crash),
                "CATHERD_CRASH_AT": f"herd:{n}:{when}",
            }
            done = subprocess.run(
                [sys.executable, "-c", code, root], env=env, stderr=subprocess.PIPE
            )
            fired = (crash / "fired").exists()
            assert done.returncode == (-signal.SIGKILL if fired else 0), done.stderr
            land(root)
            assert holds(root, "main")
            assert sh(root, "status", "--porcelain") == " M notes.txt"
            assert sh(root, "rev-list", "--count", "main") == "2"
        if not fired:
            break
    assert n == 4  # journal, merge, journal done; the fourth never comes

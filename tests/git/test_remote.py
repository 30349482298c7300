"""Pushing to and fetching from your own remote: never forced, and a fresh clone gets the bus back."""

import os
from pathlib import Path

import pytest

from catherd.core.errors import CatherdError
from catherd.git import bus_ref, remote, run
from support.git_repos import everything, put, sh


@pytest.fixture(autouse=True)
def with_origin(root: str, tmp_path: Path) -> None:
    """The repository has an origin, and its bus was saved once."""
    sh(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    sh(root, "remote", "add", "origin", f"file://{tmp_path}/origin.git")
    put(Path(root, "bus"), {"game.yaml": "id: g1\n", "chat/a.yaml": "text: hi\n"})
    bus_ref.snapshot(root, "one")


def refs(root: str, *names: str) -> dict[str, str]:
    return {name: run.rev(root, name) for name in names}


def test_a_fresh_clone_of_what_was_pushed_restores_the_bus(
    root: str, tmp_path: Path
) -> None:
    assert remote.push_refs(root, refs(root, "refs/heads/main", bus_ref.REF)) == []
    assert remote.list_refs(root, "refs/catherd/*") == {
        bus_ref.REF: run.rev(root, bus_ref.REF)
    }
    sh(tmp_path, "clone", "-q", f"{tmp_path}/origin.git", "copy")
    copy = f"{tmp_path}/copy"
    remote.fetch_refs(copy, ["refs/catherd/*:refs/catherd/*"])
    assert bus_ref.restore_bus(copy, f"{copy}/bus") == ["chat/a.yaml", "game.yaml"]
    assert everything(f"{copy}/bus") == everything(f"{root}/bus")


def test_a_ref_that_moved_there_is_refused_and_named_and_the_others_go(
    root: str, tmp_path: Path
) -> None:
    remote.push_refs(root, refs(root, "refs/heads/main"))
    sh(tmp_path, "clone", "-q", f"{tmp_path}/origin.git", "copy")
    sh(tmp_path / "copy", "commit", "-q", "--allow-empty", "-m", "theirs")
    sh(tmp_path / "copy", "push", "-q")
    sh(root, "commit", "-q", "--allow-empty", "-m", "ours")
    theirs = run.rev(str(tmp_path / "copy"), "main")
    assert remote.push_refs(root, refs(root, "refs/heads/main", bus_ref.REF)) == [
        "refs/heads/main: [rejected] (fetch first)"
    ]
    assert remote.list_refs(root, "*")["refs/heads/main"] == theirs
    assert remote.list_refs(root, "*")[bus_ref.REF] == run.rev(root, bus_ref.REF)


def test_no_remote_and_an_unreachable_one_are_named_without_credentials(
    root: str,
) -> None:
    with pytest.raises(CatherdError) as caught:
        remote.push_refs(root, refs(root, "refs/heads/main"), "upstream")
    assert (
        str(caught.value)
        == f"{root}: there is no remote upstream\n  fix: git remote add upstream URL"
    )
    sh(root, "remote", "add", "upstream", "http://me:secret@127.0.0.1:9/x.git")
    with pytest.raises(CatherdError) as gone:
        remote.fetch_refs(root, ["main"], "upstream")
    assert str(gone.value).startswith(
        f"{root}: http://127.0.0.1:9/x.git: fatal: unable to access"
    )
    assert "secret" not in str(gone.value)


def test_your_hooks_do_not_run_on_a_push(root: str) -> None:
    mark = Path(root, ".git/mark")
    hook = Path(root, ".git/hooks/pre-push")
    put(Path(root), {".git/hooks/pre-push": f"#!/bin/sh\ntouch {mark}\nexit 1\n"})
    hook.chmod(0o755)
    assert remote.push_refs(root, refs(root, "refs/heads/main")) == []
    assert not os.path.exists(mark)

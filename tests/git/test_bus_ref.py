"""Snapshots of the bus: everything worth keeping, whatever git is told to ignore, and nothing is ever overwritten."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from catherd.core.errors import CatherdError
from catherd.git import bus_ref, objects, run
from support.git_repos import everything, put, repo, sh

NOBODY = 65534


START = {"bus/README.md": "the bus\n"}


@pytest.fixture(autouse=True)
def played(root: str) -> None:
    """A game was begun: its bus holds two files."""
    put(
        Path(root, "bus"),
        {"game.yaml": "id: g1\n", "debate/round-1/claude.yaml": "title: x\n"},
    )


def kept(root: str, ref: str = bus_ref.REF) -> set[str]:
    return {p.removeprefix("bus/") for p in objects.list_tree(root, ref)}


def test_a_snapshot_holds_what_git_ignores_and_leaves_your_index_alone(
    root: str,
) -> None:
    index = Path(root, ".git/index").read_bytes()
    put(
        Path(root, "bus"),
        {
            ".gitignore": "*\n",
            ".gitattributes": "* text eol=crlf\n",
            "chat/a.yaml": "text: hi\r\n",
        },
    )
    taken = bus_ref.snapshot(root, "round-1 closed")
    assert taken == bus_ref.SavedBus(run.rev(root, bus_ref.REF), "", ())
    assert kept(root) == {
        "README.md",
        "game.yaml",
        "debate/round-1/claude.yaml",
        ".gitignore",
        ".gitattributes",
        "chat/a.yaml",
    }
    assert objects.read_blob(root, bus_ref.REF, "bus/chat/a.yaml") == b"text: hi\r\n"
    assert Path(root, ".git/index").read_bytes() == index
    assert sh(root, "status", "--porcelain") == ""
    assert bus_ref.history(root) == [(taken.sha, "round-1 closed")]


def test_nothing_changed_makes_no_commit_and_each_change_makes_one(root: str) -> None:
    first = bus_ref.snapshot(root, "one")
    assert bus_ref.snapshot(root, "two") == bus_ref.SavedBus("", "", ())
    Path(root, "bus/game.yaml").write_text("id: g2\n")
    Path(root, "bus/debate/round-1/claude.yaml").unlink()
    third = bus_ref.snapshot(root, "three")
    assert kept(root) == {"README.md", "game.yaml"}
    assert objects.read_blob(root, third.sha, "bus/game.yaml") == b"id: g2\n"
    assert [s for _, s in bus_ref.history(root)] == ["three", "one"]
    assert (
        objects.read_blob(root, first.sha, "bus/debate/round-1/claude.yaml")
        == b"title: x\n"
    )


def test_a_file_of_the_same_size_and_time_is_still_noticed(root: str) -> None:
    path = Path(root, "bus/game.yaml")
    os.utime(path, (1_000_000, 1_000_000))
    bus_ref.snapshot(root, "one")
    path.write_text("id: g9\n")
    os.utime(path, (1_000_000, 1_000_000))
    assert (
        objects.read_blob(root, bus_ref.snapshot(root, "two").sha, "bus/game.yaml")
        == b"id: g9\n"
    )


def test_a_lost_or_broken_memory_of_what_was_seen_costs_only_time(root: str) -> None:
    bus_ref.snapshot(root, "one")
    seen = Path(root, ".git/catherd/bus.seen")
    for broken in ("", "[1]", '{"bus/game.yaml": 7}', "\0"):
        seen.write_text(broken)
        assert bus_ref.snapshot(root, "again") == bus_ref.SavedBus("", "", ())


def test_what_is_no_plain_file_is_left_out_and_said(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = Path(root, "bus")
    put(
        bus,
        {
            ".tmp/half": "x",
            ".git/config": "x",
            "a/.GIT": "x",
            "new\nline": "odd",
            "a/git~1": "x",
        },
    )
    put(bus, {"huge": b"\0" * (bus_ref.LARGEST + 1), "raw-\udcff": "x"})
    os.mkfifo(bus / "fifo")
    os.symlink("/etc/passwd", bus / "link")
    os.symlink(root, bus / "loop")
    plug = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(bus)  # a socket's name is short
    plug.bind("plug")
    plug.close()
    taken = bus_ref.snapshot(root, "odd")
    assert kept(root) == {
        "README.md",
        "game.yaml",
        "debate/round-1/claude.yaml",
        "new\nline",
        "raw-\udcff",
    }
    assert taken.error == ""
    assert sorted(taken.skipped) == [
        "bus/.git: git refuses the name",
        "bus/a/.GIT: git refuses the name",
        "bus/a/git~1: git refuses the name",
        "bus/fifo: not a regular file",
        "bus/huge: larger than 10000000 bytes",
        "bus/link: a link",
        "bus/plug: not a regular file",
    ]


def test_an_unreadable_file_does_not_stop_the_others() -> None:
    """In a forked child that is nobody: root can read everything."""
    top = tempfile.mkdtemp()
    try:
        root = repo(Path(top, "game"), {"bus/game.yaml": "id: g1\n", "bus/secret": "x"})
        Path(root, "bus/secret").chmod(0)
        subprocess.run(["chmod", "a+rx", top], check=True)
        subprocess.run(
            ["chown", "-R", f"{NOBODY if os.getuid() == 0 else os.getuid()}", top],
            check=True,
        )
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            if os.getuid() == 0:
                os.setgroups([])
                os.setuid(NOBODY)
            os.write(write, str(bus_ref.snapshot(root, "m")._replace(sha="")).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert (
            os.read(read, 9999).decode()
            == "SavedBus(sha='', error='', skipped=('bus/secret: cannot be read',))"
        )
        os.close(read)
        os.close(write)
        assert kept(root) == {"game.yaml"}
    finally:
        shutil.rmtree(top)


def test_an_error_comes_back_as_text(root: str) -> None:
    sh(root, "update-ref", "refs/catherd/bus/in/the/way", "HEAD")
    told = bus_ref.snapshot(root, "m")
    assert told.sha == ""
    assert told.error.startswith(
        "git update-ref -m catherd: snapshot --stdin: exit 128: fatal: prepare: cannot lock ref"
    )


def test_two_processes_at_once_both_keep_their_files(root: str) -> None:
    code = f"""
import sys
import tempfile
from catherd.git import bus_ref
for n in range(6):
    open(f"{root}/bus/{{sys.argv[1]}}-{{n}}", "w").close()
    assert bus_ref.snapshot({root!r}, sys.argv[1]).error in ("", "refs/catherd/bus kept moving")
"""
    pair = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [p.wait() for p in pair] == [0, 0]
    bus_ref.snapshot(root, "last")
    assert {f"{who}-{n}" for who in "ab" for n in range(6)} <= kept(root)
    assert sh(root, "fsck", "--strict", "--no-dangling") == ""


def test_restore_brings_back_what_is_missing_and_never_overwrites(root: str) -> None:
    bus_ref.snapshot(root, "one")
    bus = f"{root}/bus"
    before = everything(bus)
    Path(bus, "game.yaml").write_text("id: edited\n")
    Path(bus, "debate/round-1/claude.yaml").unlink()
    Path(bus, "debate/round-1").rmdir()
    assert bus_ref.restore_bus(root, bus) == ["debate/round-1/claude.yaml"]
    assert Path(bus, "game.yaml").read_text() == "id: edited\n"
    assert bus_ref.restore_bus(root, bus, path="bus/game.yaml", overwrite=True) == [
        "game.yaml"
    ]
    assert everything(bus) == before
    assert bus_ref.restore_bus(root, f"{root}/elsewhere", path="debate/") == [
        "debate/round-1/claude.yaml"
    ]


def test_restore_says_what_is_missing(root: str) -> None:
    with pytest.raises(CatherdError) as caught:
        bus_ref.restore_bus(root, f"{root}/bus")
    fix = "git fetch origin 'refs/catherd/*:refs/catherd/*'"
    assert (
        str(caught.value)
        == f"{root}: no snapshot of the bus at refs/catherd/bus\n  fix: {fix}"
    )
    sha = bus_ref.snapshot(root, "one").sha
    with pytest.raises(CatherdError) as none:
        bus_ref.restore_bus(root, f"{root}/bus", path="nothing.yaml")
    assert str(none.value) == (
        f"refs/catherd/bus: bus/nothing.yaml is not in the snapshot {sha[:12]}\n"
        "  fix: git log --stat refs/catherd/bus  (then name a commit of it that has the file)"
    )

"""The box against the whole list of attacks, as whoever runs the tests and as an ordinary user; what it costs is bench/box.py."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catherd.box import proc_tree, sandbox
from catherd.core.errors import CatherdError
from support import box_attacks, games
from support.terminal import play

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {"ANTHROPIC_API_KEY": "hunter2", "OPENAI_API_KEY": "hunter2"}
NAMES = sorted(
    box_attacks.tries(
        dict.fromkeys(("secret", "pid", "port", "unix", "abstract", "repo"), "")
    )
)
needs_box = pytest.mark.skipif(
    sandbox.probe_tier().name != "bwrap",
    reason=f"no bubblewrap box here: {sandbox.probe_tier().why_not}",
)


@pytest.fixture
def tree() -> Iterator[str]:
    """A small tree that any user can read (pytest's own directories are 0700)."""
    with tempfile.TemporaryDirectory(prefix="catherd-test-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        os.mkdir(f"{folder}/tree", 0o755)
        Path(f"{folder}/tree/a.txt").write_text("a\n", encoding="ascii")
        yield f"{folder}/tree"


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, dict[str, Any]]]:
    """What came of every attack, by who ran it: `us` (root in CI) and `user`."""
    script = [str(ROOT / "tests" / "support" / "box_attacks.py")]
    env = {**os.environ, **SECRETS, "PYTHONPATH": str(ROOT / "src")}
    lines = {"us": [sys.executable, *script]}
    if os.geteuid() == 0 and (user := box_attacks.as_user()) is not None:
        lines["user"] = [*user, *script]
    running = {
        who: subprocess.Popen(
            line,
            env={**env, "HOME": "/"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for who, line in lines.items()
    }
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for who, process in running.items():
        out, err = process.communicate()
        assert process.returncode == 0, err.decode()
        found[who] = json.loads(out)
    return found


@needs_box
@pytest.mark.parametrize("who", ["us", "user"])
@pytest.mark.parametrize("name", NAMES)
def test_attack_is_contained(
    outcomes: dict[str, dict[str, dict[str, Any]]], name: str, who: str
) -> None:
    if who not in outcomes:
        pytest.skip(
            "no second user to be: we are not root, or no interpreter that another user can run"
        )
    got = outcomes[who][name]
    assert "ESCAPED" not in got["log"]
    assert got["tier"] == "bwrap"
    ends = {
        "many big files": (137, "disk"), "endless output": (137, "output"), "deaf": (137, "wall"), "one eats memory": (137, "memory"),
        "many eat memory": (137, "memory"), "one eats memory unseen": (137, "memory"), "spins": (137, None), "exit code": (7, None), "crash": (139, None),
    }  # fmt: skip
    assert (got["rc"], got["why"]) == ends.get(name, (0, None)), got["log"]
    if got["rc"] == 0 and name != "odd output":
        assert "held" in got["log"]


@needs_box
@pytest.mark.parametrize("who", ["us", "user"])
def test_what_an_attack_leaves_is_known_to_the_last_detail(
    outcomes: dict[str, dict[str, dict[str, Any]]], who: str
) -> None:
    if who not in outcomes:
        pytest.skip("no second user to be")
    got = outcomes[who]
    assert got["left on disk"]["mended"] == [
        "set-id bit stripped: tool",
        "special file removed: pipe",
        "special file removed: sock",
    ]
    assert got["left on disk"]["tree"] == ["a.txt", "sparse", "tool"]
    assert got["git made"]["tree"] == ["a.txt", "new"]
    assert ".git" in got["git file"]["tree"]
    assert (
        got["odd output"]["log"]
        == "\\x1b]52;c;aGk=\\x07red\\x1b[31m\\x00\n\\x9b\\u202eevil\\u2066"
    )
    lines = got["environment"]["log"].splitlines()
    assert "KEYS HOME LANG OLDPWD PATH PWD PYTHONDONTWRITEBYTECODE TERM" in lines
    assert "FDS [0, 1, 2, 3]" in lines  # 3 is the listing itself
    assert "TTY [False, False, False] True" in lines
    assert got["many eat memory"]["peak"] < 512
    assert len(got["endless output"]["log"]) == 64 << 10


@needs_box
def test_nothing_of_any_attack_is_alive_afterwards(
    outcomes: dict[str, dict[str, dict[str, Any]]],
) -> None:
    assert outcomes
    alive = [
        proc_tree.command_of(int(name))
        for name in os.listdir("/proc")
        if name.isdigit()
    ]
    assert [line for line in alive if box_attacks.TOKEN in line] == []


@needs_box
def test_the_attacks_do_escape_where_there_is_no_box(
    tree: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATHERD_BOX", "none")
    with tempfile.NamedTemporaryFile() as secret:
        got = sandbox.run_in_box(
            ["python3", "-c", box_attacks.PRELUDE + box_attacks.PLACES, secret.name],
            sandbox.BoxOrder(tree=tree, minimum="none"),
        )
    assert f"ESCAPED {secret.name}" in got.log
    assert got.tier == "none"


def test_below_the_tier_that_is_asked_for_nothing_is_started(
    tree: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATHERD_BOX", "weak")
    with pytest.raises(CatherdError) as caught:
        sandbox.run_in_box(["touch", f"{tree}/ran"], sandbox.BoxOrder(tree=tree))
    assert (
        str(caught.value)
        == "sandbox: the sandbox is weak, bwrap is needed: CATHERD_BOX=weak is set\n  fix: unset CATHERD_BOX"
    )
    assert os.listdir(tree) == ["a.txt"]


def test_the_weak_tier_has_limits_and_a_clean_environment_and_says_that_it_is_weak(
    tree: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATHERD_BOX", "weak")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "hunter2")
    got = sandbox.run_in_box(
        ["sh", "-c", "env; cat a.txt; cat; touch b; ulimit -c; exit 5"],
        sandbox.BoxOrder(tree=tree, stdin=b"in\n", minimum="weak"),
    )
    assert (got.rc, got.why, got.tier) == (5, None, "weak")
    assert "hunter2" not in got.log
    assert got.out.splitlines()[-3:] == ["a", "in", "0"]
    assert os.listdir(tree) == ["a.txt"]
    ended = sandbox.run_in_box(
        ["sh", "-c", "sleep 60 & sleep 60"],
        sandbox.BoxOrder(tree=tree, minimum="weak", limits=sandbox.Limits(wall_s=0.3)),
    )
    assert (ended.rc, ended.why) == (137, "wall")


def test_root_itself_is_refused_as_the_user_of_a_box(
    tree: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root chooses who a box runs as")
    monkeypatch.setenv("CATHERD_BOX_UID", "0")
    with pytest.raises(CatherdError) as caught:
        sandbox.run_in_box(["true"], sandbox.BoxOrder(tree=tree))
    assert (
        str(caught.value)
        == "CATHERD_BOX_UID: not an ordinary user's number: 0\n  fix: unset CATHERD_BOX_UID"
    )


def test_a_machine_without_bubblewrap_is_told_what_to_install(
    tree: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for program in ("sh", "apt-get", "prlimit", "setpriv"):
        found = shutil.which(program)
        (tmp_path / program).symlink_to(found or "/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    tier = sandbox.probe_tier()
    sudo = "" if os.geteuid() == 0 else "sudo "
    assert (tier.name, tier.why_not) == ("weak", "not installed: bwrap")
    assert tier.fix == f"{sudo}apt-get install -y bubblewrap"


@needs_box
def test_a_person_runs_a_command_on_what_git_does_not_ignore(tmp_path: Path) -> None:
    game = games.lay(tmp_path / "game")
    (game / ".env").write_text("KEY=secret\n")
    with (game / ".venv" / "huge").open("wb") as file:
        file.truncate(200 << 20)
    (game / "new.txt").write_text("not added yet\n")
    script = "ls -A; cat new.txt; cat; printf '\\033[31m' >&2; exit 7"
    done = subprocess.run(
        [game / ".venv/bin/catherd", "box", "--", "sh", "-c", script],
        cwd=game, env=games.env(), input="typed\n", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    there = sorted(
        p.name for p in game.iterdir() if p.name not in {".git", ".env", ".venv"}
    )
    assert sorted(done.stdout.splitlines()) == sorted(
        [*there, "not added yet", "typed"]
    )
    assert (done.stderr, done.returncode) == ("\x1b[31m", 7)
    shown = play(
        game,
        [
            ".venv/bin/catherd",
            "box",
            "--seconds",
            "1",
            "--",
            "sh",
            "-c",
            f"{script[:-6]}sleep 60",
        ],
        games.env(),
    )
    assert shown.text.endswith("\\x1b[31mcatherd: stopped: wall\n")


@needs_box
def test_copy_mode_leaves_the_tree_alone_and_rw_mode_brings_changes_back(
    tree: str,
) -> None:
    os.makedirs(f"{tree}/old/deep")
    Path(f"{tree}/old/deep/x").write_text("x", encoding="ascii")
    Path(f"{tree}/gone").write_text("x", encoding="ascii")
    script = "echo b > b.txt; mkdir -p new/er; echo c > new/er/c; rm gone; rm -r old; ln -s /etc old; chmod 755 b.txt"
    assert sandbox.run_in_box(["sh", "-c", script], sandbox.BoxOrder(tree=tree)).rc == 0
    assert sorted(os.listdir(tree)) == ["a.txt", "gone", "old"]
    before = os.stat(f"{tree}/a.txt").st_mtime_ns
    assert (
        sandbox.run_in_box(
            ["sh", "-c", script], sandbox.BoxOrder(tree=tree, mode="rw")
        ).rc
        == 0
    )
    assert sorted(os.listdir(tree)) == ["a.txt", "b.txt", "new", "old"]
    assert os.readlink(f"{tree}/old") == "/etc"
    assert Path(f"{tree}/new/er/c").read_text(encoding="ascii") == "c\n"
    assert os.stat(f"{tree}/b.txt").st_mode & 0o777 == 0o755
    assert os.stat(f"{tree}/b.txt").st_uid == os.geteuid()
    assert os.stat(f"{tree}/a.txt").st_mtime_ns == before
    assert (
        sandbox.run_in_box(
            ["sh", "-c", "rm old; mkdir old; echo y > old/y"],
            sandbox.BoxOrder(tree=tree, mode="rw"),
        ).rc
        == 0
    )
    assert Path(f"{tree}/old/y").read_text(encoding="ascii") == "y\n"
    assert not os.path.exists("/etc/y")


@needs_box
def test_a_tree_below_a_closed_directory_can_be_used_too(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "tree").mkdir(parents=True)
    (closed / "data").mkdir()
    (closed / "tree" / "a.txt").write_text("a\n", encoding="ascii")
    os.chmod(closed / "tree" / "a.txt", 0o600)
    os.chmod(closed, 0o700)
    sandbox.hand_over(str(closed / "data"))
    binds = (sandbox.Bind(host=str(closed / "data"), inside="/data", write=True),)
    got = sandbox.run_in_box(
        ["sh", "-c", "cat a.txt; echo kept > /data/b"],
        sandbox.BoxOrder(tree=str(closed / "tree"), binds=binds),
    )
    assert (got.rc, got.out) == (0, "a\n"), got.log
    assert (closed / "data" / "b").read_text(encoding="ascii") == "kept\n"


@needs_box
def test_streams_and_input_are_kept_apart_and_files_of_python_do_not_run_outside(
    tree: str,
) -> None:
    got = sandbox.run_in_box(
        ["sh", "-c", "cat; echo err >&2; exit 3"],
        sandbox.BoxOrder(tree=tree, stdin=b"typed\n" * 30000),
    )
    assert (got.rc, got.out, got.err) == (3, "typed\n" * 30000, "err\n")
    assert got.seconds > 0
    missing = sandbox.run_in_box(["no-such-program"], sandbox.BoxOrder(tree=tree))
    assert missing.rc == 127
    assert "no-such-program: not found" in missing.log


FAKE = (
    '#!/bin/sh\necho ESCAPED\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'
)


@needs_box
@pytest.mark.parametrize("tier", ["bwrap", "weak"])
def test_the_environment_of_a_program_is_nothing_to_what_sets_its_limits(
    tier: str, tree: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATHERD_BOX", "" if tier == "bwrap" else tier)
    for name in ("prlimit", "sh", "setpriv", "env", "cp", "rm"):
        Path(f"{tree}/{name}").write_text(FAKE, encoding="ascii")
        os.chmod(f"{tree}/{name}", 0o755)  # noqa: S103
    env = {
        "PATH": "/work:.:/usr/bin:/bin",
        "LD_PRELOAD": "/work/none.so",
        "A": "b =c",
        "-i": "x",
    }
    code = "import os,resource; print(resource.getrlimit(resource.RLIMIT_NOFILE), os.environ['A'], os.environ['PATH'])"
    got = sandbox.run_in_box(
        ["python3", "-c", code],
        sandbox.BoxOrder(
            tree=tree, env=env, limits=sandbox.Limits(files=99), minimum=tier
        ),
    )
    assert got.out == "(99, 99) b =c /work:.:/usr/bin:/bin\n", got.log
    assert got.err.count("/work/none.so") == 1


@needs_box
def test_a_program_that_speaks_as_bubblewrap_is_no_box_that_could_not_be_built(
    tree: str,
) -> None:
    got = sandbox.run_in_box(
        ["sh", "-c", "echo bwrap: no such thing >&2; exit 1"],
        sandbox.BoxOrder(tree=tree),
    )
    assert (got.rc, got.err) == (1, "bwrap: no such thing\n")
    with pytest.raises(CatherdError) as caught:
        sandbox.run_in_box(
            ["true"],
            sandbox.BoxOrder(
                tree=tree, binds=(sandbox.Bind(host=f"{tree}/none", inside="/data"),)
            ),
        )
    assert str(caught.value) == (
        f"sandbox: the box could not be built: bwrap: Can't find source path {tree}/none: No such file or directory\n"
        "  fix: make doctor"
    )


@needs_box
def test_no_word_of_a_program_becomes_one_of_bubblewraps(tree: str) -> None:
    for env in ({"A": f"x\0--ro-bind\0{ROOT}\0/opt"}, {"A\0": "x"}):
        with pytest.raises(CatherdError) as caught:
            sandbox.run_in_box(["ls", "/opt"], sandbox.BoxOrder(tree=tree, env=env))
        assert (
            str(caught.value)
            == "sandbox: a NUL among the words of a command: no program can be given one\n  fix: take it out"
        )


@needs_box
def test_a_running_box_stops_on_the_signal_and_what_it_leaves_is_named(
    tree: str,
) -> None:
    clean = sandbox.start_box(["sleep", "100"], sandbox.BoxOrder(tree=tree))
    assert clean.alive()
    assert _has_command(clean)
    got = clean.stop(signal.SIGTERM, 5.0)
    assert (got.ended, got.left) == (True, [])
    assert not clean.alive()

    code = "import os,sys,time\nif os.fork()==0:\n os.setsid(); time.sleep(100)\nprint('up',flush=True)\ntime.sleep(100)"
    box = sandbox.start_box(["python3", "-c", code], sandbox.BoxOrder(tree=tree))
    _until(box, "up")
    got = box.stop(signal.SIGTERM, 5.0)
    assert got.ended
    assert len(got.left) == 1
    assert got.left[0].startswith("python3 -c import os,sys,time")

    code = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up',flush=True); time.sleep(100)"
    deaf = sandbox.start_box(["python3", "-c", code], sandbox.BoxOrder(tree=tree))
    _until(deaf, "up")
    got = deaf.stop(signal.SIGTERM, 0.3)
    assert (got.ended, deaf.alive()) == (False, False)


@needs_box
def test_a_box_that_talks_for_ever_keeps_its_last_words(tree: str) -> None:
    code = "import time\nfor n in range(20000): print('line', n, flush=True)\nprint('last', flush=True); time.sleep(100)"
    box = sandbox.start_box(
        ["python3", "-c", code],
        sandbox.BoxOrder(tree=tree, limits=sandbox.Limits(output_kb=16, wall_s=0)),
    )
    _until(box, "last")
    assert box.alive()
    log = box.kill().log
    assert log.endswith("last\n")
    assert len(log) < 160 << 10


@needs_box
def test_killing_us_kills_the_box(tree: str) -> None:
    code = (
        "import sys; from catherd.box import sandbox\n"
        f"box = sandbox.start_box(['sleep', '31415'], sandbox.BoxOrder(tree={tree!r}))\n"
        "print(box.pid, flush=True); sys.stdin.read()"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    us = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env,
    )
    assert us.stdout is not None
    pid = int(us.stdout.readline())
    fd = os.pidfd_open(pid)
    us.kill()
    us.communicate()
    assert proc_tree.ended(fd, 10.0)
    os.close(fd)


def test_what_a_killed_process_wrote_apart_is_removed_by_the_next_sweep(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from catherd.box import box_trees\n"
        "with box_trees.scratch_directory('ci') as folder:\n print(folder, flush=True); sys.stdin.read()"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp_path)}
    us = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env,
    )
    assert us.stdout is not None
    left = Path(us.stdout.readline().decode().strip())
    (left / "main").mkdir()
    sweep = [
        sys.executable,
        "-c",
        "from catherd.box import box_trees; box_trees.sweep_boxes()",
    ]
    subprocess.run(sweep, env=env, check=True)
    assert (left / "main").is_dir()
    us.kill()
    us.communicate()
    subprocess.run(sweep, env=env, check=True)
    assert list(tmp_path.iterdir()) == []


def test_no_directory_of_ours_is_made_under_a_name_that_a_sweep_does_not_know() -> None:
    sources = (
        path.read_text(encoding="utf-8")
        for path in (ROOT / "src" / "catherd").rglob("*.py")
    )
    assert [
        text
        for text in sources
        if re.search(
            r"(?:TemporaryDirectory|mkdtemp)\(prefix=f?\"catherd-(?!{kind})", text
        )
    ] == []


def _has_command(box: sandbox.Box) -> bool:
    """Whether the program shows a command line; while it is being loaded it has none."""
    for _ in range(500):
        if proc_tree.command_of(box.pid):
            return True
        box.wait(0.01)
    return False


def _until(box: sandbox.Box, word: str) -> None:
    for _ in range(1000):
        if word in box.result().log or box.wait(0.01):
            break
    assert word in box.result().log


def test_text_is_escaped_so_that_it_is_safe_on_a_terminal() -> None:
    assert (
        sandbox.box_text(b"a\x1b[1m\tb\r\nc\rd\x00\x85\xff")
        == "a\\x1b[1m\tb\nc\\x0dd\\x00��"
    )
    assert sandbox.box_text("ü ✓ \u202e\u009b") == "ü ✓ \\u202e\\x9b"

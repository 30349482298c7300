"""What a person, a disk or a machine can get wrong: the whole message, and that the game goes on where it can.

The same for two that type a goal at once, and for a bus that is removed under a running herd: tests/test_herd.py.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from catherd.bus import atomic, chat, config
from catherd.bus.config import Gate
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.messages import Ask, Ballot, Input, Pitch, Trouble
from catherd.debate.hearing import Hearing
from catherd.herd import processes
from support import games
from support.git_repos import sh
from support.typed import Typed, until

pytestmark = pytest.mark.herd


def _big(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(50_000_000)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a tab": (
        lambda p: p.write_text("text:\n\t- hi\n"),
        (
            "bus/chat/me.yaml:2:1: found character that cannot start any token\n"
            "  fix: use spaces, not a tab; quote the value if it begins with @, `, % or *"
        ),
    ),
    "an unclosed quote": (
        lambda p: p.write_text('text: "hi\n'),
        "bus/chat/me.yaml:1:7: a quote is opened here and never closed\n  fix: close the quote that is open",
    ),
    "a duplicate key": (
        lambda p: p.write_text("text: hi\ntext: ho\n"),
        "bus/chat/me.yaml:2:1: the key 'text' stands here twice\n  fix: delete one of them",
    ),
    "a wrong type": (
        lambda p: p.write_text("text: 3\n"),
        "bus/chat/me.yaml:1:7: text: Expected `str`, got `int`\n  fix: text: '3'",
    ),
    "an alias bomb": (
        lambda p: p.write_text("a: &a [x, x]\nb: &b [*a, *a]\ntext: *b\n"),
        (
            "bus/chat/me.yaml:1:4: an anchor (`&name`) is not taken here\n"
            "  fix: delete the anchor; quote a text that begins with &"
        ),
    ),
    "brackets without end": (
        lambda p: p.write_text(f"text: {'[' * 100_000}\n"),
        "bus/chat/me.yaml:1:70: nested deeper than 64 levels\n  fix: write it flatter",
    ),
    "50 MB": (
        _big,
        "bus/chat/me.yaml: 50000000 bytes; the limit is 1048576\n  fix: split it; no file of the bus is that large",
    ),
    "invalid UTF-8": (
        lambda p: p.write_bytes(b"kind: chat\ntext: caf\xe9\n"),
        "bus/chat/me.yaml:2: not UTF-8\n  fix: save the file as UTF-8",
    ),
    "a symlink": (
        lambda p: p.symlink_to("/etc/passwd"),
        "bus/chat/me.yaml: a symbolic link\n  fix: put a regular file there: rm 'bus/chat/me.yaml' and write it anew",
    ),
    "a FIFO": (
        os.mkfifo,
        "bus/chat/me.yaml: not a regular file\n  fix: rm -r 'bus/chat/me.yaml' and write a file there",
    ),
    "a directory": (
        lambda p: p.mkdir(),
        "bus/chat/me.yaml: not a regular file\n  fix: rm -r 'bus/chat/me.yaml' and write a file there",
    ),
    "a newer format": (
        lambda p: p.write_text("catherd: 2\ntext: hi\n"),
        (
            "bus/chat/me.yaml:1:10: format 2 is newer than this catherd, which reads format 1\n"
            "  fix: git pull && make .venv, or make CATHERD=/path/to/a/newer/catherd.whl"
        ),
    ),
}


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    """A bus with nothing on it."""
    for folder in (".tmp", "chat", "debate/ballots", "events", "problems"):
        (tmp_path / "bus" / folder).mkdir(parents=True)
    return Bus(str(tmp_path))


def problems(game: Bus) -> list[str]:
    """Everything in problems/, in the words of an error."""
    return [
        str(CatherdError(one.what, where=one.where, fix=one.fix))
        for one in game.troubles()
    ]


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_cannot_be_read_is_reported_once_left_there_and_taken_up_when_it_is_right(
    bus: Bus, case: str
) -> None:
    make, message = BROKEN[case]
    path = Path(bus.here("chat/me.yaml"))
    Path(bus.here("chat/20261122T101204.123Z.gemini.yaml")).write_text(
        "text: still here\n"
    )
    make(path)
    assert list(bus.chat()) == ["20261122T101204.123Z.gemini"]
    assert problems(bus) == [message]
    first = os.stat(bus.here("problems/chat-me.yaml")).st_ino
    assert list(Bus(bus.root).chat()) == ["20261122T101204.123Z.gemini"]
    assert os.stat(bus.here("problems/chat-me.yaml")).st_ino == first
    assert os.path.lexists(path)
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    path.write_text("text: hi\n")
    assert list(bus.chat()) == ["20261122T101204.123Z.gemini", "me"]
    assert problems(bus) == []


def test_an_unknown_key_is_kept_and_reported_until_it_is_gone(bus: Bus) -> None:
    path = Path(bus.here("chat/me.yaml"))
    path.write_text("text: hi\ncolour: red\n")
    assert bus.chat()["me"].text == "hi"
    assert problems(bus) == [
        (
            "bus/chat/me.yaml:2:9: the key 'colour' is not known here; it is kept and not used\n"
            "  fix: one of: kind, text, reply_to, at"
        )
    ]
    assert path.read_text() == "text: hi\ncolour: red\n"
    path.write_text("text: hi, again\n")
    assert bus.chat(fresh=True)["me"].text == "hi, again"
    assert problems(bus) == []


@pytest.mark.parametrize(
    ("ranking", "what", "place"),
    [
        (
            "[birch, oak]",
            "'oak' is not on this ballot; it lists birch, hazel, sage",
            "1:18",
        ),
        ("[birch, sage, birch]", "'birch' is ranked twice", "1:24"),
        ("[birch, [sage, birch]]", "'birch' is ranked twice", "1:18"),
        (
            "[sage, hazel]",
            "'hazel' is claude's own proposal; it has no say on it",
            "1:17",
        ),
    ],
)
def test_a_ballot_that_says_too_much_is_reported_and_waited_for_and_its_rest_counts(
    bus: Bus, capsys: pytest.CaptureFixture[str], ranking: str, what: str, place: str
) -> None:
    ask = Ask(
        gate="ballots",
        step="debate/ballots",
        kind="ballot",
        template="",
        roll=["claude", "gemini"],
        inputs=[
            Input(
                path="",
                sha256="",
                kind="proposal",
                by=by,
                data={"title": by, "authors": [by]},
            )
            for by in ("birch", "hazel", "sage")
        ],
        names={"hazel": "claude", "birch": "gemini"},
    )
    path = Path(bus.here("debate/ballots/claude.yaml"))
    path.write_text(f"ranking: {ranking}\n")
    hearing = Hearing(bus, Gate(kind="ballot", step=ask.step), ask)
    hearing.look()
    assert problems(bus) == [
        (
            f"bus/debate/ballots/claude.yaml:{place}: {what}\n"
            "  fix: correct the line (the gate reads it again at once), or delete the file and the vote is asked for again"
        )
    ]
    assert hearing.ready() == set()
    assert list(hearing.heard) == ["claude"]
    teller = Teller({"claude": "Claude"}, rehearsal=False)
    teller.said(ask, hearing.heard, {})
    assert "Claude" not in capsys.readouterr().out
    path.write_text("ranking: [birch, sage]   # mended\n")
    hearing.look()
    teller.said(ask, hearing.heard, {})
    assert capsys.readouterr().out == "Claude   │ birch > sage\n"
    assert hearing.ready() == {"claude"}
    assert isinstance(hearing.heard["claude"].message, Ballot)
    assert problems(bus) == []


def test_an_answer_that_you_write_anew_is_yours_and_a_misspelt_key_in_it_is_reported(
    bus: Bus,
) -> None:
    ask = Ask(
        gate="round-1",
        step="debate/round-1",
        kind="pitch",
        template="",
        roll=["claude", "zed"],
    )
    hearing = Hearing(bus, Gate(kind="pitch", step=ask.step), ask)
    posted = Pitch(title="Lending Shelf", body="Marta's drill.")
    for agent in ("claude", "gemini"):
        bus.post(f"debate/round-1/{agent}.yaml", posted)
        os.makedirs(bus.here(f"runs/{agent}"))
        atomic.publish(
            bus.path, f"runs/{agent}/debate.round-1.pitch.1.posted", "catherd: 1\n"
        )
    claude, gemini, zed = (
        Path(bus.here(f"debate/round-1/{name}.yaml"))
        for name in ("claude", "gemini", "zed")
    )
    zed.write_text("title: Zed\nbody: an agent from elsewhere seals nothing\n")

    def edited() -> dict[str, bool]:
        hearing.look()
        return {name: one.spoken.edited for name, one in hearing.heard.items()}

    assert edited() == {"claude": False, "gemini": False, "zed": False}
    claude.write_text("title: Mine Own\nbody: my words\n")
    gemini.write_text(gemini.read_text() + "bdoy: y\n")
    assert edited() == {"claude": True, "gemini": True, "zed": False}
    assert problems(bus) == [
        (
            "bus/debate/round-1/gemini.yaml:5:7: the key 'bdoy' is not known here; it is kept and not used\n"
            "  fix: one of: kind, title, body"
        )
    ]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game in which only what refuses is typed."""
    return games.lay(tmp_path_factory.mktemp("room") / "game")


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """What a command of catherd's said before make added its own line."""
    assert done.returncode != 0, done.stdout
    return "".join(
        line
        for line in done.stderr.splitlines(keepends=True)
        if not line.startswith("make")
    )


def exit_of(done: subprocess.CompletedProcess[str]) -> str:
    """The exit code that make saw."""
    return done.stderr.splitlines()[-1].rpartition("] ")[2]


AGENTS = {
    "two files for one agent": (
        "claude.yml",
        "name: Another\n",
        "agents/claude.yml: a second file for the agent 'claude'\n  fix: rm 'agents/claude.yml', or rename it\n",
    ),
    "two agents with one name": (
        "zed.yaml",
        "name: cLAUDE\n",
        (
            "agents/zed.yaml: the name 'cLAUDE' is taken by agents/claude.yaml\n"
            "  fix: give one of the two another `name:`\n"
        ),
    ),
    "a reserved name": (
        "open.yaml",
        "name: Open\n",
        "agents/open.yaml: an agent's name is reserved, not 'open'\n  fix: mv 'agents/open.yaml' agents/another-name.yaml\n",
    ),
    "a name that is no branch": (
        "Zed X.yaml",
        "name: Zed\n",
        (
            "agents/Zed X.yaml: an agent's name must be lower-case letters, digits and dashes, beginning with a letter, "
            "not 'Zed X'\n  fix: mv 'agents/Zed X.yaml' agents/another-name.yaml\n"
        ),
    ),
    "a word for runs": (
        "zed.yaml",
        "runs: there\n",
        "agents/zed.yaml:1:7: runs is here or elsewhere, not 'there'\n  fix: runs: here\n",
    ),
}


@pytest.mark.parametrize("case", AGENTS)
def test_an_agent_that_cannot_be_is_refused_before_anything_begins_and_status_shows_the_rest(
    room: Path, case: str
) -> None:
    file, text, message = AGENTS[case]
    path = room / "agents" / file
    path.write_text(text)
    try:
        done = games.make(room, "debate")
        assert (refused(done), exit_of(done)) == (f"catherd: {message}", "Error 1")
        screen = games.make(room, "status").stdout
        first = message.splitlines()[0]
        assert " ".join(screen.split()).startswith(f"needs you {first}")
        assert "  claude       not running\n" in screen
    finally:
        path.unlink()
    assert not (room / "bus/game.yaml").exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "../x.yaml",
            "catherd: ../x.yaml: an agent's file stands in agents/\n  fix: mv '../x.yaml' agents/\n",
        ),
        (
            "agents/oak.yaml",
            "catherd: agents/oak.yaml: no such agent\n  fix: there are: chatgpt.yaml, claude.yaml, gemini.yaml, wildcard.yaml\n",
        ),
    ],
)
def test_an_agent_from_elsewhere_is_not_started(
    room: Path, path: str, message: str
) -> None:
    (room.parent / "x.yaml").write_text("name: X\n")
    done = games.catherd(room, "agent", path)
    assert (done.returncode, done.stderr) == (1, message)


def test_an_agent_that_is_not_there_cannot_be_picked(room: Path) -> None:
    done = games.make(room, "debate", AGENTS="claude ../x")
    assert (
        refused(done)
        == "catherd: AGENTS: no agent '../x'\n  fix: AGENTS='chatgpt claude gemini wildcard'\n"
    )
    assert not (room / "bus/game.yaml").exists()


def test_a_gate_that_does_what_nothing_does_names_what_there_is(room: Path) -> None:
    path = room / "phases/debate.yaml"
    before = path.read_text()
    path.write_text(before.replace("does: count", "does: cuont"))
    try:
        done = games.catherd(room, "gate", "decision")
    finally:
        path.write_text(before)
    assert done.returncode == 1
    assert done.stderr == (
        "catherd: phases/debate.yaml: no gate does 'cuont'\n"
        "  fix: does: one of ask, count, land, allot, tasks, document, prove\n"
    )


PHASES = {
    "a missing template": (
        "round-2.md.j2",
        "nosuch.md.j2",
        (
            "catherd: phases/debate.yaml:6:64: the template templates/debate/nosuch.md.j2 is not there\n"
            "  fix: ls templates/debate\n"
        ),
    ),
    "a misspelt template": (
        "round-2.md.j2",
        "ronud-2.md.j2",
        (
            "catherd: phases/debate.yaml:6:64: the template templates/debate/ronud-2.md.j2 is not there\n"
            "  fix: template: debate/round-2.md.j2\n"
        ),
    ),
    "no duration": (
        "timebox: 3m",
        "timebox: soon",
        "catherd: phases/debate.yaml:9:95: 'soon' is no duration\n  fix: write it like 30s, 5m or 1h\n",
    ),
    "a newer format": (
        "catherd: 1",
        "catherd: 2",
        (
            "catherd: phases/debate.yaml:3:10: format 2 is newer than this catherd, which reads format 1\n"
            "  fix: git pull && make .venv, or make CATHERD=/path/to/a/newer/catherd.whl\n"
        ),
    ),
}


@pytest.mark.parametrize("case", PHASES)
def test_a_phase_file_that_cannot_work_is_refused_before_anything_begins(
    room: Path, case: str
) -> None:
    old, new, message = PHASES[case]
    path = room / "phases/debate.yaml"
    before = path.read_text()
    path.write_text(before.replace(old, new, 1))
    try:
        done = games.make(room, "debate")
        assert (refused(done), exit_of(done)) == (message, "Error 1")
    finally:
        path.write_text(before)
    assert not (room / "bus/game.yaml").exists()


def test_a_misspelt_key_of_an_agent_or_a_phase_is_told_and_nothing_stops(
    game: Path,
) -> None:
    agent, phase = game / "agents/claude.yaml", game / "phases/debate.yaml"
    agent.write_text(f"tempr: mild\n{agent.read_text()}")
    phase.write_text(
        phase.read_text().replace("kind: final,", "kind: final, time: 5m,")
    )
    done = games.make(game, "round-1")
    assert done.returncode == 0, done.stderr
    what = "is not known here; it is kept and not used"
    assert f"agents/claude.yaml:1:8: the key 'tempr' {what}\n" in done.stdout
    assert (
        f"the key 'time' {what}\n  fix: one of: does, kind, step, template, timebox, name, options\n"
        in done.stdout
    )
    assert "the key 'time' is not known here" in games.make(game, "status").stdout


def test_a_template_that_breaks_ends_the_wait_at_once_and_is_used_as_soon_as_it_is_right(
    game: Path,
) -> None:
    path = game / "templates/debate/round-1.md.j2"
    before = path.read_text()
    path.write_text(f"{before}\n{{{{ nosuch.thing }}}}")
    line = before.count("\n") + 2
    typed = Typed(game, "round-1")
    at = f"templates/debate/round-1.md.j2:{line}"
    until(
        "it is told",
        lambda: (
            f"look at {at}: template error: UndefinedError: 'nosuch' is undefined\n"
            in typed.said
        ),
    )
    assert (
        f"  fix: edit {at}, or git checkout -- templates/debate/round-1.md.j2\n"
        in typed.said
    )
    assert typed.ended() == 2
    last = typed.text.rpartition("catherd: ")[2]
    assert last.startswith(
        f"{at}: template error: UndefinedError: 'nosuch' is undefined\n"
        f"  fix: edit {at}, or git checkout -- templates/debate/round-1.md.j2\n"
    )
    assert last.splitlines()[2].endswith("Error 1")
    assert len(list(processes.living(Bus(str(game))))) == 4
    path.write_text(before)
    done = games.make(game, "round-1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "round-1 closed: 4 of 4 heard\n" in done.stdout
    assert Bus(str(game)).names("problems") == []


def test_a_running_herd_goes_on_with_all_of_it_on_its_bus_and_nothing_is_lost(
    game: Path,
) -> None:
    bus = Bus(str(game))
    (game / "bus/PAUSE").touch()
    typed = Typed(game, "debate")
    until("the gate waits", (game / "bus/debate/round-1/open.yaml").exists)
    for number, (make, _) in enumerate(BROKEN.values()):
        make(game / f"bus/chat/{number:02}.human.yaml")
    os.mkfifo(game / "bus/debate/round-1/claude.yaml")
    (game / "bus/debate/veto").mkdir(exist_ok=True)
    os.mkfifo(game / "bus/debate/veto/sage.yaml")
    os.mkfifo(game / "bus/problems/x.yaml")
    (game / "bus/chat.log").unlink(missing_ok=True)
    (game / "bus/chat.log").mkdir()
    (game / "agents/open.yaml").write_text("name: Open\n")
    (game / "bus/chat/me.yaml").write_text("text: mind the drill, @claude\n")
    assert games.make(game, "status").stdout.startswith("needs you\n")
    (game / "bus/PAUSE").unlink()
    where = "bus/debate/round-1/claude.yaml"
    until("it is told", lambda: f"look at {where}: not a regular file\n" in typed.said)
    (game / where).unlink()
    assert typed.ended() == 0, typed.text
    assert "round-1 closed: 4 of 4 heard\n" in typed.said
    assert f"  fix: rm -r '{where}' and write a file there\n" in typed.said
    assert sorted(p.name for p in (game / "bus/chat").glob("*.human.yaml")) == [
        f"{n:02}.human.yaml" for n in range(len(BROKEN))
    ]
    assert bus.get("problems/file-agents-open.yaml", Trouble) is not None
    assert "mind the drill" in (game / "docs/game/chat.md").read_text()
    assert os.listdir(game / "bus/.tmp") == []


def test_a_game_of_a_newer_format_is_refused_and_left_alone(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    path = game / "bus/game.yaml"
    text = path.read_text().replace("catherd: 1", "catherd: 2")
    path.write_text(text)
    done = games.make(game, "plan")
    assert refused(done) == (
        "catherd: bus/game.yaml:2:10: format 2 is newer than this catherd, which reads format 1\n"
        "  fix: git pull && make .venv, or make CATHERD=/path/to/a/newer/catherd.whl\n"
    )
    assert path.read_text() == text


# The repository


def test_no_repository_and_no_commit_are_named_with_what_makes_them(
    tmp_path: Path,
) -> None:
    game = games.lay(tmp_path / "game")
    shutil.rmtree(game / ".git")
    none = games.make(game, "debate")
    assert (refused(none), exit_of(none)) == (
        (
            f"catherd: {game}: not inside a git repository\n"
            "  fix: git init && git add -A && git commit --allow-empty -m start\n"
        ),
        "Error 1",
    )
    sh(game, "init", "-q", "-b", "main")
    empty = games.make(game, "debate")
    assert (refused(empty), exit_of(empty)) == (
        f"catherd: {game}: the repository has no commit yet\n  fix: git add -A && git commit -m start\n",
        "Error 1",
    )


def test_a_branch_called_master_and_a_dirty_tree_are_played_on_and_your_edits_stay(
    game: Path,
) -> None:
    sh(game, "branch", "-m", "master")
    (game / "Makefile").write_text((game / "Makefile").read_text() + "# mine\n")
    (game / "notes.txt").write_text("mine\n")
    done = games.make(game, "debate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sh(game, "log", "--format=%s", "master").splitlines() == [
        "Land the debate: Lending Shelf",
        "start",
    ]
    assert sh(game, "branch", "--list") == "* master"
    assert sh(game, "status", "--short") == " M Makefile\n?? notes.txt"
    assert (game / "docs/debate/decision.yaml").is_file()


def test_a_detached_head_is_played_on_beside_it(game: Path) -> None:
    sh(game, "checkout", "-q", "--detach")
    done = games.make(game, "debate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sh(game, "status", "--short", "--branch") == "## HEAD (no branch)"
    landed = sh(game, "rev-parse", "refs/catherd/main")
    assert (
        f"landed {landed[:12]}: git show {landed[:12]}:docs/debate/vote-results.md\n"
        in done.stdout
    )
    assert "Lending Shelf" in sh(game, "show", f"{landed}:docs/debate/vote-results.md")
    again = games.make(game, "debate")
    assert again.returncode == 0, again.stderr
    assert sh(game, "rev-parse", "refs/catherd/main") == landed


def test_an_agents_worktree_is_no_place_to_play(room: Path) -> None:
    place = room / "worktrees/claude"
    place.mkdir(exist_ok=True)
    done = games.run(place, "../../.venv/bin/catherd", "begin", "debate")
    assert (done.returncode, done.stderr) == (
        1,
        f"catherd: worktrees/: this is an agent's worktree\n  fix: cd '{room}'\n",
    )


# The machine


def fake(room: Path, name: str, text: str) -> str:
    """A PATH on which `name` is a script with that text."""
    path = room.parent / f"bin-{name}" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f"{path.parent}:{os.environ['PATH']}"


def test_a_git_that_is_too_old_is_named_before_anything_begins(room: Path) -> None:
    path = fake(room, "git", "echo git version 2.30.1")
    done = games.make(room, "debate", PATH=path)
    assert (refused(done), exit_of(done)) == (
        (
            f"catherd: {path.partition(':')[0]}/git: Git too old: git version 2.30.1, catherd needs 2.38 or newer\n"
            "  fix: sudo apt-get install git  (or see https://git-scm.com/downloads)\n"
        ),
        "Error 1",
    )
    assert not (room / "bus/game.yaml").exists()


def test_a_python_that_is_too_old_is_named_before_anything_is_installed(
    tmp_path: Path,
) -> None:
    game = games.lay(tmp_path / "game")
    shutil.rmtree(game / ".venv")
    path = fake(
        game, "python3", 'case "$1" in -V) echo Python 3.9.2;; *) exit 1;; esac'
    )
    done = games.make(game, "debate", PATH=path)
    assert refused(done) == (
        "catherd: Python 3.11 or newer is needed; python3 is Python 3.9.2\n"
        "  fix: make PYTHON=python3.11 (or a newer one that you have)\n"
    )
    assert not (game / ".venv").exists()


# The disk: in a mount namespace of its own, so that nothing of it outlives the test

UNSHARE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
MOUNTS = shutil.which("unshare") is not None and not subprocess.call(
    [*UNSHARE, "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
mounts = pytest.mark.skipif(
    not MOUNTS,
    reason="this machine lets nobody mount anything, not even in a namespace",
)


@mounts
@pytest.mark.parametrize("command", ["debate", "new", "up"])
def test_a_read_only_bus_is_called_that(
    finished_game: Path, tmp_path: Path, command: str
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    script = f"mount --bind bus bus && mount -o remount,bind,ro bus && make {command}"
    done = games.run(game, *UNSHARE, "sh", "-c", script)
    assert (refused(done), exit_of(done)) == (
        "catherd: bus/: read-only file system\n  fix: remount it writable, or move the repo\n",
        "Error 1",
    )


@mounts
def test_a_full_disk_is_called_that_and_with_more_space_the_same_command_goes_on(
    game: Path,
) -> None:
    """260 kB hold about two rounds. Nothing that was said before is asked again, and no half file stays."""
    script = """
        mount -t tmpfs -o size=260k none bus && (make debate; echo "first: $?"
        find bus -name '*.yaml' -size 0; ls bus/.tmp; cp -r bus/runs ../runs
        mount -o remount,size=20m bus && make debate; echo "second: $?"; cp -r bus ../after; make down)
    """
    done = games.run(game, *UNSHARE, "sh", "-c", script, TIMEBOX="3s")
    assert "first: 2\nsecond: 0\n" in "".join(
        line
        for line in done.stdout.splitlines(keepends=True)
        if line.startswith(("first", "second", "bus", "."))
    )
    assert (
        "no space left on device\n  fix: free some space (df -h .) and type the same command again\n"
        in (done.stdout + done.stderr)
    )
    before, after = game.parent / "runs", game.parent / "after/runs"
    kept = [path.relative_to(before) for path in before.rglob("*.answer.yaml")]
    assert kept
    for path in kept:
        assert (after / path).read_bytes() == (before / path).read_bytes()
        turn = str(path).removesuffix(".1.answer.yaml")
        assert not (after / f"{turn}.2.yaml").exists()
    assert (game / "docs/debate/vote-results.md").exists()


def test_a_log_that_is_no_file_is_named(bus: Bus) -> None:
    os.mkfifo(bus.here("chat.log"))
    with pytest.raises(CatherdError) as caught:
        atomic.append(bus.path, "chat.log", "x\n")
    assert (
        str(caught.value)
        == "bus/chat.log: no such device or address\n  fix: rm 'bus/chat.log'"
    )


def test_no_agent_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatherdError) as caught:
        config.agents(str(tmp_path))
    assert str(caught.value) == "agents/: no agent\n  fix: .venv/bin/catherd init ."


def test_a_chat_log_that_becomes_a_directory_while_it_is_written_ends_no_game(
    tmp_path: Path,
) -> None:
    bus, log, over = Bus(str(tmp_path)), tmp_path / "bus/chat.log", threading.Event()
    for folder in (".tmp", "chat", "problems", "events"):
        (tmp_path / "bus" / folder).mkdir(parents=True)
    (tmp_path / "bus/chat/me.yaml").write_text("text: mind the drill\n")

    def flip() -> None:
        while not over.is_set():
            if not log.is_dir():
                log.unlink(missing_ok=True)
            with suppress(FileExistsError):
                log.mkdir()
                log.rmdir()

    other = threading.Thread(target=flip)
    other.start()
    try:
        for _ in range(1000):
            chat.log_chat(bus)
    finally:
        over.set()
        other.join()
    chat.log_chat(bus)
    assert log.read_text() == "[me] me: mind the drill\n"
    assert bus.names("problems") == []

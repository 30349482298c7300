"""catherd init: a workspace in any repository, from an installed wheel too, and the same catherd in its .venv."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from catherd.core.errors import CatherdError
from catherd.git import workspace
from support import games
from support.git_repos import put, repo, sh

pytestmark = pytest.mark.slow


def _run(
    cwd: Path, *words: str | Path, **more: str
) -> subprocess.CompletedProcess[str]:
    offline = {
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return games.run(cwd, *map(str, words), seconds=200, **offline, **more)


def _borrow_packages(venv: Path) -> None:
    """What a lock file would install, from this environment: the test needs no network. Not catherd itself."""
    here = Path(sysconfig.get_path("purelib"))
    there = next((venv / "lib").glob("python*/site-packages"))
    for entry in here.iterdir():
        if (
            "catherd" not in entry.name
            and entry.name != "pip"
            and not (there / entry.name).exists()
        ):
            (there / entry.name).symlink_to(entry)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of this source tree: what git tracks and what is new here."""
    copy = tmp_path_factory.mktemp("source") / "catherd"
    for path in sh(
        games.ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"
    ).split("\0"):
        if path and (games.ROOT / path).is_file():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(games.ROOT / path, copy / path)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of that copy."""
    out = tmp_path_factory.mktemp("wheel")
    done = _run(
        source, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out
    )
    assert done.returncode == 0, done.stderr
    return next(out.glob("catherd-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `catherd` of a fresh environment with the wheel in it."""
    venv = tmp_path_factory.mktemp("env") / "venv"
    assert (
        _run(
            venv.parent, sys.executable, "-m", "venv", "--without-pip", venv
        ).returncode
        == 0
    )
    done = _run(
        venv.parent,
        sys.executable,
        "-m",
        "pip",
        "--python",
        venv / "bin/python",
        "install",
        "-q",
        "--no-deps",
        wheel,
    )
    assert done.returncode == 0, done.stderr
    _borrow_packages(venv)
    return venv / "bin" / "catherd"


def test_a_debate_is_played_in_a_workspace_that_an_installed_wheel_laid(
    wheel: Path, installed: Path, tmp_path: Path
) -> None:
    game = tmp_path / "the game"  # a blank in the path, as people have

    laid = _run(tmp_path, installed, "init", game)

    assert laid.returncode == 0, laid.stderr
    assert f"next: cd '{game}' && make debate" in laid.stdout
    assert (game / ".catherd/origin").read_text() == f"{wheel}\n"
    assert sh(game, "status", "--short") == ""
    assert sh(game, "log", "--format=%s") == "Lay the workspace of a catherd game"
    assert os.access(game / "agents/claude.yaml", os.X_OK)
    assert "make debate" in _run(game, "make").stdout

    (game / ".catherd/locks/base.txt").write_text(
        ""
    )  # the packages are borrowed, the rest of the rule is real
    made = _run(game, "make", ".venv", f"PYTHON={sys.executable}")
    assert made.returncode == 0, made.stdout + made.stderr
    _borrow_packages(game / ".venv")
    debate = _run(game, "make", "debate")
    assert debate.returncode == 0, debate.stdout + debate.stderr
    where = _run(
        game, ".venv/bin/python", "-P", "-c", "import catherd; print(catherd.__file__)"
    ).stdout
    assert where.startswith(str(game / ".venv"))
    assert "decision.yaml" in sh(
        game, "ls-tree", "-r", "--name-only", "main", "docs/debate"
    )
    _run(game, "make", "down")


def test_the_wheel_holds_every_file_of_the_engine(source: Path, wheel: Path) -> None:
    inside = set(
        _run(wheel.parent, sys.executable, "-m", "zipfile", "-l", wheel).stdout.split()
    )
    engine = [
        str(path.relative_to(source / "src"))
        for path in (source / "src").rglob("*")
        if path.is_file()
    ]

    assert [path for path in engine if path not in inside] == []
    assert [
        path
        for path in workspace._listed(str(source))
        if f"catherd/workspace/{path}" not in inside
    ] == []


def test_a_clone_of_a_workspace_says_how_to_give_it_its_catherd(tmp_path: Path) -> None:
    game = tmp_path / "game"
    workspace.init_workspace(str(game))
    sh(tmp_path, "clone", "-q", str(game), "clone")

    lost = _run(tmp_path / "clone", "make", ".venv")

    assert lost.returncode == 2
    assert lost.stderr.splitlines()[:2] == [
        "catherd: this clone does not know which catherd it is played with; git does not keep .catherd/",
        "  fix: make CATHERD=/path/to/catherd.whl (or the folder of its source), once",
    ]
    wrong = _run(tmp_path / "clone", "make", ".venv", "CATHERD=nowhere.whl")
    assert wrong.stderr.splitlines()[:2] == [
        "catherd: nowhere.whl is not there",
        "  fix: CATHERD=/path/to/catherd.whl, or the folder of its source",
    ]


def test_the_variable_names_another_catherd_and_brings_its_lock_files(
    wheel: Path, tmp_path: Path
) -> None:
    game = tmp_path / "game"
    workspace.init_workspace(str(game))
    shutil.rmtree(game / ".catherd")

    for catherd in (str(wheel), str(games.ROOT)):
        told = _run(game, "make", ".catherd/origin", f"CATHERD={catherd}")
        assert told.returncode == 0, told.stderr
        assert (game / ".catherd/origin").read_text() == f"{catherd}\n"
        assert sorted(os.listdir(game / ".catherd/locks")) == sorted(
            os.listdir(games.ROOT / "locks")
        )
        before = (game / ".catherd/origin").stat().st_mtime_ns
        _run(game, "make", ".catherd/origin", f"CATHERD={catherd}")
        assert (game / ".catherd/origin").stat().st_mtime_ns == before


def test_nothing_is_overwritten_and_nothing_is_committed_in_a_repository_that_has_a_history(
    tmp_path: Path,
) -> None:
    root = repo(
        tmp_path / "mine",
        {"Makefile": "all:\n\techo mine\n", "agents/claude.yaml": "name: Mine\n"},
    )
    put(Path(root), {".gitignore": "*.o"})
    head = sh(root, "rev-parse", "HEAD")

    laid = workspace.init_workspace(root)

    assert (Path(root) / "Makefile").read_text() == "all:\n\techo mine\n"
    assert (Path(root) / "agents/claude.yaml").read_text() == "name: Mine\n"
    assert "agents/claude.yaml" in laid.kept
    assert (Path(root) / ".gitignore").read_text().splitlines() == [
        "*.o",
        *workspace.IGNORED,
    ]
    assert sh(root, "rev-parse", "HEAD") == head
    assert laid.commit == ""
    assert laid.todo == [
        "put this line into Makefile: include catherd.mk",
        "git add .gitignore agents bus catherd.mk docs/handbook phases templates worktrees && git commit -m 'Add catherd'",
    ]


def test_laying_twice_changes_nothing(tmp_path: Path) -> None:
    game = tmp_path / "game"
    first = workspace.init_workspace(str(game))
    head = sh(game, "rev-parse", "HEAD")

    again = workspace.init_workspace(str(game))

    assert again.made == []
    assert sorted([*again.kept, ".gitignore", "Makefile"]) == sorted(first.made)
    assert again.todo == []
    assert sh(game, "rev-parse", "HEAD") == head
    assert sh(game, "status", "--short") == ""


def test_a_repository_without_a_commit_gets_its_first_one_with_your_files_left_alone(
    tmp_path: Path,
) -> None:
    game = tmp_path / "game"
    game.mkdir()
    sh(game, "init", "-q", "-b", "trunk")
    put(game, {"notes.txt": "mine\n"})

    laid = workspace.init_workspace(str(game))

    assert laid.commit == sh(game, "rev-parse", "--short", "HEAD")
    assert sh(game, "branch", "--show-current") == "trunk"
    assert sh(game, "status", "--short") == "?? notes.txt"


@pytest.mark.parametrize("deep", ["inside", "inside/deeper"])
def test_a_folder_inside_a_repository_is_no_place_for_another(
    tmp_path: Path, deep: str
) -> None:
    root = repo(tmp_path / "mine")

    with pytest.raises(CatherdError) as caught:
        workspace.init_workspace(f"{root}/{deep}")

    assert (
        str(caught.value)
        == f"{root}/{deep}: is inside the repository {root}\n  fix: .venv/bin/catherd init '{root}'"
    )


def test_a_file_is_no_place_for_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(CatherdError) as caught:
        workspace.init_workspace(str(tmp_path / "taken"))

    assert (
        str(caught.value)
        == f"{tmp_path}/taken: is a file\n  fix: .venv/bin/catherd init another-name"
    )


def test_the_source_tree_itself_is_a_workspace_already() -> None:
    assert workspace.source() == str(games.ROOT)
    assert workspace.origin() == str(games.ROOT)


def test_a_deleted_bus_is_written_back_by_the_next_goal_and_a_game_that_was_put_away_is_not(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    shutil.rmtree(game / "bus")
    named = re.findall(
        r"bus/ is gone; make debate goes on with (\S+) from refs/catherd/bus\n",
        games.make(game, "status").stdout,
    )

    again = games.make(game, "debate")

    assert len(named) == 1
    files = len([path for path in (game / "bus").rglob("*") if path.is_file()])
    told = re.search(
        rf"bus/ was gone; {named[0]} goes on from refs/catherd/bus: (\d+) files\ndebate: done\n",
        again.stdout,
    )
    assert told is not None, again.stdout
    assert 0 < int(told[1]) <= files
    assert not (game / "bus/goal").exists()
    assert games.make(game, "new").returncode == 0
    shutil.rmtree(game / "bus")
    assert (
        "no game is on; make debate begins one\n" in games.make(game, "status").stdout
    )


def test_bus_restore_writes_back_what_git_clean_took_and_nothing_else(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    before = {path: path.read_bytes() for path in (game / "bus").rglob("*.yaml")}
    pitch = game / "bus/debate/round-1/claude.yaml"
    pitch.write_text("title: mine\nbody: mine\n")
    shutil.rmtree(game / "bus/gates")

    one = games.catherd(game, "bus", "restore", "gates/round-1.yaml")
    assert one.stdout == "bus/gates/round-1.yaml\n"
    rest = games.catherd(game, "bus", "restore")

    assert rest.returncode == 0, rest.stderr
    assert "bus/gates/decision.yaml" in rest.stdout
    assert pitch.read_text() == "title: mine\nbody: mine\n"
    assert all(
        path.read_bytes() == content
        for path, content in before.items()
        if path != pitch and path.exists()
    )
    assert games.catherd(game, "bus", "restore").stdout == "nothing is missing\n"
    assert (
        games.catherd(
            game, "bus", "restore", "debate/round-1/claude.yaml", "--overwrite"
        ).returncode
        == 0
    )
    assert pitch.read_bytes() == before[pitch]
    assert (
        games.catherd(game, "bus", "log")
        .stdout.splitlines()[0]
        .endswith("debate closed")
    )
    missing = games.catherd(game, "bus", "restore", "nothing/here.yaml")
    assert missing.returncode == 1
    assert missing.stderr.startswith(
        "catherd: refs/catherd/bus: bus/nothing/here.yaml is not in the snapshot "
    )


def test_one_file_that_was_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/catherd.mk").write_text("# mine\n")
    start = "from catherd.cli import main; main(prog_name='catherd')"
    done = games.run(tmp_path, sys.executable, "-c", start, "init", "w")
    assert re.match(r"w: \d+ files laid, 1 was there already\n", done.stdout), (
        done.stdout + done.stderr
    )

"""What all tests share: one repository, and finished rehearsals that are played once per run.

A test is marked by what it needs: `herd` (daemons), `browser`, `vendors` (doubles of model vendors on loopback). The
fixtures below mark their tests by themselves; other tests say `pytestmark`. `make test-fast` runs what has no mark.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from support import games
from support.checkout_watch import Yours
from support.git_repos import repo

HERD = {"game", "finished_game", "finished_plan", "finished_poc"}


def pytest_configure(config: pytest.Config) -> None:
    """A runner in the background of a shell without job control ignores SIGINT, and its children would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    witness = os.path.join(tempfile.gettempdir(), f"catherd-witness-{os.getpid()}")
    os.environ.setdefault("WITNESS_FILE", witness)
    config.addinivalue_line("markers", "herd: starts daemons, or runs make in a game")
    config.addinivalue_line("markers", "browser: starts Chromium")
    config.addinivalue_line("markers", "vendors: speaks to doubles of model vendors")
    config.addinivalue_line("markers", "slow: builds whole apps, or plays a pack")
    if config.option.markexpr == games.FAST:
        os.environ["CATHERD_TEST_FAST"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that takes a game needs a herd."""
    for item in items:
        if HERD.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("herd")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No process of any game that was played went outside of this machine or read a `.env` (see witness/sitecustomize.py)."""
    seen = Path(os.environ["WITNESS_FILE"])
    if "PYTEST_XDIST_WORKER" not in os.environ and seen.exists():
        sys.stderr.write(f"\nwent outside:\n{seen.read_text()}")
        seen.unlink()
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def root(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A repository with one commit: the files that the module names in `START`."""
    return repo(tmp_path / "game", getattr(request.module, "START", {}))


@pytest.fixture
def game(tmp_path: Path) -> Iterator[Path]:
    """A game in which nothing was played yet; whatever the test starts in it is stopped afterwards."""
    made = games.lay(tmp_path / "game")
    yield made
    games.catherd(made, "down")


def _once(
    factory: pytest.TempPathFactory, name: str, play: Callable[[Path], None]
) -> Path:
    """The directory that `play` filled, once per run: the first worker that asks plays, the others wait for it.

    What a worker left half done, because its test run was ended, is played again.
    """
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    home, done = shared / f"once-{name}", shared / f"once-{name}.done"
    with FileLock(shared / f"once-{name}.lock"):
        if not done.exists():
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            play(home)
            done.touch()
    return home / "game"


def _debated(home: Path) -> None:
    game = games.lay(home / "game")
    done = games.make(game, "debate")
    assert done.returncode == 0, done.stdout + done.stderr
    (home / "session.txt").write_text(done.stdout)
    _at_rest(game)


def _built(home: Path) -> None:
    game = games.lay(home / "game")
    told = games.told_all(game, "die=build/T-003")
    done = games.make(game, "poc", seconds=600, **told)
    (home / "session.txt").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    _at_rest(game)


def _planned(home: Path, debated: Path) -> None:
    game = games.copy(debated, home / "game")
    games.mess(game)
    status = games.run(game, "git", "status", "--porcelain", "--ignored=no")
    (home / "before.txt").write_text(status.stdout)
    with Yours(game, "staged.txt") as yours:
        done = games.make(game, "plan", seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = {
        "strange": yours.strange(),
        "brought": len(yours.touched),
        "staged": sorted(yours.staged),
    }
    (home / "watched.json").write_text(json.dumps(seen))
    (home / "session.txt").write_text(done.stdout)
    _at_rest(game)


def _at_rest(game: Path) -> None:
    """Whoever is still on its way out is gone."""
    gone = games.make(game, "down")
    assert gone.returncode == 0, gone.stderr


@pytest.fixture(scope="session")
def finished_game(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game whose debate is done. Read it; to change something, take `games.copy(finished_game, tmp_path / "game")`.

    What the person saw stands beside it in `session.txt`.
    """
    return _once(tmp_path_factory, "debate", _debated)


@pytest.fixture(scope="session")
def finished_poc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game whose PoC is proved. Each agent that wrote or read T-003 was killed once in the middle of it. Read it, or take a copy.

    What the person saw stands beside it in `session.txt`.
    """
    return _once(tmp_path_factory, "poc", _built)


@pytest.fixture(scope="session")
def finished_plan(
    finished_game: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A game whose plan is done, played while you had edits, a staged file, an untracked and an ignored one lying about.

    `before.txt` beside it holds what `git status` said, and `YOURS` what those files hold. `watched.json` says what was seen
    of your checkout meanwhile: `strange`, what was written though no merge brought it; `brought`, how much was; and `staged`,
    every content that the index had for `staged.txt`.
    """
    return _once(tmp_path_factory, "plan", lambda home: _planned(home, finished_game))

"""What several test files share: one finished rehearsal, played once per test run."""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import games
from yours import Yours


def pytest_configure() -> None:
    """A runner in the background of a shell without job control ignores SIGINT, and its children would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault(
        "WITNESS_FILE",
        os.path.join(tempfile.gettempdir(), f"catherd-witness-{os.getpid()}"),
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No process of any game that was played went outside of this machine or read a `.env` (see witness/sitecustomize.py)."""
    seen = Path(os.environ["WITNESS_FILE"])
    if "PYTEST_XDIST_WORKER" not in os.environ and seen.exists():
        sys.stderr.write(f"\nwent outside:\n{seen.read_text()}")
        seen.unlink()
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def finished_game(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game whose debate is done. Read it; to change something, take `games.copy(finished_game, tmp_path / "game")`.

    What the person saw stands beside it in `session.txt`.
    """
    game = games.lay(tmp_path_factory.mktemp("finished") / "game")
    done = games.make(game, "debate")
    assert done.returncode == 0, done.stdout + done.stderr
    (game.parent / "session.txt").write_text(done.stdout)
    gone = games.make(game, "down")  # whoever is still on its way out
    assert gone.returncode == 0, gone.stderr
    return game


@pytest.fixture(scope="session")
def finished_poc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game whose PoC is proved; whoever wrote or read T-003 was killed once in the middle of it. Read it, or take a copy.

    What the person saw stands beside it in `session.txt`.
    """
    game = games.lay(tmp_path_factory.mktemp("poc") / "game")
    done = games.make(
        game, "poc", seconds=600, **games.told_all(game, "die=build/T-003")
    )
    (game.parent / "session.txt").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    gone = games.make(game, "down")
    assert gone.returncode == 0, gone.stderr
    return game


@pytest.fixture
def game(tmp_path: Path) -> Iterator[Path]:
    """A game in which nothing was played yet; whatever the test starts in it is stopped afterwards."""
    made = games.lay(tmp_path / "game")
    yield made
    games.catherd(made, "down")


@pytest.fixture(scope="session")
def finished_plan(
    finished_game: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A game whose plan is done, played while you had edits, a staged file, an untracked and an ignored one lying about.

    `before.txt` beside it holds what `git status` said, and `YOURS` what those files hold; `watched.json` what was seen of your
    checkout meanwhile: `strange`, what was written though no merge brought it, `brought`, how much was, and `staged`, every
    content that the index had for `staged.txt`.
    """
    game = games.copy(finished_game, tmp_path_factory.mktemp("planned") / "game")
    games.mess(game)
    (game.parent / "before.txt").write_text(
        games.run(game, "git", "status", "--porcelain", "--ignored=no").stdout
    )
    with Yours(game, "staged.txt") as yours:
        done = games.make(game, "plan", seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = {
        "strange": yours.strange(),
        "brought": len(yours.touched),
        "staged": sorted(yours.staged),
    }
    (game.parent / "watched.json").write_text(json.dumps(seen))
    (game.parent / "session.txt").write_text(done.stdout)
    gone = games.make(game, "down")
    assert gone.returncode == 0, gone.stderr
    return game

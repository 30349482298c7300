"""Scratch games to play in: real repositories with this checkout's workspace files, a real make, real daemons.

The `.venv` of such a game is two scripts that start this test's own Python on this checkout's `src/`; nothing is installed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.git_repos import PERSON, sh

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
FAST = (
    "not herd and not browser and not vendors and not slow"  # what make test-fast runs
)
LAID = (
    "Makefile",
    "catherd.mk",
    "locks",
    "phases",
    "templates",
    "agents",
    ".gitignore",
)
YOURS = {  # what lies about in your checkout while a game goes on: edited, staged, untracked, ignored
    "worktrees/README.md": "yours\n",
    "staged.txt": "yours, staged\n",
    "untracked.txt": "yours\n",
    "design.html": "yours, ignored\n",
}
TOLD = (
    "CATHERD",
    "REHEARSAL",
    "MAKE",
    "MFLAGS",
    "GIT_",
    "PACE",
    "LIVE",
    "STEP",
    "AGENTS",
    "TIMEBOX",
    "NOTIFY",
    "PYTHONPATH",
)


def lay(where: Path) -> Path:
    """A new game repository at `where`: the workspace of this checkout as it is on disk, committed on `main`."""
    where.mkdir(parents=True)
    for name in LAID:
        source = ROOT / name
        shutil.copytree(source, where / name) if source.is_dir() else shutil.copy2(
            source, where / name
        )
    for name in ("bus", "worktrees"):
        (where / name).mkdir()
        shutil.copy2(ROOT / name / "README.md", where / name)
    sh(where, "init", "-q", "-b", "main")
    sh(where, "add", "-A")
    sh(where, "commit", "-q", "-m", "start")
    furnish(where)
    return where


def mess(game: Path) -> None:
    """Leave `YOURS` lying about in the checkout."""
    for name, text in YOURS.items():
        (game / name).write_text(text)
    sh(game, "add", "staged.txt")


def furnish(where: Path) -> None:
    """Give the game its `.venv`: this test's Python, this checkout's engine."""
    marked = "CATHERD_TEST_FAST" not in os.environ
    assert marked, "this test plays in a game: mark it with pytest.mark.herd"
    bins = where / ".venv" / "bin"
    bins.mkdir(parents=True)
    witness = f"{ROOT / 'src'}:{ROOT / 'tests' / 'witness'}"
    head = f"#!/bin/sh\nPYTHONPATH='{witness}' exec '{sys.executable}' "
    (bins / "python").write_text(head + '"$@"\n')
    (bins / "catherd").write_text(
        head
        + '-P -c "from catherd.cli import main; main(prog_name=\'catherd\')" "$@"\n'
    )
    for name in ("python", "catherd"):
        (bins / name).chmod(0o755)
    for name in (".base", ".live", ".plan", ".poc", ".dev"):
        (where / ".venv" / name).touch()


def copy(game: Path, where: Path) -> Path:
    """The same game at another place; its daemons have left, so its files are at rest."""
    shutil.copytree(game, where, symlinks=True)
    return where


def env(**more: str) -> dict[str, str]:
    """A person's environment without what this test run was told, plus `more`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(TOLD)}
    return kept | PERSON | {"PACE": "0", "COLUMNS": "80"} | more


def make(
    game: Path, *words: str, seconds: float = 120, **more: str
) -> subprocess.CompletedProcess[str]:
    """`make WORDS…` as typed in the game, with `more` in the environment and no terminal."""
    return run(game, "make", *words, seconds=seconds, **more)


def run(
    game: Path, *words: str, seconds: float = 120, **more: str
) -> subprocess.CompletedProcess[str]:
    """Any command in the game, with no terminal."""
    return subprocess.run(
        words,
        cwd=game,
        env=env(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def catherd(
    game: Path, *words: str, seconds: float = 60, **more: str
) -> subprocess.CompletedProcess[str]:
    """`catherd WORDS…` in the game."""
    return run(game, ".venv/bin/catherd", *words, seconds=seconds, **more)


def told_all(game: Path, switches: str) -> dict[str, str]:
    """The environment in which every agent's rehearsal misbehaves in that way."""
    return {
        f"REHEARSAL_{file.stem.upper()}": switches
        for file in (game / "agents").glob("*.yaml")
    }

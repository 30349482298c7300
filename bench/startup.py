"""What it costs to ask: `make status` and `catherd --help` beside a bare Python."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator

import figures
from figures import Figure


def measure(turns: int = 9, runs: int = 3) -> Iterator[Figure]:
    """Two figures, in a game that is on."""
    with tempfile.TemporaryDirectory() as folder, figures.game(folder) as root:
        figures.begin(root)

        def run(*argv: str) -> None:
            subprocess.run(
                argv, cwd=root, env=figures.env(), check=True, stdout=subprocess.DEVNULL
            )

        def bare() -> None:
            run(sys.executable, "-c", "pass")

        commands = {
            "make status": ("make", "status"),
            "catherd --help": (str(root / ".venv/bin/catherd"), "--help"),
        }
        for name, argv in commands.items():
            ratio = figures.by_turns(lambda argv=argv: run(*argv), bare, turns, runs)  # type: ignore[misc]
            yield Figure("startup", f"{name} / python3 -c pass", ratio, "x", 10.0)

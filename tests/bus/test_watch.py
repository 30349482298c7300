"""The watch over the bus."""

import subprocess
import sys
from pathlib import Path

from support import games

NOISE = """
import logging, sys
from catherd.bus.watch import Watch
with Watch(sys.argv[1], ("",), ()):
    logging.getLogger("watchdog.observers.inotify").error("the thread is inactive")
"""


def test_what_watchdog_logs_reaches_no_terminal(tmp_path: Path) -> None:
    """Some of it is said when a watch ends while an event comes in."""
    env = games.env(PYTHONPATH=str(games.ROOT / "src"))
    command = [sys.executable, "-c", NOISE, str(tmp_path)]

    done = subprocess.run(command, env=env, capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

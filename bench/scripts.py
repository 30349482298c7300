"""The benchmarks that are scripts of their own: run one, and take figures from the lines that it prints."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import figures
from figures import ROOT


def said(script: str, *words: str) -> str:
    """What a script of this folder printed."""
    argv = [sys.executable, str(ROOT / "bench" / script), *words]
    told = figures.env(PYTHONPATH=f"{ROOT / 'src'}:{ROOT / 'tests'}")
    return subprocess.run(
        argv, env=told, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def lines(script: str, *words: str) -> Iterator[dict[str, Any]]:
    """Its JSON lines."""
    for line in said(script, *words).splitlines():
        if line.startswith("{"):
            yield json.loads(line)

"""What is installed and what stays in memory: the base packages, and four rehearsal daemons that have all had a turn."""

import importlib.metadata
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import figures
from figures import ROOT, Figure

from catherd.bus.config import agents
from catherd.bus.store import Bus
from catherd.herd.processes import pid_of


def packages() -> list[tuple[str, int]]:
    """Name and bytes of everything that the base lock file installs."""
    names = re.findall(
        r"^([A-Za-z0-9_.-]+)==", (ROOT / "locks/base.txt").read_text(), re.MULTILINE
    )
    found = []
    for name in names:
        paths = [str(file.locate()) for file in importlib.metadata.files(name) or []]
        found.append(
            (
                name,
                sum(
                    os.path.getsize(p)
                    for p in paths
                    if os.path.isfile(p) and not p.endswith(".pyc")
                ),
            )
        )
    return found


def pss(pid: int) -> float:
    """MB of a process, shared pages counted by their share."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def measure() -> Iterator[Figure]:
    """Three figures."""
    sizes = packages()
    yield Figure("footprint", "packages without extras", len(sizes), "", 20)
    yield Figure(
        "footprint",
        "packages without extras, unpacked",
        sum(s for _, s in sizes) / 1e6,
        "MB",
        40,
    )
    with tempfile.TemporaryDirectory() as folder, figures.game(folder) as root:
        told = figures.env(PACE="0")
        subprocess.run(
            ["make", "round-2"], cwd=root, env=told, check=True, capture_output=True
        )
        subprocess.run(
            ["make", "up"], cwd=root, env=told, check=True, capture_output=True
        )
        bus = Bus(str(root))
        typed = subprocess.Popen(
            ["make", "round-3"], cwd=root, env=told | {"REHEARSAL_LATENCY": "0", "REHEARSAL_CLAUDE": "slow=30"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        names = list(agents(str(root)))
        figures.until(
            lambda: all(
                list((root / "bus/runs" / n).glob("debate.round-3.*.1.1.yaml"))
                for n in names
            )
        )
        sizes_mb = [pss(pid) for name in names if (pid := pid_of(bus, name))]
        typed.terminate()
        typed.wait()
        assert len(sizes_mb) == 4
        yield Figure(
            "footprint", "four daemons in a debate, PSS", sum(sizes_mb), "MB", 100
        )

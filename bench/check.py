"""What a check of a design document costs: `python bench/check.py [RUNS]` prints one JSON line per figure (milliseconds, least and median).

Cold: nothing is kept, every diagram is drawn. Story, page: one file changed, without and with new diagrams. Cached: nothing
changed. Also the compiler of screens, and the page of `make design` with kept drawings.
"""

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from catherd.design import html, trace
from catherd.design.checks import check
from catherd.design.wireframe import screens

ROOT = Path(__file__).resolve().parents[1]


def measure(name: str, act: Callable[[], object], runs: int, **more: int) -> None:
    """Print the least and the median of `runs` calls of `act`, in milliseconds."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    figure = {
        "bench": "check",
        "what": name,
        "min_ms": round(min(times), 1),
        "p50_ms": round(statistics.median(times), 1),
    }
    print(json.dumps({**figure, "runs": runs, **more}), flush=True)


def main() -> None:
    """Measure on the toolshed, the document of the tests."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        root, kept = Path(folder) / "w", f"{folder}/kept"
        shutil.copytree(ROOT / "tests" / "documents" / "toolshed", root)
        screens.generate_screens(str(root))
        trace.generate_trace(str(root))
        files = sum(path.is_file() for path in root.rglob("*"))
        measure("cold", lambda: check(str(root)), runs, files=files)
        findings = check(str(root), cache=kept)
        measure(
            "cached",
            lambda: check(str(root), cache=kept),
            runs * 10,
            files=files,
            findings=len(findings),
        )
        count = iter(range(10_000))

        def edit(path: str, text: str) -> None:
            with (root / path).open("a", encoding="utf-8") as file:
                file.write(text.format(next(count)))
            check(str(root), cache=kept)

        measure(
            "one story changed",
            lambda: edit("docs/stories/US-001.md", "\nLine {}.\n"),
            runs * 3,
        )
        diagram = "\n```mermaid\nflowchart LR\n  a{} --> b\n```\n"
        measure(
            "one diagram changed",
            lambda: edit("docs/journeys/UJ-001.md", diagram),
            runs,
        )
        measure(
            "screens compiled",
            lambda: screens.compiled((root / screens.FILE).read_text()),
            runs * 3,
        )
        html.render_design(str(root), f"{folder}/design.html", kept)
        measure(
            "page, drawings kept",
            lambda: html.render_design(str(root), f"{folder}/design.html", kept),
            runs * 3,
        )


if __name__ == "__main__":
    main()

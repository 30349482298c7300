"""What a box costs against a bare subprocess: `python bench/box.py [RUNS]` prints one JSON line per figure (milliseconds, least and median).

Also the parts of a gate: a server's start until it answers from its box's network, one more request, the start of a boxed browser.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from catherd.app import browser
from catherd.box import bwrap_args, relay, sandbox

_SERVER = "import http.server as h; h.HTTPServer(('127.0.0.1', 8000), h.SimpleHTTPRequestHandler).serve_forever()"


def measure(name: str, act: Callable[[], object], runs: int) -> None:
    """Print the least and the median of `runs` calls of `act`, in milliseconds."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    figure = {
        "bench": "box",
        "what": name,
        "min_ms": round(min(times), 1),
        "p50_ms": round(statistics.median(times), 1),
    }
    print(
        json.dumps({**figure, "runs": runs, "tier": sandbox.probe_tier().name}),
        flush=True,
    )


def answers(tree: str) -> None:
    """A server in a box until it has answered once."""
    box = sandbox.start_box(["python3", "-c", _SERVER], sandbox.BoxOrder(tree=tree))
    prober = relay.Prober(box.netns)
    while "status" not in prober.ask(8000, "GET", "/"):
        box.wait(0.005)
    prober.close()
    box.kill()


def main() -> None:
    """All figures."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory(prefix="catherd-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - boxes run as another uid
        small, large = f"{folder}/small", f"{folder}/large"
        os.mkdir(small)
        for number in range(200):
            Path(f"{large}/{number % 10}").mkdir(parents=True, exist_ok=True)
            Path(f"{large}/{number % 10}/{number}.py").write_text(
                "x = 1\n" * 50, encoding="ascii"
            )
        env = {"PATH": bwrap_args.PATH}
        for words in (["true"], ["python3", "-c", "pass"]):
            name = " ".join(words)
            measure(
                f"{name}: bare",
                lambda w=words: subprocess.run(w, env=env, capture_output=True),
                runs,
            )  # type: ignore[misc]
            measure(
                f"{name}: box, copy, empty tree",
                lambda w=words: sandbox.run_in_box(w, sandbox.BoxOrder(tree=small)),
                runs,
            )  # type: ignore[misc]
        measure(
            "true: box, copy, 200 files",
            lambda: sandbox.run_in_box(["true"], sandbox.BoxOrder(tree=large)),
            runs,
        )
        measure(
            "true: box, rw, 200 files",
            lambda: sandbox.run_in_box(
                ["true"], sandbox.BoxOrder(tree=large, mode="rw")
            ),
            runs,
        )
        measure(
            "a server in a box, start to first answer",
            lambda: answers(small),
            max(3, runs // 4),
        )
        box = sandbox.start_box(
            ["python3", "-c", _SERVER], sandbox.BoxOrder(tree=small)
        )
        prober = relay.Prober(box.netns)
        while "status" not in prober.ask(8000, "GET", "/"):
            box.wait(0.005)
        measure("one request by the prober", lambda: prober.ask(8000, "GET", "/"), runs)
        prober.close()
        measure("kill a box and wait for its last process", box.kill, 1)
        program, _ = browser.find_browser()
        if program:
            boxed = sandbox.probe_tier().name == "bwrap"
            measure(
                "a browser in a box, start and end",
                lambda: browser.Browser(program, boxed=boxed).close(),
                3,
            )
        shutil.rmtree(large)


if __name__ == "__main__":
    main()

"""Live models on loopback: what LiteLLM costs, what a debate sends, and a hundred debates with a fifth of all answers faulty.

python bench/live.py [calls|memory|debate|faulty [SEEDS]]     one JSON line per figure; all of them without a word
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]


def tell(what: str, **figures: Any) -> None:
    """One figure."""
    print(json.dumps({"bench": "live", "what": what, **figures}), flush=True)


def calls(runs: int = 40) -> None:
    """Milliseconds per call through LiteLLM over a bare HTTP request to the same server."""
    from catherd.core.model import Request, Said
    from catherd.models.llm import Live
    from support.live_debate import MODEL
    from support.vendors import Vendors

    with Vendors(lambda _: "An answer. " * 100) as server:

        def bare(body: bytes, path: str) -> None:
            link = http.client.HTTPConnection("127.0.0.1", server.port)
            link.request("POST", path, body, {"content-type": "application/json"})
            link.getresponse().read()
            link.close()

        for vendor, model in list(MODEL.values())[:3]:
            ask = Request(
                "a",
                "t",
                model,
                "s",
                (Said("user", "x" * 20_000),),
                500,
                60.0,
                0,
                {"api_base": server.base(vendor)},
            )
            live = Live("k")
            live.complete(ask)
            body, path = json.dumps(server.seen[-1].body).encode(), server.seen[-1].path
            through, plain = by_turns(
                lambda live=live, ask=ask: live.complete(ask),
                lambda b=body, p=path: bare(b, p),
                runs,
            )
            tell(
                "overhead per call",
                vendor=vendor,
                p50_ms=round(through - plain, 1),
                bare_ms=round(plain, 1),
                runs=runs,
            )


def by_turns(one: Any, other: Any, runs: int) -> tuple[float, float]:
    """The medians of both in milliseconds; they take turns, so that both see the same machine."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for act, found in zip((one, other), times, strict=True):
            began = time.perf_counter()
            act()
            found.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


def memory() -> None:
    """MB of resident memory of a daemon that made a live call, of one that only rehearses, and seconds of the import."""
    live = "from catherd.models.llm import Live; from catherd.core.model import *; import os\n"
    live += "Live('k').complete(Request('a','t','openai/gpt-6-sol','',(Said('user','x'),),9,60.0,0,{'api_base':os.environ['BASE']}))\n"
    size = "print([int(l.split()[1])//1024 for l in open('/proc/self/status') if l.startswith('VmRSS')][0])"
    from support.vendors import Vendors

    with Vendors(lambda _: "x") as server:
        for what, code in (
            ("live", live),
            ("rehearsal", "import catherd.herd.daemon, catherd.rehearsal\n"),
        ):
            env = {
                **os.environ,
                "PYTHONPATH": str(ROOT / "src"),
                "BASE": server.base("openai"),
            }
            began = time.perf_counter()
            out = subprocess.run(
                [sys.executable, "-c", code + size],
                env=env,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            tell(
                f"a {what} process",
                rss_mb=int(out),
                four_mb=4 * int(out),
                seconds=round(time.perf_counter() - began, 2),
            )


def debate(answer_s: float = 1.0) -> None:
    """A debate by make with real daemons at one second per answer: wall against ideal, tokens, and the share of equal prefixes."""
    from support import games
    from support.vendors import Seen, Vendors, rehearsed

    def slow(seen: Seen) -> str:
        time.sleep(answer_s)
        return rehearsed(seen)

    with (
        tempfile.TemporaryDirectory(prefix="catherd-bench-") as folder,
        Vendors(slow) as server,
    ):
        game = games.lay(Path(folder) / "game")
        began = time.perf_counter()
        done = games.make(game, "debate", seconds=600, LIVE="1", **server.environ())
        wall = time.perf_counter() - began
        games.make(game, "down")
        seen = list(server.seen)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    ideal = 5 * answer_s
    tell(
        "a debate at 1 s per answer",
        wall_s=round(wall, 1),
        ideal_s=ideal,
        ratio=round(wall / ideal, 2),
        calls=len(seen),
    )
    same = whole = 0
    earlier: dict[str, list[str]] = {}
    for one in seen:
        text = one.system + "\0" + "\0".join(m.content for m in one.messages)
        same += max(
            (prefix(text, old) for old in earlier.get(one.model, [])), default=0
        )
        whole += len(text)
        earlier.setdefault(one.model, []).append(text)
    tell(
        "prompts of a debate",
        tokens=whole // 4,
        equal_prefix=round(same / whole, 3),
        goal=0.55,
    )


def prefix(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def faulty(seeds: int = 100) -> None:
    """Debates in memory with 20 % of all answers faulty: every one must finish."""
    from support import live_debate

    calls_made = wrong = abstained = finished = 0
    began = time.perf_counter()
    for seed in range(seeds):
        played, trouble = live_debate.play(seed, 0.2)
        finished += played.count().winner is not None or bool(played.count().tied)
        calls_made += played.calls
        wrong += trouble.faulty
        abstained += len(played.abstained)
    seconds = round(time.perf_counter() - began, 1)
    tell(
        "debates with a fifth of all answers faulty",
        seeds=seeds,
        finished=finished,
        calls=calls_made,
        faulty=wrong,
        abstained=abstained,
        seconds=seconds,
    )


def main() -> None:
    """All figures, or one."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, act in (("calls", calls), ("memory", memory), ("debate", debate)):
        if word in {"", name}:
            act()
    if word in {"", "faulty"}:
        faulty(int(sys.argv[2]) if len(sys.argv) > 2 else 100)


if __name__ == "__main__":
    main()

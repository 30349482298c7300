"""`make bench [BENCH='name …']`: every benchmark, one JSON line per figure as it comes, and a table at the end.

python bench/run.py [--record] [--strict] [NAME …]     --record appends to history.csv, --strict exits 1 on a limit missed
"""

import csv
import importlib
import json
import os
import subprocess
import sys
import time

import figures
from figures import ROOT, Figure

NAMES = (
    "publish",
    "claims",
    "wake",
    "daemons",
    "footprint",
    "startup",
    "debate",
    "merging",
    "checking",
    "boxes",
    "calling",
)


def main(words: list[str]) -> int:
    """Run the benchmarks that are named, or all."""
    flags = {word for word in words if word.startswith("--")}
    names = [word for word in words if word not in flags] or list(NAMES)
    if unknown := [name for name in names if name not in NAMES]:
        sys.stderr.write(
            f"no benchmark '{unknown[0]}'; there are: {', '.join(NAMES)}\n"
        )
        return 1
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # who plays has compiled files; an image that forbids them would be measured
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", str(ROOT / "src")], check=False
    )
    found: list[Figure] = []
    for name in names:
        try:
            for figure in importlib.import_module(name).measure():
                found.append(figure)
                print(
                    json.dumps(
                        {
                            **figure._asdict(),
                            "value": round(figure.value, 4),
                            "verdict": figure.verdict(),
                        }
                    ),
                    flush=True,
                )
        except Exception as error:
            sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
            found.append(
                Figure(name, f"broke off: {type(error).__name__}", float("nan"), "", 0)
            )
    print("\n" + table(found), flush=True)
    if "--record" in flags:
        record(found)
    return (
        1
        if "--strict" in flags and any(one.verdict() == "MISSED" for one in found)
        else 0
    )


def table(found: list[Figure]) -> str:
    """Name, figure, limit, goal, verdict."""
    rows = [("bench", "what", "figure", "limit", "goal", "verdict", "note")]
    for one in found:
        sign = "≥" if one.least else "≤"
        bounds = [
            f"{sign} {bound:g}" if bound is not None else ""
            for bound in (one.limit, one.goal)
        ]
        value = f"{one.value:,.0f}" if abs(one.value) >= 1000 else f"{one.value:.4g}"
        rows.append(
            (
                one.bench,
                one.what,
                f"{value} {one.unit}".strip(),
                *bounds,
                one.verdict(),
                one.note,
            )
        )
    wide = [max(len(row[n]) for row in rows) for n in range(6)]
    return "\n".join(
        "  ".join([*(row[n].ljust(wide[n]) for n in range(6)), row[6]]).rstrip()
        for row in rows
    )


def record(found: list[Figure]) -> None:
    """Append this run to history.csv: when, which commit, how busy the machine was, and each figure."""
    path = ROOT / "bench" / "history.csv"
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        if new:
            out.writerow(
                [
                    "at",
                    "commit",
                    "load",
                    "cores",
                    "bench",
                    "what",
                    "value",
                    "unit",
                    "verdict",
                ]
            )
        head = [
            time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
            commit.strip(),
            f"{os.getloadavg()[0]:.1f}",
            os.cpu_count(),
        ]
        out.writerows(
            [*head, one.bench, one.what, f"{one.value:.4g}", one.unit, one.verdict()]
            for one in found
        )


if __name__ == "__main__":
    assert figures.ROOT == ROOT
    sys.exit(main(sys.argv[1:]))

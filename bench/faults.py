"""The fault table: what a vendor did, how many requests were made, what came of it and what the person sees.

python bench/faults.py            all of it, as Markdown
"""

import os
import sys
import time

sys.path[:0] = [
    os.path.join(os.path.dirname(__file__), "..", part) for part in ("tests", "src")
]


def main() -> int:
    """Print the table; 1 if anything came out otherwise than it must."""
    from support.vendor_faults import rows, run

    wrong = 0
    print(
        "| what the vendor did | vendor | requests | outcome | said | then | s |\n|---|---|---|---|---|---|---|"
    )
    for case, vendor, stream in rows():
        began = time.monotonic()
        found = run(case, vendor, stream=stream)
        good = (found.outcome, found.served) == (case.outcome, case.requests)
        wrong += not good
        mark = "" if good else f" **expected {case.outcome} after {case.requests}**"
        seconds = f"{time.monotonic() - began:.2f}"
        print(
            f"| {case.name} | {vendor} | {found.served} | {found.outcome}{mark} | {found.said} | {case.comes} | {seconds} |",
            flush=True,
        )
    print(f"\n{len(rows())} cases, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Live models on loopback: what LiteLLM adds to a call, what a process of it weighs, a debate through it, and what its prompts repeat."""

from collections.abc import Iterator

import scripts
from figures import Figure

SAME = 0.55  # of a debate's prompt tokens, a byte-identical prefix of an earlier prompt
SEEDS = 10  # of debates with a fifth of all answers faulty; `python bench/live.py faulty 100` plays more


def measure() -> Iterator[Figure]:
    """The figures of live.py and tokens.py: those with a promise are judged, the others told."""
    for line in scripts.lines("live.py", "calls"):
        note = f"bare HTTP {line['bare_ms']} ms, {line['runs']} calls"
        yield Figure(
            "calling",
            f"a call through LiteLLM over bare HTTP, {line['vendor']}",
            line["p50_ms"],
            "ms",
            note=note,
        )
    for line in scripts.lines("live.py", "memory"):
        note = f"four of them {line['four_mb']} MB; {line['seconds']} s to its first answer"
        yield Figure("calling", f"{line['what']}, RSS", line["rss_mb"], "MB", note=note)
    for line in scripts.lines("live.py", "debate"):
        if "ratio" in line:
            note = f"{line['wall_s']} s, {line['calls']} calls, the daemons' start and the import of LiteLLM included"
            yield Figure(
                "calling",
                "make debate LIVE=1, 1 s per answer / 5 answers",
                line["ratio"],
                "x",
                note=note,
            )
        else:
            note = f"of {line['tokens']} tokens as the vendors saw them"
            yield Figure(
                "calling",
                "equal prefix of a live debate's prompts",
                line["equal_prefix"],
                "",
                SAME,
                SAME,
                least=True,
                note=note,
            )
    for line in scripts.lines("tokens.py"):
        if "goal" in line:
            note = f"of {line['tokens']} tokens without the chat; {line['new']} are new"
            yield Figure(
                "calling",
                "equal prefix of a rehearsed debate's prompts",
                line["same"],
                "",
                SAME,
                SAME,
                least=True,
                note=note,
            )
    for line in scripts.lines("live.py", "faulty", str(SEEDS)):
        note = f"{line['faulty']} of {line['calls']} answers faulty, {line['abstained']} abstained, {line['seconds']} s"
        what = f"debates that finish, of {SEEDS} with a fifth of all answers faulty"
        yield Figure(
            "calling", what, line["finished"], "", SEEDS, SEEDS, least=True, note=note
        )

"""What you read before you break a tie: plain text, at most 80 columns. Pure.

The authors are left out on purpose, as they are for every voter: vote-results.md tells them afterwards.
"""

from collections.abc import Iterable, Sequence

from catherd.core.escape import cut_columns, pad, plain_text, wrap_columns
from catherd.debate.tally import CountResult, Outcome, WhatIfs
from catherd.debate.vote import (
    HUMAN,
    Candidate,
    Vote,
    decided,
    present,
    strongest,
    turnout,
)

WIDE = 80
COLUMN = 38  # two of them, and a gutter
TEXT = 12  # lines of a proposal, then of its open objection
OBJECTION = 6


def tie_card(vote: Vote, result: CountResult, ifs: WhatIfs) -> str:
    """The proposals to choose from side by side, each with its open objection; their duels; what other rules say; how to
    decide. Also for a vote without a quorum or without ballots, where you choose among all.
    """
    options = decided(vote, result).options
    those = [next(c for c in vote.candidates if c.id == each) for each in options]
    if present(vote) < vote.needed:
        why = f"No quorum: {turnout(vote)}, {vote.needed} are needed. You choose among all."
    elif result.method == "no_ballots":
        why = f"No ballot ranks anything ({turnout(vote)}). You choose among all."
    else:
        why = f"The vote is tied ({turnout(vote)}): no proposal beats every other, and the runoff does not decide."
    lines = [*wrap_columns(why, WIDE), ""]
    for n in range(0, len(those), 2):
        pair = those[n : n + 2]
        lines += [
            *_beside([_head(n + m, c) + _text(c) for m, c in enumerate(pair, 1)]),
            "",
        ]
        lines += [*_beside([_objection(c) for c in pair]), ""]
    if result.method != "no_ballots":
        lines += [*_duels(options, result), *_others(ifs), *_flips(ifs)]
    lines += ["To decide, write one of these lines into bus/debate/tiebreak.yaml:"]
    lines += [f"  choice: {each}" for each in options]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(number: int, candidate: Candidate) -> list[str]:
    return [
        cut_columns(f"{number}  {candidate.id}", COLUMN),
        cut_columns(candidate.title, COLUMN),
        "",
    ]


def _text(candidate: Candidate) -> list[str]:
    return _at_most(wrap_columns(candidate.text, COLUMN), TEXT)


def _objection(candidate: Candidate) -> list[str]:
    still = strongest(candidate)
    if still is None:
        return ["Open: no objection."]
    risk = f" (risk {still.risk} of 5)" if still.risk else ""
    return _at_most(
        wrap_columns(f"Open{risk}: {' '.join(still.text.split())}", COLUMN), OBJECTION
    )


def _at_most(lines: Sequence[str], limit: int) -> list[str]:
    if len(lines) <= limit:
        return list(lines)
    return [
        *lines[: limit - 1],
        cut_columns(f"{lines[limit - 1]} {lines[limit]}", COLUMN - 1).removesuffix("…")
        + "…",
    ]


def _beside(columns: Sequence[Sequence[str]]) -> list[str]:
    height = max(len(c) for c in columns)
    rows = [[c[n] if n < len(c) else "" for c in columns] for n in range(height)]
    return ["    ".join(pad(cell, COLUMN) for cell in row) for row in rows]


def _listed(label: str, items: Iterable[str]) -> list[str]:
    """`label: a; b; c` over as many lines as it takes."""
    first, *more = wrap_columns(f"{label}: {'; '.join(items)}", WIDE - 2)
    return [first, *(f"  {line}" for line in more)]


def _duels(options: Sequence[str], result: CountResult) -> list[str]:
    pairs = [(a, b) for n, a in enumerate(options) for b in options[n + 1 :]]
    return _listed(
        "Head to head",
        [
            f"{a} {result.pairwise[a][b]} : {result.pairwise[b][a]} {b}"
            for a, b in pairs
        ],
    )


def _others(ifs: WhatIfs) -> list[str]:
    def ranked(scores: dict[str, int]) -> str:
        return ", ".join(
            f"{c} {n}"
            for c, n in sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        )

    first = ", ".join(
        f"{c} {n}"
        for c, n in sorted(
            ifs.first_choices.items(), key=lambda item: (-item[1], item[0])
        )
    )
    says = [
        f"with self-votes counted {_told(ifs.self_votes)}",
        f"first choices {first}",
    ]
    return _listed(
        "For information",
        [*says, f"Borda {ranked(ifs.borda)}", f"Copeland {ranked(ifs.copeland)}"],
    )


def _flips(ifs: WhatIfs) -> list[str]:
    without = [
        f"{'you' if v == HUMAN else plain_text(v)} {_told(ifs.without[v])}"
        for v in ifs.pivotal
    ]
    return [*(_listed("Without the ballot of", without) if without else []), ""]


def _told(outcome: Outcome) -> str:
    if outcome.winner:
        return f"{outcome.winner} wins"
    return (
        f"still a tie ({', '.join(outcome.tied)})"
        if outcome.method == "tie"
        else "nobody"
    )

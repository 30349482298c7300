"""What you read before you break a tie: plain text, at most 80 columns. Pure.

The authors are left out on purpose, as they are for every voter. vote-results.md names
them afterwards.
"""

import itertools
from collections.abc import Iterable, Sequence

from catherd.core.escape import cut_columns, pad, plain_text, wrap_columns
from catherd.debate.tally import CountResult, Outcome, WhatIfs
from catherd.debate.vote import (
    HUMAN,
    Candidate,
    Vote,
    decided,
    present,
    scores_told,
    strongest,
    turnout,
)

WIDE = 80
COLUMN = 38  # two of them, and a gutter
TEXT = 12  # lines of a proposal, then of its open objection
OBJECTION = 6


def tie_card(vote: Vote, result: CountResult, ifs: WhatIfs) -> str:
    """What there is to choose from, and how to decide.

    The proposals stand side by side, each with its open objection. Their duels and what
    other rules say follow. The card serves a vote without a quorum or without ballots
    too, where you choose among all.
    """
    options = decided(vote, result).options

    lines = wrap_columns(_why(vote, result), WIDE)
    lines.append("")
    lines += _proposals(vote, options)

    if result.method != "no_ballots":
        lines += _duels(options, result)
        lines += _others(ifs)
        lines += _flips(ifs)

    lines.append("To decide, write one of these lines into bus/debate/tiebreak.yaml:")
    lines += [f"  choice: {each}" for each in options]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _why(vote: Vote, result: CountResult) -> str:
    """Why you are asked."""
    if present(vote) < vote.needed:
        return f"No quorum: {turnout(vote)}, {vote.needed} are needed. You choose among all."
    if result.method == "no_ballots":
        return f"No ballot ranks anything ({turnout(vote)}). You choose among all."
    return f"The vote is tied ({turnout(vote)}): no proposal beats every other, and the runoff does not decide."


def _proposals(vote: Vote, options: Sequence[str]) -> list[str]:
    """The proposals in rows of two, numbered from 1, each with its open objection."""
    by_id = {candidate.id: candidate for candidate in vote.candidates}
    candidates = [by_id[each] for each in options]

    lines = []
    for n in range(0, len(candidates), 2):
        texts, objections = [], []
        for number, candidate in enumerate(candidates[n : n + 2], n + 1):
            texts.append(_head(number, candidate) + _text(candidate))
            objections.append(_objection(candidate))

        lines += _beside(texts)
        lines.append("")
        lines += _beside(objections)
        lines.append("")

    return lines


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
    """The first `limit` lines; the last of them ends in … where more would follow."""
    if len(lines) <= limit:
        return list(lines)
    last = cut_columns(f"{lines[limit - 1]} {lines[limit]}", COLUMN - 1)
    return [*lines[: limit - 1], last.removesuffix("…") + "…"]


def _beside(columns: Sequence[Sequence[str]]) -> list[str]:
    rows = itertools.zip_longest(*columns, fillvalue="")
    return ["    ".join(pad(cell, COLUMN) for cell in row) for row in rows]


def _listed(label: str, items: Iterable[str]) -> list[str]:
    """`label: a; b; c` over as many lines as it takes."""
    first, *more = wrap_columns(f"{label}: {'; '.join(items)}", WIDE - 2)
    return [first, *(f"  {line}" for line in more)]


def _duels(options: Sequence[str], result: CountResult) -> list[str]:
    duels = []
    for a, b in itertools.combinations(options, 2):
        for_a, for_b = result.pairwise[a][b], result.pairwise[b][a]
        duels.append(f"{a} {for_a} : {for_b} {b}")
    return _listed("Head to head", duels)


def _others(ifs: WhatIfs) -> list[str]:
    """What other rules say."""
    says = [
        f"with self-votes counted {_told(ifs.self_votes)}",
        f"first choices {scores_told(ifs.first_choices)}",
        f"Borda {scores_told(ifs.borda)}",
        f"Copeland {scores_told(ifs.copeland)}",
    ]
    return _listed("For information", says)


def _flips(ifs: WhatIfs) -> list[str]:
    without = []
    for voter in ifs.pivotal:
        name = "you" if voter == HUMAN else plain_text(voter)
        without.append(f"{name} {_told(ifs.without[voter])}")
    return [*(_listed("Without the ballot of", without) if without else []), ""]


def _told(outcome: Outcome) -> str:
    if outcome.winner:
        return f"{outcome.winner} wins"
    if outcome.method == "tie":
        return f"still a tie ({', '.join(outcome.tied)})"
    return "nobody"

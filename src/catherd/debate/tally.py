"""The count, rule catherd-tally/1: a Condorcet winner, else a runoff, else a person.

Pure: the same candidates and ballots give the same result in any order. The runoff is
an instant runoff over all candidates.
Ids are sorted by code point.

- What a ballot says is told in `papers`, the runoff in `runoff`.
- Recusal is neutral: an author's ballot says nothing about any pair with its own
  proposal, and never counts it as last.
- Condorcet: a candidate beats EVERY other strictly, N(a>b) > N(b>a). To be undefeated
  but level with another is not enough.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from catherd.debate.papers import (
    Cast,
    Pairwise,
    Paper,
    natural,
    pairwise_table,
    piles_of,
    read_papers,
)
from catherd.debate.runoff import Number, Round, first_choices, instant_runoff

RULE = "catherd-tally/1"
_NOBODY: Mapping[str, Collection[str]] = {}


class CountResult(msgspec.Struct, frozen=True):
    """The result of a count.

    `method` is condorcet, irv or unopposed, which name a `winner`, or tie or
    no_ballots, which list who is `tied`. `pairwise[a][b]` is how many ballots put a
    above b. `rounds` is empty unless a runoff was needed.
    """

    method: str
    winner: str | None
    tied: list[str]
    pairwise: Pairwise
    rounds: list[Round]
    notes: list[str]
    papers: list[Paper]


class Outcome(msgspec.Struct, frozen=True):
    """The winner under another rule, and the method; `tied` where there is none."""

    method: str
    winner: str | None
    tied: list[str]


class WhatIfs(msgspec.Struct, frozen=True):
    """For information; none of it decides.

    `borda`: over all pairs, votes for less votes against. On full ballots it orders as
    the Borda count does, and recusal leaves it neutral. `copeland`: pairs won less
    pairs lost. `pivotal`: voters without whom the result would be another.
    `first_shown`: how many ballots rank the first-shown candidate first, of how many
    that were shown and ranked anything.
    """

    self_votes: Outcome
    irv: Outcome
    first_choices: dict[str, Number]
    borda: dict[str, int]
    copeland: dict[str, int]
    without: dict[str, Outcome]
    pivotal: list[str]
    first_shown: tuple[int, int]


def count_ballots(
    candidates: Iterable[str],
    casts: Iterable[Cast],
    recused: Mapping[str, Collection[str]] = _NOBODY,
) -> CountResult:
    """The result of an election. Never raises.

    `recused` maps a voter to the ids that its ballots may not judge.
    """
    ids = tuple(sorted(set(candidates)))
    papers, notes = read_papers(ids, casts, recused)
    pairwise = pairwise_table(ids, papers)
    rounds: list[Round] = []
    outcome = _no_contest(ids, papers) or _condorcet(pairwise)
    if outcome is None:
        runoff = instant_runoff(ids, piles_of(papers), pairwise)
        outcome, rounds = _elected(runoff.winners), runoff.rounds
        notes = notes + runoff.notes
    return CountResult(
        method=outcome.method,
        winner=outcome.winner,
        tied=outcome.tied,
        pairwise=pairwise,
        rounds=rounds,
        notes=notes,
        papers=papers,
    )


def _no_contest(ids: Sequence[str], papers: Iterable[Paper]) -> Outcome | None:
    """The outcome where there is nothing to count: one candidate, or no ballot."""
    if len(ids) == 1:
        return Outcome("unopposed", ids[0], [])
    if not ids or not any(paper.counts for paper in papers):
        return Outcome("no_ballots", None, list(ids))
    return None


def _condorcet(pairwise: Pairwise) -> Outcome | None:
    for a, row in pairwise.items():
        if all(votes > pairwise[b][a] for b, votes in row.items()):
            return Outcome("condorcet", a, [])
    return None


def _elected(winners: Sequence[str]) -> Outcome:
    """What a runoff decides: its one winner, or a tie of several."""
    if len(winners) == 1:
        return Outcome("irv", winners[0], [])
    return Outcome("tie", None, list(winners))


def what_ifs(
    candidates: Sequence[str],
    casts: Sequence[Cast],
    recused: Mapping[str, Collection[str]] = _NOBODY,
    shown: Mapping[str, Sequence[str]] | None = None,
) -> WhatIfs:
    """What other rules, and the same rule without each single voter, would have said.

    `shown` is the display order of the candidates per voter. Costs one count per voter
    and two more.
    """
    result = count_ballots(candidates, casts, recused)
    real = _outcome(result)
    ids = tuple(sorted(result.pairwise))
    piles = piles_of(result.papers)
    runoff = real
    if real.method == "condorcet":
        runoff = _elected(instant_runoff(ids, piles, result.pairwise).winners)
    without = _without_each_voter(ids, casts, recused)
    return WhatIfs(
        self_votes=_outcome(count_ballots(ids, casts)),
        irv=runoff,
        first_choices=first_choices(piles, ids).counts,
        borda=_borda(result.pairwise),
        copeland=_copeland(result.pairwise),
        without=without,
        pivotal=[v for v, outcome in without.items() if _differ(outcome, real)],
        first_shown=_first_shown(result.papers, shown or {}, ids),
    )


def _outcome(result: CountResult) -> Outcome:
    return Outcome(result.method, result.winner, result.tied)


def _differ(one: Outcome, other: Outcome) -> bool:
    """Whether two outcomes elect differently; the method does not matter."""
    return (one.winner, one.tied) != (other.winner, other.tied)


def _without_each_voter(
    ids: Sequence[str],
    casts: Sequence[Cast],
    recused: Mapping[str, Collection[str]],
) -> dict[str, Outcome]:
    """The outcome without each single voter's ballots."""
    found = {}
    for voter in sorted({cast.voter for cast in casts}, key=natural):
        others = [cast for cast in casts if cast.voter != voter]
        found[voter] = _outcome(count_ballots(ids, others, recused))
    return found


def _borda(pairwise: Pairwise) -> dict[str, int]:
    scores = {}
    for a, row in sorted(pairwise.items()):
        scores[a] = sum(votes - pairwise[b][a] for b, votes in row.items())
    return scores


def _copeland(pairwise: Pairwise) -> dict[str, int]:
    scores = {}
    for a, row in sorted(pairwise.items()):
        won = sum(votes > pairwise[b][a] for b, votes in row.items())
        lost = sum(votes < pairwise[b][a] for b, votes in row.items())
        scores[a] = won - lost
    return scores


def _first_shown(
    papers: Iterable[Paper],
    shown: Mapping[str, Sequence[str]],
    ids: Collection[str],
) -> tuple[int, int]:
    """(ballots that rank first what they were shown first, ballots that can tell).

    What a voter was shown first is the first candidate that it could rank.
    """
    same = told = 0
    for paper in papers:
        order = shown.get(paper.voter, ())
        could = [c for c in order if c in ids and c not in paper.recused]
        if paper.ranking and could:
            told += 1
            same += paper.ranking[0] == could[0]

    return same, told

"""The count, rule catherd-tally/1: a strict Condorcet winner, else IRV over all candidates, else a person.

Pure: the same candidates and ballots give the same result in whatever order they come. Ids are sorted by code point.

- A ballot ranks best first; a nested list is an equal rank; what it does not rank is level with each other and below all
  that it ranks. An id that is unknown, repeated (the first mention counts) or the voter's own is dropped and noted; a
  ballot with nothing left is blank and changes nothing. Nothing that a ballot holds raises.
- Recusal is neutral: an author's ballot says nothing about any pair with its own proposal, and never counts it as last.
  Where every voter wrote every candidate, recusal would leave nothing: then self-votes count, and the notes say so.
- Condorcet: beats EVERY other strictly, N(a>b) > N(b>a). Undefeated but level with someone is not enough.
- IRV: first choices among those remaining, an equal rank split into exact fractions; all without a first choice go at
  once, else the lowest goes; the last two meet head to head in the pairwise table. For ballots without recusal this is
  the textbook rule; with it, authors stay out of their own final.
- A tie for last follows every branch (parallel universes: Conitzer, Rognlie and Xia, IJCAI 2009). One winner in all of
  them decides; more are a tie. After 20,000 sets of remaining candidates it is a tie of all who may still win.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec

RULE = "catherd-tally/1"
SETS = 20_000  # sets of remaining candidates that IRV looks at before it gives up
SHOWN = 100  # rounds that a result keeps; beyond, branches that can elect nobody new are skipped

Level = str | tuple[str, ...]
Number = int | Fraction
Pairwise = dict[str, dict[str, int]]
Nobody: Mapping[str, Collection[str]] = {}


class Cast(msgspec.Struct, frozen=True):
    """A ballot as cast, best first; `times` of the same (0 counts nothing)."""

    voter: str
    ranking: Sequence[str | Sequence[str]]
    times: int = 1
    abstain: bool = False


class Paper(msgspec.Struct, frozen=True):
    """A ballot as counted: ids of the election only, each once; an equal rank is a sorted tuple of two or more."""

    voter: str
    times: int
    ranking: tuple[Level, ...]
    recused: frozenset[str]
    notes: tuple[str, ...]


class Round(msgspec.Struct, frozen=True):
    """One set of remaining candidates in IRV.

    `counts`: first choices, or of the last two each one's votes against the other (`head_to_head`). `exhausted`: ballots that
    rank nobody who remains. Then either `eliminated` go at once, or each of `tied` is tied for last and goes in a branch of
    its own, or `elected` (two where the last two are level) ends the branch.
    """

    remaining: tuple[str, ...]
    counts: dict[str, Number]
    exhausted: int = 0
    eliminated: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    elected: tuple[str, ...] = ()
    head_to_head: bool = False


class CountResult(msgspec.Struct, frozen=True):
    """`method`: condorcet, irv, unopposed (they name a `winner`), tie, no_ballots (they list who is `tied`).

    `pairwise[a][b]` is how many ballots put a above b. `rounds` is empty unless IRV was needed; a branch follows its parent.
    """

    method: str
    winner: str | None
    tied: list[str]
    pairwise: Pairwise
    rounds: list[Round]
    notes: list[str]
    papers: list[Paper]


class Outcome(msgspec.Struct, frozen=True):
    """Who would have won, by which method; `tied` where nobody would."""

    method: str
    winner: str | None
    tied: list[str]


class WhatIfs(msgspec.Struct, frozen=True):
    """For information; none of it decides.

    `borda`: over all pairs, votes for less votes against (on full ballots it orders as the Borda count does, and recusal
    leaves it neutral). `copeland`: pairs won less pairs lost. `pivotal`: voters without whom the result would be another.
    `first_shown`: ballots that rank the first-shown candidate first, of how many that were shown and ranked anything.
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
    recused: Mapping[str, Collection[str]] = Nobody,
) -> CountResult:
    """The result of an election; `recused` maps a voter to the ids that its ballots may not judge. Never raises."""
    ids = tuple(sorted(set(candidates)))
    papers, notes = _papers(ids, casts, recused)
    pairwise = _pairwise(ids, papers)

    def result(
        method: str,
        winners: Sequence[str],
        rounds: Sequence[Round] = (),
        more: Sequence[str] = (),
    ) -> CountResult:
        winner, tied = (
            (None, list(winners))
            if method in {"tie", "no_ballots"}
            else (winners[0], [])
        )
        return CountResult(
            method, winner, tied, pairwise, list(rounds), [*notes, *more], papers
        )

    if len(ids) == 1:
        return result("unopposed", ids)
    if not any(p.ranking and p.times for p in papers) or not ids:
        return result("no_ballots", ids)
    for a in ids:
        if all(pairwise[a][b] > pairwise[b][a] for b in ids if b != a):
            return result("condorcet", [a])
    winners, rounds, more = _irv(ids, papers, pairwise)
    return result("irv" if len(winners) == 1 else "tie", winners, rounds, more)


def what_ifs(
    candidates: Sequence[str],
    casts: Sequence[Cast],
    recused: Mapping[str, Collection[str]] = Nobody,
    shown: Mapping[str, Sequence[str]] | None = None,
) -> WhatIfs:
    """What other rules, and the same rule without each single voter, would have said. `shown`: per voter, the display order.

    Costs one count per voter and two more.
    """
    result = count_ballots(candidates, casts, recused)
    real = _outcome(result)
    ids = tuple(sorted(result.pairwise))
    irv = real
    if real.method == "condorcet":
        winners = _irv(ids, result.papers, result.pairwise)[0]
        irv = (
            Outcome("irv", winners[0], [])
            if len(winners) == 1
            else Outcome("tie", None, winners)
        )
    without = {
        voter: _outcome(
            count_ballots(ids, [c for c in casts if c.voter != voter], recused)
        )
        for voter in sorted({c.voter for c in casts}, key=_natural)
    }
    duels = {
        a: [(result.pairwise[a][b], result.pairwise[b][a]) for b in ids if b != a]
        for a in ids
    }
    first = [
        s
        for p in result.papers
        if p.ranking and (s := _first_shown((shown or {}).get(p.voter, ()), p, ids))
    ]
    return WhatIfs(
        self_votes=_outcome(count_ballots(ids, casts)),
        irv=irv,
        first_choices=_firsts(_piles(result.papers), ids)[0],
        borda={a: sum(won - lost for won, lost in duels[a]) for a in ids},
        copeland={
            a: sum((won > lost) - (won < lost) for won, lost in duels[a]) for a in ids
        },
        without=without,
        pivotal=[
            v
            for v, o in without.items()
            if (o.winner, o.tied) != (real.winner, real.tied)
        ],
        first_shown=(sum(s == p for s, p in first), len(first)),
    )


def _outcome(result: CountResult) -> Outcome:
    return Outcome(result.method, result.winner, result.tied)


def _first_shown(
    shown: Sequence[str], paper: Paper, ids: Collection[str]
) -> tuple[Level, Level] | None:
    """The first id that this voter could rank, and what it ranked first; None when nothing says what was shown."""
    could = next((c for c in shown if c in ids and c not in paper.recused), None)
    return (could, paper.ranking[0]) if could else None


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort key under which ballot 2 stands before ballot 10."""
    return [
        (int(part) if part.isdigit() else 0, part)
        for part in re.split(r"([0-9]+)", text)
    ]


def _papers(
    ids: tuple[str, ...], casts: Iterable[Cast], recused: Mapping[str, Collection[str]]
) -> tuple[list[Paper], list[str]]:
    """The ballots as counted, in the order of their voters, and the notes on them."""
    known = frozenset(ids)
    order = sorted(casts, key=lambda c: (_natural(c.voter), repr(c.ranking), c.times))
    own = {voter: known.intersection(struck) for voter, struck in recused.items()}
    nothing: frozenset[str] = frozenset()
    papers = [_paper(c, known, own.get(c.voter, nothing)) for c in order]
    notes: list[str] = []
    if known and not any(p.ranking and p.times for p in papers):
        unstruck = [_paper(c, known, nothing) for c in order]
        owners = [own.get(p.voter) == known for p in unstruck if p.ranking and p.times]
        if owners and all(owners):
            papers, notes = (
                unstruck,
                ["every voter is an author of every candidate: self-votes are counted"],
            )
    return papers, [*notes, *(f"{p.voter}: {note}" for p in papers for note in p.notes)]


def _paper(cast: Cast, known: frozenset[str], own: frozenset[str]) -> Paper:
    times = max(cast.times, 0)
    if cast.abstain:
        return Paper(cast.voter, times, (), own, ("abstains",))
    left = set(known - own)
    levels: list[Level] = []
    notes: list[str] = []
    for level in cast.ranking:
        if isinstance(level, str):
            if level in left:
                left.remove(level)
                levels.append(level)
            else:
                notes.append(_dropped(level, known, own))
            continue
        kept = []
        for each in level if isinstance(level, list | tuple) else (level,):
            if isinstance(each, str) and each in left:
                left.remove(each)
                kept.append(each)
            else:
                notes.append(_dropped(each, known, own))
        if kept:
            levels.append(kept[0] if len(kept) == 1 else tuple(sorted(kept)))
    if not levels:
        notes.append("blank")
    return Paper(cast.voter, times, tuple(levels), own, tuple(notes))


def _dropped(each: Any, known: Collection[str], own: Collection[str]) -> str:
    if not isinstance(each, str) or each not in known:
        return f"{each!r} is not a candidate, dropped"
    return (
        f"{each!r} is recused, dropped"
        if each in own
        else f"{each!r} again, the first mention counts"
    )


def _pairwise(ids: tuple[str, ...], papers: Sequence[Paper]) -> Pairwise:
    """How many ballots put a above b, for every ordered pair.

    A row is one integer with a field of `wide` bits per candidate: a ballot adds all that stands below an id at once.
    """
    wide = sum(p.times for p in papers).bit_length() + 1
    field = {c: 1 << (wide * n) for n, c in enumerate(ids)}
    row = dict.fromkeys(ids, 0)
    everyone = sum(field.values())
    for paper in papers:
        below = everyone - sum(field[c] for c in paper.recused)
        for level in paper.ranking:
            below -= (
                field[level] if isinstance(level, str) else sum(field[c] for c in level)
            )
        for level in reversed(paper.ranking):
            below_each = below * paper.times
            for c in (level,) if isinstance(level, str) else level:
                row[c] += below_each
                below += field[c]
    mask = (1 << wide) - 1
    return {
        a: {b: (row[a] >> (wide * n)) & mask for n, b in enumerate(ids) if b != a}
        for a in ids
    }


def _piles(papers: Iterable[Paper]) -> dict[tuple[Level, ...], int]:
    """The ballots that rank anything, equal ones together."""
    piles: Counter[tuple[Level, ...]] = Counter()
    for paper in papers:
        if paper.ranking and paper.times:
            piles[paper.ranking] += paper.times
    return piles


def _firsts(
    piles: Mapping[tuple[Level, ...], int], alive: tuple[str, ...]
) -> tuple[dict[str, Number], int]:
    """First choices among `alive`, exact, and how many ballots rank none of them."""
    whole = dict.fromkeys(alive, 0)
    shared: Counter[tuple[str, int]] = (
        Counter()
    )  # (candidate, how many share the ballot) -> ballots
    exhausted = 0
    for ranking, times in piles.items():
        for level in ranking:
            if isinstance(level, str):
                if level in whole:
                    whole[level] += times
                    break
            elif still := [c for c in level if c in whole]:
                for c in still:
                    shared[c, len(still)] += times
                break
        else:
            exhausted += times
    counts: dict[str, Number] = dict(whole)
    for (c, among), times in shared.items():
        counts[c] += Fraction(times, among)
    return {c: int(n) if n == int(n) else n for c, n in counts.items()}, exhausted


def _irv(
    ids: tuple[str, ...], papers: Iterable[Paper], pairwise: Pairwise
) -> tuple[list[str], list[Round], list[str]]:
    """Everyone whom some way of breaking ties for last elects, the rounds (branch by branch), and notes."""
    piles = _piles(papers)
    winners: set[str] = set()
    rounds: list[Round] = []
    seen, todo = {ids}, [ids]
    while todo:
        alive = todo.pop()
        if len(seen) > SHOWN and winners.issuperset(alive):
            continue  # whoever is elected there is elected elsewhere
        this = _round(alive, piles, pairwise)
        winners.update(this.elected)
        if len(rounds) < SHOWN:
            rounds.append(this)
        branches: list[tuple[str, ...]] = [(c,) for c in reversed(this.tied)]
        for gone in branches or [this.eliminated]:
            rest = tuple(c for c in alive if c not in gone)
            if not this.elected and rest not in seen:
                seen.add(rest)
                todo.append(rest)
        if len(seen) > SETS:
            winners.update(*todo)
            return (
                sorted(winners),
                rounds,
                [f"gave up after {SETS} sets: all who may still win are tied"],
            )
    return sorted(winners), rounds, _tie_notes(winners, rounds, len(seen))


def _tie_notes(
    winners: Collection[str], rounds: Sequence[Round], sets: int
) -> list[str]:
    verdict = (
        f"harmless: every way elects {min(winners)}"
        if len(winners) == 1
        else "and it matters which goes"
    )
    ties = [
        f"tie for last ({', '.join(r.tied)}) of {', '.join(r.remaining)}, {verdict}"
        for r in rounds
        if r.tied
    ]
    return (
        ties
        if sets <= SHOWN
        else [
            *ties[:5],
            f"{sets} sets of remaining candidates, the first {SHOWN} are shown",
        ]
    )


def _round(
    alive: tuple[str, ...], piles: Mapping[tuple[Level, ...], int], pairwise: Pairwise
) -> Round:
    counts, exhausted = _firsts(piles, alive)
    if len(alive) == 1:
        return Round(alive, counts, exhausted, elected=alive)
    if len(alive) == 2:
        a, b = alive
        duel: dict[str, Number] = {a: pairwise[a][b], b: pairwise[b][a]}
        best = max(duel.values())
        elected = tuple(c for c in alive if duel[c] == best)
        return Round(alive, duel, exhausted, elected=elected, head_to_head=True)
    low = min(counts.values())
    last = tuple(c for c in alive if counts[c] == low)
    if low == 0 or len(last) == 1:
        return Round(alive, counts, exhausted, eliminated=last)
    if gone := _lost_anyway(alive, counts):
        return Round(alive, counts, exhausted, eliminated=gone)
    return Round(alive, counts, exhausted, tied=last)


def _lost_anyway(
    alive: tuple[str, ...], counts: Mapping[str, Number]
) -> tuple[str, ...]:
    """The fewest of the lowest who all go before anyone else, whichever of them goes first: together they hold fewer first
    choices than the next one alone, and two others remain. A shortcut through branches that meet again.
    """
    order = sorted(alive, key=lambda c: (counts[c], c))
    for n in range(2, len(order) - 1):
        if sum(counts[c] for c in order[:n]) < counts[order[n]]:
            return tuple(sorted(order[:n]))
    return ()

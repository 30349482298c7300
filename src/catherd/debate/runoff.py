"""The instant runoff of rule catherd-tally/1. Pure.

First choices are counted among the candidates that remain; an equal rank is split into
exact fractions. All candidates without a first choice go at once, else the lowest goes.
The last two meet head to head in the pairwise table. For ballots without recusal this
is the textbook rule; with it, authors stay out of their own final.

A tie for last follows every branch (parallel universes: Conitzer, Rognlie and Xia,
IJCAI 2009). One winner in all of them decides; more are a tie. After 20,000 sets of
remaining candidates the result is a tie of all who may still win.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import msgspec

from catherd.debate.papers import Level, Pairwise, Piles, members

SETS = 20_000  # sets of remaining candidates that are looked at before giving up
SHOWN = 100  # rounds that a result keeps

Number = int | Fraction
Alive = tuple[str, ...]  # the candidates that remain, sorted


class Round(msgspec.Struct, frozen=True):
    """One set of remaining candidates in the runoff.

    `counts` are first choices; of the last two each one's votes against the other
    (`head_to_head`). `exhausted` is the number of ballots that rank nobody who remains.
    Then one of three things happens. Either `eliminated` go at once, or each of `tied`
    is tied for last and goes in a branch of its own, or `elected` (two where the last
    two are level) ends the branch.
    """

    remaining: Alive
    counts: dict[str, Number]
    exhausted: int = 0
    eliminated: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    elected: tuple[str, ...] = ()
    head_to_head: bool = False


class Runoff(NamedTuple):
    """Everyone whom some way of breaking ties for last elects, the rounds, and notes.

    A branch follows its parent in `rounds`.
    """

    winners: list[str]
    rounds: list[Round]
    notes: list[str]


class FirstChoices(NamedTuple):
    """First choices by candidate, exact, and how many ballots rank none of them."""

    counts: dict[str, Number]
    exhausted: int


def instant_runoff(ids: Alive, piles: Piles, pairwise: Pairwise) -> Runoff:
    """The runoff over all `ids`, which are sorted."""
    winners: set[str] = set()
    rounds: list[Round] = []
    seen = {ids}
    todo = [ids]
    while todo:
        alive = todo.pop()
        if len(seen) > SHOWN and winners.issuperset(alive):
            continue  # the branch can elect nobody new
        this = _round(alive, piles, pairwise)
        winners.update(this.elected)
        if len(rounds) < SHOWN:
            rounds.append(this)
        for rest in _left_after(this):
            if rest not in seen:
                seen.add(rest)
                todo.append(rest)
        if len(seen) > SETS:
            winners.update(*todo)
            gave_up = f"gave up after {SETS} sets: all who may still win are tied"
            return Runoff(sorted(winners), rounds, [gave_up])

    return Runoff(sorted(winners), rounds, _tie_notes(winners, rounds, len(seen)))


def _left_after(this: Round) -> list[Alive]:
    """The sets of candidates that remain after a round, one for each branch."""
    if this.elected:
        return []
    if not this.tied:
        return [_without(this.remaining, this.eliminated)]
    # The caller takes the last one first: reversed, the branches come in order.
    return [_without(this.remaining, (gone,)) for gone in reversed(this.tied)]


def _without(alive: Alive, gone: Collection[str]) -> Alive:
    return tuple(each for each in alive if each not in gone)


def _round(alive: Alive, piles: Piles, pairwise: Pairwise) -> Round:
    counts, exhausted = first_choices(piles, alive)
    if len(alive) == 1:
        return Round(alive, counts, exhausted, elected=alive)
    if len(alive) == 2:
        return _head_to_head(alive, pairwise, exhausted)

    low = min(counts.values())
    last = tuple(each for each in alive if counts[each] == low)
    if low == 0 or len(last) == 1:
        return Round(alive, counts, exhausted, eliminated=last)

    gone = _lost_anyway(alive, counts)
    if gone:
        return Round(alive, counts, exhausted, eliminated=gone)
    return Round(alive, counts, exhausted, tied=last)


def _head_to_head(alive: Alive, pairwise: Pairwise, exhausted: int) -> Round:
    """The round of the last two."""
    a, b = alive
    duel: dict[str, Number] = {a: pairwise[a][b], b: pairwise[b][a]}
    best = max(duel.values())
    elected = tuple(each for each in alive if duel[each] == best)
    return Round(alive, duel, exhausted, elected=elected, head_to_head=True)


def _lost_anyway(alive: Alive, counts: Mapping[str, Number]) -> tuple[str, ...]:
    """The fewest of the lowest that all go before any other, whichever goes first.

    Together they hold fewer first choices than the next one alone, and two others
    remain. This is a shortcut through branches that meet again.
    """
    order = sorted(alive, key=lambda c: (counts[c], c))
    together: Number = counts[order[0]]
    for n in range(2, len(order) - 1):
        together += counts[order[n - 1]]
        if together < counts[order[n]]:
            return tuple(sorted(order[:n]))
    return ()


def first_choices(piles: Piles, alive: Alive) -> FirstChoices:
    """First choices among `alive`."""
    whole = dict.fromkeys(alive, 0)
    # (candidate, how many share the rank) → ballots. Fractions are made only once for
    # each of these, since they are slow to add.
    shared: Counter[tuple[str, int]] = Counter()
    exhausted = 0

    for ranking, times in piles.items():
        top = _top(ranking, whole)
        if not top:
            exhausted += times
        elif len(top) == 1:
            whole[top[0]] += times
        else:
            for each in top:
                shared[each, len(top)] += times

    counts: dict[str, Number] = dict(whole)
    for (each, among), times in shared.items():
        counts[each] += Fraction(times, among)

    return FirstChoices({c: _plain(n) for c, n in counts.items()}, exhausted)


def _top(ranking: Sequence[Level], alive: Collection[str]) -> list[str]:
    """Those of `alive` in the best rank that holds any; empty when no rank does."""
    for level in ranking:
        still = [each for each in members(level) if each in alive]
        if still:
            return still
    return []


def _plain(number: Number) -> Number:
    """A whole number as an int."""
    return int(number) if number == int(number) else number


def _tie_notes(
    winners: Collection[str], rounds: Sequence[Round], sets: int
) -> list[str]:
    verdict = "and it matters which goes"
    if len(winners) == 1:
        verdict = f"harmless: every way elects {min(winners)}"
    ties = [
        f"tie for last ({', '.join(r.tied)}) of {', '.join(r.remaining)}, {verdict}"
        for r in rounds
        if r.tied
    ]
    if sets <= SHOWN:
        return ties
    shown = f"{sets} sets of remaining candidates, the first {SHOWN} are shown"
    return [*ties[:5], shown]

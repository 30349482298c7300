"""Ballots as they are counted, without anything that does not count. Pure.

A ballot ranks best first. A nested list is an equal rank. Candidates that a ballot does
not rank are level with each other and below all that it ranks. An id that is unknown,
repeated (the first mention counts) or recused is dropped and noted. A ballot with
nothing left is blank and changes nothing. Nothing that a ballot holds raises.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

Level = str | tuple[str, ...]
Piles = Mapping[tuple[Level, ...], int]  # a ranking → how many ballots say just that
Pairwise = dict[str, dict[str, int]]

_NOTHING: frozenset[str] = frozenset()


class Cast(msgspec.Struct, frozen=True):
    """A ballot as cast, best first; `times` of the same (0 counts nothing)."""

    voter: str
    ranking: Sequence[str | Sequence[str]]
    times: int = 1
    abstain: bool = False


class Paper(msgspec.Struct, frozen=True):
    """A ballot as counted.

    It holds ids of the election only, each once. An equal rank is a sorted tuple of two
    or more ids.
    """

    voter: str
    times: int
    ranking: tuple[Level, ...]
    recused: frozenset[str]
    notes: tuple[str, ...]

    @property
    def counts(self) -> bool:
        """Whether the paper ranks anything and was cast at least once."""
        return bool(self.ranking and self.times)


class Papers(NamedTuple):
    """The ballots as counted, in the order of their voters, and the notes on them."""

    papers: list[Paper]
    notes: list[str]


def read_papers(
    ids: Collection[str],
    casts: Iterable[Cast],
    recused: Mapping[str, Collection[str]],
) -> Papers:
    """What the ballots say about `ids`; `recused` maps a voter to ids it may not judge.

    Where every voter wrote every candidate, recusal would leave nothing to count. Then
    the self-votes are counted, and a note says so.
    """
    known = frozenset(ids)
    order = sorted(casts, key=_cast_order)
    own = {voter: known.intersection(struck) for voter, struck in recused.items()}

    notes: list[str] = []
    papers = [_paper(cast, known, own.get(cast.voter, _NOTHING)) for cast in order]
    if not any(paper.counts for paper in papers):
        unstruck = [_paper(cast, known, _NOTHING) for cast in order]
        if _only_own(unstruck, known, own):
            papers = unstruck
            notes.append(
                "every voter is an author of every candidate: self-votes are counted"
            )

    for paper in papers:
        notes += [f"{paper.voter}: {note}" for note in paper.notes]

    return Papers(papers, notes)


def _only_own(
    papers: Iterable[Paper],
    known: frozenset[str],
    own: Mapping[str, frozenset[str]],
) -> bool:
    """Whether some papers count, all of them by authors of every candidate."""
    voters = [paper.voter for paper in papers if paper.counts]
    return bool(voters) and all(own.get(voter) == known for voter in voters)


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key under which ballot 2 stands before ballot 10."""
    parts = re.split(r"([0-9]+)", text)
    return [(int(part) if part.isdigit() else 0, part) for part in parts]


def _cast_order(cast: Cast) -> tuple[list[tuple[int, str]], str, int]:
    return natural(cast.voter), repr(cast.ranking), cast.times


def _paper(cast: Cast, known: frozenset[str], own: frozenset[str]) -> Paper:
    times = max(cast.times, 0)
    if cast.abstain:
        return Paper(cast.voter, times, (), own, ("abstains",))

    left = set(known - own)
    levels: list[Level] = []
    notes: list[str] = []
    for rank in cast.ranking:
        kept = []
        for each in rank if isinstance(rank, list | tuple) else (rank,):
            if isinstance(each, str) and each in left:
                left.remove(each)
                kept.append(each)
            else:
                notes.append(_dropped(each, known, own))

        if len(kept) == 1:
            levels.append(kept[0])
        elif kept:
            levels.append(tuple(sorted(kept)))

    if not levels:
        notes.append("blank")
    return Paper(cast.voter, times, tuple(levels), own, tuple(notes))


def _dropped(each: Any, known: Collection[str], own: Collection[str]) -> str:
    if not isinstance(each, str) or each not in known:
        return f"{each!r} is not a candidate, dropped"
    if each in own:
        return f"{each!r} is recused, dropped"
    return f"{each!r} again, the first mention counts"


def members(level: Level) -> tuple[str, ...]:
    """The ids that share a rank: one, or those of an equal rank."""
    return (level,) if isinstance(level, str) else level


def pairwise_table(ids: Sequence[str], papers: Iterable[Paper]) -> Pairwise:
    """How many ballots put a above b, for every ordered pair of candidates.

    A recused id takes part in no pair of its author's ballot.
    """
    table = {a: {b: 0 for b in ids if b != a} for a in ids}
    for paper in papers:
        below = set(ids) - paper.recused
        for level in paper.ranking:
            level_ids = members(level)
            below.difference_update(level_ids)
            for a in level_ids:
                row = table[a]
                for b in below:
                    row[b] += paper.times

    return table


def piles_of(papers: Iterable[Paper]) -> Piles:
    """The ballots that rank anything, equal rankings together."""
    piles: Counter[tuple[Level, ...]] = Counter()
    for paper in papers:
        if paper.counts:
            piles[paper.ranking] += paper.times
    return piles

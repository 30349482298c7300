"""A vote as a whole, and what came of it. Pure.

`report` and `tie_card` tell it to people.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from catherd.debate import tally
from catherd.debate.papers import Cast
from catherd.debate.runoff import Number
from catherd.debate.tally import CountResult, WhatIfs

HUMAN = "human"


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """An objection that nobody settled.

    `by` raised it, `risk` is from 1 to 5 (0 unknown), `answer` is what the authors
    said.
    """

    by: str
    text: str
    risk: int = 0
    answer: str = ""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal on the ballot.

    `id` is its code name, `sha256` that of its frozen title and text, `objections` are
    those that stay open.
    """

    id: str
    title: str
    authors: tuple[str, ...]
    text: str
    sha256: str
    statement: str = ""
    objections: tuple[Open, ...] = ()


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal that is not on the ballot.

    `how` is vetoed (`why` is your reason), withdrawn, or merged (`into` an id).
    """

    id: str
    title: str
    authors: tuple[str, ...]
    how: str
    why: str = ""
    into: str = ""


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """One counted ballot as it stands in its file.

    `edited` says that you edited it after its voter cast it. `notes` are from the
    casting.
    """

    voter: str
    ranking: Sequence[Any] = ()
    reasons: dict[str, str] = msgspec.field(default_factory=dict)
    shown: tuple[str, ...] = ()
    abstain: bool = False
    why: str = ""
    edited: bool = False
    notes: tuple[str, ...] = ()


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the record of a vote is made of.

    `roll` are the agents that may vote; your own sheet (voter `human`) is extra and not
    part of the quorum `needed`. `spoiled` maps a voter to what is wrong with its file.
    `late` and `missing` name voters. `choice` and `reason` are yours, from the
    tiebreak. `same_vendor` is a sentence, or empty.
    """

    game: str
    base: str
    candidates: tuple[Candidate, ...]
    roll: tuple[str, ...]
    needed: int
    sheets: tuple[Sheet, ...] = ()
    brief: str = ""
    constraints: tuple[str, ...] = ()
    spoiled: dict[str, str] = msgspec.field(default_factory=dict)
    late: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    gone: tuple[Gone, ...] = ()
    same_vendor: str = ""
    choice: str = ""
    reason: str = ""
    rule: str = tally.RULE


class Decided(msgspec.Struct, frozen=True):
    """What was decided.

    `by` is herd or human, empty while nobody decided. `options` are those that a person
    had, or has, to choose from.
    """

    winner: str | None
    method: str
    by: str
    options: list[str]


def counted(vote: Vote) -> tuple[CountResult, WhatIfs]:
    """The vote, counted: authors recused, your sheet like any other."""
    ids = [c.id for c in vote.candidates]
    casts = [Cast(s.voter, s.ranking, abstain=s.abstain) for s in vote.sheets]
    shown = {s.voter: s.shown for s in vote.sheets}
    own = recused(vote)
    result = tally.count_ballots(ids, casts, own)
    return result, tally.what_ifs(ids, casts, own, shown)


def recused(vote: Vote) -> dict[str, list[str]]:
    """Per voter, the candidates that it is an author of."""
    found = {}
    for voter in (sheet.voter for sheet in vote.sheets):
        found[voter] = [c.id for c in vote.candidates if voter in c.authors]
    return found


def decided(vote: Vote, result: CountResult) -> Decided:
    """The decision: your choice, else the count if there is a quorum."""
    quorate = present(vote) >= vote.needed or result.method == "unopposed"
    options = result.tied if quorate else sorted(result.pairwise)

    if vote.choice:
        return Decided(vote.choice, "human", "human", options)
    if not quorate:
        return Decided(None, "no_quorum", "", options)

    by = "herd" if result.winner else ""
    return Decided(result.winner, result.method, by, options)


def present(vote: Vote) -> int:
    """How many on the roll cast a ballot that could be read, abstentions among them."""
    return sum(s.voter in vote.roll for s in vote.sheets)


def turnout(vote: Vote) -> str:
    """`3 of 4 ballots`, `4 of 4 ballots and yours`."""
    of_the_roll = f"{ballots_of(vote)} ballots"
    return f"{of_the_roll} and yours" if yours_is_extra(vote) else of_the_roll


def ballots_of(vote: Vote) -> str:
    """`3 of 4`: how many on the roll cast a ballot, yours not among them."""
    return f"{present(vote)} of {len(vote.roll)}"


def voted(vote: Vote) -> set[str]:
    """Everybody who cast a ballot that could be read."""
    return {sheet.voter for sheet in vote.sheets}


def yours_is_extra(vote: Vote) -> bool:
    """Whether you cast a ballot beside those of the roll."""
    return HUMAN in voted(vote) and HUMAN not in vote.roll


def strongest(candidate: Candidate) -> Open | None:
    """The objection that stays open: the greatest risk, the first among equals."""
    return max(candidate.objections, key=lambda o: o.risk, default=None)


def level(each: Any) -> str:
    """One rank of a ballot as cast: an id, or `a = b`."""
    if isinstance(each, list | tuple):
        return " = ".join(str(one) for one in each)
    return str(each)


def scores_told(scores: Mapping[str, Number]) -> str:
    """`b 5, a 3, c 3`: the candidates by their scores, the best first."""
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{candidate} {score}" for candidate, score in ranked)

"""`catherd count FILE|-`: any election, counted by the code that counts the debate.

So anyone can audit a debate.

In, as YAML: `candidates: [ids]`; `ballots: [[times, [best, …, worst]], …]`, where a
nested list is an equal rank; and optionally `recused: {0: [ids]}`, by the ballot's
place in the list, counted from 0. Ids are words or whole numbers.

Out, as YAML: rule, method, winner (null when none), tied (empty when decided, all
candidates when nothing was cast), pairwise (`a: {b: how many put a above b}`), rounds,
notes. Numbers are exact: a fraction is written `7/2`. Unknown, repeated and recused ids
are dropped and noted. Only a text that cannot be read as an election is an error.
"""

from collections.abc import Mapping
from typing import Any

from catherd.bus import yaml_read, yaml_write
from catherd.core.errors import CatherdError
from catherd.debate import tally
from catherd.debate.papers import Cast
from catherd.debate.runoff import Round

EXAMPLE = "{candidates: [a, b, c], ballots: [[2, [a, b]], [1, [c, [a, b]]]]}"
LIMIT = 64 << 20  # characters; 10,000 ballots of 50 ids are two million
KEYS = ("candidates", "ballots", "recused")

Id = str | int


def count_text(text: str, where: str) -> tuple[str, int]:
    """(the result of the election in `text` as YAML, the exit code).

    The code is 0 where the election is decided, 75 for a tie or no ballots. `where` is
    what errors call the text. Raises CatherdError (exit 1) with place and fix when the
    text cannot be read.
    """
    document = yaml_read.loads(text, where, limit=LIMIT)
    _check_form(document)
    names = _candidates(document)
    casts = _casts(document)
    recused = _recused(document, len(casts))
    notes = _strangers(recused, names)
    for key in document.data:
        if key not in {*KEYS, "catherd"}:
            notes.append(f"the key '{key}' is not used")

    result = tally.count_ballots(names, casts, recused)
    told = yaml_write.dumps(_told(result, names, notes))
    return told, 75 if result.winner is None else 0


def _check_form(document: yaml_read.Document) -> None:
    """Check that there is a list of candidates and one of ballots."""
    if not isinstance(document.data, dict):
        raise CatherdError("not an election", where=document.where(), fix=EXAMPLE)
    for key in ("candidates", "ballots"):
        value = document.data.get(key)
        if not isinstance(value, list):
            raise CatherdError(
                f"{key} is missing" if value is None else f"{key} is not a list",
                where=document.where(key),
                fix=f"write it like this: {EXAMPLE}",
            )


def _candidates(document: yaml_read.Document) -> dict[str, Id]:
    """Each candidate as the count knows it, with the id as it was written."""
    names: dict[str, Id] = {}
    for n, each in enumerate(document.data["candidates"]):
        place = document.where("candidates", n)
        if isinstance(each, bool) or not isinstance(each, str | int):
            fix = "quote it, if it is meant as a name"
            if isinstance(each, list | dict):
                fix = "candidates: [a, b, c]"
            raise CatherdError(
                "a candidate is a word or a whole number", where=place, fix=fix
            )
        if str(each) in names:
            raise CatherdError(
                f"the candidate '{each}' stands here twice",
                where=place,
                fix="delete one of them",
            )
        names[str(each)] = each
    if not names:
        raise CatherdError(
            "there are no candidates",
            where=document.where("candidates"),
            fix="candidates: [a, b]  # two or more, to have something to choose from",
        )
    return names


def _casts(document: yaml_read.Document) -> list[Cast]:
    ballots = document.data["ballots"]
    return [_cast(document, n, ballot) for n, ballot in enumerate(ballots)]


def _cast(document: yaml_read.Document, n: int, ballot: Any) -> Cast:
    if (
        not isinstance(ballot, list)
        or len(ballot) != 2
        or not isinstance(ballot[1], list)
    ):
        place = document.where("ballots", n)
        raise _misread(f"ballot {n} is not [times, [ids]]", place)

    times, ranking = ballot
    if isinstance(times, bool) or not isinstance(times, int) or times < 0:
        place = document.where("ballots", n, 0)
        raise _misread(f"ballot {n}: {times!r} is not how many were cast", place)
    levels: list[str | list[str]] = []
    for m, level in enumerate(ranking):
        if not _are_ids(level if isinstance(level, list) else [level]):
            place = document.where("ballots", n, 1, m)
            raise _misread(f"ballot {n} ranks something that is no id", place)
        if isinstance(level, list):
            levels.append([str(each) for each in level])
        else:
            levels.append(str(level))

    return Cast(f"ballot {n}", levels, times)


def _misread(what: str, where: str) -> CatherdError:
    """A ballot that is none; the fix shows one."""
    return CatherdError(
        what,
        where=where,
        fix="write [times, [best, …, worst]], for instance [3, [a, [b, c]]]",
    )


def _are_ids(things: list[Any]) -> bool:
    """Whether none of these is a list or a map."""
    return not any(isinstance(each, list | dict) for each in things)


def _recused(document: yaml_read.Document, ballots: int) -> dict[str, list[str]]:
    """Ballot → the ids that it may not judge; the election has so many `ballots`."""
    given = document.data.get("recused")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise CatherdError(
            "recused is not a map of ballots to ids",
            where=document.where("recused"),
            fix="recused: {0: [a]}  # ballot 0 may not judge a",
        )
    recused: dict[str, list[str]] = {}
    for key, ids in given.items():
        place = document.where("recused", key)
        if not (key.isascii() and key.isdigit()) or int(key) >= ballots:
            raise CatherdError(
                f"recused names ballot {key!r}, which is not there",
                where=place,
                fix=_which_ballots(ballots),
            )
        if not isinstance(ids, list) or not _are_ids(ids):
            raise CatherdError(
                "recused takes a list of ids",
                where=place,
                fix=f"recused: {{{key}: [a]}}",
            )
        recused[f"ballot {int(key)}"] = [str(each) for each in ids]
    return recused


def _which_ballots(ballots: int) -> str:
    if ballots:
        return f"count from 0: the first is 0, the last is {ballots - 1}"
    return "delete the line"


def _strangers(recused: Mapping[str, list[str]], names: Mapping[str, Id]) -> list[str]:
    """A note on each recused id that is not a candidate."""
    notes: list[str] = []
    for ballot, ids in recused.items():
        unknown = [each for each in ids if each not in names]
        notes += [
            f"{ballot}: recused {each!r} is not a candidate, dropped"
            for each in unknown
        ]
    return notes


def _told(
    result: tally.CountResult, names: Mapping[str, Id], notes: list[str]
) -> dict[str, Any]:
    """The result with the ids as they were written."""
    pairwise = {}
    for a, row in result.pairwise.items():
        pairwise[names[a]] = {names[b]: votes for b, votes in row.items()}

    return {
        "rule": tally.RULE,
        "method": result.method,
        "winner": None if result.winner is None else names[result.winner],
        "tied": [names[each] for each in result.tied],
        "pairwise": pairwise,
        "rounds": [_round(each, names) for each in result.rounds],
        "notes": [*notes, *result.notes],
    }


def _round(each: Round, names: Mapping[str, Id]) -> dict[str, Any]:
    counts: dict[Id, int | str] = {}
    for candidate, votes in each.counts.items():
        counts[names[candidate]] = votes if isinstance(votes, int) else str(votes)

    told: dict[str, Any] = {
        "remaining": [names[one] for one in each.remaining],
        "counts": counts,
        "exhausted": each.exhausted,
    }
    for key in ("eliminated", "tied", "elected"):
        ids = getattr(each, key)
        if ids:
            told[key] = [names[one] for one in ids]

    if each.head_to_head:
        told["head_to_head"] = True
    return told

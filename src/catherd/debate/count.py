"""`catherd count FILE|-`: any election, counted by the very code that counts the debate, so that anyone can audit it.

In, as YAML: `candidates: [ids]`; `ballots: [[times, [best, …, worst]], …]`, a nested list being an equal rank; and if need be
`recused: {0: [ids]}`, by the ballot's place in the list, counted from 0. Ids are words or whole numbers.
Out, as YAML: rule, method, winner (null when none), tied (empty when decided, all candidates when nothing was cast),
pairwise (`a: {b: how many put a above b}`), rounds, notes. Numbers are exact: a fraction is written `7/2`.
Unknown, repeated and recused ids are dropped and noted; only what cannot be read as an election is an error.
"""

from collections.abc import Mapping
from typing import Any

from catherd.bus import yaml_read, yaml_write
from catherd.core.errors import CatherdError
from catherd.debate import tally

EXAMPLE = "{candidates: [a, b, c], ballots: [[2, [a, b]], [1, [c, [a, b]]]]}"
LIMIT = 64 << 20  # characters; 10,000 ballots of 50 ids are two million
KEYS = ("candidates", "ballots", "recused")

Id = str | int


def count_text(text: str, where: str) -> tuple[str, int]:
    """The result of the election in `text` as YAML, and the exit code: 0 decided, 75 a tie or no ballots.

    `where` is what errors call the text. Raises CatherdError (exit 1) with place and fix when it cannot be read.
    """
    document = yaml_read.loads(text, where, limit=LIMIT)
    if not isinstance(document.data, dict):
        raise CatherdError("not an election", where=document.where(), fix=EXAMPLE)
    for key in KEYS[:2]:
        if not isinstance(document.data.get(key), list):
            what = f"{key} is {'not a list' if document.data.get(key) is not None else 'missing'}"
            raise CatherdError(
                what, where=document.where(key), fix=f"write it like this: {EXAMPLE}"
            )
    names = _candidates(document)
    casts = [
        _cast(document, n, ballot) for n, ballot in enumerate(document.data["ballots"])
    ]
    recused, notes = _recused(document, names, len(casts))
    notes += [
        f"the key '{key}' is not used"
        for key in document.data
        if key not in {*KEYS, "catherd"}
    ]
    result = tally.count_ballots(names, casts, recused)
    return yaml_write.dumps(
        _told(result, names, notes)
    ), 75 if result.winner is None else 0


def _candidates(document: yaml_read.Document) -> dict[str, Id]:
    """Each candidate as the count knows it, with the id as it was written."""
    names: dict[str, Id] = {}
    for n, each in enumerate(document.data["candidates"]):
        place = document.where("candidates", n)
        if isinstance(each, bool) or not isinstance(each, str | int):
            fix = (
                "quote it, if it is meant as a name"
                if not isinstance(each, list | dict)
                else "candidates: [a, b, c]"
            )
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
        fix = "candidates: [a, b]  # two or more, to have something to choose from"
        raise CatherdError(
            "there are no candidates", where=document.where("candidates"), fix=fix
        )
    return names


def _cast(document: yaml_read.Document, n: int, ballot: Any) -> tally.Cast:
    fix = "write [times, [best, …, worst]], for instance [3, [a, [b, c]]]"
    if (
        not isinstance(ballot, list)
        or len(ballot) != 2
        or not isinstance(ballot[1], list)
    ):
        raise CatherdError(
            f"ballot {n} is not [times, [ids]]",
            where=document.where("ballots", n),
            fix=fix,
        )
    times, ranking = ballot
    if isinstance(times, bool) or not isinstance(times, int) or times < 0:
        place = document.where("ballots", n, 0)
        raise CatherdError(
            f"ballot {n}: {times!r} is not how many were cast", where=place, fix=fix
        )
    levels: list[str | list[str]] = []
    for m, level in enumerate(ranking):
        members = level if isinstance(level, list) else [level]
        if any(isinstance(each, list | dict) for each in members):
            place = document.where("ballots", n, 1, m)
            raise CatherdError(
                f"ballot {n} ranks something that is no id", where=place, fix=fix
            )
        levels.append(
            [str(each) for each in level] if isinstance(level, list) else str(level)
        )
    return tally.Cast(f"ballot {n}", levels, times)


def _recused(
    document: yaml_read.Document, names: Mapping[str, Id], ballots: int
) -> tuple[dict[str, list[str]], list[str]]:
    """Per ballot the ids it may not judge, and a note on each that is not a candidate."""
    given = document.data.get("recused")
    notes: list[str] = []
    recused: dict[str, list[str]] = {}
    if given is None:
        return recused, notes
    if not isinstance(given, dict):
        fix = "recused: {0: [a]}  # ballot 0 may not judge a"
        raise CatherdError(
            "recused is not a map of ballots to ids",
            where=document.where("recused"),
            fix=fix,
        )
    for key, ids in given.items():
        place = document.where("recused", key)
        if not (key.isascii() and key.isdigit()) or int(key) >= ballots:
            fix = (
                f"count from 0: the first is 0, the last is {ballots - 1}"
                if ballots
                else "delete the line"
            )
            raise CatherdError(
                f"recused names ballot {key!r}, which is not there",
                where=place,
                fix=fix,
            )
        if not isinstance(ids, list) or any(
            isinstance(each, list | dict) for each in ids
        ):
            raise CatherdError(
                "recused takes a list of ids",
                where=place,
                fix=f"recused: {{{key}: [a]}}",
            )
        recused[f"ballot {int(key)}"] = [str(each) for each in ids]
        unknown = [str(each) for each in ids if str(each) not in names]
        notes += [
            f"ballot {int(key)}: recused {each!r} is not a candidate, dropped"
            for each in unknown
        ]
    return recused, notes


def _told(
    result: tally.CountResult, names: Mapping[str, Id], notes: list[str]
) -> dict[str, Any]:
    return {
        "rule": tally.RULE,
        "method": result.method,
        "winner": None if result.winner is None else names[result.winner],
        "tied": [names[c] for c in result.tied],
        "pairwise": {
            names[a]: {names[b]: n for b, n in row.items()}
            for a, row in result.pairwise.items()
        },
        "rounds": [_round(each, names) for each in result.rounds],
        "notes": [*notes, *result.notes],
    }


def _round(each: tally.Round, names: Mapping[str, Id]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "remaining": [names[c] for c in each.remaining],
        "counts": {
            names[c]: n if isinstance(n, int) else str(n)
            for c, n in each.counts.items()
        },
        "exhausted": each.exhausted,
    }
    for key in ("eliminated", "tied", "elected"):
        if ids := getattr(each, key):
            told[key] = [names[c] for c in ids]
    return told | ({"head_to_head": True} if each.head_to_head else {})

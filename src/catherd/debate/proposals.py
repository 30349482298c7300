"""What a debate knows at each step: code names, how each proposal stands, what the next ask shows. Pure.

Proposals and critics appear under code names until the vote: hiding who wrote what evens out the weight given to oneself
and to others (Choi, 2510.07517). It is fairness, not secrecy: receipts hold the names, and a person may look.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from catherd.core.lots import draw
from catherd.core.messages import Argument, Input, Pitch

WORDS = [
    "amber",
    "birch",
    "cedar",
    "dune",
    "ember",
    "fjord",
    "grove",
    "heron",
    "iris",
    "juniper",
    "kelp",
    "larch",
    "maple",
    "nettle",
    "otter",
    "poppy",
    "quartz",
    "reed",
    "sage",
    "thistle",
    "umber",
    "violet",
    "willow",
    "yarrow",
    "zephyr",
    "aspen",
    "basil",
    "clover",
    "delta",
    "elm",
    "fern",
    "ginger",
    "hazel",
    "indigo",
    "jasper",
    "linden",
]


class Proposal(msgspec.Struct, kw_only=True):
    """One proposal as it stands: `status` is open, withdrawn, merged (into `merged_into`) or vetoed."""

    id: str
    title: str
    body: str
    authors: list[str]
    status: str = "open"
    merged_into: str = ""
    edited: bool = False


def code_names(
    pitches: Mapping[str, Pitch], roll: Sequence[str], seed: int
) -> dict[str, str]:
    """Code name → agent. Drawn from the seed and the texts, not from who wrote them or when; a word that stands in a title
    is passed over. Who made no pitch is a guest.
    """
    texts = " ".join(sorted(p.title.lower() for p in pitches.values()))
    words = [
        w
        for w in sorted(WORDS, key=lambda w: draw(str(seed), texts, w))
        if w not in texts
    ]
    order = sorted(
        pitches,
        key=lambda agent: draw(
            str(seed), pitches[agent].title, pitches[agent].body, agent
        ),
    )
    named = {
        words[i] if i < len(words) else f"p-{i + 1}": agent
        for i, agent in enumerate(order)
    }
    guests = [agent for agent in roll if agent not in pitches]
    return dict(sorted(named.items())) | {
        f"guest-{i + 1}": agent for i, agent in enumerate(guests)
    }


def standing(
    names: Mapping[str, str],
    pitches: Mapping[str, Pitch],
    rounds: Iterable[Mapping[str, Argument]],
) -> dict[str, Proposal]:
    """Every proposal by code name after the counted rounds, each a map agent → argument.

    A revision replaces the text. A merge holds only if both authors name each other in the same round, each with the whole
    merged text; the one that comes first by code name goes on for both, in its words. Who merges alone, or says nothing, stands as before.
    """
    code = {agent: name for name, agent in names.items()}
    stand = {
        name: Proposal(
            id=name, title=pitches[a].title, body=pitches[a].body, authors=[a]
        )
        for name, a in names.items()
        if a in pitches
    }
    for arguments in rounds:
        wants = {
            code[a]: m.merge_with
            for a, m in arguments.items()
            if m.decision == "merge" and code[a] in stand
        }
        for agent, said in arguments.items():
            mine = stand.get(code[agent])
            if mine is None or mine.status != "open" or not said.decision:
                continue
            if said.decision in {"revise", "merge"}:
                mine.title, mine.body = said.title or mine.title, said.body or mine.body
            if said.decision == "withdraw":
                mine.status = "withdrawn"
        for one, other in sorted(wants.items()):
            if (
                one < other
                and wants.get(other) == one
                and stand[one].status == stand[other].status == "open"
            ):
                stand[other].status, stand[other].merged_into = "merged", one
                stand[one].authors = stand[one].authors + stand[other].authors
    return stand


def open_objections(
    names: Mapping[str, str],
    objections: Mapping[str, Argument],
    answers: Mapping[str, Argument],
) -> list[dict[str, Any]]:
    """Every objection of round 2 with what its author answered: {to, by, objection, risk, verdict, answer}; open = no accept."""
    code = {agent: name for name, agent in names.items()}
    found = []
    for agent in sorted(objections, key=lambda a: code.get(a, a)):
        for one in objections[agent].objections:
            owner = names.get(one.to, "")
            said = answers.get(owner)
            reply = (
                next((r for r in said.answers if r.by == code[agent]), None)
                if said
                else None
            )
            found.append(
                {
                    "to": one.to,
                    "by": code[agent],
                    "objection": one.objection,
                    "risk": one.risk,
                    "verdict": reply.verdict if reply else "unanswered",
                    "answer": reply.text if reply else "",
                }
            )
    return found


def strongest_open(
    found: Sequence[Mapping[str, Any]], proposal: str
) -> dict[str, Any] | None:
    """The objection to `proposal` that weighs most and was not accepted: by risk, then by length of the answer it lacks."""
    mine = [o for o in found if o["to"] == proposal and o["verdict"] != "accept"]
    return (
        dict(
            max(
                mine,
                key=lambda o: (o["risk"], o["verdict"] == "unanswered", o["objection"]),
            )
        )
        if mine
        else None
    )


def proposal_inputs(
    stand: Mapping[str, Proposal], sources: Mapping[str, tuple[str, str]]
) -> list[Input]:
    """The proposals as inputs, in code-name order; `sources` gives (path, sha256) per code name."""
    made = []
    for name in sorted(stand):
        path, sha = sources[name]
        data: dict[str, Any] = {"title": stand[name].title, "body": stand[name].body}
        made.append(Input(path=path, sha256=sha, kind="proposal", by=name, data=data))
    return made


def standing_inputs(
    before: Mapping[str, Proposal], now: Mapping[str, Proposal]
) -> list[Input]:
    """How the proposals that a round changed stand now; `changed` are the sections to show where the others stay to the letter."""
    made = []
    for name in sorted(now):
        one, was = now[name], before[name]
        if (one.title, one.body, one.status) != (was.title, was.body, was.status):
            data = {
                "title": one.title,
                "body": one.body,
                "status": one.status,
                "merged_into": one.merged_into,
            }
            if one.status == "open" and (part := changed_sections(was.body, one.body)):
                data["changed"] = part
            made.append(Input(path="", sha256="", kind="standing", by=name, data=data))
    return made


def changed_sections(before: str, now: str) -> str:
    """The sections (`## …`) of `now` that differ from `before`; "" unless both have the same headings and some section stayed."""
    (head, *was), (top, *new) = (
        re.split(r"^(?=## )", text.strip() + "\n", flags=re.MULTILINE)
        for text in (before, now)
    )
    if [head.strip(), *(one.partition("\n")[0] for one in was)] != [
        top.strip(),
        *(one.partition("\n")[0] for one in new),
    ]:
        return ""
    found = [
        after
        for one, after in zip(was, new, strict=True)
        if one.strip() != after.strip()
    ]
    return "".join(found).strip() if 0 < len(found) < len(new) else ""


def timeline(
    names: Mapping[str, str],
    said: Sequence[tuple[str, str, Mapping[str, object]]],
    sources: Mapping[tuple[str, str], tuple[str, str]],
    chats: Mapping[str, list[Input]],
) -> list[Input]:
    """What an ask shows, in the order in which it came to be shown: an ask begins with all that the one before it showed.

    `said` is (gate, kind of ask, agent → message) per closed gate; `sources` gives (path, sha256) per (gate, agent); `chats`
    what was new in the chat when the ask after that gate was opened. Vendors' prompt caches live on this order.
    """
    code = {agent: name for name, agent in names.items()}
    rounds: list[dict[str, Argument]] = []
    pitches: dict[str, Pitch] = {}
    made: list[Input] = []
    for gate, kind, messages in said:
        arguments = {a: m for a, m in messages.items() if isinstance(m, Argument)}
        if kind == "pitch":
            pitches |= {a: m for a, m in messages.items() if isinstance(m, Pitch)}
            found = {code[a]: sources[gate, a] for a in pitches if (gate, a) in sources}
            made += proposal_inputs(standing(names, pitches, []), found)
        elif kind in {"objections", "answers"}:
            heard = [
                a for a in arguments if kind == "answers" or arguments[a].objections
            ]
            made += [
                _argument(code[a], arguments[a], sources[gate, a])
                for a in sorted(heard, key=lambda a: code[a])
            ]
        if kind == "answers":
            before = standing(names, pitches, rounds)
            rounds.append(arguments)
            made += standing_inputs(before, standing(names, pitches, rounds))
        made += chats.get(gate, [])
    return made


def _argument(by: str, said: Argument, source: tuple[str, str]) -> Input:
    data = msgspec.to_builtins(said)
    shown = {
        k: data[k]
        for k in ("objections", "answers", "decision", "merge_with")
        if k in data
    }
    return Input(path=source[0], sha256=source[1], kind="argument", by=by, data=shown)

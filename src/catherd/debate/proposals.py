"""What a debate knows at each step. Pure.

That is the code names, how each proposal stands, and what the next ask shows. Proposals
and critics appear under code names until the vote. Hiding who wrote what evens out the
weight given to oneself and to others (Choi, 2510.07517). This is fairness, not secrecy:
receipts hold the names, and a person may look.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from catherd.core.lots import draw
from catherd.core.messages import Answered, Argument, Ballot, Input, Pitch

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


Source = tuple[str, str]  # (path, sha256) of a file that an input was read from


class ClosedAsk(NamedTuple):
    """What the closed gate of one ask counted; `messages` are by agent."""

    gate: str
    kind: str
    messages: Mapping[str, object]

    def arguments(self) -> dict[str, Argument]:
        """The arguments among the messages, by agent."""
        return {a: m for a, m in self.messages.items() if isinstance(m, Argument)}

    def pitches(self) -> dict[str, Pitch]:
        """The pitches among the messages, by agent."""
        return {a: m for a, m in self.messages.items() if isinstance(m, Pitch)}

    def ballots(self) -> dict[str, Ballot]:
        """The ballots among the messages, by agent."""
        return {a: m for a, m in self.messages.items() if isinstance(m, Ballot)}


class Proposal(msgspec.Struct, kw_only=True):
    """One proposal as it stands.

    `status` is open, withdrawn, merged (into `merged_into`) or vetoed.
    """

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
    """Code name → agent.

    The names are drawn from the seed and the texts, not from who wrote them or when. A
    word that stands in a title is passed over. An agent that made no pitch is a guest.
    """
    titles = [pitch.title.lower() for pitch in pitches.values()]
    words = _free_words(" ".join(sorted(titles)), seed)

    def lot(agent: str) -> str:
        pitch = pitches[agent]
        return draw(str(seed), pitch.title, pitch.body, agent)

    named = {}
    for n, agent in enumerate(sorted(pitches, key=lot)):
        word = words[n] if n < len(words) else f"p-{n + 1}"
        named[word] = agent

    names = dict(sorted(named.items()))
    guests = [agent for agent in roll if agent not in pitches]
    for n, agent in enumerate(guests, 1):
        names[f"guest-{n}"] = agent

    return names


def _free_words(titles: str, seed: int) -> list[str]:
    """The words that stand in no title, in the order in which they are drawn."""
    drawn = sorted(WORDS, key=lambda word: draw(str(seed), titles, word))
    return [word for word in drawn if word not in titles]


def code_of(names: Mapping[str, str]) -> dict[str, str]:
    """Agent → code name, out of code name → agent."""
    return {agent: name for name, agent in names.items()}


def standing(
    names: Mapping[str, str],
    pitches: Mapping[str, Pitch],
    rounds: Iterable[Mapping[str, Argument]],
) -> dict[str, Proposal]:
    """Every proposal by code name after the counted rounds.

    Each round is a map agent → argument. A revision replaces the text. A merge holds
    only if both authors name each other in the same round, each with the whole merged
    text. The one that comes first by code name goes on for both, in its words. An agent
    that merges alone, or says nothing, stands as before.
    """
    stand: dict[str, Proposal] = {}
    for name, agent in names.items():
        if agent in pitches:
            stand[name] = _pitched(name, agent, pitches[agent])

    code = code_of(names)
    for arguments in rounds:
        decisions = {}
        for agent, said in arguments.items():
            if code[agent] in stand:
                decisions[code[agent]] = said

        for name, said in decisions.items():
            if stand[name].status == "open":
                _decide(stand[name], said)
        _merge(stand, decisions)

    return stand


def _pitched(name: str, agent: str, pitch: Pitch) -> Proposal:
    """A proposal as it was pitched."""
    return Proposal(id=name, title=pitch.title, body=pitch.body, authors=[agent])


def _decide(mine: Proposal, said: Argument) -> None:
    """Apply what an author decided about its own open proposal."""
    if said.decision in {"revise", "merge"}:
        mine.title = said.title or mine.title
        mine.body = said.body or mine.body
    elif said.decision == "withdraw":
        mine.status = "withdrawn"


def _merge(stand: dict[str, Proposal], decisions: Mapping[str, Argument]) -> None:
    """Apply the merges of a round: those that both authors want."""
    wants = {n: m.merge_with for n, m in decisions.items() if m.decision == "merge"}
    for one, other in sorted(wants.items()):
        mutual = one < other and wants.get(other) == one
        if mutual and stand[one].status == stand[other].status == "open":
            stand[other].status = "merged"
            stand[other].merged_into = one
            stand[one].authors = stand[one].authors + stand[other].authors


def open_objections(
    names: Mapping[str, str],
    objections: Mapping[str, Argument],
    answers: Mapping[str, Argument],
) -> list[dict[str, Any]]:
    """Every objection of round 2 with what its author answered.

    Each is {to, by, objection, risk, verdict, answer}; it is open unless the verdict is
    "accept".
    """
    code = code_of(names)
    found = []
    for agent in sorted(objections, key=lambda a: code.get(a, a)):
        by = code.get(agent, agent)
        for one in objections[agent].objections:
            reply = _reply(answers.get(names.get(one.to, "")), by)
            found.append(
                {
                    "to": one.to,
                    "by": by,
                    "objection": one.objection,
                    "risk": one.risk,
                    "verdict": reply.verdict if reply else "unanswered",
                    "answer": reply.text if reply else "",
                }
            )
    return found


def _reply(said: Argument | None, by: str) -> Answered | None:
    """The first answer in `said` to the objection of `by`."""
    replies = said.answers if said else []
    return next((reply for reply in replies if reply.by == by), None)


def proposal_inputs(
    stand: Mapping[str, Proposal], sources: Mapping[str, Source]
) -> list[Input]:
    """The proposals as inputs, in code-name order; `sources` are by code name."""
    made = []
    for name in sorted(stand):
        path, sha = sources[name]
        data: dict[str, Any] = {"title": stand[name].title, "body": stand[name].body}
        made.append(Input(path=path, sha256=sha, kind="proposal", by=name, data=data))
    return made


def standing_inputs(
    before: Mapping[str, Proposal], now: Mapping[str, Proposal]
) -> list[Input]:
    """How the proposals that a round changed stand now.

    `changed` are the sections to show where the others stay to the letter.
    """
    made = []
    for name in sorted(now):
        one, was = now[name], before[name]
        if (one.title, one.body, one.status) == (was.title, was.body, was.status):
            continue
        data = {
            "title": one.title,
            "body": one.body,
            "status": one.status,
            "merged_into": one.merged_into,
        }
        part = changed_sections(was.body, one.body)
        if one.status == "open" and part:
            data["changed"] = part
        made.append(Input(path="", sha256="", kind="standing", by=name, data=data))

    return made


def changed_sections(before: str, now: str) -> str:
    """The sections (`## …`) of `now` that differ from `before`.

    Empty unless both have the same headings, and some section stayed.
    """
    (was_head, *was), (new_head, *new) = _sections(before), _sections(now)
    if was_head.strip() != new_head.strip() or _headings(was) != _headings(new):
        return ""
    pairs = zip(was, new, strict=True)
    found = [after for one, after in pairs if one.strip() != after.strip()]
    return "".join(found).strip() if 0 < len(found) < len(new) else ""


def _sections(text: str) -> list[str]:
    """What stands before the first `## …`, then each section with its heading."""
    return re.split(r"^(?=## )", text.strip() + "\n", flags=re.MULTILINE)


def _headings(sections: Iterable[str]) -> list[str]:
    return [section.partition("\n")[0] for section in sections]


def timeline(
    names: Mapping[str, str],
    said: Sequence[ClosedAsk],
    sources: Mapping[tuple[str, str], Source],
    chats: Mapping[str, list[Input]],
) -> list[Input]:
    """What an ask shows, in the order in which it came to be shown.

    An ask begins with all that the one before it showed: vendors' prompt caches live on
    this order. `said` is what each closed gate counted. `sources` are per (gate,
    agent). `chats` is what was new in the chat when the ask after that gate was opened.
    """
    code = code_of(names)
    rounds: list[dict[str, Argument]] = []
    pitches: dict[str, Pitch] = {}
    made: list[Input] = []

    for closed in said:
        if closed.kind == "pitch":
            pitches |= closed.pitches()
            made += _pitch_inputs(closed, names, sources)
        elif closed.kind in {"objections", "answers"}:
            made += _argument_inputs(closed, code, sources)

        if closed.kind == "answers":
            before = standing(names, pitches, rounds)
            rounds.append(closed.arguments())
            now = standing(names, pitches, rounds)
            made += standing_inputs(before, now)

        made += chats.get(closed.gate, [])

    return made


def _pitch_inputs(
    closed: ClosedAsk,
    names: Mapping[str, str],
    sources: Mapping[tuple[str, str], Source],
) -> list[Input]:
    """The proposals as they were pitched."""
    pitches = closed.pitches()
    found = {}
    for name, agent in names.items():
        if agent in pitches and (closed.gate, agent) in sources:
            found[name] = sources[closed.gate, agent]
    return proposal_inputs(standing(names, pitches, []), found)


def _argument_inputs(
    closed: ClosedAsk,
    code: Mapping[str, str],
    sources: Mapping[tuple[str, str], Source],
) -> list[Input]:
    """The arguments of a round by code name, without those that object to nothing."""
    heard = closed.arguments()
    if closed.kind == "objections":
        heard = {a: said for a, said in heard.items() if said.objections}
    return [
        _argument(code[agent], heard[agent], sources[closed.gate, agent])
        for agent in sorted(heard, key=lambda a: code[a])
    ]


def _argument(by: str, said: Argument, source: Source) -> Input:
    data = msgspec.to_builtins(said)
    keys = ("objections", "answers", "decision", "merge_with")
    shown = {key: data[key] for key in keys if key in data}
    return Input(path=source[0], sha256=source[1], kind="argument", by=by, data=shown)

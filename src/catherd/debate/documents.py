"""What the debate delivers, as files.

They are statements by author, the vote, the decision, the chat and the events.
This reads receipts and the chat and gives path → bytes; it writes nothing. The same bus
gives the same bytes, so landing them again changes nothing.
"""

import json
import os

import msgspec

from catherd.bus import yaml_write
from catherd.bus.config import Agent, Phase
from catherd.bus.store import Bus
from catherd.core.escape import escape_inline, quote
from catherd.core.messages import Answered, Argument, Game, Objection, Pitch
from catherd.core.turns import YOU, who
from catherd.debate import election, proposals, report
from catherd.debate import vote as votes
from catherd.debate.asks import Record
from catherd.debate.asks import record as read_record
from catherd.debate.vote import Vote

# Events that are not told in the documents. Most of them tell of the life of processes.
# Git itself says what "landed"; were that told here, landing again after a kill would
# change what was landed.
UNTOLD = {
    "came",
    "left",
    "died",
    "crank-taken-up",
    "snapshot-failed",
    "unanswered",
    "problem",
    "gate-opened",
    "landed",
}


class Made(msgspec.Struct, frozen=True):
    """The files by path from the root, and the title of what was decided."""

    files: dict[str, bytes]
    title: str


def debate(bus: Bus, phase: Phase, game: Game, agents: dict[str, Agent]) -> Made:
    """Everything that `make debate` lands.

    It lands after the vote: an agent must not learn the authors from git.
    """
    known = read_record(bus, phase)
    vote = election.assemble(bus, phase, game, agents, known)
    vote = _with_your_choice(bus, vote)
    result, ifs = votes.counted(vote)
    decision = report.decision_yaml(vote, result)

    texts = _statements(known, agents)
    texts["vote-results.md"] = report.results_md(vote, result, ifs)
    texts["decision.yaml"] = yaml_write.dumps(decision)

    files = {}
    for path, text in texts.items():
        files[f"docs/debate/{path}"] = text.encode()

    files |= talk(bus, agents)
    return Made(files, str(decision["title"]))


def _with_your_choice(bus: Bus, vote: Vote) -> Vote:
    """The vote with what you chose, where the decision was yours."""
    decided = bus.receipt("decision")
    if decided is None or not decided.data.get("choice"):
        return vote
    return msgspec.structs.replace(
        vote,
        choice=decided.data["choice"],
        reason=decided.data.get("reason", ""),
    )


def talk(bus: Bus, agents: dict[str, Agent]) -> dict[str, bytes]:
    """`docs/game/chat.md` and `docs/game/events/<date>.jsonl` as of now."""
    files = {"docs/game/chat.md": _chat(bus, agents).encode()}
    for date, lines in _events(bus).items():
        files[f"docs/game/events/{date}.jsonl"] = "".join(lines).encode()
    return files


def _statements(known: Record, agents: dict[str, Agent]) -> dict[str, str]:
    """Path below docs/debate/ → what an agent said, for each round but the ballots."""
    made = {}
    for closed in known.said:
        if closed.kind == "ballot":
            continue

        for name, message in closed.messages.items():
            head = _spoke(known, closed.gate, name, _shown(name, agents))
            body = _said(closed.kind, message)
            file = f"{closed.gate}/agent-{name}.md"
            made[file] = f"{head}\n\n{body}\n"

    return made


def _spoke(known: Record, gate: str, name: str, shown: str) -> str:
    """The speaker, the round, and the code name."""
    code = proposals.code_of(known.names).get(name, name)
    answer = f"{gate}/{name}.yaml"
    edited = ""
    if any(path.endswith(answer) for path in known.edited):
        edited = " Edited by you."

    title = f"# {escape_inline(shown)}, {gate.replace('-', ' ')}"
    return f"{title}\n\nSpoke as **{code}**.{edited}"


def _shown(name: str, agents: dict[str, Agent]) -> str:
    """An agent's name for people; its id where its file is gone."""
    return agents[name].name if name in agents else name


def _said(kind: str, message: object) -> str:
    if isinstance(message, Pitch):
        return _pitch(message)
    assert isinstance(message, Argument)  # noqa: S101 - ballots went elsewhere
    return _argument(kind, message)


def _pitch(message: Pitch) -> str:
    return f"## {escape_inline(message.title)}\n\n{message.body}"


def _argument(kind: str, message: Argument) -> str:
    parts = []
    if kind == "final" and message.speaks_for:
        parts.append(f"Speaks for **{escape_inline(message.speaks_for)}**.")
    if message.decision:
        parts.append(_decision(message))

    parts += [_objection(one) for one in message.objections]
    parts += [_answer(one) for one in message.answers]

    if message.title and message.decision in {"revise", "merge"}:
        parts.append(f"## {escape_inline(message.title)}, revised")
    parts.append(message.body)
    return "\n\n".join(part for part in parts if part)


def _decision(message: Argument) -> str:
    told = f"Decision: {escape_inline(message.decision)}"
    if message.merge_with:
        told += f" with {escape_inline(message.merge_with)}"
    return f"{told}."


def _answer(one: Answered) -> str:
    return f"## {one.verdict.capitalize()}s {escape_inline(one.by)}\n\n{one.text}"


def _objection(one: Objection) -> str:
    lines = [
        f"- best point: {escape_inline(one.best)}",
        f"- objection: {escape_inline(one.objection)}",
    ]
    if one.question:
        lines.append(f"- question: {escape_inline(one.question)}")
    if one.risk:
        lines.append(f"- risk {one.risk} of 5: {escape_inline(one.why)}")
    return f"## To {escape_inline(one.to)}\n\n" + "\n".join(lines)


def _chat(bus: Bus, agents: dict[str, Agent]) -> str:
    lines = ["# The group chat", ""]
    said = bus.chat(last=100_000)
    for stem, message in said.items():
        head = f"**{escape_inline(_speaker(stem, agents))}**"
        if message.reply_to in said:
            head += f", to {_speaker(message.reply_to, agents)}"
        if message.kind == "constraint":
            head += ", binding"
        at = message.at[11:19] or stem[9:15]

        lines.append(f"{head} · {at}")
        lines.append("")
        lines.append(quote(message.text))
        lines.append("")

    return "\n".join(lines)


def _speaker(stem: str, agents: dict[str, Agent]) -> str:
    """The author of a message of the chat, as people read it."""
    name = who(stem)
    return "you" if name in YOU else _shown(name, agents)


def _events(bus: Bus) -> dict[str, list[str]]:
    """The events by date, each id once, without prompts and keys.

    Events that tell of the life of processes stay on the bus.
    """
    seen: set[str] = set()
    made: dict[str, list[str]] = {}
    for name in bus.names("events"):
        date = os.path.basename(name).removesuffix(".jsonl")
        with open(
            bus.here(f"events/{name}"), encoding="utf-8", errors="replace"
        ) as file:
            for line in file:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # the last line of a killed process
                if event.get("id") in seen or event.get("kind") in UNTOLD:
                    continue
                seen.add(event["id"])
                told = msgspec.json.encode(event).decode()
                made.setdefault(date, []).append(f"{told}\n")

    return made

"""What the debate delivers, as files: statements by author, the vote, the decision, the chat, the events.

Pure in effect: it reads receipts and the chat and gives path → bytes; landing them is somebody else's. The same bus gives
the same bytes, so landing again changes nothing.
"""

import json
import os

import msgspec

from catherd.bus import yaml_write
from catherd.bus.config import Agent, Phase
from catherd.bus.store import Bus
from catherd.core.escape import escape_inline, quote
from catherd.core.messages import Argument, Game, Pitch
from catherd.core.turns import YOU, who
from catherd.debate import election, report
from catherd.debate import vote as votes
from catherd.debate.asks import Record
from catherd.debate.asks import record as read_record

LIFE = {
    "came",
    "left",
    "died",
    "crank-taken-up",
    "snapshot-failed",
    "unanswered",
    "problem",
    "gate-opened",
}
LIFE |= {
    "landed"
}  # git says that itself; were it here, landing again after a kill would change what was landed


class Made(msgspec.Struct, frozen=True):
    """The files by path from the root, and the title of what was decided."""

    files: dict[str, bytes]
    title: str


def debate(bus: Bus, phase: Phase, game: Game, agents: dict[str, Agent]) -> Made:
    """Everything that `make debate` lands, after the vote: an agent must not learn the authors from git."""
    known = read_record(bus, phase)
    vote = election.assemble(bus, phase, game, agents, known)
    decided = bus.receipt("decision")
    if decided is not None and decided.data.get("choice"):
        vote = msgspec.structs.replace(
            vote, choice=decided.data["choice"], reason=decided.data.get("reason", "")
        )
    result, ifs = votes.counted(vote)
    files = {
        f"docs/debate/{path}": text.encode()
        for path, text in _statements(known, agents).items()
    }
    files["docs/debate/vote-results.md"] = report.results_md(vote, result, ifs).encode()
    decision = report.decision_yaml(vote, result)
    files["docs/debate/decision.yaml"] = yaml_write.dumps(decision).encode()
    files |= talk(bus, agents)
    return Made(files, str(decision["title"]))


def talk(bus: Bus, agents: dict[str, Agent]) -> dict[str, bytes]:
    """`docs/game/chat.md` and `docs/game/events/<date>.jsonl` as of now."""
    files = {"docs/game/chat.md": _chat(bus, agents).encode()}
    for date, lines in _events(bus).items():
        files[f"docs/game/events/{date}.jsonl"] = "".join(lines).encode()
    return files


def _statements(known: Record, agents: dict[str, Agent]) -> dict[str, str]:
    code = {agent: name for name, agent in known.names.items()}
    made = {}
    rounds = [(gate, kind, said) for gate, kind, said in known.said if kind != "ballot"]
    for gate, kind, said in rounds:
        for name, message in said.items():
            shown = agents[name].name if name in agents else name
            head = f"# {escape_inline(shown)}, {gate.replace('-', ' ')}\n\nSpoke as **{code.get(name, name)}**."
            edited = (
                " Edited by you."
                if any(p.endswith(f"{gate}/{name}.yaml") for p in known.edited)
                else ""
            )
            body = (
                _pitch(message)
                if isinstance(message, Pitch)
                else _argument(kind, message)
            )
            made[f"{gate}/agent-{name}.md"] = f"{head}{edited}\n\n{body}\n"
    return made


def _pitch(message: Pitch) -> str:
    return f"## {escape_inline(message.title)}\n\n{message.body}"


def _argument(kind: str, message: object) -> str:
    assert isinstance(message, Argument)  # noqa: S101 - ballots and pitches went elsewhere
    parts = []
    if kind == "final":
        parts.append(
            f"Speaks for **{escape_inline(message.speaks_for)}**."
            if message.speaks_for
            else ""
        )
    if message.decision:
        parts.append(
            f"Decision: {escape_inline(message.decision)}{f' with {escape_inline(message.merge_with)}' if message.merge_with else ''}."
        )
    for one in message.objections:
        lines = [
            f"- best point: {escape_inline(one.best)}",
            f"- objection: {escape_inline(one.objection)}",
        ]
        lines += [f"- question: {escape_inline(one.question)}"] if one.question else []
        lines += (
            [f"- risk {one.risk} of 5: {escape_inline(one.why)}"] if one.risk else []
        )
        parts.append(f"## To {escape_inline(one.to)}\n\n" + "\n".join(lines))
    parts += [
        f"## {one.verdict.capitalize()}s {escape_inline(one.by)}\n\n{one.text}"
        for one in message.answers
    ]
    if message.title and message.decision in {"revise", "merge"}:
        parts.append(f"## {escape_inline(message.title)}, revised")
    parts.append(message.body)
    return "\n\n".join(part for part in parts if part)


def _chat(bus: Bus, agents: dict[str, Agent]) -> str:
    lines = ["# The group chat", ""]
    said = bus.chat(last=100_000)
    for stem, message in said.items():
        name = who(stem)
        shown = "you" if name in YOU else agents[name].name if name in agents else name
        to = ""
        if message.reply_to in said:
            other = who(message.reply_to)
            to = f", to {'you' if other in YOU else agents[other].name if other in agents else other}"
        kind = ", binding" if message.kind == "constraint" else ""
        lines += [
            f"**{escape_inline(shown)}**{to}{kind} · {message.at[11:19] or stem[9:15]}",
            "",
            quote(message.text),
            "",
        ]
    return "\n".join(lines)


def _events(bus: Bus) -> dict[str, list[str]]:
    """The events by date, each id once, no prompts and no keys; what tells of the life of processes stays on the bus."""
    seen: set[str] = set()
    made: dict[str, list[str]] = {}
    for name in bus.names("events"):
        with open(
            bus.here(f"events/{name}"), encoding="utf-8", errors="replace"
        ) as file:
            for line in file:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # the last line of a killed process
                if event.get("id") in seen or event.get("kind") in LIFE:
                    continue
                seen.add(event["id"])
                date = os.path.basename(name).removesuffix(".jsonl")
                made.setdefault(date, []).append(
                    msgspec.json.encode(event).decode() + "\n"
                )
    return made

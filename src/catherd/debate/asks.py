"""Opening an ask: everything that its prompts will show is gathered once, listed by path and sha256, and held in the ask.

What is gathered is what receipts counted, so a text that somebody edits after its gate closed is not taken up; it is
reported. The chat shown is the chat at the moment of asking, and stays that for every agent and every restart.
"""

import itertools

import msgspec

from catherd.bus import yaml_read
from catherd.bus.config import Gate, Phase
from catherd.bus.store import OPEN, Bus, now, slug
from catherd.core.closing import KINDS, Message
from catherd.core.errors import CatherdError, NeedsYou
from catherd.core.messages import Argument, Ask, Game, Input, Pitch, Spoken, Veto
from catherd.core.turns import YOU
from catherd.debate import proposals

CHAT_SHOWN = 40


class Record(msgspec.Struct, kw_only=True):
    """What the closed gates of the debate counted: per kind of ask, in order, (gate, agent → message)."""

    names: dict[str, str]
    said: list[tuple[str, str, dict[str, Message]]]
    paths: dict[tuple[str, str], tuple[str, str]]  # (gate, agent) → (path, sha256)
    edited: list[str]

    def last(self, kind: str) -> dict[str, Argument]:
        """The arguments of the latest closed ask of that kind."""
        found = [messages for _, of, messages in self.said if of == kind]
        return (
            {a: m for a, m in found[-1].items() if isinstance(m, Argument)}
            if found
            else {}
        )

    def pitches(self) -> dict[str, Pitch]:
        """The pitches by agent."""
        return {
            a: m
            for _, kind, said in self.said
            if kind == "pitch"
            for a, m in said.items()
            if isinstance(m, Pitch)
        }

    def standing(self) -> dict[str, proposals.Proposal]:
        """How every proposal stands after all counted rounds."""
        rounds = [
            {a: m for a, m in said.items() if isinstance(m, Argument)}
            for _, kind, said in self.said
            if kind == "answers"
        ]
        return proposals.standing(self.names, self.pitches(), rounds)


def record(bus: Bus, phase: Phase) -> Record:
    """What the closed gates of `phase` counted, from their receipts alone. A file that changed since is reported."""
    made = Record(names={}, said=[], paths={}, edited=[])
    for gate in phase.gates.values():
        receipt = bus.receipt(gate.name) if gate.does == "ask" else None
        if receipt is None:
            continue
        made.names = made.names or dict(receipt.data.get("names", {}))
        said: dict[str, Message] = {}
        for spoken in receipt.counted:
            agent = spoken.path.rpartition("/")[2].removesuffix(".yaml")
            said[agent] = yaml_read.typed(
                yaml_read.loads(spoken.text, f"bus/{spoken.path}"),
                KINDS.get(gate.kind, Argument),
            )
            made.paths[gate.name, agent] = (spoken.path, spoken.sha256)
            if spoken.edited:
                made.edited.append(spoken.path)
            _still(bus, gate.name, spoken)
        made.said.append((gate.name, gate.kind, said))
    return made


def _still(bus: Bus, gate: str, spoken: Spoken) -> None:
    try:
        now_is = bus.sha(spoken.path)
    except OSError:
        now_is = "gone"
    if now_is != spoken.sha256:
        bus.trouble(
            f"after-close-{slug(spoken.path)}",
            f"bus/{spoken.path}",
            "is gone since its gate closed"
            if now_is == "gone"
            else "was edited after its gate closed; the edit is not counted",
            f"the text that counts stands in bus/gates/{gate}.yaml; rm 'bus/problems/after-close-{slug(spoken.path)}.yaml'",
            now_is,
        )


def open_ask(
    bus: Bus,
    phase: Phase,
    gate: Gate,
    game: Game,
    roll: list[str],
    shown: list[Input] | None = None,
) -> Ask:
    """The ask of `gate`, opened now if it is not yet; `shown` are its inputs where they are not what the debate said.

    Raises NeedsYou when there is nothing to vote on.
    """
    path = f"{gate.step}/{OPEN}"
    found = bus.get(path, Ask)
    if found is not None:
        return found
    known = record(bus, phase)
    inputs = shown if shown is not None else _inputs(bus, phase, gate.kind, known)
    if gate.kind == "ballot" and not inputs:
        raise NeedsYou(
            "no proposal is left to vote on",
            where="bus/debate/",
            fix="rm bus/debate/veto/*.yaml, or make new and begin again",
        )
    ask = Ask(
        gate=gate.name,
        step=gate.step,
        kind=gate.kind,
        template=gate.template,
        roll=roll,
        brief=game.brief,
        constraints=[
            m.text for m in bus.chat(fresh=True).values() if m.kind == "constraint"
        ],
        inputs=inputs,
        names=known.names,
        opened=now(),
    )
    bus.post(path, ask)
    for missed in late(bus, phase):
        bus.event("late", missed)
    return bus.must(path, Ask)


def late(bus: Bus, phase: Phase) -> list[str]:
    """The answers to closed asks of `phase` that came after their gate: kept, and never counted."""
    found = []
    for gate in phase.gates.values():
        receipt = bus.receipt(gate.name) if gate.does == "ask" else None
        if receipt is not None:
            heard = {one.path for one in receipt.counted} | {
                f"{gate.step}/{entry.partition(': ')[0]}.yaml"
                for entry in receipt.spoiled
            }
            paths = [
                f"{gate.step}/{name}"
                for name in bus.names(gate.step)
                if name.removesuffix(".yaml") in receipt.roll
            ]
            found += [path for path in paths if path not in heard]
    return found


def ahead(bus: Bus, phase: Phase, game: Game, goal: str, *, asking: bool) -> None:
    """Open the ask of the first gate of `phase` that is not closed, if `goal` lies there or beyond.

    So the answers are under way while make starts that gate's process. What must not be hurried is left to the gate itself:
    a held or paused game, bids and swaps (their inputs are on main) and, where somebody is `asking` you for a vote, the ballots.
    """
    left = [gate for gate in phase.gates.values() if not bus.closed(gate.name)]
    names = list(phase.gates)
    if (
        not goal
        or not left
        or (goal in names and names.index(goal) < names.index(left[0].name))
    ):
        return
    gate = left[0]
    held = bus.paused() or bus.there("STEP") or (gate.kind == "ballot" and asking)
    if gate.does == "ask" and gate.kind not in {"bid", "swap"} and not held:
        open_ask(bus, phase, gate, game, list(game.roll))


def _inputs(bus: Bus, phase: Phase, kind: str, known: Record) -> list[Input]:
    if kind == "pitch":
        return []
    if kind == "ballot":
        return _ballot_inputs(bus, known)
    return proposals.timeline(
        known.names, known.said, known.paths, _chats(bus, phase, known)
    )


def _chats(bus: Bus, phase: Phase, known: Record) -> dict[str, list[Input]]:
    """Closed gate → the messages that the ask after it was the first to show. They keep their place in later asks, where the
    vendors' caches know them; a message that you edited or removed since is shown so, or not at all.
    """
    there = {f"chat/{stem}.yaml": stem for stem in bus.chat(fresh=True)}
    found: dict[str, list[Input]] = {}
    seen: set[str] = set()
    for closed, after in itertools.pairwise([*(gate for gate, _, _ in known.said), ""]):
        asked = (
            bus.get(f"{phase.gates[after].step}/{OPEN}", Ask)
            if after in phase.gates
            else None
        )
        paths = (
            [one.path for one in asked.inputs if one.kind == "chat"]
            if asked
            else list(there)
        )
        fresh = [path for path in paths if path in there and path not in seen]
        seen |= set(fresh)
        found[closed] = chat_inputs(
            bus, [there[path] for path in fresh[-CHAT_SHOWN:]], closed
        )
    return found


def _ballot_inputs(bus: Bus, known: Record) -> list[Input]:
    first = next((gate for gate, of, _ in known.said if of == "pitch"), "")
    stand = known.standing()
    sources = {
        name: known.paths[first, agent]
        for name, agent in known.names.items()
        if (first, agent) in known.paths
    }
    vetoed = {
        name.removesuffix(".yaml")
        for name in bus.names("debate/veto")
        if veto(bus, name.removesuffix(".yaml"))
    }
    candidates = {
        n: p for n, p in stand.items() if p.status == "open" and n not in vetoed
    }
    made = proposals.proposal_inputs(candidates, sources)
    code = {agent: name for name, agent in known.names.items()}
    for shown in (
        made
    ):  # who may not vote on it, by code name: each author's own ballot leaves it out
        shown.data["authors"] = [
            code[author] for author in candidates[shown.by].authors
        ]
    finals = known.last("final")
    gate = next((g for g, of, _ in reversed(known.said) if of == "final"), "")
    for agent in sorted(finals, key=lambda a: code[a]):
        path, sha = known.paths[gate, agent]
        data = {
            "speaks_for": finals[agent].speaks_for or code[agent],
            "body": finals[agent].body,
        }
        made.append(
            Input(path=path, sha256=sha, kind="statement", by=code[agent], data=data)
        )
    for one in proposals.open_objections(
        known.names, known.last("objections"), known.last("answers")
    ):
        if one["to"] in candidates and one["verdict"] != "accept":
            made.append(
                Input(path="", sha256="", kind="objection", by=one["by"], data=one)
            )
    return made


def veto(bus: Bus, proposal: str) -> str:
    """Your reason for taking `proposal` off the ballot; "" when you did not, or the file is broken (reported)."""
    path = f"debate/veto/{proposal}.yaml"
    try:
        found = bus.get(path, Veto)
    except CatherdError as error:
        bus.broken(path, error)
        return ""
    return found.reason if found else ""


def chat_inputs(bus: Bus, stems: list[str], since: str) -> list[Input]:
    """These messages of the chat as an ask shows them, under real names; those that are gone are left out. `since`: the gate that
    had closed when they were first shown.
    """
    made = []
    said = bus.chat()
    for stem in stems:
        path, who = f"chat/{stem}.yaml", stem.rpartition(".")[2]
        if stem in said and bus.there(path):
            data = {
                "text": said[stem].text,
                "reply_to": said[stem].reply_to,
                "since": since,
            }
            data |= (
                {"binding": "yes"}
                if said[stem].kind == "constraint" and who in YOU
                else {}
            )
            made.append(
                Input(
                    path=path,
                    sha256=bus.sha(path),
                    kind="chat",
                    by="you" if who in YOU else who,
                    data=data,
                )
            )
    return made

"""Opening an ask: all that its prompts will show is gathered once and held in the ask.

It is listed by path and sha256. Only what receipts counted is gathered. A text that
somebody edits after its gate closed is not taken up; it is reported. The chat that is
shown is the chat at the moment of asking, and it stays the same for every agent and
after every restart.
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
from catherd.debate.proposals import ClosedAsk, Source

CHAT_SHOWN = 40  # messages that an ask shows as new, at most


class Record(msgspec.Struct, kw_only=True):
    """What the closed gates of the debate counted, in order.

    `names` maps code name → agent, `paths` (gate, agent) → (path, sha256). `edited` are
    the paths of answers that you edited before their gate closed.
    """

    names: dict[str, str]
    said: list[ClosedAsk]
    paths: dict[tuple[str, str], Source]
    edited: list[str]

    def of_kind(self, kind: str) -> list[ClosedAsk]:
        """The closed asks of that kind."""
        return [closed for closed in self.said if closed.kind == kind]

    def last(self, kind: str) -> dict[str, Argument]:
        """The arguments of the latest closed ask of that kind."""
        found = self.of_kind(kind)
        return found[-1].arguments() if found else {}

    def pitches(self) -> dict[str, Pitch]:
        """The pitches by agent."""
        made: dict[str, Pitch] = {}
        for closed in self.of_kind("pitch"):
            made |= closed.pitches()
        return made

    def standing(self) -> dict[str, proposals.Proposal]:
        """How every proposal stands after all counted rounds."""
        rounds = [closed.arguments() for closed in self.of_kind("answers")]
        return proposals.standing(self.names, self.pitches(), rounds)


def record(bus: Bus, phase: Phase) -> Record:
    """What the closed gates of `phase` counted, from their receipts alone.

    A file that changed since its gate closed is reported.
    """
    made = Record(names={}, said=[], paths={}, edited=[])
    for gate in phase.gates.values():
        receipt = bus.receipt(gate.name) if gate.does == "ask" else None
        if receipt is None:
            continue
        made.names = made.names or dict(receipt.data.get("names", {}))

        said: dict[str, Message] = {}
        for spoken in receipt.counted:
            agent = spoken.path.rpartition("/")[2].removesuffix(".yaml")
            said[agent] = _message(spoken, gate)
            made.paths[gate.name, agent] = (spoken.path, spoken.sha256)
            if spoken.edited:
                made.edited.append(spoken.path)
            _report_if_changed(bus, gate.name, spoken)

        closed = ClosedAsk(gate.name, gate.kind, said)
        made.said.append(closed)

    return made


def _message(spoken: Spoken, gate: Gate) -> Message:
    """A message as its receipt holds it."""
    document = yaml_read.loads(spoken.text, f"bus/{spoken.path}")
    return yaml_read.typed(document, KINDS.get(gate.kind, Argument))


def _report_if_changed(bus: Bus, gate: str, spoken: Spoken) -> None:
    """Report a file that is no longer what its receipt counted."""
    what = "was edited after its gate closed; the edit is not counted"
    try:
        now_is = bus.sha(spoken.path)
    except OSError:
        now_is, what = "gone", "is gone since its gate closed"
    if now_is == spoken.sha256:
        return
    trouble = f"after-close-{slug(spoken.path)}"
    fix = f"the text that counts stands in bus/gates/{gate}.yaml; rm 'bus/problems/{trouble}.yaml'"
    bus.trouble(trouble, f"bus/{spoken.path}", what, fix, now_is)


def open_ask(
    bus: Bus,
    phase: Phase,
    gate: Gate,
    game: Game,
    roll: list[str],
    shown: list[Input] | None = None,
) -> Ask:
    """The ask of `gate`, opened now if it is not yet.

    `shown` are its inputs where they are not what the debate said. Raises NeedsYou when
    there is nothing to vote on.
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
    chat = bus.chat(fresh=True).values()
    ask = Ask(
        gate=gate.name,
        step=gate.step,
        kind=gate.kind,
        template=gate.template,
        roll=roll,
        brief=game.brief,
        constraints=[said.text for said in chat if said.kind == "constraint"],
        inputs=inputs,
        names=known.names,
        opened=now(),
    )
    bus.post(path, ask)
    for missed in late(bus, phase):
        bus.event("late", missed)
    return bus.must(path, Ask)


def late(bus: Bus, phase: Phase) -> list[str]:
    """The answers to closed asks of `phase` that came after their gate.

    They are kept, and never counted.
    """
    found = []
    for gate in phase.gates.values():
        receipt = bus.receipt(gate.name) if gate.does == "ask" else None
        if receipt is None:
            continue

        heard = {one.path for one in receipt.counted}
        for entry in receipt.spoiled:
            name = entry.partition(": ")[0]
            heard.add(f"{gate.step}/{name}.yaml")

        for file in bus.names(gate.step):
            path = f"{gate.step}/{file}"
            voter = file.removesuffix(".yaml")
            if voter in receipt.roll and path not in heard:
                found.append(path)

    return found


def ahead(bus: Bus, phase: Phase, game: Game, goal: str, *, asking: bool) -> None:
    """Open the ask of the first gate of `phase` that is not closed.

    It is opened only if `goal` lies there or beyond. So the answers are under way while
    make starts that gate's process. An ask that must not be hurried is left to the gate
    itself.
    """
    left = [gate for gate in phase.gates.values() if not bus.closed(gate.name)]
    if not goal or not left or _before(phase, goal, left[0]):
        return
    gate = left[0]
    if gate.does == "ask" and not _waits(bus, gate, asking=asking):
        open_ask(bus, phase, gate, game, list(game.roll))


def _before(phase: Phase, goal: str, gate: Gate) -> bool:
    """Whether `goal` is a gate of the phase that comes before `gate`."""
    names = list(phase.gates)
    return goal in names and names.index(goal) < names.index(gate.name)


def _waits(bus: Bus, gate: Gate, *, asking: bool) -> bool:
    """Whether only the gate's own process may open its ask.

    That is so while the game is held or paused, for bids and swaps (their inputs are on
    main), and for ballots where somebody is `asking` you for a vote.
    """
    if gate.kind in {"bid", "swap"} or bus.paused() or bus.there("STEP"):
        return True
    return gate.kind == "ballot" and asking


def _inputs(bus: Bus, phase: Phase, kind: str, known: Record) -> list[Input]:
    if kind == "pitch":
        return []
    if kind == "ballot":
        return _ballot_inputs(bus, known)
    chats = _chats(bus, phase, known)
    return proposals.timeline(known.names, known.said, known.paths, chats)


def _chats(bus: Bus, phase: Phase, known: Record) -> dict[str, list[Input]]:
    """Closed gate → the messages that the ask after it was the first to show.

    They keep their place in later asks, where the vendors' caches know them. A message
    that you edited since is shown so; one that you removed is not shown.
    """
    there = {f"chat/{stem}.yaml": stem for stem in bus.chat(fresh=True)}
    gates = [closed.gate for closed in known.said]

    found: dict[str, list[Input]] = {}
    seen: set[str] = set()
    for gate, after in itertools.pairwise([*gates, ""]):
        shown = _chat_shown(bus, phase, after)
        paths = list(there) if shown is None else shown

        fresh = [path for path in paths if path in there and path not in seen]
        seen.update(fresh)

        stems = [there[path] for path in fresh[-CHAT_SHOWN:]]
        found[gate] = chat_inputs(bus, stems, gate)

    return found


def _chat_shown(bus: Bus, phase: Phase, gate: str) -> list[str] | None:
    """The paths of the messages that the ask of `gate` shows; None until it is open."""
    if gate not in phase.gates:
        return None
    asked = bus.get(f"{phase.gates[gate].step}/{OPEN}", Ask)
    if asked is None:
        return None
    return [one.path for one in asked.inputs if one.kind == "chat"]


def _ballot_inputs(bus: Bus, known: Record) -> list[Input]:
    """What a ballot shows: the proposals, the statements, the open objections."""
    vetoed = _vetoed(bus)
    candidates = {
        name: proposal
        for name, proposal in known.standing().items()
        if proposal.status == "open" and name not in vetoed
    }
    return [
        *_candidate_inputs(known, candidates),
        *_statement_inputs(known),
        *_objection_inputs(known, candidates),
    ]


def _vetoed(bus: Bus) -> set[str]:
    """The proposals that you took off the ballot."""
    names = [name.removesuffix(".yaml") for name in bus.names("debate/veto")]
    return {name for name in names if veto(bus, name)}


def _candidate_inputs(
    known: Record, candidates: dict[str, proposals.Proposal]
) -> list[Input]:
    """The proposals on the ballot, each with the code names of its authors.

    An author has no vote on its proposal: its own ballot leaves the proposal out.
    """
    pitched = known.of_kind("pitch")
    first = pitched[0].gate if pitched else ""

    sources = {}
    for name, agent in known.names.items():
        if (first, agent) in known.paths:
            sources[name] = known.paths[first, agent]

    made = proposals.proposal_inputs(candidates, sources)
    code = proposals.code_of(known.names)
    for shown in made:
        authors = candidates[shown.by].authors
        shown.data["authors"] = [code[author] for author in authors]

    return made


def _statement_inputs(known: Record) -> list[Input]:
    """The final statements, in the order of their speakers' code names."""
    closed = known.of_kind("final")
    if not closed:
        return []
    gate = closed[-1].gate
    finals = closed[-1].arguments()
    code = proposals.code_of(known.names)

    made = []
    for agent in sorted(finals, key=lambda a: code[a]):
        path, sha = known.paths[gate, agent]
        said = finals[agent]
        by = code[agent]
        statement = Input(
            path=path,
            sha256=sha,
            kind="statement",
            by=by,
            data={"speaks_for": said.speaks_for or by, "body": said.body},
        )
        made.append(statement)
    return made


def _objection_inputs(
    known: Record, candidates: dict[str, proposals.Proposal]
) -> list[Input]:
    """The objections to what is on the ballot that their author did not accept."""
    found = proposals.open_objections(
        known.names, known.last("objections"), known.last("answers")
    )
    return [
        Input(path="", sha256="", kind="objection", by=one["by"], data=one)
        for one in found
        if one["to"] in candidates and one["verdict"] != "accept"
    ]


def veto(bus: Bus, proposal: str) -> str:
    """Your reason for taking `proposal` off the ballot.

    Empty when you did not, or when the file is broken, which is reported.
    """
    path = f"debate/veto/{proposal}.yaml"
    try:
        found = bus.get(path, Veto)
    except CatherdError as error:
        bus.broken(path, error)
        return ""
    return found.reason if found else ""


def chat_inputs(bus: Bus, stems: list[str], since: str) -> list[Input]:
    """These messages of the chat as an ask shows them, under real names.

    Messages that are gone are left out. `since` is the gate that had closed when they
    were first shown.
    """
    made = []
    said = bus.chat()
    for stem in stems:
        path, author = f"chat/{stem}.yaml", stem.rpartition(".")[2]
        if stem not in said or not bus.there(path):
            continue
        message = said[stem]
        by_you = author in YOU
        data = {"text": message.text, "reply_to": message.reply_to, "since": since}
        if by_you and message.kind == "constraint":
            data["binding"] = "yes"
        by = "you" if by_you else author
        made.append(
            Input(path=path, sha256=bus.sha(path), kind="chat", by=by, data=data)
        )

    return made

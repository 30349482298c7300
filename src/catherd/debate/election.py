"""The vote of a debate: from receipts to a `Vote`, from the count to a decision, and to you when it ties."""

import hashlib
from typing import Any

from catherd.bus import atomic, yaml_read
from catherd.bus.config import Agent, Phase
from catherd.bus.narrator import Decision, Teller
from catherd.bus.store import OPEN, TIEBREAK, Bus
from catherd.core import closing
from catherd.core.errors import NeedsYou
from catherd.core.messages import FORMAT, Ask, Ballot, Game, Input, Receipt, Tiebreak
from catherd.debate import proposals, tie_card
from catherd.debate import vote as votes
from catherd.debate.asks import Record, record, veto
from catherd.debate.vote import Candidate, Gone, Open, Sheet, Vote


def assemble(
    bus: Bus,
    phase: Phase,
    game: Game,
    agents: dict[str, Agent],
    known: Record | None = None,
) -> Vote:
    """The whole vote, from what the receipts counted."""
    known = known or record(bus, phase)
    gate = next(g for g in phase.gates.values() if g.kind == "ballot")
    receipt = bus.must(f"gates/{gate.name}.yaml", Receipt)
    ask = bus.must(f"{gate.step}/{OPEN}", Ask)
    on = {i.by: i for i in ask.inputs if i.kind == "proposal"}
    objections = proposals.open_objections(
        known.names, known.last("objections"), known.last("answers")
    )
    finals = {
        i.by: str(i.data.get("body", "")) for i in ask.inputs if i.kind == "statement"
    }
    cast = {
        a: m
        for _, kind, said in known.said
        if kind == "ballot"
        for a, m in said.items()
        if isinstance(m, Ballot)
    }
    roll = [name for name in receipt.roll if name != "human"]
    edited = {one.path for one in receipt.counted if one.edited}
    spoiled = dict(entry.partition(": ")[::2] for entry in receipt.spoiled)
    return Vote(
        game=game.id,
        base=game.base,
        candidates=tuple(
            _candidate(name, one, known.names, finals.get(name, ""), objections)
            for name, one in on.items()
        ),
        roll=tuple(roll),
        needed=closing.quorum(len(roll)),
        sheets=tuple(
            _sheet(voter, ballot, f"{gate.step}/{voter}.yaml" in edited)
            for voter, ballot in sorted(cast.items())
        ),
        brief=game.brief,
        constraints=tuple(ask.constraints),
        spoiled=spoiled,
        late=tuple(
            _late(
                bus, gate.step, {c.path for c in receipt.counted}, receipt.spoiled, roll
            )
        ),
        missing=tuple(name for name in receipt.absent if name != "human"),
        gone=tuple(
            _gone(bus, n, p) for n, p in known.standing().items() if n not in on
        ),
        same_vendor=_same_vendor(roll, agents, game),
    )


def _candidate(
    name: str,
    shown: Input,
    names: dict[str, str],
    statement: str,
    objections: list[dict[str, Any]],
) -> Candidate:
    title, body = str(shown.data["title"]), str(shown.data["body"])
    return Candidate(
        id=name,
        title=title,
        authors=tuple(names[a] for a in shown.data.get("authors", [name])),
        text=body,
        sha256=hashlib.sha256(f"{title}\n\n{body}".encode()).hexdigest(),
        statement=statement,
        objections=tuple(
            Open(by=o["by"], text=o["objection"], risk=o["risk"], answer=o["answer"])
            for o in objections
            if o["to"] == name and o["verdict"] != "accept"
        ),
    )


def _gone(bus: Bus, name: str, proposal: proposals.Proposal) -> Gone:
    vetoed = proposal.status == "open"
    return Gone(
        id=name,
        title=proposal.title,
        authors=tuple(proposal.authors),
        how="vetoed" if vetoed else proposal.status,
        why=veto(bus, name) if vetoed else "",
        into=proposal.merged_into,
    )


def _sheet(voter: str, ballot: Ballot, edited: bool) -> Sheet:
    return Sheet(
        voter=voter,
        ranking=ballot.ranking,
        reasons=ballot.reasons,
        shown=tuple(ballot.shown),
        abstain=ballot.abstain,
        why=ballot.why,
        edited=edited,
    )


def _late(
    bus: Bus, step: str, counted: set[str], spoiled: list[str], roll: list[str]
) -> list[str]:
    broken = {entry.partition(": ")[0] for entry in spoiled}
    there = [
        name.removesuffix(".yaml") for name in bus.names(step) if name.endswith(".yaml")
    ]
    return [
        n
        for n in there
        if n in roll and f"{step}/{n}.yaml" not in counted and n not in broken
    ]


def _same_vendor(roll: list[str], agents: dict[str, Agent], game: Game) -> str:
    if game.models == "rehearsal":
        return ""
    by: dict[str, list[str]] = {}
    for name in roll:
        if name in agents and agents[name].vendor:
            by.setdefault(agents[name].vendor, []).append(name)
    shared = [
        f"{' and '.join(names)} are of one vendor ({vendor})"
        for vendor, names in by.items()
        if len(names) > 1
    ]
    return "; ".join(shared)


def decide(
    bus: Bus, phase: Phase, game: Game, agents: dict[str, Agent], teller: Teller
) -> Decision:
    """The decision, asked of you when the count gives none. Raises NeedsYou while it is yours to make."""
    vote = assemble(bus, phase, game, agents)
    result, ifs = votes.counted(vote)
    verdict = votes.decided(vote, result)
    titles = {c.id: c.title for c in vote.candidates}
    if verdict.winner:
        return Decision(
            method=verdict.method,
            winner=verdict.winner,
            title=titles[verdict.winner],
            turnout=votes.turnout(vote),
        )
    found = _choice(bus, verdict.options)
    if found is None:
        card = tie_card.tie_card(vote, result, ifs)
        _write_tiebreak(bus, verdict.options, titles)
        picked = teller.pick(card, verdict.options)
        if not picked:
            raise NeedsYou(
                f"the vote is tied between {' and '.join(verdict.options)}"
                if verdict.method != "no_quorum"
                else f"no quorum: {votes.turnout(vote)}",
                where=f"bus/{TIEBREAK}",
                fix=f"fill in `choice:` there with one of {', '.join(verdict.options)}, then type make {bus.goal() or 'debate'}",
            )
        found = Tiebreak(choice=picked)
    return Decision(
        method="human",
        winner=found.choice,
        title=titles[found.choice],
        choice=found.choice,
        reason=found.reason,
        turnout=votes.turnout(vote),
    )


def _choice(bus: Bus, options: list[str]) -> Tiebreak | None:
    """Your choice, None while it is not made; NeedsYou when it is none of the tied."""
    try:
        document = yaml_read.read_yaml(bus.here(TIEBREAK), f"bus/{TIEBREAK}")
    except FileNotFoundError:
        return None
    found = yaml_read.typed(document, Tiebreak)
    if not found.choice:
        return None
    if found.choice not in options:
        wrong = NeedsYou(
            f"'{found.choice}' is not among the tied",
            where=document.where("choice"),
            fix=f"one of: {', '.join(options)}",
        )
        bus.trouble("tiebreak", wrong.where, wrong.what, wrong.fix, found.choice)
        raise wrong
    bus.solved("tiebreak")
    return found


def _write_tiebreak(bus: Bus, options: list[str], titles: dict[str, str]) -> None:
    lines = "".join(f"#   {one}: {titles[one]}\n" for one in options)
    text = (
        "# yaml-language-server: $schema=../../templates/schemas/tiebreak.json\n"
        f"# The vote is tied. Put one of these behind `choice:` and type make debate again.\n{lines}"
        f"catherd: {FORMAT}\nchoice:\nreason:\ntied: [{', '.join(options)}]\n"
    )
    atomic.publish(bus.path, TIEBREAK, text)


def ballot_form(bus: Bus, ask: Ask) -> str:
    """Your ballot as a form to fill in, at the path where it counts; its path. Nothing counts until it ranks something."""
    path = f"{ask.step}/human.yaml"
    rows = "".join(
        f"#   {i.by}: {i.data['title']}\n" for i in ask.inputs if i.kind == "proposal"
    )
    text = (
        "# yaml-language-server: $schema=../../../templates/schemas/ballot.json\n"
        f"# Your ballot. List the ones you rank, best first; leave out what you do not care about.\n{rows}"
        f"# Example: ranking: [{', '.join(i.by for i in ask.inputs if i.kind == 'proposal')}]\n"
        f"catherd: {FORMAT}\nranking: []\n"
    )
    atomic.publish(bus.path, path, text)
    return path

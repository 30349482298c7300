"""The vote of a debate: from receipts to a `Vote`, and from the count to a decision.

Where the vote ties, the decision is asked of you.
"""

import hashlib
from typing import Any

from catherd.bus import atomic, yaml_read
from catherd.bus.config import Agent, Gate, Phase
from catherd.bus.narrator import Teller, VoteOutcome
from catherd.bus.store import OPEN, TIEBREAK, Bus
from catherd.core import closing
from catherd.core.errors import NeedsYou
from catherd.core.messages import FORMAT, Ask, Ballot, Game, Input, Receipt, Tiebreak
from catherd.debate import proposals, tie_card
from catherd.debate import vote as votes
from catherd.debate.asks import Record, record, veto
from catherd.debate.vote import Candidate, Decided, Gone, Open, Sheet, Vote


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
    roll = [name for name in receipt.roll if name != "human"]
    return Vote(
        game=game.id,
        base=game.base,
        candidates=_candidates(ask, known),
        roll=tuple(roll),
        needed=closing.quorum(len(roll)),
        sheets=_sheets(gate, receipt, known),
        brief=game.brief,
        constraints=tuple(ask.constraints),
        spoiled=_spoiled(receipt),
        late=tuple(_late(bus, gate, receipt, roll)),
        missing=tuple(name for name in receipt.absent if name != "human"),
        gone=_off_the_ballot(bus, ask, known),
        same_vendor=_same_vendor(roll, agents, game),
    )


def _candidates(ask: Ask, known: Record) -> tuple[Candidate, ...]:
    """The proposals on the ballot, each with its statement and what stays open."""
    objections = proposals.open_objections(
        known.names, known.last("objections"), known.last("answers")
    )
    statements = {}
    for one in ask.inputs:
        if one.kind == "statement":
            statements[one.by] = str(one.data.get("body", ""))

    made = []
    for name, shown in _on_ballot(ask).items():
        against = [o for o in objections if o["to"] == name]
        statement = statements.get(name, "")
        made.append(_candidate(shown, known.names, statement, against))

    return tuple(made)


def _on_ballot(ask: Ask) -> dict[str, Input]:
    """The proposals that a ballot lists, by code name, in the ask's order."""
    return {one.by: one for one in ask.inputs if one.kind == "proposal"}


def _sheets(gate: Gate, receipt: Receipt, known: Record) -> tuple[Sheet, ...]:
    """The counted ballots, in the order of their voters."""
    edited = {one.path for one in receipt.counted if one.edited}
    cast: dict[str, Ballot] = {}
    for closed in known.of_kind("ballot"):
        cast |= closed.ballots()

    return tuple(
        _sheet(voter, ballot, f"{gate.step}/{voter}.yaml" in edited)
        for voter, ballot in sorted(cast.items())
    )


def _spoiled(receipt: Receipt) -> dict[str, str]:
    """Voter → what is wrong with its file."""
    found = {}
    for entry in receipt.spoiled:
        voter, _, why = entry.partition(": ")
        found[voter] = why
    return found


def _off_the_ballot(bus: Bus, ask: Ask, known: Record) -> tuple[Gone, ...]:
    on = _on_ballot(ask)
    stand = known.standing().items()
    return tuple(_gone(bus, name, one) for name, one in stand if name not in on)


def _candidate(
    shown: Input,
    names: dict[str, str],
    statement: str,
    objections: list[dict[str, Any]],
) -> Candidate:
    """The proposal as the ballot showed it; `objections` are all that it met."""
    title, body = str(shown.data["title"]), str(shown.data["body"])
    still_open = tuple(
        Open(by=o["by"], text=o["objection"], risk=o["risk"], answer=o["answer"])
        for o in objections
        if o["verdict"] != "accept"
    )
    return Candidate(
        id=shown.by,
        title=title,
        authors=tuple(
            names[author] for author in shown.data.get("authors", [shown.by])
        ),
        text=body,
        sha256=hashlib.sha256(f"{title}\n\n{body}".encode()).hexdigest(),
        statement=statement,
        objections=still_open,
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


def _late(bus: Bus, gate: Gate, receipt: Receipt, roll: list[str]) -> list[str]:
    """The voters on the roll whose ballots came after the gate closed."""
    counted = {one.path for one in receipt.counted}
    spoiled = _spoiled(receipt)
    found = []
    for file in bus.names(gate.step):
        voter = file.removesuffix(".yaml")
        if voter == file or voter not in roll or voter in spoiled:
            continue
        if f"{gate.step}/{file}" not in counted:
            found.append(voter)

    return found


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
) -> VoteOutcome:
    """The decision, asked of you when the count gives none.

    Raises NeedsYou while it is yours to make.
    """
    vote = assemble(bus, phase, game, agents)
    result, ifs = votes.counted(vote)
    verdict = votes.decided(vote, result)
    titles = {c.id: c.title for c in vote.candidates}
    turnout = votes.turnout(vote)
    if verdict.winner:
        return VoteOutcome(
            method=verdict.method,
            winner=verdict.winner,
            title=titles[verdict.winner],
            turnout=turnout,
        )
    found = _choice(bus, verdict.options)
    if found is None:
        card = tie_card.tie_card(vote, result, ifs)
        _write_tiebreak(bus, verdict.options, titles)
        picked = teller.pick(card, verdict.options)
        if not picked:
            raise _yours_to_decide(bus, verdict, turnout)
        found = Tiebreak(choice=picked)
    return VoteOutcome(
        method="human",
        winner=found.choice,
        title=titles[found.choice],
        choice=found.choice,
        reason=found.reason,
        turnout=turnout,
    )


def _yours_to_decide(bus: Bus, verdict: Decided, turnout: str) -> NeedsYou:
    what = f"the vote is tied between {' and '.join(verdict.options)}"
    if verdict.method == "no_quorum":
        what = f"no quorum: {turnout}"
    return NeedsYou(
        what,
        where=f"bus/{TIEBREAK}",
        fix=f"fill in `choice:` there with one of {', '.join(verdict.options)}, then type make {bus.goal() or 'debate'}",
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
    """Write your ballot as a form, at the path where it counts; return the path.

    Nothing counts until the form ranks something.
    """
    path = f"{ask.step}/human.yaml"
    on = _on_ballot(ask)
    rows = "".join(f"#   {name}: {one.data['title']}\n" for name, one in on.items())
    text = (
        "# yaml-language-server: $schema=../../../templates/schemas/ballot.json\n"
        f"# Your ballot. List the ones you rank, best first; leave out what you do not care about.\n{rows}"
        f"# Example: ranking: [{', '.join(on)}]\n"
        f"catherd: {FORMAT}\nranking: []\n"
    )
    atomic.publish(bus.path, path, text)
    return path

"""The record of a vote, for people and for programs. Pure.

It tells the ballots as cast, the count, which rung decided and what would flip it.
`results_md` is docs/debate/vote-results.md, `decision_yaml` is
docs/debate/decision.yaml. No clock is read: the same vote gives the same bytes. What
agents and people wrote is quoted or escaped, so it cannot pass for a part of the
record.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from catherd.core.escape import (
    cut_columns,
    escape_inline,
    fence,
    markdown_table,
    plain_text,
    prose,
    quote,
)
from catherd.debate.runoff import Round
from catherd.debate.tally import CountResult, Outcome, WhatIfs
from catherd.debate.vote import (
    HUMAN,
    Candidate,
    Decided,
    Gone,
    Sheet,
    Vote,
    ballots_of,
    decided,
    level,
    present,
    recused,
    scores_told,
    strongest,
    turnout,
    voted,
)


def decision_yaml(vote: Vote, result: CountResult) -> dict[str, Any]:
    """docs/debate/decision.yaml: what was decided, for programs.

    `winner` is null while nobody decided. With `base` the `roll` is what `catherd
    audit` proves the merges from.
    """
    verdict = decided(vote, result)
    winner = _winner(vote, verdict)
    return {
        "catherd": 1,
        "kind": "decision",
        "winner": winner.id if winner else None,
        "title": winner.title if winner else "",
        "authors": list(winner.authors) if winner else [],
        "by": verdict.by,
        "method": verdict.method,
        "reason": vote.reason if verdict.by == "human" else "",
        "tied": verdict.options,
        "ballots": ballots_of(vote),
        "your_ballot": HUMAN in voted(vote),
        "missing": list(vote.missing),
        "rule": vote.rule,
        "game": vote.game,
        "base": vote.base,
        "roll": list(vote.roll),
        "brief": vote.brief,
        "constraints": list(vote.constraints),
        "candidates": [_candidate_data(one) for one in vote.candidates],
        "open_objection": _objection_data(winner),
        "sha256": winner.sha256 if winner else "",
        "text": winner.text if winner else "",
    }


def _winner(vote: Vote, verdict: Decided) -> Candidate | None:
    return next((c for c in vote.candidates if c.id == verdict.winner), None)


def _candidate_data(candidate: Candidate) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "title": candidate.title,
        "authors": list(candidate.authors),
        "sha256": candidate.sha256,
    }


def _objection_data(winner: Candidate | None) -> dict[str, Any] | None:
    still = strongest(winner) if winner else None
    if still is None:
        return None
    return {"by": still.by, "text": still.text, "risk": still.risk}


def results_md(vote: Vote, result: CountResult, ifs: WhatIfs) -> str:
    """docs/debate/vote-results.md.

    Raw, its lines and tables stay near 100 columns; no text of an agent breaks them.
    """
    verdict = decided(vote, result)
    winner = _winner(vote, verdict)
    title = escape_inline(winner.title) if winner else "not decided"
    parts = [
        f"# The vote: {title}",
        prose(_headline(vote, verdict, winner)),
        *_brief(vote),
    ]
    parts += ["## Which rung decided", _rungs(vote, result, verdict)]
    parts += ["## On the ballot", *_candidates(vote)]
    parts += ["## Ballots as cast", *_ballots(vote)]
    parts += ["## Head to head", *_pairwise(result)]
    if result.rounds:
        parts += ["## Instant runoff", _rounds(result)]
    parts += ["## What would flip it", *_flips(result, ifs)]
    parts += ["## What stays open", *_open(vote, winner)]
    parts += ["## Count it yourself", *_audit(vote)]
    return "\n\n".join(parts) + "\n"


def _headline(vote: Vote, verdict: Decided, winner: Candidate | None) -> str:
    if winner is None:
        options = escape_inline(", ".join(verdict.options))
        return f"{turnout(vote)}. It is yours to decide between {options}."
    how = {
        "condorcet": "it beats every other proposal head to head",
        "irv": "no proposal beats every other; the instant runoff elects it",
        "unopposed": "the only one on the ballot",
        "human": "you chose it",
    }[verdict.method]
    absent = [name for name in vote.roll if name not in voted(vote)]
    silent = ""
    if absent:
        was = "was" if len(absent) == 1 else "were"
        silent = f"; {names(absent)} {was} not heard"
    elected = f"**{escape_inline(winner.id)}** by {names(winner.authors)}"
    return f"{elected}: {how}. {turnout(vote)}{silent}."


def _brief(vote: Vote) -> list[str]:
    parts = []
    if vote.brief:
        parts += ["The brief:", quote(vote.brief)]
    if vote.constraints:
        parts += ["Binding from you:", *(quote(each) for each in vote.constraints)]
    return parts


def _rungs(vote: Vote, result: CountResult, verdict: Decided) -> str:
    """Which rungs of the ladder were tried: quorum, the count, you; then its notes."""
    rungs = [
        *_quorum_rung(vote, verdict),
        *_count_rungs(result),
        *_your_rung(vote, verdict),
    ]
    lines = []
    for n, rung in enumerate(rungs, 1):
        item = _item(f"{n}. ", prose(rung, 95))
        lines.append(item)

    if result.notes:
        lines.append("")
    for note in result.notes:
        item = _item("- ", prose(escape_inline(note), 96))
        lines.append(item)
    return "\n".join(lines)


def _item(mark: str, text: str) -> str:
    """An item of a list, whose further lines stand below the text of its first."""
    return mark + text.replace("\n", "\n" + " " * len(mark))


def _quorum_rung(vote: Vote, verdict: Decided) -> list[str]:
    """What a missing quorum means; empty where it is met or nobody needed it."""
    you_for_want_of_it = verdict.by == "human" and present(vote) < vote.needed
    if verdict.method != "no_quorum" and not you_for_want_of_it:
        return []
    return [
        f"Quorum: not met, {turnout(vote)}, {vote.needed} are needed: the count decides nothing."
    ]


def _count_rungs(result: CountResult) -> list[str]:
    if result.method == "unopposed":
        return ["Unopposed: one proposal, no ballots needed."]
    if result.method == "no_ballots":
        return ["No ballot ranks anything: a person decides among all."]
    if result.method == "condorcet":
        winner = escape_inline(result.winner or "")
        return [f"Condorcet: {winner} beats every other. Decided."]
    ids = sorted(result.pairwise)
    blocks = "; ".join(_blocked(a, result) for a in ids[:8])
    end = f"ties {escape_inline(', '.join(result.tied))}."
    if result.winner:
        end = f"elects {escape_inline(result.winner)}. Decided."
    return [f"Condorcet: none. {blocks}.", f"Instant runoff: {end}"]


def _your_rung(vote: Vote, verdict: Decided) -> list[str]:
    if verdict.by == "human":
        said = f"You: {escape_inline(vote.choice)}. {escape_inline(vote.reason)}"
        return [said.rstrip()]
    return [] if verdict.by else ["You: not yet."]


def _blocked(a: str, result: CountResult) -> str:
    """The first rival that `a` loses to, else the first that it is level with."""
    level_with = []
    loses_to = []
    for b, won in sorted(result.pairwise[a].items()):
        lost = result.pairwise[b][a]
        told = f"{escape_inline(b)} {won} : {lost}"
        if won < lost:
            loses_to.append(f"loses to {told}")
        elif won == lost:
            level_with.append(f"is level with {told}")

    first = (loses_to + level_with)[0]
    return f"{escape_inline(a)} {first}"


def _candidates(vote: Vote) -> list[str]:
    rows = []
    for one in vote.candidates:
        row = [
            escape_inline(one.id),
            escape_inline(cut_columns(one.title, 36)),
            names(one.authors),
            one.sha256[:12],
        ]
        rows.append(row)

    parts = [markdown_table(["id", "title", "by", "sha256"], rows)]
    if vote.gone:
        gone = [_gone(one) for one in vote.gone]
        parts += ["Off the ballot:", "\n".join(gone)]
    return parts


def _gone(one: Gone) -> str:
    title = escape_inline(cut_columns(one.title, 36))
    line = f"- {escape_inline(one.id)}, {title}, by {names(one.authors)}: {one.how}"
    if one.into:
        line += f" into {escape_inline(one.into)}"
    if one.how == "vetoed":
        return f"{line} by you: {escape_inline(one.why)}"
    return f"{line}: {escape_inline(one.why)}" if one.why else line


def _ballots(vote: Vote) -> list[str]:
    """The ballots as a table, what was not counted, and the voters' reasons."""
    parts = [_ballot_table(vote) if vote.sheets else "Nobody cast one."]
    faults = _faults(vote)
    if faults:
        parts.append("\n".join(f"- {fault}" for fault in faults))
    for sheet in vote.sheets:
        parts += _reasons(sheet)
    return parts


def _ballot_table(vote: Vote) -> str:
    own = recused(vote)
    rows = [_ballot_row(sheet, own[sheet.voter]) for sheet in vote.sheets]
    return markdown_table(["voter", "best first", "no say on", ""], rows)


def _ballot_row(sheet: Sheet, own: Sequence[str]) -> list[str]:
    return [
        names([sheet.voter]),
        escape_inline(_ranks(sheet)),
        escape_inline(", ".join(own)),
        "edited by you" if sheet.edited else "",
    ]


def _ranks(sheet: Sheet) -> str:
    """`a > b = c`; what a ballot says that ranks nothing."""
    if sheet.abstain:
        return "abstains"
    return " > ".join(level(each) for each in sheet.ranking) or "blank"


def _faults(vote: Vote) -> list[str]:
    """What is to be said about ballots beside the ballots themselves."""
    faults = []
    for voter, why in sorted(vote.spoiled.items()):
        told = escape_inline(why)
        faults.append(f"{names([voter])}: spoiled, not counted: {told}")

    faults += [f"{names([voter])}: late, not counted" for voter in vote.late]
    faults += [f"{names([voter])}: no ballot" for voter in vote.missing]

    for sheet in vote.sheets:
        voter = names([sheet.voter])
        faults += [f"{voter}: {escape_inline(note)}" for note in sheet.notes]

    if vote.same_vendor:
        faults.append(escape_inline(vote.same_vendor))
    return faults


def _reasons(sheet: Sheet) -> list[str]:
    """A voter's reasons, quoted; empty when it gave none."""
    said = []
    if sheet.why.strip():
        said.append(sheet.why.strip())
    for candidate, reason in sheet.reasons.items():
        if reason.strip():
            told = " ".join(reason.split())
            said.append(f"- {candidate}: {told}")

    if not said:
        return []

    head = f"Reasons of {names([sheet.voter])}"
    if sheet.shown:
        shown = escape_inline(", ".join(sheet.shown))
        head += f", who was shown {shown}"
    return [prose(f"{head}:"), quote("\n".join(said))]


def _pairwise(result: CountResult) -> list[str]:
    ids = sorted(result.pairwise)
    if len(ids) < 2:
        return ["There is no pair."]
    rows = [_duels(a, ids, result) for a in ids]
    head = ["row : column", *(escape_inline(b) for b in ids), "won–level–lost"]
    return [markdown_table(head, rows, right=range(1, len(ids) + 2))]


def _duels(a: str, ids: Sequence[str], result: CountResult) -> list[str]:
    """The row of `a`: its duel with each of `ids`, and how many it won and lost."""
    cells = []
    won = lost = 0
    for b in ids:
        if b == a:
            cells.append("")
            continue

        votes_for = result.pairwise[a][b]
        votes_against = result.pairwise[b][a]
        won += votes_for > votes_against
        lost += votes_for < votes_against
        cells.append(f"{votes_for} : {votes_against}")

    even = len(ids) - 1 - won - lost
    return [escape_inline(a), *cells, f"{won}–{even}–{lost}"]


def _rounds(result: CountResult) -> str:
    rows = []
    for n, each in enumerate(result.rounds, 1):
        counts = escape_inline(scores_told(each.counts))
        if each.head_to_head:
            counts += " (head to head)"

        then = escape_inline(_end_of_round(each))
        rows.append([str(n), counts, str(each.exhausted), then])

    head = ["", "first choices", "exhausted", "then"]
    return markdown_table(head, rows, right=[0, 2])


def _end_of_round(each: Round) -> str:
    if each.elected:
        does = "elects " if len(each.elected) == 1 else "level: "
        return does + ", ".join(each.elected)
    if each.tied:
        return f"tie for last: {', '.join(each.tied)}"
    return f"out: {', '.join(each.eliminated)}"


def _flips(result: CountResult, ifs: WhatIfs) -> list[str]:
    """What would have given another result, and what other rules say."""
    if result.method == "unopposed":
        return ["Nothing: no ballot was needed."]
    if result.method == "no_ballots":
        return ["Any ballot."]
    lines = []
    for voter in ifs.pivotal:
        instead = outcome_told(ifs.without[voter])
        lines.append(f"- without the ballot of {names([voter])}: {instead}")
    if not ifs.pivotal:
        lines.append(
            "- no single ballot: without any one of them the result is the same"
        )
    if result.winner and result.method == "condorcet":
        lines.append(_closest(result.winner, result))
    first, of = ifs.first_shown
    if of:
        lines.append(
            f"- position check: {first} of {of} ballots rank first what was shown first"
        )
    rows = [
        ["with self-votes counted", outcome_told(ifs.self_votes)],
        ["instant runoff alone", outcome_told(ifs.irv)],
        ["first choices only", escape_inline(scores_told(ifs.first_choices))],
        ["Borda", escape_inline(scores_told(ifs.borda))],
        ["Copeland", escape_inline(scores_told(ifs.copeland))],
    ]
    return [
        "\n".join(lines),
        "For information; none of it decides:",
        markdown_table(["another rule", "says"], rows),
    ]


def _closest(winner: str, result: CountResult) -> str:
    """How many ballots, turned round, would end that the Condorcet winner beats all."""
    leads = {
        b: n - result.pairwise[b][winner] for b, n in result.pairwise[winner].items()
    }
    rival = min(leads, key=lambda b: (leads[b], b))
    turned = (leads[rival] + 1) // 2
    ballots = "ballot" if turned == 1 else "ballots"
    return f"- the closest pair is with {escape_inline(rival)}: {turned} {ballots} turned round would end it"


def _open(vote: Vote, winner: Candidate | None) -> list[str]:
    """The objections that stay: to the winner, or to each while nothing is decided."""
    parts: list[str] = []
    for candidate in [winner] if winner else vote.candidates:
        still = strongest(candidate)
        if still is None:
            continue
        risk = f", risk {still.risk} of 5" if still.risk else ""
        against = (
            f"Against {escape_inline(candidate.id)}, by {names([still.by])}{risk}:"
        )
        parts += [against, quote(still.text)]
        if still.answer.strip():
            parts += ["Answered:", quote(still.answer)]

    return parts or ["No objection."]


def _audit(vote: Vote) -> list[str]:
    """The whole vote as `catherd count` reads it: JSON words are YAML words."""
    own = recused(vote)
    ballots, struck = [], []
    for n, sheet in enumerate(vote.sheets):
        ranking = [] if sheet.abstain else _plain_ranking(sheet.ranking)
        voter = cut_columns(sheet.voter, 40)
        ballots.append(f"- [1, {_json(ranking)}]  # {voter}")
        if own[sheet.voter]:
            struck.append(f"  {n}: {_json(own[sheet.voter])}")

    ids = [candidate.id for candidate in vote.candidates]
    lines = [f"candidates: {_json(ids)}"]
    lines.append("ballots:" if ballots else "ballots: []")
    lines += ballots
    if struck:
        lines.append("recused:")
        lines += struck

    return [
        prose(f"Rule {vote.rule}. `.venv/bin/catherd count FILE` says the same of:"),
        fence("\n".join(lines), "yaml"),
    ]


def _json(thing: Any) -> str:
    return msgspec.json.encode(thing).decode()


def _plain_ranking(ranking: Sequence[Any]) -> list[Any]:
    """A ranking as cast, without control characters."""
    made: list[Any] = []
    for rank in ranking:
        if isinstance(rank, list | tuple):
            made.append([plain_text(str(each)) for each in rank])
        else:
            made.append(plain_text(str(rank)))
    return made


def names(voters: Iterable[str]) -> str:
    """`claude, gemini and you`."""
    said = ["you" if voter == HUMAN else escape_inline(voter) for voter in voters]
    if len(said) < 2:
        return "".join(said)
    return f"{', '.join(said[:-1])} and {said[-1]}"


def outcome_told(outcome: Outcome) -> str:
    """`trail-map (irv)`, `a tie of a, b`, `no ballots`."""
    if outcome.winner:
        return f"{escape_inline(outcome.winner)} ({outcome.method})"
    if outcome.method == "tie":
        return f"a tie of {escape_inline(', '.join(outcome.tied))}"
    return "no ballots"

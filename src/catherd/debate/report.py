"""The record of a vote: ballots as cast, the count, which rung decided, what would flip it, who was missing.

Pure. `results_md` is docs/debate/vote-results.md, `decision` is docs/debate/decision.yaml. No clock: the same vote gives the
same bytes. What agents and people wrote is quoted or escaped; it cannot pass for a part of the record.
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
from catherd.debate.tally import CountResult, Outcome, WhatIfs
from catherd.debate.vote import (
    HUMAN,
    Candidate,
    Decided,
    Vote,
    decided,
    level,
    present,
    recused,
    strongest,
    turnout,
)


def decision_yaml(vote: Vote, result: CountResult) -> dict[str, Any]:
    """docs/debate/decision.yaml: what was decided, for programs. `winner` is null while nobody decided."""
    verdict = decided(vote, result)
    winner = next((c for c in vote.candidates if c.id == verdict.winner), None)
    still = strongest(winner) if winner else None
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
        "ballots": turnout(vote).removesuffix(" and yours").removesuffix(" ballots"),
        "your_ballot": any(s.voter == HUMAN for s in vote.sheets),
        "missing": list(vote.missing),
        "rule": vote.rule,
        "game": vote.game,
        "base": vote.base,
        "roll": list(
            vote.roll
        ),  # with `base` what `catherd audit` proves the merges from
        "brief": vote.brief,
        "constraints": list(vote.constraints),
        "candidates": [
            {
                "id": c.id,
                "title": c.title,
                "authors": list(c.authors),
                "sha256": c.sha256,
            }
            for c in vote.candidates
        ],
        "open_objection": {"by": still.by, "text": still.text, "risk": still.risk}
        if still
        else None,
        "sha256": winner.sha256 if winner else "",
        "text": winner.text if winner else "",
    }


def results_md(vote: Vote, result: CountResult, ifs: WhatIfs) -> str:
    """docs/debate/vote-results.md. Raw, its lines and tables stay near 100 columns; no text of an agent breaks them."""
    verdict = decided(vote, result)
    winner = next((c for c in vote.candidates if c.id == verdict.winner), None)
    title = (
        f"# The vote: {escape_inline(winner.title)}"
        if winner
        else "# The vote: not decided"
    )
    parts = [title, prose(_headline(vote, verdict, winner)), *_brief(vote)]
    parts += ["## Which rung decided", _rungs(vote, result, verdict)]
    parts += [
        "## On the ballot",
        *_candidates(vote),
        "## Ballots as cast",
        *_ballots(vote),
    ]
    parts += ["## Head to head", *_pairwise(result)]
    if result.rounds:
        parts += ["## Instant runoff", *_rounds(result)]
    parts += ["## What would flip it", *_flips(result, ifs)]
    parts += ["## What stays open", *_open(vote, winner)]
    parts += ["## Count it yourself", *_audit(vote)]
    return "\n\n".join(parts) + "\n"


def _headline(vote: Vote, verdict: Decided, winner: Candidate | None) -> str:
    if winner is None:
        return f"{turnout(vote)}. It is yours to decide between {escape_inline(', '.join(verdict.options))}."
    how = {
        "condorcet": "it beats every other proposal head to head",
        "irv": "no proposal beats every other; the instant runoff elects it",
        "unopposed": "the only one on the ballot",
        "human": "you chose it",
    }[verdict.method]
    absent = [name for name in vote.roll if name not in {s.voter for s in vote.sheets}]
    silent = (
        f"; {names(absent)} {'was' if len(absent) == 1 else 'were'} not heard"
        if absent
        else ""
    )
    return f"**{escape_inline(winner.id)}** by {names(winner.authors)}: {how}. {turnout(vote)}{silent}."


def _brief(vote: Vote) -> list[str]:
    parts = ["The brief:", quote(vote.brief)] if vote.brief else []
    return [
        *parts,
        *(
            ["Binding from you:", *(quote(c) for c in vote.constraints)]
            if vote.constraints
            else []
        ),
    ]


def _rungs(vote: Vote, result: CountResult, verdict: Decided) -> str:
    ids = sorted(result.pairwise)
    rungs: list[str] = []
    if verdict.method == "no_quorum" or (
        verdict.by == "human" and present(vote) < vote.needed
    ):
        rungs = [
            f"Quorum: not met, {turnout(vote)}, {vote.needed} are needed: the count decides nothing."
        ]
    if result.method == "unopposed":
        rungs += ["Unopposed: one proposal, no ballots needed."]
    elif result.method == "no_ballots":
        rungs += ["No ballot ranks anything: a person decides among all."]
    elif result.method == "condorcet":
        rungs += [
            f"Condorcet: {escape_inline(result.winner or '')} beats every other. Decided."
        ]
    else:
        blocks = "; ".join(_blocked(a, result) for a in ids[:8])
        rungs += [f"Condorcet: none. {blocks}."]
        end = (
            f"elects {escape_inline(result.winner)}. Decided."
            if result.winner
            else f"ties {escape_inline(', '.join(result.tied))}."
        )
        rungs += [f"Instant runoff: {end}"]
    if verdict.by == "human":
        rungs += [
            f"You: {escape_inline(vote.choice)}. {escape_inline(vote.reason)}".rstrip()
        ]
    elif not verdict.by:
        rungs += ["You: not yet."]
    lines = [
        f"{n}. {prose(rung, 95)}".replace("\n", "\n   ")
        for n, rung in enumerate(rungs, 1)
    ]
    notes = [
        f"- {prose(escape_inline(note), 96)}".replace("\n", "\n  ")
        for note in result.notes
    ]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _blocked(a: str, result: CountResult) -> str:
    """Whom `a` fails to beat: the first one that it loses to, else the first that it is level with."""
    duels = [
        (result.pairwise[a][b], result.pairwise[b][a], b) for b in result.pairwise[a]
    ]
    won, lost, b = min(
        (d for d in duels if d[0] <= d[1]), key=lambda d: (d[0] == d[1], d[2])
    )
    return f"{escape_inline(a)} {'is level with' if won == lost else 'loses to'} {escape_inline(b)} {won} : {lost}"


def _candidates(vote: Vote) -> list[str]:
    rows = [
        [
            escape_inline(c.id),
            escape_inline(cut_columns(c.title, 36)),
            names(c.authors),
            c.sha256[:12],
        ]
        for c in vote.candidates
    ]
    parts = [markdown_table(["id", "title", "by", "sha256"], rows)]
    lines = [
        f"- {escape_inline(g.id)}, {escape_inline(cut_columns(g.title, 36))}, by {names(g.authors)}: {g.how}"
        + (f" into {escape_inline(g.into)}" if g.into else "")
        + (
            f" by you: {escape_inline(g.why)}"
            if g.how == "vetoed"
            else f": {escape_inline(g.why)}"
            if g.why
            else ""
        )
        for g in vote.gone
    ]
    return [*parts, *(["Off the ballot:", "\n".join(lines)] if lines else [])]


def _ballots(vote: Vote) -> list[str]:
    rows = []
    for s in vote.sheets:
        ranks = (
            "abstains"
            if s.abstain
            else " > ".join(level(each) for each in s.ranking) or "blank"
        )
        own = ", ".join(recused(vote)[s.voter])
        rows.append(
            [
                names([s.voter]),
                escape_inline(ranks),
                escape_inline(own),
                "edited by you" if s.edited else "",
            ]
        )
    parts = (
        [markdown_table(["voter", "best first", "no say on", ""], rows)]
        if rows
        else ["Nobody cast one."]
    )
    faults = [
        f"- {names([v])}: spoiled, not counted: {escape_inline(why)}"
        for v, why in sorted(vote.spoiled.items())
    ]
    faults += [f"- {names([v])}: late, not counted" for v in vote.late]
    faults += [f"- {names([v])}: no ballot" for v in vote.missing]
    faults += [
        f"- {names([s.voter])}: {escape_inline(note)}"
        for s in vote.sheets
        for note in s.notes
    ]
    faults += [f"- {escape_inline(vote.same_vendor)}"] if vote.same_vendor else []
    parts += ["\n".join(faults)] if faults else []
    for s in vote.sheets:
        reasons = "\n".join(
            f"- {c}: {' '.join(r.split())}" for c, r in s.reasons.items() if r.strip()
        )
        said = "\n".join(part for part in (s.why.strip(), reasons) if part)
        shown = (
            f", who was shown {escape_inline(', '.join(s.shown))}" if s.shown else ""
        )
        parts += (
            [prose(f"Reasons of {names([s.voter])}{shown}:"), quote(said)]
            if said
            else []
        )
    return parts


def _pairwise(result: CountResult) -> list[str]:
    ids = sorted(result.pairwise)
    if len(ids) < 2:
        return ["There is no pair."]
    rows = []
    for a in ids:
        duels = {
            b: (result.pairwise[a][b], result.pairwise[b][a]) for b in ids if b != a
        }
        won, lost = (
            sum(x > y for x, y in duels.values()),
            sum(x < y for x, y in duels.values()),
        )
        cells = [f"{duels[b][0]} : {duels[b][1]}" if b != a else "" for b in ids]
        rows.append(
            [escape_inline(a), *cells, f"{won}–{len(duels) - won - lost}–{lost}"]
        )
    head = ["row : column", *(escape_inline(b) for b in ids), "won–level–lost"]
    return [markdown_table(head, rows, right=range(1, len(ids) + 2))]


def _rounds(result: CountResult) -> list[str]:
    rows = []
    for n, each in enumerate(result.rounds, 1):
        counts = ", ".join(
            f"{c} {v}"
            for c, v in sorted(
                each.counts.items(), key=lambda item: (-item[1], item[0])
            )
        )
        if each.elected:
            does = ("elects " if len(each.elected) == 1 else "level: ") + ", ".join(
                each.elected
            )
        elif each.tied:
            does = f"tie for last: {', '.join(each.tied)}"
        else:
            does = f"out: {', '.join(each.eliminated)}"
        kind = " (head to head)" if each.head_to_head else ""
        rows.append(
            [
                str(n),
                escape_inline(counts) + kind,
                str(each.exhausted),
                escape_inline(does),
            ]
        )
    return [
        markdown_table(["", "first choices", "exhausted", "then"], rows, right=[0, 2])
    ]


def _flips(result: CountResult, ifs: WhatIfs) -> list[str]:
    if result.method in {"unopposed", "no_ballots"}:
        return [
            "Nothing: no ballot was needed."
            if result.method == "unopposed"
            else "Any ballot."
        ]
    lines = [
        f"- without the ballot of {names([v])}: {outcome_told(ifs.without[v])}"
        for v in ifs.pivotal
    ]
    lines = lines or [
        "- no single ballot: without any one of them the result is the same"
    ]
    if result.winner and result.method == "condorcet":
        row = {
            b: (n - result.pairwise[b][result.winner], b)
            for b, n in result.pairwise[result.winner].items()
        }
        by, rival = min(row.values())
        turned = (by + 1) // 2
        lines.append(
            f"- the closest pair is with {escape_inline(rival)}: {turned} ballot{'s'[: turned > 1]} turned round would end it"
        )
    first, of = ifs.first_shown
    if of:
        lines.append(
            f"- position check: {first} of {of} ballots rank first what was shown first"
        )

    def ranked(scores: Any) -> str:
        return escape_inline(
            ", ".join(
                f"{c} {n}"
                for c, n in sorted(scores.items(), key=lambda item: (-item[1], item[0]))
            )
        )

    rows = [
        ["with self-votes counted", outcome_told(ifs.self_votes)],
        ["instant runoff alone", outcome_told(ifs.irv)],
    ]
    rows += [
        ["first choices only", ranked(ifs.first_choices)],
        ["Borda", ranked(ifs.borda)],
    ]
    rows += [["Copeland", ranked(ifs.copeland)]]
    return [
        "\n".join(lines),
        "For information; none of it decides:",
        markdown_table(["another rule", "says"], rows),
    ]


def _open(vote: Vote, winner: Candidate | None) -> list[str]:
    parts: list[str] = []
    for c in [winner] if winner else vote.candidates:
        if still := strongest(c):
            risk = f", risk {still.risk} of 5" if still.risk else ""
            parts += [
                f"Against {escape_inline(c.id)}, by {names([still.by])}{risk}:",
                quote(still.text),
            ]
            parts += ["Answered:", quote(still.answer)] if still.answer.strip() else []
    return parts or ["No objection."]


def _audit(vote: Vote) -> list[str]:
    """The whole vote as `catherd count` reads it: JSON words are YAML words."""

    def said(thing: Any) -> str:
        return msgspec.json.encode(thing).decode()

    def ids(ranking: Sequence[Any]) -> list[Any]:
        return [
            [plain_text(str(i)) for i in r]
            if isinstance(r, list | tuple)
            else plain_text(str(r))
            for r in ranking
        ]

    own = recused(vote)
    lines = [
        f"candidates: {said([c.id for c in vote.candidates])}",
        "ballots:" if vote.sheets else "ballots: []",
    ]
    lines += [
        f"- [1, {said([] if s.abstain else ids(s.ranking))}]  # {cut_columns(s.voter, 40)}"
        for s in vote.sheets
    ]
    struck = {str(n): own[s.voter] for n, s in enumerate(vote.sheets) if own[s.voter]}
    lines += (
        ["recused:", *(f"  {n}: {said(c)}" for n, c in struck.items())]
        if struck
        else []
    )
    return [
        prose(f"Rule {vote.rule}. `.venv/bin/catherd count FILE` says the same of:"),
        fence("\n".join(lines), "yaml"),
    ]


def names(voters: Iterable[str]) -> str:
    """`claude, gemini and you`."""
    said = ["you" if v == HUMAN else escape_inline(v) for v in voters]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def outcome_told(outcome: Outcome) -> str:
    """`trail-map (irv)`, `a tie of a, b`, `no ballots`."""
    if outcome.winner:
        return f"{escape_inline(outcome.winner)} ({outcome.method})"
    return (
        f"a tie of {escape_inline(', '.join(outcome.tied))}"
        if outcome.method == "tie"
        else "no ballots"
    )

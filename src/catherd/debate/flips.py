"""What would have flipped a vote, as the record tells it. Pure."""

from collections.abc import Iterable

from catherd.core.escape import escape_inline, markdown_table
from catherd.debate.tally import CountResult, Outcome, WhatIfs
from catherd.debate.vote import HUMAN, scores_told


def flips_md(result: CountResult, ifs: WhatIfs) -> list[str]:
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

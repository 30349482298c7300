"""Bids: what an agent says about the tasks before they are allotted, and the swap that
it wishes afterwards.
"""

import re
from collections.abc import Collection

from catherd.answers.envelopes import Unusable, parse_envelope
from catherd.bus.store import tidy_text
from catherd.core.messages import Ask
from catherd.core.tasks import Bid

_LINE = re.compile(
    r"^[-*]\s*`?([A-Za-z]+-[\w-]+)`?\s*[:—-]\s*fit\s*(\d)\s*(?:,\s*effort\s*(\d+))?\s*[,:;.—-]*\s*(.*)$",
    re.IGNORECASE,
)


_ADD = re.compile(
    r"^[-*]\s*add\s+`?(D-[a-z0-9-]{2,30})`?\s*\(([^();]+)(?:;\s*needs\s+([^()]*))?\)\s*:\s*(.+)$",
    re.IGNORECASE,
)
_SWAP = re.compile(
    r"^[-*]\s*(?:I\s+)?give\s+`?([A-Za-z]+-[\w-]+)`?,?\s+(?:and\s+)?take\s+`?([A-Za-z]+-[\w-]+)`?\s*[:;,.—-]*\s*(.*)$",
    re.IGNORECASE,
)


def read_bid(ask: Ask, text: str, *, last_try: bool) -> Bid:
    """The bid in a model's answer: one line a task, `- D-ux: fit 4, effort 2: reason`.

    Raises Unusable for a task that is none, a fit that is none, or a missing task. On
    the last try a task that is missing counts as not said.
    """
    envelope = parse_envelope(text)
    known = {one.by for one in ask.inputs if one.kind == "task"}
    bid = Bid()
    errors = []
    for line in envelope.body.splitlines():
        errors += _read_line(bid, known, line.strip())

    missing = sorted(known - set(bid.fits))
    if missing and not last_try:
        errors.append(
            f"no line for {', '.join(missing)}; each is `- ID: fit 0–5, effort hours: reason`"
        )

    if errors and not (last_try and bid.fits):
        raise Unusable(errors)
    return bid


def _read_line(bid: Bid, known: Collection[str], line: str) -> list[str]:
    """Put one line into the bid; what is wrong with it.

    A line about nothing is passed over.
    """
    if re.match(r"[-*]\s*add\b", line, re.IGNORECASE):
        return _added(bid, line)
    found = _LINE.match(line)
    if found is None:
        return []

    named, fit = found[1], int(found[2])
    task = next((name for name in known if name.lower() == named.lower()), named)
    if task not in known:
        return [f"'{task}' is no task; there are {', '.join(sorted(known))}"]
    if fit > 5:
        return [f"{task}: the fit is a number from 0 to 5, not {fit}"]

    bid.fits[task] = fit
    bid.effort[task] = int(found[3] or 0)
    bid.reasons[task] = tidy_text(found[4])[:200]
    return []


def _added(bid: Bid, line: str) -> list[str]:
    """Put a task that the agent adds into the bid; what is wrong with the line.

    Whether the task may be added is decided where tasks are allotted.
    """
    found = _ADD.match(line)
    if not found:
        return [
            f"'{line[:60]}': a task of yours is one line `- add D-name (docs/name.md; needs D-index): what it is`"
        ]
    added = {
        "id": found[1],
        "title": tidy_text(found[4])[:100],
        "paths": _words(found[2]),
        "needs": _words(found[3] or ""),
    }
    bid.adds.append(added)
    return []


def _words(listed: str) -> list[str]:
    """The words of a list with commas, without blanks and quotes."""
    words = [word.strip(" `") for word in listed.split(",")]
    return [word for word in words if word]


def read_swap(ask: Ask, me: str, text: str) -> Bid:
    """The swap in a model's answer: one line `- give D-ux, take D-data: reason`, or
    `keep`.

    Raises Unusable for one that was not on offer.
    """
    envelope = parse_envelope(text)
    mine = [one for one in ask.inputs if one.kind == "swap" and one.by == me]
    offered = {(one.data["mine"], one.data["theirs"]) for one in mine}

    for line in envelope.body.splitlines():
        found = _SWAP.match(line.strip())
        if found is None:
            continue
        give, take = found[1], found[2]
        if (give, take) not in offered:
            raise Unusable(
                [f"give {give}, take {take} is not on offer; say one that is, or keep"]
            )
        note = tidy_text(found[3])[:200]
        return Bid(kind="swap", swap={"give": give, "take": take}, note=note)

    if not re.search(r"\bkeep\b", envelope.body, re.IGNORECASE):
        raise Unusable(["one line: `- give ID, take ID: reason`, or `- keep`"])
    return Bid(kind="swap")

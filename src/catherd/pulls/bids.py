"""Bids: what an agent says about the tasks before they are allotted, and the swap that it wishes afterwards. Pure."""

import re

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
    """The bid in a model's answer: one line a task, `- D-ux: fit 4, effort 2: reason`. Raises Unusable for a task that is
    none, a fit that is none, or a missing task; on the last try what is missing counts as not said.
    """
    envelope = parse_envelope(text)
    known = {i.by for i in ask.inputs if i.kind == "task"}
    bid = Bid()
    errors = []
    for line in envelope.body.splitlines():
        if re.match(r"[-*]\s*add\b", line.strip(), re.IGNORECASE):
            errors += _added(bid, line.strip())
            continue
        found = _LINE.match(line.strip())
        if not found:
            continue
        task, fit = (
            next((k for k in known if k.lower() == found[1].lower()), found[1]),
            int(found[2]),
        )
        if task not in known:
            errors.append(f"'{task}' is no task; there are {', '.join(sorted(known))}")
        elif fit > 5:
            errors.append(f"{task}: the fit is a number from 0 to 5, not {fit}")
        else:
            bid.fits[task] = fit
            bid.effort[task] = int(found[3] or 0)
            bid.reasons[task] = tidy_text(found[4])[:200]
    missing = sorted(known - set(bid.fits))
    if missing and not last_try:
        errors.append(
            f"no line for {', '.join(missing)}; each is `- ID: fit 0–5, effort hours: reason`"
        )
    if errors and not (last_try and bid.fits):
        raise Unusable(errors)
    return bid


def _added(bid: Bid, line: str) -> list[str]:
    """A task that the agent adds; whether it may is decided where tasks are allotted."""
    found = _ADD.match(line)
    if not found:
        return [
            f"'{line[:60]}': a task of yours is one line `- add D-name (docs/name.md; needs D-index): what it is`"
        ]
    paths, needs = (
        [w.strip(" `") for w in (found[n] or "").split(",") if w.strip(" `")]
        for n in (2, 3)
    )
    bid.adds.append(
        {
            "id": found[1],
            "title": tidy_text(found[4])[:100],
            "paths": paths,
            "needs": needs,
        }
    )
    return []


def read_swap(ask: Ask, me: str, text: str) -> Bid:
    """The swap in a model's answer: one line `- give D-ux, take D-data: reason`, or `keep`. Raises Unusable for one that was
    not on offer.
    """
    envelope = parse_envelope(text)
    offered = {
        (i.data["mine"], i.data["theirs"])
        for i in ask.inputs
        if i.kind == "swap" and i.by == me
    }
    for line in envelope.body.splitlines():
        found = _SWAP.match(line.strip())
        if found and (found[1], found[2]) in offered:
            return Bid(
                kind="swap",
                swap={"give": found[1], "take": found[2]},
                note=tidy_text(found[3])[:200],
            )
        if found:
            raise Unusable(
                [
                    f"give {found[1]}, take {found[2]} is not on offer; say one that is, or keep"
                ]
            )
    if not re.search(r"\bkeep\b", envelope.body, re.IGNORECASE):
        raise Unusable(["one line: `- give ID, take ID: reason`, or `- keep`"])
    return Bid(kind="swap")

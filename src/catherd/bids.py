"""Bids: what an agent says about the tasks before they are allotted, read from its answer. Pure."""

import re

from catherd.answers import Unusable, parse
from catherd.bus import tidy
from catherd.messages import Ask
from catherd.tasks import Bid

_LINE = re.compile(
    r"^[-*]\s*`?([A-Za-z]+-[\w-]+)`?\s*[:—-]\s*fit\s*(\d)\s*(?:,\s*effort\s*(\d+))?\s*[,:;.—-]*\s*(.*)$", re.IGNORECASE
)


def hear(ask: Ask, text: str, *, last_try: bool) -> Bid:
    """The bid in a model's answer: one line a task, `- D-ux: fit 4, effort 2: reason`. Raises Unusable for a task that is
    none, a fit that is none, or a missing task; on the last try what is missing counts as not said.
    """
    envelope = parse(text)
    known = {i.by for i in ask.inputs if i.kind == "task"}
    bid = Bid()
    errors = []
    for line in envelope.body.splitlines():
        found = _LINE.match(line.strip())
        if not found:
            continue
        task, fit = next((k for k in known if k.lower() == found[1].lower()), found[1]), int(found[2])
        if task not in known:
            errors.append(f"'{task}' is no task; there are {', '.join(sorted(known))}")
        elif fit > 5:
            errors.append(f"{task}: the fit is a number from 0 to 5, not {fit}")
        else:
            bid.fits[task] = fit
            bid.effort[task] = int(found[3] or 0)
            bid.reasons[task] = tidy(found[4])[:200]
    missing = sorted(known - set(bid.fits))
    if missing and not last_try:
        errors.append(f"no line for {', '.join(missing)}; each is `- ID: fit 0–5, effort hours: reason`")
    if errors and not (last_try and bid.fits):
        raise Unusable(errors)
    return bid

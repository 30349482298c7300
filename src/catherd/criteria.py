"""What the roadmap asks of a milestone: when it may begin, when it is reached. Commands are run in the box, the rest is yours.

`docs/roadmap.yaml` in the tree that is judged says both; where there is none, or nothing for the milestone, nothing is asked.
"""

import os
import shlex
from typing import Any

from catherd import sandbox, yamldoor
from catherd.errors import CatherdError
from catherd.evidence import Criterion, Evidence, judge

ROADMAP = "docs/roadmap.yaml"
SECONDS = 300


def asked(tree: str, milestone: str) -> dict[str, Any]:
    """The milestone's entry in the roadmap of `tree`; empty when there is none. Raises CatherdError where it does not parse."""
    path = os.path.join(tree, ROADMAP)
    if not os.path.isfile(path):
        return {}
    data = yamldoor.read(path, ROADMAP).data
    entry = (data.get("milestones") or {}).get(milestone) if isinstance(data, dict) else None
    return entry if isinstance(entry, dict) else {}


def look(evidence: Evidence, tree: str, milestone: str, minimum: str) -> Evidence:
    """The evidence with the milestone's goal and criteria in it; a command that fails is a reason against it."""
    try:
        entry = asked(tree, milestone)
    except CatherdError as error:
        return judge(evidence, [*evidence.reasons, str(error)], [])
    evidence.goal, evidence.demo = (" ".join(str(entry.get(key, "")).split()) for key in ("goal", "demo"))
    evidence.entry = [str(one) for one in entry.get("entry") or []]
    evidence.exits = [_seen(one, tree, minimum) for one in entry.get("exit") or [] if isinstance(one, dict)]
    wrong = {
        verdict: [_told(one) for one in evidence.exits if one.verdict == verdict] for verdict in ("fail", "unknown")
    }
    if wrong["fail"]:
        return judge(evidence, [*evidence.reasons, *wrong["fail"]], [])
    if wrong["unknown"] and evidence.verdict != "red":
        return judge(evidence, [], [*evidence.reasons, *wrong["unknown"]])
    return evidence


def _seen(one: dict[str, Any], tree: str, minimum: str) -> Criterion:
    run = [str(word) for word in one.get("run") or []]
    if not run:
        return Criterion(text=" ".join(str(one.get("human", "")).split()), verdict="yours")
    text = shlex.join(run)
    limits = sandbox.Limits(wall_s=SECONDS, cpu_s=SECONDS)
    try:
        got = sandbox.run(run, tree=tree, limits=limits, minimum=minimum)
    except CatherdError as error:
        return Criterion(text=text, verdict="unknown", why=str(error))
    if got.rc == 0 and got.why is None:
        return Criterion(text=text, verdict="pass")
    how = f"stopped: {got.why}" if got.why else f"exit {got.rc}"
    return Criterion(text=text, verdict="fail", why=f"{how}: {got.log[-600:].strip()}")


def _told(one: Criterion) -> str:
    return f"the roadmap's exit criterion `{one.text}`: {one.why}"

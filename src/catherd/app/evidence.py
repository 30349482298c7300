"""What the milestone gate saw, as data. Pure.

It is for the bus, for the agents that must mend it, and for the note on `main`. A step,
a run and a journey have the verdict pass, fail or unknown; the whole has green, red or
unknown. Unknown never passes.
"""

import msgspec


class StepSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One step: what was sent, what was seen, why it failed.

    `shot`: the file name of a screenshot.
    """

    number: int
    kind: str
    sent: str
    verdict: str
    seen: str = ""
    why: str = ""
    seconds: float = 0.0
    shot: str = ""


class Run(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One run of a journey.

    `against`: "null app", "app, first time" or "app, second time". `after`: what was
    wrong when it stopped.
    """

    against: str
    verdict: str
    steps: list[StepSeen] = []
    why: str = ""
    after: list[str] = []
    log: str = ""
    seconds: float = 0.0
    values: dict[str, str] = {}  # what {nonce.a} and {number.a} were in this run


class Shown(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A journey and its runs."""

    id: str
    story: str
    title: str
    verdict: str
    by: str = ""  # who wrote it, by git
    failure: bool = False
    runs: list[Run] = []


class Criterion(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One exit criterion of the roadmap.

    It is a command with the verdict pass, fail or unknown, or a sentence that only a
    person can judge, with the verdict "yours".
    """

    text: str
    verdict: str
    why: str = ""


class Evidence(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The whole. It speaks of this commit and tree only.

    `reasons` is empty when, and only when, the verdict is green.
    """

    catherd: int = 1
    verdict: str = "unknown"
    reasons: list[str] = []
    app: str = ""
    kind: str = ""
    summary: str = ""
    try_it: str = ""
    commit: str = ""
    tree: str = ""
    manifest: str = ""  # sha256 of app/app.yaml
    tier: str = ""
    seconds: float = 0.0
    journeys: list[Shown] = []
    # Stories of the milestone without a journey: claimed, not shown.
    unshown: list[str] = []
    # Of the milestone, as the roadmap says it; so are the next three.
    goal: str = ""
    demo: str = ""
    entry: list[str] = []
    exits: list[Criterion] = []
    own: list[str] = []  # a line on each who wrote a journey and the code it proves
    waiver: str = ""  # a person's words that let the browser steps go unseen
    known_gaps: list[str] = []
    log: str = ""  # of the installation


def judge_evidence(evidence: Evidence, red: list[str], unknown: list[str]) -> Evidence:
    """The evidence with its verdict.

    It is red if anything is wrong, else unknown if anything was not seen, else green.
    """
    evidence.reasons = red + unknown
    evidence.verdict = "green"
    if unknown:
        evidence.verdict = "unknown"
    if red:
        evidence.verdict = "red"

    return evidence


def failed_step(run: Run) -> StepSeen | None:
    """The step at which a run ended, if it did not pass."""
    return next((step for step in run.steps if step.verdict != "pass"), None)


def run_told(shown: Shown, run: Run) -> str:
    """One line on what went wrong in a run: journey, step, what was sent and why."""
    head = f"{shown.id} ({shown.title}), {run.against}"
    step = failed_step(run)
    if step is None:
        return f"{head}: {run.why or '; '.join(run.after)}"
    return f"{head}, step {step.number} `{step.sent}`: {step.why}"

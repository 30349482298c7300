"""The note of a milestone, docs/milestones/<name>.md.

It says what works, what was shown, known gaps, and how to try it. It is a function of
the evidence and the template `templates/milestones/note.md.j2` alone. What the app said
stands in code, on one line, cut.
"""

import os
import re
from typing import Any

import msgspec

from catherd.app.evidence import Evidence, Run, Shown, StepSeen

_CUT = 240  # characters of what was sent or seen
_LOG = 1500  # characters of the end of an app's log
_STATUS = {"green": "proved", "red": "not proved", "unknown": "not proved"}


def note_md(evidence: Evidence, milestone: str, *, root: str, shots: str = "") -> str:
    """The note as Markdown. `root`: the directory that holds `templates/`.

    `shots`: where the pictures stand, as seen from the note.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    env = Environment(
        loader=FileSystemLoader(os.path.join(root, "templates")),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is Markdown; the filters below keep it in its place
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update({"line": plain_line, "code": _code, "fence": _fence})
    fields = Evidence.__struct_fields__
    view: dict[str, Any] = {name: getattr(evidence, name) for name in fields}
    view["title"] = milestone
    view["status"] = _STATUS[evidence.verdict]
    view["shots"] = shots or "."
    view["journeys"] = [_journey(shown) for shown in evidence.journeys]
    text = env.get_template("milestones/note.md.j2").render(view)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _journey(shown: Shown) -> dict[str, Any]:
    """A journey as the template takes it, with the steps of one run in `shown`."""
    run = _telling_run(shown)
    fields = ("id", "story", "title", "by", "failure", "verdict")
    view: dict[str, Any] = {name: getattr(shown, name) for name in fields}
    view["shown"] = [_step(step, run) for step in run.steps]
    return view


def _telling_run(shown: Shown) -> Run:
    """The run of the real app that tells most: one that went wrong, else the first."""
    real = [run for run in shown.runs if run.against != "null app"]
    for run in real:
        if run.verdict != "pass":
            return run
    return real[0] if real else Run(against="", verdict="unknown")


def _step(step: StepSeen, run: Run) -> dict[str, str]:
    """A step as the template takes it. Random values go by their names.

    So the note of one tree is the same whenever it is written.
    """
    view = {"sent": step.sent, "seen": step.seen, "why": step.why}
    for name, value in run.values.items():
        for key, text in view.items():
            view[key] = text.replace(value, f"{{{name}}}")

    view["shot"] = step.shot
    return view


def plain_line(text: str) -> str:
    """One line of text that opens no heading, list, link, picture or tag."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(str(text).split()))


def _code(text: str) -> str:
    """The inside of a code span: one line, cut, without a backquote."""
    flat = " ".join(str(text).split()).replace("`", "'")
    return flat if len(flat) <= _CUT else flat[:_CUT] + "…"


def _fence(text: str) -> str:
    """A fenced block that the text cannot end: its fence is longer than any inside."""
    inside = [len(run) for run in re.findall(r"`+", text)]
    marks = "`" * max(3, 1 + max(inside, default=0))
    return f"{marks}text\n{text.rstrip()}\n{marks}"


class FailedJourney(msgspec.Struct, frozen=True):
    """What an agent needs to mend what a journey found, from the run that failed.

    `journey` and `story` are ids, `steps` are lines of Markdown, `log` is the end of
    what the app printed, `shots` are the file names of pictures.
    """

    journey: str
    story: str
    steps: list[str]
    log: str
    shots: list[str]


def failed_journeys(evidence: Evidence) -> list[FailedJourney]:
    """What a herd needs to mend a red gate, of each journey that failed."""
    found = []
    for shown in evidence.journeys:
        run = _failed_run(shown)
        if run is None:
            continue

        steps = [_step_line(step) for step in run.steps]
        wrong = [run.why, *run.after] if run.why else run.after
        steps += [f"{run.against}: {why}" for why in wrong]
        shots = [step.shot for step in run.steps if step.shot]
        found.append(
            FailedJourney(shown.id, shown.story, steps, run.log[-_LOG:], shots)
        )

    return found


def _failed_run(shown: Shown) -> Run | None:
    """The run of the real app that failed, or that of the null app that passed."""
    for run in shown.runs:
        if run.against != "null app" and run.verdict == "fail":
            return run
    if shown.runs and shown.runs[0].verdict == "pass":
        return shown.runs[0]
    return None


def _step_line(step: StepSeen) -> str:
    why = f", {step.why}" if step.why else ""
    seen = _code(step.seen)
    return f"{step.number}. `{_code(step.sent)}` → `{seen}`: {step.verdict}{why}"

"""The note of a milestone, docs/milestones/<name>.md: what works, what was shown, known gaps, how to try it.

A function of the evidence and the template `templates/milestones/note.md.j2` alone. What the app said stands in code, on one line, cut.
"""

import os
import re
from typing import Any

from catherd.app.evidence import Evidence, Run, Shown

_CUT = 240  # characters of what was sent or seen


def note_md(
    evidence: Evidence,
    milestone: str,
    *,
    root: str,
    shots: str = "",
    delivered: str = "",
) -> str:
    """The note as Markdown. `root`: the directory that holds `templates/`. `shots`: where the pictures stand, as seen from the note.

    `delivered`: who said yes, and when; with it a proved milestone is delivered.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    env = Environment(
        loader=FileSystemLoader(os.path.join(root, "templates")),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is Markdown; the filters below keep it in its place
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update({"line": one_line, "code": _code, "fence": _fence})
    status = {"green": "proved", "red": "not proved", "unknown": "not proved"}[
        evidence.verdict
    ]
    view: dict[str, Any] = {
        name: getattr(evidence, name) for name in Evidence.__struct_fields__
    }
    view |= {
        "title": milestone,
        "status": f"delivered ({delivered})"
        if delivered and status == "proved"
        else status,
    }
    view |= {
        "shots": shots or ".",
        "journeys": [_journey(shown) for shown in evidence.journeys],
    }
    text = env.get_template("milestones/note.md.j2").render(view)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _journey(shown: Shown) -> dict[str, Any]:
    # The first run against the app tells the story; a run that went wrong tells it better.
    real = [run for run in shown.runs if run.against != "null app"]
    run = next(
        (run for run in real if run.verdict != "pass"),
        real[0] if real else Run(against="", verdict="unknown"),
    )
    data: dict[str, Any] = {
        name: getattr(shown, name)
        for name in ("id", "story", "title", "by", "failure", "verdict")
    }
    steps = [
        {key: _named(getattr(step, key), run) for key in ("sent", "seen", "why")}
        | {"shot": step.shot}
        for step in run.steps
    ]
    return data | {"shown": steps}


def _named(text: str, run: Run) -> str:
    # The note of one tree is the same whenever it is written: random values by their names.
    for name, value in run.values.items():
        text = text.replace(value, f"{{{name}}}")
    return text


def one_line(text: str) -> str:
    """One line of text that opens no heading, list, link, picture or tag."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(str(text).split()))


def _code(text: str) -> str:
    """The inside of a code span: one line, cut, without a backquote."""
    flat = " ".join(str(text).split()).replace("`", "'")
    return flat if len(flat) <= _CUT else flat[:_CUT] + "…"


def _fence(text: str) -> str:
    """A fenced block that the text cannot end."""
    marks = "`" * max(
        3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0)
    )
    return f"{marks}text\n{text.rstrip()}\n{marks}"


def lines_for_agents(evidence: Evidence) -> list[dict[str, str]]:
    """What a herd needs to mend a red gate: for each journey that failed its id, story, title, reason, the steps of the run that
    failed, the end of the app's log, and the names of the pictures.
    """
    found = []
    for shown in evidence.journeys:
        run = next(
            (
                run
                for run in shown.runs
                if run.against != "null app" and run.verdict == "fail"
            ),
            None,
        )
        if run is None and shown.runs and shown.runs[0].verdict == "pass":
            run = shown.runs[0]
        if run is not None:
            reason = next(
                (line for line in evidence.reasons if line.startswith(f"{shown.id} (")),
                run.why,
            )
            fields = {"journey": shown.id, "story": shown.story, "title": shown.title}
            steps = [
                f"{s.number}. `{_code(s.sent)}` → `{_code(s.seen)}`: {s.verdict}{f', {s.why}' if s.why else ''}"
                for s in run.steps
            ]
            steps += [
                f"{run.against}: {why}"
                for why in [*([run.why] if run.why else []), *run.after]
            ]
            shots = ", ".join(step.shot for step in run.steps if step.shot)
            found.append(
                {
                    **fields,
                    "reason": reason,
                    "steps": "\n".join(steps),
                    "log": run.log[-1500:],
                    "shots": shots,
                }
            )
    return found

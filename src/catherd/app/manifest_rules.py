"""The rules that a well-formed app.yaml can still break.

Each finding names its line and what to write. What breaks a rule of `malformed` is not
played at all. What breaks one of `unproven` can be played, but a journey that proves
nothing is worse than none: see "What else the gate wants" in docs/handbook/app.md. The
rules for a single step are in `step_rules`.

`APP_RULES` and `PROOF_RULES` are tables: to add a rule, write a function that gives a
`Fault` for each breach, and put it into one of them.
"""

import re
from collections.abc import Callable, Iterable

from catherd.app import freshness, step_rules
from catherd.app.manifest_file import App, Journey, Manifest
from catherd.app.step_rules import Breach, unknown_names
from catherd.core.errors import CatherdError

_GIVEN = {"port", "host", "data", "url"}  # the placeholders that every app is given
# How much of a machine, and of a person's patience, a gate may take: (least, most).
_ROOM = {
    ("ready", "within_s"): (0.1, 60),
    ("stop", "within_s"): (0.1, 30),
    ("limits", "seconds"): (1, 300),
    ("limits", "memory_mb"): (16, 2048),
    ("limits", "processes"): (4, 256),
}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")
_TRY_IT_LINES = 3  # the least that tells a person what to do and to see


def manifest_findings(manifest: Manifest) -> list[CatherdError]:
    """Everything that is wrong with the manifest by itself. Empty when nothing is.

    What is malformed comes first, then what is unproven.
    """
    return malformed_manifest(manifest) + unproven(manifest)


def malformed_manifest(manifest: Manifest) -> list[CatherdError]:
    """What cannot or may not be played as it stands, in the order of the file."""
    return _broken(APP_RULES, manifest)


def unproven(manifest: Manifest) -> list[CatherdError]:
    """What can be played and would prove nothing, or not what is claimed."""
    return _broken(PROOF_RULES, manifest)


def unshown(app: App, stories: list[str]) -> list[str]:
    """The stories that no journey shows: claimed, not shown.

    What a constant could pass, as a failure path may be, shows no story.
    """
    shown = {one.story for one in app.journeys if freshness.sends_fresh(app, one)}
    return [story for story in stories if story not in shown]


Faults = Iterable[Breach]
Rules = tuple[Callable[[App], Faults], ...]


def _broken(rules: Rules, manifest: Manifest) -> list[CatherdError]:
    """What breaks these rules, each with its place in the file."""
    found = []
    for rule in rules:
        for fault in rule(manifest.app):
            where = manifest.document.where(*fault.keys)
            found.append(CatherdError(fault.what, where=where, fix=fault.fix))

    return found


# What cannot be played


def _name_is_a_name(app: App) -> Faults:
    if not _NAME.match(app.name):
        fix = "lower case, digits and hyphens: `name: notes`"
        yield Breach(f"not a name: {app.name}", fix, ("name",))


def _start_runs_something(app: App) -> Faults:
    if not app.start.run:
        fix = "`run: [python3, server.py]`"
        yield Breach("start.run is empty", fix, ("start", "run"))


def _try_it_says_what_to_do(app: App) -> Faults:
    lines = [line for line in app.try_it.splitlines() if line.strip()]
    if len(lines) < _TRY_IT_LINES:
        fix = "write what a person does and should see, step by step"
        yield Breach("try_it has fewer than three lines", fix, ("try_it",))


def _limits_are_in_their_range(app: App) -> Faults:
    for (part, key), (least, most) in _ROOM.items():
        value = getattr(getattr(app, part), key)
        if not least <= value <= most:  # .nan is in no range
            what = f"{part}.{key} is {value:g}"
            yield Breach(what, f"from {least:g} to {most:g}", (part, key))


def _start_uses_known_placeholders(app: App) -> Faults:
    for key, value in app.start.env.items():
        yield from unknown_names(value, _GIVEN, ("start", "env", key))
    yield from unknown_names(app.start.run, _GIVEN, ("start", "run"))


def _journeys_can_be_played(app: App) -> Faults:
    ids: set[str] = set()
    for number, journey in enumerate(app.journeys):
        if journey.id in ids or not re.fullmatch(r"J-\d+", journey.id):
            what = f"not a new journey id: {journey.id}"
            keys = ("journeys", number, "id")
            yield Breach(what, "number them: J-001, J-002, …", keys)

        ids.add(journey.id)
        yield from _steps_can_be_played(app, journey, number)


def _steps_can_be_played(app: App, journey: Journey, number: int) -> Faults:
    if not journey.steps:
        yield Breach(f"{journey.id} has no steps", "add one", ("journeys", number))

    saved = set(_GIVEN)
    for index, step in enumerate(journey.steps):
        keys = ("journeys", number, "steps", index)
        yield from step_rules.malformed_step(app, step, saved, keys)
        if step_rules.step_kind(step):
            saved |= set(step.save)


# What would prove nothing


def _journeys_prove_something(app: App) -> Faults:
    for number, journey in enumerate(app.journeys):
        if journey.failure:
            yield from _expects_a_refusal(app, journey, number)
        elif journey.steps:
            yield from _sends_a_fresh_value(app, journey, number)


def _expects_a_refusal(app: App, journey: Journey, number: int) -> Faults:
    if not freshness.refuses(app, journey):
        yield Breach(
            f"{journey.id} is a failure path, and no step of it expects a refusal",
            "expect a status from 400 on, an exit other than 0, words on stderr, or `{see: {role: alert}}`; else delete `failure: true`",
            ("journeys", number, "failure"),
        )


def _sends_a_fresh_value(app: App, journey: Journey, number: int) -> Faults:
    if not freshness.sends_fresh(app, journey):
        yield Breach(
            f"{journey.id} sends no fresh value that the app must show, so a constant could pass it",
            "put {nonce.a} into what it sends and into what it expects to see, or `failure: true` if it shows a refusal",
            ("journeys", number),
        )


def _has_journeys(app: App) -> Faults:
    if not app.journeys:
        fix = "write one for each story of the milestone"
        yield Breach("there are no journeys", fix, ("journeys",))


def _shows_a_failure(app: App) -> Faults:
    if app.journeys and not any(journey.failure for journey in app.journeys):
        what = "no journey shows what happens when something is wrong"
        yield Breach(what, "add one with `failure: true`", ("journeys",))


def _shows_that_data_stays(app: App) -> Faults:
    if not app.journeys or not app.persistence:
        return
    if any(freshness.survives(app, journey) for journey in app.journeys):
        return
    fix = "give a nonce to one cli step, expect it of a later one that is not given it"
    if app.kind == "web":
        fix = "write a nonce, `restart: kill`, see it without sending it again"
    what = "persistence: true is claimed, and no journey shows it"
    yield Breach(what, fix, ("persistence",))


def _shows_a_page(app: App) -> Faults:
    if not app.journeys or app.kind != "web" or uses_browser(app):
        return
    what = "a web app needs a journey in the browser"
    yield Breach(what, "add a step `browser: [{goto: /}, …]`", ("kind",))


def uses_browser(app: App) -> bool:
    """Whether any journey has a step in the browser."""
    return any(needs_browser(journey) for journey in app.journeys)


def needs_browser(journey: Journey) -> bool:
    """Whether the journey has a step in the browser."""
    return any(step.browser for step in journey.steps)


# In the order in which what they find is told.
APP_RULES: Rules = (
    _name_is_a_name,
    _start_runs_something,
    _try_it_says_what_to_do,
    _limits_are_in_their_range,
    _start_uses_known_placeholders,
    _journeys_can_be_played,
)
PROOF_RULES: Rules = (
    _journeys_prove_something,
    _has_journeys,
    _shows_a_failure,
    _shows_that_data_stays,
    _shows_a_page,
)

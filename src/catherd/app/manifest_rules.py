"""The rules that a well-formed app.yaml can still break: each finding names its line and what to write.

What breaks a rule of `malformed` is not played at all. What breaks one of `unproven` can be, but a journey that proves nothing is worse than
none: see "What else the gate wants" in docs/handbook/app.md.
"""

import re
from typing import Any

import msgspec

from catherd.app import expectations, freshness
from catherd.app.manifest_file import Action, App, Http, Journey, Manifest, Step
from catherd.core.errors import CatherdError

_BODY = {"json", "json_at", "json_in", "json_contains", "json_lacks"}
_TEXT = {
    "stdout_contains",
    "stdout_lacks",
    "stdout_regex",
    "stderr_contains",
    "stderr_lacks",
}
_MAY = {
    "http": {"status", "body_contains", "body_lacks", "headers"} | _BODY,
    "cli": {"exit"} | _TEXT | _BODY,
    "file": {"exists", "contains", "lacks", "json", "json_at"},
    "browser": set(),
    "restart": set(),
}
_GIVEN = {"port", "host", "data", "url"}
_SPOT = ("fill", "select", "check", "uncheck", "click", "see", "gone")
# How much of a machine, and of a person's patience, a gate may take: (least, most).
_ROOM = {
    ("ready", "within_s"): (0.1, 60),
    ("stop", "within_s"): (0.1, 30),
    ("limits", "seconds"): (1, 300),
    ("limits", "memory_mb"): (16, 2048),
    ("limits", "processes"): (4, 256),
}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")


def kind_of(step: Step) -> str:
    """Which of http, cli, file, browser, restart the step is; empty unless it is exactly one."""
    kinds = [kind for kind in _MAY if getattr(step, kind) is not None]
    return kinds[0] if len(kinds) == 1 else ""


def findings(manifest: Manifest) -> list[CatherdError]:
    """Everything that is wrong with the manifest by itself: what is malformed, then what is unproven; empty when nothing is."""
    return malformed(manifest) + unproven(manifest)


def _complaints(manifest: Manifest) -> tuple[list[CatherdError], Any]:
    found: list[CatherdError] = []

    def complain(what: str, fix: str, *keys: str | int) -> None:
        found.append(CatherdError(what, where=manifest.document.where(*keys), fix=fix))

    return found, complain


def malformed(manifest: Manifest) -> list[CatherdError]:
    """What cannot or may not be played as it stands, in the order of the file."""
    app = manifest.app
    found, complain = _complaints(manifest)
    if not _NAME.match(app.name):
        complain(
            f"not a name: {app.name}",
            "lower case, digits and hyphens: `name: notes`",
            "name",
        )
    if not app.start.run:
        complain("start.run is empty", "`run: [python3, server.py]`", "start", "run")
    if len([line for line in app.try_it.splitlines() if line.strip()]) < 3:
        complain(
            "try_it has fewer than three lines",
            "write what a person does and should see, step by step",
            "try_it",
        )
    for (part, key), (least, most) in _ROOM.items():
        value = getattr(getattr(app, part), key)
        if not least <= value <= most:  # nor is .nan
            complain(
                f"{part}.{key} is {value:g}", f"from {least:g} to {most:g}", part, key
            )
    for key, value in app.start.env.items():
        _placeholders(complain, value, _GIVEN, (), "start", "env", key)
    _placeholders(complain, app.start.run, _GIVEN, (), "start", "run")
    ids: set[str] = set()
    for number, journey in enumerate(app.journeys):
        if journey.id in ids or not re.fullmatch(r"J-\d+", journey.id):
            complain(
                f"not a new journey id: {journey.id}",
                "number them: J-001, J-002, …",
                "journeys",
                number,
                "id",
            )
        ids.add(journey.id)
        _journey(complain, app, journey, number)
    return found


def unproven(manifest: Manifest) -> list[CatherdError]:
    """What can be played and would prove nothing, or not what is claimed."""
    app = manifest.app
    found, complain = _complaints(manifest)
    for number, journey in enumerate(app.journeys):
        if journey.failure and not freshness.refuses(app, journey):
            complain(
                f"{journey.id} is a failure path, and no step of it expects a refusal",
                "expect a status from 400 on, an exit other than 0, words on stderr, or `{see: {role: alert}}`; else delete `failure: true`",
                *("journeys", number, "failure"),
            )
        if (
            not journey.failure
            and journey.steps
            and not freshness.sends_fresh(app, journey)
        ):
            complain(
                f"{journey.id} sends no fresh value that the app must show, so a constant could pass it",
                "put {nonce.a} into what it sends and into what it expects to see, or `failure: true` if it shows a refusal",
                *("journeys", number),
            )
    _whole(complain, app)
    return found


def unshown(app: App, stories: list[str]) -> list[str]:
    """The stories that no journey shows: claimed, not shown. What a constant could pass, as a failure path may be, shows no story."""
    shown = {
        journey.story for journey in app.journeys if freshness.sends_fresh(app, journey)
    }
    return [story for story in stories if story not in shown]


def _placeholders(
    complain: Any, value: Any, known: set[str], made: tuple[str, ...], *keys: str | int
) -> None:
    for name in sorted(expectations.names_in(value)):
        if name not in known and not name.startswith(made):
            complain(
                f"nothing is called {{{name}}} here",
                "save it in an earlier step, or see the table of placeholders",
                *keys,
            )


def _journey(complain: Any, app: App, journey: Journey, number: int) -> None:
    saved = set(_GIVEN)
    if not journey.steps:
        complain(f"{journey.id} has no steps", "add one", "journeys", number)
    for index, step in enumerate(journey.steps):
        keys = ("journeys", number, "steps", index)
        kind = kind_of(step)
        if not kind:
            complain(
                "a step is exactly one of http, cli, file, browser, restart",
                "split it in two",
                *keys,
            )
            continue
        _step(complain, app, step, kind, keys)
        _placeholders(
            complain, msgspec.to_builtins(step), saved, freshness.FRESH, *keys
        )
        saved |= set(step.save)


def _step(
    complain: Any, app: App, step: Step, kind: str, keys: tuple[str | int, ...]
) -> None:
    expect = freshness.expected(step.expect)
    for key in sorted(expect.keys() - _MAY[kind]):
        complain(
            f"a {kind} step cannot expect {key}",
            f"it can expect {', '.join(sorted(_MAY[kind])) or 'nothing'}",
            *keys,
        )
    if kind in {"http", "cli"} and not expect and not step.save:
        complain("a step that expects nothing proves nothing", "add `expect:`", *keys)
    if step.save and kind not in {"http", "cli"}:
        complain(
            f"a {kind} step saves nothing", "move `save:` to an http or cli step", *keys
        )
    if app.kind != "web" and kind in {"http", "browser", "restart"}:
        complain(
            f"a {kind} step needs `kind: web`",
            "use cli steps: each is a new process",
            *keys,
        )
    if step.http is not None:
        _http(complain, step.http, keys)
    if step.cli is not None and app.kind == "web" and not step.cli.run:
        complain(
            "a cli step of a web app needs `run:`",
            "`cli: {run: [python3, tool.py], args: []}`",
            *keys,
        )
    for action in step.browser or []:
        _action(complain, action, keys)
    patterns = [expect["stdout_regex"]] if expect.get("stdout_regex") else []
    for pattern in [*patterns, *(step.save.values() if step.cli is not None else [])]:
        try:
            re.compile(expectations.PLACE.sub("x", pattern))
        except (re.error, OverflowError, RecursionError) as error:
            complain(f"not a regular expression: {error}", "correct it", *keys)
    for name in sorted(
        name for pattern in patterns for name in freshness.can_do_without(pattern)
    ):
        complain(
            f"stdout_regex can match without {{{name}}}",
            "keep it out of (…|…), (…)?, (…)*, (?!…) and […]; `stdout_contains: [A, B]` wants several things",
            *keys,
        )


def _http(complain: Any, http: Http, keys: tuple[str | int, ...]) -> None:
    bodies = [
        http.json is not msgspec.UNSET,
        http.form is not None,
        http.body is not None,
    ]
    if sum(bodies) > 1:
        complain("json, form and body exclude each other", "keep one", *keys)
    if not http.path.startswith("/"):
        complain(
            f"the path does not begin with /: {http.path}",
            "write the path only: `/api/notes`",
            *keys,
        )


def _action(complain: Any, action: Action, keys: tuple[str | int, ...]) -> None:
    if len(msgspec.to_builtins(action)) != 1:
        complain(
            "a browser action is exactly one thing",
            "one map for each: `- {goto: /}`",
            *keys,
        )
    for name in _SPOT:
        spot = getattr(action, name)
        if (
            spot is not None
            and len(freshness.words_of(spot)) - bool(spot.role and spot.name) != 1
        ):
            complain(
                f"{name} finds its element by exactly one of role (with its name), label, placeholder, text",
                f"`{{{name}: {{role: button, name: Save}}}}`",
                *keys,
            )


def _whole(complain: Any, app: App) -> None:
    if not app.journeys:
        complain(
            "there are no journeys",
            "write one for each story of the milestone",
            "journeys",
        )
        return
    if not any(journey.failure for journey in app.journeys):
        complain(
            "no journey shows what happens when something is wrong",
            "add one with `failure: true`",
            "journeys",
        )
    if app.persistence and not any(
        freshness.survives(app, journey) for journey in app.journeys
    ):
        way = (
            "write a nonce, `restart: kill`, see it without sending it again"
            if app.kind == "web"
            else "give a nonce to one cli step, expect it of a later one that is not given it"
        )
        complain(
            "persistence: true is claimed, and no journey shows it", way, "persistence"
        )
    if app.kind == "web" and not any(
        step.browser for journey in app.journeys for step in journey.steps
    ):
        complain(
            "a web app needs a journey in the browser",
            "add a step `browser: [{goto: /}, …]`",
            "kind",
        )

"""The rules that a well-formed app.yaml can still break: each finding names its line and what to write.

A journey that proves nothing is worse than none: see "What else the gate wants" in docs/handbook/app.md.
"""

import re
from typing import Any

import msgspec

from catherd import seen
from catherd.appfile import App, Expect, Journey, Manifest, Step
from catherd.errors import CatherdError

_BODY = {"json", "json_at", "json_in", "json_contains", "json_lacks"}
_TEXT = {"stdout_contains", "stdout_lacks", "stdout_regex", "stderr_contains", "stderr_lacks"}
_MAY = {
    "http": {"status", "body_contains", "body_lacks", "headers"} | _BODY,
    "cli": {"exit"} | _TEXT | _BODY,
    "file": {"exists", "contains", "lacks", "json", "json_at"},
    "browser": set(),
    "restart": set(),
}
_GIVEN = {"port", "host", "data", "url"}
_FRESH = ("nonce.", "number.")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")


def kind_of(step: Step) -> str:
    """Which of http, cli, file, browser, restart the step is; empty unless it is exactly one."""
    kinds = [kind for kind in _MAY if getattr(step, kind) is not None]
    return kinds[0] if len(kinds) == 1 else ""


def expected(expect: Expect | None) -> dict[str, Any]:
    """What an `expect:` says, as builtins, without what it leaves out."""
    if expect is None:
        return {}
    plain: dict[str, Any] = msgspec.to_builtins(expect)
    return plain


def findings(manifest: Manifest) -> list[CatherdError]:
    """Everything that is wrong with the manifest by itself, in the order of the file; empty when nothing is."""
    app, place = manifest.app, manifest.document.where
    found: list[CatherdError] = []

    def complain(what: str, fix: str, *keys: str | int) -> None:
        found.append(CatherdError(what, where=place(*keys), fix=fix))

    if not _NAME.match(app.name):
        complain(f"not a name: {app.name}", "lower case, digits and hyphens: `name: notes`", "name")
    if not app.start.run:
        complain("start.run is empty", "`run: [python3, server.py]`", "start", "run")
    if len([line for line in app.try_it.splitlines() if line.strip()]) < 3:
        complain("try_it has fewer than three lines", "write what a person does and should see, step by step", "try_it")
    if app.ready.within_s > 60 or app.stop.within_s > 30:
        complain("too patient", "ready.within_s is at most 60, stop.within_s at most 30", "ready")
    for key, value in app.start.env.items():
        _placeholders(complain, value, _GIVEN, "start", "env", key)
    _placeholders(complain, app.start.run, _GIVEN, "start", "run")
    ids: set[str] = set()
    for number, journey in enumerate(app.journeys):
        if journey.id in ids or not re.fullmatch(r"J-\d+", journey.id):
            complain(f"not a new journey id: {journey.id}", "number them: J-001, J-002, …", "journeys", number, "id")
        ids.add(journey.id)
        _journey(complain, app, journey, number)
    _whole(complain, app)
    return found


def unshown(app: App, stories: list[str]) -> list[str]:
    """The stories that no journey shows: claimed, not shown."""
    return [story for story in stories if story not in {journey.story for journey in app.journeys}]


def _placeholders(complain: Any, value: Any, known: set[str], *keys: str | int) -> None:
    for name in sorted(seen.names_in(value)):
        if name not in known and not name.startswith(_FRESH):
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
            complain("a step is exactly one of http, cli, file, browser, restart", "split it in two", *keys)
            continue
        _step(complain, app, step, kind, keys)
        _placeholders(complain, msgspec.to_builtins(step), saved, *keys)
        saved |= set(step.save)
    if not journey.failure and journey.steps and not _shows_fresh(journey):
        complain(
            f"{journey.id} sends and expects no fresh value, so a constant could pass it",
            "put {nonce.a} into what it sends and into what it expects, or `failure: true` if it shows a refusal",
            "journeys",
            number,
        )


def _step(complain: Any, app: App, step: Step, kind: str, keys: tuple[str | int, ...]) -> None:
    expect = expected(step.expect)
    for key in sorted(expect.keys() - _MAY[kind]):
        complain(
            f"a {kind} step cannot expect {key}", f"it can expect {', '.join(sorted(_MAY[kind])) or 'nothing'}", *keys
        )
    if kind in {"http", "cli"} and not expect and not step.save:
        complain("a step that expects nothing proves nothing", "add `expect:`", *keys)
    if step.save and kind not in {"http", "cli"}:
        complain(f"a {kind} step saves nothing", "move `save:` to an http or cli step", *keys)
    if app.kind != "web" and kind in {"http", "browser", "restart"}:
        complain(f"a {kind} step needs `kind: web`", "use cli steps: each is a new process", *keys)
    if step.http is not None:
        bodies = [step.http.json is not msgspec.UNSET, step.http.form is not None, step.http.body is not None]
        if sum(bodies) > 1:
            complain("json, form and body exclude each other", "keep one", *keys)
        if not step.http.path.startswith("/"):
            complain(f"the path does not begin with /: {step.http.path}", "write the path only: `/api/notes`", *keys)
    if step.cli is not None and app.kind == "web" and not step.cli.run:
        complain("a cli step of a web app needs `run:`", "`cli: {run: [python3, tool.py], args: []}`", *keys)
    for action in step.browser or []:
        if len(msgspec.to_builtins(action)) != 1:
            complain("a browser action is exactly one thing", "one map for each: `- {goto: /}`", *keys)
    for pattern in [
        *([expect["stdout_regex"]] if expect.get("stdout_regex") else []),
        *(step.save.values() if kind == "cli" else []),
    ]:
        try:
            re.compile(seen.PLACE.sub("x", pattern))
        except re.error as error:
            complain(f"not a regular expression: {error}", "correct it", *keys)


def _sent(step: Step) -> set[str]:
    parts = [msgspec.to_builtins(part) for part in (step.http, step.cli) if part is not None]
    for action in step.browser or []:
        parts += [action.goto, *(msgspec.to_builtins(t) for t in (action.fill, action.select) if t is not None)]
    return {name for name in seen.names_in(parts) if name.startswith(_FRESH)}


def _wanted(step: Step) -> set[str]:
    parts = [expected(step.expect), *([step.file.path] if step.file else [])]
    for action in step.browser or []:
        parts += [msgspec.to_builtins(t) for t in (action.see, action.click) if t is not None]
    return {name for name in seen.names_in(parts) if name.startswith(_FRESH)}


def _shows_fresh(journey: Journey) -> bool:
    sent: set[str] = set()
    for step in journey.steps:
        sent |= _sent(step)
        if sent & _wanted(step):
            return True
    return False


def _survives(app: App, journey: Journey) -> bool:
    # A value sent, then everything killed (for a command: another process), then the value seen again.
    sent: set[str] = set()
    before: set[str] = set()
    for step in journey.steps:
        if before & _wanted(step):
            return True
        sent |= _sent(step)
        if step.restart == "kill" or app.kind != "web":
            before = set(sent)
    return False


def _whole(complain: Any, app: App) -> None:
    if not app.journeys:
        complain("there are no journeys", "write one for each story of the milestone", "journeys")
        return
    if not any(journey.failure for journey in app.journeys):
        complain("no journey shows what happens when something is wrong", "add one with `failure: true`", "journeys")
    if app.persistence and not any(_survives(app, journey) for journey in app.journeys):
        way = (
            "write a nonce, `restart: kill`, read it"
            if app.kind == "web"
            else "give a nonce to one cli step, expect it of a later one"
        )
        complain("persistence: true is claimed, and no journey shows it", way, "persistence")
    if app.kind == "web" and not any(step.browser for journey in app.journeys for step in journey.steps):
        complain("a web app needs a journey in the browser", "add a step `browser: [{goto: /}, …]`", "kind")

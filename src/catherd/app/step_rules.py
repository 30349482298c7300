"""The rules that one step of a journey can break, though the file has the right shape.

`malformed` gives what is wrong with a step. `STEP_RULES` is the table: to add a rule,
write a function that gives a `Fault` for each breach, and put it into the table.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from catherd.app import expectations, freshness
from catherd.app.manifest_file import Action, App, Step

Keys = tuple[str | int, ...]  # the way from the top of the file to a place in it

_JSON = {"json", "json_at", "json_in", "json_contains", "json_lacks"}
_PRINTED = {
    "stdout_contains",
    "stdout_lacks",
    "stdout_regex",
    "stderr_contains",
    "stderr_lacks",
}
# Kind of step → what it may expect.
_MAY = {
    "http": {"status", "body_contains", "body_lacks", "headers"} | _JSON,
    "cli": {"exit"} | _PRINTED | _JSON,
    "file": {"exists", "contains", "lacks", "json", "json_at"},
    "browser": set(),
    "restart": set(),
}
_TALKS = {"http", "cli"}  # the kinds of steps that send something and get an answer
_ON_THE_WEB = {"http", "browser", "restart"}
# The actions of a browser that are about one element.
_ABOUT_AN_ELEMENT = ("fill", "select", "check", "uncheck", "click", "see", "gone")


class Breach(msgspec.Struct, frozen=True):
    """A breach of a rule: what is wrong, what to write instead, and where it stands."""

    what: str
    fix: str
    keys: Keys = ()


class _Placed(msgspec.Struct, frozen=True):
    """A step as its rules look at it. `expect`: what it expects, as builtins."""

    app: App
    step: Step
    kind: str
    expect: dict[str, Any]


def step_kind(step: Step) -> str:
    """Which of http, cli, file, browser, restart the step is.

    It is "" unless it is exactly one of them.
    """
    kinds = [kind for kind in _MAY if getattr(step, kind) is not None]
    return kinds[0] if len(kinds) == 1 else ""


def malformed_step(app: App, step: Step, known: set[str], keys: Keys) -> list[Breach]:
    """What is wrong with a step that stands at `keys`.

    `known`: the placeholders that mean something there, beside the random ones.
    """
    kind = step_kind(step)
    if not kind:
        what = "a step is exactly one of http, cli, file, browser, restart"
        return [Breach(what, "split it in two", keys)]

    placed = _Placed(app, step, kind, freshness.expected(step.expect))
    faults = []
    for rule in STEP_RULES:
        faults += [Breach(what, fix, keys) for what, fix in rule(placed)]
    step_data = msgspec.to_builtins(step)
    return faults + unknown_names(step_data, known, keys, random=True)


def unknown_names(
    value: Any, known: set[str], keys: Keys, *, random: bool = False
) -> list[Breach]:
    """The placeholders in `value` that mean nothing. `random`: {nonce.…} is allowed."""
    faults = []
    for name in sorted(expectations.placeholder_names(value)):
        if name in known or (random and name.startswith(freshness.FRESH)):
            continue
        fix = "save it in an earlier step, or see the table of placeholders"
        faults.append(Breach(f"nothing is called {{{name}}} here", fix, keys))

    return faults


# Each rule gives (what is wrong, what to write instead) for each breach.
Breaches = Iterable[tuple[str, str]]


def _expects_what_it_may(of: _Placed) -> Breaches:
    may = _MAY[of.kind]
    listed = ", ".join(sorted(may)) or "nothing"
    for key in sorted(of.expect.keys() - may):
        yield f"a {of.kind} step cannot expect {key}", f"it can expect {listed}"


def _expects_something(of: _Placed) -> Breaches:
    if of.kind in _TALKS and not of.expect and not of.step.save:
        yield "a step that expects nothing proves nothing", "add `expect:`"


def _saves_from_an_answer(of: _Placed) -> Breaches:
    if of.step.save and of.kind not in _TALKS:
        fix = "move `save:` to an http or cli step"
        yield f"a {of.kind} step saves nothing", fix


def _fits_the_kind_of_app(of: _Placed) -> Breaches:
    if of.app.kind != "web" and of.kind in _ON_THE_WEB:
        fix = "use cli steps: each is a new process"
        yield f"a {of.kind} step needs `kind: web`", fix


def _has_one_body(of: _Placed) -> Breaches:
    http = of.step.http
    if http is None:
        return
    json = None if http.json is msgspec.UNSET else "json"
    if sum(body is not None for body in (json, http.form, http.body)) > 1:
        yield "json, form and body exclude each other", "keep one"


def _asks_for_a_path(of: _Placed) -> Breaches:
    http = of.step.http
    if http is not None and not http.path.startswith("/"):
        what = f"the path does not begin with /: {http.path}"
        yield what, "write the path only: `/api/notes`"


def _runs_something(of: _Placed) -> Breaches:
    cli = of.step.cli
    if cli is not None and of.app.kind == "web" and not cli.run:
        fix = "`cli: {run: [python3, tool.py], args: []}`"
        yield "a cli step of a web app needs `run:`", fix


def _acts_one_by_one(of: _Placed) -> Breaches:
    for action in of.step.browser or []:
        if len(msgspec.to_builtins(action)) != 1:
            what = "a browser action is exactly one thing"
            yield what, "one map for each: `- {goto: /}`"
        yield from _finds_its_element(action)


def _finds_its_element(action: Action) -> Iterator[tuple[str, str]]:
    for name in _ABOUT_AN_ELEMENT:
        target = getattr(action, name)
        if target is None:
            continue
        ways = len(freshness.words_of(target))
        if target.role and target.name:
            ways -= 1  # the two are one way
        if ways != 1:
            yield (
                f"{name} finds its element by exactly one of role (with its name), label, placeholder, text",
                f"`{{{name}: {{role: button, name: Save}}}}`",
            )


def _has_regular_expressions(of: _Placed) -> Breaches:
    expected = of.expect.get("stdout_regex")
    patterns = [expected] if expected else []
    if of.step.cli is not None:
        patterns += of.step.save.values()

    for pattern in patterns:
        try:
            re.compile(expectations.PLACE.sub("x", pattern))
        except (re.error, OverflowError, RecursionError) as error:
            yield f"not a regular expression: {error}", "correct it"


def _needs_its_fresh_values(of: _Placed) -> Breaches:
    pattern = of.expect.get("stdout_regex", "")
    for name in sorted(freshness.can_do_without(pattern)):
        yield (
            f"stdout_regex can match without {{{name}}}",
            "keep it out of (…|…), (…)?, (…)*, (?!…) and […]; `stdout_contains: [A, B]` wants several things",
        )


# In the order in which what they find is told.
STEP_RULES: tuple[Callable[[_Placed], Breaches], ...] = (
    _expects_what_it_may,
    _expects_something,
    _saves_from_an_answer,
    _fits_the_kind_of_app,
    _has_one_body,
    _asks_for_a_path,
    _runs_something,
    _acts_one_by_one,
    _has_regular_expressions,
    _needs_its_fresh_values,
)

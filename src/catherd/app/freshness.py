"""What a journey shows: which fresh values it sends, and which of them the app must show again. Pure.

A value counts as seen only where an app that does not know it fails the step: not in a `…_lacks`, a `gone`, a file that must not exist, nor in what
a program prints that is not the app's. What no longer counts and the shape to write instead: docs/handbook/app.md, "What counts as seen".
"""

import os
import re
from typing import Any

import msgspec

from catherd.app import expectations
from catherd.app.manifest_file import Action, App, Expect, Journey, Step, Target

FRESH = ("nonce.", "number.")
_NOT_SEEN = {
    "body_lacks",
    "stdout_lacks",
    "stderr_lacks",
    "lacks",
    "json_lacks",
    "json_in",
    "exists",
}
_ESCAPED = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^]\\])*\]", re.DOTALL
)  # a character class is one letter, whatever stands in it
_PARTS = re.compile(
    r"(?P<open>\((?:\?(?:!|<!|#|\(\w+\)))?)|(?P<close>\)(?:[?*]|\{0*[,}])?)|(?P<other>\|)|"
    + expectations.PLACE.pattern
)


def expected(expect: Expect | None) -> dict[str, Any]:
    """What an `expect:` says, as builtins, without what it leaves out."""
    if expect is None:
        return {}
    plain: dict[str, Any] = msgspec.to_builtins(expect)
    return plain


def sends_fresh(app: App, journey: Journey) -> bool:
    """Whether it sends a fresh value that the app must show again: a constant cannot pass that."""
    given: set[str] = set()
    tools: set[str] = set()  # a tool may have written them into the file itself
    for step in journey.steps:
        for sent, shown in _moments(app, step):
            given |= sent
            tools |= sent if _tool(app, step) else set()
            if shown & (given - tools if step.file else given):
                return True
    return False


def survives(app: App, journey: Journey) -> bool:
    """Whether a fresh value is sent, then everything killed (of a command: another process), then the value seen that nobody sent again."""
    given: set[str] = set()
    kept: set[str] = set()
    tools: set[str] = set()
    for step in journey.steps:
        for sent, shown in _moments(app, step):
            kept -= sent
            given |= sent
            tools |= sent if _tool(app, step) else set()
            if shown & (kept - tools):
                return True
        if step.restart == "kill" or app.kind != "web":
            kept = set(given)
    return False


def refuses(app: App, journey: Journey) -> bool:
    """Whether a step expects that something is refused: a status from 400 on, an exit other than 0, words on stderr, an alert on the page."""
    return any(_refused(step) and not _tool(app, step) for step in journey.steps)


def can_do_without(pattern: str) -> set[str]:
    """The fresh values that stand in a regular expression which may match without them."""
    bare = f"({_ESCAPED.sub('x', pattern)})"
    if re.search(r"\(\?[a-z]*x", bare, re.IGNORECASE):  # it may hold comments
        return _fresh(pattern)
    missed = _fresh(pattern) - _fresh(bare)
    within: list[set[str]] = [set()]  # the values in each group that is open
    loose = [False]  # whether it can be matched without them
    for part in _PARTS.finditer(bare):
        if part["open"]:
            within.append(set())
            loose.append(part["open"] != "(")
        elif part["close"] and len(within) > 1:
            names = within.pop()
            missed |= names if loose.pop() or part["close"] != ")" else set()
            within[-1] |= names
        elif part["other"]:
            loose[-1] = True
        else:
            within[-1] |= _fresh(part[0])
    return missed


def _fresh(value: Any) -> set[str]:
    return {name for name in expectations.names_in(value) if name.startswith(FRESH)}


def _tool(app: App, step: Step) -> bool:
    # Beside start.run the app has what lies in it (`bin/add`), and other scripts for the same interpreter (`python3 examples/second.py`).
    if step.cli is None or not step.cli.run:
        return False
    *head, last = step.cli.run
    *same, start = app.start.run or [""]
    ending = os.path.splitext(start)[1]
    script = head == same and bool(ending) and os.path.splitext(last)[1] == ending
    inside = last if script else step.cli.run[0]
    return (
        not (script or "/" in inside)
        or inside.startswith(("/", "-"))
        or ".." in inside.split("/")
    )


def _moments(app: App, step: Step) -> list[tuple[set[str], set[str]]]:
    # (sent, seen) of each request, process, file, browser action.
    if step.browser is not None:
        return [_of_action(action) for action in step.browser]
    sent = _fresh(
        [
            msgspec.to_builtins(part)
            for part in (step.http, step.cli)
            if part is not None
        ]
    )
    expect = expected(step.expect)
    if _tool(app, step) or expect.get("exists") is False:
        return [(sent, set())]
    wanted = {key: value for key, value in expect.items() if key not in _NOT_SEEN}
    return [(sent, _fresh([wanted, step.file.path if step.file else ""]))]


def _of_action(action: Action) -> tuple[set[str], set[str]]:
    typed = [
        action.goto,
        action.fill and action.fill.with_,
        action.select and action.select.option,
    ]
    about = [
        action.see,
        action.click,
        action.check,
        action.uncheck,
        action.fill,
        action.select,
    ]
    return _fresh(typed), _fresh(
        [words_of(target) for target in about if target is not None]
    )


def words_of(target: Target) -> list[str]:
    """By what an element is found: the fields that are set, `name` with its role."""
    return [
        word
        for word in (
            target.role,
            target.name,
            target.text,
            target.label,
            target.placeholder,
        )
        if word
    ]


def _refused(step: Step) -> bool:
    expect = expected(step.expect)
    for key, least in (("status", 400), ("exit", 1)):
        codes = expect.get(key, [])
        codes = [codes] if isinstance(codes, int) else codes
        if codes and all(code >= least for code in codes):
            return True
    alerts = [
        a
        for a in step.browser or []
        if a.see is not None and a.see.role in {"alert", "alertdialog"}
    ]
    return bool(alerts) or any(
        expectations.as_text(text).strip()
        for text in expectations.texts(expect.get("stderr_contains", []))
    )

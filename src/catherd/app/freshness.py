"""What a journey shows: which fresh values it sends, and which the app must show again.

A value counts as seen only where an app that does not know it fails the step. So it
does not count in a `…_lacks`, a `gone`, a file that must not exist, nor in what a
program prints that is not the app's. What no longer counts, and the shape to write
instead: docs/handbook/app.md, "What counts as seen".
"""

import os
import re
from typing import Any

import msgspec

from catherd.app import expectations
from catherd.app.manifest_file import Action, App, Cli, Expect, Journey, Step, Target

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
# An escaped character, or a character class: one letter, whatever stands in it.
_ESCAPED = re.compile(r"\\.|\[\^?\]?(?:\\.|[^]\\])*\]", re.DOTALL)
# The parts of a regular expression that decide whether it needs a placeholder.
_PARTS = re.compile(
    r"(?P<open>\((?:\?(?:!|<!|#|\(\w+\)))?)"
    r"|(?P<close>\)(?:[?*]|\{0*[,}])?)"
    r"|(?P<other>\|)"
    rf"|{expectations.PLACE.pattern}"
)


def expected(expect: Expect | None) -> dict[str, Any]:
    """What an `expect:` says, as builtins, without what it leaves out."""
    if expect is None:
        return {}
    plain: dict[str, Any] = msgspec.to_builtins(expect)
    return plain


class _Moment(msgspec.Struct, frozen=True):
    """The fresh values of one request, process, file or browser action.

    `sent` are those that it is given, `seen` those that it must show.
    """

    sent: set[str]
    seen: set[str]


def sends_fresh(app: App, journey: Journey) -> bool:
    """Whether it sends a fresh value that the app must show again.

    A constant cannot pass that.
    """
    given: set[str] = set()
    tools: set[str] = set()  # a tool may have written these into the file itself
    for step in journey.steps:
        for moment in _moments(app, step):
            given |= moment.sent
            if _is_tool(app, step):
                tools |= moment.sent
            known = given - tools if step.file else given
            if moment.seen & known:
                return True

    return False


def survives(app: App, journey: Journey) -> bool:
    """Whether it shows that data stays.

    A fresh value is sent, then everything is killed (of a command: another process
    follows), then the value is seen, and nobody sent it again.
    """
    given: set[str] = set()
    kept: set[str] = set()
    tools: set[str] = set()
    for step in journey.steps:
        for moment in _moments(app, step):
            kept -= moment.sent
            given |= moment.sent
            if _is_tool(app, step):
                tools |= moment.sent
            if moment.seen & (kept - tools):
                return True

        if step.restart == "kill" or app.kind != "web":
            kept = set(given)

    return False


def refuses(app: App, journey: Journey) -> bool:
    """Whether a step expects that something is refused.

    That is a status from 400 on, an exit other than 0, words on stderr, or an alert on
    the page.
    """
    return any(_refused(step) and not _is_tool(app, step) for step in journey.steps)


def can_do_without(pattern: str) -> set[str]:
    """The fresh values in a regular expression which may match without them."""
    bare = f"({_ESCAPED.sub('x', pattern)})"
    if re.search(r"\(\?[a-z]*x", bare, re.IGNORECASE):  # it may hold comments
        return _fresh(pattern)

    missed = _fresh(pattern) - _fresh(bare)
    within: list[set[str]] = [set()]  # the values in each group that is open
    loose = [False]  # whether that group can be matched without them
    for part in _PARTS.finditer(bare):
        if part["open"]:
            within.append(set())
            loose.append(part["open"] != "(")
        elif part["close"] and len(within) > 1:
            names = within.pop()
            if loose.pop() or part["close"] != ")":
                missed |= names
            within[-1] |= names
        elif part["other"]:
            loose[-1] = True
        else:
            within[-1] |= _fresh(part[0])

    return missed


def _fresh(value: Any) -> set[str]:
    return {
        name for name in expectations.placeholder_names(value) if name.startswith(FRESH)
    }


def _is_tool(app: App, step: Step) -> bool:
    """Whether the step runs a program that is not the app's.

    Beside `start.run` the app has what lies in it (`bin/add`), and other scripts for
    the same interpreter (`python3 examples/second.py`).
    """
    if step.cli is None or not step.cli.run:
        return False
    script = _own_script(app, step.cli)
    program = script or step.cli.run[0]
    if not script and "/" not in program:
        return True

    return program.startswith(("/", "-")) or ".." in program.split("/")


def _own_script(app: App, cli: Cli) -> str:
    """The script that `run` hands to the interpreter of `start.run`.

    It is "" if it does not.
    """
    *interpreter, script = cli.run
    *own, start = app.start.run or [""]
    ending = os.path.splitext(start)[1]
    if interpreter == own and ending and os.path.splitext(script)[1] == ending:
        return script
    return ""


def _moments(app: App, step: Step) -> list[_Moment]:
    if step.browser is not None:
        return [_of_action(action) for action in step.browser]
    sent = _fresh(msgspec.to_builtins([step.http, step.cli]))
    if _is_tool(app, step):
        return [_Moment(sent, seen=set())]
    return [_Moment(sent, _seen(step))]


def _seen(step: Step) -> set[str]:
    """The fresh values that a step must show, if the app is asked."""
    expect = expected(step.expect)
    if expect.get("exists") is False:
        return set()
    wanted = [value for key, value in expect.items() if key not in _NOT_SEEN]
    path = step.file.path if step.file else ""
    return _fresh([*wanted, path])


def _of_action(action: Action) -> _Moment:
    typed = [
        action.goto,
        action.fill and action.fill.with_,
        action.select and action.select.option,
    ]
    targets = [
        action.see,
        action.click,
        action.check,
        action.uncheck,
        action.fill,
        action.select,
    ]
    words = [words_of(target) for target in targets if target is not None]
    return _Moment(sent=_fresh(typed), seen=_fresh(words))


def words_of(target: Target) -> list[str]:
    """By what an element is found: the fields that are set, `name` with its role."""
    words = (
        target.role,
        target.name,
        target.text,
        target.label,
        target.placeholder,
    )

    return [word for word in words if word]


def _refused(step: Step) -> bool:
    """Whether the step expects a refusal, whatever program it runs."""
    expect = expected(step.expect)
    words = expectations.texts(expect.get("stderr_contains", []))
    return (
        _at_least(400, expect.get("status", []))
        or _at_least(1, expect.get("exit", []))
        or any(expectations.as_text(text).strip() for text in words)
        or any(_sees_an_alert(action) for action in step.browser or [])
    )


def _at_least(least: int, codes: int | list[int]) -> bool:
    """Whether there are codes, and none is below `least`."""
    wanted = [codes] if isinstance(codes, int) else codes
    return bool(wanted) and min(wanted) >= least


def _sees_an_alert(action: Action) -> bool:
    return action.see is not None and action.see.role in {"alert", "alertdialog"}

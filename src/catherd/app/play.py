"""Plays a journey on a stage and writes down each step: what was sent, what was seen, pass, fail or unknown.

The first step that does not pass ends the journey. What is written down is cut and escaped: it was said by the app.
"""

import json
import re
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import msgspec

from catherd.app import expectations, freshness, manifest_rules
from catherd.app.evidence import Run, StepSeen, failed_step
from catherd.app.manifest_file import Cli, Http, Journey, Step, shown_scalar
from catherd.app.stage import Stage, fresh_values
from catherd.box import sandbox
from catherd.box.regex_child import search
from catherd.core.errors import CatherdError

_CUT = 600  # characters of an answer that evidence keeps
_OUTSIDE = re.compile(
    r"(?m)^.*(?:Read-only file system|readonly database|unable to open database file).*$"
)  # the tree cannot be written while the app runs
Shot = Callable[[bytes, int], str]  # keeps a picture of step n, gives its name


class _Miss(Exception):
    """A step that did not hold; its text says why."""


def play(
    journey: Journey,
    stage: Stage,
    run: list[str],
    against: str,
    keep: Shot,
    seconds: float,
) -> Run:
    """One run of `journey`. `run`: start.run of the app. `seconds`: after which the journey fails."""
    began = time.monotonic()
    values = fresh_values(expectations.names_in(msgspec.to_builtins(journey.steps)))
    stage.names.update(values)
    got = Run(
        against=against,
        verdict="pass",
        steps=[],
        values={name: str(value) for name, value in values.items()},
    )
    try:
        got.why = stage.begin()
        if got.why:
            got.verdict, got.why = "fail", f"it does not start: {got.why}"
        else:
            _steps(journey, stage, run, got, keep, began + seconds)
    except CatherdError as error:
        got.verdict, got.why = "unknown", str(error)
    log = ""
    try:
        got.after, log = stage.finish()
    except CatherdError as error:
        got.verdict, got.why = "unknown", str(error)
    if got.after and got.verdict == "pass":
        got.verdict = "fail"
    if got.verdict == "fail" and (refused := _OUTSIDE.findall(log)):
        hint, step = (
            f"; it would have written outside {{data}}: {sandbox.box_text(refused[-1].strip())[:200]}",
            failed_step(got),
        )
        if step is not None:
            step.why += hint
        else:
            got.why += hint
    got.log = sandbox.box_text(log) if got.verdict != "pass" else ""
    got.seconds = round(time.monotonic() - began, 2)
    return got


def _steps(
    journey: Journey, stage: Stage, run: list[str], got: Run, keep: Shot, end_at: float
) -> None:
    for number, step in enumerate(journey.steps, 1):
        began = time.monotonic()
        seen_step = StepSeen(
            number=number, kind=manifest_rules.kind_of(step), sent="", verdict="pass"
        )
        got.steps.append(seen_step)
        try:
            _hold("the journey's time is over" if began > end_at else "")
            _step(step, stage, run, seen_step, keep)
        except _Miss as miss:
            seen_step.verdict, seen_step.why = (
                "fail",
                sandbox.box_text(str(miss))[:_CUT],
            )
        seen_step.sent, seen_step.seen = (
            sandbox.box_text(seen_step.sent)[:_CUT],
            sandbox.box_text(seen_step.seen)[:_CUT],
        )
        seen_step.seconds = round(time.monotonic() - began, 2)
        if seen_step.verdict != "pass":
            got.verdict = seen_step.verdict
            return


def _step(step: Step, stage: Stage, run: list[str], note: StepSeen, keep: Shot) -> None:
    if step.http is not None:
        _http(step, step.http, stage, note)
    elif step.cli is not None:
        _cli(step, step.cli, stage, run, note)
    elif step.file is not None:
        _file(step, step.file.path, stage, note)
    elif step.restart is not None:
        note.sent = f"restart: {step.restart}"
        _hold(stage.restart(step.restart))
    else:
        _browser(step, stage, note, keep)


def _hold(why: str) -> None:
    if why:
        raise _Miss(why)


def _http(step: Step, http: Http, stage: Stage, note: StepSeen) -> None:
    headers = {
        key: str(expectations.fill_placeholders(value, stage.names))
        for key, value in http.headers.items()
    }
    path, body = str(expectations.fill_placeholders(http.path, stage.names)), None
    if http.json is not msgspec.UNSET:
        body = json.dumps(expectations.fill_placeholders(http.json, stage.names))
        headers.setdefault("content-type", "application/json")
    elif http.form is not None:
        body = urllib.parse.urlencode(
            {
                key: shown_scalar(expectations.fill_placeholders(value, stage.names))
                for key, value in http.form.items()
            }
        )
        headers.setdefault("content-type", "application/x-www-form-urlencoded")
    elif http.body is not None:
        body = str(expectations.fill_placeholders(http.body, stage.names))
    path = urllib.parse.quote(path, safe="/?&=%:@,;+$!*'()~#[]")
    note.sent = f"{http.method} {path}{f' {body}' if body is not None else ''}"
    answer = stage.ask(http.method, path, headers, body)
    if "error" in answer:
        raise _Miss(f"no answer: {answer['error']}")
    text = answer["body"]
    note.seen = f"{answer['status']} {text}"
    expect = expectations.fill_placeholders(
        freshness.expected(step.expect), stage.names
    )
    if "status" in expect:
        why = expectations.one_of("status", expect["status"], answer["status"])
        _hold(f"{why}: {expectations.brief(text)}" if why else "")
    for name, wanted in expect.get("headers", {}).items():
        has = answer["headers"].get(name.lower())
        _hold(
            ""
            if has is not None and str(wanted) in has
            else f"header {name} is {expectations.brief(has)}, not {expectations.brief(wanted)}"
        )
    _hold(expectations.json_misses(text, expect))
    _hold(
        expectations.text_misses(
            "the body",
            text,
            expect.get("body_contains", []),
            expect.get("body_lacks", []),
        )
    )
    for name, pointer in step.save.items():
        stage.names[name] = _saved(text, pointer)


def _saved(text: str, pointer: str) -> Any:
    try:
        found, value = expectations.pointed(json.loads(text), pointer)
    except ValueError:
        raise _Miss(f"nothing to save, not JSON: {expectations.brief(text)}") from None
    if not found:
        raise _Miss(f"nothing to save at {pointer}: {expectations.brief(text)}")
    return value


def _cli(step: Step, cli: Cli, stage: Stage, run: list[str], note: StepSeen) -> None:
    words = [*(cli.run or run), *(shown_scalar(arg) for arg in cli.args)]
    argv = [
        expectations.as_text(expectations.fill_placeholders(word, stage.names))
        for word in words
    ]
    note.sent = " ".join(argv)
    code, out, err, why = stage.command(
        argv,
        expectations.as_text(expectations.fill_placeholders(cli.stdin, stage.names)),
    )
    note.seen = f"exit {code}\n{out}{err}"
    _hold(f"it was ended: {why}" if why else "")
    raw = freshness.expected(step.expect)
    expect = expectations.fill_placeholders(raw, stage.names)
    if "exit" in expect:
        wrong = expectations.one_of("exit", expect["exit"], code)
        _hold(f"{wrong}: {expectations.brief(err or out)}" if wrong else "")
    _hold(
        expectations.text_misses(
            "stdout",
            out,
            expect.get("stdout_contains", []),
            expect.get("stdout_lacks", []),
        )
    )
    _hold(
        expectations.text_misses(
            "stderr",
            err,
            expect.get("stderr_contains", []),
            expect.get("stderr_lacks", []),
        )
    )
    if raw.get("stdout_regex"):
        pattern = str(
            expectations.fill_placeholders(raw["stdout_regex"], stage.names, regex=True)
        )
        _hold(
            ""
            if _search(pattern, out)
            else f"stdout does not match {expectations.brief(pattern)}: {expectations.brief(out)}"
        )
    _hold(expectations.json_misses(out, expect))
    for name, pattern in step.save.items():
        found = _search(
            str(expectations.fill_placeholders(pattern, stage.names, regex=True)), out
        )
        if not found or len(found) == 1:
            raise _Miss(f"nothing to save as {name}: {expectations.brief(out)}")
        stage.names[name] = found[1]


def _search(pattern: str, text: str) -> list[str | None] | None:
    try:
        return search(pattern, text)
    except CatherdError as error:
        raise _Miss(f"{error.what}; {error.fix}") from None


def _file(step: Step, path: str, stage: Stage, note: StepSeen) -> None:
    path = expectations.as_text(expectations.fill_placeholders(path, stage.names))
    note.sent = f"file {path}"
    expect = expectations.fill_placeholders(
        freshness.expected(step.expect), stage.names
    )
    data = stage.read(path)
    note.seen = "no such file" if data is None else data.decode("utf-8", "replace")
    if data is None or expect.get("exists") is False:
        there = data is not None
        _hold(
            ""
            if there == expect.get("exists", True)
            else ("the file is there" if there else f"no file {path} in {{data}}")
        )
        return
    text = data.decode("utf-8", "replace")
    _hold(
        expectations.text_misses(
            "the file", text, expect.get("contains", []), expect.get("lacks", [])
        )
    )
    _hold(expectations.json_misses(text, expect))


def _browser(step: Step, stage: Stage, note: StepSeen, keep: Shot) -> None:
    actions = step.browser or []
    note.sent = f"browser: {len(actions)} actions"
    page = stage.page()
    if page is None:
        note.verdict, note.why = "unknown", "there is no browser on this machine"
        return
    done: list[str] = []
    why = ""
    for action in actions:
        filled = msgspec.convert(
            expectations.fill_placeholders(msgspec.to_builtins(action), stage.names),
            type(action),
            strict=False,
        )
        done.append(_told(msgspec.to_builtins(filled)))
        why = page.act(filled, stage.names["url"])
        if why:
            break
    note.sent = f"browser: {done[-1] if why else '; '.join(done)}"
    note.seen = page.text()
    note.shot = keep(page.shot(), note.number)
    _hold(why)


def _told(action: dict[str, Any]) -> str:
    # {"fill": {"label": "Note", "with": "milk"}} -> fill label Note with milk
    name, about = next(iter(action.items()))
    if isinstance(about, dict):
        return " ".join([name, *(f"{key} {value}" for key, value in about.items())])
    return name if about is True else f"{name} {about}"

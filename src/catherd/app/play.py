"""Plays a journey on a stage and writes down each step.

Of a step it keeps what was sent, what was seen, and pass, fail or unknown. The first
step that does not pass ends the journey. What is written down is cut and escaped,
because the app said it.
"""

import json
import re
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import msgspec

from catherd.app import expectations, freshness, step_rules
from catherd.app.evidence import Run, StepSeen, failed_step
from catherd.app.expectations import filled_text
from catherd.app.manifest_file import (
    Action,
    App,
    Cli,
    Http,
    Journey,
    Step,
    shown_scalar,
)
from catherd.app.stage import Stage, fresh_values
from catherd.box import sandbox
from catherd.box.regex_child import search
from catherd.core.errors import CatherdError

_CUT = 600  # characters of an answer that evidence keeps
# What programs say that wanted to write where they may not: the tree cannot be written
# while the app runs.
_OUTSIDE = re.compile(
    r"(?m)^.*(?:Read-only file system|readonly database|unable to open database file).*$"
)
Shot = Callable[[bytes, int], str]  # keeps a picture of step n, gives its name


class Play(msgspec.Struct, frozen=True):
    """A journey, the stage that it plays on, and what the run is called in evidence.

    `keep` takes the pictures.
    """

    journey: Journey
    stage: Stage
    app: App
    against: str
    keep: Shot


class _Miss(Exception):
    """A step that did not hold. Its text says why."""


def play(of: Play) -> Run:
    """One run of a journey. It fails when it takes longer than the app's limits say."""
    began = time.monotonic()
    names = expectations.placeholder_names(msgspec.to_builtins(of.journey.steps))
    values = fresh_values(names)
    of.stage.names.update(values)
    shown = {name: str(value) for name, value in values.items()}
    run = Run(against=of.against, verdict="pass", steps=[], values=shown)

    try:
        why = of.stage.begin()
        if why:
            run.verdict, run.why = "fail", f"it does not start: {why}"
        else:
            _play_steps(of, run, began + of.app.limits.seconds)
    except CatherdError as error:
        run.verdict, run.why = "unknown", str(error)

    log = ""
    try:
        run.after, log = of.stage.finish()
    except CatherdError as error:
        run.verdict, run.why = "unknown", str(error)

    if run.after and run.verdict == "pass":
        run.verdict = "fail"
    if run.verdict == "fail":
        _hint_at_writing_outside(run, log)
    if run.verdict != "pass":
        run.log = sandbox.box_text(log)
    run.seconds = round(time.monotonic() - began, 2)
    return run


def _hint_at_writing_outside(run: Run, log: str) -> None:
    """Add to the reason what the log says of a write that was refused, if anything."""
    refused = _OUTSIDE.findall(log)
    if not refused:
        return
    said = sandbox.box_text(refused[-1].strip())[:200]
    hint = f"; it would have written outside {{data}}: {said}"
    step = failed_step(run)
    if step is not None:
        step.why += hint
    else:
        run.why += hint


def _play_steps(of: Play, run: Run, end_at: float) -> None:
    """Play the steps up to the first that does not pass."""
    for number, step in enumerate(of.journey.steps, 1):
        began = time.monotonic()
        kind = step_rules.step_kind(step)
        note = StepSeen(number=number, kind=kind, sent="", verdict="pass")
        run.steps.append(note)
        try:
            _hold("the journey's time is over" if began > end_at else "")
            _play_step(of, step, note)
        except _Miss as miss:
            note.verdict, note.why = "fail", _cut(str(miss))

        note.sent, note.seen = _cut(note.sent), _cut(note.seen)
        note.seconds = round(time.monotonic() - began, 2)
        if note.verdict != "pass":
            run.verdict = note.verdict
            return


def _cut(text: str) -> str:
    return sandbox.box_text(text)[:_CUT]


def _play_step(of: Play, step: Step, note: StepSeen) -> None:
    """Do one step and look at what comes of it. Raises _Miss where that is wrong."""
    stage = of.stage
    if step.http is not None:
        _http(step, step.http, stage, note)
    elif step.cli is not None:
        program = step.cli.run or of.app.start.run
        argv = [*program, *map(shown_scalar, step.cli.args)]
        _cli(step, step.cli, argv, stage, note)
    elif step.file is not None:
        _file(step, step.file.path, stage, note)
    elif step.restart is not None:
        note.sent = f"restart: {step.restart}"
        _hold(stage.restart(step.restart))
    else:
        _browser(step, of, note)


def _hold(why: str) -> None:
    """Raises _Miss when there is a reason why the step does not hold."""
    if why:
        raise _Miss(why)


def _wanted(step: Step, stage: Stage) -> dict[str, Any]:
    """What the step expects, its placeholders filled in."""
    wanted: dict[str, Any] = expectations.fill_placeholders(
        freshness.expected(step.expect), stage.names
    )
    return wanted


def _hold_texts(name: str, text: str, expect: dict[str, Any], key: str) -> None:
    """What `<key>_contains` and `<key>_lacks` want of a text that is called `name`."""
    contains = expect.get(f"{key}_contains", [])
    lacks = expect.get(f"{key}_lacks", [])
    _hold(expectations.text_misses(name, text, contains, lacks))


def _http(step: Step, http: Http, stage: Stage, note: StepSeen) -> None:
    """Send a request, look at the answer, save from it."""
    headers = {}
    for name, value in http.headers.items():
        headers[name] = filled_text(value, stage.names)
    body, kind = _body(http, stage)
    if kind:
        headers.setdefault("content-type", kind)

    path = filled_text(http.path, stage.names)
    path = urllib.parse.quote(path, safe="/?&=%:@,;+$!*'()~#[]")
    note.sent = f"{http.method} {path}"
    if body is not None:
        note.sent += f" {body}"

    answer = stage.ask(http.method, path, headers, body)
    if "error" in answer:
        raise _Miss(f"no answer: {answer['error']}")

    text = answer["body"]
    note.seen = f"{answer['status']} {text}"

    expect = _wanted(step, stage)
    _hold_code("status", expect, answer["status"], text)
    for name, wanted in expect.get("headers", {}).items():
        got = answer["headers"].get(name.lower())
        _hold_header(name, str(wanted), got)
    _hold(expectations.json_misses(text, expect))
    _hold_texts("the body", text, expect, "body")

    for name, pointer in step.save.items():
        stage.names[name] = _saved(text, pointer)


def _body(http: Http, stage: Stage) -> tuple[str | None, str]:
    """The body of a request and its content type: None and "" where it has none."""
    if http.json is not msgspec.UNSET:
        filled = expectations.fill_placeholders(http.json, stage.names)
        return json.dumps(filled), "application/json"

    if http.form is not None:
        fields = {}
        for key, value in http.form.items():
            filled = expectations.fill_placeholders(value, stage.names)
            fields[key] = shown_scalar(filled)

        return urllib.parse.urlencode(fields), "application/x-www-form-urlencoded"

    if http.body is not None:
        return filled_text(http.body, stage.names), ""

    return None, ""


def _hold_code(name: str, expect: dict[str, Any], got: int, said: str) -> None:
    """A status or an exit is one of those that are wanted; `said` is quoted if not."""
    if name in expect:
        why = expectations.one_of(name, expect[name], got)
        _hold(f"{why}: {expectations.brief(said)}" if why else "")


def _hold_header(name: str, wanted: str, got: str | None) -> None:
    if got is None or wanted not in got:
        has, wants = expectations.brief(got), expectations.brief(wanted)
        raise _Miss(f"header {name} is {has}, not {wants}")


def _saved(text: str, pointer: str) -> Any:
    """What stands at the pointer in an answer."""
    try:
        place = expectations.pointed(json.loads(text), pointer)
    except ValueError:
        raise _Miss(f"nothing to save, not JSON: {expectations.brief(text)}") from None

    if not place.found:
        raise _Miss(f"nothing to save at {pointer}: {expectations.brief(text)}")

    return place.value


def _cli(step: Step, cli: Cli, argv: list[str], stage: Stage, note: StepSeen) -> None:
    """Run a process, look at what it printed, save from it."""
    words = [filled_text(word, stage.names) for word in argv]
    note.sent = " ".join(words)

    stdin = filled_text(cli.stdin, stage.names)
    code, out, err, why = stage.command(words, stdin)
    note.seen = f"exit {code}\n{out}{err}"
    _hold(f"it was ended: {why}" if why else "")

    expect = _wanted(step, stage)
    _hold_code("exit", expect, code, err or out)
    _hold_texts("stdout", out, expect, "stdout")
    _hold_texts("stderr", err, expect, "stderr")
    if step.expect is not None and step.expect.stdout_regex:
        _hold_pattern(step.expect.stdout_regex, out, stage)
    _hold(expectations.json_misses(out, expect))

    for name, pattern in step.save.items():
        stage.names[name] = _caught(name, pattern, out, stage)


def _hold_pattern(pattern: str, out: str, stage: Stage) -> None:
    filled = expectations.fill_pattern(pattern, stage.names)
    if not _search(filled, out):
        told = expectations.brief(filled)
        raise _Miss(f"stdout does not match {told}: {expectations.brief(out)}")


def _caught(name: str, pattern: str, out: str, stage: Stage) -> str | None:
    """What the first group of the pattern matched."""
    found = _search(expectations.fill_pattern(pattern, stage.names), out)
    if not found or len(found) == 1:
        raise _Miss(f"nothing to save as {name}: {expectations.brief(out)}")
    return found[1]


def _search(pattern: str, text: str) -> list[str | None] | None:
    try:
        return search(pattern, text)
    except CatherdError as error:
        raise _Miss(f"{error.what}; {error.fix}") from None


def _file(step: Step, path: str, stage: Stage, note: StepSeen) -> None:
    """Look at a file that the app wrote, or see that there is none."""
    path = filled_text(path, stage.names)
    note.sent = f"file {path}"
    expect = _wanted(step, stage)
    data = stage.read(path)
    if data is None:
        note.seen = "no such file"
        if expect.get("exists", True):
            raise _Miss(f"no file {path} in {{data}}")

        return

    text = data.decode("utf-8", "replace")
    note.seen = text
    if expect.get("exists") is False:
        raise _Miss("the file is there")

    contains, lacks = expect.get("contains", []), expect.get("lacks", [])
    _hold(expectations.text_misses("the file", text, contains, lacks))
    _hold(expectations.json_misses(text, expect))


def _browser(step: Step, of: Play, note: StepSeen) -> None:
    """Do the actions in the browser, up to the first that fails."""
    stage, actions = of.stage, step.browser or []
    note.sent = f"browser: {len(actions)} actions"
    page = stage.page()
    if page is None:
        note.verdict, note.why = "unknown", "there is no browser on this machine"
        return

    done: list[str] = []
    why = ""
    for action in actions:
        filled = _filled(action, stage)
        done.append(_told(msgspec.to_builtins(filled)))
        why = page.act(filled, stage.names["url"])
        if why:
            break

    note.sent = f"browser: {done[-1] if why else '; '.join(done)}"
    note.seen = page.text()
    note.shot = of.keep(page.shot(), note.number)
    _hold(why)


def _filled(action: Action, stage: Stage) -> Action:
    """The action with its placeholders filled in. Numbers become text where need be."""
    plain = msgspec.to_builtins(action)
    filled = expectations.fill_placeholders(plain, stage.names)
    return msgspec.convert(filled, Action, strict=False)


def _told(action: dict[str, Any]) -> str:
    """An action in words: {"fill": {"label": "Note"}} is `fill label Note`."""
    name, about = next(iter(action.items()))
    if isinstance(about, dict):
        return " ".join([name, *(f"{key} {value}" for key, value in about.items())])
    return name if about is True else f"{name} {about}"

"""How a CLI agent is driven, as data: its argv, how the prompt goes in, how events, usage and failures come out. Pure.

A driver is the `command:` block of an agent's YAML. Flags of these programs change every few weeks; nothing of them stands in
Python. Exit codes are kept for the log and decide nothing: of the programs measured, most exit 0 when they fail.
"""

import math
import re
from typing import Any

import msgspec

from catherd.core.errors import CatherdError

RESULTS = (
    "spawn_failed", "auth", "budget", "error", "denied", "idle_timeout", "wall_timeout",
    "scope_violation", "no_change", "changed", "gate_red", "gate_green",
)  # fmt: skip
_PLACE = re.compile(r"\{(worktree|home|prompt_file|last|model|usd)\}")
_LINE = 8 * 1024 * 1024  # bytes of one event; a longer line is no event


class Capture(msgspec.Struct, forbid_unknown_fields=True):
    """A text out of an event that matches: `get` is a dotted path; `join` appends every one instead of keeping the last."""

    match: dict[str, str] = {}
    get: str = ""
    join: bool = False


class Usage(msgspec.Struct, forbid_unknown_fields=True):
    """Where an event says what it took: dotted paths of tokens in (cached ones included), out, cached, and dollars. `add`: sum them."""

    match: dict[str, str] = {}
    input: str = ""
    output: str = ""
    cached: str = ""
    usd: str = ""
    add: bool = False


class Sign(msgspec.Struct, forbid_unknown_fields=True):
    """An event or line that means a failure: all of `match`, `some` (a path that is not empty), `says` (a pattern) must hold.

    `result` is auth, budget, denied or error; `stderr` looks at the lines of stderr instead.
    """

    result: str
    match: dict[str, str] = {}
    some: str = ""
    says: str = ""
    stderr: bool = False


class Driver(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A `command:` block. In `argv` and `env`, {worktree} {home} {prompt_file} {last} {model} {usd} are filled in.

    A list inside `argv` is left out as a whole when one of its places is empty. `prompt`: stdin (then end of file) or file.
    `events`: jsonl or text. Seconds: `idle_s` without an event, `wall_s` in all, `grace_s` after the final event.
    `usd`: what a run may cost at most, an eighth of it where it only speaks. `litter`: patterns of files that the program leaves behind and nobody wants. `sees`: paths of yours that it may read behind its
    walls; `sandbox: none` starts it without walls (where there is no bubblewrap it is not started otherwise).
    """

    argv: list[str | list[str]]
    version: list[str] = []
    prompt: str = "stdin"
    events: str = "jsonl"
    model: str = ""
    usd: float = 2.0
    env: dict[str, str] = {}
    keys: list[str] = []
    idle_s: float = 300.0
    wall_s: float = 1800.0
    grace_s: float = 10.0
    final: dict[str, str] = {}
    text: Capture = msgspec.field(default_factory=Capture)
    usage: Usage = msgspec.field(default_factory=Usage)
    signs: list[Sign] = []
    litter: list[str] = []
    sees: list[str] = []
    sandbox: str = "bwrap"


class CliTranscript(msgspec.Struct):
    """What the events said so far. `finished`: the final one came. `failed` is the first sign of failure, `why` its words.

    `muttered` is the last line of stderr; `counted` says that it told what it took, be it nothing.
    """

    text: str = ""
    events: int = 0
    finished: bool = False
    failed: str = ""
    why: str = ""
    muttered: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    counted: bool = False


def driver(command: dict[str, Any], where: str = "agents/") -> Driver:
    """The driver of a `command:` block. Raises CatherdError with the key that is wrong."""
    try:
        made = msgspec.convert(command, Driver, strict=False)
        for sign in made.signs:
            re.compile(sign.says)
    except (msgspec.ValidationError, re.error) as e:
        raise CatherdError(
            f"command: {e}", where=where, fix="compare with examples/agents/codex.yaml"
        ) from None
    wrong = {made.prompt} - {"stdin", "file"} | {made.events} - {"jsonl", "text"}
    wrong |= {made.sandbox} - {"bwrap", "none"}
    wrong |= {s.result for s in made.signs} - {"auth", "budget", "denied", "error"}
    if wrong or not made.argv or not 0 < made.usd < math.inf:
        what = (
            f"'{min(wrong)}' is not known"
            if wrong
            else "usd is no sum of dollars"
            if made.argv
            else "argv is empty"
        )
        raise CatherdError(
            f"command: {what}",
            where=where,
            fix="compare with examples/agents/codex.yaml",
        )
    return made


def filled(driver: Driver, places: dict[str, str]) -> list[str]:
    """The argv, with every place filled in."""
    out: list[str] = []
    for part in driver.argv:
        group = [part] if isinstance(part, str) else part
        names = [m[1] for word in group for m in _PLACE.finditer(word)]
        if isinstance(part, str) or all(places.get(name) for name in names):
            out += [fill_word(word, places) for word in group]
    return out


def fill_word(word: str, places: dict[str, str]) -> str:
    """`word` with every {place} filled in; other braces stay."""
    return _PLACE.sub(lambda m: places.get(m[1], ""), word)


def take_line(driver: Driver, heard: CliTranscript, line: bytes) -> bool:
    """Take in one line of stdout; whether it was an event. What is not understood is left alone."""
    if driver.events == "text":
        text = line.decode("utf-8", "replace")
        heard.text = (heard.text + text)[-_LINE:]
        _signs(driver, heard, None, text, stderr=False)
        heard.events += 1
        return True
    event = _event(line)
    if event is None:
        return False
    heard.events += 1
    heard.finished = heard.finished or (
        bool(driver.final) and matches(event, driver.final)
    )
    if driver.text.get and matches(event, driver.text.match):
        found = dig(event, driver.text.get)
        if isinstance(found, str) and found:
            heard.text = heard.text + found if driver.text.join else found
    if matches(event, driver.usage.match):
        _count(driver.usage, heard, event)
    _signs(driver, heard, event, line.decode("utf-8", "replace"), stderr=False)
    return True


def complain(driver: Driver, heard: CliTranscript, line: bytes) -> None:
    """Take in one line of stderr: only signs of failure are looked for, and the last one is kept."""
    text = line[:65536].decode("utf-8", "replace")
    heard.muttered = " ".join(text.split())[:300] or heard.muttered
    _signs(driver, heard, None, text, stderr=True)


def _event(line: bytes) -> dict[str, Any] | None:
    if len(line) > _LINE or b"{" not in line[:64]:
        return None
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    return found if isinstance(found, dict) else None


def dig(event: Any, path: str) -> Any:
    """The value under a dotted path (`item.text`, `usage.0.tokens`), None if there is none."""
    for part in path.split("."):
        if isinstance(event, dict):
            event = event.get(part)
        elif isinstance(event, list) and part.isdigit() and int(part) < len(event):
            event = event[int(part)]
        else:
            return None
    return event


def matches(event: dict[str, Any], wanted: dict[str, str]) -> bool:
    """Whether each path holds this text; true and false are written so."""
    return all(_plain(dig(event, path)) == value for path, value in wanted.items())


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _signs(
    driver: Driver,
    heard: CliTranscript,
    event: dict[str, Any] | None,
    text: str,
    *,
    stderr: bool,
) -> None:
    if heard.failed:
        return
    for sign in driver.signs:
        if sign.stderr != stderr or ((sign.match or sign.some) and event is None):
            continue
        if event is not None and not (
            matches(event, sign.match) and (not sign.some or dig(event, sign.some))
        ):
            continue
        if not sign.says or re.search(sign.says, text[:65536], re.IGNORECASE):
            heard.failed = sign.result
            heard.why = " ".join(text.split())[:300]
            return


def _count(usage: Usage, heard: CliTranscript, event: dict[str, Any]) -> None:
    for name, path in (
        ("prompt_tokens", usage.input), ("completion_tokens", usage.output), ("cached_tokens", usage.cached), ("usd", usage.usd),
    ):  # fmt: skip
        found = dig(event, path) if path else None
        if (
            isinstance(found, int | float)
            and not isinstance(found, bool)
            and found >= 0
        ):
            heard.counted = True
            value = float(found) if name == "usd" else int(found)
            setattr(heard, name, getattr(heard, name) + value if usage.add else value)

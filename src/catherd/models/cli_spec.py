"""How a CLI agent is driven, as data. No I/O.

That is its argv, how the prompt goes in, how events, usage and failures come out. A
driver is the `command:` block of an agent's YAML. Flags of these programs change every
few weeks, so none of them stands in Python. Exit codes are kept for the log and decide
nothing: of the programs measured, most exit 0 when they fail.
"""

import math
import re
from typing import Any

import msgspec

from catherd.core.errors import CatherdError

_PLACE = re.compile(r"\{(worktree|home|prompt_file|last|model|usd)\}")
_LINE = 8 * 1024 * 1024  # bytes of one event; a longer line is no event
_HEAD = 65536  # bytes of a line that signs of failure are looked for in


class Capture(msgspec.Struct, forbid_unknown_fields=True):
    """A text out of an event that matches.

    `get` is a dotted path. `join` appends every text instead of keeping the last.
    """

    match: dict[str, str] = {}
    get: str = ""
    join: bool = False


class Usage(msgspec.Struct, forbid_unknown_fields=True):
    """Where an event says what the run took.

    These are dotted paths of tokens in (cached ones included), out, cached, and
    dollars. `add` sums over all events that match.
    """

    match: dict[str, str] = {}
    input: str = ""
    output: str = ""
    cached: str = ""
    usd: str = ""
    add: bool = False


class Sign(msgspec.Struct, forbid_unknown_fields=True):
    """An event or line that means a failure.

    All of `match`, `some` (a path that is not empty) and `says` (a pattern) must hold.
    `result` is auth, budget, denied or error. `stderr` looks at the lines of stderr
    instead.
    """

    result: str
    match: dict[str, str] = {}
    some: str = ""
    says: str = ""
    stderr: bool = False

    def shows_in(self, event: dict[str, Any] | None, text: str) -> bool:
        """Whether an event, or a line that is none, with this text shows the sign."""
        if event is None:
            if self.match or self.some:
                return False
        elif not matches(event, self.match) or (
            self.some and not dig(event, self.some)
        ):
            return False
        if not self.says:
            return True
        return re.search(self.says, text[:_HEAD], re.IGNORECASE) is not None


class Driver(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A `command:` block.

    In `argv` and `env`, {worktree} {home} {prompt_file} {last} {model} {usd} are filled
    in. A list inside `argv` is left out as a whole when one of its places is empty.
    `prompt` is stdin (then end of file) or file, `events` is jsonl or text. Seconds:
    `idle_s` without an event, `wall_s` in all, `grace_s` after the final event. `usd`
    is what a run may cost at most, an eighth of it where it only speaks. `litter` are
    patterns of files that the program leaves behind and nobody wants. `sees` are paths
    of yours that it may read behind its walls. `sandbox: none` starts it without walls;
    otherwise it is not started where there is no bubblewrap.
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
    """What the events said so far.

    `finished` says that the final one came. `failed` is the first sign of failure,
    `why` its words. `muttered` is the last line of stderr. `counted` says that the
    program told what it took, be it nothing.
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
    """The driver of a `command:` block. Raises CatherdError with the wrong key."""
    try:
        made = msgspec.convert(command, Driver, strict=False)
        for sign in made.signs:
            re.compile(sign.says)
        wrong = _wrong(made)
    except (msgspec.ValidationError, re.error) as error:
        wrong = str(error)
    if wrong:
        raise CatherdError(
            f"command: {wrong}",
            where=where,
            fix="compare with examples/agents/codex.yaml",
        )
    return made


def _wrong(made: Driver) -> str:
    """What is wrong with the values of a driver; "" if nothing is."""
    unknown = {made.prompt} - {"stdin", "file"}
    unknown |= {made.events} - {"jsonl", "text"}
    unknown |= {made.sandbox} - {"bwrap", "none"}
    results = {sign.result for sign in made.signs}
    unknown |= results - {"auth", "budget", "denied", "error"}
    if unknown:
        return f"'{min(unknown)}' is not known"
    if not made.argv:
        return "argv is empty"
    if not 0 < made.usd < math.inf:
        return "usd is no sum of dollars"
    return ""


def filled(driver: Driver, places: dict[str, str]) -> list[str]:
    """The argv, with every place filled in."""
    out: list[str] = []
    for part in driver.argv:
        if isinstance(part, str):
            out.append(fill_word(part, places))
        elif all(places.get(name) for name in _places_in(part)):
            out += [fill_word(word, places) for word in part]
    return out


def _places_in(words: list[str]) -> list[str]:
    names: list[str] = []
    for word in words:
        names += _PLACE.findall(word)
    return names


def fill_word(word: str, places: dict[str, str]) -> str:
    """`word` with every {place} filled in; other braces stay."""
    return _PLACE.sub(lambda m: places.get(m[1], ""), word)


def take_line(driver: Driver, heard: CliTranscript, line: bytes) -> bool:
    """Take in one line of stdout; whether it was an event.

    A line that is not understood is left alone.
    """
    text = line.decode("utf-8", "replace")
    if driver.events == "text":
        heard.text = (heard.text + text)[-_LINE:]
        _look_for_signs(driver, heard, None, text)
        heard.events += 1
        return True

    event = _event(line)
    if event is None:
        return False
    heard.events += 1
    if driver.final and matches(event, driver.final):
        heard.finished = True
    _capture(driver.text, heard, event)
    if matches(event, driver.usage.match):
        _count(driver.usage, heard, event)
    _look_for_signs(driver, heard, event, text)
    return True


def _capture(capture: Capture, heard: CliTranscript, event: dict[str, Any]) -> None:
    """Take in the text of an event, if it has one."""
    if not capture.get or not matches(event, capture.match):
        return
    found = dig(event, capture.get)
    if isinstance(found, str) and found:
        heard.text = heard.text + found if capture.join else found


def complain(driver: Driver, heard: CliTranscript, line: bytes) -> None:
    """Take in one line of stderr: look for signs of failure, keep the last line."""
    text = line[:_HEAD].decode("utf-8", "replace")
    heard.muttered = " ".join(text.split())[:300] or heard.muttered
    _look_for_signs(driver, heard, None, text, stderr=True)


def _event(line: bytes) -> dict[str, Any] | None:
    if len(line) > _LINE or b"{" not in line[:64]:
        return None
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    return found if isinstance(found, dict) else None


def dig(event: Any, path: str) -> Any:
    """The value under a dotted path (`item.text`, `usage.0.tokens`), or None."""
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


def _look_for_signs(
    driver: Driver,
    heard: CliTranscript,
    event: dict[str, Any] | None,
    text: str,
    *,
    stderr: bool = False,
) -> None:
    """Note the first sign of failure that an event or a line shows."""
    if heard.failed:
        return
    for sign in driver.signs:
        if sign.stderr == stderr and sign.shows_in(event, text):
            heard.failed = sign.result
            heard.why = " ".join(text.split())[:300]
            return


def _count(usage: Usage, heard: CliTranscript, event: dict[str, Any]) -> None:
    """Take in the tokens and dollars that an event tells."""
    paths = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "cached_tokens": usage.cached,
        "usd": usage.usd,
    }
    for name, path in paths.items():
        found = _amount(dig(event, path)) if path else None
        if found is None:
            continue
        heard.counted = True
        value = float(found) if name == "usd" else int(found)
        setattr(heard, name, getattr(heard, name) + value if usage.add else value)


def _amount(value: Any) -> int | float | None:
    """A number that counts something; None for anything else, also for a boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if value >= 0 else None

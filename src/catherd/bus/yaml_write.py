"""Writes the YAML of files: keys in their order, texts as blocks, nothing that a terminal would obey.

`yaml_read` reads back what was written. Hidden characters (see `core/hidden.py`) are
escaped, emoji stand as they are.
"""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import yaml
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from catherd.bus.yaml_read import is_number
from catherd.core import hidden

WIDTH = 110  # columns at which long plain and quoted texts are folded
# What libyaml escapes, emoji for the most part; tags are hidden and stay escaped.
_BEYOND = re.compile(f"(?!{hidden.PATTERN.pattern})[\U00010000-\U0010ffff]")
_PRIVATE_USE = range(0xE000, 0xF900)
# First character → the types that an unquoted text beginning with it may be taken for.
_IMPLICIT = yaml.CSafeDumper.yaml_implicit_resolvers
_BOOLEANS_ELSEWHERE = {"yes", "no", "on", "off"}
_MAPPING = MappingStartEvent(None, None, True, flow_style=False)
_SEQUENCE = SequenceStartEvent(None, None, True, flow_style=False)


def dumps(thing: Any, header: str = "") -> str:
    """YAML of a struct or of builtins, behind `header` as it is.

    Keys keep their order, a text of several lines is a `|` block.
    """
    data = msgspec.to_builtins(thing)
    text = _dump(data, _text)
    if "\\U000" in text:
        text = _with_emoji(data, text)

    return header + hidden.escaped(text)


def _with_emoji(data: Any, written: str) -> str:
    """YAML of `data` with characters beyond U+FFFF as they are.

    libyaml would escape them, and quote the text for it, as it stands in `written`: a
    chat would be hard to read. So it writes, in place of each, one character of the
    private use area that `data` does not hold; then they are put back in their order.
    """
    free = (chr(code) for code in _PRIVATE_USE if chr(code) not in written)
    stand_in = next(free, "")
    if not stand_in:
        return written
    taken: list[str] = []

    def take(found: re.Match[str]) -> str:
        taken.append(found[0])
        return stand_in

    def event(text: str) -> ScalarEvent:
        made = _text(text)
        made.value = _BEYOND.sub(take, text)
        return made

    shown = _dump(data, event)
    back = iter(taken)
    return re.sub(stand_in, lambda _: next(back), shown)


def _dump(data: Any, event: Callable[[str], ScalarEvent]) -> str:
    """YAML by libyaml's emitter; `event` is how a text is written.

    PyYAML's representer takes three times as long for the same bytes.
    """
    written = io.StringIO()
    emitter = yaml.CSafeDumper(written, allow_unicode=True, width=WIDTH)
    try:
        emitter.emit(StreamStartEvent())
        emitter.emit(DocumentStartEvent(explicit=False))
        for each in _events(data, event):
            emitter.emit(each)

        emitter.emit(DocumentEndEvent(explicit=False))
        emitter.emit(StreamEndEvent())
    finally:
        emitter.dispose()

    return written.getvalue()


def _events(data: Any, event: Callable[[str], ScalarEvent]) -> Iterator[Event]:
    if isinstance(data, str):
        yield event(data)
    elif isinstance(data, dict):
        yield _MAPPING
        for key, value in data.items():
            yield from _events(key, event)
            yield from _events(value, event)

        yield MappingEndEvent()
    elif isinstance(data, list):
        yield _SEQUENCE
        for value in data:
            yield from _events(value, event)

        yield SequenceEndEvent()
    else:
        yield ScalarEvent(None, None, (True, False), _plain(data))


def _plain(data: float | None) -> str:
    if data is None:
        return "null"
    if isinstance(data, bool):
        return "true" if data else "false"
    return str(yaml.representer.SafeRepresenter().represent_data(data).value)


def _text(text: str) -> ScalarEvent:
    """The event of a text; libyaml quotes it where another type would be read."""
    style = _style(text)
    is_text = style is not None or not _is_ambiguous(text)
    return ScalarEvent(None, None, (is_text, True), text, style=style)


def _style(text: str) -> str | None:
    """Quotes or a block where they are needed; None leaves it to libyaml."""
    if text in _BOOLEANS_ELSEWHERE or is_number(text) or hidden.PATTERN.search(text):
        return '"'
    return "|" if "\n" in text else None


def _is_ambiguous(text: str) -> bool:
    """Whether PyYAML's resolver takes unquoted `text` for something else than a text."""
    tests = [*_IMPLICIT.get(text[:1], []), *_IMPLICIT.get(None, [])]
    return any(test.match(text) for _, test in tests)

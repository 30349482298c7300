"""Writes the YAML of files: keys in their order, text as blocks, nothing that a terminal would obey.

What `yaml_read` reads back is what was written.
"""

import io
import re
from collections.abc import Callable
from functools import lru_cache
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

_HIDDEN = re.compile(
    "[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\x7f-\x9f]"
)  # bidi and C1: never raw on a terminal
_IMPLICIT = (
    yaml.CSafeDumper.yaml_implicit_resolvers
)  # first character → what an unquoted text would be taken for
_MAP, _LIST = (
    MappingStartEvent(None, None, True, flow_style=False),
    SequenceStartEvent(None, None, True, flow_style=False),
)


def _dump(data: Any) -> str:
    """PyYAML's emitter, fed by ourselves: its representer takes three times as long for the same bytes."""
    text = io.StringIO()
    emitter = yaml.CSafeDumper(text, allow_unicode=True, width=110)
    try:
        emitter.emit(StreamStartEvent())
        emitter.emit(DocumentStartEvent(explicit=False))
        _emit(data, emitter.emit)
        emitter.emit(DocumentEndEvent(explicit=False))
        emitter.emit(StreamEndEvent())
    finally:
        emitter.dispose()
    return text.getvalue()


def _emit(data: Any, out: Callable[[Event], None]) -> None:
    if isinstance(data, str):
        out(_text(data) if len(data) < 80 else _text.__wrapped__(data))
    elif isinstance(data, dict):
        out(_MAP)
        for key, value in data.items():
            _emit(key, out)
            _emit(value, out)
        out(MappingEndEvent())
    elif isinstance(data, list):
        out(_LIST)
        for value in data:
            _emit(value, out)
        out(SequenceEndEvent())
    else:
        plain = (
            "null"
            if data is None
            else str(data).lower()
            if isinstance(data, bool)
            else _number(data)
        )
        out(ScalarEvent(None, None, (True, False), plain))


def _number(data: float) -> str:
    return str(yaml.representer.SafeRepresenter().represent_data(data).value)


@lru_cache(4096)
def _text(data: str) -> ScalarEvent:
    style = None
    if _HIDDEN.search(data) or data in {"yes", "no", "on", "off"} or is_number(data):
        style = '"'
    if "\n" in data and style is None:
        style = "|"
    tests = [*_IMPLICIT.get(data[:1], []), *_IMPLICIT.get(None, [])]
    is_text = style is not None or not any(
        test.match(data) for _, test in tests
    )  # else it is quoted
    return ScalarEvent(None, None, (is_text, True), data, style=style)


def _stand_ins(data: Any, table: dict[int, int]) -> Any:
    if isinstance(data, dict):
        return {
            _stand_ins(key, table): _stand_ins(value, table)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [_stand_ins(item, table) for item in data]
    if isinstance(data, str) and not any("\ue000" <= char <= "\uf8ff" for char in data):
        for char in data:
            if ord(char) > 0xFFFF and len(table) < 0x1000:
                table.setdefault(ord(char), 0xE000 + len(table))
        return data.translate(table)
    return data


def dumps(thing: Any, header: str = "") -> str:
    """YAML of a struct or of builtins: keys in their order, text in `|` blocks, control and bidi characters escaped."""
    data = msgspec.to_builtins(thing)
    text = _dump(data)
    if (
        "\\U000" in text
    ):  # libyaml escapes what lies beyond U+FFFF; a chat without emoji is no chat
        table: dict[int, int] = {}
        text = _dump(_stand_ins(data, table))
        text = text.translate({stand_in: char for char, stand_in in table.items()})
    text = _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return f"{header}{text}" if header else text

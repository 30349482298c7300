"""YAML as models write it: every scalar a string, duplicate keys and aliases refused, broken lines read by line.

Files are read by `bus/yaml_read.py`, which is strict; this module is only for the front matter of answers. `NO`, `1.10`,
`2026-11-22` stay what was typed. Nothing here guesses a value: a line that YAML cannot read is kept as text.
"""

import re
import unicodedata
from contextlib import suppress
from typing import Any

import yaml

_KEY = re.compile(
    r"""^[*_`"'“]{0,3}(?P<key>[^\W\d][\w-]*(?:[ ][\w-]+){0,2})["'”*_`]{0,3}[ \t]*(?::(?=\s|$)|：)[*_]{0,2}[ \t]*(?P<value>.*)$"""
)
_TIGHT = re.compile(r"^(?P<key>[a-z_]+):(?!//)(?P<value>\S.*)$")
_ITEM = re.compile(r"^(?P<dash>[-•][ \t]+|-$)(?P<rest>.*)$")
_BLOCK = re.compile(r"^[|>][-+]?\d?[-+]?[ \t]*(?:#.*)?$")
_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "‘": "’", "«": "»", "`": "`"}
_DEPTH = 30
_SIZE = 256 * 1024

Line = tuple[int, str]  # number in the answer, text


class Unreadable(Exception):
    """Front matter that says two things or hides some; `errors` are sentences to send back."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def is_key(line: str) -> bool:
    """Whether this line starts `key: value`."""
    return _key(line) is not None


def is_yaml(line: str) -> bool:
    """Whether this line may stand inside front matter: a key, an item, indented, a comment, a bracket that closes."""
    return is_key(line) or line[:1] in {" ", "\t", "#", "]", "}", "-", "•"}


def parse_front_matter(lines: list[Line]) -> tuple[dict[str, Any], list[str]]:
    """(mapping, notes) of some lines of front matter; every scalar is a str. Raises Unreadable."""
    text = "\n".join(x for _, x in lines)
    first = lines[0][0] if lines else 1
    if len(text) > _SIZE:
        raise Unreadable(
            [
                f"line {first}: the front matter is longer than {_SIZE // 1024} KiB; put long text below the second ---"
            ]
        )
    note = f"line {first}: tabs, curly quotes or wide colons in the front matter were read as plain ones"
    tries = [(text, ""), (_mended(text), note)]
    if re.search(
        r"(?m)^\s*(?:-[ ]+|[\w-]+:[ ]*)?[\[{].*[“”„]", text
    ):  # YAML would split [“a, b”] at the comma
        tries.reverse()
    for attempt, said in tries:
        found = _strict(attempt, first)
        if found is not None:
            return found, [said] if said else []
    tidy = [(n, x.replace("\t", "  ")) for n, x in lines]
    value = _lines(tidy, 0)
    note = f"line {first}: the front matter is not valid YAML and was read line by line"
    return (value, [note]) if isinstance(value, dict) else ({}, [note])


def _strict(text: str, first: int) -> dict[str, Any] | None:
    """The mapping as YAML reads it, or None if this is not YAML that may be trusted."""
    if _too_deep(text):
        return None
    try:
        if _refers(text, first):
            return None
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        value = _plain(node, first, 0) if node is not None else {}
    except (yaml.YAMLError, RecursionError, _Odd, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _refers(text: str, first: int) -> bool:
    """Whether there are anchors or aliases; without its partner each is only a word
    that starts with & or *. Raises Unreadable where one refers to the other.
    """
    anchors, aliases = set(), set()
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if isinstance(event, yaml.AliasEvent):
            aliases.add(event.anchor)
        elif isinstance(event, yaml.NodeEvent) and event.anchor:
            anchors.add(event.anchor)
    if anchors & aliases:
        raise Unreadable(
            [
                f"line {first}: anchors and aliases (&x, *x) are not read; write the value out"
            ]
        )
    return bool(anchors or aliases)


class _Odd(Exception):
    """Valid YAML that says more than text: a tag, a key that is no word."""


def _plain(node: yaml.Node, first: int, depth: int) -> Any:
    if depth > _DEPTH:
        raise _Odd
    if isinstance(node, yaml.ScalarNode):
        if node.tag != "tag:yaml.org,2002:str":
            raise _Odd
        return _scalar(node.value, quoted=node.style is not None)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(n, first, depth + 1) for n in node.value]
    out: dict[str, Any] = {}
    for k, v in node.value:
        if not isinstance(k, yaml.ScalarNode) or k.tag != "tag:yaml.org,2002:str":
            raise _Odd
        _put(
            out,
            _scalar(k.value, quoted=False),
            _plain(v, first, depth + 1),
            first + k.start_mark.line,
        )
    return out


def _put(out: dict[str, Any], key: str, value: Any, n: int) -> None:
    if key in out:
        raise Unreadable([f"line {n}: the key {key!r} stands twice; keep one"])
    out[key] = value


def _scalar(value: str, *, quoted: bool) -> str:
    value = (
        unicodedata.normalize("NFC", value)
        .replace("\u00a0", " ")
        .replace("\u202f", " ")
        .replace("\u2007", " ")
    )
    if quoted:
        return value
    value = value.strip()
    if (
        len(value) > 1
        and value[0] in "“„‘«"
        and value[-1] in {_QUOTES[value[0]], "”"}
        and value[0] not in value[1:]
    ):
        return value[1:-1]
    return value


def _too_deep(text: str) -> bool:
    depth = deepest = 0
    for c in text:
        depth += (c in "[{") - (c in "]}")
        deepest = max(deepest, depth)
    return deepest > _DEPTH


def _mended(text: str) -> str:
    """Indenting tabs as spaces, curly quotes as straight ones where they delimit a flow list, wide colons as colons."""
    out = []
    for line in text.split("\n"):
        lead = line[: len(line) - len(line.lstrip(" \t"))]
        tail = line[len(lead) :]
        if re.match(r"^(?:- |[\w-]+[:：]\s*)?[\[{]", tail):
            tail = re.sub("[“”„]", '"', tail)
        tail = re.sub(r"^([\w-]+)：\s*", r"\1: ", tail)
        tail = re.sub(r":\t+", ": ", tail)
        out.append(lead.replace("\t", "  ") + tail)
    return "\n".join(out)


# --- line by line ---------------------------------------------------------------------------------------------------


def _key(line: str) -> tuple[str, str] | None:
    m = _KEY.match(line) or _TIGHT.match(line)
    return (m["key"].strip(), m["value"].strip()) if m else None


def _lines(lines: list[Line], depth: int) -> Any:
    """A list, a mapping or text: whatever the least indented first line begins."""
    lines = _unindented(_trim(lines))
    if not lines:
        return ""
    head = lines[0][1]
    words = [x.strip() for _, x in lines]
    if depth > _DEPTH:
        return _scalar(" ".join(words), quoted=False)
    if _is_item(head):
        return [_item(part, depth) for part in _parts(lines, _is_item)]
    if _key(head) is not None:
        return _mapping(lines, depth)
    return _value(" ".join(filter(None, words)))


def _is_item(line: str) -> bool:
    return _ITEM.match(line) is not None


def _unindented(lines: list[Line]) -> list[Line]:
    """The lines without the indent that all of them have."""
    margin = _margin([x for _, x in lines])
    return [(n, x[margin:]) for n, x in lines]


def _margin(texts: list[str]) -> int:
    """The blanks before the least indented line."""
    return min((len(x) - len(x.lstrip(" ")) for x in texts if x.strip()), default=0)


def _trim(lines: list[Line]) -> list[Line]:
    start, end = 0, len(lines)
    while start < end and (
        not lines[start][1].strip() or lines[start][1].startswith("#")
    ):
        start += 1
    while end > start and not lines[end - 1][1].strip():
        end -= 1
    return lines[start:end]


def _parts(lines: list[Line], starts: Any) -> list[list[Line]]:
    """Split before every unindented line for which `starts` holds; the first line always starts one."""
    parts: list[list[Line]] = []
    for line in lines:
        if not parts or starts(line[1]):
            parts.append([line])
        else:
            parts[-1].append(line)
    return parts


def _item(part: list[Line], depth: int) -> Any:
    n, head = part[0]
    m = _ITEM.match(head)
    if m is None:
        return _lines(part, depth + 1)
    first = " " * len(m["dash"]) + m["rest"]
    return _lines(
        [
            (n, first),
            *((k, x if x[:1] in {" ", ""} else f"  {x}") for k, x in part[1:]),
        ],
        depth + 1,
    )


def _mapping(lines: list[Line], depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for part in _parts(lines, is_key):
        n, head = part[0]
        found = _key(head)
        if found is None:
            continue
        key, value = found
        rest = part[1:]
        if _BLOCK.match(value):
            _put(out, key, _block(value, rest), n)
        elif not value:
            _put(out, key, _lines(rest, depth + 1), n)
        else:
            more = [x.strip() for _, x in rest if x.strip() and not x.startswith("#")]
            _put(out, key, _value(" ".join([value, *more])), n)
    return out


def _block(mark: str, lines: list[Line]) -> str:
    """The text of a `|` or `>` block."""
    texts = [x for _, x in _trim_end(lines)]
    margin = _margin(texts)
    joined = "\n".join(x[margin:] for x in texts)
    return _scalar(joined if mark[0] == "|" else " ".join(joined.split()), quoted=True)


def _trim_end(lines: list[Line]) -> list[Line]:
    end = len(lines)
    while end and not lines[end - 1][1].strip():
        end -= 1
    return lines[:end]


def _value(text: str) -> Any:
    """One value on a line: a flow list or a quoted string if YAML reads it as one, else the text as it stands."""
    text = text.strip()
    if text[:1] in {"[", "{", '"', "'"}:
        with suppress(yaml.YAMLError, RecursionError, _Odd, ValueError):
            return _flow(text)
    if re.fullmatch(r"\[[^\[\]]*\]", text):
        return [_unquoted(x) for x in text[1:-1].split(",") if x.strip()]
    return _unquoted(text)


def _flow(text: str) -> Any:
    """A flow list, a flow mapping or a quoted string; raises _Odd and what YAML raises."""
    mended = re.sub("[“”„]", '"', text) if text[0] in "[{" else text
    if _too_deep(mended):
        raise _Odd
    node = yaml.compose(mended, Loader=yaml.BaseLoader)
    return _plain(node, 1, 0) if node is not None else ""


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        return _scalar(text[1:-1], quoted=True)
    return _scalar(text, quoted=False)

"""Reads the YAML of files: strict, typed, and able to say `file:line:col` of anything it complains about.

Only `true` and `false` are booleans; there are no implicit dates, octals or sexagesimals; duplicate keys, aliases,
anchors and tags are refused, and so is anything over 1 MiB. What a model answers is read by `answers/envelopes.py` instead.
"""

import os
import re
import stat
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
import yaml

from catherd.core.errors import CatherdError
from catherd.core.messages import FORMAT

T = TypeVar("T")

LIMIT = (
    1 << 20
)  # bytes; the largest file the engine itself writes is an ask, a tenth of this
DEEP = 64  # levels; the parser recurses in C, and a file nested without end would end the process
_SUSPECT = re.compile(
    r"^[ \t?:-]{30,}", re.MULTILINE
)  # blocks deeper than DEEP begin somewhere beyond this column
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?\Z")
_HINTS = {
    "tab character": "use spaces, not a tab",
    "another document": "delete the line `---`, or put what follows it into a file of its own",
    "cannot start any token": "use spaces, not a tab; quote the value if it begins with @, `, % or *",
    "mapping values are not allowed": "quote the value: it holds a colon followed by a blank",
    "unexpected end of stream": "close the quote that is open",
    "could not find expected ':'": "close the quote, or put `key: value` on the line",
    "undefined alias": "quote the value: a `*` at its beginning means an alias",
    "did not find expected": "check the indentation and the brackets of the lines above",
}


_EXAMPLES = {
    "str": "'a text'",
    "array": "[one, two]",
    "int": "3",
    "float": "0.5",
    "bool": "true",
    "object": "{a: b}",
}


class Document:
    """Parsed YAML: `.data` as builtins, and the place of every part of it."""

    def __init__(self, data: Any, node: yaml.Node | None, name: str) -> None:
        self.data, self._node, self.name = data, node, name

    def where(self, *keys: str | int) -> str:
        """`file:line:col` of the value under `keys`, or of its nearest parent that is there."""
        node = self._node
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                found = next((v for k, v in node.value if k.value == str(key)), None)
            elif (
                isinstance(node, yaml.SequenceNode)
                and isinstance(key, int)
                and key < len(node.value)
            ):
                found = node.value[key]
            else:
                found = None
            if found is None:
                break
            node = found
        return self.name if node is None else _place(self.name, node.start_mark)


def _place(name: str, mark: Any) -> str:
    return f"{name}:{mark.line + 1}:{mark.column + 1}"


def loads(text: str, name: str, limit: int = LIMIT) -> Document:
    """The document in `text`; `name` is what errors call it. Empty text is None.

    Raises CatherdError with place and fix.
    """
    if len(text) > limit:
        raise CatherdError(
            f"larger than {limit} bytes",
            where=name,
            fix="split it; no file of the bus is that large",
        )
    try:
        _shallow(text, name)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, name) from None
    except yaml.YAMLError as error:
        what = str(error).splitlines()[0]
        raise CatherdError(
            what, where=name, fix="remove the character; YAML holds text only"
        ) from None
    if node is None:
        return Document(None, None, name)
    return Document(_build(node, name, text, set()), node, name)


def _syntax_error(error: yaml.MarkedYAMLError, name: str) -> CatherdError:
    if error.context and "quoted scalar" in error.context and error.context_mark:
        return CatherdError(
            "a quote is opened here and never closed",
            where=_place(name, error.context_mark),
            fix="close the quote that is open",
        )
    mark = error.problem_mark or error.context_mark
    what = error.problem or "not YAML"
    fix = "compare with the example in docs/handbook/bus.md"
    hints = [hint for part, hint in _HINTS.items() if part in what]
    where = _place(name, mark) if mark else name
    return CatherdError(what, where=where, fix=hints[0] if hints else fix)


def _shallow(text: str, name: str) -> None:
    """Refuse what is nested deeper than DEEP; only a text that could be is looked through for it."""
    if text.count("[") + text.count("{") < DEEP // 2 and not _SUSPECT.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
            event, yaml.CollectionEndEvent
        )
        if depth > DEEP:
            raise CatherdError(
                f"nested deeper than {DEEP} levels",
                where=_place(name, event.start_mark),
                fix="write it flatter",
            )


def _build(node: yaml.Node, name: str, text: str, seen: set[int]) -> Any:
    if id(node) in seen:
        raise CatherdError(
            "an alias (`*name`) is not taken here",
            where=_place(name, node.start_mark),
            fix="write the value out",
        )
    if text[node.start_mark.index : node.start_mark.index + 1] == "&":
        raise CatherdError(
            "an anchor (`&name`) is not taken here",
            where=_place(name, node.start_mark),
            fix="delete the anchor; quote a text that begins with &",
        )
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise CatherdError(
                    "a key must be a word",
                    where=_place(name, key.start_mark),
                    fix="quote the key",
                )
            if key.value in built:
                raise CatherdError(
                    f"the key '{key.value}' stands here twice",
                    where=_place(name, key.start_mark),
                    fix="delete one of them",
                )
            built[key.value] = _build(value, name, text, seen)
        return built
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, name, text, seen) for item in node.value]
    assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - there is no fourth kind of node
    return _scalar(node, name)


def _scalar(node: yaml.ScalarNode, name: str) -> Any:
    text: str = node.value
    if node.tag.startswith("!") or ("python" in node.tag):
        raise CatherdError(
            f"the tag {node.tag} is not taken here",
            where=_place(name, node.start_mark),
            fix="delete the tag",
        )
    if node.style:  # quoted, or a block: text as it stands
        return text
    if text in {"", "null", "~"}:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if _INT.match(text):
        return int(text) if len(text) < 19 else text
    if _FLOAT.match(text):
        return float(text)
    return text


def is_number(text: str) -> bool:
    """Whether unquoted `text` is read as a number."""
    return bool(_INT.match(text) or _FLOAT.match(text))


def read_yaml(path: str, name: str | None = None) -> Document:
    """The document in the regular file `path`; `name` (default: the path) is what errors call it."""
    return loads(text_of(path, name), name or path)


def text_of(path: str, name: str | None = None, limit: int = LIMIT) -> str:
    """The text of a regular file: no symlink, FIFO or directory, at most 1 MiB, valid UTF-8. FileNotFoundError passes."""
    name = name or path
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        what = (
            "a symbolic link"
            if os.path.islink(path)
            else (error.strerror or "unreadable")
        )
        raise CatherdError(
            what,
            where=name,
            fix=f"put a regular file there: rm '{name}' and write it anew",
        ) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise CatherdError(
            "not a regular file",
            where=name,
            fix=f"rm -r '{name}' and write a file there",
        )
    with open(fd, "rb") as file:
        info = os.fstat(fd)
        if info.st_size > limit:
            raise CatherdError(
                f"{info.st_size} bytes; the limit is {limit}",
                where=name,
                fix="split it; no file of the bus is that large",
            )
        data = file.read()
    return decoded(data, name)


def decoded(data: bytes, name: str) -> str:
    """The text in `data`, which must be UTF-8; `name` is what errors call it."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CatherdError(
            "not UTF-8", where=f"{name}:{line}", fix="save the file as UTF-8"
        ) from None


def typed(document: Document, kind: type[T]) -> T:
    """`document` as a struct.

    Raises CatherdError, with its place, for a wrong type, a missing key and a newer
    format. Unknown keys are left out (see `unknown`), and so is `key:` without a value.
    """
    data = document.data
    if not isinstance(data, dict):
        raise CatherdError(
            "expected `key: value` lines",
            where=document.where(),
            fix="see docs/handbook/bus.md",
        )
    written = data.get("catherd", FORMAT)
    if isinstance(written, int) and written > FORMAT:
        raise CatherdError(
            f"format {written} is newer than this catherd, which reads format {FORMAT}",
            where=document.where("catherd"),
            fix="git pull && make .venv, or make CATHERD=/path/to/a/newer/catherd.whl",
        )
    try:
        said = {key: value for key, value in data.items() if value is not None}
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        raise _located(str(error), document, kind) from None


def _located(told: str, document: Document, kind: type[Any]) -> CatherdError:
    """What msgspec told (`Expected `int`, got `str` - at `$.a[0]``), with place and fix."""
    what, _, path = told.partition(" - at `$")
    keys = _keys(path)
    where = document.where(*keys)
    missing = re.match(r"Object missing required field `(.+)`", what)
    if missing:
        fix = f"add a line `{missing[1]}: …`"
        return CatherdError(f"{missing[1]} is missing", where=where, fix=fix)
    subject = ".".join(str(key) for key in keys)
    fix = _instead(what, keys, document)
    if what.startswith("Invalid enum value"):
        words = get_args(get_type_hints(kind).get(subject))
        fix = f"one of: {', '.join(map(str, words))}" if words else fix
    said = f"{subject}: {what}" if subject else what
    return CatherdError(said, where=where, fix=fix)


def _keys(path: str) -> list[str | int]:
    """The keys and indices in a path of msgspec's, such as `.a[0].b`; `[...]` is 0."""
    parts = re.findall(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]", path)
    return [name or (int(index) if index.isdigit() else 0) for name, index in parts]


def _instead(what: str, keys: list[str | int], document: Document) -> str:
    """The line as it would be taken, as far as the wrong type lets one guess."""
    names = [key for key in keys if isinstance(key, str)]
    last = names[-1] if names else ""
    key = f"{last}: " if last else ""
    found = re.search(r"Expected `(\w+)", what)
    wanted = found[1] if found else ""
    value = _value_at(document.data, keys)
    if wanted == "str" and not isinstance(value, list | dict):
        text = str(value).lower() if isinstance(value, bool) else value
        return f"{key}'{text}'" if isinstance(keys[-1], str) else f"quote it: '{text}'"
    if wanted in _EXAMPLES:
        return f"write it like {key}{_EXAMPLES[wanted]}"
    return f"correct the value of {last}" if last else "correct the value"


def _value_at(value: Any, keys: list[str | int]) -> Any:
    """What stands under `keys`, {} where nothing does."""
    for key in keys:
        is_there = isinstance(value, list) and isinstance(key, int)
        if isinstance(value, dict):
            is_there = key in value
        if not is_there:
            return {}
        value = value[key]
    return value


def unknown(document: Document, kind: type[msgspec.Struct]) -> list[str]:
    """The top-level keys of `document` that `kind` does not know: kept in the file, reported, never used."""
    return (
        [key for key in document.data if key not in kind.__struct_fields__]
        if isinstance(document.data, dict)
        else []
    )

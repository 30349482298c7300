"""YAML artifacts and front matter against their JSON Schema (schemas/*.schema.json).

Each complaint stands at its line. Codes end alike for every kind: x101 a key is
missing, x102 a key is unknown (a warning), x103 a value is wrong.
"""

import functools
import json
import os
import re
from typing import Any

from catherd.bus.yaml_read import Document, loads
from catherd.core.errors import CatherdError
from catherd.design.checks.adapters.markdown import PLACEHOLDER
from catherd.design.checks.adapters.tools import need
from catherd.design.checks.finding import Facts, Ref

FOLDER = os.path.join(os.path.dirname(__file__), "schemas")
# keys whose values name other artifacts
_NAMING = ("stories", "journeys", "screens", "needs", "operations", "artifacts")


def line_col(where: str) -> tuple[int, int]:
    """(line, col) of "name:line:col"; zeros when it names a file only."""
    found = re.search(r":(\d+)(?::(\d+))?$", where)
    return (int(found[1]), int(found[2] or 1)) if found else (0, 0)


def at_key(text: str, doc: Document, *keys: str | int) -> tuple[int, int]:
    """(line, col) of the last of `keys` itself.

    The value of a block mapping begins one line below its key, or further down.
    """
    line, col = line_col(doc.where(*keys))
    if not keys or isinstance(keys[-1], int):
        return line, col

    key = re.escape(str(keys[-1]))
    written = re.compile(rf"""(?<![\w-])["']?{key}["']?\s*:""")
    lines = text.splitlines()
    nearest = min(line, len(lines))
    for number in range(nearest, max(0, line - 4), -1):
        found = written.search(lines[number - 1])
        if found:
            return number, found.start() + 1
    return line, col


def load_shape(text: str, facts: Facts) -> Document | None:
    """`text` through the strict YAML reader; what it refuses is a finding."""
    try:
        return loads(text, "")
    except CatherdError as error:
        facts.say(
            "DOC003",
            f"{error.what} (fix: {error.fix})",
            *line_col(error.where),
        )
        return None


def load_mapping(text: str, facts: Facts) -> Document | None:
    """`text` through the strict YAML reader, when it is a mapping; else a finding."""
    doc = load_shape(text, facts)
    if doc is not None and not isinstance(doc.data, dict):
        facts.say("DOC003", "expected `key: value` lines", 1, 1)
        return None
    return doc


def front(text: str, facts: Facts, prefix: str, schema: str) -> dict[str, Any] | None:
    """The front matter of a page, checked against `schema`; None if it is unusable.

    `text` is what markdown.split_front gave.
    """
    if not text.strip():
        facts.say(
            "DOC011",
            "the front matter is missing: the page begins with a line ---, keys, and a line ---",
            1,
            1,
        )
        return None
    return checked("\n" + text, facts, prefix, schema)


def checked(text: str, facts: Facts, prefix: str, schema: str) -> dict[str, Any] | None:
    """The mapping in a YAML text, checked against `schema`; None if it is unusable.

    Notes the schema's complaints, the names that it uses and the places of its keys.
    """
    doc = load_mapping(text, facts)
    if doc is None:
        return None
    validate(text, doc, facts, prefix, schema)
    for key in _NAMING:
        if isinstance(doc.data.get(key), list):
            facts.refs[key] = strings_at(doc, key)
    for key in doc.data:
        facts.at[key] = list(at_key(text, doc, key))
    data: dict[str, Any] = doc.data
    return data


def strings_at(doc: Document, *keys: str | int) -> list[Ref]:
    """The strings of the list under `keys`, each with its place."""
    values: Any = doc.data
    for key in keys:
        values = values[key]
    return [
        Ref(value, *line_col(doc.where(*keys, n)))
        for n, value in enumerate(values)
        if isinstance(value, str)
    ]


def validator(schema: str) -> Any:
    """The validator of a schema of schemas/. Raises ImportError without jsonschema."""
    need("jsonschema")
    return _compiled(schema)


@functools.cache
def _compiled(schema: str) -> Any:
    import jsonschema

    with open(os.path.join(FOLDER, f"{schema}.schema.json"), encoding="utf-8") as file:
        return jsonschema.Draft202012Validator(json.load(file))


def validate(text: str, doc: Document, facts: Facts, prefix: str, schema: str) -> None:
    """Note what `schema` has against `doc`, which was read from `text`."""
    try:
        errors = validator(schema).iter_errors(doc.data)
    except ImportError:
        facts.cannot_look(
            "jsonschema is not here to look: pip install 'catherd[plan]'", 0, 0
        )
        return
    for error in sorted(errors, key=_path):
        _note(text, doc, facts, prefix, error)


def _path(error: Any) -> list[str]:
    return [str(part) for part in error.absolute_path]


def _note(text: str, doc: Document, facts: Facts, prefix: str, error: Any) -> None:
    """Note one complaint of the validator."""
    keys = list(error.absolute_path)
    name = ".".join(_path(error))
    of = f" of {name}" if name else ""
    if error.validator == "required":
        missing = error.message.split("'")[1]
        line, col = at_key(text, doc, *keys)
        facts.say(
            f"{prefix}101",
            f"the key `{missing}`{of} is missing",
            line or 1,
            col or 1,
        )
    elif error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for key in sorted(set(error.instance) - set(known)):
            place = at_key(text, doc, *keys, key)
            facts.say(
                f"{prefix}102",
                f"the key `{key}`{of} is not known",
                *place,
                severity="warning",
            )
    else:
        facts.say(
            f"{prefix}103",
            f"{name or 'the file'}: {_words(error)}",
            *line_col(doc.where(*keys)),
        )


def _words(error: Any) -> str:
    """What is wrong with a value, in words."""
    value, rule = error.instance, error.validator_value
    shown = _shortened(json.dumps(value, ensure_ascii=False))
    match error.validator:
        case "enum":
            return f"{shown} is none of {', '.join(map(str, rule))}"
        case "type":
            types = rule if isinstance(rule, str) else " or ".join(rule)
            return f"{shown} is no {types}"
        case "minItems":
            return f"{len(value)} entries, at least {rule} expected"
        case "minLength":
            return "is empty"
        case "pattern":
            wanted = error.schema.get("title", f"does not look like {rule}")
            return f"{shown} {wanted}"
        case _:
            return str(error.schema.get("title") or error.message)


def _shortened(text: str) -> str:
    return text if len(text) < 60 else f"{text[:57]}…"


def placeholders(text: str, facts: Facts) -> None:
    """Note the first placeholder of each line of a file that is no Markdown."""
    for number, line in enumerate(text.splitlines(), 1):
        found = PLACEHOLDER.search(line)
        if found:
            facts.say(
                "DOC004",
                f"the placeholder {found[0]} is left",
                number,
                found.start() + 1,
            )

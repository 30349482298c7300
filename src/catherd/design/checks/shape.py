"""YAML artifacts and front matter against their JSON Schema (schemas/*.schema.json), each complaint at its line.

Codes end alike for every kind: x101 a key is missing, x102 a key is unknown (warning), x103 a value is wrong.
"""

import functools
import json
import os
import re
from typing import Any

from catherd.bus.yaml_read import Document, loads
from catherd.core.errors import CatherdError
from catherd.design.checks.finding import Facts, Ref
from catherd.design.checks.markdown import PLACEHOLDER
from catherd.design.checks.tools import need

FOLDER = os.path.join(os.path.dirname(__file__), "schemas")


def line_col(where: str) -> tuple[int, int]:
    """(line, col) of "name:line:col"; zeros when it names a file only."""
    found = re.search(r":(\d+)(?::(\d+))?$", where)
    return (int(found[1]), int(found[2] or 1)) if found else (0, 0)


def at_key(text: str, doc: Document, *keys: str | int) -> tuple[int, int]:
    """(line, col) of the last of `keys` itself: the value of a block mapping begins one line below its key."""
    line, col = line_col(doc.where(*keys))
    if not keys or isinstance(keys[-1], int):
        return line, col
    key = re.escape(str(keys[-1]))
    lines = text.splitlines()
    for n in range(line, max(0, line - 4), -1):
        found = (
            re.search(rf"""(?<![\w-])["']?{key}["']?\s*:""", lines[n - 1])
            if n <= len(lines)
            else None
        )
        if found:
            return n, found.start() + 1
    return line, col


def load_shape(text: str, facts: Facts, code: str) -> Document | None:
    """`text` through the strict YAML door; what it refuses is a finding."""
    try:
        return loads(text, "")
    except CatherdError as error:
        facts.say(code, f"{error.what} (fix: {error.fix})", *line_col(error.where))
        return None


def front(text: str, facts: Facts, prefix: str, schema: str) -> dict[str, Any] | None:
    """The front matter of a page (as markdown.split_front gave it) checked against `schema`; None when it is unusable."""
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
    """The data of a YAML text that is a mapping, with its schema's complaints noted; None when it cannot be used."""
    doc = load_shape(text, facts, "DOC003")
    if doc is None:
        return None
    if not isinstance(doc.data, dict):
        facts.say("DOC003", "expected `key: value` lines", 1, 1)
        return None
    validate(text, doc, facts, prefix, schema)
    for key in ("stories", "journeys", "screens", "needs", "operations", "artifacts"):
        values = doc.data.get(key)
        if isinstance(values, list):
            facts.refs[key] = [
                Ref(value, *line_col(doc.where(key, n)))
                for n, value in enumerate(values)
                if isinstance(value, str)
            ]
    for key in doc.data:
        facts.at[key] = list(at_key(text, doc, key))
    return doc.data


@functools.cache
def _validator(schema: str) -> Any:
    import jsonschema

    with open(os.path.join(FOLDER, f"{schema}.schema.json"), encoding="utf-8") as file:
        return jsonschema.Draft202012Validator(json.load(file))


def validate(text: str, doc: Document, facts: Facts, prefix: str, schema: str) -> None:
    """Note what `schema` has against `doc`, which was read from `text`."""
    try:
        need("jsonschema")
        validator = _validator(schema)
    except ImportError:
        facts.say(
            "DOC090",
            "jsonschema is not here to look: pip install 'catherd[plan]'",
            severity="unknown",
        )
        return
    for error in sorted(
        validator.iter_errors(doc.data),
        key=lambda e: [str(part) for part in e.absolute_path],
    ):
        keys = list(error.absolute_path)
        line, col = line_col(doc.where(*keys))
        name = ".".join(str(key) for key in keys)
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
            for key in sorted(
                set(error.instance) - set(error.schema.get("properties", {}))
            ):
                facts.say(
                    f"{prefix}102",
                    f"the key `{key}`{of} is not known",
                    *at_key(text, doc, *keys, key),
                    severity="warning",
                )
        else:
            facts.say(
                f"{prefix}103", f"{name or 'the file'}: {_words(error)}", line, col
            )


def _words(error: Any) -> str:
    value, rule = error.instance, error.validator_value
    shown = json.dumps(value, ensure_ascii=False)
    shown = shown if len(shown) < 60 else f"{shown[:57]}…"
    match error.validator:
        case "enum":
            return f"{shown} is none of {', '.join(str(v) for v in rule)}"
        case "type":
            return (
                f"{shown} is no {rule if isinstance(rule, str) else ' or '.join(rule)}"
            )
        case "minItems":
            return f"{len(value)} entries, at least {rule} expected"
        case "minLength":
            return "is empty"
        case "pattern":
            return f"{shown} {error.schema.get('title', f'does not look like {rule}')}"
        case _:
            return str(error.schema.get("title") or error.message)


def placeholders(text: str, facts: Facts) -> None:
    """Note the first placeholder of each line of a file that is no Markdown."""
    for n, line in enumerate(text.splitlines(), 1):
        found = PLACEHOLDER.search(line)
        if found:
            facts.say(
                "DOC004", f"the placeholder {found[0]} is left", n, found.start() + 1
            )

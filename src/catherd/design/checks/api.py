"""docs/spec/openapi.yaml: valid, with local references, and operations that refuse."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from catherd.bus.yaml_read import Document
from catherd.design.checks import shape
from catherd.design.checks.adapters.mermaid import Drawer
from catherd.design.checks.adapters.tools import here
from catherd.design.checks.finding import Facts

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_EXAMPLES = {"example", "examples", "default"}
_INDEX = re.compile(r"[0-9]{1,9}")
Keys = list[str | int]


class Operation(NamedTuple):
    """What one method does on one path."""

    path: str
    method: str
    data: dict[str, Any]


def operations(paths: Any) -> Iterator[Operation]:
    """The operations of an OpenAPI document's `paths`, whatever a person made of it."""
    if not isinstance(paths, dict):
        return
    for path, item in paths.items():
        for method in METHODS:
            data = item.get(method) if isinstance(item, dict) else None
            if isinstance(data, dict):
                yield Operation(path, method, data)


def openapi(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/spec/openapi.yaml."""
    shape.placeholders(text, facts)
    doc = shape.load_mapping(text, facts)
    if doc is None:
        return
    bad = [ref for ref in _refs(doc.data, []) if not _resolves(doc.data, ref.target)]
    for ref in bad:
        line, col = shape.line_col(doc.where(*ref.keys, "$ref"))
        local = ref.target.startswith("#/")
        why = "leads nowhere" if local else "is not local: only #/… is followed"
        facts.say("API202", f"$ref {ref.target} {why}", line, col)
    # the validator must never follow a reference out of the file
    if not bad:
        _valid(text, doc, facts)
    for operation in operations(doc.data.get("paths")):
        _operation(text, doc, facts, operation)


class _LocalRef(NamedTuple):
    """A `$ref` and where it stands."""

    target: str
    keys: Keys


def _refs(node: Any, keys: Keys) -> Iterator[_LocalRef]:
    """Every `$ref` below `node`, those in examples left out."""
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str):
            yield _LocalRef(target, keys)
        for key, value in node.items():
            if key not in _EXAMPLES:
                yield from _refs(value, [*keys, key])
    elif isinstance(node, list):
        for n, value in enumerate(node):
            yield from _refs(value, [*keys, n])


def _resolves(data: Any, target: str) -> bool:
    """Whether a reference is local and leads to something in `data` (RFC 6901)."""
    if target == "#":
        return True
    if not target.startswith("#/"):
        return False
    for part in target[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(data, list) and _INDEX.fullmatch(name) and int(name) < len(data):
            data = data[int(name)]
        elif isinstance(data, dict) and name in data:
            data = data[name]
        else:
            return False
    return True


def _valid(text: str, doc: Document, facts: Facts) -> None:
    """Note what openapi-spec-validator has against the document."""
    if not here("openapi_spec_validator"):
        tool = "openapi-spec-validator"
        facts.cannot_look(f"{tool} is not here to look: pip install 'catherd[plan]'")
        return
    from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

    version = str(doc.data.get("openapi", ""))
    if not re.match(r"3\.[01](\.\d+)?$", version):
        facts.say(
            "API201",
            f"openapi: {version or 'missing'}; 3.1.0 is expected",
            *shape.line_col(doc.where("openapi")),
        )
        return
    old = version.startswith("3.0")
    validator = OpenAPIV30SpecValidator if old else OpenAPIV31SpecValidator
    try:
        errors = list(validator(doc.data).iter_errors())
    except Exception as error:
        # a document odd enough to break the validator is not valid
        facts.say(
            "API201",
            f"the validator gave up: {type(error).__name__}: {error}",
            1,
            1,
        )
        return
    for found in errors:
        deepest = _deepest(found)
        keys = list(getattr(deepest, "absolute_path", []))
        what = f"{'.'.join(map(str, keys))}: {deepest.message}"[:300].lstrip(": ")
        line, col = shape.at_key(text, doc, *(keys or _named_path(deepest.message)))
        facts.say("API201", what, line or 1, col or 1)


def _deepest(error: Any) -> Any:
    """The deepest reason for a complaint, which says most."""
    while getattr(error, "context", None):
        error = max(error.context, key=lambda reason: len(reason.absolute_path))
    return error


def _named_path(message: str) -> list[str]:
    """The keys of the path that a message names; some complaints say no more."""
    named = re.search(r"in '(/[^']*)'", message)
    return ["paths", named[1]] if named else []


def _operation(text: str, doc: Document, facts: Facts, operation: Operation) -> None:
    """An operation has a name of its own, an answer, and an answer that refuses."""
    keys = ("paths", operation.path, operation.method)
    line, col = shape.at_key(text, doc, *keys)
    what = f"{operation.method.upper()} {operation.path}"
    name = operation.data.get("operationId")
    at_name = shape.line_col(doc.where(*keys, "operationId"))
    if not isinstance(name, str) or not name:
        facts.say("API205", f"{what} has no operationId", line, col)
    elif name in facts.names("defines"):
        facts.say("API206", f"the operationId {name} stands here twice", *at_name)
    else:
        facts.defines(name, *at_name)
    answers = operation.data.get("responses")
    codes = [str(code) for code in answers] if isinstance(answers, dict) else []
    if not any(code.startswith(("2", "3")) for code in codes):
        facts.say("API203", f"{what} has no 2xx response", line, col)
    if not any(code.startswith(("4", "default")) for code in codes):
        facts.say(
            "API204",
            f"{what} has no 4xx response: what does it refuse?",
            line,
            col,
        )

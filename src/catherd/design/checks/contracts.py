"""The artifacts that code is held to: architecture, OpenAPI, command line, SQL schema and its diagram."""

import re
from typing import Any

from catherd.bus.yaml_read import Document
from catherd.design.checks import shape, sql
from catherd.design.checks.finding import Facts, Ref
from catherd.design.checks.markdown import Page
from catherd.design.checks.mermaid import Drawer
from catherd.design.checks.pages import (
    check_diagram,
    headings,
    open_page,
    wanted_sections,
)
from catherd.design.checks.tools import here

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def architecture(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/spec/architecture.md."""
    page, kinds = open_page(facts, text, drawer)
    found = wanted_sections(
        facts, page, ("Context", "Containers", "Stack", "Invariants", "Deferred"), "ARC"
    )
    for title, kind in (("Context", "C4Context"), ("Containers", "C4Container")):
        if title in found:
            first, last = found[title]
            if not any(k == kind and first <= fence.line <= last for k, fence in kinds):
                facts.say(
                    "ARC204",
                    f"the section {title} has no mermaid fence that begins with `{kind}`",
                    first,
                    1,
                )
    if "Stack" in found:
        _stack(facts, page, *found["Stack"])
    if "Invariants" in found:
        _invariants(facts, page, *found["Invariants"])


def _stack(facts: Facts, page: Page, first: int, last: int) -> None:
    tables = [
        t
        for t in page.tables
        if t.lines and first <= t.lines[0] <= last and "Version" in t.head
    ]
    if not tables:
        facts.say("ARC205", "the stack is a table with a column `Version`", first, 1)
    for table in tables:
        column = table.head.index("Version")
        for row, line in zip(table.rows, table.lines, strict=True):
            if not re.search(r"\d", row[column]):
                facts.say("ARC206", f"{row[0]} has no version", line, 1)


def _invariants(facts: Facts, page: Page, first: int, last: int) -> None:
    blocks = headings(page, 3, first, last)
    seen: set[str] = set()
    if not blocks:
        facts.say("ARC207", "no invariant: `### AD-001: title`", first, 1)
    for n, block in enumerate(blocks):
        named = re.match(r"(AD-\d{3,})\b", block.name)
        if not named or named[1] in seen:
            what = (
                f"{named[1]} stands here twice"
                if named
                else f"'{block.name}' does not begin with an id like AD-001"
            )
            facts.say("ARC208", what, block.line, 1)
        seen.add(named[1] if named else "")
        end = blocks[n + 1].line - 1 if n + 1 < len(blocks) else last
        has = {
            item.strong.strip(": ").lower() for item in page.between(block.line, end)
        }
        for word in ("Binds", "Prevents", "Rule"):
            if word.lower() not in has:
                facts.say(
                    "ARC209",
                    f"{named[1] if named else block.name} has no item `- **{word}**: …`",
                    block.line,
                    1,
                )


def openapi(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/spec/openapi.yaml."""
    shape.placeholders(text, facts)
    doc = shape.load_shape(text, facts, "DOC003")
    if doc is None:
        return
    if not isinstance(doc.data, dict):
        facts.say("DOC003", "expected `key: value` lines", 1, 1)
        return
    if not _refs(
        doc, facts, doc.data, []
    ):  # the validator must never follow a reference out of the file
        _valid(text, doc, facts)
    paths = doc.data.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        for method in METHODS:
            if isinstance(item, dict) and isinstance(item.get(method), dict):
                _operation(text, doc, facts, item[method], ["paths", path, method])


def _valid(text: str, doc: Document, facts: Facts) -> None:
    if not here("openapi_spec_validator"):
        text = "openapi-spec-validator is not here to look: pip install 'catherd[plan]'"
        facts.say("DOC090", text, 1, 1, severity="unknown")
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
    validator = (
        OpenAPIV30SpecValidator
        if version.startswith("3.0")
        else OpenAPIV31SpecValidator
    )
    try:
        errors = list(validator(doc.data).iter_errors())
    except (
        Exception
    ) as error:  # a document odd enough to break the validator is not valid
        facts.say(
            "API201", f"the validator gave up: {type(error).__name__}: {error}", 1, 1
        )
        return
    for found in errors:
        deepest: Any = found
        while getattr(deepest, "context", None):  # the deepest reason says most
            deepest = max(deepest.context, key=lambda e: len(e.absolute_path))
        keys = list(getattr(deepest, "absolute_path", []))
        named = re.search(
            r"in '(/[^']*)'", deepest.message
        )  # an unresolved parameter is located in its text only
        line, col = shape.at_key(
            text, doc, *(keys or (["paths", named[1]] if named else []))
        )
        where = ".".join(map(str, keys))
        facts.say(
            "API201",
            f"{where}: {deepest.message}"[:300].lstrip(": "),
            line or 1,
            col or 1,
        )


def _refs(doc: Document, facts: Facts, node: Any, keys: list[str | int]) -> bool:
    """Note every $ref that is not local or leads nowhere; whether there was one."""
    bad = False
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str) and not _resolves(doc.data, target):
            line, col = shape.line_col(doc.where(*keys, "$ref"))
            what = (
                "leads nowhere"
                if target.startswith("#/")
                else "is not local: only #/… is followed"
            )
            facts.say("API202", f"$ref {target} {what}", line, col)
            bad = True
        for key, value in node.items():
            if key not in {"example", "examples", "default"}:
                bad |= _refs(doc, facts, value, [*keys, key])
    elif isinstance(node, list):
        for n, value in enumerate(node):
            bad |= _refs(doc, facts, value, [*keys, n])
    return bad


def _resolves(data: Any, target: str) -> bool:
    if target == "#":
        return True
    if not target.startswith("#/"):
        return False
    for part in target[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(data, list) and name.isdigit() and int(name) < len(data):
            data = data[int(name)]
        elif isinstance(data, dict) and name in data:
            data = data[name]
        else:
            return False
    return True


def _operation(
    text: str,
    doc: Document,
    facts: Facts,
    operation: dict[str, Any],
    keys: list[str | int],
) -> None:
    name = operation.get("operationId")
    line, col = shape.at_key(text, doc, *keys)
    what = f"{str(keys[2]).upper()} {keys[1]}"
    if not isinstance(name, str) or not name:
        facts.say("API205", f"{what} has no operationId", line, col)
    elif name in facts.names("defines"):
        facts.say(
            "API206",
            f"the operationId {name} stands here twice",
            *shape.line_col(doc.where(*keys, "operationId")),
        )
    else:
        facts.refs.setdefault("defines", []).append(
            Ref(name, *shape.line_col(doc.where(*keys, "operationId")))
        )
    answers = operation.get("responses")
    codes = [str(code) for code in answers] if isinstance(answers, dict) else []
    if not any(code.startswith(("2", "3")) for code in codes):
        facts.say("API203", f"{what} has no 2xx response", line, col)
    if not any(code.startswith(("4", "default")) for code in codes):
        facts.say(
            "API204", f"{what} has no 4xx response: what does it refuse?", line, col
        )


def cli(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/spec/cli.md."""
    page, _ = open_page(facts, text, drawer)
    found = wanted_sections(facts, page, ("Commands",), "CLI")
    if "Commands" not in found:
        return
    first, last = found["Commands"]
    commands = headings(page, 3, first, last)
    if not commands:
        facts.say("CLI203", "no command: `### add TEXT`", first, 1)
    for n, command in enumerate(commands):
        name = command.name.split()[0] if command.name.split() else ""
        if name in facts.names("defines"):
            facts.say(
                "CLI206", f"the command {name} stands here twice", command.line, 1
            )
            continue
        facts.refs.setdefault("defines", []).append(Ref(name, command.line, 1))
        end = commands[n + 1].line - 1 if n + 1 < len(commands) else last
        if not any(
            f.info.split()[:1] == ["console"] and command.line < f.line <= end
            for f in page.fences
        ):
            facts.say(
                "CLI204",
                f"{name} has no `console` fence with an example",
                command.line,
                1,
            )
        exits = [
            m[1]
            for i in page.between(command.line, end)
            if (m := re.match(r"exit (\d+)\s*:", i.text))
        ]
        if "0" not in exits or not any(code != "0" for code in exits):
            facts.say(
                "CLI205",
                f"{name} does not say `- exit 0: …` and a non-zero one",
                command.line,
                1,
            )


def check_schema(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/spec/schema.sql."""
    shape.placeholders(text, facts)
    found = sql.read_schema(text)
    codes = {
        "syntax": "SQL201",
        "primary-key": "SQL202",
        "foreign-key": "SQL203",
        "empty": "SQL204",
    }
    for trouble in found.troubles:
        facts.say(codes[trouble.rule], trouble.what, trouble.line, 1)
    facts.refs["defines"] = [Ref(name, line, 1) for name, line in found.tables.items()]


def check_entities(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/spec/data-model.mmd."""
    shape.placeholders(text, facts)
    kind = check_diagram(facts, text, 1, drawer)
    if kind != "erDiagram":
        facts.say("ERD201", "this is no erDiagram", 1, 1)
    for n, line in enumerate(text.splitlines(), 1):
        bare = re.sub(r'"[^"]*"', '""', line)
        pair = re.match(
            r"\s*([\w-]+)\s+[|}o]{1,2}(?:--|\.\.)[|{o]{1,2}\s+([\w-]+)\s*:", bare
        )
        alone = re.match(r"\s*([\w-]+)\s*(?:\[.*\])?\s*\{", bare)
        for name in (pair[1], pair[2]) if pair else (alone[1],) if alone else ():
            if name not in facts.names("defines"):
                facts.refs.setdefault("defines", []).append(
                    Ref(name, n, line.find(name) + 1)
                )


def other_diagram(facts: Facts, text: str, drawer: Drawer) -> None:
    """Any other .mmd file."""
    check_diagram(facts, text, 1, drawer)

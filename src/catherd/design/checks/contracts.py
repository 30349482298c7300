"""The artifacts that code is held to, but for OpenAPI: architecture, commands, data."""

import re

from catherd.design.checks import shape
from catherd.design.checks.adapters import sql
from catherd.design.checks.adapters.markdown import Heading, Page, Span
from catherd.design.checks.adapters.mermaid import Drawer
from catherd.design.checks.finding import Facts
from catherd.design.checks.pages import check_diagram, open_page, wanted_sections

ARCHITECTURE = ("Context", "Containers", "Stack", "Invariants", "Deferred")
_SQL_CODES = {
    "syntax": "SQL201",
    "primary-key": "SQL202",
    "foreign-key": "SQL203",
    "empty": "SQL204",
}
_RELATION = re.compile(r"\s*([\w-]+)\s+[|}o]{1,2}(?:--|\.\.)[|{o]{1,2}\s+([\w-]+)\s*:")
_ENTITY = re.compile(r"\s*([\w-]+)\s*(?:\[.*\])?\s*\{")


def architecture(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/spec/architecture.md."""
    page, fences = open_page(facts, text, drawer)
    found = wanted_sections(facts, page, ARCHITECTURE, "ARC")
    for title, kind in (("Context", "C4Context"), ("Containers", "C4Container")):
        if title not in found:
            continue
        section = found[title]
        drawn = {found for found, fence in fences if section.holds(fence.line)}
        if kind not in drawn:
            facts.say(
                "ARC204",
                f"the section {title} has no mermaid fence that begins with `{kind}`",
                section.first,
                1,
            )
    if "Stack" in found:
        _stack(facts, page, found["Stack"])
    if "Invariants" in found:
        _invariants(facts, page, found["Invariants"])


def _stack(facts: Facts, page: Page, section: Span) -> None:
    """The stack is a table with a version in each row."""
    tables = []
    for table in page.tables:
        here = bool(table.lines) and section.holds(table.lines[0])
        if here and "Version" in table.head:
            tables.append(table)
    if not tables:
        facts.say(
            "ARC205",
            "the stack is a table with a column `Version`",
            section.first,
            1,
        )
    for table in tables:
        column = table.head.index("Version")
        for row, line in zip(table.rows, table.lines, strict=True):
            if not re.search(r"\d", row[column]):
                facts.say("ARC206", f"{row[0]} has no version", line, 1)


def _invariants(facts: Facts, page: Page, section: Span) -> None:
    """There is an invariant, and each has an id of its own and its three items."""
    seen: set[str] = set()
    blocks = list(page.blocks(section, 3))
    if not blocks:
        facts.say("ARC207", "no invariant: `### AD-001: title`", section.first, 1)
    for head, block in blocks:
        found = re.match(r"(AD-\d{3,})\b", head.text)
        ident = found[1] if found else ""
        if not ident:
            facts.say(
                "ARC208",
                f"'{head.text}' does not begin with an id like AD-001",
                head.line,
                1,
            )
        elif ident in seen:
            facts.say("ARC208", f"{ident} stands here twice", head.line, 1)
        seen.add(ident)
        has = {item.word for item in page.items_in(block)}
        for word in ("Binds", "Prevents", "Rule"):
            if word.lower() not in has:
                facts.say(
                    "ARC209",
                    f"{ident or head.text} has no item `- **{word}**: …`",
                    head.line,
                    1,
                )


def cli(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/spec/cli.md."""
    page, _ = open_page(facts, text, drawer)
    found = wanted_sections(facts, page, ("Commands",), "CLI")
    if "Commands" not in found:
        return
    commands = list(page.blocks(found["Commands"], 3))
    if not commands:
        facts.say(
            "CLI203",
            "no command: `### add TEXT`",
            found["Commands"].first,
            1,
        )
    for head, block in commands:
        _command(facts, page, head, block)


def _command(facts: Facts, page: Page, head: Heading, block: Span) -> None:
    """A command stands once, with an example and its exit codes."""
    words = head.text.split()
    name = words[0] if words else ""
    if name in facts.names("defines"):
        facts.say("CLI206", f"the command {name} stands here twice", head.line, 1)
        return
    facts.defines(name, head.line)
    examples = {fence.language for fence in page.fences if block.holds(fence.line)}
    if "console" not in examples:
        facts.say(
            "CLI204",
            f"{name} has no `console` fence with an example",
            head.line,
            1,
        )
    exits = [re.match(r"exit (\d+)\s*:", item.text) for item in page.items_in(block)]
    codes = {found[1] for found in exits if found}
    if "0" not in codes or codes == {"0"}:
        facts.say(
            "CLI205",
            f"{name} does not say `- exit 0: …` and a non-zero one",
            head.line,
            1,
        )


def check_schema(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/spec/schema.sql."""
    shape.placeholders(text, facts)
    found = sql.read_schema(text)
    for trouble in found.troubles:
        facts.say(_SQL_CODES[trouble.rule], trouble.what, trouble.line, 1)
    facts.refs["defines"] = []
    for name, line in found.tables.items():
        facts.defines(name, line)


def check_entities(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/spec/data-model.mmd."""
    shape.placeholders(text, facts)
    kind = check_diagram(facts, text, 1, drawer)
    if kind != "erDiagram":
        facts.say("ERD201", "this is no erDiagram", 1, 1)
    for number, line in enumerate(text.splitlines(), 1):
        for name in _entities(line):
            if name not in facts.names("defines"):
                facts.defines(name, number, line.find(name) + 1)


def _entities(line: str) -> tuple[str, ...]:
    """The entities that a line of an erDiagram names: two, one or none."""
    bare = re.sub(r'"[^"]*"', '""', line)
    relation = _RELATION.match(bare)
    if relation:
        return relation[1], relation[2]
    entity = _ENTITY.match(bare)
    return (entity[1],) if entity else ()


def other_diagram(facts: Facts, text: str, drawer: Drawer) -> None:
    """Any other .mmd file."""
    check_diagram(facts, text, 1, drawer)

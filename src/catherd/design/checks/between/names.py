"""The names that artifacts use for each other: ids, titles, numbers, tables."""

import re
from collections.abc import Iterator

from catherd.design.checks.between.files import (
    API,
    CLI,
    ERD,
    SCREENS,
    SQL,
    Files,
    finding,
)
from catherd.design.checks.finding import Facts, Finding, Ref

_ROLES = {"stories": "story", "journeys": "journey", "needs": "task"}
_PREFIXES = {"task": "T", "story": "US", "journey": "UJ", "screens": "SCR"}


def ids_are_there(files: Files) -> Iterator[Finding]:
    """Every id of a story, a journey or a task names one that is there."""
    severity = "error" if files.complete else "warning"
    for role, kind in _ROLES.items():
        known = files.idents(kind)
        for facts, ref in _used(files, role):
            if ref.name not in known and re.fullmatch(r"[A-Z]+-\d+", ref.name):
                code = f"{_PREFIXES[facts.kind]}301"
                yield finding(
                    facts,
                    code,
                    f"{ref.name} is not there",
                    ref,
                    severity=severity,
                )


def screens_are_there(files: Files) -> Iterator[Finding]:
    """Every screen that a journey or a task names is one of screens.yaml."""
    screens = files.by_path.get(SCREENS)
    if screens is None:
        return
    known = screens.names("defines")
    for facts, ref in _used(files, "screens"):
        if facts.kind in {"journey", "task"} and ref.name not in known:
            code = f"{_PREFIXES[facts.kind]}302"
            yield finding(
                facts,
                code,
                f"{ref.name} is no screen of {SCREENS}",
                ref,
                about=[SCREENS],
            )


def _used(files: Files, role: str) -> Iterator[tuple[Facts, Ref]]:
    """The names that artifacts use in a role."""
    for facts in files.by_path.values():
        if facts.kind in _PREFIXES:
            for ref in facts.refs.get(role, []):
                yield facts, ref


def operations_are_there(files: Files) -> Iterator[Finding]:
    """Every operation that a task names is one of openapi.yaml or cli.md.

    While the plan is being written this can be said only when both are there.
    """
    interfaces = [files.by_path[path] for path in (API, CLI) if path in files.by_path]
    if not interfaces or (len(interfaces) < 2 and not files.complete):
        return
    about = [facts.path for facts in interfaces]
    known: set[str] = set()
    for facts in interfaces:
        known.update(facts.names("defines"))
    for task in files.kind("task"):
        for ref in task.refs.get("operations", []):
            if ref.name not in known:
                yield finding(
                    task,
                    "T303",
                    f"no operation {ref.name} in {' or '.join(about)}",
                    ref,
                    about=about,
                )


def titles_differ(files: Files) -> Iterator[Finding]:
    """No two stories have the same title."""
    seen: dict[str, Facts] = {}
    for story in files.kind("story"):
        title = str(story.data.get("title", "")).strip().lower()
        if not title:
            continue
        other = seen.setdefault(title, story)
        if other is not story:
            yield finding(
                story,
                "US303",
                f"{other.ident} has the same title",
                story.part("title"),
                about=[other.path],
            )


def numbers_differ(files: Files) -> Iterator[Finding]:
    """No two decision records have the same number."""
    seen: dict[str, Facts] = {}
    for record in files.kind("decision"):
        other = seen.setdefault(record.ident, record)
        if other is not record:
            yield finding(
                record,
                "ADR301",
                f"the number {record.ident} is taken by {other.path}",
                about=[other.path],
            )


def numbers_have_no_gap(files: Files) -> Iterator[Finding]:
    """Decision records are numbered from 0001 on; only the first gap is told."""
    first: dict[str, Facts] = {}
    for record in files.kind("decision"):
        first.setdefault(record.ident, record)
    for number, (ident, record) in enumerate(first.items(), 1):
        if int(ident) != number:
            yield finding(
                record,
                "ADR302",
                f"the number {number:04} is missing before it: numbers have no gaps",
            )
            return


def entities_are_tables(files: Files) -> Iterator[Finding]:
    """Every entity of the diagram is a table of the schema."""
    if not _both_readable(files):
        return
    model = files.by_path[ERD]
    tables = _names(files.by_path[SQL])
    for ref in _names(model).values():
        if ref.name.lower() not in tables:
            yield finding(
                model,
                "ERD301",
                f"the entity {ref.name} is no table of {SQL}",
                ref,
                about=[SQL],
            )


def tables_are_entities(files: Files) -> Iterator[Finding]:
    """Every table of the schema is an entity of the diagram."""
    if not _both_readable(files):
        return
    schema = files.by_path[SQL]
    drawn = _names(files.by_path[ERD])
    for ref in _names(schema).values():
        if ref.name.lower() not in drawn:
            yield finding(
                schema,
                "ERD302",
                f"the table {ref.name} is no entity of {ERD}",
                ref,
                about=[ERD],
            )


def _both_readable(files: Files) -> bool:
    """Whether diagram and schema are there, and all tables of the schema are known."""
    if SQL not in files.by_path or ERD not in files.by_path:
        return False
    codes = {one.code for one in files.by_path[SQL].findings}
    return not codes & {"SQL201", "SQL204"}


def _names(facts: Facts) -> dict[str, Ref]:
    """The names that a file gives, in lower case; of two that are alike the last one."""
    return {ref.name.lower(): ref for ref in facts.refs.get("defines", [])}

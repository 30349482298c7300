"""The rules between the files of a design document, as a table.

A rule is a function in between/ that yields what is wrong. Its codes are explained in
docs/handbook/document.md, and a test holds the two lists together. The rules see the
facts of the files and whether a path exists, and nothing else.

To add a rule: write the function, give it a row here, explain its code in the handbook.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from catherd.design.checks.between import coverage, links, names, tasks
from catherd.design.checks.between.files import Files
from catherd.design.checks.finding import Finding


class Rule(NamedTuple):
    """A rule and the codes of its findings."""

    codes: tuple[str, ...]
    broken: Callable[[Files], Iterable[Finding]]


ALWAYS = (
    Rule(("DOC005",), links.lead_to_a_file),
    Rule(("DOC006",), links.lead_to_a_heading),
    Rule(("SCR301", "UJ301", "US301", "T301"), names.ids_are_there),
    Rule(("UJ302", "T302"), names.screens_are_there),
    Rule(("T303",), names.operations_are_there),
    Rule(("US303",), names.titles_differ),
    Rule(("ADR301",), names.numbers_differ),
    Rule(("ERD301",), names.entities_are_tables),
    Rule(("ERD302",), names.tables_are_entities),
    Rule(("T304",), tasks.needs_run_in_no_circle),
    Rule(("T305",), tasks.needs_come_before),
    Rule(("T306",), tasks.no_file_has_two_writers),
)
# asked only when the plan is done: while it is being written, these may still come
WHEN_COMPLETE = (
    Rule(("DOC001",), coverage.artifacts_are_there),
    Rule(("ADR302",), names.numbers_have_no_gap),
    Rule(("US304",), coverage.poc_stories_have_a_screen),
    Rule(("US305",), coverage.poc_stories_have_a_task),
    Rule(("API301", "CLI301"), coverage.operations_have_a_task),
    Rule(("RM301",), coverage.milestones_have_a_task),
)


def across_findings(files: Files) -> list[Finding]:
    """All that is wrong between the files."""
    found: list[Finding] = []
    for rule in ALWAYS + (WHEN_COMPLETE if files.complete else ()):
        found += rule.broken(files)
    return found

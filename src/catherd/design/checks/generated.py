"""Generated files that are not what their sources give today, or that are not there."""

import os
from collections.abc import Iterator

from catherd.bus.yaml_read import text_of
from catherd.core.errors import CatherdError
from catherd.design import trace
from catherd.design.checks.finding import Facts, Finding, program_words
from catherd.design.wireframe import screens


def stale(root: str, found: dict[str, Facts], *, complete: bool) -> Iterator[Finding]:
    """What is stale below `root`, and (when complete) what is missing.

    `found` are the facts of all files. From a screens.yaml that has errors nothing can
    be made.
    """
    source = found.get(screens.FILE)
    if source is not None and not source.broken:
        yield from _pictures(root, complete=complete)
        if complete:
            yield from _hand_drawn(source, found)
    if complete:
        yield from _trace_and_gantt(root)


def _pictures(root: str, *, complete: bool) -> Iterator[Finding]:
    """The pictures and the map that are made from screens.yaml."""
    source = _read(root, screens.FILE) or ""

    for name, wanted in screens.compiled(source).items():
        path = f"docs/ux/{name}"
        now = _read(root, path)

        if now is not None:
            yield from _compare(path, now, wanted, screens.FILE)
        elif complete:
            what = f"is not made from {screens.FILE} yet: {program_words()} design ."
            yield Finding(path=path, code="DOC014", text=what, about=(screens.FILE,))


def _hand_drawn(source: Facts, found: dict[str, Facts]) -> Iterator[Finding]:
    """The pictures that screens.yaml leaves to a person."""
    for name in source.data.get("drawn", []):
        path = f"docs/ux/{name}"
        if path not in found:
            what = "is to be drawn by hand, and is not there"
            yield Finding(path=path, code="SCR303", text=what)


def _trace_and_gantt(root: str) -> Iterator[Finding]:
    """Their absence is DOC001, like that of any artifact which the layout asks for."""
    plan = trace.read_plan(root)

    now = _read(root, trace.TRACE)
    if now is not None:
        pulls = trace.prs_in(now)
        wanted = trace.trace(plan, pulls)
        yield from _compare(trace.TRACE, now, wanted, "the artifacts")

    now = _read(root, trace.GANTT)
    if now is not None and plan.milestones:
        wanted = trace.gantt(plan)
        yield from _compare(trace.GANTT, now, wanted, "docs/roadmap.yaml")


def _read(root: str, path: str) -> str | None:
    """The text of a file, or None when it is not there or no text."""
    try:
        return text_of(os.path.join(root, path), path)
    except (FileNotFoundError, CatherdError):
        return None


def _compare(path: str, now: str, wanted: str, source: str) -> Iterator[Finding]:
    if now != wanted:
        what = f"is not what {source} gives today: {program_words()} design ."
        about = (source,)
        yield Finding(path=path, line=1, col=1, code="DOC013", text=what, about=about)

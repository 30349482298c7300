"""The order of the tasks, which their `needs` make."""

import itertools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from catherd.design.checks.between.files import Files, finding
from catherd.design.checks.finding import Facts, Finding
from catherd.design.checks.plans import MILESTONES


def needs_run_in_no_circle(files: Files) -> Iterator[Finding]:
    """No task needs itself, not even by way of others."""
    known = files.idents("task")
    circle = _circle(_needs(known))
    if not circle:
        return
    first = known[circle[0]]
    to_second = [ref for ref in first.refs["needs"] if ref.name == circle[1]]
    others = circle[1:-1]
    yield finding(
        first,
        "T304",
        f"the needs run in a circle: {' needs '.join(circle)}",
        to_second[0],
        about=[known[name].path for name in others],
    )


def needs_come_before(files: Files) -> Iterator[Finding]:
    """No task needs one of a later milestone."""
    known = files.idents("task")
    if _circle(_needs(known)):
        return
    for task in known.values():
        for ref in task.refs.get("needs", []):
            other = known.get(ref.name)
            if other and 0 <= _rank(task) < _rank(other):
                later, mine = other.data["milestone"], task.data["milestone"]
                yield finding(
                    task,
                    "T305",
                    f"{ref.name} belongs to {later}, later than {mine}",
                    ref,
                    about=[other.path],
                )


def no_file_has_two_writers(files: Files) -> Iterator[Finding]:
    """No two tasks of a milestone write the same file, unless one needs the other."""
    known = files.idents("task")
    needs = _needs(known)
    if _circle(needs):
        return
    for earlier, later in _side_by_side(known, needs):
        for ref in later.refs.get("artifacts", []):
            if any(_overlap(ref.name, name) for name in earlier.names("artifacts")):
                yield finding(
                    later,
                    "T306",
                    f"{earlier.ident} writes {ref.name} too, and neither needs the other: they would conflict",
                    ref,
                    about=[earlier.path],
                )


def _needs(known: dict[str, Facts]) -> dict[str, list[str]]:
    """The tasks that each task needs, those left out that are not there."""
    found = {}
    for ident, task in known.items():
        found[ident] = [name for name in task.names("needs") if name in known]
    return found


def _circle(needs: dict[str, list[str]]) -> list[str]:
    """The ids of a circle, the first one again at the end, or [] without one."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _side_by_side(
    known: dict[str, Facts], needs: dict[str, list[str]]
) -> Iterator[tuple[Facts, Facts]]:
    """The pairs of tasks of one milestone that have no order between them."""
    before = _before(needs)
    for earlier, later in itertools.combinations(sorted(known), 2):
        ordered = later in before[earlier] or earlier in before[later]
        if not ordered and _rank(known[later]) == _rank(known[earlier]):
            yield known[earlier], known[later]


def _before(needs: dict[str, list[str]]) -> dict[str, set[str]]:
    """All tasks that each task needs, those included that its needs need."""
    before: dict[str, set[str]] = {}
    for ident in TopologicalSorter(needs).static_order():
        before[ident] = set(needs[ident])
        for need in needs[ident]:
            before[ident] |= before[need]
    return before


def _rank(task: Facts) -> int:
    """The number of a task's milestone, -1 when it has none that is known."""
    milestone = task.data.get("milestone")
    return MILESTONES.index(milestone) if milestone in MILESTONES else -1


def _overlap(one: str, other: str) -> bool:
    """Whether two artifacts are the same file, or one is a folder that holds the other."""
    if one == other:
        return True
    inside = one.endswith("/") and other.startswith(one)
    return inside or (other.endswith("/") and one.startswith(other))

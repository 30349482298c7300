"""Tasks, bids, pull requests, reviews: what stands in their files. Pure.

A task's state is the directory that its lockfile stands in. A PR's state follows from its files: its heads, the reviews of
the last one, what it still needs, whether it is merged. Nothing else says so. The rules over them are in `merge_rules.py`.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from catherd.core.messages import Base

Opinion = Literal[
    "approve", "changes"
]  # what a review may say; another word is reported and counts for nothing


class Task(Base, kw_only=True):
    """`tasks/<id>.yaml`: what is to be done; yours to edit until it is claimed.

    `kind` is design, build or mend. `paths` are the prefixes that its PR may touch; `accept` an argv that must fail before and
    pass after (build). `needs` are tasks that must be merged first.
    """

    kind: str
    title: str
    milestone: str = ""
    needs: list[str] = msgspec.field(default_factory=list)
    paths: list[str] = msgspec.field(default_factory=list)
    artifacts: list[str] = msgspec.field(
        default_factory=list
    )  # what the task is meant to make; its gate files are its own
    accept: list[str] = msgspec.field(default_factory=list)
    accept_s: float = 60.0
    sandbox: str = "bwrap"  # the lowest tier in which its accept may run
    stories: list[str] = msgspec.field(default_factory=list)
    steps: list[str] = msgspec.field(default_factory=list)
    skills: list[str] = msgspec.field(default_factory=list)
    body: str = ""
    by: str = ""  # who added it, where it is no part of the phase file
    apart: list[str] = msgspec.field(
        default_factory=list
    )  # who wrote the journeys that judge it: not theirs to do


def phase_of(task: Task) -> str:
    """The phase that a task belongs to: it names the turns, and whose money they spend."""
    return "plan" if task.kind == "design" else task.milestone or "poc"


class Bid(Base, kw_only=True):
    """`…/bids/<agent>.yaml`: a sealed bid: fit 0–5 and a reason per task, and tasks that the agent adds (id, title, paths,
    needs). `…/swaps/<agent>.yaml`: `swap`, what it would give and take; empty: it keeps what it has.
    """

    kind: str = "bid"
    fits: dict[str, int] = msgspec.field(default_factory=dict)
    effort: dict[str, int] = msgspec.field(default_factory=dict)
    reasons: dict[str, str] = msgspec.field(default_factory=dict)
    adds: list[dict[str, Any]] = msgspec.field(default_factory=list)
    swap: dict[str, str] = msgspec.field(default_factory=dict)
    note: str = ""


class Tries(msgspec.Struct, frozen=True):
    """What `tasks/<id>.try/` says of the attempts at a task.

    `last` is the number of the last one, `whose` the agent that is at it, "" when it is
    over. The others are about the time since the task was last blocked: how many
    attempts `count` (one that a model refused does not), who `began` one, who was
    `refused` one by its model.
    """

    last: int = 0
    whose: str = ""
    count: int = 0
    began: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


def tries(names: Collection[str]) -> Tries:
    """The attempts at a task by the names of their files: `<n>.<agent>.yaml` begins one,
    `.failed`, `.refused` and `.blocked` beside it end it.

    >>> tries(["1.bo.yaml", "1.bo.failed.yaml", "1.bo.blocked.yaml", "2.al.yaml", "2.al.refused.yaml", "3.bo.yaml"])
    Tries(last=3, whose='bo', count=1, began=frozenset({'al', 'bo'}), refused=frozenset({'al'}))
    """
    marks: dict[str, dict[int, str]] = {}
    for name in names:
        parts = name.split(".")
        if parts[0].isdigit() and len(parts) > 2:
            marks.setdefault(parts[2], {})[int(parts[0])] = parts[1]

    begun = marks.pop("yaml", {})
    last = max(begun, default=0)
    is_over = any(last in ended for ended in marks.values())

    blocked = max(marks.get("blocked", {}), default=0)
    since = _after(blocked, begun)
    refused = _after(blocked, marks.get("refused", {}))

    return Tries(
        last=last,
        whose="" if is_over else begun.get(last, ""),
        count=len(since.keys() - refused.keys()),
        began=frozenset(since.values()),
        refused=frozenset(refused.values()),
    )


def _after(number: int, attempts: Mapping[int, str]) -> dict[int, str]:
    return {n: agent for n, agent in attempts.items() if n > number}


class Assignment(Base, kw_only=True):
    """`…/assignment.yaml`: task → agent; yours to edit until a task is claimed."""

    tasks: dict[str, str]
    proves: list[str] = msgspec.field(
        default_factory=list
    )  # tasks that write journeys: not for who writes the code they prove
    why: dict[str, str] = msgspec.field(default_factory=dict)


class Pr(Base, kw_only=True):
    """`prs/PR-0007/pr.yaml`: a pull request. Its head is the last of its `head-<n>.yaml`."""

    task: str
    author: str
    branch: str
    title: str
    body: str = ""
    opened: str = ""


class Head(Base, kw_only=True):
    """`prs/PR-0007/head-<n>.yaml`: the commit that is proposed from now on. Earlier reviews no longer count."""

    head: str
    why: str = ""
    base: str = ""


class Note(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One remark of a review."""

    file: str = ""
    line: int = 0
    text: str


class Review(Base, kw_only=True):
    """`prs/PR-0007/reviews/<head12>.<who>.yaml`: approve or changes, for exactly this head."""

    verdict: Opinion
    head: str = ""  # yours may leave it out: the file's name says it
    notes: list[Note] = msgspec.field(default_factory=list)
    body: str = ""
    at: str = ""


class Needs(Base, kw_only=True):
    """`prs/PR-0007/needs-<head12>.yaml`: what the author must do before the queue looks again: conflict, red or policy."""

    why: str
    main: str = ""
    at: str = ""
    files: list[str] = msgspec.field(default_factory=list)
    findings: list[str] = msgspec.field(default_factory=list)
    yours: bool = False  # your approval is all that is needed


class Merged(Base, kw_only=True):
    """`prs/PR-0007/merged.yaml`: derived; the ref refs/catherd/merged/PR-0007 is the truth."""

    commit: str
    tree: str = ""
    at: str = ""


class Closed(Base, kw_only=True):
    """`prs/PR-0007/closed.yaml`: it will not be merged; an empty file of yours says the same."""

    why: str = ""
    at: str = ""


class Check(Base, kw_only=True):
    """`ci/<tree12>-<check>.yaml`: one verdict per (tree, check with its limits and sandbox tier): green or red.

    `before`: how a task's accept ended on main with no more of the change than its tests.
    """

    verdict: str
    tree: str
    check: str
    findings: list[str] = msgspec.field(default_factory=list)
    seconds: float = 0.0
    tier: str = ""
    before: str = ""
    log: str = ""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """An open PR as the bus shows it: the last head, the reviews of it by reviewer; who asked for changes at an earlier head
    and is to look again; at how many heads changes were asked for.
    """

    name: str
    pr: Pr
    head: str
    heads: int
    reviews: dict[str, Review]
    objectors: tuple[str, ...] = ()
    rejected: int = 0
    needs: Needs | None = None


def cycle(tasks: Mapping[str, Task]) -> list[str]:
    """A cycle among the needs, as a path that ends where it begins; empty when there is none."""
    done: set[str] = set()
    for name in sorted(tasks):
        found = _cycle_from(name, [], tasks, done)
        if found:
            return found
    return []


def _cycle_from(
    name: str, path: list[str], tasks: Mapping[str, Task], done: set[str]
) -> list[str]:
    """A cycle that `path` leads to by way of `name`; `done` collects the tasks without one."""
    if name in path:
        return [*path[path.index(name) :], name]
    if name in done or name not in tasks:
        return []
    for need in tasks[name].needs:
        found = _cycle_from(need, [*path, name], tasks, done)
        if found:
            return found
    done.add(name)
    return []

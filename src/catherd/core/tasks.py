"""Tasks, bids, pull requests, reviews: what stands in their files, and the rules over them. Pure.

A task's state is the directory that its lockfile stands in. A PR's state follows from its files: its heads, the reviews of
the last one, what it still needs, whether it is merged. Nothing else says so.
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
    """What `tasks/<id>.try/` says: the number of the `last` attempt, and `whose` it is while it is not over; of those since the
    task was last blocked how many `count` (one that a model refused does not), who `began` one, who was `refused`.
    """

    last: int = 0
    whose: str = ""
    count: int = 0
    began: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


def tries(names: Collection[str]) -> Tries:
    """The attempts at a task by the names of their files, `<n>.<agent>.yaml`, `.failed`, `.refused` and `.blocked` beside it.

    >>> tries(["1.bo.yaml", "1.bo.failed.yaml", "1.bo.blocked.yaml", "2.al.yaml", "2.al.refused.yaml", "3.bo.yaml"])
    Tries(last=3, whose='bo', count=1, began=frozenset({'al', 'bo'}), refused=frozenset({'al'}))
    """
    parts = [
        (int(p[0]), p[1], p[2])
        for name in names
        if (p := name.split("."))[0].isdigit() and len(p) > 2
    ]
    before = max((n for n, _, word in parts if word == "blocked"), default=0)
    begun = {n: who for n, who, word in parts if word == "yaml"}
    over = {n for n, _, word in parts if word != "yaml"}
    refused = {n: who for n, who, word in parts if word == "refused" and n > before}
    last, since = (
        max(begun, default=0),
        {n: who for n, who in begun.items() if n > before},
    )
    return Tries(
        last,
        begun[last] if begun and last not in over else "",
        len(since.keys() - refused.keys()),
        frozenset(since.values()),
        frozenset(refused.values()),
    )


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


class Stand(msgspec.Struct, frozen=True):
    """How a PR stands: `act` is merge, wait, revise or human; `approvals` by whom; `forged` reviews that were not counted."""

    act: str
    approvals: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    why: str = ""
    forged: tuple[str, ...] = ()


ROUNDS = 3  # heads at which changes were asked for before a person is called
HEADS = 8  # … and heads in all, whatever sent them back


def wanted(author: str, roll: Collection[str]) -> int:
    """Approvals that a PR needs: two, or all others where there are fewer."""
    return min(2, len([name for name in roll if name != author]))


def stand(view: View, roll: Collection[str], vendors: Mapping[str, str]) -> Stand:
    """Whether an open PR may merge. A review counts for exactly the head that it saw, and never the author's own.

    At least two approvals by others, another vendor among them where there is one; `changes` blocks until that reviewer looks
    at a later head; your approval overrides them, but no conflict and no red check; alone, yours is the one that is needed.
    """
    author = view.pr.author
    forged = tuple(
        sorted(
            who
            for who, review in view.reviews.items()
            if who == author
            or review.head != view.head
            or (who not in roll and who != "human")
        )
    )
    counted = {who: review for who, review in view.reviews.items() if who not in forged}
    approvals = tuple(
        sorted(who for who, review in counted.items() if review.verdict == "approve")
    )
    if "human" in approvals and (view.needs is None or view.needs.yours):
        return Stand(
            "merge",
            tuple(a for a in approvals if a != "human"),
            ("human",),
            forged=forged,
        )
    blocking = sorted(
        who for who, review in counted.items() if review.verdict != "approve"
    )
    need = wanted(author, roll)
    if view.needs is not None or (
        blocking and (len(counted) >= need or "human" in blocking)
    ):
        why = (
            view.needs.why
            if view.needs is not None
            else f"{' and '.join('you' if who == 'human' else who for who in blocking)} asked for changes"
        )
        if view.rejected >= ROUNDS or view.heads >= HEADS:
            return Stand(
                "human",
                approvals,
                why=f"no agreement after {view.heads} rounds: {why}",
                forged=forged,
            )
        return Stand("revise", approvals, why=why, forged=forged)
    if need == 0:
        return Stand(
            "human",
            why="nobody else can review it: your approval is needed",
            forged=forged,
        )
    if "human" in view.objectors and "human" not in counted:
        return Stand(
            "human",
            approvals,
            why="you asked for changes; it was worked on, look again",
            forged=forged,
        )
    again = [who for who in view.objectors if who not in counted]
    others = {vendors.get(name, "") for name in roll if name != author} - {
        vendors.get(author, "")
    }
    foreign = [
        who for who in approvals if vendors.get(who, "") != vendors.get(author, "")
    ]
    if (
        len(approvals) >= need
        and not blocking
        and not again
        and (foreign or not others)
    ):
        return Stand("merge", approvals, forged=forged)
    return Stand(
        "wait", approvals, why=f"{len(approvals)} of {need} approvals", forged=forged
    )


def reviewers(
    view: View,
    roll: Collection[str],
    vendors: Mapping[str, str],
    load: Mapping[str, int],
    asked: Collection[str] = (),
    spent: Collection[str] = (),
) -> list[str]:
    """Who is to be asked now for a review of the last head, beside those who are `asked` already; `spent`: in vain.

    Whoever asked for changes looks again; then as many as are missing, another vendor among them, those with least work first.
    """
    author = view.pr.author
    free = [
        n
        for n in sorted(roll)
        if n != author and n not in view.reviews and n not in asked and n not in spent
    ]
    free.sort(
        key=lambda n: (n not in view.objectors, load.get(n, 0), _turn(view.name, n))
    )
    there = {who for who in view.reviews if who != "human"} | set(asked)
    again = [n for n in free if n in view.objectors]
    chosen = free[: max(wanted(author, roll) - len(there), len(again))]
    foreign = [
        n
        for n in sorted(roll)
        if vendors.get(n, "") != vendors.get(author, "") and n != author
    ]
    if foreign and not set(foreign) & (there | set(chosen)):
        able = [n for n in free if n in foreign][:1]
        chosen = (
            [*(chosen[:-1] if len(chosen) > len(again) else chosen), *able]
            if able
            else chosen
        )
    return chosen


def _turn(pr: str, name: str) -> int:
    """A rotation by PR number, so that reviews spread evenly."""
    digits = "".join(c for c in pr if c.isdigit()) or "0"
    return (sum(name.encode()) + 7 * int(digits)) % 97


def cycle(tasks: Mapping[str, Task]) -> list[str]:
    """A cycle among the needs, as a path that ends where it begins; empty when there is none."""
    done: set[str] = set()

    def visit(one: str, path: list[str]) -> list[str]:
        if one in path:
            return [*path[path.index(one) :], one]
        if one in done or one not in tasks:
            return []
        for need in tasks[one].needs:
            if found := visit(need, [*path, one]):
                return found
        done.add(one)
        return []

    return next((found for one in sorted(tasks) if (found := visit(one, []))), [])

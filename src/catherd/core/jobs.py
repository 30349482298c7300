"""What an agent does next where there is work: a pure function of the tasks, claims and pull requests on the bus."""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from catherd.core.tasks import Task, View, stand

FIRST_RIGHT = 20.0  # seconds for which a task waits for the one it was allotted to, if that one lives
ALONE = 120.0  # … and for which it waits until who proves may do what it proves, where nobody else lives
OPEN_PRS = 3  # of one agent at a time


class Slot(msgspec.Struct, frozen=True, order=True):
    """A review to be done: `R-0007.<head12>.<agent>`, open or claimed; the agent named has the first right."""

    pr: str
    head12: str
    agent: str

    @property
    def lock(self) -> str:
        """The name of its lockfile, without the ending."""
        return f"R-{self.pr.removeprefix('PR-')}.{self.head12}.{self.agent}"


def slot(lock: str) -> Slot | None:
    """The slot that a lockfile's name stands for.

    >>> slot("R-0007.0123456789ab.gemini").pr
    'PR-0007'
    """
    parts = lock.split(".")
    return (
        Slot(f"PR-{parts[0][2:]}", parts[1], parts[2])
        if lock.startswith("R-") and len(parts) == 3
        else None
    )


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The work on the bus as one agent sees it.

    `open`: claimable tasks whose needs are done; `mine`: claimed by me; `slots` and `my_slots` likewise for reviews; `prs`: the
    open ones; `age`: seconds since I first saw a lock claimable; `alive`: who holds its lock.
    """

    open: dict[str, Task] = msgspec.field(default_factory=dict)
    later: dict[str, Task] = msgspec.field(
        default_factory=dict
    )  # open too, but something they need is not merged yet
    mine: dict[str, Task] = msgspec.field(default_factory=dict)
    slots: tuple[Slot, ...] = ()
    my_slots: tuple[Slot, ...] = ()
    prs: dict[str, View] = msgspec.field(default_factory=dict)
    assignment: dict[str, str] = msgspec.field(default_factory=dict)
    proves: frozenset[str] = frozenset()  # tasks that write journeys
    refused: frozenset[str] = frozenset()  # open tasks that my model would not do
    age: dict[str, float] = msgspec.field(default_factory=dict)
    alive: frozenset[str] = frozenset()
    roll: tuple[str, ...] = ()
    vendors: dict[str, str] = msgspec.field(default_factory=dict)


class Revise(msgspec.Struct, frozen=True):
    """Work on your PR again: changes were asked for, it conflicts, or its checks are red."""

    pr: str
    task: str


class Examine(msgspec.Struct, frozen=True):
    """Review the head of somebody's PR, claiming the slot first."""

    slot: Slot


class Write(msgspec.Struct, frozen=True):
    """Carry out a task that is yours."""

    task: str


class Take(msgspec.Struct, frozen=True):
    """Try to claim a task."""

    task: str


Job = Revise | Examine | Write | Take


def next_job(me: str, work: Work, resting: Collection[str] = ()) -> Job | None:
    """The next piece of work of agent `me`: what others wait for comes first. `resting`: jobs, as `repr`, that wait a while."""
    return next((job for job in _jobs(me, work) if repr(job) not in resting), None)


def _jobs(me: str, work: Work) -> Iterator[Job]:
    mine = {view.pr.task: view for view in work.prs.values() if view.pr.author == me}
    for task in sorted(work.mine):
        view = mine.get(task)
        if view is not None and stand(view, work.roll, work.vendors).act == "revise":
            yield Revise(view.name, task)
    for one in sorted(work.my_slots):
        yield Examine(one)
    for one in sorted(work.slots):
        if _may_review(me, one, work):
            yield Examine(one)
    after = {
        t: (-deep, -many)
        for t, (deep, many) in waiting({**work.open, **work.mine}, work.later).items()
    }
    for task in sorted(work.mine, key=lambda t: (after[t], t)):
        if task not in mine:
            yield Write(task)
    if len(mine) < OPEN_PRS:
        for task in sorted(
            work.open, key=lambda t: (work.assignment.get(t) != me, after[t], t)
        ):
            if task not in work.refused and _may_take(me, task, work):
                yield Take(task)


def waiting(
    tasks: Mapping[str, Task], later: Mapping[str, Task]
) -> dict[str, tuple[int, int]]:
    """Task → (how long the longest chain is that cannot begin before it is merged, how many tasks that are): most goes first.

    >>> a, b, c = (Task(kind="design", title="", needs=needs) for needs in ([], ["a"], ["b"]))
    >>> waiting({"a": a}, {"b": b, "c": c})
    {'a': (2, 2)}
    """
    needed: dict[str, list[str]] = {}
    for name, task in {**tasks, **later}.items():
        for need in task.needs:
            needed.setdefault(need, []).append(name)

    def behind(one: str, seen: frozenset[str]) -> tuple[int, frozenset[str]]:
        found = [
            (behind(n, seen | {one}), n) for n in needed.get(one, []) if n not in seen
        ]
        depth = max((1 + deep for (deep, _), _ in found), default=0)
        return depth, frozenset(n for (_, below), name in found for n in (name, *below))

    made = {name: behind(name, frozenset({name})) for name in tasks}
    return {name: (depth, len(below)) for name, (depth, below) in made.items()}


def _may_review(me: str, one: Slot, work: Work) -> bool:
    view = work.prs.get(one.pr)
    if (
        view is None
        or view.head[:12] != one.head12
        or view.pr.author == me
        or me in view.reviews
        or me not in work.roll
    ):
        return False
    if one.agent == me or one.agent not in work.alive:
        return True
    return one.agent not in view.objectors and work.age.get(one.lock, 0.0) > FIRST_RIGHT


def _may_take(me: str, task: str, work: Work) -> bool:
    """Whether `me` may claim a task now: its own, or one whose owner is dead or has let its first right pass. Who should never
    may where nobody else is left who could; the milestone's note says so then.
    """
    owner, age = work.assignment.get(task), work.age.get(task, 0.0)
    if owner == me:
        return True
    others = {name for name in work.roll if name != me}
    able = any(may_ever(name, task, work) for name in others & work.alive)
    if others and not may_ever(me, task, work) and (able or age <= ALONE):
        return False
    return owner is None or owner not in work.alive or age > FIRST_RIGHT


def may_ever(me: str, task: str, work: Work) -> bool:
    """Whether `me` may claim a task, now or later. Who writes the journeys of a milestone keeps away from the code that they
    prove, mends of it included, and the other way round.
    """
    given = {t for t, a in work.assignment.items() if a == me}
    if task in given:
        return True
    proves = bool(work.proves & given)
    posted = work.open.get(task) or work.mine.get(task) or work.later.get(task)
    return (
        proves
        if task in work.proves
        else not proves and (posted is None or me not in posted.apart)
    )

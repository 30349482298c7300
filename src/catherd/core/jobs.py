"""What an agent does next where there is work.

It is a pure function of the tasks, claims and pull requests on the bus.
"""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from catherd.core.merge_rules import stand
from catherd.core.tasks import Task, View

# Seconds for which a task waits for the living agent that it was allotted to.
FIRST_RIGHT = 20.0
# Seconds after which an agent may do a task that it proves, where nobody else lives.
ALONE = 120.0
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
    if not lock.startswith("R-") or len(parts) != 3:
        return None
    number, head12, agent = parts
    return Slot(f"PR-{number.removeprefix('R-')}", head12, agent)


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The work on the bus as one agent sees it.

    `open` are claimable tasks whose needs are done, `later` are open too, but something
    that they need is not merged yet, `mine` are claimed by me. `slots` and `my_slots`
    are the same for reviews. `prs` are the open ones, `proves` the tasks that write
    journeys, `refused` the open tasks that my model would not do. `age` is in seconds
    since I first saw a lock claimable, `alive` are the agents that hold their lock.
    """

    open: dict[str, Task] = msgspec.field(default_factory=dict)
    later: dict[str, Task] = msgspec.field(default_factory=dict)
    mine: dict[str, Task] = msgspec.field(default_factory=dict)
    slots: tuple[Slot, ...] = ()
    my_slots: tuple[Slot, ...] = ()
    prs: dict[str, View] = msgspec.field(default_factory=dict)
    assignment: dict[str, str] = msgspec.field(default_factory=dict)
    proves: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
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
    """The next piece of work of agent `me`: what others wait for comes first.

    `resting` are jobs, as `repr`, that are not tried again for a while.
    """
    return next((job for job in _jobs(me, work) if repr(job) not in resting), None)


def _jobs(me: str, work: Work) -> Iterator[Job]:
    mine = {view.pr.task: view for view in work.prs.values() if view.pr.author == me}
    yield from _revisions(work, mine)
    yield from _reviews(me, work)
    yield from _writing(me, work, mine)


def _revisions(work: Work, mine: Mapping[str, View]) -> Iterator[Job]:
    for task in sorted(work.mine):
        view = mine.get(task)
        if view is not None and stand(view, work.roll, work.vendors).act == "revise":
            yield Revise(view.name, task)


def _reviews(me: str, work: Work) -> Iterator[Job]:
    for one in sorted(work.my_slots):
        yield Examine(one)
    for one in sorted(work.slots):
        if _may_review(me, one, work):
            yield Examine(one)


def _writing(me: str, work: Work, mine: Mapping[str, View]) -> Iterator[Job]:
    """Tasks of mine that have no PR yet, then tasks to claim: first those for which most others wait."""
    chains = waiting({**work.open, **work.mine}, work.later)

    def urgency(task: str) -> tuple[int, int, str]:
        depth, count = chains[task]
        return -depth, -count, task

    for task in sorted(work.mine, key=urgency):
        if task not in mine:
            yield Write(task)
    if len(mine) >= OPEN_PRS:
        return

    # What was allotted to me comes before what was not.
    allotted = [task for task in work.open if work.assignment.get(task) == me]
    others = work.open.keys() - set(allotted)
    ordered = sorted(allotted, key=urgency) + sorted(others, key=urgency)
    for task in ordered:
        if task not in work.refused and _may_take(me, task, work):
            yield Take(task)


def waiting(
    tasks: Mapping[str, Task], later: Mapping[str, Task]
) -> dict[str, tuple[int, int]]:
    """How much waits for each of `tasks`: the task with most goes first.

    Of each, the length of the longest chain of tasks that cannot begin before it is
    merged, and how many such tasks there are. `later` are tasks that wait.

    >>> a, b, c = (Task(kind="design", title="", needs=needs) for needs in ([], ["a"], ["b"]))
    >>> waiting({"a": a}, {"b": b, "c": c})
    {'a': (2, 2)}
    """
    needed: dict[str, list[str]] = {}
    for name, task in {**tasks, **later}.items():
        for need in task.needs:
            needed.setdefault(need, []).append(name)

    found = {}
    for name in tasks:
        depth, below = _behind(name, needed, frozenset({name}))
        found[name] = (depth, len(below))
    return found


def _behind(
    task: str, needed: Mapping[str, list[str]], seen: frozenset[str]
) -> tuple[int, set[str]]:
    """The longest chain behind a task, and all tasks behind it; a cycle is followed once."""
    depth, below = 0, set[str]()
    for name in needed.get(task, []):
        if name not in seen:
            deeper, further = _behind(name, needed, seen | {task})
            depth = max(depth, 1 + deeper)
            below |= {name, *further}
    return depth, below


def _may_review(me: str, one: Slot, work: Work) -> bool:
    view = work.prs.get(one.pr)
    if view is None or not _is_reviewable(me, one, view) or me not in work.roll:
        return False
    if one.agent == me or one.agent not in work.alive:
        return True
    first_right_passed = work.age.get(one.lock, 0.0) > FIRST_RIGHT
    return one.agent not in view.objectors and first_right_passed


def _is_reviewable(me: str, one: Slot, view: View) -> bool:
    is_last_head = view.head[:12] == one.head12
    return is_last_head and view.pr.author != me and me not in view.reviews


def _may_take(me: str, task: str, work: Work) -> bool:
    """Whether `me` may claim a task now.

    It may if the task is its own, or if its owner is dead or has let its first right
    pass. An agent that should never claim it may where nobody else is left who could;
    the milestone's note says so then.
    """
    owner, age = work.assignment.get(task), work.age.get(task, 0.0)
    if owner == me:
        return True
    if not may_ever(me, task, work) and _is_for_others(me, task, work):
        return False
    return owner is None or owner not in work.alive or age > FIRST_RIGHT


def _is_for_others(me: str, task: str, work: Work) -> bool:
    """Whether another agent could do a task, or there are others and it is early to give up on them."""
    others = {name for name in work.roll if name != me}
    for name in others & work.alive:
        if may_ever(name, task, work):
            return True
    return bool(others) and work.age.get(task, 0.0) <= ALONE


def may_ever(me: str, task: str, work: Work) -> bool:
    """Whether `me` may claim a task, now or later.

    The agent that writes the journeys of a milestone keeps away from the code that they
    prove, mends of it included, and the other way round.
    """
    given = {name for name, agent in work.assignment.items() if agent == me}
    if task in given:
        return True

    proves = bool(work.proves & given)
    if task in work.proves:
        return proves

    known = {**work.later, **work.mine, **work.open}
    posted = known.get(task)
    is_apart = posted is not None and me in posted.apart
    return not proves and not is_apart

"""The board: tasks, claims and pull requests on the bus, as one reader sees them; and
how a claim moves.

A claim is a lockfile, and the directory that it stands in is its state:
`claims/open/T-007.lock` can be claimed, `claims/claude/T-007.lock` is Claude's,
`claims/done/T-007.lock` is done. One rename moves it. `done/` is never listed, only
asked for by name.
"""

import os
import time
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from catherd.bus import atomic, yaml_read
from catherd.bus.config import IGNORED, Agent
from catherd.bus.store import Bus, slug
from catherd.bus.yaml_write import dumps
from catherd.core.errors import CatherdError
from catherd.core.jobs import Slot, Work, slot
from catherd.core.messages import FORMAT, Lock
from catherd.core.tasks import Assignment, Head, Pr, Task, View, tries
from catherd.git import landing, merge
from catherd.git.run import git, rev
from catherd.models import cast
from catherd.pulls import pr_files

# Nanoseconds. In a folder that changed so recently another name may come without a
# change of the folder's time.
SETTLED = 50_000_000


class Allotted(NamedTuple):
    """Task → agent, and which tasks prove (write journeys)."""

    owner: dict[str, str]
    proves: frozenset[str]


class Desk:
    """One reader's view of the board.

    It remembers only which PRs are over, and since when a lock has been claimable.
    `going` names the PRs that are not over, as of the last look that had to know.
    """

    def __init__(self, bus: Bus, agents: dict[str, Agent]) -> None:
        self.bus, self.agents = bus, agents
        self.going: list[str] = []
        self._logged: set[str] | None = None
        self._over: set[str] = set()
        self._listed = -1  # the time of `prs/` when it was listed last
        self._since: dict[str, float] = {}

    def look(self, me: str, roll: tuple[str, ...], phases: tuple[str, ...]) -> Work:
        """The work as agent `me` sees it now."""
        bus = self.bus
        if not bus.names("claims/open") and not bus.names(f"claims/{me}"):
            self.going, self._listed = [], -1
            return Work(roll=roll)

        # The PRs before the claims. The queue settles the claim of a task before it says
        # that the PR is merged, so no task of mine is seen without its PR.
        prs = self.prs()
        offered = locks_in(bus, "open")
        held = locks_in(bus, me)
        if not offered and not held:
            return Work(roll=roll)

        allotted = self.assignment(phases)
        unread = self._unread(prs)
        posted = self._tasks(offered, unread)
        ready, later = self._parted(posted)
        claimable = [lock for lock in offered if lock in ready or slot(lock)]
        return Work(
            open=ready,
            later=later,
            mine=self._tasks(held, unread),
            slots=slots_of(offered),
            my_slots=slots_of(held),
            prs=prs,
            assignment=allotted.owner,
            proves=allotted.proves,
            refused=frozenset(name for name in ready if self._refused(me, name)),
            age=self._ages(claimable),
            alive=frozenset(name for name in roll if bus.alive(name)),
            roll=roll,
            vendors=cast.vendors(self.agents, bus.game()),
        )

    def task(self, name: str) -> Task | None:
        """The task, None when it is not there or broken (reported)."""
        return self.bus.look(f"tasks/{name}.yaml", Task)

    def _tasks(self, locks: list[str], unread: Collection[str]) -> dict[str, Task]:
        """The tasks among some locks that can be read, without those that are `unread`."""
        found = {}
        for name in locks:
            if slot(name) is not None or name in unread:
                continue
            task = self.task(name)
            if task is not None:
                found[name] = task

        return found

    def _parted(
        self, tasks: dict[str, Task]
    ) -> tuple[dict[str, Task], dict[str, Task]]:
        """The tasks that can begin, and those that need something that is not done yet."""
        ready, later = {}, {}
        for name, task in tasks.items():
            if all(self.bus.there(f"claims/done/{need}.lock") for need in task.needs):
                ready[name] = task
            else:
                later[name] = task

        return ready, later

    def _refused(self, me: str, task: str) -> bool:
        """Whether the model of `me` would not do the task."""
        return me in tries(self.bus.names(f"tasks/{task}.try")).refused

    def _ages(self, claimable: Iterable[str]) -> dict[str, float]:
        """Seconds since each of these locks was first seen claimable.

        Others are forgotten.
        """
        now = time.monotonic()
        self._since = {name: self._since.get(name, now) for name in claimable}
        return {name: now - since for name, since in self._since.items()}

    def assignment(self, phases: tuple[str, ...]) -> Allotted:
        """The allotment of all phases that have one.

        An agent that is none is left out, and reported while its task is open.
        """
        owner: dict[str, str] = {}
        proves: list[str] = []
        for phase in phases:
            path = f"{phase}/assignment.yaml"
            found = self.bus.look(path, Assignment)
            if found is None:
                continue
            proves = found.proves  # the last phase that has an allotment is on
            for task, agent in found.tasks.items():
                if agent in self.agents:
                    owner[task] = agent

                self._tell_stranger(path, task, agent)

        return Allotted(owner, frozenset(proves))

    def _tell_stranger(self, path: str, task: str, agent: str) -> None:
        """Report an open task that is allotted to no agent.

        Take the report back once it is not.
        """
        trouble = f"assignment-{slug(task)}"
        if agent in self.agents or not self.bus.there(f"claims/open/{task}.lock"):
            self.bus.solved(trouble)
            return

        where = self._place(path, "tasks", task)
        what = f"{task} is allotted to '{agent}', who is no agent; anyone may take it"
        fix = f"one of: {', '.join(self.agents)}"
        self.bus.trouble(trouble, where, what, fix, where)

    def _place(self, path: str, *keys: str) -> str:
        """`file:line:col` of what stands under `keys`, as far as it is still there."""
        try:
            return yaml_read.read_yaml(self.bus.here(path), f"bus/{path}").where(*keys)
        except (CatherdError, OSError):
            return f"bus/{path}"

    def prs(self) -> dict[str, View]:
        """The open PRs by name."""
        views = {name: self.view(name) for name in self.pulls()}
        return {name: view for name, view in views.items() if view is not None}

    def view(self, name: str) -> View | None:
        """A PR as its files show it; None where they do not show one (yet)."""
        return pr_files.read_view(self.bus, name)

    def pulls(self) -> list[str]:
        """The names of the PRs that are not over, in order.

        Those that are over are not opened: `prs.log` names them. `prs/` is listed again
        only when a PR was added.
        """
        if self._logged is None:
            self._logged = pr_files.logged_pulls(self.bus)
            self._over |= self._logged

        try:
            self._list()
        except FileNotFoundError:
            self.going = []

        over = [name for name in self.going if pr_files.is_over(self.bus, name)]
        self._over.update(over)
        self.going = [name for name in self.going if name not in self._over]
        return list(self.going)

    def _list(self) -> None:
        """List `prs/` again, if it may have changed since the last time."""
        folder = self.bus.here("prs")
        at = os.stat(folder).st_mtime_ns
        if at == self._listed and time.time_ns() - at >= SETTLED:
            return
        there = set(os.listdir(folder)) - self._over
        self.going = sorted(name for name in there if not IGNORED.match(name))
        self._listed = at

    def log(self) -> None:
        """Write into `prs.log` which PRs are over. Only the merge queue calls this."""
        if self.bus.there(f"problems/{pr_files.PRS_LOG}.yaml"):
            return
        for name in sorted(self._over - (self._logged or set())):
            pr_files.forget_pull(self.bus, name)
            how = "merged" if pr_files.is_merged(self.bus, name) else "closed"
            atomic.append(self.bus.path, pr_files.PRS_LOG, f"{name} {how}\n")

        self._logged = set(self._over)

    def _unread(self, seen: Mapping[str, View]) -> set[str]:
        """The tasks of open PRs whose pr.yaml cannot be read.

        Their work is done, as git tells by the branches at their heads.
        """
        found = set()
        for name in set(self.going) - seen.keys():
            for file in self.bus.names(f"prs/{name}"):
                if not file.startswith("head-"):
                    continue
                head = self.bus.look(f"prs/{name}/{file}", Head)
                if head is not None:
                    found |= _tasks_at(self.bus.root, head.head)

        return found


def _tasks_at(root: str, sha: str) -> set[str]:
    """The tasks whose branches stand at a commit; none where git does not have it."""
    if not rev(root, sha):
        return set()
    told = ("for-each-ref", "--format=%(refname)", "--points-at", sha, "refs/heads/")
    return {ref.rpartition("/")[2] for ref in git(root, *told).splitlines()}


def locks_in(bus: Bus, state: str) -> list[str]:
    """The names of the locks in a directory of `claims/`, without their ending."""
    files = bus.names(f"claims/{state}")
    return [name.removesuffix(".lock") for name in files if name.endswith(".lock")]


def slots_of(locks: list[str]) -> tuple[Slot, ...]:
    """The reviews among some locks."""
    found = [slot(name) for name in locks]
    return tuple(one for one in found if one is not None)


def claim(bus: Bus, lock: str, me: str) -> bool:
    """Try to claim: one rename; False when somebody was first."""
    won = _move(bus, lock, "open", me)
    if won:
        bus.event("claimed", lock, agent=me)
    return won


def settle_claim(bus: Bus, lock: str, holder: str, state: str) -> bool:
    """Move a claim of `holder` on: to done, open (freed) or blocked."""
    moved = _move(bus, lock, holder, state)
    if moved:
        bus.event(state, lock, agent=holder)
    return moved


def _move(bus: Bus, lock: str, before: str, after: str) -> bool:
    source, target = f"claims/{before}/{lock}.lock", f"claims/{after}/{lock}.lock"
    return atomic.rename(bus.path, source, target)


def holder(bus: Bus, lock: str) -> str:
    """In which directory of `claims/` the lock stands; "" when nowhere."""
    states = [name for name in bus.names("claims") if name not in {"done", "open"}]
    for state in ("done", "open", *states):
        if bus.there(f"claims/{state}/{lock}.lock"):
            return state
    return ""


def open_claim(bus: Bus, lock: str, why: str = "") -> bool:
    """Make a claim open to all, unless it stands somewhere already."""
    if holder(bus, lock):
        return False
    made = _publish(bus, lock, "open", why)
    bus.event("offered", lock)
    return made


def _publish(bus: Bus, lock: str, state: str, why: str) -> bool:
    text = dumps(Lock(catherd=FORMAT, task=lock, why=why))
    return atomic.publish(bus.path, f"claims/{state}/{lock}.lock", text)


def mend_claims(bus: Bus, agents: Iterable[str]) -> list[str]:
    """Put the claims of tasks right before anybody works; gives the tasks that were
    mended.

    A snapshot of the bus is taken while claims move, and a file that is restored may be
    older than those beside it. So a task may stand in two directories or in none, or be
    held though it is merged.
    """
    if any(bus.alive(agent) for agent in agents):
        return []

    prs = [name for name in bus.names("prs") if pr_files.is_merged(bus, name)]
    merged = {pr_files.merged_task(bus, name) for name in prs}
    mended = []
    for file in bus.names("tasks"):
        task = file.removesuffix(".yaml")
        if task != file and _mend_claim(bus, task, merged=task in merged):
            mended.append(task)

    return mended


def _mend_claim(bus: Bus, task: str, *, merged: bool) -> bool:
    """Put the claim of one task into the one directory where it belongs.

    False when it stood there and nowhere else already.
    """
    states = bus.names("claims")
    at = [state for state in states if bus.there(f"claims/{state}/{task}.lock")]
    right = "done" if merged else _right_state(at)
    if at == [right]:
        return False

    _publish(bus, task, right, "restored")
    for state in at:
        if state != right:
            atomic.remove(bus.path, f"claims/{state}/{task}.lock")

    bus.event(right, task, why="restored")
    return True


def _right_state(at: list[str]) -> str:
    """Where a claim that stands in the directories `at` belongs.

    Done comes first, then an agent that holds it, then blocked, then open.
    """
    if "done" in at:
        return "done"
    held = [state for state in at if state not in {"open", "blocked"}]
    return [*held, *at, "open"][0]


def free(bus: Bus, slots: list[Slot]) -> None:
    """Take back reviews of heads that are no longer proposed."""
    for one in slots:
        _move(bus, one.lock, "open", "done")


def open_pr(bus: Bus, pr: Pr) -> str:
    """Open a PR under the next free number; its name.

    One that is open for the branch is gone on with.
    """
    for name in Desk(bus, {}).pulls():
        found = bus.look(f"prs/{name}/pr.yaml", Pr)
        if found is not None and found.branch == pr.branch:
            return name

    number = _last_number(bus) + 1
    while not bus.post(f"prs/PR-{number:04d}/pr.yaml", msgspec.structs.replace(pr)):
        number += 1

    return f"PR-{number:04d}"


def _last_number(bus: Bus) -> int:
    """The last number that a PR has, 0 when there was none.

    The first PR of a bus comes after those of earlier games, because a number says that
    the PR is merged.
    """
    numbers = [int(name[3:]) for name in bus.names("prs") if name[3:].isdecimal()]
    if numbers:
        return max(numbers)
    game = bus.game()
    if game is None:
        return 0
    return merge.last(bus.root, landing.tip(bus.root, game.branch))

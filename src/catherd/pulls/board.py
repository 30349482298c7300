"""The desk: tasks, claims and pull requests as they lie on the bus. Reads what is open, claims by one rename.

Names decide: `claims/open/T-007.lock` is claimable, `claims/claude/T-007.lock` is Claude's, `claims/done/T-007.lock` is done.
`done/` is never listed, only asked for by name; a message is parsed after it was won, and once.
"""

import os
import time
from collections.abc import Iterable, Mapping

import msgspec

from catherd.bus import atomic, yaml_read
from catherd.bus.config import IGNORED, Agent
from catherd.bus.store import Bus, slug
from catherd.bus.yaml_write import dumps
from catherd.core.errors import CatherdError
from catherd.core.jobs import Slot, Work, slot
from catherd.core.messages import FORMAT, Lock
from catherd.core.tasks import Assignment, Head, Needs, Pr, Review, Task, View, tries
from catherd.git import landing, merge
from catherd.git.run import git, rev
from catherd.git.trailers import parse_trailers
from catherd.models import cast

PRS_LOG = "prs.log"
TROUBLES = (
    "pr",
    "stuck",
    "branch",
)  # what may be in `problems/` about a PR, beside reviews that are forged
SETTLED = 50_000_000  # ns: in a folder that changed so recently another name may come without its time changing


class Desk:
    """One reader's desk; holds what cannot change (PRs that are over) and since when a lock has been claimable.

    `going` names the PRs that are not over, as of the last look that had to know.
    """

    def __init__(self, bus: Bus, agents: dict[str, Agent]) -> None:
        self.bus, self.agents = bus, agents
        self.going: list[str] = []
        self._logged: set[str] | None = None
        self._over: set[str] = set()
        self._listed = -1
        self._since: dict[str, float] = {}

    def look(self, me: str, roll: tuple[str, ...], phases: tuple[str, ...]) -> Work:
        """The work as agent `me` sees it now."""
        bus = self.bus
        if not bus.names("claims/open") and not bus.names(f"claims/{me}"):
            self.going, self._listed = [], -1
            return Work(roll=roll)
        prs = self.prs()  # before the claims: see where the queue settles them
        names = [
            n.removesuffix(".lock")
            for n in bus.names("claims/open")
            if n.endswith(".lock")
        ]
        mine = [
            n.removesuffix(".lock")
            for n in bus.names(f"claims/{me}")
            if n.endswith(".lock")
        ]
        if not names and not mine:
            return Work(roll=roll)
        now = time.monotonic()
        assignment, proves = self.assignment(phases)
        unread = self._unread(prs)
        posted = {
            n: t
            for n in names
            if slot(n) is None and n not in unread and (t := self.task(n)) is not None
        }
        tasks = {n: t for n, t in posted.items() if self._free(t)}
        slots = [s for n in names if (s := slot(n)) is not None]
        claimable = {*tasks, *(s.lock for s in slots)}
        self._since = {n: self._since.get(n, now) for n in claimable}
        return Work(
            open=tasks,
            later={n: t for n, t in posted.items() if n not in tasks},
            mine={
                n: t
                for n in mine
                if slot(n) is None
                and n not in unread
                and (t := self.task(n)) is not None
            },
            slots=tuple(slots),
            my_slots=tuple(s for n in mine if (s := slot(n)) is not None),
            prs=prs,
            assignment=assignment,
            proves=proves,
            refused=frozenset(
                n for n in tasks if me in tries(bus.names(f"tasks/{n}.try")).refused
            ),
            age={n: now - since for n, since in self._since.items()},
            alive=frozenset(name for name in roll if bus.alive(name)),
            roll=roll,
            vendors=cast.vendors(self.agents, self.bus.game()),
        )

    def task(self, name: str) -> Task | None:
        """The task, None when it is not there or broken (reported)."""
        return self.bus.look(f"tasks/{name}.yaml", Task)

    def _free(self, task: Task) -> bool:
        return all(self.bus.there(f"claims/done/{need}.lock") for need in task.needs)

    def assignment(
        self, phases: tuple[str, ...]
    ) -> tuple[dict[str, str], frozenset[str]]:
        """Task → agent, of all phases that have one (an agent that is none is reported and left out), and which tasks prove."""
        made: dict[str, str] = {}
        proves: set[str] = set()
        for phase in phases:
            path = f"{phase}/assignment.yaml"
            found = self.bus.look(path, Assignment)
            proves = (
                set(found.proves) if found else proves
            )  # of the phase that is on: the last that has an allotment
            for task, agent in (found.tasks if found else {}).items():
                trouble = f"assignment-{slug(task)}"
                if agent in self.agents:
                    made[task] = agent
                if agent in self.agents or not self.bus.there(
                    f"claims/open/{task}.lock"
                ):
                    self.bus.solved(trouble)
                    continue
                where = self._place(path, "tasks", task)
                what = f"{task} is allotted to '{agent}', who is no agent; anyone may take it"
                self.bus.trouble(
                    trouble, where, what, f"one of: {', '.join(self.agents)}", where
                )
        return made, frozenset(proves)

    def _place(self, path: str, *keys: str) -> str:
        """`file:line:col` of what stands under `keys`, as far as it is still there."""
        try:
            return yaml_read.read_yaml(self.bus.here(path), f"bus/{path}").where(*keys)
        except (CatherdError, OSError):
            return f"bus/{path}"

    def prs(self) -> dict[str, View]:
        """The open PRs by name."""
        return {
            name: view for name in self.pulls() if (view := self.view(name)) is not None
        }

    def pulls(self) -> list[str]:
        """The names of the PRs that are not over, in order. Of the others none is opened: `prs.log` names them, and `prs/` is
        listed again only when a PR was added.
        """
        bus = self.bus
        if self._logged is None:
            self._logged = logged_pulls(bus)
            self._over |= self._logged
        try:
            at = os.stat(bus.here("prs")).st_mtime_ns
            if at != self._listed or time.time_ns() - at < SETTLED:
                there = set(os.listdir(bus.here("prs"))) - self._over
                self.going, self._listed = (
                    sorted(name for name in there if not IGNORED.match(name)),
                    at,
                )
        except FileNotFoundError:
            self.going = []
        over = {
            n
            for n in self.going
            if bus.there(f"prs/{n}/merged.yaml") or bus.there(f"prs/{n}/closed.yaml")
        }
        self._over |= over
        self.going = [name for name in self.going if name not in over]
        return list(self.going)

    def log(self) -> None:
        """Write into `prs.log` which PRs are over: for the merge queue, the only one that does."""
        if self.bus.there(f"problems/{PRS_LOG}.yaml"):
            return
        for name in sorted(self._over - (self._logged or set())):
            forget_pull(self.bus, name)
            how = "merged" if self.bus.there(f"prs/{name}/merged.yaml") else "closed"
            atomic.append(self.bus.path, PRS_LOG, f"{name} {how}\n")
        self._logged = set(self._over)

    def view(self, name: str) -> View | None:
        """A PR as its files show it; None while its author has not finished opening it, or one of them is broken."""
        bus = self.bus
        pr = self.bus.look(f"prs/{name}/pr.yaml", Pr)
        heads = sorted(
            int(n[5:-5])
            for n in bus.names(f"prs/{name}")
            if n.startswith("head-") and n[5:-5].isdecimal() and n.endswith(".yaml")
        )
        head = (
            self.bus.look(f"prs/{name}/head-{heads[-1]}.yaml", Head) if heads else None
        )
        if pr is None or head is None:
            return None
        reviews: dict[str, Review] = {}
        objectors: dict[str, None] = {}
        rejected: set[str] = set()
        for file in bus.names(f"prs/{name}/reviews"):
            seen, _, who = file.removesuffix(".yaml").partition(".")
            review = self.bus.look(f"prs/{name}/reviews/{file}", Review)
            if review is None:
                continue
            if review.verdict != "approve":
                objectors[who] = None
                rejected.add(seen)
            if seen == head.head[:12]:
                if who == "human" and not review.head:
                    review.head = head.head
                reviews[who] = review
        needs = self.bus.look(f"prs/{name}/needs-{head.head[:12]}.yaml", Needs)
        again = [  # whose slot for this head is done without a review of theirs was stood in for, or cannot look
            who
            for who in objectors
            if who in reviews
            or not bus.there(f"claims/done/{Slot(name, head.head[:12], who).lock}.lock")
        ]
        return View(
            name=name,
            pr=pr,
            head=head.head,
            heads=len(heads),
            reviews=reviews,
            objectors=tuple(again),
            rejected=len(rejected),
            needs=needs,
        )

    def _unread(self, seen: Mapping[str, View]) -> set[str]:
        """The tasks of open PRs of which no view is there, as git tells by the branches at their heads: their work is done,
        though pr.yaml cannot be read.
        """
        found = set()
        for name in set(self.going) - seen.keys():
            for file in [
                f for f in self.bus.names(f"prs/{name}") if f.startswith("head-")
            ]:
                if (
                    head := self.bus.look(f"prs/{name}/{file}", Head)
                ) is not None and rev(self.bus.root, head.head):
                    at = git(
                        self.bus.root,
                        "for-each-ref",
                        "--format=%(refname)",
                        "--points-at",
                        head.head,
                        "refs/heads/",
                    )
                    found |= {ref.rpartition("/")[2] for ref in at.splitlines()}
        return found


def merged_task(bus: Bus, name: str) -> str:
    """The task of a PR that is merged, from its pr.yaml, or from main where that cannot be read; "" where neither says so."""
    pr = bus.look(f"prs/{name}/pr.yaml", Pr)
    sha = "" if pr is not None else merge.merged(bus.root, name)
    return (
        pr.task
        if pr is not None
        else parse_trailers(git(bus.root, "show", "-s", "--format=%B", sha)).task
        if sha
        else ""
    )


def logged_pulls(bus: Bus) -> set[str]:
    """The PRs that are over as `prs.log` has it. One that it lacks is looked up; where no file stands there, it is reported."""
    try:
        text = yaml_read.text_of(bus.here(PRS_LOG), f"bus/{PRS_LOG}", 1 << 30)
    except FileNotFoundError:
        text = ""
    except CatherdError as error:
        bus.broken(PRS_LOG, error)
        return set()
    bus.solved(PRS_LOG)
    return set(text.split()) - {"merged", "closed"}


def forget_pull(bus: Bus, pr: str) -> None:
    """The PR is merged or closed: nothing about it needs a person any more."""
    for name in bus.names("problems"):
        if name.startswith(f"forged-{slug(f'prs/{pr}')}-") or name in {
            f"{kind}-{pr.lower()}.yaml" for kind in TROUBLES
        }:
            bus.solved(name.removesuffix(".yaml"))


def claim(bus: Bus, lock: str, me: str) -> bool:
    """Try to claim: one rename; False when somebody was first."""
    won = atomic.rename(
        bus.path, f"claims/open/{lock}.lock", f"claims/{me}/{lock}.lock"
    )
    if won:
        bus.event("claimed", lock, agent=me)
    return won


def settle_claim(bus: Bus, lock: str, holder: str, state: str) -> bool:
    """Move a claim of `holder` on: to done, open (freed) or blocked."""
    moved = atomic.rename(
        bus.path, f"claims/{holder}/{lock}.lock", f"claims/{state}/{lock}.lock"
    )
    if moved:
        bus.event(state, lock, agent=holder)
    return moved


def holder(bus: Bus, lock: str) -> str:
    """In which directory of `claims/` the lock stands; "" when nowhere."""
    for state in (
        "done",
        "open",
        *[n for n in bus.names("claims") if n not in {"done", "open"}],
    ):
        if bus.there(f"claims/{state}/{lock}.lock"):
            return state
    return ""


def open_claim(bus: Bus, lock: str, why: str = "") -> bool:
    """Make a claim open to all, unless it stands somewhere already."""
    if holder(bus, lock):
        return False
    made = atomic.publish(
        bus.path,
        f"claims/open/{lock}.lock",
        dumps(Lock(catherd=FORMAT, task=lock, why=why)),
    )
    bus.event("offered", lock)
    return made


def mend_claims(bus: Bus, agents: Iterable[str]) -> list[str]:
    """Before anybody works, put right the claims of tasks; gives which. A snapshot is taken while they move, and what is restored
    beside what is there may be older: a task may stand in two directories or in none, or be held though it is merged.
    """
    if any(map(bus.alive, agents)):
        return []
    prs = [name for name in bus.names("prs") if bus.there(f"prs/{name}/merged.yaml")]
    merged = {merged_task(bus, name) for name in prs}
    states = bus.names("claims")
    found = []
    for task in [
        name.removesuffix(".yaml")
        for name in bus.names("tasks")
        if name.endswith(".yaml")
    ]:
        at = [state for state in states if bus.there(f"claims/{state}/{task}.lock")]
        held = [state for state in at if state not in {"open", "blocked"}]
        right = (
            "done"
            if task in merged or "done" in at
            else next(iter([*held, *at, "open"]))
        )
        if at == [right]:
            continue
        atomic.publish(
            bus.path,
            f"claims/{right}/{task}.lock",
            dumps(Lock(catherd=FORMAT, task=task, why="restored")),
        )
        for other in [state for state in at if state != right]:
            atomic.remove(bus.path, f"claims/{other}/{task}.lock")
        bus.event(right, task, why="restored")
        found.append(task)
    return found


def free(bus: Bus, slots: list[Slot]) -> None:
    """Reviews of heads that are no longer proposed: nobody needs to do them."""
    for one in slots:
        atomic.rename(
            bus.path, f"claims/open/{one.lock}.lock", f"claims/done/{one.lock}.lock"
        )


def post_head(bus: Bus, pr: str, head: str, why: str, base: str = "") -> None:
    """Say that `head` is what the PR proposes from now on; once per head."""
    heads = sorted(
        int(n[5:-5])
        for n in bus.names(f"prs/{pr}")
        if n.startswith("head-") and n[5:-5].isdecimal() and n.endswith(".yaml")
    )
    if heads:
        last = bus.look(f"prs/{pr}/head-{heads[-1]}.yaml", Head)
        if last is not None and last.head == head:
            return
    bus.post(
        f"prs/{pr}/head-{(heads or [0])[-1] + 1}.yaml",
        Head(head=head, why=why, base=base),
    )
    os.makedirs(
        bus.here(f"prs/{pr}/reviews"), exist_ok=True
    )  # for who writes one by hand


def open_pr(bus: Bus, pr: Pr) -> str:
    """Open a PR under the next free number; its name. One that is open for the same branch already is gone on with.

    The first of a bus comes after those of earlier games: a PR's number is what says that it is merged.
    """
    for name in Desk(bus, {}).pulls():
        found = bus.look(f"prs/{name}/pr.yaml", Pr)
        if found is not None and found.branch == pr.branch:
            return name
    numbers = [int(name[3:]) for name in bus.names("prs") if name[3:].isdecimal()]
    game = None if numbers else bus.game()
    n = 1 + max(
        numbers,
        default=merge.last(bus.root, landing.tip(bus.root, game.branch)) if game else 0,
    )
    while not bus.post(f"prs/PR-{n:04d}/pr.yaml", msgspec.structs.replace(pr)):
        n += 1
    return f"PR-{n:04d}"

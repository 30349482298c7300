"""The merge queue, turned by the crank: reviews are offered, merge results are checked, what passes goes to main, once.

A review counts for the head it saw; a check counts for the tree it ran on, so the same tree is never checked twice and a
main that moved is checked anew. Oldest PR first. What does not pass goes back to its author with the reasons.
"""

import os
import tempfile
import time

import msgspec

from catherd import accept, changeset, checkouts, checks, desk, landing, merge, objects, trailers
from catherd.bus import Bus, now, slug
from catherd.changeset import Rules
from catherd.config import Agent
from catherd.git import Moved, rev
from catherd.jobs import Slot
from catherd.messages import Game
from catherd.tasks import Check, Merged, Needs, Stand, Task, View, reviewers, stand


class Queue(msgspec.Struct):
    """What the crank works with while tasks are open."""

    bus: Bus
    game: Game
    agents: dict[str, Agent]
    desk: desk.Desk
    roll: tuple[str, ...]
    load: dict[str, int] = msgspec.field(default_factory=dict)

    def vendors(self) -> dict[str, str]:
        """Agent → vendor."""
        return {name: agent.vendor for name, agent in self.agents.items()}

    def turn(self) -> list[str]:
        """One look at every open PR, oldest first; the names of those that were merged now."""
        merged = []
        for name, seen in sorted(self.desk.prs().items()):
            task = self.desk.task(seen.pr.task)
            if task is None:
                continue
            view = self._same(seen)
            how = stand(view, self.roll, self.vendors())
            self._forged(view, how)
            if how.act == "wait":
                self._offer(view)
            elif how.act == "human":
                self._call(view, how)
            elif how.act == "merge" and self._merge(view, task, how):
                merged.append(name)
        return merged

    def _same(self, view: View) -> View:
        """The PR with the head that git has: a branch that you moved is a new head, with no reviews yet."""
        actual = rev(self.bus.root, f"refs/heads/{view.pr.branch}")
        if actual and actual != view.head:
            desk.push(self.bus, view.name, actual, "the branch was moved by hand")
            return self.desk.view(view.name) or view
        return view

    def _forged(self, view: View, how: Stand) -> None:
        for who in how.forged:
            why = "is the author" if who == view.pr.author else "is not on the roll, or reviewed another head"
            path = f"prs/{view.name}/reviews/{view.head[:12]}.{who}.yaml"
            self.bus.trouble(
                f"forged-{slug(path)}",
                f"bus/{path}",
                f"the review is not counted: {who} {why}",
                f"rm 'bus/{path}'",
                view.head,
            )

    def _offer(self, view: View) -> None:
        """See to it that each review that is still wanted can be claimed."""
        for name in reviewers(view, self.roll, self.vendors(), self.load):
            if name not in view.reviews:
                slot = Slot(view.name, view.head[:12], name)
                if desk.offer(self.bus, slot.lock, f"a review of {view.name}; {name} has the first right"):
                    self.load[name] = self.load.get(name, 0) + 1

    def _call(self, view: View, how: Stand) -> None:
        path = f"prs/{view.name}/reviews/{view.head[:12]}.human.yaml"
        self.bus.trouble(
            f"pr-{view.name.lower()}",
            f"bus/prs/{view.name}/",
            f"{view.pr.title}: {how.why}",
            f"make pr N={int(view.name[3:])} shows it; make approve N={int(view.name[3:])} overrides (it writes bus/{path})",
            view.head,
        )

    def _merge(self, view: View, task: Task, how: Stand) -> bool:
        bus, root, branch = self.bus, self.bus.root, self.game.branch
        done = merge.merged(root, view.name)
        if not done:
            main = landing.tip(root, branch)
            result = objects.merge_tree(root, main, view.head)
            if result.conflicts:
                return self._back(view, "it conflicts with main", main, files=list(result.conflicts))
            rules = Rules(tuple(task.paths))
            broken = [str(f) for f in changeset.policy(root, main, result.tree, rules) if f.severity == "error"]
            broken += [] if how.overrides else self._guarded(task, view, main)
            if broken:
                return self._back(view, "it breaks the rules for pull requests", main, findings=broken)
            verdicts = self.check(view, task, main, result.tree)
            red = [line for one in verdicts if one.verdict != "green" for line in one.findings]
            if red:
                return self._back(view, "its checks are red", main, findings=red)
            text = trailers.message(
                view.pr.branch, view.name, view.pr.title, view.pr.body, view.head, result.tree,
                how.approvals, [one.check for one in verdicts], how.overrides,
            )  # fmt: skip
            try:
                done = merge.merge(
                    root,
                    branch,
                    pr=view.name,
                    topic=view.pr.branch,
                    head=view.head,
                    tree=result.tree,
                    message=text,
                    main=main,
                ).sha
            except Moved:
                return False  # main moved meanwhile: the next look merges anew
        # The claim first: whoever looks at PRs and then at claims never sees a task of its own without either.
        desk.settle(bus, view.pr.task, desk.holder(bus, view.pr.task) or view.pr.author, "done")
        bus.post(f"prs/{view.name}/merged.yaml", Merged(commit=done, at=now()), title=view.pr.title)
        for trouble in (f"pr-{view.name.lower()}", f"stuck-{view.name.lower()}"):
            bus.solved(trouble)
        merge.drop_branch(root, branch, view.pr.branch)
        return True

    def _guarded(self, task: Task, view: View, main: str) -> list[str]:
        """Files by which others are judged: who changes them outside the task that makes them needs your approval."""
        changed = set(checkouts.changes(self.bus.root, main, view.head)) if task.kind == "build" else set()
        return [
            f"{path} judges other work; to change it here needs your approval (make approve N={int(view.name[3:])})"
            for path in sorted(changed & accept.GATE_FILES - set(task.artifacts))
        ]

    def _back(
        self, view: View, why: str, main: str, *, files: list[str] | None = None, findings: list[str] | None = None
    ) -> bool:
        needs = Needs(why=why, main=main, files=files or [], findings=findings or [])
        self.bus.post(f"prs/{view.name}/needs-{view.head[:12]}.yaml", needs, pr=view.name, why=why)
        return False

    def check(self, view: View, task: Task, main: str, tree: str) -> list[Check]:
        """The verdicts on the merge result: from the bus where this tree was checked before, else made now."""
        name = "docs" if task.kind == "design" else f"accept-{view.pr.task}"
        path = f"ci/{tree[:12]}-{name}.yaml"
        found = self.bus.get(path, Check)
        if found is None:
            began = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="catherd-ci-") as folder:
                objects.export(self.bus.root, tree, folder)
                findings, tier = self._run(view, task, main, folder)
            found = Check(
                verdict="red" if findings else "green",
                tree=tree,
                check=name,
                findings=findings[:60],
                seconds=round(time.monotonic() - began, 3),
                tier=tier,
            )
            self.bus.post(path, found, verdict=found.verdict)
        return [found]

    def _run(self, view: View, task: Task, main: str, folder: str) -> tuple[list[str], str]:
        if task.kind == "design":
            paths = sorted(checkouts.changes(self.bus.root, main, view.head))
            cache = os.path.join(self.bus.root, ".catherd", "checks")
            found = checks.check_paths(folder, [p for p in paths if p.startswith("docs/")], cache)
            return [str(one) for one in found if one.severity != "warning"], ""
        return accept.verdict(self.bus, self.desk, view.pr.task, task, main, folder)


def frees(queue: Queue, dead_since: dict[str, float], grace: float) -> None:
    """Claims of agents that have been dead for longer than the grace come back; who is being started again keeps its own."""
    bus = queue.bus
    for name in bus.names("claims"):
        if name in {"open", "done", "blocked"} or not bus.names(f"claims/{name}"):
            continue
        if bus.alive(name):
            dead_since.pop(name, None)
            continue
        since = dead_since.setdefault(name, time.monotonic())
        if time.monotonic() - since < grace:
            continue
        for lock in bus.names(f"claims/{name}"):
            desk.settle(bus, lock.removesuffix(".lock"), name, "open")

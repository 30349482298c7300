"""The merge queue, turned by the crank: reviews are offered, merge results are checked, what passes goes to main, once.

A review counts for the head it saw; a check counts for the tree it ran on, so the same tree is never checked twice and a
main that moved is checked anew. Oldest PR first. What does not pass goes back to its author with the reasons.
"""

import os
import time
from collections.abc import Mapping

import msgspec

from catherd.box import box_trees
from catherd.bus.chat import remark
from catherd.bus.config import Agent
from catherd.bus.store import Bus, now, slug
from catherd.core.jobs import Slot, slot
from catherd.core.messages import Game
from catherd.core.tasks import (
    Check,
    Closed,
    Merged,
    Needs,
    Stand,
    Task,
    View,
    reviewers,
    stand,
)
from catherd.design import checks
from catherd.git import checkouts, landing, merge, objects, pr_rules, trailers
from catherd.git.pr_rules import Rules
from catherd.git.run import Moved, rev
from catherd.models import cast, cooldown
from catherd.pulls import board, pr_files, protected, task_check


class Queue(msgspec.Struct):
    """What the crank works with while tasks are open."""

    bus: Bus
    game: Game
    agents: dict[str, Agent]
    desk: board.Desk
    roll: tuple[str, ...]
    keep_branches: bool = False
    largest: int = 1_000_000  # bytes of one file in a PR
    load: dict[str, int] = msgspec.field(default_factory=dict)
    _looked: dict[str, tuple[str, str]] = msgspec.field(default_factory=dict)

    def vendors(self) -> dict[str, str]:
        """Agent → vendor."""
        return cast.vendors(self.agents, self.game)

    def turn(self) -> list[str]:
        """One look at every open PR, oldest first; the names of those that were merged now."""
        merged = []
        prs = self.desk.prs()
        self.desk.log()
        for name, seen in sorted(prs.items()):
            task = self.desk.task(seen.pr.task)
            if task is None or self._taken_over(seen):
                continue
            view = self._same(seen)
            how = stand(view, self.roll, self.vendors())
            self._forged(view, how)
            if how.act != "human":
                self.bus.solved(f"pr-{view.name.lower()}")
            if how.act == "wait" and self._fit(view, task):
                self._offer(view)
            elif how.act == "human":
                self._call(view, how)
            elif how.act == "merge" and self._merge(view, task, how):
                merged.append(name)
        board.free(self.bus, self._stale(prs))
        return merged

    def _stale(self, prs: Mapping[str, View]) -> list[Slot]:
        """Reviews on offer that nobody needs any more: the PR is over, or proposes another head."""
        offered = [
            s
            for n in self.bus.names("claims/open")
            if (s := slot(n.removesuffix(".lock"))) is not None
        ]
        heads = {
            name: view.head[:12]
            for name, view in prs.items()
            if not self.bus.there(f"prs/{name}/merged.yaml")
        }
        now = (
            {
                name: fresh.head[:12]
                for name in heads
                if (fresh := self.desk.view(name)) is not None
            }
            if offered
            else {}
        )
        return [s for s in offered if now.get(s.pr) != s.head12]

    def _taken_over(self, view: View) -> bool:
        """Whether its author died and another agent carries the task on from its branch: then this PR is closed."""
        by = board.holder(self.bus, view.pr.task)
        if by in {"", "open", "blocked", "done", view.pr.author}:
            return False
        why = f"{by} took {view.pr.task} over and goes on from {view.head[:12]}"
        self.bus.post(
            f"prs/{view.name}/closed.yaml", Closed(why=why, at=now()), pr=view.name
        )
        return True

    def _same(self, view: View) -> View:
        """The PR with the head that git has: a branch that you moved is a new head, with no reviews yet; what it was moved
        away from stays under refs/catherd/moved/. One that you deleted is made again where it was.
        """
        root, branch = self.bus.root, view.pr.branch
        actual = rev(root, f"refs/heads/{branch}")
        if actual == view.head or merge.merged(root, view.name):
            return view
        if not actual:
            if rev(root, view.head):
                objects.transaction(
                    root, [f"create refs/heads/{branch} {view.head}"], "deleted by hand"
                )
            self.bus.trouble(
                f"branch-{view.name.lower()}",
                f"bus/prs/{view.name}/",
                f"the branch {branch} was deleted: made again at {view.head[:12]}",
                f"touch bus/prs/{view.name}/closed.yaml closes the pull request; rm bus/problems/branch-{view.name.lower()}.yaml",
                view.head,
            )
            return view
        if objects.is_ancestor(root, view.head, actual):
            pr_files.post_head(self.bus, view.name, actual, "more commits")
        else:
            kept = f"refs/catherd/moved/{branch}/{view.head[:12]}"
            if rev(root, view.head) and not rev(root, kept):
                objects.transaction(
                    root, [f"create {kept} {view.head}"], "moved by hand"
                )
            pr_files.post_head(
                self.bus, view.name, actual, "the branch was moved by hand"
            )
            self.bus.trouble(
                f"branch-{view.name.lower()}",
                f"bus/prs/{view.name}/",
                f"the branch {branch} was moved by hand to {actual[:12]}: its reviews begin anew; {view.head[:12]} is kept",
                f"git branch -f {branch} {view.head[:12]} puts it back; rm bus/problems/branch-{view.name.lower()}.yaml",
                actual,
            )
        return self.desk.view(view.name) or view

    def _forged(self, view: View, how: Stand) -> None:
        kept = set()
        for who in how.forged:
            why = "is the author" if who == view.pr.author else "reviewed another head"
            why = why if who in {*self.roll, "human"} else "is not on the roll"
            path = f"prs/{view.name}/reviews/{view.head[:12]}.{who}.yaml"
            what = f"the review is not counted: {who} {why}"
            self.bus.trouble(
                f"forged-{slug(path)}",
                f"bus/{path}",
                what,
                f"rm 'bus/{path}'",
                view.head,
            )
            kept.add(f"forged-{slug(path)}.yaml")
        known = [
            n
            for n in self.bus.names("problems")
            if n.startswith(f"forged-{slug(f'prs/{view.name}')}-")
        ]
        for name in set(known) - kept:
            self.bus.solved(name.removesuffix(".yaml"))

    def _fit(self, view: View, task: Task) -> bool:
        """Whether reviews are worth their price: a conflict or a broken rule goes back at once. Looked at once per main."""
        main = landing.tip(self.bus.root, self.game.branch)
        if self._looked.get(view.name) != (view.head, main):
            if self._faults(view, task, main, overridden=True):
                return False
            self._looked[view.name] = (view.head, main)
        return True

    def _faults(self, view: View, task: Task, main: str, *, overridden: bool) -> bool:
        """Send it back where it conflicts with main or breaks a rule; whether it was. What only you may allow is left out
        when you did, or were not asked yet.
        """
        result = objects.merge_tree(self.bus.root, main, view.head)
        if result.conflicts:
            return self._back(
                view, "it conflicts with main", main, files=list(result.conflicts)
            )
        rules = Rules(tuple(task.paths), largest=self.largest)
        found = pr_rules.policy(self.bus.root, main, result.tree, rules)
        broken = [str(f) for f in found if f.severity == "error"]
        yours = [str(f) for f in found if f.severity == "person"] + self._guarded(
            task, view, main, result.tree
        )
        told = broken + ([] if overridden else yours)
        return bool(told) and self._back(
            view,
            "it breaks the rules for pull requests",
            main,
            findings=told,
            yours=not broken,
        )

    def _offer(self, view: View) -> None:
        """See to it that each review that is still wanted can be claimed, and no more than those."""
        at = {
            name: board.holder(self.bus, Slot(view.name, view.head[:12], name).lock)
            for name in self.roll
        }
        fresh = self.desk.view(
            view.name
        )  # after the slots: a review is posted before its slot is done
        if fresh is None or fresh.head != view.head:
            return
        view = fresh
        asked = {
            name
            for name, where in at.items()
            if where not in {"", "done"} and name not in view.reviews
        }
        spent = {name for name, where in at.items() if where == "done"}
        for name in reviewers(view, self.roll, self.vendors(), self.load, asked, spent):
            slot_ = Slot(view.name, view.head[:12], name)
            if board.open_claim(
                self.bus,
                slot_.lock,
                f"a review of {view.name}; {name} has the first right",
            ):
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
            if self._faults(view, task, main, overridden=bool(how.overrides)):
                return False
            result = objects.merge_tree(root, main, view.head)
            verdicts = self.check(view, task, main, result.tree)
            red = [
                line
                for one in verdicts
                if one.verdict != "green"
                for line in one.findings
            ]
            if red:
                self._back(view, "its checks are red", main, findings=red)
                return False
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
        board.settle_claim(
            bus, view.pr.task, board.holder(bus, view.pr.task) or view.pr.author, "done"
        )
        bus.post(
            f"prs/{view.name}/merged.yaml",
            Merged(commit=done, at=now()),
            title=view.pr.title,
        )
        pr_files.forget_pull(bus, view.name)
        thanks = f" Read by {', '.join(how.approvals)}." if how.approvals else ""
        self._remark(
            view,
            "merged.yaml",
            Merged,
            f"{view.pr.task} is on main ({view.name}).{thanks}",
        )
        if not self.keep_branches:
            merge.drop_branch(root, branch, view.pr.branch)
        return True

    def _remark(
        self, view: View, file: str, kind: type[Merged | Needs], text: str
    ) -> None:
        posted = self.bus.look(f"prs/{view.name}/{file}", kind)
        if posted is not None:
            remark(self.bus, view.pr.author, posted.at, f"{view.name}.{file}", text)

    def _guarded(self, task: Task, view: View, main: str, tree: str) -> list[str]:
        """What needs your approval: files by which others are judged, outside the task that makes them; a new dependency."""
        changed = (
            set(checkouts.tree_changes(self.bus.root, main, tree))
            if task.kind == "build"
            else set()
        )
        yes = f"needs your approval (make approve N={int(view.name[3:])})"
        judging = sorted(changed & task_check.GATE_FILES - set(task.artifacts))
        found = [
            f"{path} judges other work; to change it here {yes}" for path in judging
        ]
        if task.kind == "build":
            found += [
                f"{what}; that {yes}"
                for what in protected.weakened(
                    self.bus, self.desk, view.pr.task, main, tree
                )
            ]
        return found + [
            f"{path} brings a dependency; that {yes}"
            for path in task_check.brings(changed)
        ]

    def _back(
        self,
        view: View,
        why: str,
        main: str,
        *,
        files: list[str] | None = None,
        findings: list[str] | None = None,
        yours: bool = False,
    ) -> bool:
        """The author's turn; True: it went back."""
        file = f"needs-{view.head[:12]}.yaml"
        needs = Needs(
            why=why,
            main=main,
            at=now(),
            files=files or [],
            findings=findings or [],
            yours=yours,
        )
        self.bus.post(f"prs/{view.name}/{file}", needs, pr=view.name, why=why)
        first = next(iter([*needs.files, *needs.findings]), "")
        self._remark(view, file, Needs, f"{view.name} comes back to me: {why}. {first}")
        return True

    def check(self, view: View, task: Task, main: str, tree: str) -> list[Check]:
        """The verdicts on the merge result: from the bus where this tree was checked before, else made now."""
        name = "docs" if task.kind == "design" else f"accept-{view.pr.task}"
        path = f"ci/{tree[:12]}-{name}.yaml"
        found = self.bus.look(path, Check)
        if found is None:
            began = time.monotonic()
            with box_trees.scratch_directory("ci") as folder:
                objects.export(self.bus.root, tree, folder)
                said = self._run(view, task, main, folder)
            found = Check(
                verdict="red" if said.findings else "green",
                tree=tree,
                check=name,
                findings=said.findings[:60],
                seconds=round(time.monotonic() - began, 3),
                tier=said.tier,
                before=said.before,
            )
            self.bus.post(path, found, verdict=found.verdict)
        return [found]

    def _run(
        self, view: View, task: Task, main: str, folder: str
    ) -> task_check.AcceptVerdict:
        if task.kind == "design":
            paths = sorted(checkouts.tree_changes(self.bus.root, main, view.head))
            cache = os.path.join(self.bus.root, ".catherd", "checks")
            found = checks.check_paths(
                folder, [p for p in paths if p.startswith("docs/")], cache
            )
            return task_check.AcceptVerdict(
                [str(one) for one in found if one.severity != "warning"]
            )
        return task_check.verdict(self.bus, self.desk, view.pr.task, task, main, folder)


def frees(queue: Queue, dead_since: dict[str, float], grace: float) -> None:
    """Claims of agents that have been dead, or rest, for longer than the grace come back; who is being started again keeps its own."""
    bus = queue.bus
    for name in bus.names("claims"):
        if name in {"open", "done", "blocked"} or not bus.names(f"claims/{name}"):
            continue
        if bus.alive(name) and cooldown.rest_of(bus, name) is None:
            dead_since.pop(name, None)
            continue
        since = dead_since.setdefault(name, time.monotonic())
        if time.monotonic() - since < grace:
            continue
        going = {
            view.pr.task: view
            for view in queue.desk.prs().values()
            if view.pr.author == name
        }
        for lock in (n.removesuffix(".lock") for n in bus.names(f"claims/{name}")):
            view = going.get(lock)
            if view is None or stand(view, queue.roll, queue.vendors()).act == "revise":
                board.settle_claim(
                    bus, lock, name, "open"
                )  # a PR that needs nothing of its author is merged without it

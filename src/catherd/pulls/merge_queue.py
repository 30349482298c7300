"""The merge queue: what becomes of each open pull request, the oldest first.

Each turn of the crank looks once at every pull request. docs/handbook/building.md tells
a person when one is merged. The same conditions stand here, in this order:

1. Enough others approved exactly the head that its branch has (`_at_its_branch`, and
   `stand` in core/tasks.py). Reviews that are missing are offered (`_offer`).
2. It merges with main without a conflict (`_against`).
3. It touches nothing but what its task may touch, and nothing that only you may allow,
   unless you did (`_against_rules`).
4. On the tree that the merge gives its checks are green (`task_check.check_merge`).

Then it goes to main, once (`_to_main`). What does not hold goes back to its author with
the reasons (`_send_back`).

A review counts for the head that it saw, and a check for the tree that it ran on. So
the same tree is never checked twice, and a pull request is checked anew when main
moved.
"""

import time
from collections.abc import Mapping

import msgspec

from catherd.bus.chat import remark
from catherd.bus.config import Agent
from catherd.bus.store import Bus, now, slug
from catherd.core.jobs import Slot
from catherd.core.merge_rules import Stand, reviewers, stand
from catherd.core.messages import Game
from catherd.core.tasks import Check, Closed, Merged, Needs, Task, View
from catherd.git import landing, merge, objects, pr_rules, trailers
from catherd.git.pr_rules import Rules
from catherd.git.run import Moved, rev
from catherd.models import cast, cooldown
from catherd.pulls import board, pr_files, protected, task_check


class MergeProposal(msgspec.Struct, frozen=True):
    """A pull request on main as it is now: `tree` is what the merge with commit `main` gives.

    `conflicts` are the paths that git could not merge.
    """

    view: View
    task: Task
    main: str
    tree: str
    conflicts: tuple[str, ...] = ()


class Queue(msgspec.Struct):
    """What the crank works with while tasks are open.

    `largest`: bytes of one file in a PR.

    `load` counts the reviews that each agent was asked for.
    """

    bus: Bus
    game: Game
    agents: dict[str, Agent]
    desk: board.Desk
    roll: tuple[str, ...]
    keep_branches: bool = False
    largest: int = 1_000_000
    load: dict[str, int] = msgspec.field(default_factory=dict)
    _looked: dict[str, tuple[str, str]] = msgspec.field(default_factory=dict)

    def vendors(self) -> dict[str, str]:
        """Agent → vendor."""
        return cast.vendors(self.agents, self.game)

    def turn(self) -> list[str]:
        """One look at every open PR, oldest first.

        The names of those that were merged now.
        """
        prs = self.desk.prs()
        self.desk.log()
        merged = []
        for name, view in sorted(prs.items()):
            if self._advance(view):
                merged.append(name)

        board.free(self.bus, self._stale(prs))
        return merged

    def _advance(self, seen: View) -> bool:
        """Do what is due about one PR; whether it was merged."""
        task = self.desk.task(seen.pr.task)
        if task is None or self._taken_over(seen):
            return False
        view = self._at_its_branch(seen)
        how = stand(view, self.roll, self.vendors())
        self._tell_forged(view, how)

        if how.act == "human":
            self._call_you(view, how)
            return False

        self.bus.solved(f"pr-{view.name.lower()}")

        if how.act == "merge":
            return self._merge(view, task, how)
        if how.act == "wait" and self._worth_reviewing(view, task):
            self._offer(view)

        return False

    # Before anything is decided: whose it is, and what it proposes

    def _taken_over(self, view: View) -> bool:
        """Close the PR if its author died and another agent took the task over; whether
        it was.

        That agent goes on from the commits on the dead one's branch.
        """
        by = board.holder(self.bus, view.pr.task)
        if by in {"", "open", "blocked", "done", view.pr.author}:
            return False
        why = f"{by} took {view.pr.task} over and goes on from {view.head[:12]}"
        path = f"prs/{view.name}/closed.yaml"
        self.bus.post(path, Closed(why=why, at=now()), pr=view.name)
        return True

    def _at_its_branch(self, view: View) -> View:
        """The PR with the head that its branch has in git.

        A branch that you moved is a new head, with no reviews yet. One that you deleted
        is made again where it was.
        """
        root = self.bus.root
        actual = rev(root, f"refs/heads/{view.pr.branch}")
        if actual == view.head or merge.merged(root, view.name):
            return view
        if not actual:
            self._make_branch_again(view)
            return view

        if objects.is_ancestor(root, view.head, actual):
            pr_files.post_head(self.bus, view.name, actual, "more commits")
        else:
            self._follow_branch(view, actual)

        return self.desk.view(view.name) or view

    def _make_branch_again(self, view: View) -> None:
        root, branch, head = self.bus.root, view.pr.branch, view.head
        if rev(root, head):
            lines = [f"create refs/heads/{branch} {head}"]
            objects.transaction(root, lines, "deleted by hand")

        trouble = f"branch-{view.name.lower()}"
        self.bus.trouble(
            trouble,
            f"bus/prs/{view.name}/",
            f"the branch {branch} was deleted: made again at {head[:12]}",
            f"touch bus/prs/{view.name}/closed.yaml closes the pull request; rm bus/problems/{trouble}.yaml",
            head,
        )

    def _follow_branch(self, view: View, actual: str) -> None:
        """Propose the commit to which you moved the branch.

        The head that it was moved away from stays under refs/catherd/moved/.
        """
        root, branch, head = self.bus.root, view.pr.branch, view.head
        kept = f"refs/catherd/moved/{branch}/{head[:12]}"
        if rev(root, head) and not rev(root, kept):
            objects.transaction(root, [f"create {kept} {head}"], "moved by hand")

        why = "the branch was moved by hand"
        pr_files.post_head(self.bus, view.name, actual, why)
        trouble = f"branch-{view.name.lower()}"
        self.bus.trouble(
            trouble,
            f"bus/prs/{view.name}/",
            f"the branch {branch} was moved by hand to {actual[:12]}: its reviews begin anew; {head[:12]} is kept",
            f"git branch -f {branch} {head[:12]} puts it back; rm bus/problems/{trouble}.yaml",
            actual,
        )

    # Reviews

    def _tell_forged(self, view: View, how: Stand) -> None:
        """Report the reviews that are not counted, and forget reports of those that are
        gone.
        """
        reported = set()
        for who in how.forged:
            path = f"prs/{view.name}/reviews/{view.head[:12]}.{who}.yaml"
            trouble = f"forged-{slug(path)}"
            what = f"the review is not counted: {who} {self._why_forged(view, who)}"
            fix = f"rm 'bus/{path}'"
            self.bus.trouble(trouble, f"bus/{path}", what, fix, view.head)
            reported.add(f"{trouble}.yaml")

        about = f"forged-{slug(f'prs/{view.name}')}-"
        for name in self.bus.names("problems"):
            if name.startswith(about) and name not in reported:
                self.bus.solved(name.removesuffix(".yaml"))

    def _why_forged(self, view: View, who: str) -> str:
        if who not in {*self.roll, "human"}:
            return "is not on the roll"
        return "is the author" if who == view.pr.author else "reviewed another head"

    def _worth_reviewing(self, view: View, task: Task) -> bool:
        """Whether reviews are worth their price; a conflict or a broken rule sends it
        back at once.

        Looked at once for each head and main. What only you may allow does not count
        here: you were not asked yet.
        """
        main = landing.tip(self.bus.root, self.game.branch)
        if self._looked.get(view.name) == (view.head, main):
            return True
        needs = self._against(self._proposal(view, task, main), overridden=True)
        if needs is not None:
            self._send_back(view, needs)
            return False

        self._looked[view.name] = (view.head, main)
        return True

    def _offer(self, view: View) -> None:
        """See to it that each review that is still wanted can be claimed, and no more
        than those.
        """
        slots = {name: Slot(view.name, view.head[:12], name) for name in self.roll}
        at = {name: board.holder(self.bus, slots[name].lock) for name in slots}
        # The view after the slots: a review is posted before its slot is done.
        fresh = self.desk.view(view.name)
        if fresh is None or fresh.head != view.head:
            return
        spent = {name for name, state in at.items() if state == "done"}
        taken = {name for name, state in at.items() if state not in {"", "done"}}
        asked = taken - fresh.reviews.keys()
        chosen = reviewers(fresh, self.roll, self.vendors(), self.load, asked, spent)
        for name in chosen:
            why = f"a review of {fresh.name}; {name} has the first right"
            if board.open_claim(self.bus, slots[name].lock, why):
                self.load[name] = self.load.get(name, 0) + 1

    def _stale(self, prs: Mapping[str, View]) -> list[Slot]:
        """Reviews on offer that nobody needs any more: the PR is over, or proposes
        another head.
        """
        offered = board.slots_of(board.locks_in(self.bus, "open"))
        if not offered:
            return []
        heads = {}
        for name in prs:
            fresh = self.desk.view(name)
            if fresh is not None and not pr_files.is_merged(self.bus, name):
                heads[name] = fresh.head[:12]

        return [one for one in offered if heads.get(one.pr) != one.head12]

    def _call_you(self, view: View, how: Stand) -> None:
        number = int(view.name[3:])
        path = f"prs/{view.name}/reviews/{view.head[:12]}.human.yaml"
        self.bus.trouble(
            f"pr-{view.name.lower()}",
            f"bus/prs/{view.name}/",
            f"{view.pr.title}: {how.why}",
            f"make pr N={number} shows it; make approve N={number} overrides (it writes bus/{path})",
            view.head,
        )

    # What stands against a merge

    def _proposal(self, view: View, task: Task, main: str) -> MergeProposal:
        found = objects.merge_tree(self.bus.root, main, view.head)
        return MergeProposal(view, task, main, found.tree, tuple(found.conflicts))

    def _against(self, proposal: MergeProposal, *, overridden: bool) -> Needs | None:
        """The conflict with main, or the broken rules; None where there are none."""
        if proposal.conflicts:
            return Needs(
                why="it conflicts with main",
                main=proposal.main,
                at=now(),
                files=list(proposal.conflicts),
            )
        return self._against_rules(proposal, overridden=overridden)

    def _against_rules(
        self, proposal: MergeProposal, *, overridden: bool
    ) -> Needs | None:
        """The broken rules. What only you may allow is left out when it is `overridden`."""
        task, main, tree = proposal.task, proposal.main, proposal.tree
        rules = Rules(tuple(task.paths), largest=self.largest)
        found = pr_rules.policy(self.bus.root, main, tree, rules)
        broken = [str(one) for one in found if one.severity == "error"]
        yours = []
        if not overridden:
            yours = [str(one) for one in found if one.severity == "person"]
            yours += protected.needs_approval(
                self.bus, self.desk, proposal.view, task, main, tree
            )

        if not broken and not yours:
            return None
        return Needs(
            why="it breaks the rules for pull requests",
            main=main,
            at=now(),
            findings=broken + yours,
            yours=not broken,
        )

    def _send_back(self, view: View, needs: Needs) -> None:
        """Say what the author must do before the queue looks again."""
        file = f"needs-{view.head[:12]}.yaml"
        self.bus.post(f"prs/{view.name}/{file}", needs, pr=view.name, why=needs.why)
        first = next(iter([*needs.files, *needs.findings]), "")
        text = f"{view.name} comes back to me: {needs.why}. {first}"
        self._remark(view, file, Needs, text)

    # The merge

    def _merge(self, view: View, task: Task, how: Stand) -> bool:
        """Bring a PR that may be merged to main, and close it; whether it is there."""
        # A kill may have come after the merge and before the rest.
        done = merge.merged(self.bus.root, view.name)
        if not done:
            done = self._to_main(view, task, how)

        if done:
            self._close(view, how, done)

        return bool(done)

    def _to_main(self, view: View, task: Task, how: Stand) -> str:
        """Merge it.

        The commit on main, "" when it went back or main moved meanwhile.
        """
        main = landing.tip(self.bus.root, self.game.branch)
        proposal = self._proposal(view, task, main)
        needs = self._against(proposal, overridden=bool(how.overrides))
        if needs is not None:
            self._send_back(view, needs)
            return ""

        check = task_check.check_merge(
            self.bus, self.desk, view, task, main, proposal.tree
        )
        if check.verdict != "green":
            needs = Needs(
                why="its checks are red", main=main, at=now(), findings=check.findings
            )
            self._send_back(view, needs)
            return ""

        try:
            return self._commit(proposal, how, check)
        except Moved:
            return ""  # the next look merges anew

    def _commit(self, proposal: MergeProposal, how: Stand, check: Check) -> str:
        """The merge commit. Raises Moved when main or the branch is not where it was."""
        view = proposal.view
        candidate = trailers.MergeCandidate(
            pr=view.name,
            topic=view.pr.branch,
            head=view.head,
            tree=proposal.tree,
        )
        text = trailers.message(
            candidate,
            view.pr.title,
            view.pr.body,
            how.approvals,
            [check.check],
            how.overrides,
        )
        merged = merge.merge(
            self.bus.root, self.game.branch, candidate, message=text, main=proposal.main
        )
        return merged.sha

    def _close(self, view: View, how: Stand, commit: str) -> None:
        """Say on the bus that the PR is merged, and clear away what it no longer needs."""
        bus, task = self.bus, view.pr.task
        # The claim first. An agent looks at PRs and then at claims, so it never sees a
        # claim of its own without the PR that it made.
        held_by = board.holder(bus, task) or view.pr.author
        board.settle_claim(bus, task, held_by, "done")
        merged = Merged(commit=commit, at=now())
        bus.post(f"prs/{view.name}/merged.yaml", merged, title=view.pr.title)
        pr_files.forget_pull(bus, view.name)
        thanks = f" Read by {', '.join(how.approvals)}." if how.approvals else ""
        text = f"{task} is on main ({view.name}).{thanks}"
        self._remark(view, "merged.yaml", Merged, text)
        if not self.keep_branches:
            merge.drop_branch(bus.root, self.game.branch, view.pr.branch)

    def _remark(
        self, view: View, file: str, kind: type[Merged | Needs], text: str
    ) -> None:
        """Let the author say in the chat what became of the PR, at the time in `file`."""
        posted = self.bus.look(f"prs/{view.name}/{file}", kind)
        if posted is not None:
            remark(self.bus, view.pr.author, posted.at, f"{view.name}.{file}", text)


def frees(queue: Queue, dead_since: dict[str, float], grace: float) -> None:
    """Free the claims of agents that have been dead, or resting, for longer than
    `grace` seconds.

    An agent that is being started again keeps its own. `dead_since` is kept from call
    to call.
    """
    bus = queue.bus
    for name in bus.names("claims"):
        if name in {"open", "done", "blocked"} or not bus.names(f"claims/{name}"):
            continue
        if bus.alive(name) and cooldown.rest_of(bus, name) is None:
            dead_since.pop(name, None)
            continue

        since = dead_since.setdefault(name, time.monotonic())
        if time.monotonic() - since >= grace:
            _free_claims(queue, name)


def _free_claims(queue: Queue, agent: str) -> None:
    """Open the claims of an agent, but for those whose PR needs nothing of its author.

    Such a PR is merged without it.
    """
    views = queue.desk.prs().values()
    going = {view.pr.task: view for view in views if view.pr.author == agent}
    for lock in board.locks_in(queue.bus, agent):
        view = going.get(lock)
        if view is None or stand(view, queue.roll, queue.vendors()).act == "revise":
            board.settle_claim(queue.bus, lock, agent, "open")

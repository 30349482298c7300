"""Merging a pull request into main exactly once, and the audit of what was merged.

The order is: `merge_tree` (no checkout), CI on that tree, `merge`. A merge is a commit
with two parents, main first, and the ref refs/catherd/merged/PR-n, which marks it as
done. Where you do not have main checked out, both appear in one transaction. Where you
do, the intent is journalled, your checkout is fast-forwarded, and the mark follows
(`landing`). After a kill anywhere the same call gives the same merge: the mark, or the
head in main's history, says that it was done.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from catherd.core.errors import CatherdError, Fault
from catherd.git import landing
from catherd.git.checkouts import list_worktrees, tree_changes
from catherd.git.objects import commit_tree, is_ancestor, merge_tree, transaction
from catherd.git.pr_rules import RuleFinding, shown_path
from catherd.git.run import (
    CATHERD,
    Moved,
    agent_identity,
    at,
    call,
    git,
    locked,
    locked_now,
    rev,
)
from catherd.git.trailers import MergeCandidate, Proof, parse_trailers
from catherd.git.worktree import admin

ENGINE = ("docs/debate/", "docs/game/", "docs/milestones/")
AGENTS = "@agents.invalid"
MERGED = "merged"  # the code of a finding: a merge of a person's own


class Done(NamedTuple):
    """A merge on main.

    `sha`: its commit. `where`: the checkout of yours that moved with it, or "". `new`:
    whether it was made just now.
    """

    sha: str
    where: str
    new: bool


def merged_ref(pr: str) -> str:
    """The ref that says a PR is merged, and as which commit."""
    return f"refs/catherd/merged/{pr}"


def merged(root: str, pr: str) -> str:
    """The commit that merged a PR; empty when it is not merged.

    After a kill the mark may be missing until `merge` or `landing.finish_landing` runs.
    """
    return rev(root, merged_ref(pr))


def last(root: str, main: str) -> int:
    """The greatest number of a PR on main, of any game; 0 when there is none."""
    marks = git(root, "for-each-ref", "--format=%(refname:lstrip=3)", merged_ref(""))
    line = ["--first-parent", "--merges", main, "--"]
    named = git(root, "log", "--format=%(trailers:key=PR,valueonly)", *line)
    numbers = re.findall(r"^PR-([0-9]{1,9})$", f"{marks}\n{named}", re.MULTILINE)
    return max(map(int, numbers), default=0)


def merge(
    root: str, branch: str, candidate: MergeCandidate, *, message: str, main: str
) -> Done:
    """Merge a pull request into the game's branch, which must be at commit `main`.

    Call it again after any failure or kill: a PR that is on main already is only
    marked. Raises Moved when main or the topic is not where it was (merge the trees and
    test anew), NeedsYou when your checkout is in the way (nothing was touched), and
    Fault when the candidate's tree is not what git makes of the two.
    """
    pr, head = candidate.pr, candidate.head
    with locked(root):
        landing.finish_landing(root)
        known = merged(root, pr)
        if known:
            return Done(known, "", new=False)
        now = landing.tip(root, branch)
        if is_ancestor(root, head, now):
            sha = _brought_by(root, head, now)
            transaction(root, [f"create {merged_ref(pr)} {sha}"], f"{pr} is on main")
            return Done(sha, "", new=False)

        if now != main:
            text = f"main is at {now[:12]}, no longer at {main[:12]}"
            raise Moved(f"merge {candidate.topic}", 0, text)

        _check_tree(root, candidate, main)
        author = agent_identity(candidate.topic.partition("/")[0])
        sha = commit_tree(root, candidate.tree, [main, head], message, author, CATHERD)
        step = landing.MainStep(
            old=now,
            new=sha,
            why=f"merge {pr}",
            creates={merged_ref(pr): sha},
            verify=[f"verify refs/heads/{candidate.topic} {head}"],
        )
        return Done(sha, landing.advance(root, branch, step), new=True)


def _check_tree(root: str, candidate: MergeCandidate, main: str) -> None:
    """Refuse a tree that is not the clean merge of the candidate's head into main."""
    head, tree = candidate.head, candidate.tree
    if merge_tree(root, main, head) != (tree, ()):
        what = f"the merge of {head[:12]} into {main[:12]} is not {tree[:12]}"
        raise Fault(
            what,
            where=candidate.pr,
            fix="make status",
        )


def _brought_by(root: str, head: str, main: str) -> str:
    """The first commit on main's own line that has `head` in its history.

    That is the merge, by whomever it was made.
    """
    path = ["--first-parent", "--ancestry-path", f"{head}..{main}"]
    after = git(root, "rev-list", *path).split()
    return after[-1] if after else head


def drop_branch(root: str, branch: str, topic: str) -> bool:
    """Delete a topic branch whose head is on main; True when it is gone.

    False while a worktree is busy with it, or you have it checked out. Raises
    CatherdError when git does not prove that its head is on main.
    """
    ref = f"refs/heads/{topic}"
    with locked(root):
        head = rev(root, ref)
        if not head:
            return True
        if not is_ancestor(root, head, landing.tip(root, branch)):
            what = f"{topic} is kept: its head {head[:12]} is not on main"
            fix = f"git branch -D {topic}  (only if you do not want it)"
            raise CatherdError(
                what,
                where=root,
                fix=fix,
            )

        return _delete_branch(root, topic, head)


def _delete_branch(root: str, topic: str, head: str) -> bool:
    ref = f"refs/heads/{topic}"
    for entry in list_worktrees(root):
        if entry.get("branch") != ref:
            continue
        name = os.path.relpath(entry["worktree"], os.path.join(root, "worktrees"))
        if name.startswith(os.pardir) or "/" in name:
            return False  # you have it checked out
        with locked_now(root, f"worktree-{name}") as free:
            if not free or not _detach(root, name, head):
                return False

    transaction(root, [f"delete {ref} {head}"], "drop")
    return True


def _detach(root: str, name: str, head: str) -> bool:
    """Let an idle agent's worktree stand on the commit instead of the branch.

    Its files stay as they are.
    """
    found = admin(root, name)
    if not found:
        return False
    place = at(root)._replace(git_dir=found)
    change = f"worktrees/{name}/HEAD"
    call(place, "update-ref", "--no-deref", "HEAD", head, change=change)
    return True


class _Commit(NamedTuple):
    """One commit of main's own line; `author` and `committer` are mail addresses."""

    sha: str
    parents: tuple[str, ...]
    tree: str
    author: str
    committer: str
    text: str

    @property
    def subject(self) -> str:
        """The first line of its message, as it may be printed."""
        return shown_path(self.text.partition("\n")[0][:80])

    @property
    def is_merge_of_ours(self) -> bool:
        """Whether catherd merged here."""
        return self.committer == CATHERD.email and len(self.parents) == 2


class _Demands(NamedTuple):
    """What is asked of main; see `unproved`."""

    needed: int
    roll: Collection[str]
    engine: Sequence[str]


def unproved(
    root: str,
    base: str,
    head: str,
    *,
    needed: int = 2,
    roll: Collection[str] = (),
    engine: Sequence[str] = ENGINE,
) -> list[RuleFinding]:
    """What on main's own line since `base` is not proved by git alone, if anything.

    `path` of a finding is a short commit id. Every merge must have:

    - exactly the tree that git makes of its parents;
    - `needed` reviewers of that very head, all on the `roll` where it is known, none of
      them its author; or a person's override;
    - a green verdict for that very tree;
    - a PR that was not merged before.

    Every other commit by catherd touches only the engine's documents. A commit of a
    person's own is a `note`. What a person merges is held to the same, commit by
    commit.
    """
    if not is_ancestor(root, base, head):
        what = (
            f"the game's first commit {base[:12]} is not in the history of {head[:12]}"
        )
        raise CatherdError(
            what,
            where=root,
            fix="git log --oneline --branches",
        )

    line = list(_line(root, [base], head))
    demands = _Demands(needed, roll, engine)
    found: list[RuleFinding] = []
    for commit in line:
        found += _commit_findings(root, commit, demands)

    return found + _merged_twice(line)


def merges_between(root: str, base: str, head: str) -> int:
    """How many merges by catherd `unproved` looks at."""
    return sum(commit.is_merge_of_ours for commit in _line(root, [base], head))


def _line(root: str, known: list[str], head: str) -> Iterator[_Commit]:
    """The commits of main's own line that `known` does not have, oldest first.

    A merge of a person's own comes after what it brought.
    """
    fields = "--format=%H%x00%P%x00%T%x00%ae%x00%ce%x00%B%x00"
    options = ["--first-parent", "--reverse", "--no-show-signature", fields]
    out = call(
        root,
        "log",
        *options,
        head,
        "--not",
        *known,
        "--",
    ).out
    *words, _ = out.decode("utf-8", "replace").split("\0")
    for start in range(0, len(words), 6):
        sha, parents, tree, author, committer, text = words[start : start + 6]
        commit = _Commit(
            sha=sha.strip(),
            parents=tuple(parents.split()),
            tree=tree,
            author=author,
            committer=committer,
            text=text,
        )
        if not committer.endswith(AGENTS):
            main, *sides = commit.parents or ("",)
            for side in sides:
                yield from _line(root, [*known, main], side)

        yield commit


def _commit_findings(
    root: str, commit: _Commit, demands: _Demands
) -> list[RuleFinding]:
    short = commit.sha[:12]
    if commit.committer != CATHERD.email:
        return [_of_another(commit)]
    if commit.is_merge_of_ours:
        faults = _merge_faults(root, commit, demands)
        return [RuleFinding(short, code, "error", text) for code, text in faults]

    if len(commit.parents) != 1:
        text = f"{len(commit.parents)} parents"
        return [RuleFinding(short, "parents", "error", text)]

    return [
        RuleFinding(short, "outside", "error", f"catherd itself changed {path}")
        for path in _outside(root, commit, demands.engine)
    ]


def _of_another(commit: _Commit) -> RuleFinding:
    """What to say of a commit that catherd did not make."""
    short, who = commit.sha[:12], shown_path(commit.committer)
    by_agent = _is_agent(commit.author) or _is_agent(commit.committer)
    if by_agent:
        text = "an agent's commit is on main without a merge of catherd's"
        return RuleFinding(short, "agent", "error", f"{text}: {commit.subject}")

    if len(commit.parents) > 1:
        text = f"merged by {who}, not reviewed: {commit.subject}"
        return RuleFinding(short, MERGED, "note", text)

    return RuleFinding(short, "yours", "note", f"by {who}: {commit.subject}")


def _is_agent(mail: str) -> bool:
    return mail.endswith(AGENTS) and mail != CATHERD.email


def _outside(root: str, commit: _Commit, engine: Sequence[str]) -> list[str]:
    """The paths that a commit changed and that are none of the engine's documents."""
    changed = sorted(tree_changes(root, commit.parents[0], commit.sha))
    return [shown_path(path) for path in changed if not path.startswith(tuple(engine))]


_Faults = list[tuple[str, str]]  # (code, text)


def _merge_faults(root: str, commit: _Commit, demands: _Demands) -> _Faults:
    proof = parse_trailers(commit.text)
    main, head = commit.parents
    faults: _Faults = []
    if merge_tree(root, main, head) != (commit.tree, ()):
        faults.append(("tree", "its tree is not the merge of its parents"))

    faults += _review_faults(proof, head, _authors(root, commit), demands)
    if not any(tree == commit.tree for tree, _ in proof.checks):
        faults.append(("ci", f"no green verdict for tree {commit.tree[:12]}"))

    if not proof.pr:
        faults.append(("pr", "no PR is named"))

    return faults


def _authors(root: str, commit: _Commit) -> set[str]:
    """Who wrote a merge: its own author and the author of the merged head."""
    head = commit.parents[1]
    mail = git(root, "show", "-s", "--no-show-signature", "--format=%ae", head)
    return {commit.author.partition("@")[0], mail.partition("@")[0]}


class _Readers(NamedTuple):
    """The people and agents who had a say on a merge's very head.

    `strangers` are those reviewers that are not on the roll, `others` those that count.
    """

    reviewers: set[str]
    overriding: set[str]
    strangers: set[str]
    others: set[str]


def _readers(
    proof: Proof, head: str, authors: set[str], roll: Collection[str]
) -> _Readers:
    reviewers = {who for who, seen in proof.reviews if head.startswith(seen)}
    overriding = {who for who, seen in proof.overrides if head.startswith(seen)}
    strangers = reviewers.difference(roll) if roll else set()
    others = reviewers - authors - strangers
    return _Readers(reviewers, overriding, strangers, others)


def _review_faults(
    proof: Proof, head: str, authors: set[str], demands: _Demands
) -> _Faults:
    readers = _readers(proof, head, authors, demands.roll)
    faults: _Faults = []
    for who in sorted(readers.reviewers & authors):
        faults.append(("own", f"{who} reviewed its own work"))

    for who in sorted(readers.strangers):
        faults.append(("roll", f"{who}, who reviewed it, is not on the roll"))

    for who, seen in proof.reviews:
        if not head.startswith(seen):
            faults.append(("stale", f"{who} reviewed {seen}, not {head[:12]}"))

    for who in sorted(readers.overriding - {"human"}):
        faults.append(("override", f"{who} is no person and overrides nothing"))

    enough = len(readers.others) >= demands.needed
    if not enough and "human" not in readers.overriding:
        names = ", ".join(sorted(readers.others)) or "none"
        count = f"{len(readers.others)} of {demands.needed}"
        faults.append(("reviews", f"{count} reviews by others: {names}"))

    return faults


def _merged_twice(line: Sequence[_Commit]) -> list[RuleFinding]:
    """Merges that name a PR which an earlier one named."""
    first: dict[str, str] = {}
    found = []
    for commit in line:
        pr = parse_trailers(commit.text).pr if commit.is_merge_of_ours else ""
        if not pr:
            continue
        earlier = first.setdefault(pr, commit.sha)
        if earlier != commit.sha:
            text = f"{shown_path(pr)} was merged before, as {earlier[:12]}"
            found.append(RuleFinding(commit.sha[:12], "twice", "error", text))

    return found

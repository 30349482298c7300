"""Merging a pull request into main, exactly once, and the proof of it that stays in the history.

The order: `merge_tree` (no checkout) → CI on that tree → `merge`. A merge is a commit with two parents, main first, and
the ref refs/catherd/merged/PR-n, which is its exactly-once mark. Where you do not have main checked out, both appear in one
transaction; where you do, the intent is journalled, your checkout is fast-forwarded and the mark follows (`landing`). After
a kill anywhere the same call gives the same merge: the mark, or the head in main's history, says that it was done.
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
from catherd.git.trailers import Proof, parse_trailers
from catherd.git.worktree import admin

ENGINE = ("docs/debate/", "docs/game/", "docs/milestones/")
AGENTS = "@agents.invalid"
MERGED = "merged"  # the code of a finding: a merge of a person's own


class Done(NamedTuple):
    """A merge on main: its commit, the checkout of yours that moved with it (or ""), whether it was made just now."""

    sha: str
    where: str
    new: bool


def merged_ref(pr: str) -> str:
    """The ref that says a PR is merged, and as which commit."""
    return f"refs/catherd/merged/{pr}"


def merged(root: str, pr: str) -> str:
    """The commit that merged a PR; empty when it is not merged (or a kill left its mark to `merge` or `landing.recover`)."""
    return rev(root, merged_ref(pr))


def last(root: str, main: str) -> int:
    """The greatest number of a PR that is on main, of any game; 0 when there is none."""
    marks = git(root, "for-each-ref", "--format=%(refname:lstrip=3)", merged_ref(""))
    named = git(
        root,
        "log",
        "--first-parent",
        "--merges",
        "--format=%(trailers:key=PR,valueonly)",
        main,
        "--",
    )
    return max(
        map(int, re.findall(r"^PR-([0-9]{1,9})$", f"{marks}\n{named}", re.MULTILINE)),
        default=0,
    )


def merge(
    root: str,
    branch: str,
    *,
    pr: str,
    topic: str,
    head: str,
    tree: str,
    message: str,
    main: str,
) -> Done:
    """Merge `topic` (`claude/T-007`) at commit `head` into the game's branch, which must be at `main`, giving `tree`.

    Call it again after any failure or kill; a PR that is on main already is only marked. Raises Moved when main or the
    topic is not where it was (merge the trees and test anew), NeedsYou when your checkout is in the way (nothing was
    touched), Fault when `tree` is not what git makes of the two.
    """
    with locked(root):
        landing.finish_landing(root)
        known = merged(root, pr)
        if known:
            return Done(known, "", new=False)
        now = landing.tip(root, branch)
        if is_ancestor(root, head, now):
            sha = _holding(root, head, now)
            transaction(root, [f"create {merged_ref(pr)} {sha}"], f"{pr} is on main")
            return Done(sha, "", new=False)
        if now != main:
            raise Moved(
                f"merge {topic}", 0, f"main is at {now[:12]}, no longer at {main[:12]}"
            )
        if merge_tree(root, main, head) != (tree, ()):
            raise Fault(
                f"the merge of {head[:12]} into {main[:12]} is not {tree[:12]}",
                where=pr,
                fix="make status",
            )
        sha = commit_tree(
            root,
            tree,
            [main, head],
            message,
            agent_identity(topic.partition("/")[0]),
            CATHERD,
        )
        verify = [f"verify refs/heads/{topic} {head}"]
        where = landing.advance(
            root, branch, now, sha, {merged_ref(pr): sha}, verify, f"merge {pr}"
        )
        return Done(sha, where, new=True)


def _holding(root: str, head: str, main: str) -> str:
    """The first commit on main's own line that has `head` in its history: the merge, by whomever it was made."""
    after = git(
        root, "rev-list", "--first-parent", "--ancestry-path", f"{head}..{main}"
    ).split()
    return after[-1] if after else head


def drop_branch(root: str, branch: str, topic: str) -> bool:
    """Delete a topic branch whose head is on main; True when it is gone. False while a worktree is busy with it.

    Raises CatherdError when git does not prove that its head is on main.
    """
    ref = f"refs/heads/{topic}"
    with locked(root):
        head = rev(root, ref)
        if not head:
            return True
        if not is_ancestor(root, head, landing.tip(root, branch)):
            fix = f"git branch -D {topic}  (only if you do not want it)"
            raise CatherdError(
                f"{topic} is kept: its head {head[:12]} is not on main",
                where=root,
                fix=fix,
            )
        return _drop(root, topic, head)


def _drop(root: str, topic: str, head: str) -> bool:
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
    """Let an idle agent's worktree stand on the commit instead of the branch; its files stay as they are."""
    found = admin(root, name)
    if not found:
        return False
    place = at(root)._replace(git_dir=found)
    call(
        place, "update-ref", "--no-deref", "HEAD", head, change=f"worktrees/{name}/HEAD"
    )
    return True


class _Commit(NamedTuple):
    sha: str
    parents: tuple[str, ...]
    tree: str
    author: str
    committer: str
    text: str


def unproved(
    root: str,
    base: str,
    head: str,
    *,
    needed: int = 2,
    roll: Collection[str] = (),
    engine: Sequence[str] = ENGINE,
) -> list[RuleFinding]:
    """What on main's own line since `base` is not proved by git alone; empty when all of it is. `path` is a short commit id.

    Every merge: exactly the tree that git makes of its parents, `needed` reviewers of that very head, all on the `roll` where
    it is known and none of them its author (or a person's override), a green verdict for that very tree, a PR that was not
    merged before. Every other commit by catherd touches only the engine's documents. A commit of a person's own is a `note`;
    what a person merges is held to the same, commit by commit.
    """
    if not is_ancestor(root, base, head):
        fix = "git log --oneline --branches"
        raise CatherdError(
            f"the game's first commit {base[:12]} is not in the history of {head[:12]}",
            where=root,
            fix=fix,
        )
    line = list(_line(root, [base], head))
    return [f for c in line for f in _proved(root, c, needed, roll, engine)] + _twice(
        line
    )


def merges_between(root: str, base: str, head: str) -> int:
    """How many merges by catherd `audit` looks at."""
    return sum(map(_ours, _line(root, [base], head)))


def _line(root: str, known: list[str], head: str) -> Iterator[_Commit]:
    """The commits of main's own line that `known` does not have, oldest first; a merge of a person's after what it brought."""
    shape = "--format=%H%x00%P%x00%T%x00%ae%x00%ce%x00%B%x00"
    out = call(
        root,
        "log",
        "--first-parent",
        "--reverse",
        "--no-show-signature",
        shape,
        head,
        "--not",
        *known,
        "--",
    ).out
    words = out.decode("utf-8", "replace").split("\0")[:-1]
    rows = [words[n : n + 6] for n in range(0, len(words), 6)]
    for r in rows:
        commit = _Commit(r[0].strip(), tuple(r[1].split()), r[2], r[3], r[4], r[5])
        if not commit.committer.endswith(AGENTS):
            for side in commit.parents[1:]:
                yield from _line(root, [*known, commit.parents[0]], side)
        yield commit


def _ours(commit: _Commit) -> bool:
    return commit.committer == CATHERD.email and len(commit.parents) == 2


def _proved(
    root: str,
    commit: _Commit,
    needed: int,
    roll: Collection[str],
    engine: Sequence[str],
) -> list[RuleFinding]:
    short, subject = commit.sha[:12], commit.text.partition("\n")[0][:80]
    if commit.committer != CATHERD.email:
        if any(
            who != CATHERD.email and who.endswith(AGENTS)
            for who in (commit.author, commit.committer)
        ):
            text = f"an agent's commit is on main without a merge of catherd's: {shown_path(subject)}"
            return [RuleFinding(short, "agent", "error", text)]
        if len(commit.parents) > 1:
            text = f"merged by {shown_path(commit.committer)}, not reviewed: {shown_path(subject)}"
            return [RuleFinding(short, MERGED, "note", text)]
        return [
            RuleFinding(
                short,
                "yours",
                "note",
                f"by {shown_path(commit.committer)}: {shown_path(subject)}",
            )
        ]
    if _ours(commit):
        faults = _merge_faults(root, commit, parse_trailers(commit.text), needed, roll)
        return [RuleFinding(short, code, "error", text) for code, text in faults]
    if len(commit.parents) != 1:
        return [
            RuleFinding(short, "parents", "error", f"{len(commit.parents)} parents")
        ]
    outside = [
        p
        for p in tree_changes(root, commit.parents[0], commit.sha)
        if not p.startswith(tuple(engine))
    ]
    return [
        RuleFinding(
            short, "outside", "error", f"catherd itself changed {shown_path(p)}"
        )
        for p in sorted(outside)
    ]


def _merge_faults(
    root: str, commit: _Commit, proof: Proof, needed: int, roll: Collection[str]
) -> list[tuple[str, str]]:
    main, head = commit.parents
    tip = git(root, "show", "-s", "--no-show-signature", "--format=%ae", head)
    authors = {commit.author.partition("@")[0], tip.partition("@")[0]}
    faults = []
    if merge_tree(root, main, head) != (commit.tree, ()):
        faults.append(("tree", "its tree is not the merge of its parents"))
    reviewers = {who for who, seen in proof.reviews if head.startswith(seen)}
    faults += [
        ("own", f"{who} reviewed its own work") for who in sorted(reviewers & authors)
    ]
    strangers = reviewers.difference(roll) if roll else set()
    faults += [
        ("roll", f"{who}, who reviewed it, is not on the roll")
        for who in sorted(strangers)
    ]
    faults += [
        ("stale", f"{who} reviewed {seen}, not {head[:12]}")
        for who, seen in proof.reviews
        if not head.startswith(seen)
    ]
    overriding = {who for who, seen in proof.overrides if head.startswith(seen)}
    faults += [
        ("override", f"{who} is no person and overrides nothing")
        for who in sorted(overriding - {"human"})
    ]
    others = reviewers - authors - strangers
    if len(others) < needed and "human" not in overriding:
        faults.append(
            (
                "reviews",
                f"{len(others)} of {needed} reviews by others: {', '.join(sorted(others)) or 'none'}",
            )
        )
    if not any(tree == commit.tree for tree, _ in proof.checks):
        faults.append(("ci", f"no green verdict for tree {commit.tree[:12]}"))
    if not proof.pr:
        faults.append(("pr", "no PR is named"))
    return faults


def _twice(line: Sequence[_Commit]) -> list[RuleFinding]:
    """Merges that name a PR which an earlier one named."""
    first: dict[str, str] = {}
    found = []
    for commit in filter(_ours, line):
        pr = parse_trailers(commit.text).pr
        if pr and first.setdefault(pr, commit.sha) != commit.sha:
            text = f"{shown_path(pr)} was merged before, as {first[pr][:12]}"
            found.append(RuleFinding(commit.sha[:12], "twice", "error", text))
    return found

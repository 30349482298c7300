"""Carrying out a task: prompt → whole files → the agent's worktree → checks → commit → pull request. And doing it again.

The daemon writes, checks and commits; a model only answers. What it answers is tried in the worktree at once, and what
the checks say goes back to it as the next question, at most twice; then the task's attempt has failed. Every step can be
killed: the journal has the answers, the branch the commit, and a PR is found again by its branch.
"""

import os

from catherd.answers import prompts
from catherd.answers.envelopes import Unusable, parse_envelope
from catherd.answers.fences import File
from catherd.answers.journal import converse
from catherd.answers.seat import Seat, request
from catherd.bus import size_limits
from catherd.bus.chat import remark
from catherd.bus.config import secret_names
from catherd.bus.store import Bus, now
from catherd.core.errors import CatherdError
from catherd.core.messages import Ask, Base
from catherd.core.tasks import Pr, Task, View, phase_of, tries
from catherd.design import checks
from catherd.git import checkouts, landing, safewrite, worktree
from catherd.git.objects import is_ancestor, merge_tree
from catherd.git.pr_rules import Rules
from catherd.git.run import rev
from catherd.git.secrets import find_in_files
from catherd.models import cli_model
from catherd.pulls import board, pr_files, task_check
from catherd.pulls.context import ask_for

ATTEMPTS = 3


class Try(Base, kw_only=True):
    """`tasks/<id>.try/<n>.<agent>.yaml` and `prs/<pr>/revise-<n>.yaml`: an attempt, posted before work starts; of a task with
    `.failed`, `.refused` or `.blocked` before the ending, how it ended.
    """

    agent: str
    base: str
    at: str = ""
    after: str = ""  # whose commits it goes on from, when that agent died


def do_write(seat: Seat, task_id: str, task: Task) -> bool:
    """Carry out a task that the agent holds, and open its pull request; False when the attempt failed."""
    bus, me = seat.bus, seat.agent.id
    n = _attempt(seat, task_id)
    if not n:
        block(bus, task_id, me, f"{ATTEMPTS} attempts at {task_id} failed")
        return False
    bus.solved(f"blocked-{task_id.lower()}")
    attempt = bus.must(f"tasks/{task_id}.try/{n}.{me}.yaml", Try)
    base = attempt.base
    remark(bus, me, attempt.at, f"{task_id}.{n}", _taking(task_id, task, attempt))
    begun = worktree.begin_branch(seat.bus.root, me, task_id, base)
    _told(seat, begun.notes)
    size_limits.ready(seat.bus.root, me, phase_of(task))
    ask = ask_for(
        seat, task_id, task, "write", base
    )  # what it is shown is what its worktree holds
    head = _work(
        seat, task_id, task, ask, f"{phase_of(task)}/{task_id}.write.{n}", begun.path
    )
    if not head:
        end_attempt(bus, task_id, me, "failed")
        return False
    pr = Pr(
        task=task_id,
        author=me,
        branch=begun.branch,
        title=task.title,
        body=_body(bus.root, head),
        opened=now(),
    )
    name = board.open_pr(bus, pr)
    pr_files.post_head(bus, name, head, "opened", base)
    return True


def end_attempt(bus: Bus, task_id: str, me: str, how: str) -> None:
    """The last attempt ended so: failed, refused or blocked."""
    last = tries(bus.names(f"tasks/{task_id}.try")).last
    bus.post(
        f"tasks/{task_id}.try/{last}.{me}.{how}.yaml", Try(agent=me, base="", at=now())
    )


def block(bus: Bus, task_id: str, me: str, why: str) -> None:
    """Nobody is to try it again before you have looked; then attempts are counted anew."""
    end_attempt(bus, task_id, me, "blocked")
    fix = f"edit the task, then mv bus/claims/blocked/{task_id}.lock bus/claims/open/"
    bus.trouble(f"blocked-{task_id.lower()}", f"bus/tasks/{task_id}.yaml", why, fix)
    board.settle_claim(
        bus, task_id, me, "blocked"
    )  # after it was said why: who sees the one looks for the other


def _attempt(seat: Seat, task_id: str) -> int:
    """The number of the attempt to go on with, its file posted: mine if it is not over, else the next; 0 when there were enough."""
    bus, me = seat.bus, seat.agent.id
    folder = f"tasks/{task_id}.try"
    names = bus.names(folder)
    so_far = tries(names)
    if so_far.whose == me:
        return so_far.last
    if so_far.count >= ATTEMPTS:
        return 0
    after, base = _left_by(seat, task_id, names)
    mine = Try(
        agent=me,
        base=base or landing.tip(bus.root, seat.game.branch),
        at=now(),
        after=after,
    )
    bus.post(f"{folder}/{so_far.last + 1}.{me}.yaml", mine)
    return so_far.last + 1


def _left_by(seat: Seat, task_id: str, tries: list[str]) -> tuple[str, str]:
    """Who worked at the task last and left something committed that is not on main, and the commit; else two times ""."""
    root, me = seat.bus.root, seat.agent.id
    main = landing.tip(root, seat.game.branch)
    for parts in sorted(
        (file.split(".") for file in tries),
        key=lambda p: (len(p[0]), p[0]),
        reverse=True,
    ):
        head = rev(root, f"refs/heads/{parts[1]}/{task_id}") if parts[1] != me else ""
        if head and not is_ancestor(root, head, main):
            return parts[1], head
    return "", ""


def _taking(task_id: str, task: Task, attempt: Try) -> str:
    went_on = f", from where {attempt.after} left it" if attempt.after else ""
    return f"I take {task_id}{went_on}: {task.title}."


def _told(seat: Seat, notes: tuple[str, ...]) -> None:
    """What was done about a worktree or branch that you removed or moved, told once."""
    if notes:
        me = seat.agent.id
        what = "; ".join(notes)
        seat.bus.trouble(
            f"worktree-{me}",
            f"worktrees/{me}",
            what,
            f"rm bus/problems/worktree-{me}.yaml",
            what,
        )


def do_revise(seat: Seat, view: View, task: Task) -> bool:
    """Work on a PR again, after reviews, a conflict or red checks; merges main into the branch. False when it failed."""
    bus, me, root = seat.bus, seat.agent.id, seat.bus.root
    path = f"prs/{view.name}/revise-{view.heads}.yaml"
    bus.post(path, Try(agent=me, base=landing.tip(root, seat.game.branch), at=now()))
    main = bus.must(
        path, Try
    ).base  # what the journalled prompt shows: its answer must not meet what came to main since
    begun = worktree.begin_branch(root, me, view.pr.task, main, expected=view.head)
    _told(seat, begun.notes)
    size_limits.ready(root, me, phase_of(task))
    conflicts: tuple[str, ...] = ()
    merging = "" if is_ancestor(root, main, begun.head) else main
    if merging:
        merged = merge_tree(root, begun.head, main)
        conflicts = merged.conflicts
        worktree.update(root, me, merged.tree)
    ask = ask_for(
        seat,
        view.pr.task,
        task,
        "revise",
        main,
        view=view,
        tree=begun.path,
        conflicts=conflicts,
    )
    turn = f"{phase_of(task)}/{view.pr.task}.revise-{view.heads}.1"
    head = _work(seat, view.pr.task, task, ask, turn, begun.path, merging=merging)
    if not head or head == view.head:
        bus.trouble(
            f"stuck-{view.name.lower()}",
            f"bus/prs/{view.name}/",
            f"{seat.agent.name} could not mend it",
            f"make pr N={int(view.name[3:])} shows it; approve it, or mend the branch {view.pr.branch} yourself",
            view.head,
        )
        return False
    pr_files.post_head(bus, view.name, head, "revised", main)
    return True


def _work(
    seat: Seat,
    task_id: str,
    task: Task,
    ask: Ask,
    turn: str,
    tree: str,
    *,
    merging: str = "",
) -> str:
    """Ask until the files pass in the worktree, commit them; the head, "" when no answer was good enough."""
    root, me = seat.bus.root, seat.agent.id
    cap = size_limits.caps_of(root, phase_of(task))
    if seat.agent.command:
        seat = cli_model.hands(seat, tree, int(cap.worktree * size_limits.MB))
    rendered = prompts.render_prompt(root, ask, seat.card())
    kept: list[list[File]] = []
    rules = Rules(tuple(task.paths), largest=int(cap.artifact * size_limits.MB))

    def reread(text: str, last: bool) -> str:  # noqa: ARG001 - the journal's call
        if text.startswith(cli_model.NOT_TAKEN):
            return text
        try:
            envelope = parse_envelope(text)
        except Unusable as error:
            return "\n".join(error.errors)
        if not envelope.files:
            return "there is no file in the answer: each stands whole in a fence `~~~~~~file path=…`"
        if not os.path.isdir(tree):
            fix = "nothing: it is made again, and the answer is not asked for twice"
            raise CatherdError(
                f"was removed while {seat.agent.name} worked in it",
                where=f"worktrees/{me}",
                fix=fix,
            )
        try:
            for file in envelope.files:
                safewrite.put(tree, file, rules)
        except CatherdError as error:
            return str(error)
        paths = [file.path for file in envelope.files]
        found = [
            f"{one}: {cli_model.TAKE_OUT}"
            for one in find_in_files(paths, tree, None, secret_names(root))
        ]
        if over := size_limits.fits(root, me, phase_of(task)):
            found.append(
                f"the whole directory is too large: {over}; take out what is not needed"
            )
        faults = found or faulty(seat, task, tree, paths)
        if faults:
            return "Findings:\n" + "\n".join(faults[:40])
        kept.append(envelope.files)
        return ""

    text = converse(
        seat.bus,
        seat.model,
        request(seat, turn, "write", rendered),
        seat.reserve,
        reread,
    )
    if text is None or not kept:
        return ""
    paths = sorted(
        {file.path for file in kept[-1]}
        | set(worktree.changed_paths(root, me) if merging else [])
    )
    message = f"{task_id}: {task.title}\n"
    return worktree.commit(root, me, paths, message, merging=merging)


def faulty(seat: Seat, task: Task, tree: str, paths: list[str]) -> list[str]:
    """What the mechanical checks say against these files in `tree`, as lines for the author."""
    if task.kind == "design":
        cache = os.path.join(seat.bus.root, ".catherd", "checks")
        return [
            str(one)
            for one in checks.check_paths(tree, paths, cache)
            if one.severity != "warning"
        ]
    return task_check.faults(
        seat.bus.root, task, landing.tip(seat.bus.root, seat.game.branch), tree
    )


def _body(root: str, head: str) -> str:
    files = checkouts.tree_changes(root, f"{head}^", head)
    return "Touches " + ", ".join(sorted(files)[:12]) + "."

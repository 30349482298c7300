"""Carrying out a task, and working on its pull request again.

A prompt goes to the model, and whole files come back. They are written into the agent's
worktree, checked, committed and proposed. The daemon writes, checks and commits; the
model only answers. Its answer is tried in the worktree at once, and what the checks say
goes back to it as the next question, at most twice; then the task's attempt has failed.

Every step can be killed: the journal has the answers, the branch has the commit, and a
pull request is found again by its branch.
"""

import os
from typing import NamedTuple

import msgspec

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
from catherd.pulls.context import Matter, ask_for

ATTEMPTS = 3


class Try(Base, kw_only=True):
    """`tasks/<id>.try/<n>.<agent>.yaml` and `prs/<pr>/revise-<n>.yaml`: an attempt.

    It is posted before work starts. How an attempt at a task ended is said by a file
    with `.failed`, `.refused` or `.blocked` before the ending. `after` is the agent
    whose commits it goes on from, when that agent died.
    """

    agent: str
    base: str
    at: str = ""
    after: str = ""


class WorkTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of work: the task, the name of the turn, the worktree `tree`.

    `merging` is the commit of main that is merged into the branch with it, "" for none.
    """

    task_id: str
    task: Task
    turn: str
    tree: str
    merging: str = ""


class LeftBy(NamedTuple):
    """An agent and the commit that it left on its branch of a task.

    Both "" for nobody.
    """

    agent: str = ""
    head: str = ""


def do_write(seat: Seat, task_id: str, task: Task) -> bool:
    """Carry out a task that the agent holds, and open its pull request.

    False when the attempt failed.
    """
    bus, me = seat.bus, seat.agent.id
    number = _attempt(seat, task_id)
    if not number:
        block(bus, task_id, me, f"{ATTEMPTS} attempts at {task_id} failed")
        return False

    bus.solved(f"blocked-{task_id.lower()}")
    attempt = bus.must(f"tasks/{task_id}.try/{number}.{me}.yaml", Try)
    said = _taking(task_id, task, attempt)
    remark(bus, me, attempt.at, f"{task_id}.{number}", said)
    begun = worktree.begin_branch(bus.root, me, task_id, attempt.base)
    _tell_notes(seat, begun.notes)
    size_limits.ready(bus.root, me, phase_of(task))

    # The prompt shows the files that the worktree holds.
    matter = Matter(kind="write", task_id=task_id, task=task, main=attempt.base)
    turn = f"{phase_of(task)}/{task_id}.write.{number}"
    job = WorkTurn(task_id=task_id, task=task, turn=turn, tree=begun.path)
    head = _work(seat, job, ask_for(seat, matter))
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
    pr_files.post_head(bus, name, head, "opened", attempt.base)
    return True


def end_attempt(bus: Bus, task_id: str, me: str, how: str) -> None:
    """Say how the last attempt ended: failed, refused or blocked."""
    last = tries(bus.names(f"tasks/{task_id}.try")).last
    path = f"tasks/{task_id}.try/{last}.{me}.{how}.yaml"
    bus.post(path, Try(agent=me, base="", at=now()))


def block(bus: Bus, task_id: str, me: str, why: str) -> None:
    """Let nobody try the task again before you have looked.

    Then attempts are counted anew.
    """
    end_attempt(bus, task_id, me, "blocked")
    fix = f"edit the task, then mv bus/claims/blocked/{task_id}.lock bus/claims/open/"
    bus.trouble(f"blocked-{task_id.lower()}", f"bus/tasks/{task_id}.yaml", why, fix)
    # The claim after the report: a reader who sees the claim looks for the report.
    board.settle_claim(bus, task_id, me, "blocked")


def _attempt(seat: Seat, task_id: str) -> int:
    """The number of the attempt to go on with, its file posted; 0 when there were
    enough.

    It is the agent's own if that is not over, else the next.
    """
    bus, me = seat.bus, seat.agent.id
    folder = f"tasks/{task_id}.try"
    names = bus.names(folder)
    so_far = tries(names)
    if so_far.whose == me:
        return so_far.last
    if so_far.count >= ATTEMPTS:
        return 0
    left = _left_by(seat, task_id, names)
    mine = Try(
        agent=me,
        base=left.head or landing.tip(bus.root, seat.game.branch),
        at=now(),
        after=left.agent,
    )
    bus.post(f"{folder}/{so_far.last + 1}.{me}.yaml", mine)
    return so_far.last + 1


def _left_by(seat: Seat, task_id: str, files: list[str]) -> LeftBy:
    """The other agent that worked at the task last and left commits that main does not
    have.

    `files` are the names in the task's folder of attempts.
    """
    root = seat.bus.root
    main = landing.tip(root, seat.game.branch)

    def number(parts: list[str]) -> tuple[int, str]:
        return len(parts[0]), parts[0]

    attempts = [file.split(".") for file in files if file.count(".") > 1]
    for _, agent, *_ in sorted(attempts, key=number, reverse=True):
        if agent == seat.agent.id:
            continue
        head = rev(root, f"refs/heads/{agent}/{task_id}")
        if head and not is_ancestor(root, head, main):
            return LeftBy(agent, head)

    return LeftBy()


def _taking(task_id: str, task: Task, attempt: Try) -> str:
    went_on = f", from where {attempt.after} left it" if attempt.after else ""
    return f"I take {task_id}{went_on}: {task.title}."


def _tell_notes(seat: Seat, notes: tuple[str, ...]) -> None:
    """Tell once what was done about a worktree or branch that you removed or moved."""
    if not notes:
        return
    me = seat.agent.id
    what = "; ".join(notes)
    fix = f"rm bus/problems/worktree-{me}.yaml"
    seat.bus.trouble(f"worktree-{me}", f"worktrees/{me}", what, fix, what)


def do_revise(seat: Seat, view: View, task: Task) -> bool:
    """Work on a PR again, after reviews, a conflict or red checks; False when it
    failed.

    Main is merged into the branch.
    """
    bus, me, root = seat.bus, seat.agent.id, seat.bus.root
    path = f"prs/{view.name}/revise-{view.heads}.yaml"
    bus.post(path, Try(agent=me, base=landing.tip(root, seat.game.branch), at=now()))
    # Main as the journalled prompt shows it. The answer must not meet what came to main
    # since.
    main = bus.must(path, Try).base
    begun = worktree.begin_branch(root, me, view.pr.task, main, expected=view.head)
    _tell_notes(seat, begun.notes)
    size_limits.ready(root, me, phase_of(task))
    merging = "" if is_ancestor(root, main, begun.head) else main
    matter = Matter(
        kind="revise",
        task_id=view.pr.task,
        task=task,
        main=main,
        view=view,
        conflicts=_merge_in(seat, begun, merging),
    )
    job = WorkTurn(
        task_id=view.pr.task,
        task=task,
        turn=f"{phase_of(task)}/{view.pr.task}.revise-{view.heads}.1",
        tree=begun.path,
        merging=merging,
    )
    head = _work(seat, job, ask_for(seat, matter))
    if not head or head == view.head:
        _tell_stuck(seat, view)
        return False

    pr_files.post_head(bus, view.name, head, "revised", main)
    return True


def _merge_in(seat: Seat, begun: worktree.BranchBegun, main: str) -> dict[str, str]:
    """Merge `main` ("" for nothing) into the worktree.

    Conflicting path → its text with marks.
    """
    if not main:
        return {}
    root = seat.bus.root
    merged = merge_tree(root, begun.head, main)
    worktree.update(root, seat.agent.id, merged.tree)
    found = {}
    for path in merged.conflicts:
        full = os.path.join(begun.path, path)
        with open(full, encoding="utf-8", errors="replace") as file:
            found[path] = file.read()

    return found


def _tell_stuck(seat: Seat, view: View) -> None:
    seat.bus.trouble(
        f"stuck-{view.name.lower()}",
        f"bus/prs/{view.name}/",
        f"{seat.agent.name} could not mend it",
        f"make pr N={int(view.name[3:])} shows it; approve it, or mend the branch {view.pr.branch} yourself",
        view.head,
    )


def _work(seat: Seat, job: WorkTurn, ask: Ask) -> str:
    """Ask until the files pass in the worktree, and commit them.

    Gives the commit, "" when no answer was good enough.
    """
    root, me = seat.bus.root, seat.agent.id
    cap = size_limits.caps_of(root, phase_of(job.task))
    if seat.agent.command:
        seat = cli_model.hands(seat, job.tree, int(cap.worktree * size_limits.MB))

    rendered = prompts.render_prompt(root, ask, seat.card())
    largest = int(cap.artifact * size_limits.MB)
    rules = Rules(tuple(job.task.paths), largest=largest)
    kept: list[list[File]] = []

    def reread(text: str, last: bool) -> str:  # noqa: ARG001 - the journal's call
        files = _read_files(text)
        if isinstance(files, str):
            return files
        complaint = _put_files(seat, job, files, rules) or _findings(seat, job, files)
        if not complaint:
            kept.append(files)

        return complaint

    asked = request(seat, job.turn, "write", rendered)
    text = converse(seat.bus, seat.model, asked, seat.reserve, reread)
    if text is None or not kept:
        return ""
    paths = {file.path for file in kept[-1]}
    if job.merging:
        paths |= set(worktree.changed_paths(root, me))

    message = f"{job.task_id}: {job.task.title}\n"
    return worktree.commit(root, me, sorted(paths), message, merging=job.merging)


def _read_files(text: str) -> list[File] | str:
    """The files of an answer, or what is wrong with it as a whole, as a text for the
    author.
    """
    if text.startswith(cli_model.NOT_TAKEN):
        return text
    try:
        envelope = parse_envelope(text)
    except Unusable as error:
        return "\n".join(error.errors)

    if not envelope.files:
        return "there is no file in the answer: each stands whole in a fence `~~~~~~file path=…`"
    return envelope.files


def _put_files(seat: Seat, job: WorkTurn, files: list[File], rules: Rules) -> str:
    """Write the files into the worktree; the first that may not be written is the complaint.

    Raises CatherdError when the worktree was removed.
    """
    if not os.path.isdir(job.tree):
        raise CatherdError(
            f"was removed while {seat.agent.name} worked in it",
            where=f"worktrees/{seat.agent.id}",
            fix="nothing: it is made again, and the answer is not asked for twice",
        )
    try:
        for file in files:
            safewrite.put(job.tree, file, rules)
    except CatherdError as error:
        return str(error)

    return ""


def _findings(seat: Seat, job: WorkTurn, files: list[File]) -> str:
    """What is wrong with the files in the worktree: secrets, size, else what the checks find."""
    root = seat.bus.root
    paths = [file.path for file in files]
    secrets = find_in_files(paths, job.tree, None, secret_names(root))
    found = [f"{one}: {cli_model.TAKE_OUT}" for one in secrets]
    over = size_limits.fits(root, seat.agent.id, phase_of(job.task))
    if over:
        found.append(
            f"the whole directory is too large: {over}; take out what is not needed"
        )

    faults = found or faulty(seat, job.task, job.tree, paths)
    return "\n".join(["Findings:", *faults[:40]]) if faults else ""


def faulty(seat: Seat, task: Task, tree: str, paths: list[str]) -> list[str]:
    """What the mechanical checks say against these files in `tree`, as lines for the
    author.
    """
    root = seat.bus.root
    if task.kind == "design":
        cache = os.path.join(root, ".catherd", "checks")
        found = checks.check_paths(tree, paths, cache)
        return [str(one) for one in found if one.severity != "warning"]

    return task_check.faults(root, task, landing.tip(root, seat.game.branch), tree)


def _body(root: str, head: str) -> str:
    files = checkouts.tree_changes(root, f"{head}^", head)
    return "Touches " + ", ".join(sorted(files)[:12]) + "."

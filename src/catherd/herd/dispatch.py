"""Doing a job: claim it where need be, then write, revise or review.

The daemon calls this. Each kind of job has a module of its own in pulls/.
"""

from catherd.answers.seat import Seat
from catherd.bus.store import Bus
from catherd.core.jobs import Examine, Job, Revise, Take, Work, Write, may_ever
from catherd.core.tasks import tries
from catherd.pulls import board, build, review


def work(seat: Seat, job: Job, seen: Work) -> bool:
    """Carry out `job`; False when it failed and should rest for a while.

    To lose a race for a claim is no failure.
    """
    if isinstance(job, Take):
        board.claim(seat.bus, job.task, seat.agent.id)
        return True

    if isinstance(job, Examine):
        return _examine(seat, job, seen)

    if isinstance(job, Revise):
        return build.do_revise(seat, seen.prs[job.pr], seen.mine[job.task])

    if isinstance(job, Write):
        return build.do_write(seat, job.task, seen.mine[job.task])

    return False


def _examine(seat: Seat, job: Examine, seen: Work) -> bool:
    """Review a head, claiming the slot first."""
    bus, me = seat.bus, seat.agent.id
    claimed = job.slot in seen.my_slots
    if not claimed and not board.claim(bus, job.slot.lock, me):
        return True

    view = seen.prs.get(job.slot.pr)
    if view is None:  # merged or closed meanwhile
        return board.settle_claim(bus, job.slot.lock, me, "done")

    task = board.Desk(bus, {}).task(view.pr.task)
    if task is None:
        return False
    return review.do_review(seat, job.slot, view, task)


def release(bus: Bus, me: str, job: Job, seen: Work, why: str) -> None:
    """Leave to others what the model of `me` gave no answer for, for the reason `why`.

    A task is open again, or blocked once all that may take it have tried. For a review
    another agent is asked. The agent itself leaves that task alone.
    """
    if isinstance(job, Examine):
        board.settle_claim(bus, job.slot.lock, me, "done")

    if not isinstance(job, Write | Revise):
        return

    task = job.task
    build.end_attempt(bus, task, me, "refused")
    attempts = tries(bus.names(f"tasks/{task}.try"))
    tried = attempts.began | {me}
    able = {who for who in seen.roll if may_ever(who, task, seen)}
    if able <= tried:
        said = f"nobody who may take {task} could do it; {me} last: {why}"
        build.block(bus, task, me, said)
    else:
        board.settle_claim(bus, task, me, "open")

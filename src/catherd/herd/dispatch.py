"""Doing a job: claim it where need be, then write, revise or review. What the daemon calls; each job is a module of its own."""

from catherd.answers.seat import Seat
from catherd.bus.store import Bus
from catherd.core.jobs import Examine, Job, Revise, Take, Work, Write, may_ever
from catherd.core.tasks import tries
from catherd.pulls import board, build, review


def work(seat: Seat, job: Job, seen: Work) -> bool:
    """Carry out `job`; False when it failed and should rest for a while. Losing a race for a claim is no failure."""
    bus, me = seat.bus, seat.agent.id
    if isinstance(job, Take):
        board.claim(bus, job.task, me)
        return True
    if isinstance(job, Examine):
        mine = job.slot in seen.my_slots or board.claim(bus, job.slot.lock, me)
        view = seen.prs.get(job.slot.pr)
        if not mine:
            return True
        if view is None:  # merged or closed meanwhile
            return board.settle_claim(bus, job.slot.lock, me, "done")
        task = board.Desk(bus, {}).task(view.pr.task)
        return task is not None and review.do_review(seat, job.slot, view, task)
    if isinstance(job, Revise):
        return build.do_revise(seat, seen.prs[job.pr], seen.mine[job.task])
    if isinstance(job, Write):
        return build.do_write(seat, job.task, seen.mine[job.task])
    return False


def release(bus: Bus, me: str, job: Job, seen: Work, why: str) -> None:
    """What the agent cannot do, its model giving no answer for the reason `why`, somebody else may: a task is open again (blocked,
    once all who may take it have tried), for a review another is asked. The agent itself leaves that task alone.
    """
    if isinstance(job, Write | Revise):
        build.end_attempt(bus, job.task, me, "refused")
        tried = tries(bus.names(f"tasks/{job.task}.try")).began | {me}
        if all(who in tried for who in seen.roll if may_ever(who, job.task, seen)):
            build.block(
                bus,
                job.task,
                me,
                f"nobody who may take {job.task} could do it; {me} last: {why}",
            )
        else:
            board.settle_claim(bus, job.task, me, "open")
    if isinstance(job, Examine):
        board.settle_claim(bus, job.slot.lock, me, "done")

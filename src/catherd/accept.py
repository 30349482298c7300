"""A task's accept command, run in the box on a tree: red before, green after."""

import tempfile

from catherd import objects, sandbox
from catherd.bus import Bus
from catherd.desk import Desk
from catherd.sandbox import Limits, Result
from catherd.tasks import Task


def run(task: Task, tree: str) -> Result:
    """The accept command of `task` on `tree`, in the box, on a copy."""
    limits = Limits(wall_s=task.accept_s, cpu_s=max(1, int(task.accept_s)))
    return sandbox.run(task.accept, tree=tree, mode="copy", limits=limits)


def faults(task: Task, tree: str) -> list[str]:
    """What the accept command says against `tree`, as lines for the author; none when it passes or there is none."""
    if not task.accept:
        return []
    result = run(task, tree)
    return [] if passed(result) else told(task, result)


def verdict(bus: Bus, desk: Desk, task_id: str, task: Task, main: str, tree: str) -> tuple[list[str], str]:
    """Red → green on a merge result: the command fails on main, passes on `tree`, and so does that of every task merged
    before. Gives what is wrong, in lines, and the tier of the box.
    """
    if not task.accept:
        return [], ""
    result = run(task, tree)
    if not passed(result):
        return told(task, result), result.tier
    with tempfile.TemporaryDirectory(prefix="catherd-main-") as folder:
        objects.export(bus.root, main, folder)
        if passed(run(task, folder)):
            return [
                f"$ {' '.join(task.accept)}",
                "passes on main already: it proves nothing about this change",
            ], result.tier
    for name in bus.names("tasks"):
        other = name.removesuffix(".yaml")
        if other == task_id or not bus.there(f"claims/done/{other}.lock"):
            continue
        before = desk.task(other)
        if before is not None and before.accept and not passed(again := run(before, tree)):
            return [f"the accept of {other}, merged before, fails now:", *told(before, again)], result.tier
    return [], result.tier


def passed(result: Result) -> bool:
    """Whether the command ended well by itself."""
    return result.rc == 0 and result.why is None


def told(task: Task, result: Result) -> list[str]:
    """A failure in lines: the command, how it ended, the end of what it printed."""
    how = f"stopped: {result.why}" if result.why else f"exit {result.rc}"
    return [f"$ {' '.join(task.accept)}", how, *result.log.splitlines()[-40:]]

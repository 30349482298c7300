"""What of a build game holds: which tests pass on a tree and what a task still needs."""

from pathlib import Path

from catherd.core.tasks import Needs, Task
from catherd.git import objects
from catherd.pulls.task_check import run_accept as accept
from support.build_herd import Workshop


def passes(shop: Workshop, task: str, folder: Path) -> bool:
    """Whether the accept of a task passes on main as it is."""
    folder.mkdir()
    objects.export(shop.bus.root, shop.main(), str(folder))
    return accept(shop.bus.must(f"tasks/{task}.yaml", Task), str(folder)).rc == 0


def needs(shop: Workshop, task: str) -> list[Needs]:
    """What the queue sent the PR of a task back for."""
    name = shop.pr(task)
    return [
        shop.bus.must(f"prs/{name}/{n}", Needs)
        for n in shop.bus.names(f"prs/{name}")
        if n.startswith("needs-")
    ]

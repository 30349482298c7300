"""A task's accept command, run in the box on a tree: red before, green after."""

import os
import re
import tempfile
from collections.abc import Iterable

import msgspec

from catherd import objects, sandbox, wheels
from catherd.bus import Bus
from catherd.desk import Desk
from catherd.sandbox import Bind, Limits, Result
from catherd.tasks import Task


def run(task: Task, tree: str, wheelhouse: str = "") -> Result:
    """The accept command of `task` on `tree`, in the box, on a copy; `wheelhouse` is what it sees as /wheels."""
    limits = Limits(wall_s=task.accept_s, cpu_s=max(1, int(task.accept_s)))
    binds = (Bind(host=wheelhouse, inside="/wheels"),) if wheelhouse else ()
    return sandbox.run(task.accept, tree=tree, mode="copy", limits=limits, binds=binds, minimum=task.sandbox)


def approved(root: str, main: str, tree: str) -> str:
    """The wheels of the lock in `tree`, if it is the one that is on main: what nobody said yes to is not fetched."""
    path = os.path.join(tree, wheels.LOCK)
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        same = file.read() == objects.read_blob(root, main, wheels.LOCK)
    return wheels.fetch(root, tree) if same else ""


def faults(root: str, task: Task, main: str, tree: str) -> list[str]:
    """What the accept command says against `tree`, as lines for the author; none when it passes or there is none."""
    if not task.accept:
        return []
    result = run(task, tree, approved(root, main, tree))
    return [] if passed(result) else told(task, result)


class Verdict(msgspec.Struct, frozen=True):
    """What the accepts say about a merge result: what is wrong, in lines; the tier of the box; how the task's own accept ended
    on main without the change ("" when it was not asked).
    """

    findings: list[str]
    tier: str = ""
    before: str = ""


def verdict(bus: Bus, desk: Desk, task_id: str, task: Task, main: str, tree: str) -> Verdict:
    """Red → green on a merge result: the command fails on main, passes on `tree`, and so does that of every task merged
    before, by the tests that are on main.
    """
    tier = before = ""
    kept = approved(bus.root, main, tree)
    if task.accept:
        result = run(task, tree, kept)
        tier = result.tier
        if not passed(result):
            return Verdict(told(task, result), tier)
        was = on_main(bus.root, task, main)
        before = how(was)
        if passed(was):
            wrong = [f"$ {' '.join(task.accept)}", "passes on main already: it proves nothing about this change"]
            return Verdict(wrong, tier, before)
    for name in bus.names("tasks"):
        other = name.removesuffix(".yaml")
        if other == task_id or not bus.there(f"claims/done/{other}.lock"):
            continue
        earlier = desk.task(other)
        if earlier is None or not earlier.accept:
            continue
        _keep_judges(bus.root, earlier, main, tree)
        if not passed(again := run(earlier, tree, kept)):
            wrong = [f"the accept of {other}, merged before, fails now:", *told(earlier, again)]
            return Verdict(wrong, again.tier, before)
    return Verdict([], tier, before)


GATE_FILES = frozenset({"app/app.yaml"})  # what the milestone gate goes by; see _keep_judges for the accepts
LOCKS = re.compile(
    r"app/(?:.*/)?(requirements[\w.-]*\.(?:lock|txt)|.*\.lock|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml)"
)  # what brings code that nobody here wrote


def brings(paths: Iterable[str]) -> list[str]:
    """The lock files among changed paths: a new dependency needs your yes."""
    return sorted(path for path in paths if LOCKS.fullmatch(path))


def _keep_judges(root: str, task: Task, main: str, tree: str) -> None:
    """Put main's own versions of what judges a merged task into `tree`: the tests that its accept names, and what stands
    beside them in a directory of tests. Nobody weakens the test of a merged task.
    """
    for path in judges(task.accept, sorted(objects.list_tree(root, main, "app"))):
        judge = objects.read_blob(root, main, path)
        if judge is not None:
            os.makedirs(os.path.dirname(os.path.join(tree, path)), exist_ok=True)
            with open(os.path.join(tree, path), "wb") as file:
                file.write(judge)


def judges(argv: list[str], there: list[str]) -> list[str]:
    """Which of the files that are `there` an accept command goes by.

    >>> judges(["python3", "-m", "unittest", "app/tests/test_a.py"], ["app/a.py", "app/tests/shell.py", "app/tests/test_a.py"])
    ['app/tests/shell.py', 'app/tests/test_a.py']
    """
    found = set()
    for word in (_path(one.rstrip("/"), there) for one in argv if one.startswith("app")):
        folder = word if word not in there else os.path.dirname(word)
        found |= {path for path in there if path == word}
        found |= {path for path in there if path.startswith(f"{folder}/") and is_test(path)}
    return sorted(found) or [path for path in there if is_test(path)]  # it does not say: any of them may be


def _path(word: str, there: list[str]) -> str:
    # unittest takes modules, too: app.tests.test_a
    path = word.replace(".", "/") + ".py"
    return path if word not in there and path in there else word


def is_test(path: str) -> bool:
    """Whether a path is a test, or stands among tests."""
    *folders, name = path.split("/")
    return bool({"tests", "test"} & set(folders)) or name.startswith("test_")


def on_main(root: str, task: Task, main: str) -> Result:
    """What comes of the command without the change."""
    with tempfile.TemporaryDirectory(prefix="catherd-main-") as folder:
        objects.export(root, main, folder)
        return run(task, folder, approved(root, main, folder))


def passed(result: Result) -> bool:
    """Whether the command ended well by itself."""
    return result.rc == 0 and result.why is None


def how(result: Result) -> str:
    """How it ended, in two words."""
    return f"stopped: {result.why}" if result.why else f"exit {result.rc}"


def told(task: Task, result: Result) -> list[str]:
    """A failure in lines: the command, how it ended, the end of what it printed."""
    return [f"$ {' '.join(task.accept)}", how(result), *result.log.splitlines()[-40:]]

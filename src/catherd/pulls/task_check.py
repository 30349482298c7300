"""A task's accept command, run in the box on a tree: red before, green after."""

import os
import re
import shutil
from collections.abc import Collection, Iterable

import msgspec

from catherd.app import wheels
from catherd.box import box_trees, sandbox
from catherd.box.sandbox import Bind, BoxResult, Limits
from catherd.bus.store import Bus
from catherd.core.tasks import Task
from catherd.git import objects
from catherd.pulls.board import Desk


def run_accept(task: Task, tree: str, wheelhouse: str = "") -> BoxResult:
    """The accept command of `task` on `tree`, in the box, on a copy; `wheelhouse` is what it sees as /wheels."""
    limits = Limits(wall_s=task.accept_s, cpu_s=max(1, int(task.accept_s)))
    binds = (Bind(host=wheelhouse, inside="/wheels"),) if wheelhouse else ()
    order = sandbox.BoxOrder(
        tree=tree, limits=limits, binds=binds, minimum=task.sandbox
    )
    return sandbox.run_in_box(task.accept, order)


def approved(root: str, main: str, tree: str) -> str:
    """The wheels of the lock in `tree`, if it is the one that is on main: what nobody said yes to is not fetched."""
    path = os.path.join(tree, wheels.LOCK)
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        same = file.read() == objects.read_blob(root, main, wheels.LOCK)
    return wheels.fetch_wheels(root, tree) if same else ""


def faults(root: str, task: Task, main: str, tree: str) -> list[str]:
    """What the accept command says against `tree`, as lines for the author; none when it passes or there is none."""
    if not task.accept:
        return []
    result = run_accept(task, tree, approved(root, main, tree))
    return [] if passed(result) else accept_told(task, result)


class AcceptVerdict(msgspec.Struct, frozen=True):
    """What the accepts say about a merge result: what is wrong, in lines; the tier of the box; how the task's own accept ended
    on main with no more of the change than its tests ("" when it was not asked).
    """

    findings: list[str]
    tier: str = ""
    before: str = ""


def verdict(
    bus: Bus, desk: Desk, task_id: str, task: Task, main: str, tree: str
) -> AcceptVerdict:
    """Red → green on a merge result: the command fails on main with the tests of `tree`, passes on `tree`, and so does that of
    every task merged before, by the tests that are on main.
    """
    tier = before = ""
    kept = approved(bus.root, main, tree)
    if task.accept:
        result = run_accept(task, tree, kept)
        tier = result.tier
        if not passed(result):
            return AcceptVerdict(accept_told(task, result), tier)
        was = on_main(bus.root, task, main, tree)
        before = how(was)
        if passed(was):
            says = "passes on main already, with no more of this change than its tests: it proves nothing about the rest"
            wrong = [f"$ {' '.join(task.accept)}", says]
            return AcceptVerdict(wrong, tier, before)
    for name in bus.names("tasks"):
        other = name.removesuffix(".yaml")
        if other == task_id or not bus.there(f"claims/done/{other}.lock"):
            continue
        earlier = desk.task(other)
        if earlier is None or not earlier.accept:
            continue
        _keep_judges(bus.root, earlier, main, tree)
        if not passed(again := run_accept(earlier, tree, kept)):
            wrong = [
                f"the accept of {other}, merged before, fails now:",
                *accept_told(earlier, again),
            ]
            return AcceptVerdict(wrong, again.tier, before)
    return AcceptVerdict([], tier, before)


GATE_FILES = frozenset(
    {"app/app.yaml"}
)  # what the milestone gate goes by; see _keep_judges for the accepts
LOCKS = re.compile(
    r"app/(?:.*/)?(requirements[\w.-]*\.(?:lock|txt)|.*\.lock|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml)"
)  # what brings code that nobody here wrote


def brings(paths: Iterable[str]) -> list[str]:
    """The lock files among changed paths: a new dependency needs your yes."""
    return sorted(path for path in paths if LOCKS.fullmatch(path))


_PYTEST = frozenset({"pytest.ini", ".pytest.ini"})


def _keep_judges(root: str, task: Task, main: str, tree: str) -> None:
    """Make what judges a merged task in `tree` what it is on main: the tests that its accept names, what stands beside them in
    a directory of tests, and what runs before those. Nobody weakens the test of a merged task.
    """
    there = sorted(objects.list_tree(root, main, "app"))
    kept = judges(task.accept, there)
    for path in set(_below(tree)) - set(there):
        if is_test(path) or leads(path, kept):
            os.unlink(os.path.join(tree, path))
    for path in kept:
        _put(tree, path, objects.read_blob(root, main, path) or b"")


def _below(tree: str) -> list[str]:
    """The files of the app in `tree`."""
    found = (
        os.path.join(folder, name)
        for folder, _, names in os.walk(os.path.join(tree, "app"))
        for name in names
    )
    return sorted(os.path.relpath(path, tree) for path in found)


def _put(tree: str, path: str, content: bytes) -> None:
    full = os.path.join(tree, path)
    if os.path.isdir(full):
        shutil.rmtree(full)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as file:
        file.write(content)


def judges(argv: list[str], there: list[str]) -> list[str]:
    """Which of the files that are `there` an accept command goes by.

    >>> judges(["python3", "-m", "unittest", "app/tests/test_a.py"], ["app/a.py", "app/tests/shell.py", "app/tests/test_a.py"])
    ['app/tests/shell.py', 'app/tests/test_a.py']
    """
    found = set()
    for word in (
        _path(one.rstrip("/"), there) for one in argv if one.startswith("app")
    ):
        folder = word if word not in there else os.path.dirname(word)
        found |= {path for path in there if path == word}
        found |= {
            path for path in there if path.startswith(f"{folder}/") and is_test(path)
        }
    found = found or {
        path for path in there if is_test(path)
    }  # it does not say: any of them may be
    return sorted(found | {path for path in there if leads(path, found)})


def leads(path: str, judged: Collection[str]) -> bool:
    """Whether Python or pytest would run `path` on the way to one of `judged`, or in its place.

    >>> [leads(path, ["app/tests/test_a.py"]) for path in ("app/__init__.py", "app/tests.py", "app/tests/test_a/__init__.py")]
    [True, True, True]
    >>> leads("app/shelf/__init__.py", ["app/tests/test_a.py"])
    False
    """
    folder, _, name = path.replace("__pycache__/", "").rpartition("/")
    stem = name.split(".")[0]
    way = (
        f"{folder}/"
        if stem in {"__init__", "conftest"} or name in _PYTEST
        else f"{folder}/{stem}/"
    )
    return any(
        f"{one.removesuffix('.py')}/".startswith(way) or one.startswith(f"{path}/")
        for one in judged
    )


def _path(word: str, there: list[str]) -> str:
    # unittest takes modules, too: app.tests.test_a
    path = word.replace(".", "/") + ".py"
    return path if word not in there and path in there else word


def is_test(path: str) -> bool:
    """Whether a path is a test, or stands among tests."""
    *folders, name = path.split("/")
    return bool({"tests", "test"} & set(folders)) or name.startswith("test_")


def on_main(root: str, task: Task, main: str, tree: str) -> BoxResult:
    """What comes of the command on main with the tests of `tree`: not even those may pass there without the rest of the change."""
    with box_trees.scratch_directory("main") as folder:
        objects.export(root, main, folder)
        own = [path for path in judges(task.accept, _below(tree)) if is_test(path)]
        for path in [path for path in _below(tree) if path in own or leads(path, own)]:
            with open(os.path.join(tree, path), "rb") as file:
                _put(folder, path, file.read())
        return run_accept(task, folder, approved(root, main, folder))


def passed(result: BoxResult) -> bool:
    """Whether the command ended well by itself."""
    return result.rc == 0 and result.why is None


def how(result: BoxResult) -> str:
    """How it ended, in two words."""
    return f"stopped: {result.why}" if result.why else f"exit {result.rc}"


def accept_told(task: Task, result: BoxResult) -> list[str]:
    """A failure in lines: the command, how it ended, the end of what it printed."""
    return [f"$ {' '.join(task.accept)}", how(result), *result.log.splitlines()[-40:]]

"""What must be green on the tree that a merge gives.

For a task of the document these are its checks. For a task that builds it is the accept
command, run in the box: red before, green after.
"""

import os
import re
import shutil
import time
from collections.abc import Collection, Iterable

import msgspec

from catherd.app import wheels
from catherd.box import box_trees, sandbox
from catherd.box.sandbox import Bind, BoxResult, Limits
from catherd.bus.store import Bus
from catherd.core.tasks import Check, Task, View
from catherd.design import checks
from catherd.git import checkouts, objects
from catherd.pulls.board import Desk


def run_accept(task: Task, tree: str, wheelhouse: str = "") -> BoxResult:
    """The accept command of `task` on `tree`, in the box, on a copy.

    `wheelhouse` is what it sees as /wheels.
    """
    limits = Limits(wall_s=task.accept_s, cpu_s=max(1, int(task.accept_s)))
    binds = (Bind(host=wheelhouse, inside="/wheels"),) if wheelhouse else ()
    order = sandbox.BoxOrder(
        tree=tree, limits=limits, binds=binds, minimum=task.sandbox
    )
    return sandbox.run_in_box(task.accept, order)


def approved(root: str, main: str, tree: str) -> str:
    """The folder of wheels of the lock in `tree`, "" where main has another lock or
    none.

    What nobody said yes to is not fetched.
    """
    path = os.path.join(tree, wheels.LOCK)
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        same = file.read() == objects.read_blob(root, main, wheels.LOCK)

    return wheels.fetch_wheels(root, tree) if same else ""


def faults(root: str, task: Task, main: str, tree: str) -> list[str]:
    """What the accept command says against `tree`, as lines for the author.

    None when it passes or there is none.
    """
    if not task.accept:
        return []
    result = run_accept(task, tree, approved(root, main, tree))
    return [] if passed(result) else accept_told(task, result)


class AcceptVerdict(msgspec.Struct, frozen=True):
    """What the accepts say about a merge result.

    `findings` are what is wrong, in lines; `tier` is that of the box. `before` is how
    the task's own accept ended on main with no more of the change than its tests (""
    when it was not asked).
    """

    findings: list[str]
    tier: str = ""
    before: str = ""


def check_merge(
    bus: Bus, desk: Desk, view: View, task: Task, main: str, tree: str
) -> Check:
    """The verdict on what a merge gives: from the bus where this tree was checked, else
    made now.
    """
    name = "docs" if task.kind == "design" else f"accept-{view.pr.task}"
    path = f"ci/{tree[:12]}-{name}.yaml"
    known = bus.look(path, Check)
    if known is not None:
        return known

    began = time.monotonic()
    with box_trees.scratch_directory("ci") as folder:
        objects.export(bus.root, tree, folder)
        if task.kind == "design":
            said = _document_verdict(bus.root, view, main, folder)
        else:
            said = verdict(bus, desk, view.pr.task, task, main, folder)

    made = Check(
        verdict="red" if said.findings else "green",
        tree=tree,
        check=name,
        findings=said.findings[:60],
        seconds=round(time.monotonic() - began, 3),
        tier=said.tier,
        before=said.before,
    )
    bus.post(path, made, verdict=made.verdict)
    return made


def _document_verdict(root: str, view: View, main: str, folder: str) -> AcceptVerdict:
    """What the checks of the document say about the pages that the PR changes."""
    changed = checkouts.tree_changes(root, main, view.head)
    pages = [path for path in sorted(changed) if path.startswith("docs/")]
    found = checks.check_paths(folder, pages, os.path.join(root, ".catherd", "checks"))
    return AcceptVerdict([str(one) for one in found if one.severity != "warning"])


def verdict(
    bus: Bus, desk: Desk, task_id: str, task: Task, main: str, tree: str
) -> AcceptVerdict:
    """Red before, green after: what the accepts say about the merge result in folder
    `tree`.

    The task's accept fails on main with the tests of `tree`, and passes on `tree`. The
    accept of every task that was merged before passes too, by the tests that are on
    main.
    """
    wheelhouse = approved(bus.root, main, tree)
    own = AcceptVerdict([])
    if task.accept:
        own = _own_verdict(bus.root, task, main, tree, wheelhouse)
        if own.findings:
            return own

    for name in bus.names("tasks"):
        other = name.removesuffix(".yaml")
        if other == task_id or not bus.there(f"claims/done/{other}.lock"):
            continue
        earlier = desk.task(other)
        if earlier is None or not earlier.accept:
            continue
        _keep_judges(bus.root, earlier, main, tree)
        again = run_accept(earlier, tree, wheelhouse)
        if not passed(again):
            title = f"the accept of {other}, merged before, fails now:"
            wrong = [title, *accept_told(earlier, again)]
            return AcceptVerdict(wrong, again.tier, own.before)

    return own


def _own_verdict(
    root: str, task: Task, main: str, tree: str, wheelhouse: str
) -> AcceptVerdict:
    """What the task's own accept says: it must pass on `tree` and fail on main."""
    result = run_accept(task, tree, wheelhouse)
    if not passed(result):
        return AcceptVerdict(accept_told(task, result), result.tier)
    was = on_main(root, task, main, tree)
    if not passed(was):
        return AcceptVerdict([], result.tier, how(was))
    says = "passes on main already, with no more of this change than its tests: it proves nothing about the rest"
    wrong = [f"$ {' '.join(task.accept)}", says]
    return AcceptVerdict(wrong, result.tier, how(was))


# What the milestone gate goes by. For the accepts see `_keep_judges`.
GATE_FILES = frozenset({"app/app.yaml"})
# Files that bring code which nobody here wrote.
LOCKS = re.compile(
    r"app/(?:.*/)?(requirements[\w.-]*\.(?:lock|txt)|.*\.lock|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml)"
)


def brings(paths: Iterable[str]) -> list[str]:
    """The lock files among changed paths: a new dependency needs your yes."""
    return sorted(path for path in paths if LOCKS.fullmatch(path))


_PYTEST = frozenset({"pytest.ini", ".pytest.ini"})


def _keep_judges(root: str, task: Task, main: str, tree: str) -> None:
    """Make what judges a merged task in `tree` what it is on main.

    That is the tests that its accept names, what stands beside them in a directory of
    tests, and what runs before those. So nobody weakens the test of a merged task.
    """
    there = sorted(objects.list_tree(root, main, "app"))
    kept = judges(task.accept, there)
    for path in set(_below(tree)) - set(there):
        if is_test(path) or leads(path, kept):
            os.unlink(os.path.join(tree, path))

    for path in kept:
        _put(tree, path, objects.read_blob(root, main, path) or b"")


def _below(tree: str) -> list[str]:
    """The files of the app in `tree`, sorted."""
    found = []
    for folder, _, names in os.walk(os.path.join(tree, "app")):
        below = os.path.relpath(folder, tree)
        found += [os.path.join(below, name) for name in names]
    return sorted(found)


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
    found: set[str] = set()
    for word in argv:
        if word.startswith("app"):
            found |= _named(word.rstrip("/"), there)

    if not found:
        # The command does not say which tests it runs: any of them may be.
        found = {path for path in there if is_test(path)}

    return sorted(found | {path for path in there if leads(path, found)})


def _named(word: str, there: list[str]) -> set[str]:
    """The files that a word of a command names: a file or folder, and the tests in that
    folder.
    """
    path = _path(word, there)
    folder = os.path.dirname(path) if path in there else path
    below = [one for one in there if one.startswith(f"{folder}/")]
    tests = {one for one in below if is_test(one)}
    return tests | ({path} & set(there))


def leads(path: str, judged: Collection[str]) -> bool:
    """Whether Python or pytest would run `path` on the way to one of `judged`, or in
    its place.

    >>> [leads(path, ["app/tests/test_a.py"]) for path in ("app/__init__.py", "app/tests.py", "app/tests/test_a/__init__.py")]
    [True, True, True]
    >>> leads("app/shelf/__init__.py", ["app/tests/test_a.py"])
    False
    """
    folder, _, name = path.replace("__pycache__/", "").rpartition("/")
    stem = name.split(".")[0]
    whole_folder = stem in {"__init__", "conftest"} or name in _PYTEST
    way = f"{folder}/" if whole_folder else f"{folder}/{stem}/"
    for one in judged:
        module = f"{one.removesuffix('.py')}/"
        if module.startswith(way) or one.startswith(f"{path}/"):
            return True

    return False


def _path(word: str, there: list[str]) -> str:
    # unittest takes modules too: app.tests.test_a
    path = word.replace(".", "/") + ".py"
    return path if word not in there and path in there else word


def is_test(path: str) -> bool:
    """Whether a path is a test, or stands among tests."""
    *folders, name = path.split("/")
    return bool({"tests", "test"} & set(folders)) or name.startswith("test_")


def on_main(root: str, task: Task, main: str, tree: str) -> BoxResult:
    """How the command ends on main with the tests of `tree`.

    Not even those may pass there without the rest of the change.
    """
    with box_trees.scratch_directory("main") as folder:
        objects.export(root, main, folder)
        _bring_tests(task, tree, folder)
        return run_accept(task, folder, approved(root, main, folder))


def _bring_tests(task: Task, tree: str, folder: str) -> None:
    """Copy from `tree` to `folder` the tests of the accept and what runs before them."""
    there = _below(tree)
    own = [path for path in judges(task.accept, there) if is_test(path)]
    for path in there:
        if path in own or leads(path, own):
            with open(os.path.join(tree, path), "rb") as file:
                _put(folder, path, file.read())


def passed(result: BoxResult) -> bool:
    """Whether the command ended well by itself."""
    return result.rc == 0 and result.why is None


def how(result: BoxResult) -> str:
    """How it ended, in two words."""
    return f"stopped: {result.why}" if result.why else f"exit {result.rc}"


def accept_told(task: Task, result: BoxResult) -> list[str]:
    """A failure in lines: the command, how it ended, the end of what it printed."""
    return [f"$ {' '.join(task.accept)}", how(result), *result.log.splitlines()[-40:]]

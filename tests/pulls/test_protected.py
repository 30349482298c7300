"""What a pull request cannot do by itself: weaken the tests of merged work, change what the gate goes by, bring a dependency."""

import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from catherd.app import judge, manifest_file, wheels
from catherd.box import sandbox
from catherd.core.errors import CatherdError
from catherd.core.tasks import Needs, Task
from catherd.git import objects, worktree
from catherd.pulls import verdicts
from catherd.pulls.task_check import approved, brings, check_merge, faults, judges
from support.build_herd import Workshop, lay
from support.git_repos import put, repo

pytestmark = pytest.mark.slow

needs_box = pytest.mark.skipif(
    sandbox.probe_tier().name != "bwrap",
    reason=f"no bubblewrap box: {sandbox.probe_tier().why_not}",
)
WHEEL = "demo-1.0-py3-none-any.whl"
APP = """
catherd: 1
name: demo
kind: cli
summary: Shows that a dependency is there.
try_it: "1\\n2\\n3"
install:
  - [python3, -m, zipfile, -e, "{wheels}/demo-1.0-py3-none-any.whl", vendor]
start: {run: [python3, main.py]}
persistence: false
journeys: []
"""


def begun(
    tmp_path: Path, merged: list[str], task: str, files: dict[str, str]
) -> Workshop:
    """A workshop in which Claude has written `task`, and then these files too, in its pull request."""
    shop = lay(tmp_path / "game", merged, only=[task], owner={task: "claude"})
    shop.do("claude")
    shop.do("claude")
    put(Path(shop.bus.root, "worktrees/claude"), files)
    worktree.commit(shop.bus.root, "claude", sorted(files), "And more\n")
    return shop


@needs_box
def test_nobody_weakens_the_test_of_a_merged_task(tmp_path: Path) -> None:
    weak = {
        "app/tests/test_store.py": "import unittest\n",
        "app/shelf/store.py": "class Shelf: ...\n",
    }
    shop = begun(tmp_path, ["T-001"], "T-005", weak)
    view = shop.queue.desk.prs()["PR-0001"]
    tree = objects.merge_tree(
        shop.bus.root, shop.main(), f"refs/heads/{view.pr.branch}"
    ).tree
    task = shop.bus.must("tasks/T-005.yaml", Task)
    verdict = check_merge(shop.bus, shop.queue.desk, view, task, shop.main(), tree)
    assert (verdict.verdict, verdict.before, verdict.tier) == ("red", "exit 1", "bwrap")
    assert verdict.findings[:3] == [
        "the accept of T-001, merged before, fails now:",
        "$ python3 -m unittest app/tests/test_store.py",
        "exit 1",
    ]


@needs_box
@pytest.mark.parametrize(
    ("path", "why"),
    [
        (
            "app/app.yaml",
            "app/app.yaml judges other work; to change it here needs your approval (make approve N=1)",
        ),
        (
            wheels.LOCK,
            f"{wheels.LOCK} brings a dependency; that needs your approval (make approve N=1)",
        ),
    ],
)
def test_what_needs_your_yes_waits_for_it_and_goes_to_main_with_it(
    path: str, why: str, tmp_path: Path
) -> None:
    shop = begun(tmp_path, [], "T-001", {path: "# mine\n"})
    merged: list[str] = []
    for _ in range(4):
        merged += shop.turn()
    assert merged == []
    (name,) = [n for n in shop.bus.names("prs/PR-0001") if n.startswith("needs-")]
    needs = shop.bus.must(f"prs/PR-0001/{name}", Needs)
    assert (needs.yours, needs.findings) == (True, [why])
    verdicts.decide_pull(shop.bus.root, "1", "approve", "")
    assert shop.queue.turn() == ["PR-0001"]
    assert objects.read_blob(shop.bus.root, shop.main(), path) == b"# mine\n"


def test_what_a_lock_file_is_called() -> None:
    there = [
        "app/requirements.lock",
        "app/requirements-web.txt",
        "app/web/package-lock.json",
        "app/uv.lock",
    ]
    assert brings(
        [*there, "app/locks.py", "docs/requirements.txt", "app/clock.lock.py"]
    ) == sorted(there)


def test_an_accept_that_names_a_directory_goes_by_the_tests_in_it() -> None:
    there = [
        "app/main.py",
        "app/tests/deep/test_b.py",
        "app/tests/shell.py",
        "app/test_top.py",
    ]
    assert judges(
        ["python3", "-m", "unittest", "discover", "-s", "app/tests"], there
    ) == [
        "app/tests/deep/test_b.py",
        "app/tests/shell.py",
    ]
    assert judges(["python3", "-m", "unittest", "app/test_top.py"], there) == [
        "app/test_top.py",
        "app/tests/deep/test_b.py",
        "app/tests/shell.py",
    ]


def pin(content: bytes, name: str = "demo") -> str:
    """A line of a lock file."""
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"


def wheel() -> bytes:
    """A wheel with one module."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as made:
        made.writestr(zipfile.ZipInfo("demo.py"), "SAID = 'from a wheel'\n")
        for name, text in {
            "METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
            "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": "demo.py,,\n",
        }.items():
            made.writestr(zipfile.ZipInfo(f"demo-1.0.dist-info/{name}"), text)
    return kept.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that stands for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def app(tmp_path: Path, lock: str) -> Path:
    """A tree with an app that depends on something."""
    put(tmp_path / "tree", {"app/app.yaml": APP, "app/main.py": "", wheels.LOCK: lock})
    return tmp_path / "tree"


@needs_box
def test_wheels_are_fetched_once_by_their_hash_and_installed_offline_in_the_box(
    tmp_path: Path, index: Path
) -> None:
    (index / WHEEL).write_bytes(wheel())
    tree = app(tmp_path, f"# what it needs\n{pin(wheel())}")
    folder = wheels.fetch_wheels(str(tmp_path), str(tree))
    assert os.listdir(folder) == [WHEEL]
    (index / WHEEL).unlink()
    assert wheels.fetch_wheels(str(tmp_path), str(tree)) == folder
    loaded = manifest_file.load_manifest(str(tree)).app
    log, wrong = judge.install_app(
        loaded, str(tree), str(tmp_path / "installed"), folder, "bwrap"
    )
    assert wrong == ""
    assert log.startswith(f"$ python3 -m zipfile -e /wheels/{WHEEL} vendor")
    assert (
        tmp_path / "installed" / "app" / "vendor" / "demo.py"
    ).read_text() == "SAID = 'from a wheel'\n"


def test_an_accept_sees_the_wheels_of_the_lock_that_is_on_main_and_of_no_other(
    tmp_path: Path, index: Path
) -> None:
    (index / WHEEL).write_bytes(wheel())
    root = repo(tmp_path / "game", {wheels.LOCK: pin(wheel())})
    task = Task(
        kind="build",
        title="",
        accept=["python3", "-m", "zipfile", "-l", f"/wheels/{WHEEL}"],
    )
    tree = app(tmp_path, pin(wheel()))
    if sandbox.probe_tier().name == "bwrap":
        assert faults(root, task, "main", str(tree)) == []
    assert os.listdir(approved(root, "main", str(tree))) == [WHEEL]
    (tree / wheels.LOCK).write_text(pin(b"what nobody said yes to", "other"))
    assert approved(root, "main", str(tree)) == ""
    assert approved(root, "main", str(tmp_path)) == ""


def test_a_source_archive_is_not_taken_and_nothing_of_it_runs(
    tmp_path: Path, index: Path
) -> None:
    ran = tmp_path / "ran"
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w:gz") as made:
        for name, text in {
            "setup.py": f"open({str(ran)!r}, 'w')\n",
            "PKG-INFO": "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
        }.items():
            entry = tarfile.TarInfo(f"demo-1.0/{name}")
            entry.size = len(text.encode())
            made.addfile(entry, io.BytesIO(text.encode()))
    (index / "demo-1.0.tar.gz").write_bytes(kept.getvalue())
    with pytest.raises(wheels.Unfetched) as caught:
        wheels.fetch_wheels(str(tmp_path), str(app(tmp_path, pin(kept.getvalue()))))
    assert (
        caught.value.what
        == "its wheels cannot be had: No matching distribution found for demo==1.0"
    )
    assert (
        caught.value.fix
        == "look at the network, or take the requirement out: only wheels are used"
    )
    assert not ran.exists()
    assert os.listdir(tmp_path / ".catherd" / "wheels") == []


def test_another_wheel_than_the_one_that_was_locked_is_refused(
    tmp_path: Path, index: Path
) -> None:
    (index / WHEEL).write_bytes(wheel())
    with pytest.raises(wheels.Unfetched) as caught:
        wheels.fetch_wheels(str(tmp_path), str(app(tmp_path, pin(b"another"))))
    assert caught.value.fix == (
        f"what the index holds is not what {wheels.LOCK} names: refuse the pull request that brought it"
    )


@pytest.mark.parametrize(
    "line",
    [
        "demo==1.0",
        "demo>=1.0 --hash=sha256:" + "0" * 64,
        "-i https://example.org/all",
        "--find-links=/etc",
        "-r /etc/passwd",
        "-e .",
        "demo @ https://example.org/demo.whl --hash=sha256:" + "0" * 64,
        "demo==${OPENAI_API_KEY} --hash=sha256:" + "0" * 64,
        "demo==1.0 --hash=sha256:" + "0" * 64 + " --global-option=x",
    ],
)
def test_a_lock_file_holds_pinned_names_with_hashes_and_nothing_else(line: str) -> None:
    with pytest.raises(CatherdError) as caught:
        wheels.read_lock(f"# first\n{line}\n")
    assert str(caught.value) == (
        f"{wheels.LOCK}:2: is no pinned requirement with its hash: {line[:80]}\n"
        "  fix: name==1.2 --hash=sha256:<64 digits>, a line each and nothing else"
    )

"""Who judges and what judges: journeys and tests that prove earlier work are not weakened, and not written by who is judged."""

import py_compile
import tempfile
from pathlib import Path

import pytest

from catherd.app.evidence import Evidence, Run, Shown, StepSeen
from catherd.box import sandbox
from catherd.bus import yaml_read
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError, NeedsYou
from catherd.core.jobs import ALONE, Take, Work, next_job
from catherd.core.tasks import Needs, Task
from catherd.gates import mends, note, proof
from catherd.git import objects, worktree
from catherd.herd.processes import Herd
from catherd.pulls import authors, board, protected, task_check, verdicts
from support.build_herd import crank_of, lay
from support.git_repos import put, repo, sh

pytestmark = pytest.mark.slow

needs_box = pytest.mark.skipif(
    sandbox.probe_tier().name != "bwrap",
    reason=f"no bubblewrap box: {sandbox.probe_tier().why_not}",
)
ROOT = Path(__file__).resolve().parents[2]
STORE, TEST = "app/store.py", "app/tests/test_store.py"
JOURNEYS = """name: notes
persistence: true
journeys:
  - id: J-001
    title: A note survives
    by: gemini
    steps:
      - http: {path: /}
      - restart: kill
  - id: J-002
    title: An empty note is refused
    steps: [{http: {path: /}}]
known_gaps: [None.]
"""


def commit(root: str, who: str, files: dict[str, str]) -> str:
    """A commit of these files by an agent, or by a person; what is empty goes."""
    put(Path(root), files)
    for path in [path for path, text in files.items() if not text]:
        Path(root, path).unlink()
    sh(root, "add", "-A")
    author = ["--author", f"{who} <{who}@agents.invalid>"] if who else []
    sh(root, "commit", "-q", "-m", "work", *author)
    return sh(root, "rev-parse", "HEAD")


@pytest.fixture
def played(tmp_path: Path) -> Bus:
    """T-001 is merged, and the milestone poc proved with J-001."""
    root = repo(
        tmp_path / "game",
        {STORE: "x = 1\n", TEST: "assert x\n", "app/app.yaml": JOURNEYS},
    )
    commit(root, "", {"docs/milestones/poc/evidence.yaml": "journeys: [{id: J-001}]\n"})
    bus = Bus(root)
    Path(bus.here(".tmp")).mkdir(parents=True)
    bus.post(
        "tasks/T-001.yaml",
        Task(kind="build", title="Keep", accept=["python3", "-m", "unittest", TEST]),
    )
    board.open_claim(bus, "T-001")
    board.settle_claim(bus, "T-001", "open", "done")
    return bus


TESTS = f"{TEST} judges T-001, merged before: leave it as it is on main and put new tests into a file of their own"
PROVED = (
    "app/app.yaml: J-001 is a journey of poc, which is proved: "
    "leave it as it is on main and show new things in journeys of their own"
)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({TEST: "pass\n"}, [TESTS]),
        ({TEST: ""}, [TESTS]),
        ({STORE: "x = 2\n", "app/tests/test_more.py": "assert 1\n"}, []),
        ({"app/app.yaml": JOURNEYS.replace("      - restart: kill\n", "")}, [PROVED]),
        ({"app/app.yaml": JOURNEYS.replace("J-001", "J-011")}, [PROVED]),
        ({"app/app.yaml": "journeys: [\n"}, [PROVED, "app/app.yaml: persistence is claimed by what is proved: leave it as it is on main"]),
        ({"app/app.yaml": JOURNEYS.replace("by: gemini", "by: me").replace("path: /}}", "path: /x}}")}, []),
        ({"app/app.yaml": JOURNEYS.replace("known_gaps", "  - {id: J-003, steps: []}\nknown_gaps")}, []),
    ],
)  # fmt: skip
def test_what_judges_earlier_work_is_left_as_it_is_and_new_judges_are_free(
    played: Bus, files: dict[str, str], found: list[str]
) -> None:
    main = sh(played.root, "rev-parse", "HEAD")
    assert (
        protected.weakened(
            played,
            board.Desk(played, {}),
            "T-002",
            main,
            commit(played.root, "claude", files),
        )
        == found
    )


EXIT = "import os\nos._exit(0)\n"
FIRST = [
    "app/__init__.py",
    "app/conftest.py",
    "app/tests.py",
    "app/tests/__init__.py",
    "app/tests/__pycache__/test_store.cpython-311.pyc",
    "app/tests/test_store/__init__.py",
]


def before(path: str) -> str:
    """What is said of a new file that runs before a test."""
    return f"{path} would run before the tests of T-001, merged before: leave it out, or empty"


@pytest.mark.parametrize("path", FIRST)
def test_a_new_file_that_runs_before_an_earlier_test_is_found_unless_it_is_empty(
    played: Bus, path: str
) -> None:
    main = sh(played.root, "rev-parse", "HEAD")
    put(Path(played.root), {path: "\n"})
    assert weakened(played, main, {}) == []
    assert weakened(played, main, {path: EXIT}) == [before(path)]
    kept = sh(played.root, "rev-parse", "HEAD")  # with it on main, it is no longer free
    assert weakened(played, kept, {path: "x = 1\n"}) == [TESTS.replace(TEST, path)]


def weakened(bus: Bus, main: str, files: dict[str, str]) -> list[str]:
    """What a pull request of these files takes back."""
    return protected.weakened(
        bus, board.Desk(bus, {}), "T-002", main, commit(bus.root, "claude", files)
    )


@needs_box
@pytest.mark.parametrize("path", [*FIRST, "app/tests"])
def test_no_file_of_a_pull_request_runs_before_the_tests_of_earlier_work(
    played: Bus, path: str
) -> None:
    works = "import unittest\nfrom app import store\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(store.x, 1)\n"
    main = commit(played.root, "", {TEST: works})
    if path == "app/tests":
        sh(played.root, "rm", "-q", "-r", path)
    put(Path(played.root), {path: EXIT})
    if path.endswith(".pyc"):
        trusted = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(
            f"{played.root}/{path}", f"{played.root}/{path}", invalidation_mode=trusted
        )
    tree = commit(played.root, "claude", {STORE: "x = 2\n"})
    found = verdict(played, Task(kind="build", title="Add"), main, tree).findings
    assert found[:3] == [
        "the accept of T-001, merged before, fails now:",
        f"$ python3 -m unittest {TEST}",
        "exit 1",
    ]


def verdict(bus: Bus, task: Task, main: str, tree: str) -> task_check.AcceptVerdict:
    """The verdict on a pull request of T-002."""
    with tempfile.TemporaryDirectory() as folder:
        objects.export(bus.root, tree, folder)
        return task_check.verdict(bus, board.Desk(bus, {}), "T-002", task, main, folder)


SKIPPED = "import unittest\n@unittest.skip('later')\nclass T(unittest.TestCase):\n    def test(self): self.fail()\n"
SHOWS = "import unittest\nfrom app import store\nclass T(unittest.TestCase):\n    def test(self): store.more()\n"


@needs_box
def test_a_test_that_passes_on_main_proves_nothing_about_the_code_beside_it(
    played: Bus,
) -> None:
    path = "app/tests/test_more.py"
    task = Task(kind="build", title="Add", accept=["python3", "-m", "unittest", path])
    main = commit(played.root, "", {TEST: "import unittest\n"})
    for text in ("import unittest\n", SKIPPED):
        said = verdict(
            played,
            task,
            main,
            commit(played.root, "claude", {path: text, STORE: "def more(): ...\n"}),
        )
        assert said.findings == [
            f"$ python3 -m unittest {path}",
            "passes on main already, with no more of this change than its tests: it proves nothing about the rest",
        ]
        assert said.before == "exit 0"
    shown = {path: SHOWS, "app/tests/__init__.py": "\n", STORE: "def more(): ...\n\n"}
    said = verdict(played, task, main, commit(played.root, "claude", shown))
    assert (said.findings, said.before) == ([], "exit 1")


@needs_box
def test_a_pull_request_that_empties_the_test_of_a_merged_task_waits_for_you(
    tmp_path: Path,
) -> None:
    shop = lay(tmp_path / "game", ["T-001"], only=["T-002"], owner={"T-002": "claude"})
    shop.do("claude")
    shop.do("claude")
    put(Path(shop.bus.root, "worktrees/claude"), {"app/tests/test_store.py": ""})
    worktree.commit(
        shop.bus.root, "claude", ["app/tests/test_store.py"], "No longer needed\n"
    )
    sent: list[str] = []
    for _ in range(9):
        shop.turn()
        sent = [
            name for name in shop.bus.names("prs/PR-0001") if name.startswith("needs-")
        ]
        if sent:
            break
    needs = shop.bus.must(f"prs/PR-0001/{sent[0]}", Needs)
    assert (needs.why, needs.yours) == ("it breaks the rules for pull requests", True)
    assert needs.findings == [f"{TESTS}; that needs your approval (make approve N=1)"]
    verdicts.decide_pull(shop.bus.root, "1", "approve", "")
    assert shop.queue.turn() == ["PR-0001"]
    assert (
        objects.read_blob(shop.bus.root, shop.main(), "app/tests/test_store.py") == b""
    )


def test_git_says_who_wrote_a_journey_and_whose_journeys_prove_their_own_code(
    tmp_path: Path,
) -> None:
    root = repo(tmp_path / "game", {"README.md": "hi\n"})
    commit(
        root,
        "wildcard",
        {"app/app.yaml": JOURNEYS, "app/tests/test_manifest.py": "assert 1\n"},
    )
    commit(root, "claude", {STORE: "x = 1\n"})
    commit(
        root,
        "",
        {
            "app/app.yaml": JOURNEYS.replace(
                "steps: [{http: {path: /}}]", "steps: [{http: {path: /x}}]"
            )
        },
    )
    assert authors.of_journeys(root, "main") == {
        "J-001": "wildcard",
        "J-002": "wildcard and you",
    }
    assert authors.provers(root, "main") == ["wildcard"]
    assert (
        authors.judged_own(
            authors.of_journeys(root, "main"), authors.coders(root, "main")
        )
        == []
    )
    commit(root, "wildcard", {STORE: "x = 2\n"})
    own = authors.judged_own(
        authors.of_journeys(root, "main"), authors.coders(root, "main")
    )
    assert own == [
        "wildcard wrote J-001, J-002 and code of the app, app/store.py for one"
    ]
    said = note.note_md(Evidence(verdict="green", own=own), "poc", root=str(ROOT))
    assert (
        "**Not apart:** who proves should not have written what is proved, but wildcard wrote J-001, J-002 "
        "and code of the app, app/store.py for one." in said
    )


def test_an_app_without_journeys_has_nobody_who_wrote_them(tmp_path: Path) -> None:
    root = repo(tmp_path / "game", {"README.md": "hi\n"})
    commit(root, "wildcard", {"app/app.yaml": "journeys: []\n"})

    assert authors.of_journeys(root, "main") == {}


def test_who_wrote_the_journeys_mends_nothing_that_they_prove_while_another_lives() -> (
    None
):
    three = ("claude", "gemini", "wildcard")
    mend = {"M-poc-1": Task(kind="build", title="", apart=["wildcard"])}

    def next_of(
        who: str,
        alive: tuple[str, ...],
        age: float = 0.0,
        roll: tuple[str, ...] = three,
    ) -> object:
        return next_job(
            who,
            Work(open=mend, roll=roll, alive=frozenset(alive), age={"M-poc-1": age}),
        )

    assert next_of("wildcard", three) is None
    assert next_of("claude", three) == Take("M-poc-1")
    assert next_of("wildcard", three, ALONE + 1) is None
    assert (
        next_of("wildcard", ("wildcard",)) is None
    )  # the others may be on their way back
    assert next_of("wildcard", ("wildcard",), ALONE + 1) == Take("M-poc-1")
    assert next_of("wildcard", ("wildcard",), roll=("wildcard",)) == Take("M-poc-1")


def test_a_gate_that_stays_red_calls_you_after_three_rounds_however_often_it_is_begun(
    tmp_path: Path,
) -> None:
    shop = lay(tmp_path / "game", ["T-001"], only=[], owner={})
    goal = Path(shop.bus.here("goal"))

    def prove() -> None:
        goal.write_text("poc\n")
        herd = Herd(shop.bus, {})
        goal.unlink()  # so that nobody waits for the herd
        proof.prove(crank_of(shop, "poc", herd))

    for n in (1, 2, 3):
        for _ in range(2 if n == 1 else 1):
            with pytest.raises(CatherdError, match="stopped: the goal was cleared"):
                prove()
        assert mends.rounds(shop.bus, "poc") == [f"M-poc-{m}" for m in range(1, n + 1)]
        assert board.settle_claim(shop.bus, f"M-poc-{n}", "open", "done")
    missing = "app/app.yaml: there is no such file\n  fix: write it as docs/handbook/app.md shows"
    assert shop.bus.must("tasks/M-poc-3.yaml", Task).body.startswith(missing)
    with pytest.raises(NeedsYou) as called:
        prove()
    assert str(called.value) == (
        f"bus/poc/evidence.yaml: poc is still red after 3 rounds: {missing}\n"
        "  fix: read it, mend main, and type make poc; rm bus/tasks/M-poc-3.yaml grants the herd one round more"
    )
    assert mends.rounds(shop.bus, "poc") == ["M-poc-1", "M-poc-2", "M-poc-3"]


def test_the_task_of_a_red_gate_holds_what_was_seen_and_nothing_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "kept0secret1" * 3)
    steps = [
        StepSeen(
            number=1, kind="http", sent="POST /api/notes", verdict="pass", seen="201 {}"
        ),
        StepSeen(
            number=2,
            kind="browser",
            sent="see text a",
            verdict="fail",
            why="not there",
            shot="J-003-2.png",
        ),
    ]
    log = "x\n" * 9000 + "Traceback: sk-" + "kept0secret1" * 3
    runs = [
        Run(against="null app", verdict="fail"),
        Run(against="app, first time", verdict="fail", steps=steps, log=log),
    ]
    shown = Shown(
        id="J-003", story="US-002", title="A person saves", verdict="fail", runs=runs
    )
    text = mends.mend_body(
        "poc",
        "M-poc-1",
        Evidence(verdict="red", reasons=["J-003 (A person saves) …"], journeys=[shown]),
    )
    assert text.startswith(
        "J-003 (A person saves) …\n\nJ-003 (US-002), step by step:\n"
        "1. `POST /api/notes` → `201 {}`: pass\n2. `see text a` → ``: fail, not there\n\nThe app printed at last:\nx\n"
    )
    assert text.endswith(
        "\n\nPictures: .catherd/red/M-poc-1/: J-003-2.png\n\nAll that was seen: bus/poc/red/M-poc-1/evidence.yaml"
    )
    assert "Traceback: [removed: " in text
    assert "kept0secret1" not in text
    assert len(text) < mends.BODY
    bus = Bus(str(tmp_path))
    Path(bus.here(".tmp")).mkdir(parents=True)
    mends.keep(
        bus, "poc", "M-poc-1", Evidence(verdict="red"), {"J-003-2.png": b"\x89PNG"}
    )
    picture = tmp_path / ".catherd" / "red" / "M-poc-1" / "J-003-2.png"
    assert picture.read_bytes() == b"\x89PNG"
    assert yaml_read.read_yaml(bus.here("poc/red/M-poc-1/evidence.yaml")).data == {
        "verdict": "red"
    }
    mends.forget_mends(bus, "poc")
    assert not picture.exists()
    assert bus.names("poc/red/M-poc-1") == []

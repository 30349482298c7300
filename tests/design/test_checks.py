"""A design document is checked: each seeded fault is found at its place, and a good document is left in peace."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faults import FAULTS, Fault, svg

from catherd.core.errors import CatherdError
from catherd.design import trace
from catherd.design.checks import (
    across,
    check,
    check_paths,
    passes,
    place_of,
    to_json,
)
from catherd.design.checks.adapters import markdown, pixels, sql
from catherd.design.checks.adapters.mermaid import Drawer
from catherd.design.checks.adapters.mermaid_text import visible
from catherd.design.wireframe import screens

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parents[1]
TOOLSHED = HERE / "documents" / "toolshed"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of kept results of this test run; it already knows the good document."""
    folder = str(tmp_path_factory.getbasetemp() / "kept")
    root = fresh(tmp_path_factory.mktemp("good") / "w")
    assert check(str(root), cache=folder) == []
    return folder


@pytest.fixture(scope="module")
def drawer() -> Iterator[Drawer]:
    """One drawing process for all."""
    with Drawer() as one:
        yield one


def fresh(root: Path) -> Path:
    """The good document below `root`, with its generated files."""
    shutil.copytree(TOOLSHED, root)
    screens.generate_screens(str(root))
    trace.generate_trace(str(root))
    return root


def seed(root: Path, fault: Fault) -> None:
    """Make the edit."""
    path = root / fault.path
    if fault.new is None:
        path.unlink()
    elif not fault.old:
        text = (
            (root / fault.new.removeprefix("copy of ")).read_text()
            if fault.new.startswith("copy of ")
            else fault.new
        )
        path.write_text(text)
    else:
        text = path.read_text()
        assert fault.old in text
        text = text.replace(fault.old, fault.new, -1 if fault.every else 1)
        for old, new in fault.more:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    if not fault.keep:
        try:
            screens.generate_screens(str(root))
            trace.generate_trace(str(root))
        except CatherdError:
            pass


def line_of(root: Path, path: str, at: str) -> int:
    """The line that holds `at`; the last such line, for what is put in twice is complained about at its second place."""
    if not at or at == "TOP":
        return int(bool(at))
    lines = (root / path).read_text(errors="replace").splitlines()
    return max(n for n, line in enumerate(lines, 1) if at in line)


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found_at_its_file_and_line(
    name: str, tmp_path: Path, cache: str
) -> None:
    fault = FAULTS[name]
    root = fresh(tmp_path / "w")
    seed(root, fault)
    findings = check(str(root), cache=cache)
    where = fault.where or fault.path
    wanted = [f for f in findings if f.code == fault.code and f.path == where]
    assert wanted, findings
    first = wanted[0]
    assert (first.line, first.severity) == (
        fault.line or line_of(root, where, fault.at),
        fault.severity,
    ), first
    assert first.text.startswith(fault.text), first
    assert {f.code for f in findings} <= {fault.code, *fault.also}, findings


def test_there_are_at_least_forty_faults_over_every_kind_of_artifact() -> None:
    assert len({fault.code for fault in FAULTS.values()}) >= 100
    assert {fault.code[:-3] for fault in FAULTS.values()} == {
        "DOC", "IDX", "SCR", "SVG", "EXC", "UJ", "US", "ARC", "API", "CLI", "SQL", "ERD", "ADR", "RM", "T"
    }  # fmt: skip


def test_every_code_that_a_check_can_give_is_explained_in_the_handbook() -> None:
    page = (
        (HERE.parent / "docs" / "handbook" / "document.md")
        .read_text()
        .partition("## Findings")[2]
    )
    explained = set(re.findall(r"\b[A-Z]{1,3}\d{3}\b", page))
    given = {fault.code for fault in FAULTS.values()} | {
        "DOC090",
        "UJ204",
        "ARC203",
        "CLI201",
        "CLI202",
        "CLI203",
    }
    assert {
        code for code in given - explained if not re.search(r"10[123]$", code)
    } == set()
    source = "".join(
        path.read_text()
        for path in (HERE.parent / "src" / "catherd" / "design" / "checks").rglob(
            "*.py"
        )
    )
    assert set(re.findall(r'"([A-Z]{1,3}\d{3})"', source)) - explained == {
        "SCR101",
        "SCR102",
        "SCR103",
    }


def test_pages_of_a_public_repository_give_no_finding(cache: str) -> None:
    assert check(str(HERE / "documents" / "public"), cache=cache) == []


def test_the_habits_of_other_tools_are_no_faults(cache: str) -> None:
    found = check(str(HERE / "documents" / "habits"), cache=cache, complete=False)
    assert [str(f) for f in found] == [
        "docs/stories/US-010.md:7:12: US301 warning: UJ-010 is not there"
    ]


def test_every_example_of_the_handbook_is_a_good_document(
    tmp_path: Path, cache: str
) -> None:
    page = markdown.read_page(
        (HERE.parent / "docs" / "handbook" / "document.md").read_text()
    )
    for head in page.headings:
        section = page.section(head.text)
        if head.level == 2 and head.text.startswith("docs/") and section:
            fences = [
                fence for fence in page.fences if head.line < fence.line <= section[1]
            ]
            for path, fence in zip(head.text.split(", "), fences, strict=True):
                target = tmp_path / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(fence.body)
    found = check(str(tmp_path), cache=cache, complete=False)
    missing = [
        f"the key `{key}` of milestones is missing"
        for key in ("alpha", "beta", "release", "vertical-slice")
    ]
    assert sorted(f.text for f in found if f.severity != "warning") == missing
    assert len(list(tmp_path.rglob("*.*"))) == 12


def test_a_tool_that_is_missing_is_unknown_and_unknown_never_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fresh(tmp_path / "w")
    monkeypatch.setenv(
        "CATHERD_WITHOUT",
        "mermaidx,resvg_py,gherkin,openapi_spec_validator,jsonschema",
    )
    found = check(str(root))
    assert {f.severity for f in found} == {"unknown"}
    assert {f.code for f in found} == {"DOC090"}
    assert {f.path for f in found} >= {
        "docs/index.md", "docs/journeys/UJ-001.md", "docs/stories/US-001.md", "docs/spec/architecture.md",
        "docs/spec/openapi.yaml", "docs/spec/data-model.mmd", "docs/roadmap.yaml", "docs/tasks/T-001.yaml",
        "docs/ux/SCR-001.filled.svg", "docs/ux/SCR-001.excalidraw", "docs/ux/map.mmd",
    }  # fmt: skip
    assert not passes(found)
    assert str(next(f for f in found if f.path == "docs/spec/data-model.mmd")) == (
        "docs/spec/data-model.mmd:1:1: DOC090 unknown: this diagram: mermaidx is not here to look: "
        "pip install 'catherd[plan]'"
    )
    monkeypatch.setenv("CATHERD_WITHOUT", "markdown_it,mermaidx,resvg_py")
    assert not passes(check(str(root), only=["docs/index.md"]))


def test_what_was_unknown_is_looked_at_once_the_tool_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = "docs/stories/US-001.md"
    root = fresh(tmp_path / "w")
    monkeypatch.setenv("CATHERD_WITHOUT", "mermaidx,gherkin")
    assert [
        f.code for f in check(str(root), [story], str(tmp_path / "c"), complete=False)
    ] == ["DOC090"]
    monkeypatch.setenv("CATHERD_WITHOUT", "mermaidx")
    assert check(str(root), [story], str(tmp_path / "c"), complete=False) == []


def test_while_the_plan_is_written_what_is_missing_is_no_error(
    tmp_path: Path, cache: str
) -> None:
    root = tmp_path / "w"
    for path in ("docs/index.md", "docs/stories/US-001.md", "docs/tasks/T-002.yaml"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOOLSHED / path, root / path)
    found = check(str(root), cache=cache, complete=False)
    assert passes(found)
    assert "docs/stories/US-001.md:8:12: US301 warning: UJ-001 is not there" in map(
        str, found
    )
    assert not passes(check(str(root), cache=cache))


def test_a_change_is_told_of_what_it_breaks_elsewhere(
    tmp_path: Path, cache: str
) -> None:
    root = fresh(tmp_path / "w")
    seed(root, FAULTS["a circle of needs"])
    circle = "docs/tasks/T-001.yaml:6:9: T304 error: the needs run in a circle: T-001 needs T-003 needs T-002 needs T-001"
    for changed in ("docs/tasks/T-003.yaml", "docs/tasks", "docs"):
        assert [str(f) for f in check_paths(str(root), [changed], cache)] == [circle]
    assert check_paths(str(root), ["docs/stories/US-001.md"], cache) == []


def test_only_what_concerns_the_asked_paths_is_told(tmp_path: Path, cache: str) -> None:
    root = fresh(tmp_path / "w")
    seed(root, FAULTS["no counter-metric"])
    seed(root, FAULTS["a table without a key"])
    assert {f.path for f in check(str(root), ["docs/spec"], cache)} == {
        "docs/spec/schema.sql"
    }
    assert {f.path for f in check(str(root), cache=cache)} == {
        "docs/spec/schema.sql",
        "docs/index.md",
    }


def test_a_damaged_store_is_an_empty_one_and_old_ones_go(tmp_path: Path) -> None:
    root, folder = tmp_path / "w", tmp_path / "c"
    (root / "docs" / "tasks").mkdir(parents=True)
    (root / "docs" / "tasks" / "T-001.yaml").write_text("title: x\n")
    found = check(str(root), cache=str(folder))
    (store,) = folder.glob("checks-*.json")
    kept = store.read_bytes()
    store.write_bytes(kept[:40])
    (folder / "checks-0123456789abcdef.json").write_text("{}")
    assert check(str(root), cache=str(folder)) == found
    assert store.read_bytes() == kept
    assert not (folder / "checks-0123456789abcdef.json").exists()


def test_findings_print_like_a_compilers_and_as_json(
    tmp_path: Path, cache: str
) -> None:
    root = fresh(tmp_path / "w")
    seed(root, FAULTS["a scenario without Then"])
    (finding,) = check(str(root), cache=cache)
    assert (
        str(finding)
        == 'docs/stories/US-001.md:23:3: US204 error: scenario "Searching" has no Then'
    )
    assert json.loads(to_json([finding])) == [
        {"path": "docs/stories/US-001.md", "line": 23, "col": 3, "code": "US204", "severity": "error",
         "text": 'scenario "Searching" has no Then', "about": []}
    ]  # fmt: skip
    assert json.loads(to_json([])) == []


def test_the_root_is_found_from_whatever_a_person_types(tmp_path: Path) -> None:
    (tmp_path / "docs" / "spec").mkdir(parents=True)
    (tmp_path / "docs" / "spec" / "cli.md").write_text("# x\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("[dead](b.md)\n")
    assert place_of(str(tmp_path)) == (str(tmp_path), None)
    assert place_of(str(tmp_path / "docs")) == (str(tmp_path), None)
    assert place_of(str(tmp_path / "docs" / "spec" / "cli.md")) == (
        str(tmp_path),
        ["docs/spec/cli.md"],
    )
    assert place_of(str(tmp_path / "notes")) == (str(tmp_path / "notes"), None)
    root, only = place_of(str(tmp_path / "notes" / "a.md"))
    assert [str(f) for f in check(root, only)] == [
        "a.md:1:8: DOC005 warning: the link leads to b.md, which is not there"
    ]
    with pytest.raises(CatherdError) as error:
        place_of(str(tmp_path / "nowhere"))
    assert str(error.value) == (
        f"{tmp_path}/nowhere: there is no such file or directory\n  fix: .venv/bin/catherd check ."
    )


def test_a_finding_has_a_place_and_no_name_reaches_the_terminal_as_it_is(
    tmp_path: Path,
) -> None:
    stories = tmp_path / "docs" / "stories"
    stories.mkdir(parents=True)
    for name in ("US-0\n14.md", "a\x1b[31mred.md", os.fsdecode(b"\xff.md")):
        (stories / name).write_text("# x\n")
    (stories / "US-001.md").symlink_to("/etc/passwd")
    found = check(str(tmp_path), complete=False)
    stray = "DOC010 warning: is no artifact's name, so nothing reads it"
    assert {str(f) for f in found} == {
        f"docs/stories/US-0\\n14.md:1:1: {stray}",
        f"docs/stories/a\\x1b[31mred.md:1:1: {stray}",
        f"docs/stories/\\udcff.md:1:1: {stray}",
        "docs/stories/\\udcff.md:1:1: DOC002 error: its name is not UTF-8",
        "docs/stories/US-001.md:1:1: DOC002 error: a symbolic link (fix: put a regular file there: rm 'docs/stories/US-001.md' and write it anew)",
    }
    assert {row["path"] for row in json.loads(to_json(found))} == {
        "docs/stories/US-0\n14.md", "docs/stories/a\x1b[31mred.md", "docs/stories/\\udcff.md", "docs/stories/US-001.md"
    }  # fmt: skip


def test_a_check_says_when_there_is_no_document_and_names_itself_as_it_was_called(
    tmp_path: Path,
) -> None:
    catherd = tmp_path / "bin" / "catherd"
    catherd.parent.mkdir()
    catherd.write_text(
        f"#!{sys.executable}\nfrom catherd.cli import main\nmain(prog_name='catherd')\n"
    )
    catherd.chmod(0o755)
    env = {**os.environ, "PYTHONPATH": str(HERE.parent / "src")}

    def said(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [catherd, "check", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    (tmp_path / "docs").mkdir()
    none = "0 errors, 0 warnings, 0 unknown\n"
    assert said("docs/") == (
        0,
        f"no design document here, and no page: nothing to look at\n{none}",
    )
    (tmp_path / "docs" / "index.md").write_text("# Words\n")
    assert said("docs/") == (
        0,
        f"no design document here, only pages: links and diagrams looked at\n{none}",
    )
    assert said("doc") == (
        1, f"catherd: {tmp_path}/doc: there is no such file or directory\n  fix: {catherd} check .\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1\n",
        "title: [[[[",
        "milestones: {poc: 3}\n",
        "title: &a {b: *a}\n",
        "screens: {}\n",
        "\x00",
        "a: " * 900,
    ],
)
def test_nonsense_is_a_finding_and_never_a_crash(text: str, tmp_path: Path) -> None:
    paths = [
        "docs/index.md", "docs/ux/screens.yaml", "docs/roadmap.yaml", "docs/tasks/T-001.yaml", "docs/spec/openapi.yaml",
        "docs/spec/cli.md", "docs/stories/US-001.md", "docs/decisions/0001-x.md", "docs/ux/SCR-001.svg",
        "docs/ux/SCR-001.excalidraw", "docs/spec/schema.sql",
    ]  # fmt: skip
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        front = "---\n" if path.endswith(".md") else ""
        (tmp_path / path).write_text(f"{front}{text}\n{front}")
    (tmp_path / "docs" / "ux" / "SCR-002.svg").symlink_to("/etc/passwd")
    found = check(str(tmp_path), complete=False)
    assert {f.path for f in found if f.severity == "error"} == {
        *paths,
        "docs/ux/SCR-002.svg",
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/index.md", "---\nkind: [web]\nstorage: [sqlite]\n---\n# x\n"),
        ("docs/ux/screens.yaml", "title: x\ncanvas: [phone]\nscreens: []\n"),
        (
            "docs/spec/openapi.yaml",
            'openapi: 3.1.0\ntags: [{name: x}]\npaths: {/a: {get: {$ref: "#/tags/²"}}}\n',
        ),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_and_never_a_crash(
    path: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)

    found = check(str(tmp_path), [path], complete=True)

    assert "error" in {one.severity for one in found}


def test_a_picture_that_says_it_is_a_billion_times_as_high_as_wide_is_only_blank() -> (
    None
):
    box = svg('<rect width="200" height="100" fill="#c00"/>', 'viewBox="0 0 1 1e9"')

    assert pixels.measure(box).ink < 0.01


def test_the_table_of_rules_names_the_codes_that_the_handbook_names() -> None:
    rules = (*across.ALWAYS, *across.WHEN_COMPLETE)
    codes = [code for rule in rules for code in rule.codes]
    page = (HERE.parent / "docs" / "handbook" / "document.md").read_text()
    explained = set(re.findall(r"\b[A-Z]+3\d\d\b", page.partition("## Findings")[2]))

    assert len(codes) == len(set(codes))
    assert explained - set(codes) == {"SCR303"}  # of generated.py
    assert set(codes) - explained == {"DOC001", "DOC005", "DOC006"}


def test_a_diagram_that_takes_too_long_is_given_up() -> None:
    slow = "flowchart LR\n" + "\n".join(f"a{n} --- b{n} & c{n}" for n in range(75))
    with Drawer(limit_s=0.001) as drawer:
        assert drawer.draw(slow).error == "not drawn within 0 s"


def children() -> set[str]:
    """The processes that this one has started and that live."""
    return {
        pid
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    }


@pytest.mark.skipif(
    not list(Path("/proc/self/task").glob("*/children")),
    reason="the kernel does not tell children",
)
def test_when_the_drawing_process_dies_the_next_diagram_is_drawn_by_another() -> None:
    before = children()
    with Drawer() as drawer:
        first = drawer.draw("flowchart LR\n  a --> b\n")
        assert "a b" in visible(first.svg)
        (worker,) = children() - before
        os.kill(int(worker), signal.SIGKILL)
        os.waitid(os.P_PID, int(worker), os.WEXITED | os.WNOWAIT)
        again = drawer.draw("flowchart LR\n  a --> c\n")
        assert again.unknown
        assert again.error.startswith("the drawing process died: ")
        assert drawer.draw("flowchart LR\n  a --> c\n").svg


@pytest.mark.skipif(
    not list(Path("/proc/self/task").glob("*/children")),
    reason="the kernel does not tell children",
)
def test_two_hands_draw_for_many_threads_and_each_gets_its_own_picture() -> None:
    before = children()
    with Drawer(hands=2) as drawer, ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(
                lambda n: drawer.draw(f"flowchart LR\n  from{n} --> to{n}\n"), range(4)
            )
        )
        started = children() - before
    assert [visible(one.svg) for one in made] == [f"from{n} to{n}" for n in range(4)]
    assert len(started) == 2
    late = drawer.draw(
        "flowchart LR\n  a --> b\n"
    )  # closed: nothing is started any more
    assert late.unknown


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (
            "sequenceDiagram\n  %% a comment\n  %% another\n  A->>B: hi\n  B-->A hi\n  A->>B: ho\n",
            5,
        ),
        ("---\ntitle: x\n---\nsequenceDiagram\n  A->>B: hi\n  B-->A hi\n", 6),
        ("\n\nflowchart LR\n  a -->\n", 4),
        ("gantt\n  dateFormat YYYY-MM-DD\n  section s\n  One :a, 2026-02-31x, 3d\n", 4),
        (
            "gantt\n  dateFormat YYYY-MM-DD\n  section s\n  One :a, 2026-02-01, 3d\n  Two :after zzz, 3d\n",
            5,
        ),
    ],
)
def test_a_broken_diagram_is_located_in_its_own_lines(
    source: str, line: int, drawer: Drawer
) -> None:
    drawn = drawer.draw(source)
    assert (bool(drawn.error), drawn.line) == (True, line), drawn


def test_a_schema_cannot_reach_out_or_run_for_ever() -> None:
    for statement in (
        "ATTACH DATABASE '/tmp/x.db' AS x;",
        "SELECT load_extension('x');",
        "PRAGMA temp_store_directory = '/tmp';",
        "VACUUM INTO '/tmp/x.db';",
        "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n;",
    ):
        assert [trouble.rule for trouble in sql.read_schema(statement).troubles] == [
            "syntax"
        ], statement


def test_the_line_of_a_syntax_error_in_sql_is_that_of_the_word_it_stops_at() -> None:
    text = "-- first\nCREATE TABLE a (\n  x INT,\n  y INT,\n  z INT,,\n  w INT);\n\nCREATE TABLE b (id INTEGER PRIMARY KEY);\n"
    found = sql.read_schema(text)
    assert [(t.line, t.what) for t in found.troubles] == [(5, 'near ",": syntax error')]
    assert found.tables == {"b": 8}

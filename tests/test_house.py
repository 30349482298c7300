"""The house rules that a test can enforce. A rule that nothing enforces is a wish; the others stand in AGENTS.md."""

import ast
import itertools
import json
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import click
import pytest

from catherd.bus import config
from catherd.cli.commands import main
from support import games, measure
from support.games import ROOT
from support.git_repos import sh

SRC = ROOT / "src" / "catherd"
MODULES = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in sorted(SRC.rglob("*.py"))
    if "packs" not in path.parts and "__pycache__" not in path.parts
}
TESTS = sorted(
    path
    for path in (ROOT / "tests").rglob("*.py")
    if not {"apps", "documents"} & {*path.relative_to(ROOT).parts}
)
# The pure core and what is pure beside it: a decision is a function of what is handed in, never of a clock, a disk or chance.
PURE = [
    *(
        name.removeprefix("catherd.")
        for name in MODULES
        if name.startswith("catherd.core.")
    ),
    *("answers.fences", "answers.passages"),
    *(
        "debate.papers",
        "debate.runoff",
        "debate.tally",
        "debate.vote",
        "debate.proposals",
        "debate.report",
        "debate.tie_card",
    ),
    *("design.wireframe.letters", "app.evidence", "app.expectations", "pulls.allot"),
    *("git.trailers", "models.cli_spec"),
]
HARMLESS = {
    "bisect", "json", "collections", "collections.abc", "enum", "fractions", "functools", "hashlib", "html", "itertools", "math",
    "msgspec", "operator", "re", "string", "textwrap", "typing", "unicodedata",
    "wcwidth",  # tables of widths: it looks at nothing
}  # fmt: skip
# A package whose module has another name.
CALLED = {
    "yaml": "pyyaml",
    "markdown_it": "markdown_it_py",
    "gherkin": "gherkin_official",
}
MAKEFILES = [
    ROOT / "Makefile",
    ROOT / "catherd.mk",
    *sorted((ROOT / "phases").glob("*.mk")),
]


@cache
def _house() -> measure.House:
    return measure.measure(SRC)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _names(node: ast.AST) -> list[str]:
    """What an import statement brings in: modules of ours by their full name, others as they are written."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        inner = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in MODULES else str(node.module) for name in inner]
    return []


def _imports(path: Path) -> set[str]:
    return {name for node in ast.walk(_tree(path)) for name in _names(node)}


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (
        node
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def _tracked() -> list[Path]:
    listed = [ROOT / path for path in sh(ROOT, "ls-files", "-z").split("\0") if path]
    return [path for path in listed if path.is_file() and not path.is_symlink()]


# Size and shape


def test_no_module_is_longer_than_500_lines() -> None:
    lengths = {
        name: len(path.read_text(encoding="utf-8").splitlines())
        for name, path in MODULES.items()
    }

    assert {name: lines for name, lines in lengths.items() if lines > 500} == {}


def test_no_function_is_longer_than_50_lines() -> None:
    lengths = {f"{one.module} {one.name}": one.lines for one in _house().functions}

    assert {name: lines for name, lines in lengths.items() if lines > 50} == {}


def test_no_function_takes_more_than_6_parameters() -> None:
    assert [f"{one.module} {one.name}" for one in measure.wide(_house())] == []


def test_thought_is_divided_and_not_compressed() -> None:
    """The figures of `make house`; see tests/support/measure.py for what they count."""
    house = _house()
    highest = {
        f"{one.module} {one.name}": one.complexity
        for one in house.functions
        if one.complexity > 15
    }
    densest = {
        module: round(nodes, 1)
        for module, nodes in house.densities().items()
        if nodes > 11
    }

    assert highest == {}
    assert house.branched <= 3
    assert house.density <= 9
    assert densest == {}


def test_no_more_functions_are_excepted_from_the_limits_than_are_listed() -> None:
    """A ratchet: who takes one out of the list lowers the number; nobody raises it."""
    excepted = [
        f"{name}:{number}"
        for name, path in MODULES.items()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"noqa:.*(C901|PLR0912|PLR0913|PLR0915)", line)
    ]

    assert len(excepted) == 0, excepted


def test_a_room_holds_at_most_16_modules() -> None:
    rooms = Counter(path.parent for path in MODULES.values())

    assert {str(room): n for room, n in rooms.items() if n > 17} == {}
    assert len([one for one in SRC.iterdir() if one.name != "__pycache__"]) <= 16


def test_every_room_says_what_lives_there_and_where_to_start() -> None:
    rooms = [path for path in MODULES.values() if path.name == "__init__.py"]
    words = {path: ast.get_docstring(_tree(path)) or "" for path in rooms}
    named = {
        path: re.findall(r"`([\w/]+\.py)`", text)
        for path, text in words.items()
        if path.parent != SRC
    }

    assert [path for path, names in named.items() if not names] == []
    for path, names in named.items():
        assert [name for name in names if not _stands(path.parent, name)] == [], path


def _stands(room: Path, name: str) -> bool:
    return (room / name).is_file() or (SRC / name).is_file()


def test_one_name_is_one_thing() -> None:
    """No public class or function has the name of another; a command is named as it is typed."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, path in MODULES.items():
        if name.startswith("catherd.cli"):
            continue
        for node in _tree(path).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name != "main":
                found[node.name].append(name)

    public = {name: places for name, places in found.items() if name[0] != "_"}
    assert {name: places for name, places in public.items() if len(places) > 1} == {}


def test_pure_is_said_only_where_it_is_held() -> None:
    said = [
        name.removeprefix("catherd.")
        for name, path in MODULES.items()
        if re.search(r"\b[Pp]ure\b", ast.get_docstring(_tree(path)) or "")
    ]

    assert sorted({*said} - {*PURE} - {"core", "core.__init__"}) == []


def test_every_module_says_what_it_promises() -> None:
    assert [
        name for name, path in MODULES.items() if not ast.get_docstring(_tree(path))
    ] == []


def test_no_module_is_named_for_what_it_is_not() -> None:
    words = re.compile(r"util|helper|manager|handler|common|misc|(\b|_)base(\b|_)")

    assert [name for name in MODULES if words.search(name)] == []


def test_there_is_no_global_statement() -> None:
    assert [
        n
        for n, path in MODULES.items()
        if any(isinstance(x, ast.Global) for x in ast.walk(_tree(path)))
    ] == []


def test_nothing_is_left_to_be_done() -> None:
    left = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = []
    for path in [*MODULES.values(), *TESTS]:
        with tokenize.open(path) as file:
            comments = [
                t
                for t in tokenize.generate_tokens(file.readline)
                if t.type == tokenize.COMMENT
            ]
        found += [
            f"{path.name}:{token.start[0]}"
            for token in comments
            if left.search(token.string)
        ]
        names = [
            node.id for node in ast.walk(_tree(path)) if isinstance(node, ast.Name)
        ]
        found += [
            path.name
            for name in names
            if name in {"NotImplementedError", "NotImplemented"}
        ]

    assert found == []


# Who may import whom


def test_imports_only_go_down() -> None:
    graph = {
        name: {i for i in _imports(path) if i in MODULES and i != name}
        for name, path in MODULES.items()
    }

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail(f"these import each other: {' → '.join(cycle.args[1])}")


@pytest.mark.parametrize("name", PURE)
def test_the_pure_core_imports_nothing_but_itself_and_what_is_harmless(
    name: str,
) -> None:
    allowed = HARMLESS | {f"catherd.{one}" for one in PURE}

    assert sorted(_imports(MODULES[f"catherd.{name}"]) - allowed) == []


def test_the_commands_import_the_engine_only_when_they_run() -> None:
    """`catherd --help` and every make step pay for what they use."""
    for path in sorted((SRC / "cli").glob("*.py")):
        at_top = {name for node in _tree(path).body for name in _names(node)}
        allowed = ("catherd.cli", "catherd.core.errors")
        assert [
            n for n in at_top if n.startswith("catherd.") and not n.startswith(allowed)
        ] == [], path.name


IMPORT_ALL = """
import sys, threading
watching, seen = [False], []
def hook(event, args):
    if not watching[0]:
        return
    if event in {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "subprocess.Popen",
                 "os.fork", "os.exec", "os.posix_spawn", "os.system", "socket.connect", "socket.bind", "os.putenv"}:
        seen.append(f"{name}: {event} {args!r}")
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append(f"{name}: writes {args[0]!r}")
sys.addaudithook(hook)
sys.dont_write_bytecode = True
import importlib, json
watching[0] = True
missing = []
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing.append(f"{name} needs {error.name}")
watching[0] = False
print(json.dumps([seen, missing, threading.active_count(), sorted({m.partition(".")[0] for m in sys.modules})]))
"""


def _python(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = games.env(PYTHONPATH=str(ROOT / "src"), **more)
    return subprocess.run(
        [sys.executable, "-P", *words],
        env=env,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_importing_a_module_does_nothing() -> None:
    names = [name for name in MODULES if not name.endswith("__main__")]

    done = _python("-c", IMPORT_ALL, json.dumps(names))

    assert done.stderr == ""
    seen, missing, threads, loaded = json.loads(
        done.stdout
    )  # so nothing else was printed
    assert seen == []
    assert missing == []
    assert threads == 1
    assert "litellm" not in loaded
    assert "playwright" not in loaded


# Model packages


def test_litellm_is_imported_by_one_function_of_one_module() -> None:
    places = [
        f"{name}.{one.name}"
        for name, path in MODULES.items()
        for one in _functions(path)
        for node in ast.walk(one)
        if any(i.partition(".")[0] == "litellm" for i in _names(node))
    ]

    assert len(places) == 1
    assert places[0].startswith("catherd.models.llm.")
    assert [n for n, path in MODULES.items() if "litellm" in _imports(path)] == [
        "catherd.models.llm"
    ]


def test_help_loads_little_and_a_rehearsal_never_loads_a_model_package(
    game: Path,
) -> None:
    shown = _python(
        "-X", "importtime", "-c", "from catherd.cli import main; main(['--help'])"
    )
    loaded = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert "click" in loaded
    assert (
        loaded
        & {"yaml", "jinja2", "watchdog", "rich", "litellm", "msgspec", "filelock"}
        == set()
    )

    played = games.make(game, "debate", PYTHONPROFILEIMPORTTIME="1")

    assert played.returncode == 0, played.stdout
    logs = {log.name: log.read_text() for log in (game / "bus/agents").glob("*.log")}
    assert {"chatgpt.log", "claude.log", "gemini.log", "wildcard.log"} <= {*logs}
    assert "msgspec" in played.stderr
    for text in [played.stderr, *logs.values()]:
        assert "| " in text
        assert re.findall(r"\| +(litellm|openai|playwright)\b", text) == []


# Tests


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_no_test_replaces_a_part_of_what_it_tests_or_waits_for_a_clock(
    path: Path,
) -> None:
    forbidden = {"setattr", "setitem", "delattr", "delitem"}
    found = [
        name
        for name in _imports(path)
        if name.startswith(("unittest", "mock", "pytest_mock"))
    ]
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "monkeypatch" and node.attr in forbidden:
                found.append(f"line {node.lineno}: monkeypatch.{node.attr}")
            if (node.value.id, node.attr) == ("time", "sleep"):
                found.append(f"line {node.lineno}: time.sleep")

    assert found == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_no_test_file_imports_another(path: Path) -> None:
    names = {name.rpartition(".")[2] for name in _imports(path)}

    assert [name for name in names if name.startswith("test_")] == []


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    """Packages of others by the name that pyproject.toml gives them, in the base or in an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    declared = {
        re.split(r"[^A-Za-z0-9-]", line)[0].lower().replace("-", "_")
        for lines in (project["project"]["dependencies"], *extras)
        for line in lines
    }
    imported = {
        name.partition(".")[0] for path in MODULES.values() for name in _imports(path)
    }
    others = imported - set(sys.stdlib_module_names) - {"catherd"}

    assert {CALLED.get(name, name).lower() for name in others} == declared


# What stands in the repository


def test_no_tracked_file_names_this_machine_or_an_index_of_packages() -> None:
    index = re.compile(r"--(extra-)?index-url[ =]\S*//|//pypi\.|/simple/")
    found = []
    for path in _tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        here = str(path.relative_to(ROOT))
        found += (
            [here]
            if f"{ROOT}/" in text
            or (here != "tests/test_house.py" and index.search(text))
            else []
        )

    assert found == []


@pytest.mark.parametrize(
    ("name", "limit"), [("README.md", 120), ("AGENTS.md", 60), ("CONTRIBUTING.md", 60)]
)
def test_a_page_keeps_to_its_length(name: str, limit: int) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= limit


def test_a_decision_record_keeps_to_60_lines_and_has_its_four_parts() -> None:
    for path in sorted((ROOT / "docs/handbook/adr").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 60, path.name
        for part in (
            "**Context.**",
            "**Choice.**",
            "**Cost.**",
            "**Sign that it was wrong.**",
        ):
            assert part in text, f"{path.name}: {part}"


def test_the_workflow_runs_what_anybody_can_and_that_is_make_check() -> None:
    text = (ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8")
    runs = re.findall(r"^\s*-?\s*run: (.+)$", text, flags=re.MULTILINE)

    assert runs == [".ci/run"]
    assert re.findall(
        r"^make (\w+)", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE
    ) == ["check"]


# Make


@cache
def _database() -> str:
    """What make knows, without running anything."""
    done = games.run(ROOT, "make", "-pn", "help", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("phase", sorted(config.phases(str(ROOT))))
def test_make_and_the_phase_file_name_the_same_gates_in_the_same_order(
    phase: str,
) -> None:
    gates = list(config.phases(str(ROOT))[phase].gates)
    needs = {
        target: order_only.split()
        for target, order_only in re.findall(
            r"^bus/gates/([a-z0-9-]+)\.yaml: *\|? *(.*)$", _database(), re.MULTILINE
        )
    }

    for earlier, later in itertools.pairwise(gates):
        assert f"bus/gates/{earlier}.yaml" in needs[later]
    named = re.findall(
        r"\$\(GATES\)/([a-z0-9-]+)\.yaml", (ROOT / f"phases/{phase}.mk").read_text()
    )
    every = {gate for one in config.phases(str(ROOT)).values() for gate in one.gates}
    assert set(named) <= every
    assert set(gates) - set(named) <= {gates[0]} | {
        g for g in gates if g.startswith("round-")
    }


def test_no_receipt_has_a_prerequisite_that_is_not_order_only() -> None:
    rules = re.findall(
        r"^bus/gates/([a-z0-9-]+)\.yaml:(.*)$", _database(), re.MULTILINE
    )

    assert len(rules) > 5
    assert [name for name, needs in rules if needs.split("|")[0].strip()] == []


def test_every_subcommand_that_make_calls_is_there_and_has_a_word_of_help() -> None:
    called = {
        name
        for path in MAKEFILES
        for name in re.findall(r"\$\(CATHERD_DO\) ([a-z]+)", path.read_text())
    }

    assert "gate" in called
    assert called - set(main.commands) == set()
    assert [name for name, command in main.commands.items() if not command.help] == []
    groups = [c for c in main.commands.values() if isinstance(c, click.Group)]
    assert [
        name
        for group in groups
        for name, command in group.commands.items()
        if not command.help
    ] == []


def test_every_target_that_a_makefile_declares_does_something() -> None:
    text = "\n".join(path.read_text() for path in MAKEFILES)
    declared = {
        n
        for line in re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
        for n in line.split()
        if "$" not in n
    }
    blocks = re.split(r"\n\n", _database())
    made = {
        m[1]
        for block in blocks
        if (m := re.search(r"^([^\s:#]+):", block, re.MULTILINE))
        and "recipe to execute" in block
    }
    made |= {
        m[1]
        for block in blocks
        if (m := re.search(r"^([^\s:#]+): \S", block, re.MULTILINE))
    }

    assert declared - made == set()


def test_help_lists_every_target_that_has_a_word_of_help() -> None:
    shown = games.make(ROOT, "help").stdout
    text = "\n".join(path.read_text() for path in MAKEFILES)
    told = re.findall(r"^([a-z][a-z0-9 -]*):.*?## (.+)$", text, re.MULTILINE)

    assert ("debate", "Pitch ideas, argue four rounds, vote") in told
    assert [
        name
        for name, words in told
        if not re.search(
            rf"^  make {name.split()[0]} +{re.escape(words)}$", shown, re.MULTILINE
        )
    ] == []
    assert shown == games.make(ROOT).stdout
    assert max(map(len, shown.splitlines())) <= 110


def test_the_makefiles_keep_to_make_3_81() -> None:
    newer = re.compile(
        r"^\s*(\.ONESHELL|\.RECIPEPREFIX|\.SHELLFLAGS|\.EXTRA_PREREQS|\.NOTINTERMEDIATE|undefine |private )"
        r"|^[A-Za-z_]+ *(::=|:::=|!=)|^define \S+ *[:?+]?=|\$\((file|guile|let|intcmp) |&:|--output-sync",
        re.MULTILINE,
    )

    assert [
        f"{path.name}: {found[0]}"
        for path in MAKEFILES
        if (found := newer.search(path.read_text()))
    ] == []


def test_every_path_that_is_ignored_by_git_is_ignored_for_a_reason() -> None:
    """What a game makes is never committed by accident: its tree is clean while it is played."""
    for path in (
        "bus/game.yaml",
        "worktrees/claude/app/main.py",
        ".venv/bin/python",
        ".catherd/origin",
    ):
        done = subprocess.run(
            ["git", "check-ignore", "-q", path], cwd=ROOT, env={**os.environ}
        )
        assert done.returncode == 0, path
    for path in (
        "bus/README.md",
        "worktrees/README.md",
        "app/main.py",
        "docs/debate/decision.yaml",
    ):
        done = subprocess.run(
            ["git", "check-ignore", "-q", path], cwd=ROOT, env={**os.environ}
        )
        assert done.returncode == 1, path

"""The handbook is true: its examples parse with the very types, and it names every path that a game makes."""

import ast
import re
from pathlib import Path

import pytest

from catherd.bus import yaml_read
from support.games import ROOT
from support.handbook_pages import KINDS, PAGE, _kind, _sections, files, patterns

LABELS = ("**Writer**", "**You**", "**Absent**", "**Crash**")


def _examples() -> list[tuple[str, str]]:
    return re.findall(
        r"^```yaml\n# bus/(\S+)\n(.+?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize(("path", "text"), _examples())
def test_an_example_of_the_page_parses_as_what_it_shows(path: str, text: str) -> None:
    kind = _kind(path)
    document = yaml_read.loads(text, path)

    yaml_read.typed(document, kind)

    assert yaml_read.unknown(document, kind) == []


def test_every_block_of_yaml_on_the_page_is_such_an_example() -> None:
    assert PAGE.count("```yaml") == len(_examples())
    assert {_kind(path) for path, _ in _examples()} == {kind for _, kind in KINDS}


@pytest.mark.parametrize("heading", _sections())
def test_every_path_says_who_writes_it_what_you_may_do_what_absence_means_and_what_a_crash_leaves(
    heading: str,
) -> None:
    assert [label for label in LABELS if label not in _sections()[heading]] == []


def test_every_file_of_a_rehearsed_debate_is_on_the_page(finished_game: Path) -> None:
    known = [re.compile(pattern) for pattern in patterns()]
    found = files(finished_game / "bus")

    assert len(found) > 100
    assert [
        path for path in found if not any(pattern.fullmatch(path) for pattern in known)
    ] == []


def test_every_file_of_a_rehearsed_debate_is_of_the_kind_that_the_page_says(
    finished_game: Path,
) -> None:
    for path in files(finished_game / "bus"):
        if path.endswith((".yaml", ".posted")) or (
            path.startswith("agents/") and path.endswith(".lock")
        ):
            document = yaml_read.read_yaml(str(finished_game / "bus" / path), path)
            yaml_read.typed(document, _kind(path))
            assert yaml_read.unknown(document, _kind(path)) == [], path


def test_every_kind_of_event_that_the_engine_writes_is_on_the_page() -> None:
    kinds = set()
    for file in (ROOT / "src/catherd").rglob("*.py"):
        kinds |= set(
            re.findall(r"\.event\(\s*\"([a-z-]+)\"", file.read_text(encoding="utf-8"))
        )
    listed = re.search(r"Kinds: ([a-z,; \n-]+)\.", PAGE)

    assert listed is not None
    assert kinds - set(re.findall(r"[a-z-]+", listed[1])) == set()


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs/handbook").rglob("*.md")), ids=lambda page: page.name
)
def test_every_link_of_the_handbook_leads_somewhere(page: Path) -> None:
    prose = re.sub(
        r"^```.*?^```|`[^`\n]+`",
        "",
        page.read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
        if "://" not in target:
            assert (page.parent / target).exists(), target


SAID_BY = [
    "herd/daemon",
    "debate/asks",
    "bus/store",
    "bus/config",
    "debate/count",
    "gates/crank",
    "gates/asking",
    "gates/step",
    "cli/people",
    "cli/standalone",
    "debate/election",
    "bus/atomic",
    "game/lifecycle",
    "game/beginning",
    "git/run",
    "debate/hearing",
    "herd/processes",
    "git/landing",
    "answers/prompts",
    "git/bus_ref",
    "herd/speak",
    "game/talk",
    "git/workspace",
    "bus/yaml_read",
]
ERRORS = " ".join(
    (ROOT / "docs/handbook/errors.md").read_text(encoding="utf-8").split()
)


def _texts(call: ast.Call) -> list[str]:
    """The literal parts of what an error says, each text as its longest piece."""
    if not call.args:
        return []
    said = [
        node.value for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant)
    ]
    pieces = [piece.strip(" ;:,'`") for piece in said if isinstance(piece, str)]
    return [max(pieces, key=len)] if pieces else []


@pytest.mark.parametrize("module", SAID_BY)
def test_every_error_of_the_house_and_the_debate_is_on_the_page(module: str) -> None:
    tree = ast.parse((ROOT / f"src/catherd/{module}.py").read_text(encoding="utf-8"))
    errors = {"CatherdError", "NeedsYou", "Fault"}
    said = [
        text
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in errors
        for text in _texts(node)
    ]

    assert [
        text for text in said if text and " ".join(text.split())[:24] not in ERRORS
    ] == []

"""The handbook is true: its examples parse with the very types, and it names every path that a game makes."""

import ast
import os
import re
from pathlib import Path

import msgspec
import pytest

from catherd.app.evidence import Evidence
from catherd.bus import yaml_door
from catherd.core.messages import (
    Answer,
    Argument,
    Ask,
    Ballot,
    Call,
    Chat,
    Game,
    Lock,
    Pitch,
    Receipt,
    Tiebreak,
    Trouble,
    Veto,
)
from catherd.core.tasks import (
    Assignment,
    Bid,
    Check,
    Head,
    Merged,
    Needs,
    Pr,
    Review,
    Task,
)
from catherd.gates.delivery import TrialWords
from catherd.gates.proof import Waiver
from catherd.pulls.build import Try
from games import ROOT

PAGE = (ROOT / "docs/handbook/bus.md").read_text(encoding="utf-8")
LABELS = ("**Writer**", "**You**", "**Absent**", "**Crash**")
MEANS = {
    "<agent>": "[a-z][a-z0-9-]*",
    "<utc>": r"\d{8}T\d{6}\.\d{3}Z",
    "<who>": "[a-z][a-z0-9-]*",
    "<step>": r"debate/(?:round-\d|ballots)",
    "<gate>": "[a-z][a-z0-9-]*",
    "<turn>": r"[a-z-]+\.[A-Za-z0-9.-]+\.\d+",
    "<phase>": "(?:plan|poc|mvp|vertical-slice|alpha|beta|release)",
    "<task>": "[A-Z]-[A-Za-z0-9.-]+",
    "<state>": "[a-z][a-z0-9-]*",
    "<head12>": "[0-9a-f]{12}",
    "<tree12>": "[0-9a-f]{12}",
    "<check>": "[A-Za-z0-9-]+",
    "<n>": r"\d+",
    "<id>": "[a-z]+",
    "<date>": r"\d{4}-\d\d-\d\d",
    "<name>": "[a-z0-9.-]+",
    "<game>": "g-[0-9a-f-]+",
    "<file>": r"\d+-\d+-.+",
}


class Posted(msgspec.Struct):
    """`.posted` has no type of its own in the engine: it is looked for, and its content only tells."""

    posted: str
    seal: str
    catherd: int = 1


class Life(msgspec.Struct):
    """So it is with the content of a daemon's lock."""

    pid: int
    start: str
    catherd: int = 1


KINDS: list[tuple[str, type[msgspec.Struct]]] = [
    (r"game\.yaml", Game),
    (r"agents/.+\.lock", Life),
    (r"chat/.+\.yaml", Chat),
    (r"debate/[^/]+/open\.yaml", Ask),
    (r"debate/round-1/.+\.yaml", Pitch),
    (r"debate/round-\d/.+\.yaml", Argument),
    (r"debate/ballots/.+\.yaml", Ballot),
    (r"debate/veto/.+\.yaml", Veto),
    (r"debate/tiebreak\.yaml", Tiebreak),
    (r"gates/.+\.yaml", Receipt),
    (r"runs/.+\.answer\.yaml", Answer),
    (r"runs/.+\.posted", Posted),
    (r"runs/.+\.yaml", Call),
    (r"problems/.+\.yaml", Trouble),
    (r"claims/.+\.lock", Lock),
    (r"[a-z-]+/(bids|swaps)/open\.yaml", Ask),
    (r"[a-z-]+/(bids|swaps)/.+\.yaml", Bid),
    (r"[a-z-]+/assignment\.yaml", Assignment),
    (r"[a-z-]+/evidence\.yaml", Evidence),
    (r"[a-z-]+/waiver\.yaml", Waiver),
    (r"[a-z-]+/said-\d+\.yaml", TrialWords),
    (r"tasks/[^/]+\.yaml", Task),
    (r"tasks/.+\.try/.+\.yaml", Try),
    (r"prs/PR-\d+/pr\.yaml", Pr),
    (r"prs/PR-\d+/head-\d+\.yaml", Head),
    (r"prs/PR-\d+/reviews/.+\.yaml", Review),
    (r"prs/PR-\d+/needs-.+\.yaml", Needs),
    (r"prs/PR-\d+/merged\.yaml", Merged),
    (r"ci/.+\.yaml", Check),
]


def _kind(path: str) -> type[msgspec.Struct]:
    return next(kind for pattern, kind in KINDS if re.fullmatch(pattern, path))


def _sections() -> dict[str, str]:
    """Heading → text, of the sections that describe paths."""
    parts = re.split(r"^### (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def patterns() -> list[str]:
    """What the headings of the page say about paths, as regular expressions."""
    made = []
    for heading in _sections():
        for path in re.findall(r"`([^`]+)`", heading):
            pattern = re.escape(path)
            for word, regex in MEANS.items():
                pattern = pattern.replace(re.escape(word), regex)
            made.append(pattern + ("(?:.*)" if path.endswith("/") else ""))
    return made


def _examples() -> list[tuple[str, str]]:
    return re.findall(
        r"^```yaml\n# bus/(\S+)\n(.+?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL
    )


def files(bus: Path) -> list[str]:
    """Everything below the bus."""
    return sorted(
        os.path.relpath(os.path.join(at, name), bus)
        for at, _, names in os.walk(bus)
        for name in names
    )


@pytest.mark.parametrize(("path", "text"), _examples())
def test_an_example_of_the_page_parses_as_what_it_shows(path: str, text: str) -> None:
    kind = _kind(path)
    document = yaml_door.loads(text, path)

    yaml_door.typed(document, kind)

    assert yaml_door.unknown(document, kind) == []


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
            document = yaml_door.read_yaml(str(finished_game / "bus" / path), path)
            yaml_door.typed(document, _kind(path))
            assert yaml_door.unknown(document, _kind(path)) == [], path


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
    "bus/yaml_door",
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

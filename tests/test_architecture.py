"""The page on the engine's rooms and the house rules name what is there, and the rooms in the order that is enforced."""

import re
import tomllib

import pytest

from support.games import ROOT

PAGE = "docs/handbook/architecture.md"
FILE = re.compile(
    r"[\w.-]+(?:/[\w.*-]+)*\.(?:py|md|mk|yaml|toml)\b|(?:[\w.-]+/)+(?=[`\s])"
)
MADE = (
    ".venv/",
    "bus/",
    "app/app.yaml",
    "app.yaml",
    "docs/tasks/",
    "docs/debate/",
)  # by a game
ENGINE = ROOT / "src" / "catherd"


def _named(page: str) -> set[str]:
    """The files and folders that a page names in backticks or in a drawing."""
    text = (ROOT / page).read_text(encoding="utf-8")
    quoted = re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL)
    return {name for part in quoted for name in FILE.findall(part)}


def _there(name: str, page: str) -> bool:
    """Whether the name, or anything of its pattern, is below the root, the engine or the page's folder."""
    if name == "__init__.py":  # "each room's"
        return all(
            (one / name).is_file()
            for one in ENGINE.iterdir()
            if one.is_dir() and one.name[0] != "_"
        )
    return any(
        next(top.glob(name.rstrip("/")), None) is not None
        for top in (ROOT, ENGINE, (ROOT / page).parent)
    )


@pytest.mark.parametrize(
    "page", [PAGE, "AGENTS.md", "docs/handbook/README.md", "CONTRIBUTING.md"]
)
def test_every_file_that_the_page_names_is_there(page: str) -> None:
    named = _named(page)

    assert [
        name
        for name in sorted(named)
        if not name.startswith(MADE) and not _there(name, page)
    ] == []


def test_each_step_of_a_way_begins_with_a_module_of_the_engine() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    steps = re.findall(r"^\d+\. (.*?):\s", text, flags=re.MULTILINE | re.DOTALL)
    modules = [re.findall(r"`([a-z_/]+\.py)`", step) for step in steps]

    assert len(steps) > 30
    assert all(modules)
    assert [
        one for step in modules for one in step if not (ENGINE / one).is_file()
    ] == []


def test_the_rooms_are_drawn_in_the_order_that_import_linter_holds() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    wanted = [room.strip() for layer in layers for room in layer.split("|")]
    drawing = re.search(
        r"## The rooms\n.+?```\n(.+?)```",
        (ROOT / PAGE).read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert drawing is not None
    rows = re.findall(r"^  ([a-z]+) +(.*)$", drawing[1], flags=re.MULTILINE)
    drawn = [
        word
        for room, rest in rows
        if room != "make"
        for word in [room, *re.findall(r"│ +([a-z]+)", rest)]
    ]

    assert drawn == wanted


def test_the_page_can_be_read_in_a_terminal() -> None:
    lines = (ROOT / PAGE).read_text(encoding="utf-8").splitlines()

    assert len(lines) <= 130
    assert [line for line in lines if len(line) > 100] == []

"""screens.yaml compiles to pictures that are true, safe and always the same, and the trace says what proves what."""

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catherd.bus.yaml_read import loads
from catherd.core.errors import CatherdError
from catherd.design import trace
from catherd.design.checks import check
from catherd.design.checks.adapters.mermaid import Drawer
from catherd.design.checks.adapters.mermaid_text import visible
from catherd.design.checks.finding import Facts
from catherd.design.checks.pictures import check_svg, excalidraw
from catherd.design.wireframe import language, layout, letters, screens, shapes

TOOLSHED = Path(__file__).parents[1] / "documents" / "toolshed"
EVERYTHING = r"""
title: Everything
canvas: desktop
screens:
  - id: SCR-001
    title: "Every element <&> \"quoted\" | #1"
    stories: []
    states:
      filled:
        - bar: Everything
        - heading: A heading
        - text: "Text with <b>markup</b> & a control character \a and 日本語"
        - note: Mind the gap
          tone: bad
        - input: Name
          value: Ada
        - input: Text
          lines: 3
          hint: a few lines
        - select: Flat
          value: "14"
        - check: Remember me
          on: true
        - button: "Save \"all\" | now"
          primary: true
          goes: SCR-002
        - link: Cancel
          goes: SCR-001.drawn-one
        - list: [one, {text: two, note: the second, goes: SCR-002.empty, does: opens two}]
        - table: {columns: [Who, Since], rows: [[Ada, Monday], [Ben, Tuesday]]}
        - tabs: [All, Some]
          on: 1
        - image: A photo of the shelf
        - chart: Loans a month
          values: [3, 5, 2]
        - grid: ["#.A", ".#.", "B.#"]
        - terminal: ["$ todo add milk", "added 1"]
        - loading: The list
        - row:
            - text: left
            - box: [{text: right}]
              title: A box
          share: [2, 1]
      drawn-one: drawn
  - id: SCR-002
    title: The end
    stories: []
    states:
      empty: [{bar: End, goes: SCR-001}]
"""


def test_the_same_text_always_compiles_to_the_same_bytes() -> None:
    first = screens.compiled(EVERYTHING)
    assert screens.compiled(EVERYTHING) == first
    assert sorted(first) == [
        "SCR-001.excalidraw", "SCR-001.filled.svg", "SCR-002.empty.svg", "SCR-002.excalidraw", "map.mmd"
    ]  # fmt: skip


def test_every_element_is_drawn_and_passes_the_checks_for_pictures() -> None:
    made = screens.compiled(EVERYTHING)
    with Drawer() as drawer:
        for name, text in made.items():
            facts = Facts(path=name)
            if name.endswith(".svg"):
                check_svg(facts, text, drawer)
            elif name.endswith(".excalidraw"):
                excalidraw(facts, text, drawer)
            assert facts.findings == []
        drawn = drawer.draw(made["map.mmd"])
    assert "Save" in visible(drawn.svg)
    assert "opens two" in visible(drawn.svg)
    root = ET.fromstring(made["SCR-001.filled.svg"])  # noqa: S314 - our own picture
    words = " ".join(
        "".join(e.itertext()) for e in root.iter() if e.tag.endswith("text")
    )
    for shown in (
        "<b>markup</b> &",
        "Mind the gap",
        "a few lines",
        "added 1",
        "Tuesday",
        "Loans a month",
        "✓",
        "日本語",
    ):
        assert shown in words
    assert "\a" not in made["SCR-001.filled.svg"]


def test_what_a_person_taps_can_be_found_by_its_id(tmp_path: Path) -> None:
    made = screens.compiled((TOOLSHED / screens.FILE).read_text())
    for ident in ("search", "tools", "add"):
        assert made["SCR-001.filled.svg"].count(f'data-id="{ident}"') == 1


def test_a_scene_holds_a_frame_for_each_state_and_every_shape_in_its_frame() -> None:
    made = screens.compiled((TOOLSHED / screens.FILE).read_text())
    data = json.loads(made["SCR-002.excalidraw"])
    frames = [e["id"] for e in data["elements"] if e["type"] == "frame"]
    assert frames == [
        "SCR-002.on-the-shelf",
        "SCR-002.out",
        "SCR-002.error",
        "SCR-002.empty",
    ]
    assert {e["frameId"] for e in data["elements"] if e["type"] != "frame"} == set(
        frames
    )
    assert len({e["id"] for e in data["elements"]}) == len(data["elements"])
    assert all("index" not in e for e in data["elements"])


def test_generating_writes_what_changed_removes_what_is_gone_and_keeps_what_was_drawn_by_hand(
    tmp_path: Path,
) -> None:
    shutil.copytree(TOOLSHED, tmp_path / "w")
    root, ux = str(tmp_path / "w"), tmp_path / "w" / "docs" / "ux"
    assert len(screens.generate_screens(root)) == 14
    assert screens.generate_screens(root) == []
    (ux / "SCR-009.svg").write_text("<svg>by hand</svg>")
    text = (ux / "screens.yaml").read_text()
    (ux / "screens.yaml").write_text(
        text.replace("      no-match:\n", "      nothing-found:\n")
    )
    assert sorted(screens.generate_screens(root)) == [
        "docs/ux/SCR-001.excalidraw", "docs/ux/SCR-001.no-match.svg", "docs/ux/SCR-001.nothing-found.svg"
    ]  # fmt: skip
    assert (ux / "SCR-009.svg").exists()
    assert not (ux / "SCR-001.no-match.svg").exists()


def test_screens_that_cannot_be_read_are_named_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(CatherdError) as error:
        screens.compiled(
            "title: x\nscreens:\n  - id: SCR-1\n    title: y\n    stories: []\n    states: {a: [{text: b}]}\n"
        )
    assert str(error.value) == (
        "docs/ux/screens.yaml:3:9: 'SCR-1' is no id like SCR-001\n  fix: see docs/handbook/document.md"
    )
    with pytest.raises(CatherdError) as error:
        screens.generate_screens(str(tmp_path))
    assert str(error.value) == (
        "docs/ux/screens.yaml: there are no screens yet\n  fix: write it: see docs/handbook/document.md"
    )


@pytest.mark.parametrize(
    ("element", "what"),
    [
        ("{}", "no kind of element among "),
        ("{text: a, button: b}", "text and button in one element"),
        ("{text: ' '}", "text: text is expected"),
        ("{list: []}", "list: strings or {text, note, goes, does, id} are expected"),
        (
            "{list: [{txt: a}]}",
            "list: strings or {text, note, goes, does, id} are expected",
        ),
        (
            "{table: {columns: [a], rows: [[b, c]]}}",
            "table: a row has not as many cells as columns",
        ),
        ("{grid: [ab, a]}", "grid: the rows are not equally long"),
        ("{note: a, tone: loud}", "tone: 'loud' is none of info, good, bad"),
        ("{input: a, lines: 9}", "lines: a number from 1 to 8 is expected"),
        ("{image: a, height: 7}", "height: a number from 40 to 600 is expected"),
        ("{chart: a, values: [-1]}", "values: a list of numbers is expected"),
        ("{button: a, goes: 3}", "goes: text is expected"),
        ("{chart: a, values: [1.0e400]}", "values: a list of numbers is expected"),
        ("{note: a, tone: [bad]}", "tone: '['bad']' is none of info, good, bad"),
        ("{tabs: [a, b], on: second}", "on: a whole number is expected"),
        ("{tabs: [a, b], on: [1]}", "on: a whole number is expected"),
        ("3", "no kind of element among "),
    ],
)
def test_a_malformed_element_is_a_problem_with_its_reason(
    element: str, what: str
) -> None:
    text = f"title: x\nscreens: [{{id: SCR-001, title: y, stories: [], states: {{a: [{element}]}}}}]\n"
    (problem,) = language.parse_screens(loads(text, "x")).problems
    assert problem.what.startswith(what)


@pytest.mark.parametrize(
    "element",
    [
        "{note: a, tone: loud}",
        "{input: a, lines: many}",
        "{image: a, height: tall}",
        "{tabs: [a, b], on: second}",
        "{row: [{text: a}], share: [wide]}",
        "{row: [{text: a}, {text: b}], share: [1.0e308, 1.0e308]}",
        "{chart: a, values: [1.0e400]}",
    ],
)
def test_an_option_that_is_wrong_is_left_out_of_the_picture(element: str) -> None:
    text = f"title: x\nscreens: [{{id: SCR-001, title: y, stories: [], states: {{a: [{element}]}}}}]\n"
    (screen,) = language.parse_screens(loads(text, "x")).screens

    picture = layout.layout(screen.states["a"] or [], 390)

    svg = shapes.render_svg(picture, "y")
    assert "nan" not in svg
    assert "inf" not in svg


@given(st.text(alphabet="ab iW—漢\n", max_size=80), st.floats(20, 300))
def test_wrapped_lines_fit_unless_a_word_is_named_that_does_not(
    text: str, room: float
) -> None:
    wrapped = letters.wrap_pixels(text, 15, room)
    assert " ".join(wrapped.lines).split() == text.split()
    if not wrapped.too_wide:
        assert all(letters.pixel_width(line, 15) <= room for line in wrapped.lines)
    else:
        assert letters.pixel_width(wrapped.too_wide, 15) > room


@pytest.mark.slow
def test_the_trace_follows_each_story_to_its_proof(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shutil.copytree(TOOLSHED, tmp_path / "w")
    root = str(tmp_path / "w")
    assert trace.generate_trace(root, {"T-002": ["PR-0003", "PR-0007"]}) == [
        "docs/trace.md",
        "docs/roadmap.mmd",
    ]
    text = (tmp_path / "w" / "docs" / "trace.md").read_text()
    assert (
        "| [UJ-001](journeys/UJ-001.md) | [US-001](stories/US-001.md) See who has a tool | poc | SCR-001, SCR-002 "
        "| [T-002](tasks/T-002.yaml) Show the shelf, borrow, return | `listTools`, `borrowTool`, `returnTool` "
        "| `python3 -m unittest app/tests/test_borrow.py` | PR-0003, PR-0007 |\n"
    ) in text
    assert trace.prs_in(text) == {"T-002": ["PR-0003", "PR-0007"]}
    assert trace.generate_trace(root) == []  # what is known of pull requests stays
    assert (
        check(
            root,
            ["docs/trace.md", "docs/roadmap.mmd"],
            str(tmp_path_factory.getbasetemp() / "kept"),
            complete=False,
        )
        == []
    )


def test_a_trace_of_hostile_titles_stays_one_table(tmp_path: Path) -> None:
    tasks = tmp_path / "docs" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "T-001.yaml").write_text(
        'title: "a | b ](http://evil) <script> `x"\nstories: []\naccept: {run: ["a`|b", "c\\nd"]}\n'
    )
    trace.generate_trace(str(tmp_path))
    (row,) = [
        line
        for line in (tmp_path / "docs" / "trace.md").read_text().splitlines()
        if "T-001" in line
    ]
    assert row == (
        r"| — | — |   | — | [T-001](tasks/T-001.yaml) a \| b \](http://evil) \<script\> \`x | — | `a'\|b c d` |   |"
    )


def test_the_gantt_draws_all_milestones_one_after_the_other(tmp_path: Path) -> None:
    plan = trace.read_plan(str(TOOLSHED))
    text = trace.gantt(plan)
    assert [
        line.split("section ")[1] for line in text.splitlines() if "section" in line
    ] == list(plan.milestones)
    assert "2 tasks (7 h) :poc, 2024-01-01, 4d" in text
    assert "1 task (4 h) :release, after beta, 5d" in text
    with Drawer() as drawer:
        assert drawer.draw(text).error == ""

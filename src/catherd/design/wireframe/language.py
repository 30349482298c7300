"""The wireframe language of docs/ux/screens.yaml: read, checked for shape, taken apart.

`docs/handbook/document.md` describes it. What a person got wrong becomes a `Problem`; nothing here raises.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from catherd.bus.yaml_read import Document

MADE = "made by catherd from screens.yaml; edit that"
WIDTHS = {"phone": 390, "desktop": 960, "terminal": 800}
COMMON = {"id", "goes", "does"}
TEXTS = {
    "bar": set(), "heading": set(), "text": set(), "note": {"tone"}, "input": {"value", "hint", "lines"},
    "select": {"value"}, "check": {"on"}, "button": {"primary"}, "link": set(), "image": {"height"},
    "chart": {"values"}, "loading": set(),
}  # fmt: skip
OTHERS: dict[str, set[str]] = {
    "list": set(), "table": set(), "tabs": {"on"}, "grid": set(), "terminal": set(), "row": {"share"}, "box": {"title"},
}  # fmt: skip
KINDS: dict[str, set[str]] = {**TEXTS, **OTHERS}
Keys = tuple[str | int, ...]


class Element(NamedTuple):
    """One thing on a screen: its kind, the value as written, its options, where it stands, what is in it."""

    kind: str
    value: Any
    options: dict[str, Any]
    keys: Keys
    children: list["Element"]

    @property
    def label(self) -> str:
        """What a person would call it."""
        value = self.value
        if isinstance(value, str):
            return value
        return str(self.options.get("title") or self.kind)


class Screen(NamedTuple):
    """A screen; a state that is None is drawn by hand."""

    ident: str
    title: str
    stories: list[str]
    states: dict[str, list[Element] | None]
    keys: Keys


class Problem(NamedTuple):
    """What is wrong with the shape of the file, and where; `rule` is missing, unknown or wrong."""

    keys: Keys
    rule: str
    what: str


class Screens(NamedTuple):
    """The whole file. What could not be understood is in `problems` and nowhere else."""

    title: str
    canvas: str
    screens: list[Screen]
    problems: list[Problem]


class Arrow(NamedTuple):
    """Something on a screen's state leads to a screen (and a state, or "")."""

    screen: str
    state: str
    target: str
    target_state: str
    label: str
    keys: Keys


def parse_screens(doc: Document) -> Screens:
    """The screens in `doc`; never raises for what a person wrote."""
    problems: list[Problem] = []
    data = doc.data if isinstance(doc.data, dict) else {}
    if not data:
        problems.append(
            Problem((), "wrong", "expected `title:`, `canvas:` and `screens:`")
        )
    problems.extend(
        _unknown(data, {"title", "canvas", "screens", "catherd"}, (), "the file")
    )
    title = _text(data, "title", (), problems)
    canvas = data.get("canvas", "phone")
    if canvas not in WIDTHS:
        problems.append(
            Problem(
                ("canvas",),
                "wrong",
                f"canvas: '{canvas}' is none of {', '.join(WIDTHS)}",
            )
        )
        canvas = "phone"
    rows = data.get("screens")
    if data and (not isinstance(rows, list) or not rows):
        problems.append(
            Problem(
                ("screens",), "missing", "`screens:` is a list of at least one screen"
            )
        )
    found = [
        _screen(row, ("screens", n), problems)
        for n, row in enumerate(rows if isinstance(rows, list) else [])
    ]
    return Screens(title, canvas, [screen for screen in found if screen], problems)


def _text(data: dict[str, Any], key: str, keys: Keys, problems: list[Problem]) -> str:
    value = data.get(key)
    if value is None:
        problems.append(Problem(keys, "missing", f"the key `{key}` is missing"))
    elif (
        not isinstance(value, (str, int, float))
        or isinstance(value, bool)
        or not str(value).strip()
    ):
        problems.append(Problem((*keys, key), "wrong", f"{key}: text is expected"))
    else:
        return str(value)
    return ""


def _unknown(
    row: dict[str, Any], known: set[str], keys: Keys, of: str
) -> Iterator[Problem]:
    for key in row:
        if key not in known:
            yield Problem(
                (*keys, key), "unknown", f"the key `{key}` of {of} is not known"
            )


def _screen(row: Any, keys: Keys, problems: list[Problem]) -> Screen | None:
    if not isinstance(row, dict):
        problems.append(
            Problem(
                keys, "wrong", "a screen has `id:`, `title:`, `stories:` and `states:`"
            )
        )
        return None
    problems.extend(
        _unknown(row, {"id", "title", "stories", "states"}, keys, "a screen")
    )
    ident = _text(row, "id", keys, problems)
    if ident and not re.fullmatch(r"SCR-\d{3,}", ident):
        problems.append(
            Problem((*keys, "id"), "wrong", f"'{ident}' is no id like SCR-001")
        )
    stories = row.get("stories")
    if not isinstance(stories, list) or not all(
        isinstance(story, str) for story in stories
    ):
        problems.append(
            Problem(
                (*keys, "stories"), "missing", "`stories:` is a list of ids like US-001"
            )
        )
        stories = []
    states = row.get("states")
    if not isinstance(states, dict) or not states:
        problems.append(
            Problem(
                (*keys, "states"),
                "missing",
                "`states:` maps at least one state to its elements",
            )
        )
        states = {}
    made: dict[str, list[Element] | None] = {}
    for name, body in states.items():
        at = (*keys, "states", name)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            problems.append(
                Problem(at, "wrong", f"the state '{name}' is no lower-case word")
            )
        elif body == "drawn":
            made[name] = None
        else:
            made[name] = _elements(body, at, problems, nested=False)
    return Screen(ident, _text(row, "title", keys, problems), stories, made, keys)


def _elements(
    body: Any, keys: Keys, problems: list[Problem], *, nested: bool
) -> list[Element]:
    if not isinstance(body, list) or not body:
        problems.append(
            Problem(
                keys, "wrong", "a list of elements is expected, or the word `drawn`"
            )
        )
        return []
    found = (
        _element(item, (*keys, n), problems, nested=nested)
        for n, item in enumerate(body)
    )
    return [element for element in found if element]


def _element(
    item: Any, keys: Keys, problems: list[Problem], *, nested: bool
) -> Element | None:
    kinds = [key for key in item if key in KINDS] if isinstance(item, dict) else []
    if len(kinds) != 1:
        what = (
            f"{' and '.join(kinds)} in one element"
            if kinds
            else f"no kind of element among {', '.join(KINDS)}"
        )
        problems.append(Problem(keys, "wrong", what))
        return None
    kind = kinds[0]
    allowed = KINDS[kind] | (COMMON if kind not in {"row", "box"} else set())
    options = {key: value for key, value in item.items() if key != kind}
    problems.extend(_unknown(options, allowed, keys, kind))
    value, children = item[kind], []
    if kind in TEXTS:
        value = _text(item, kind, keys, problems)
    elif kind in {"row", "box"}:
        if kind == "row" and nested:
            problems.append(
                Problem(keys, "wrong", "a row within a row or a box of a row")
            )
            return None
        children = _elements(
            value, (*keys, kind), problems, nested=nested or kind == "row"
        )
    else:
        why = _compound(kind, value)
        if why:
            problems.append(Problem((*keys, kind), "wrong", f"{kind}: {why}"))
            return None
    problems.extend(
        Problem((*keys, key), "wrong", f"{key}: {why}")
        for key, why in _options(options)
    )
    return Element(kind, value, options, keys, children)


def _words(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(v, (str, int, float)) for v in value)
    )


def _compound(kind: str, value: Any) -> str:
    """What is wrong with the value of an element that is no plain text; "" when nothing is."""
    if kind == "list":
        fine = isinstance(value, list) and bool(value)
        for item in value if fine else ():
            if isinstance(item, dict):
                fine = (
                    fine
                    and isinstance(item.get("text"), str)
                    and set(item) <= {"text", "note", *COMMON}
                )
            else:
                fine = fine and isinstance(item, (str, int, float))
        return "" if fine else "strings or {text, note, goes, does, id} are expected"
    if kind == "table":
        columns = value.get("columns") if isinstance(value, dict) else None
        rows = value.get("rows") if isinstance(value, dict) else None
        if not _words(columns) or not isinstance(rows, list) or columns is None:
            return "{columns: [...], rows: [[...], …]} is expected"
        return (
            ""
            if all(_words(r) and len(r) == len(columns) for r in rows)
            else "a row has not as many cells as columns"
        )
    if not _words(value):
        return "a list of strings is expected"
    if kind == "grid" and len({len(str(row)) for row in value}) != 1:
        return "the rows are not equally long"
    return ""


def _options(options: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in options.items():
        number = isinstance(value, int) and not isinstance(value, bool)
        if key == "tone" and value not in {"info", "good", "bad"}:
            yield key, f"'{value}' is none of info, good, bad"
        elif key == "lines" and not (number and 1 <= value <= 8):
            yield key, "a number from 1 to 8 is expected"
        elif key == "height" and not (number and 40 <= value <= 600):
            yield key, "a number from 40 to 600 is expected"
        elif key in {"goes", "does", "id", "title"} and not isinstance(value, str):
            yield key, "text is expected"
        elif key in {"values", "share"} and not (
            isinstance(value, list)
            and value
            and all(isinstance(v, (int, float)) and v >= 0 for v in value)
        ):
            yield key, "a list of numbers is expected"


def walk_elements(elements: list[Element]) -> Iterator[Element]:
    """Every element, outer before inner."""
    for element in elements:
        yield element
        yield from walk_elements(element.children)


def arrows(screens: list[Screen]) -> Iterator[Arrow]:
    """Every `goes`, in reading order."""
    for screen in screens:
        for state, elements in screen.states.items():
            for element in walk_elements(elements or []):
                for goes, label, keys in _leads(element):
                    target, _, wanted = goes.partition(".")
                    yield Arrow(screen.ident, state, target, wanted, label, keys)


def _leads(element: Element) -> Iterator[tuple[str, str, Keys]]:
    goes, does = element.options.get("goes"), element.options.get("does")
    if isinstance(goes, str):
        back = "back" if element.kind == "bar" else element.label
        yield goes, str(does or back), (*element.keys, "goes")
    if element.kind == "list":
        for n, item in enumerate(element.value):
            if isinstance(item, dict) and isinstance(item.get("goes"), str):
                yield (
                    item["goes"],
                    str(item.get("does") or item["text"]),
                    (*element.keys, "list", n, "goes"),
                )

"""The wireframe language of docs/ux/screens.yaml: read, checked for shape, taken apart.

`docs/handbook/document.md` describes it. A person's mistake becomes a `Problem`.
Nothing here raises.
"""

import re
from collections.abc import Callable, Iterator
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
GROUPS = {"row", "box"}  # elements that hold others
_LARGEST = 1e15  # what is drawn to scale: sums of it stay numbers
Keys = tuple[str | int, ...]


class Element(NamedTuple):
    """One thing on a screen: its kind, the value as written, its options.

    An option whose value is wrong is left out. `keys` is where it stands in the file;
    `children` are the elements in it.
    """

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
    """What is wrong with the shape of the file, and where.

    `rule` is missing, unknown or wrong.
    """

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
        what = "expected `title:`, `canvas:` and `screens:`"
        problems.append(Problem((), "wrong", what))
    known = {"title", "canvas", "screens", "catherd"}
    problems.extend(_unknown(data, known, (), "the file"))
    title = _text(data, "title", (), problems)
    canvas = _canvas(data, problems)
    found = []
    for n, row in enumerate(_rows(data, problems)):
        screen = _screen(row, ("screens", n), problems)
        if screen:
            found.append(screen)
    return Screens(title, canvas, found, problems)


def _canvas(data: dict[str, Any], problems: list[Problem]) -> str:
    """The canvas that the file names; a phone when it names none that is known."""
    canvas = data.get("canvas", "phone")
    if isinstance(canvas, str) and canvas in WIDTHS:
        return canvas
    what = f"canvas: '{canvas}' is none of {', '.join(WIDTHS)}"
    problems.append(Problem(("canvas",), "wrong", what))
    return "phone"


def _rows(data: dict[str, Any], problems: list[Problem]) -> list[Any]:
    """The screens as they were written."""
    rows = data.get("screens")
    if isinstance(rows, list) and rows:
        return rows
    if data:
        what = "`screens:` is a list of at least one screen"
        problems.append(Problem(("screens",), "missing", what))
    return []


def _text(data: dict[str, Any], key: str, keys: Keys, problems: list[Problem]) -> str:
    """The text under `key`, "" and a problem when there is none."""
    value = data.get(key)
    if value is None:
        what = f"the key `{key}` is missing"
        problems.append(Problem(keys, "missing", what))
        return ""

    text = str(value) if _scalar(value) and not isinstance(value, bool) else ""
    if not text.strip():
        what = f"{key}: text is expected"
        problems.append(Problem((*keys, key), "wrong", what))
        return ""
    return text


def _unknown(
    row: dict[str, Any], known: set[str], keys: Keys, of: str
) -> Iterator[Problem]:
    """The keys of `row` that are not `known`."""
    for key in row:
        if key not in known:
            yield Problem(
                (*keys, key),
                "unknown",
                f"the key `{key}` of {of} is not known",
            )


def _screen(row: Any, keys: Keys, problems: list[Problem]) -> Screen | None:
    """A screen, or None when it is no mapping."""
    if not isinstance(row, dict):
        what = "a screen has `id:`, `title:`, `stories:` and `states:`"
        problems.append(Problem(keys, "wrong", what))
        return None
    known = {"id", "title", "stories", "states"}
    problems.extend(_unknown(row, known, keys, "a screen"))

    ident = _text(row, "id", keys, problems)
    if ident and not re.fullmatch(r"SCR-\d{3,}", ident):
        what = f"'{ident}' is no id like SCR-001"
        problems.append(Problem((*keys, "id"), "wrong", what))

    stories = _stories(row, keys, problems)
    states = _states(row, keys, problems)
    title = _text(row, "title", keys, problems)
    return Screen(ident, title, stories, states, keys)


def _stories(row: dict[str, Any], keys: Keys, problems: list[Problem]) -> list[str]:
    """The ids of a screen's stories."""
    stories = row.get("stories")
    if isinstance(stories, list) and all(isinstance(one, str) for one in stories):
        return stories
    what = "`stories:` is a list of ids like US-001"
    problems.append(Problem((*keys, "stories"), "missing", what))
    return []


def _states(
    row: dict[str, Any], keys: Keys, problems: list[Problem]
) -> dict[str, list[Element] | None]:
    """A screen's states with their elements, or None for one that is drawn by hand."""
    states = row.get("states")
    if not isinstance(states, dict) or not states:
        what = "`states:` maps at least one state to its elements"
        problems.append(Problem((*keys, "states"), "missing", what))
        return {}
    made: dict[str, list[Element] | None] = {}
    for name, body in states.items():
        at = (*keys, "states", name)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            what = f"the state '{name}' is no lower-case word"
            problems.append(Problem(at, "wrong", what))
        elif body == "drawn":
            made[name] = None
        else:
            made[name] = _elements(body, at, problems, nested=False)
    return made


def _elements(
    body: Any, keys: Keys, problems: list[Problem], *, nested: bool
) -> list[Element]:
    """The elements of a state, a row or a box; `nested` within a row."""
    if not isinstance(body, list) or not body:
        what = "a list of elements is expected, or the word `drawn`"
        problems.append(Problem(keys, "wrong", what))
        return []
    found = []
    for n, item in enumerate(body):
        element = _element(item, (*keys, n), problems, nested=nested)
        if element:
            found.append(element)
    return found


def _element(
    item: Any, keys: Keys, problems: list[Problem], *, nested: bool
) -> Element | None:
    """One element, or None when it is not understood."""
    kind = _kind(item, keys, problems)
    if not kind:
        return None
    options = {key: value for key, value in item.items() if key != kind}
    common = set() if kind in GROUPS else COMMON
    problems.extend(_unknown(options, KINDS[kind] | common, keys, kind))
    value, children = item[kind], []
    if kind in TEXTS:
        value = _text(item, kind, keys, problems)
    elif kind == "row" and nested:
        what = "a row within a row or a box of a row"
        problems.append(Problem(keys, "wrong", what))
        return None
    elif kind in GROUPS:
        within = nested or kind == "row"
        children = _elements(value, (*keys, kind), problems, nested=within)
    else:
        why = _SHAPES[kind](value)
        if why:
            problems.append(Problem((*keys, kind), "wrong", f"{kind}: {why}"))
            return None
    for key, why in _wrong_options(kind, options):
        problems.append(Problem((*keys, key), "wrong", f"{key}: {why}"))
        # a picture is made of this element even so: for the page
        del options[key]
    return Element(kind, value, options, keys, children)


def _kind(item: Any, keys: Keys, problems: list[Problem]) -> str:
    """The one kind that an element is of, "" and a problem when it is not one."""
    kinds = [key for key in item if key in KINDS] if isinstance(item, dict) else []
    if len(kinds) == 1:
        return str(kinds[0])
    what = f"no kind of element among {', '.join(KINDS)}"
    if kinds:
        what = f"{' and '.join(kinds)} in one element"
    problems.append(Problem(keys, "wrong", what))
    return ""


def _scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _scalars(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_scalar, value))


def _wrong_words(value: Any) -> str:
    """Why a value is no list of words, or "" when it is one."""
    return "" if _scalars(value) else "a list of strings is expected"


def _wrong_list(value: Any) -> str:
    """Why a value is no list of rows, or "" when it is one."""
    if isinstance(value, list) and value and all(map(_is_row, value)):
        return ""
    return "strings or {text, note, goes, does, id} are expected"


def _is_row(item: Any) -> bool:
    """Whether an item is a row of a list."""
    if not isinstance(item, dict):
        return _scalar(item)
    return isinstance(item.get("text"), str) and set(item) <= {"text", "note", *COMMON}


def _wrong_table(value: Any) -> str:
    """Why a value is no table, or "" when it is one."""
    wanted = "{columns: [...], rows: [[...], …]} is expected"
    if not isinstance(value, dict):
        return wanted

    columns, rows = value.get("columns"), value.get("rows")
    if not isinstance(columns, list) or not _scalars(columns):
        return wanted
    if not isinstance(rows, list):
        return wanted

    for row in rows:
        if not _scalars(row) or len(row) != len(columns):
            return "a row has not as many cells as columns"
    return ""


def _wrong_grid(value: Any) -> str:
    """Why a value is no grid of characters, or "" when it is one."""
    if not _scalars(value):
        return "a list of strings is expected"
    lengths = {len(str(row)) for row in value}
    return "" if len(lengths) == 1 else "the rows are not equally long"


_SHAPES: dict[str, Callable[[Any], str]] = {
    "list": _wrong_list,
    "table": _wrong_table,
    "grid": _wrong_grid,
    "tabs": _wrong_words,
    "terminal": _wrong_words,
}


class _Option(NamedTuple):
    """What the value of an option must be; `{value}` in the words is what it is."""

    fits: Callable[[Any], bool]
    wanted: str


def _tone(value: Any) -> bool:
    return value in ("info", "good", "bad")


def _text_value(value: Any) -> bool:
    return isinstance(value, str)


def _lines(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 8


def _height(value: Any) -> bool:
    return type(value) is int and 40 <= value <= 600


def _tab(value: Any) -> bool:
    """Whether a value can be the number of a tab; "1" and true are taken for 1."""
    if isinstance(value, str):
        return value.isdecimal()
    return value is None or isinstance(value, int)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_number, value))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= _LARGEST


# by the option's name, or by `kind.option` where it means another thing for a kind
_OPTIONS = {
    "tone": _Option(_tone, "'{value}' is none of info, good, bad"),
    "lines": _Option(_lines, "a number from 1 to 8 is expected"),
    "height": _Option(_height, "a number from 40 to 600 is expected"),
    "tabs.on": _Option(_tab, "a whole number is expected"),
    "goes": _Option(_text_value, "text is expected"),
    "does": _Option(_text_value, "text is expected"),
    "id": _Option(_text_value, "text is expected"),
    "title": _Option(_text_value, "text is expected"),
    "values": _Option(_numbers, "a list of numbers is expected"),
    "share": _Option(_numbers, "a list of numbers is expected"),
}


def _wrong_options(kind: str, options: dict[str, Any]) -> list[tuple[str, str]]:
    """The options of an element whose values are wrong, each with the reason."""
    found = []
    for key, value in options.items():
        option = _OPTIONS.get(f"{kind}.{key}") or _OPTIONS.get(key)
        if option and not option.fits(value):
            found.append((key, option.wanted.format(value=value)))
    return found


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
    """(goes, label, place) of an element itself, then of the rows of a list."""
    goes = element.options.get("goes")
    if isinstance(goes, str):
        named = "back" if element.kind == "bar" else element.label
        label = element.options.get("does") or named
        yield goes, str(label), (*element.keys, "goes")

    rows = element.value if element.kind == "list" else []
    for n, row in enumerate(rows):
        goes = row.get("goes") if isinstance(row, dict) else None
        if isinstance(goes, str):
            label = row.get("does") or row["text"]
            yield goes, str(label), (*element.keys, "list", n, "goes")

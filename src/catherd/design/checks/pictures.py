"""Hand-drawn and compiled pictures of screens: SVG and Excalidraw."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any, NamedTuple

from catherd.design.checks import shape
from catherd.design.checks.adapters import pixels
from catherd.design.checks.adapters.mermaid import Drawer
from catherd.design.checks.finding import Facts

_SVG = "{http://www.w3.org/2000/svg}"
_FORBIDDEN = {
    "script",
    "foreignobject",
    "iframe",
    "object",
    "embed",
    "audio",
    "video",
    "handler",
}
_MOVES = {"set", "animate"}  # dangerous only where they change a link
_EMBEDDED = re.compile(r"#|data:image/(?:png|jpeg|gif|webp);")
_LOADS = re.compile(r"url\(\s*['\"]?(?!#|data:image/)[^)]|@import", re.IGNORECASE)


def check_svg(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/ux/SCR-*.svg: safe to show, not blank."""
    root = _parsed(facts, text)
    if root is None:
        return
    before = len(facts.findings)
    _safe(facts, text, root)
    _described(facts, text, root)
    if len(facts.findings) == before:
        _measure(facts, text)


def _parsed(facts: Facts, text: str) -> ET.Element | None:
    """The root of the picture; None, with the reason noted, when it is no SVG."""
    doctype = re.search(r"<!(?:DOCTYPE|ENTITY)", text, re.IGNORECASE)
    if doctype:
        place = _place(text, doctype.start())
        facts.say("SVG202", "a DTD is not taken: remove the DOCTYPE", *place)
        return None
    try:
        root = ET.fromstring(text)  # noqa: S314 - no DTD, so no entities to expand
    except ET.ParseError as error:
        line, col = error.position
        facts.say("SVG201", f"not XML: {error}", line, col + 1)
        return None
    if root.tag != f"{_SVG}svg":
        facts.say(
            "SVG201",
            'the root is no <svg xmlns="http://www.w3.org/2000/svg">',
            1,
            1,
        )
        return None
    return root


def _described(facts: Facts, text: str, root: ET.Element) -> None:
    """The picture has a viewBox, a title and a word in it."""
    top = _place(text, text.find("<svg"))
    if "viewBox" not in root.attrib:
        facts.say("SVG205", "the viewBox is missing", *top)
    title = root.find(f"{_SVG}title")
    if title is None or not (title.text or "").strip():
        facts.say("SVG206", "the <title> is missing: what does it show?", *top)

    texts = [element for element in root.iter() if _local(element.tag) == "text"]
    words = ["".join(element.itertext()).strip() for element in texts]
    if not any(words):
        facts.say("SVG209", "there is no text in the picture", 1, 1)


def _local(tag: Any) -> str:
    """A name without its namespace, in lower case, or "" for a comment."""
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def _place(text: str, at: int) -> tuple[int, int]:
    """(line, col) of an offset; the first place for -1."""
    at = max(at, 0)
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def _safe(facts: Facts, text: str, root: ET.Element) -> None:
    """Nothing in the picture runs, and nothing loads from elsewhere."""
    for element in root.iter():
        name = _local(element.tag)
        if _runs(name, element):
            found = re.search(rf"<(?:\w+:)?{name}\b", text, re.IGNORECASE)
            place = _place(text, found.start() if found else 0)
            facts.say("SVG203", f"<{name}> is not taken in a picture", *place)

        for key, value in element.attrib.items():
            place = _place(text, text.find(value))
            _safe_attribute(facts, _local(key), value, place)

        if name == "style" and _LOADS.search(element.text or ""):
            place = _place(text, text.find("<style"))
            facts.say("SVG204", "the style loads something", *place)


def _runs(name: str, element: ET.Element) -> bool:
    """Whether an element can run a program."""
    if name in _MOVES:
        return "href" in " ".join(element.attrib)
    return name in _FORBIDDEN


def _safe_attribute(
    facts: Facts, name: str, value: str, place: tuple[int, int]
) -> None:
    shown = value[:60]
    if name.startswith("on"):
        facts.say("SVG203", f"the attribute {name} runs a program", *place)
    elif name in {"href", "src"} and not _EMBEDDED.match(value.strip()):
        facts.say("SVG204", f"{name}={shown} leads out of the file", *place)
    elif _LOADS.search(value):
        facts.say("SVG204", f"{name} loads something: {shown}", *place)


def _measure(facts: Facts, text: str) -> None:
    """There is something to see when the picture is drawn."""
    try:
        found = pixels.measure(text)
    except pixels.Missing as missing:
        facts.cannot_look(str(missing))
        return
    except (ValueError, OverflowError) as error:
        facts.say("SVG201", f"cannot be drawn: {error}", 1, 1)
        return
    if found.ink < 0.01:
        facts.say("SVG207", f"the picture is blank: {found.ink:.1%} ink", 1, 1)
    elif found.colours < 3:
        facts.say("SVG208", f"{found.colours} colours; a mock-up has at least 3", 1, 1)


def excalidraw(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/ux/SCR-*.excalidraw: a scene with unique ids and no target missing."""
    try:
        data = json.loads(text)
    except ValueError as error:
        line, col = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        facts.say("EXC201", f"not JSON: {error}", line, col)
        return
    try:
        errors = list(shape.validator("excalidraw").iter_errors(data))
    except ImportError:
        facts.cannot_look("jsonschema is not here to look: pip install 'catherd[plan]'")
        return
    for wrong in errors[:10]:
        where = ".".join(str(part) for part in wrong.absolute_path)
        facts.say(
            "EXC202",
            f"{where}: {wrong.message}"[:200].lstrip(": "),
            _line_of_error(text, data, wrong),
            1,
        )
    if not errors:
        _unique_ids(facts, text, data["elements"])
        _targets_there(facts, text, data["elements"])


def _line_of_error(text: str, data: Any, error: Any) -> int:
    """The line of the id of the element that a complaint is about, else 1."""
    path = list(error.absolute_path)
    if len(path) < 2 or path[0] != "elements":
        return 1
    element = data["elements"][path[1]]
    return _line_of_id(text, element.get("id") if isinstance(element, dict) else None)


def _line_of_id(text: str, ident: Any, nth: int = 0) -> int:
    """The line of the nth element with this id, or 1 when it is written otherwise."""
    pattern = rf'"id"\s*:\s*{re.escape(json.dumps(ident, ensure_ascii=False))}'
    found = list(re.finditer(pattern, text))
    return _place(text, found[nth].start())[0] if nth < len(found) else 1


def _unique_ids(facts: Facts, text: str, elements: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for element in elements:
        ident = element["id"]
        if ident in seen:
            line = _line_of_id(text, ident, 1)
            facts.say("EXC203", f"the id {ident} stands here twice", line, 1)
        seen.add(ident)


class _Target(NamedTuple):
    """An element that another one names under `key`."""

    key: str
    ident: Any
    frame: bool = False  # it must be a frame


def _targets_there(facts: Facts, text: str, elements: list[dict[str, Any]]) -> None:
    """Each binding, container and frame that an element names is there."""
    kinds = {element["id"]: element["type"] for element in elements}
    for element in elements:
        for target in _targets(element):
            there = target.ident in kinds
            if target.frame and there:
                there = kinds[target.ident] in {"frame", "magicframe"}
            if target.ident is not None and not there:
                ident = element["id"]
                facts.say(
                    "EXC204",
                    f"{ident}: {target.key} names {target.ident}, which is not there",
                    _line_of_id(text, ident),
                    1,
                )


def _targets(element: dict[str, Any]) -> Iterator[_Target]:
    """The elements that one names."""
    yield _Target("containerId", element.get("containerId"))
    yield _Target("frameId", element.get("frameId"), frame=True)
    for key in ("startBinding", "endBinding"):
        binding = element.get(key)
        if isinstance(binding, dict):
            yield _Target(key, binding.get("elementId"))
    for bound in element.get("boundElements") or []:
        yield _Target("boundElements", bound.get("id"))

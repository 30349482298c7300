"""Hand-drawn and compiled pictures of screens: SVG and Excalidraw."""

import functools
import json
import os
import re
import xml.etree.ElementTree as ET
from typing import Any

from catherd.design.checks import pixels
from catherd.design.checks.finding import Facts
from catherd.design.checks.mermaid import Drawer
from catherd.design.checks.shape import FOLDER
from catherd.design.checks.tools import need

_FORBIDDEN = {
    "script",
    "foreignobject",
    "iframe",
    "object",
    "embed",
    "audio",
    "video",
    "handler",
    "set",
    "animate",
}


def check_svg(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/ux/SCR-*.svg: safe to show, not blank."""
    doctype = re.search(r"<!(?:DOCTYPE|ENTITY)", text, re.IGNORECASE)
    if doctype:
        facts.say(
            "SVG202",
            "a DTD is not taken: remove the DOCTYPE",
            *_place(text, doctype.start()),
        )
        return
    try:
        root = ET.fromstring(text)  # noqa: S314 - no DTD, so no entities to expand
    except ET.ParseError as error:
        line, col = error.position
        facts.say("SVG201", f"not XML: {error}", line, col + 1)
        return
    if root.tag != "{http://www.w3.org/2000/svg}svg":
        facts.say(
            "SVG201", 'the root is no <svg xmlns="http://www.w3.org/2000/svg">', 1, 1
        )
        return
    before = len(facts.findings)
    _safe(facts, text, root)
    if "viewBox" not in root.attrib:
        facts.say("SVG205", "the viewBox is missing", *_place(text, text.find("<svg")))
    title = root.find("{http://www.w3.org/2000/svg}title")
    if title is None or not (title.text or "").strip():
        facts.say(
            "SVG206",
            "the <title> is missing: what does it show?",
            *_place(text, text.find("<svg")),
        )
    words = [
        e
        for e in root.iter()
        if _local(e.tag) == "text" and "".join(e.itertext()).strip()
    ]
    if not words:
        facts.say("SVG209", "there is no text in the picture", 1, 1)
    if len(facts.findings) == before:
        _measure(facts, text)


def _local(tag: Any) -> str:
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def _place(text: str, at: int) -> tuple[int, int]:
    at = max(at, 0)
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def _safe(facts: Facts, text: str, root: ET.Element) -> None:
    for element in root.iter():
        name = _local(element.tag)
        if name in _FORBIDDEN and not (
            name in {"set", "animate"} and "href" not in " ".join(element.attrib)
        ):
            found = re.search(rf"<(?:\w+:)?{name}\b", text, re.IGNORECASE)
            facts.say(
                "SVG203",
                f"<{name}> is not taken in a picture",
                *_place(text, found.start() if found else 0),
            )
        for key, value in element.attrib.items():
            attribute = _local(key)
            at = _place(text, text.find(value))
            if attribute.startswith("on"):
                facts.say("SVG203", f"the attribute {attribute} runs a program", *at)
            elif attribute in {"href", "src"} and not re.match(
                r"#|data:image/(?:png|jpeg|gif|webp);", value.strip()
            ):
                facts.say(
                    "SVG204", f"{attribute}={value[:60]} leads out of the file", *at
                )
            elif _loads(value):
                facts.say("SVG204", f"{attribute} loads something: {value[:60]}", *at)
        if name == "style" and _loads(element.text or ""):
            facts.say(
                "SVG204",
                "the style loads something",
                *_place(text, text.find("<style")),
            )


def _loads(value: str) -> bool:
    return bool(
        re.search(r"url\(\s*['\"]?(?!#|data:image/)[^)]|@import", value, re.IGNORECASE)
    )


def _measure(facts: Facts, text: str) -> None:
    try:
        found = pixels.measure(text)
    except pixels.Missing as missing:
        facts.say("DOC090", str(missing), 1, 1, severity="unknown")
        return
    except (ValueError, OverflowError) as error:
        facts.say("SVG201", f"cannot be drawn: {error}", 1, 1)
        return
    if found.ink < 0.01:
        facts.say("SVG207", f"the picture is blank: {found.ink:.1%} ink", 1, 1)
    elif found.colours < 3:
        facts.say("SVG208", f"{found.colours} colours; a mock-up has at least 3", 1, 1)


@functools.cache
def _scene() -> Any:
    import jsonschema

    with open(os.path.join(FOLDER, "excalidraw.schema.json"), encoding="utf-8") as file:
        return jsonschema.Draft202012Validator(json.load(file))


def excalidraw(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/ux/SCR-*.excalidraw: of the right shape, ids unique, every binding, container and frame there."""
    try:
        data = json.loads(text)
    except ValueError as error:
        line, col = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        facts.say("EXC201", f"not JSON: {error}", line, col)
        return
    try:
        need("jsonschema")
        errors = list(_scene().iter_errors(data))
    except ImportError:
        facts.say(
            "DOC090",
            "jsonschema is not here to look: pip install 'catherd[plan]'",
            1,
            1,
            severity="unknown",
        )
        return
    for wrong in errors[:10]:
        where = ".".join(str(part) for part in wrong.absolute_path)
        facts.say(
            "EXC202",
            f"{where}: {wrong.message}"[:200].lstrip(": "),
            _line(text, data, wrong),
            1,
        )
    if not errors:
        _bindings(facts, text, data["elements"])


def _line(text: str, data: Any, error: Any) -> int:
    """The line of the id of the element that a complaint is about, else 1."""
    path = list(error.absolute_path)
    if len(path) > 1 and path[0] == "elements":
        element = data["elements"][path[1]]
        return _at(text, element.get("id") if isinstance(element, dict) else None)
    return 1


def _at(text: str, ident: Any, nth: int = 0) -> int:
    """The line of the nth place where something has this id; 1 when it is written in another way."""
    pattern = rf'"id"\s*:\s*{re.escape(json.dumps(ident, ensure_ascii=False))}'
    found = list(re.finditer(pattern, text))[nth : nth + 1]
    return _place(text, found[0].start())[0] if found else 1


def _bindings(facts: Facts, text: str, elements: list[dict[str, Any]]) -> None:
    kinds: dict[str, str] = {}
    for element in elements:
        if element["id"] in kinds:
            facts.say(
                "EXC203",
                f"the id {element['id']} stands here twice",
                _at(text, element["id"], 1),
                1,
            )
        kinds[element["id"]] = element["type"]
    for element in elements:
        wanted = [
            ("containerId", element.get("containerId"), ""),
            ("frameId", element.get("frameId"), "frame"),
        ]
        for key in ("startBinding", "endBinding"):
            binding = element.get(key)
            wanted.append(
                (
                    key,
                    binding.get("elementId") if isinstance(binding, dict) else None,
                    "",
                )
            )
        wanted += [
            ("boundElements", bound.get("id"), "")
            for bound in element.get("boundElements") or []
        ]
        for key, target, kind in wanted:
            if target is not None and (
                target not in kinds
                or (kind and kinds[target] not in {kind, "magicframe"})
            ):
                facts.say(
                    "EXC204",
                    f"{element['id']}: {key} names {target}, which is not there",
                    _at(text, element["id"]),
                    1,
                )

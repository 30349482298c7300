"""docs/ux/screens.yaml compiled to pictures and a map. The same text always compiles to the same bytes.

`generate(root)` writes docs/ux/SCR-001.filled.svg (a screen in a state), SCR-001.excalidraw (a screen, all states) and
map.mmd. The language is read in screendsl.py and described in docs/handbook/document.md.
"""

import os
import re
import tempfile

from catherd.bus.crashpoints import effect
from catherd.bus.yaml_read import loads, text_of
from catherd.core.errors import CatherdError
from catherd.design.wireframe import excalidraw, layout, shapes
from catherd.design.wireframe.language import (
    MADE,
    WIDTHS,
    Screen,
    arrows,
    parse_screens,
)

FILE = "docs/ux/screens.yaml"


def compiled(text: str) -> dict[str, str]:
    """File name (below docs/ux/) → content, for a screens.yaml. Raises CatherdError where its shape is wrong."""
    doc = loads(text, FILE)
    found = parse_screens(doc)
    wrong = [problem for problem in found.problems if problem.rule != "unknown"]
    if wrong:
        raise CatherdError(
            wrong[0].what,
            where=doc.where(*wrong[0].keys),
            fix="see docs/handbook/document.md",
        )
    made: dict[str, str] = {}
    for screen in found.screens:
        states = {
            name: body for name, body in screen.states.items() if body is not None
        }
        drawn = {
            name: layout.layout(body, WIDTHS[found.canvas])
            for name, body in states.items()
        }
        for name, picture in drawn.items():
            made[f"{screen.ident}.{name}.svg"] = shapes.render_svg(
                picture, f"{screen.ident} {screen.title}: {name}"
            )
        if drawn:
            made[f"{screen.ident}.excalidraw"] = excalidraw.scene(
                screen.ident, screen.title, drawn
            )
    made["map.mmd"] = sitemap(found.screens)
    return made


def sitemap(screens: list[Screen]) -> str:
    """A flowchart: which screen leads to which, the arrows labelled with what the user does."""
    labels: dict[tuple[str, str], list[str]] = {}
    for arrow in arrows(screens):
        if arrow.screen != arrow.target:
            said = labels.setdefault((arrow.screen, arrow.target), [])
            if arrow.label not in said:
                said.append(arrow.label)
    lines = [f"%% {MADE}", "flowchart LR"]
    lines += [
        f'  {s.ident.replace("-", "")}["{s.ident}<br>{_quoted(s.title)}"]'
        for s in screens
    ]
    for (start, end), said in labels.items():
        shown = " / ".join(_quoted(label[:40]) for label in said[:3]) + (
            " / …" if len(said) > 3 else ""
        )
        lines.append(
            f'  {start.replace("-", "")} -->|"{shown}"| {end.replace("-", "")}'
        )
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    text = " ".join(text.split()).replace("#", "#35;")
    for char, name in (
        ('"', "quot"),
        ("<", "lt"),
        (">", "gt"),
        ("`", "96"),
        ("|", "124"),
    ):
        text = text.replace(char, f"#{name};")
    return text


def generate_screens(root: str) -> list[str]:
    """Write what docs/ux/screens.yaml compiles to and remove what it no longer does; the paths that changed.

    Raises CatherdError when the file is not there or its shape is wrong.
    """
    try:
        made = compiled(text_of(os.path.join(root, FILE), FILE))
    except FileNotFoundError:
        raise CatherdError(
            "there are no screens yet",
            where=FILE,
            fix="write it: see docs/handbook/document.md",
        ) from None
    folder = os.path.join(root, "docs", "ux")
    changed = [
        f"docs/ux/{name}"
        for name, text in made.items()
        if write_picture(os.path.join(folder, name), text)
    ]
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if (
            re.fullmatch(r"SCR-\d+(\.[\w-]+)?\.(svg|excalidraw)", name)
            and name not in made
            and MADE in text_of(path)
        ):
            with effect("remove", f"docs/ux/{name}"):
                os.unlink(path)
            changed.append(f"docs/ux/{name}")
    return changed


def write_picture(path: str, text: str) -> bool:
    """Put `text` at `path` in one step unless it stands there already; whether it did not."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            if file.read() == text:
                return False
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fd, scratch = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".catherd.")
    with os.fdopen(fd, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.chmod(scratch, 0o644)
    with effect("write", os.path.basename(path)):
        os.replace(scratch, path)
    return True

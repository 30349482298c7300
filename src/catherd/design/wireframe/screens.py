"""docs/ux/screens.yaml compiled to pictures and a map.

The same text gives the same bytes.

`generate_screens(root)` writes docs/ux/SCR-001.filled.svg (a screen in a state),
SCR-001.excalidraw (a screen, all states) and map.mmd. The language is read in
language.py and described in docs/handbook/document.md.
"""

import os
import re
import tempfile

from catherd.bus.crashpoints import effect
from catherd.bus.yaml_read import loads, text_of
from catherd.core.errors import CatherdError
from catherd.design.wireframe import excalidraw, layout
from catherd.design.wireframe.language import (
    MADE,
    WIDTHS,
    Screen,
    arrows,
    parse_screens,
)
from catherd.design.wireframe.shapes import Picture, render_svg

FILE = "docs/ux/screens.yaml"


def compiled(text: str) -> dict[str, str]:
    """File name (below docs/ux/) → content, for a screens.yaml.

    Raises CatherdError where its shape is wrong.
    """
    doc = loads(text, FILE)
    found = parse_screens(doc)
    for problem in found.problems:
        if problem.rule != "unknown":
            raise CatherdError(
                problem.what,
                where=doc.where(*problem.keys),
                fix="see docs/handbook/document.md",
            )
    made: dict[str, str] = {}
    for screen in found.screens:
        made.update(_pictures(screen, WIDTHS[found.canvas]))
    made["map.mmd"] = sitemap(found.screens)
    return made


def _pictures(screen: Screen, width: float) -> dict[str, str]:
    """The files of one screen: an SVG for each state, and a scene with all of them."""
    made: dict[str, str] = {}
    drawn: dict[str, Picture] = {}

    for name, body in screen.states.items():
        if body is None:
            continue
        picture = layout.layout(body, width)
        title = f"{screen.ident} {screen.title}: {name}"
        made[f"{screen.ident}.{name}.svg"] = render_svg(picture, title)
        drawn[name] = picture

    if drawn:
        scene = excalidraw.scene(screen.ident, screen.title, drawn)
        made[f"{screen.ident}.excalidraw"] = scene
    return made


def sitemap(screens: list[Screen]) -> str:
    """A flowchart of the screens; an arrow's label says what the user does."""
    lines = [f"%% {MADE}", "flowchart LR"]

    for screen in screens:
        name = f"{screen.ident}<br>{_quoted(screen.title)}"
        lines.append(f'  {_node(screen.ident)}["{name}"]')

    for (start, end), said in _labels(screens).items():
        shown = [_quoted(label[:40]) for label in said[:3]]
        if len(said) > 3:
            shown.append("…")
        label = " / ".join(shown)
        lines.append(f'  {_node(start)} -->|"{label}"| {_node(end)}')

    return "\n".join(lines) + "\n"


def _labels(screens: list[Screen]) -> dict[tuple[str, str], list[str]]:
    """What leads from one screen to another, by (start, end); each label once."""
    labels: dict[tuple[str, str], list[str]] = {}
    for arrow in arrows(screens):
        if arrow.screen != arrow.target:
            said = labels.setdefault((arrow.screen, arrow.target), [])
            if arrow.label not in said:
                said.append(arrow.label)
    return labels


def _node(ident: str) -> str:
    """A screen's id as Mermaid takes it for the name of a node."""
    return ident.replace("-", "")


def _quoted(text: str) -> str:
    """Text that cannot leave the quotes of a Mermaid label."""
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
    """Write what docs/ux/screens.yaml compiles to; the paths that changed.

    A picture that it no longer compiles to is removed. Raises CatherdError when the
    file is not there or its shape is wrong.
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
    changed = []
    for name, text in made.items():
        if write_picture(os.path.join(folder, name), text):
            changed.append(f"docs/ux/{name}")
    for name in sorted(os.listdir(folder)):
        if name not in made and _made_before(folder, name):
            with effect("remove", f"docs/ux/{name}"):
                os.unlink(os.path.join(folder, name))
            changed.append(f"docs/ux/{name}")
    return changed


def _made_before(folder: str, name: str) -> bool:
    """Whether a file is a picture that was made here, and not drawn by hand."""
    if not re.fullmatch(r"SCR-\d+(\.[\w-]+)?\.(svg|excalidraw)", name):
        return False
    return MADE in text_of(os.path.join(folder, name))


def write_picture(path: str, text: str) -> bool:
    """Put `text` at `path` in one step; whether that changed anything."""
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

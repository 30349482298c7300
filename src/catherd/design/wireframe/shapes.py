"""What a picture is made of, and how it is written as SVG: deterministic, self-contained, nothing that runs or loads."""

import re
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from catherd.design.wireframe.language import MADE, Element, Keys
from catherd.design.wireframe.letters import pixel_width, wrap_pixels

PAD, GAP, SIZE = 20.0, 14.0, 15.0
INK, SOFT, LINE, PALE, PAPER, ACCENT = (
    "#1e293b",
    "#64748b",
    "#cbd5e1",
    "#f1f5f9",
    "#ffffff",
    "#1d4ed8",
)
TONES = {
    "info": ("#eff6ff", "#1d4ed8"),
    "good": ("#ecfdf5", "#047857"),
    "bad": ("#fef2f2", "#b91c1c"),
}
_NO_XML = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]"
)  # characters that XML has no way to say


class Shape(NamedTuple):
    """rect, ellipse, line or text; a text's x is its anchor, its y the baseline, its w the measured width."""

    kind: str
    x: float
    y: float
    w: float = 0
    h: float = 0
    fill: str = ""
    stroke: str = ""
    radius: float = 0
    text: str = ""
    size: float = SIZE
    bold: bool = False
    mono: bool = False
    anchor: str = "start"
    dashed: bool = False
    ident: str = ""


class Overflow(NamedTuple):
    """A text that is wider than its box."""

    keys: Keys
    text: str
    need: float
    room: float


class Picture(NamedTuple):
    """A finished layout."""

    width: float
    height: float
    shapes: list[Shape]
    overflows: list[Overflow]


class Pen(NamedTuple):
    """Where shapes go while a layout is made."""

    shapes: list[Shape]
    overflows: list[Overflow]

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        fill: str = "",
        stroke: str = "",
        **more: Any,
    ) -> None:
        """A rectangle."""
        self.shapes.append(Shape("rect", x, y, w, h, fill, stroke, **more))

    def words(
        self, keys: Keys, text: str, x: float, y: float, room: float, **more: Any
    ) -> None:
        """One line of text with its baseline at `y`, noted when it takes more than `room`."""
        look = {"size": SIZE, "bold": False, "mono": False, **more}
        need = pixel_width(text, look["size"], bold=look["bold"], mono=look["mono"])
        if need > room + 0.5:
            self.overflows.append(Overflow(keys, text, need, room))
        more.setdefault("fill", INK)
        self.shapes.append(Shape("text", x, y, need, text=text, **more))

    def lines(
        self, keys: Keys, text: str, x: float, y: float, room: float, **more: Any
    ) -> float:
        """Wrapped text from `y` on down; its height."""
        size, bold = more.get("size", SIZE), more.get("bold", False)
        wrapped = wrap_pixels(text, size, room, bold=bold)
        if wrapped.too_wide:
            self.overflows.append(
                Overflow(
                    keys,
                    wrapped.too_wide,
                    pixel_width(wrapped.too_wide, size, bold=bold),
                    room,
                )
            )
        more.setdefault("fill", INK)
        for n, line in enumerate(wrapped.lines):
            need = pixel_width(line, size, bold=bold)
            self.shapes.append(
                Shape("text", x, y + size + n * size * 1.35, need, text=line, **more)
            )
        return float(len(wrapped.lines) * size * 1.35)

    def goes(self, element: Element, x: float, y: float, target: str) -> None:
        """The little mark at the upper right corner (x, y) of something that leads somewhere."""
        screen, _, state = target.partition(".")
        text = f"→ {screen.removeprefix('SCR-')}" + (f" {state}" if state else "")
        need = pixel_width(text, 10) + 10
        self.box(x - need + 6, y - 8, need, 16, "#dbeafe", "", radius=8)
        self.words(
            element.keys, text, x - need + 11, y + 3.5, need, size=10, fill=ACCENT
        )


def render_svg(picture: Picture, title: str) -> str:
    """The picture as a self-contained SVG that runs nothing and loads nothing."""
    w, h = f"{picture.width:g}", f"{picture.height:g}"
    fonts = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" font-family="{fonts}">',
        f"<title>{escape(_NO_XML.sub(chr(0xFFFD), title))}</title>",
        f"<desc>{MADE}</desc>",
        f'<rect width="{w}" height="{h}" fill="{PAPER}"/>',
        *map(_svg, picture.shapes),
        f'<rect x="0.5" y="0.5" width="{picture.width - 1:g}" height="{picture.height - 1:g}" fill="none" stroke="{SOFT}"/>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _n(number: float) -> str:
    return f"{round(number, 1):g}"


def _svg(shape: Shape) -> str:
    ident = f" data-id={quoteattr(shape.ident)}" if shape.ident else ""
    if shape.kind == "text":
        look = ' font-weight="bold"' if shape.bold else ""
        look += (
            ' font-family="\'DejaVu Sans Mono\', Menlo, Consolas, monospace" xml:space="preserve"'
            if shape.mono
            else ""
        )
        look += f' text-anchor="{shape.anchor}"' if shape.anchor != "start" else ""
        return (
            f'<text x="{_n(shape.x)}" y="{_n(shape.y)}" font-size="{_n(shape.size)}" fill="{shape.fill}"{look}>'
            f"{escape(_NO_XML.sub(chr(0xFFFD), shape.text))}</text>"
        )
    if shape.kind == "line":
        x, y = shape.x + shape.w, shape.y + shape.h
        return f'<line x1="{_n(shape.x)}" y1="{_n(shape.y)}" x2="{_n(x)}" y2="{_n(y)}" stroke="{shape.stroke}"/>'
    look = f' rx="{_n(shape.radius)}"' if shape.radius else ""
    look += f' stroke="{shape.stroke}"' if shape.stroke else ""
    return (
        f'<rect x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.w)}" height="{_n(shape.h)}"'
        f' fill="{shape.fill or "none"}"{look}{ident}/>'
    )

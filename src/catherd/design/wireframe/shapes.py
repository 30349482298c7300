"""What a picture is made of, and how it is written as SVG.

The same picture gives the same bytes. They are self-contained, and nothing in them runs
or loads.
"""

import re
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from catherd.design.wireframe.language import MADE, Element, Keys
from catherd.design.wireframe.letters import pixel_width, wrap_pixels

PAD, GAP, SIZE = 20.0, 14.0, 15.0
LEADING = 1.35  # from one line to the next, in sizes
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
_MONO = "'DejaVu Sans Mono', Menlo, Consolas, monospace"
# characters that XML has no way to say
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


class Shape(NamedTuple):
    """A rect, a line or a text.

    A text's x is its anchor, its y the baseline, its w the measured width.
    """

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
        """One line of text with its baseline at `y`.

        It is noted as an overflow when it takes more than `room`.
        """
        need = pixel_width(
            text,
            more.get("size", SIZE),
            bold=more.get("bold", False),
            mono=more.get("mono", False),
        )
        if need > room + 0.5:
            self.overflows.append(Overflow(keys, text, need, room))
        more.setdefault("fill", INK)
        self.shapes.append(Shape("text", x, y, need, text=text, **more))

    def lines(
        self, keys: Keys, text: str, x: float, y: float, room: float, **more: Any
    ) -> float:
        """Wrapped text from `y` on down; its height."""
        size = more.get("size", SIZE)
        bold = more.get("bold", False)
        wrapped = wrap_pixels(text, size, room, bold=bold)
        word = wrapped.too_wide
        if word:
            need = pixel_width(word, size, bold=bold)
            self.overflows.append(Overflow(keys, word, need, room))

        more.setdefault("fill", INK)
        for n, line in enumerate(wrapped.lines):
            need = pixel_width(line, size, bold=bold)
            baseline = y + size + n * size * LEADING
            shape = Shape("text", x, baseline, need, text=line, **more)
            self.shapes.append(shape)

        height = len(wrapped.lines) * size * LEADING
        return float(height)

    def goes(self, element: Element, x: float, y: float, target: str) -> None:
        """The little mark of something that leads somewhere.

        (x, y) is the upper right corner of that.
        """
        screen, _, state = target.partition(".")
        text = f"→ {screen.removeprefix('SCR-')}"
        if state:
            text = f"{text} {state}"
        need = pixel_width(text, 10) + 10

        self.box(x - need + 6, y - 8, need, 16, "#dbeafe", "", radius=8)
        self.words(
            element.keys,
            text,
            x - need + 11,
            y + 3.5,
            need,
            size=10,
            fill=ACCENT,
        )


def render_svg(picture: Picture, title: str) -> str:
    """The picture as a self-contained SVG that runs nothing and loads nothing."""
    w, h = f"{picture.width:g}", f"{picture.height:g}"
    fonts = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
    border_w, border_h = f"{picture.width - 1:g}", f"{picture.height - 1:g}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" font-family="{fonts}">',
        f"<title>{_escaped(title)}</title>",
        f"<desc>{MADE}</desc>",
        f'<rect width="{w}" height="{h}" fill="{PAPER}"/>',
        *map(_svg, picture.shapes),
        f'<rect x="0.5" y="0.5" width="{border_w}" height="{border_h}" fill="none" stroke="{SOFT}"/>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _n(number: float) -> str:
    return f"{round(number, 1):g}"


def _escaped(text: str) -> str:
    """Text as XML takes it; what XML has no way to say becomes U+FFFD."""
    return escape(_NO_XML.sub("\ufffd", text))


def _svg(shape: Shape) -> str:
    """One line of SVG for a shape."""
    if shape.kind == "text":
        return _svg_text(shape)
    if shape.kind == "line":
        return _svg_line(shape)
    return _svg_rect(shape)


def _svg_text(shape: Shape) -> str:
    x, y, size = _n(shape.x), _n(shape.y), _n(shape.size)
    look = ""
    if shape.bold:
        look += ' font-weight="bold"'
    if shape.mono:
        look += f' font-family="{_MONO}" xml:space="preserve"'
    if shape.anchor != "start":
        look += f' text-anchor="{shape.anchor}"'
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{shape.fill}"{look}>'
        f"{_escaped(shape.text)}</text>"
    )


def _svg_line(shape: Shape) -> str:
    x1, y1 = _n(shape.x), _n(shape.y)
    x2, y2 = _n(shape.x + shape.w), _n(shape.y + shape.h)
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{shape.stroke}"/>'


def _svg_rect(shape: Shape) -> str:
    place = f'x="{_n(shape.x)}" y="{_n(shape.y)}"'
    size = f'width="{_n(shape.w)}" height="{_n(shape.h)}"'

    look = f'fill="{shape.fill or "none"}"'
    if shape.radius:
        look += f' rx="{_n(shape.radius)}"'
    if shape.stroke:
        look += f' stroke="{shape.stroke}"'
    if shape.ident:
        look += f" data-id={quoteattr(shape.ident)}"

    return f"<rect {place} {size} {look}/>"

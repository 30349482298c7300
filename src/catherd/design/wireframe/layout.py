"""A screen's elements laid out as shapes, from top to bottom. Deterministic; no font file is read.

One-line texts that do not fit their box are listed in `Picture.overflows`; wrapping text only where a single word is
wider than its box.
"""

from catherd.design.wireframe.language import Element
from catherd.design.wireframe.letters import pixel_width, wrap_pixels
from catherd.design.wireframe.shapes import (
    ACCENT,
    GAP,
    INK,
    LINE,
    PAD,
    PALE,
    PAPER,
    SIZE,
    SOFT,
    TONES,
    Overflow,
    Pen,
    Picture,
    Shape,
)

LEAST = {390: 480.0, 960: 480.0, 800: 160.0}  # the least height, by canvas width


def layout(elements: list[Element], total: float) -> Picture:
    """The elements from top to bottom on a canvas `total` wide."""
    pen = Pen([], [])
    bottom = _stack(pen, elements, PAD, PAD, total - 2 * PAD, total)
    height = max(bottom + PAD, LEAST.get(int(total), 400.0))
    return Picture(total, round(height), pen.shapes, pen.overflows)


def _stack(
    pen: Pen, elements: list[Element], x: float, y: float, room: float, total: float = 0
) -> float:
    """Lay out downwards; where the last one ends. `total` is the canvas width at the outermost level."""
    for n, element in enumerate(elements):
        if element.kind == "bar" and total and n == 0:
            y = _bar(pen, element, 0, 0, total)
        else:
            y = _draw(pen, element, x, y, room)
        y += GAP if n + 1 < len(elements) else 0
    return y


def _draw(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    """One element in a box `room` wide at (x, y); where it ends."""
    end = _DRAW[element.kind](pen, element, x, y, room)
    goes = element.options.get("goes")
    if isinstance(goes, str) and element.kind not in {"bar", "link", "list", "table"}:
        pen.goes(element, x + room, y, goes)
    return end


def _bar(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    pen.box(x, y, room, 52, PALE, "", ident=str(element.options.get("id", "")))
    pen.shapes.append(Shape("line", x, y + 52, room, 0, stroke=LINE))
    goes = element.options.get("goes")
    left = x + PAD
    if isinstance(goes, str):
        pen.words(element.keys, "‹", left, y + 34, 26, size=24, fill=ACCENT)
        left += 22
        pen.goes(element, x + room - PAD, y + 26, goes)
    pen.words(
        element.keys,
        element.value,
        left,
        y + 33,
        x + room - PAD - left - (70 if goes else 0),
        size=18,
        bold=True,
    )
    return y + 52


def _heading(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    return y + pen.lines(element.keys, element.value, x, y, room, size=19, bold=True)


def _text(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    return y + pen.lines(element.keys, element.value, x, y, room)


def _note(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    fill, ink = TONES[str(element.options.get("tone", "info"))]
    at = len(pen.shapes)
    high = (
        pen.lines(element.keys, element.value, x + 16, y + 9, room - 28, fill=ink) + 22
    )
    pen.shapes.insert(
        at,
        Shape(
            "rect",
            x,
            y,
            room,
            high,
            fill,
            ink,
            6,
            ident=str(element.options.get("id", "")),
        ),
    )
    pen.shapes.insert(at + 1, Shape("rect", x, y, 5, high, ink))
    return y + high


def _field(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    pen.words(element.keys, element.value, x, y + 12, room, size=12, fill=SOFT)
    lines = int(element.options.get("lines", 1))
    high = 22.0 + 20 * lines
    pen.box(
        x,
        y + 18,
        room,
        high,
        PAPER,
        SOFT,
        radius=6,
        ident=str(element.options.get("id", "")),
    )
    shown = element.options.get("value", "")
    if shown != "":
        text, fill = str(shown), INK
    else:
        text, fill = str(element.options.get("hint", "")), SOFT
    inner = room - 24 - (22 if element.kind == "select" else 0)
    if lines > 1:
        used = (
            pen.lines(element.keys, text, x + 12, y + 26, inner, fill=fill)
            if text
            else 0
        )
        if used > high - 8:
            pen.overflows.append(Overflow(element.keys, text, used, high - 8))
    elif text:
        pen.words(element.keys, text, x + 12, y + 44, inner, fill=fill)
    if element.kind == "select":
        pen.words(element.keys, "▾", x + room - 24, y + 44, 20, fill=SOFT)
    return y + 18 + high


def _check(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    pen.box(
        x,
        y + 2,
        20,
        20,
        PAPER,
        SOFT,
        radius=4,
        ident=str(element.options.get("id", "")),
    )
    if element.options.get("on"):
        pen.words(element.keys, "✓", x + 3.5, y + 17.5, 20, fill=ACCENT, bold=True)
    pen.words(element.keys, element.value, x + 30, y + 17.5, room - 30)
    return y + 24


def _button(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    primary = bool(element.options.get("primary"))
    ident = str(element.options.get("id", ""))
    wide = (
        min(room, max(120.0, pixel_width(element.value, SIZE, bold=True) + 48))
        if room > 420
        else room
    )
    pen.box(x, y, wide, 44, ACCENT if primary else PAPER, ACCENT, radius=8, ident=ident)
    fill = PAPER if primary else ACCENT
    pen.words(
        element.keys,
        element.value,
        x + wide / 2,
        y + 27,
        wide - 16,
        fill=fill,
        bold=True,
        anchor="middle",
    )
    return y + 44


def _link(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    need = pixel_width(element.value, SIZE)
    pen.words(element.keys, element.value, x, y + 17, room, fill=ACCENT)
    pen.shapes.append(Shape("line", x, y + 20, min(need, room), 0, stroke=ACCENT))
    if isinstance(element.options.get("goes"), str):
        pen.goes(element, x + min(need + 74, room), y + 12, element.options["goes"])
    return y + 24


def _list(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    top, ident = y, str(element.options.get("id", ""))
    at = len(pen.shapes)
    for n, item in enumerate(element.value):
        row = item if isinstance(item, dict) else {"text": str(item)}
        keys = (*element.keys, "list", n)
        goes = row.get("goes") or element.options.get("goes")
        if n:
            pen.shapes.append(Shape("line", x, y, room, 0, stroke=LINE))
        tail = 76 if isinstance(goes, str) else 24
        high = 12 + pen.lines(keys, row["text"], x + 14, y + 10, room - 14 - tail)
        if row.get("note"):
            high += (
                pen.lines(
                    keys,
                    str(row["note"]),
                    x + 14,
                    y + high,
                    room - 14 - tail,
                    size=12,
                    fill=SOFT,
                )
                + 2
            )
        if isinstance(goes, str):
            pen.goes(element, x + room - 16, y + (high + 10) / 2, goes)
        y += high + 10
    pen.shapes.insert(
        at, Shape("rect", x, top, room, y - top, PAPER, LINE, 8, ident=ident)
    )
    return y


def _table(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    columns = [str(cell) for cell in element.value["columns"]]
    rows = [[str(cell) for cell in row] for row in element.value["rows"]]
    need = [
        max([pixel_width(c, 13, bold=True), *(pixel_width(r[n], 14) for r in rows)])
        + 20
        for n, c in enumerate(columns)
    ]
    share = room / max(sum(need), 1)
    wide = [w * share for w in need]
    pen.box(
        x,
        y,
        room,
        32 + 34 * len(rows),
        PAPER,
        LINE,
        radius=6,
        ident=str(element.options.get("id", "")),
    )
    pen.box(x, y, room, 32, PALE, LINE, radius=6)
    left = x
    for n, head in enumerate(columns):
        pen.words(
            (*element.keys, "table", "columns", n),
            head,
            left + 10,
            y + 21,
            wide[n] - 12,
            size=13,
            bold=True,
        )
        for m, row in enumerate(rows):
            keys = (*element.keys, "table", "rows", m, n)
            pen.words(
                keys, row[n], left + 10, y + 32 + 34 * m + 22, wide[n] - 12, size=14
            )
        left += wide[n]
    for m in range(1, len(rows)):
        pen.shapes.append(Shape("line", x, y + 32 + 34 * m, room, 0, stroke=LINE))
    if isinstance(element.options.get("goes"), str):
        pen.goes(element, x + room, y + 32, element.options["goes"])
    return y + 32 + 34 * len(rows)


def _tabs(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    each = room / len(element.value)
    chosen = int(element.options.get("on", 0) or 0)
    pen.shapes.append(Shape("line", x, y + 36, room, 0, stroke=LINE))
    for n, label in enumerate(element.value):
        on = n == chosen
        fill = ACCENT if on else SOFT
        middle = x + each * (n + 0.5)
        keys = (*element.keys, "tabs", n)
        pen.words(
            keys,
            str(label),
            middle,
            y + 23,
            each - 10,
            fill=fill,
            bold=on,
            anchor="middle",
            size=14,
        )
        if on:
            pen.box(x + each * n + 6, y + 34, each - 12, 3, ACCENT)
    return y + 37


def _image(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    high = float(element.options.get("height", 140))
    pen.box(
        x, y, room, high, PALE, LINE, radius=6, ident=str(element.options.get("id", ""))
    )
    pen.shapes.append(Shape("line", x, y, room, high, stroke=LINE))
    pen.shapes.append(Shape("line", x, y + high, room, -high, stroke=LINE))
    shown = wrap_pixels(element.value, 13, room - 40)
    tall = len(shown.lines) * 13 * 1.35 + 12
    pen.box(x + 12, y + (high - tall) / 2, room - 24, tall, PALE, "")
    pen.lines(
        element.keys,
        element.value,
        x + room / 2,
        y + (high - tall) / 2 + 5,
        room - 40,
        size=13,
        fill=SOFT,
        anchor="middle",
    )
    return y + high


def _chart(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    values = [float(v) for v in element.options.get("values", [3, 5, 4, 7, 6])]
    top = max([*values, 1.0])
    each = room / len(values)
    pen.words(element.keys, element.value, x, y + 12, room, size=12, fill=SOFT)
    for n, value in enumerate(values):
        high = 100 * value / top
        pen.box(
            x + each * n + each * 0.15, y + 122 - high, each * 0.7, high, "#93c5fd", ""
        )
    pen.shapes.append(Shape("line", x, y + 122, room, 0, stroke=SOFT))
    return y + 124


def _loading(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    for n, share in enumerate((0.92, 0.74, 0.83)):
        pen.box(x, y + n * 26, room * share, 16, "#e2e8f0", "", radius=8)
    return (
        y
        + 84
        + pen.lines(element.keys, element.value, x, y + 80, room, size=13, fill=SOFT)
    )


def _grid(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    rows = [str(row) for row in element.value]
    columns = max(len(rows[0]), 1)
    cell = min(room / columns, 44.0)
    left = x + (room - cell * columns) / 2
    for m, row in enumerate(rows):
        for n, char in enumerate(row):
            fill = "#475569" if char == "#" else PAPER if char in " ." else "#e0e7ff"
            pen.box(left + n * cell, y + m * cell, cell, cell, fill, LINE)
            if char not in " .#":
                size = min(cell * 0.6, 20)
                mid = left + (n + 0.5) * cell
                pen.words(
                    element.keys,
                    char,
                    mid,
                    y + (m + 0.5) * cell + size * 0.36,
                    cell + 8,
                    size=size,
                    anchor="middle",
                )
    return y + cell * len(rows)


def _terminal(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    lines = [str(line) for line in element.value]
    size = 13.0 if room > 600 else 12.0
    pen.box(
        x,
        y,
        room,
        len(lines) * size * 1.5 + 24,
        "#0f172a",
        "",
        radius=8,
        ident=str(element.options.get("id", "")),
    )
    for n, line in enumerate(lines):
        keys = (*element.keys, "terminal", n)
        fill = "#93c5fd" if line.startswith(("$ ", "> ")) else "#e2e8f0"
        pen.words(
            keys,
            line,
            x + 14,
            y + 12 + (n + 1) * size * 1.5 - 5,
            room - 24,
            size=size,
            mono=True,
            fill=fill,
        )
    return y + len(lines) * size * 1.5 + 24


def _row(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    count = len(element.children)
    given = [float(v) for v in element.options.get("share", [])][:count]
    share = given + [1.0] * (count - len(given))
    free = room - GAP * (count - 1)
    bottom = y
    fields = any(child.kind in {"input", "select"} for child in element.children)
    for part, child in zip(share, element.children, strict=True):
        wide = free * part / (sum(share) or 1)
        drop = (
            18
            if fields and child.kind == "button"
            else 26
            if fields and child.kind in {"link", "check"}
            else 0
        )
        bottom = max(bottom, _draw(pen, child, x, y + drop, wide))
        x += wide + GAP
    return bottom


def _box(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    at, top = len(pen.shapes), y
    title = element.options.get("title")
    y += 14
    if title:
        y += (
            pen.lines(
                element.keys, str(title), x + 14, y, room - 28, size=14, bold=True
            )
            + 6
        )
    y = _stack(pen, element.children, x + 14, y, room - 28) + 14
    pen.shapes.insert(at, Shape("rect", x, top, room, y - top, "#f8fafc", LINE, 8))
    return y


_DRAW = {
    "bar": _bar, "heading": _heading, "text": _text, "note": _note, "input": _field, "select": _field, "check": _check,
    "button": _button, "link": _link, "list": _list, "table": _table, "tabs": _tabs, "image": _image, "chart": _chart,
    "loading": _loading, "grid": _grid, "terminal": _terminal, "row": _row, "box": _box,
}  # fmt: skip

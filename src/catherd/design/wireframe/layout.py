"""A screen's elements laid out as shapes, from top to bottom.

The same elements always give the same shapes: no font file is read. A text of one line
that does not fit its box is listed in `Picture.overflows`. Wrapped text is listed only
where a single word is wider than its box.
"""

from catherd.design.wireframe.language import Element
from catherd.design.wireframe.letters import pixel_width, wrap_pixels
from catherd.design.wireframe.shapes import (
    ACCENT,
    GAP,
    INK,
    LEADING,
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
_CELLS = {
    "#": "#475569",
    " ": PAPER,
    ".": PAPER,
}  # of a grid: a wall, two kinds of floor
# how far an element moves down to stand on the line of a field, which has a label above
_BESIDE_A_FIELD = {"button": 18, "link": 26, "check": 26}
_TABLE_HEAD, _TABLE_ROW = 32, 34  # heights


def layout(elements: list[Element], total: float) -> Picture:
    """The elements from top to bottom on a canvas `total` wide."""
    pen = Pen([], [])
    bottom = _stack(pen, elements, PAD, PAD, total - 2 * PAD, total)
    height = max(bottom + PAD, LEAST.get(int(total), 400.0))
    return Picture(total, round(height), pen.shapes, pen.overflows)


def _stack(
    pen: Pen, elements: list[Element], x: float, y: float, room: float, total: float = 0
) -> float:
    """Lay out downwards; where the last one ends.

    `total` is the width of the canvas at the outermost level.
    """
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


def _ident(element: Element) -> str:
    """The id that a test finds the element by, "" without one."""
    return str(element.options.get("id", ""))


def _bar(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    pen.box(x, y, room, 52, PALE, "", ident=_ident(element))
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
            ident=_ident(element),
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
        ident=_ident(element),
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
        ident=_ident(element),
    )
    if element.options.get("on"):
        pen.words(element.keys, "✓", x + 3.5, y + 17.5, 20, fill=ACCENT, bold=True)
    pen.words(element.keys, element.value, x + 30, y + 17.5, room - 30)
    return y + 24


def _button(pen: Pen, element: Element, x: float, y: float, room: float) -> float:
    primary = bool(element.options.get("primary"))
    ident = _ident(element)
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
    top, ident = y, _ident(element)
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
    high = _TABLE_HEAD + _TABLE_ROW * len(rows)
    pen.box(x, y, room, high, PAPER, LINE, radius=6, ident=_ident(element))
    pen.box(x, y, room, _TABLE_HEAD, PALE, LINE, radius=6)

    left = x
    keys = (*element.keys, "table")
    for n, wide in enumerate(_column_widths(columns, rows, room)):
        pen.words(
            (*keys, "columns", n),
            columns[n],
            left + 10,
            y + 21,
            wide - 12,
            size=13,
            bold=True,
        )
        for m, row in enumerate(rows):
            top = y + _TABLE_HEAD + _TABLE_ROW * m
            pen.words(
                (*keys, "rows", m, n),
                row[n],
                left + 10,
                top + 22,
                wide - 12,
                size=14,
            )
        left += wide

    for m in range(1, len(rows)):
        top = y + _TABLE_HEAD + _TABLE_ROW * m
        pen.shapes.append(Shape("line", x, top, room, 0, stroke=LINE))
    if isinstance(element.options.get("goes"), str):
        pen.goes(element, x + room, y + _TABLE_HEAD, element.options["goes"])
    return y + high


def _column_widths(
    columns: list[str], rows: list[list[str]], room: float
) -> list[float]:
    """The room shared among the columns, by what the widest cell of each needs."""
    need = []
    for n, head in enumerate(columns):
        cells = [pixel_width(row[n], 14) for row in rows]
        need.append(max([pixel_width(head, 13, bold=True), *cells]) + 20)
    share = room / max(sum(need), 1)
    return [wide * share for wide in need]


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
    pen.box(x, y, room, high, PALE, LINE, radius=6, ident=_ident(element))
    pen.shapes.append(Shape("line", x, y, room, high, stroke=LINE))
    pen.shapes.append(Shape("line", x, y + high, room, -high, stroke=LINE))

    shown = wrap_pixels(element.value, 13, room - 40)
    tall = len(shown.lines) * 13 * LEADING + 12
    top = y + (high - tall) / 2
    pen.box(x + 12, top, room - 24, tall, PALE, "")
    pen.lines(
        element.keys,
        element.value,
        x + room / 2,
        top + 5,
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
        left = x + each * n + each * 0.15
        pen.box(left, y + 122 - high, each * 0.7, high, "#93c5fd", "")

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
    size = min(cell * 0.6, 20)

    for m, row in enumerate(rows):
        for n, char in enumerate(row):
            fill = _CELLS.get(char, "#e0e7ff")
            pen.box(left + n * cell, y + m * cell, cell, cell, fill, LINE)
            if char in _CELLS:
                continue

            middle = left + (n + 0.5) * cell
            baseline = y + (m + 0.5) * cell + size * 0.36
            pen.words(
                element.keys,
                char,
                middle,
                baseline,
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
        ident=_ident(element),
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
    kinds = {child.kind for child in element.children}
    fields = bool(kinds & {"input", "select"})
    shares = _shares(element)
    free = room - GAP * (len(shares) - 1)
    bottom = y

    for share, child in zip(shares, element.children, strict=True):
        wide = free * share / (sum(shares) or 1)
        drop = _BESIDE_A_FIELD.get(child.kind, 0) if fields else 0
        end = _draw(pen, child, x, y + drop, wide)
        bottom = max(bottom, end)
        x += wide + GAP

    return bottom


def _shares(row: Element) -> list[float]:
    """The parts of the room that the elements of a row take; 1 where none is given."""
    count = len(row.children)
    given = [float(value) for value in row.options.get("share", [])][:count]
    return given + [1.0] * (count - len(given))


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

"""The SVG adapter (resvg-py): draw a picture and measure it.

resvg drops text silently when it has no font, so a sans-serif of this machine is named to it; without any font, or
without resvg-py, nothing can be said (`Missing`).
"""

import functools
import importlib.util
import os
import struct
import zlib
from typing import NamedTuple

from catherd.design.checks.tools import here

_FONTS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts", "C:/Windows/Fonts"
)  # fmt: skip
_FAMILIES = {
    "dejavusans.ttf": "DejaVu Sans",
    "liberationsans-regular.ttf": "Liberation Sans",
    "notosans-regular.ttf": "Noto Sans",
    "arial.ttf": "Arial",
    "helvetica.ttc": "Helvetica",
}


class Missing(Exception):
    """What is not there to look with."""


class Measure(NamedTuple):
    """Share of pixels that differ from the commonest one, and the number of different colours."""

    ink: float
    colours: int


@functools.cache
def font() -> tuple[str, str]:
    """(directory, family) of a sans-serif font; mermaidx carries one where the machine has none. ("", "") without any."""
    places = list(_FONTS)
    spec = importlib.util.find_spec("mermaidx")
    if spec and spec.origin:
        places.append(os.path.join(os.path.dirname(spec.origin), "assets", "fonts"))
    for wanted, family in _FAMILIES.items():
        for top in places:
            for folder, _, names in os.walk(top):
                if any(name.lower() == wanted for name in names):
                    return folder, family
    return "", ""


def measure(svg: str, width: int = 160) -> Measure:
    """`svg` drawn `width` pixels wide on white. Raises Missing, or ValueError when it cannot be drawn."""
    if not here("resvg_py"):
        raise Missing("resvg-py is not here to look: pip install 'catherd[plan]'")
    folder, family = font()
    if not family:
        raise Missing(
            "no font on this machine to draw with: install DejaVu or Liberation"
        )
    import resvg_py

    png = resvg_py.svg_to_bytes(
        svg_string=svg, width=width, background="white", skip_system_fonts=True, font_dirs=[folder],
        font_family=family, sans_serif_family=family, serif_family=family, monospace_family=family,
        cursive_family=family, fantasy_family=family, dpi=96.0,
    )  # fmt: skip
    pixels = _pixels(bytes(png))
    counts: dict[bytes, int] = {}
    for n in range(0, len(pixels), 4):
        key = pixels[n : n + 3]
        counts[key] = counts.get(key, 0) + 1
    total = sum(counts.values()) or 1
    return Measure(1 - max(counts.values(), default=total) / total, len(counts))


def _pixels(png: bytes) -> bytes:
    """RGBA of an 8-bit, not interlaced PNG, the only kind that resvg writes."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    if depth != 8 or kind not in {2, 6}:
        raise ValueError("an unexpected kind of PNG")
    step, data, at = (4 if kind == 6 else 3), b"", 8
    while at < len(png):
        size, name = struct.unpack(">I4s", png[at : at + 8])
        if name == b"IDAT":
            data += png[at + 8 : at + 8 + size]
        at += 12 + size
    raw, row_size = zlib.decompress(data), width * step
    rows: list[bytes] = []
    previous = bytes(row_size)
    for y in range(height):
        start = y * (row_size + 1)
        previous = _unfilter(
            raw[start], bytearray(raw[start + 1 : start + 1 + row_size]), previous, step
        )
        rows.append(previous)
    flat = b"".join(rows)
    if step == 4:
        return flat
    return b"".join(flat[n : n + 3] + b"\xff" for n in range(0, len(flat), 3))


def _unfilter(kind: int, row: bytearray, above: bytes, step: int) -> bytes:
    if kind == 1:
        for n in range(step, len(row)):
            row[n] = (row[n] + row[n - step]) & 255
    elif kind == 2:
        for n in range(len(row)):
            row[n] = (row[n] + above[n]) & 255
    elif kind == 3:
        for n in range(len(row)):
            row[n] = (
                row[n] + ((row[n - step] if n >= step else 0) + above[n]) // 2
            ) & 255
    elif kind == 4:
        for n in range(len(row)):
            a, b, c = (
                (row[n - step] if n >= step else 0),
                above[n],
                (above[n - step] if n >= step else 0),
            )
            pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
            row[n] = (
                row[n] + (a if pa <= pb and pa <= pc else b if pb <= pc else c)
            ) & 255
    return bytes(row)

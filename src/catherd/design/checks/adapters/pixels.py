"""The SVG adapter (resvg-py): draw a picture and measure it.

resvg drops text silently when it has no font, so a sans-serif font of this machine is
named to it. Without any font, or without resvg-py, nothing can be said (`Missing`).
"""

import functools
import importlib.util
import os
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from catherd.design.checks.adapters.tools import here

_FONTS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts", "C:/Windows/Fonts"
)  # fmt: skip
# Pixels: within it the picture keeps its shape. Without it, one that says that it is a
# billion times as high as wide ends this process, for resvg aborts when memory ends.
_TALLEST = 16_000
_FAMILIES = {
    "dejavusans.ttf": "DejaVu Sans",
    "liberationsans-regular.ttf": "Liberation Sans",
    "notosans-regular.ttf": "Noto Sans",
    "arial.ttf": "Arial",
    "helvetica.ttc": "Helvetica",
}


class Missing(Exception):
    """A tool or a font is not there to look with; the text says which."""


class Measure(NamedTuple):
    """Share of pixels that differ from the commonest one, and the number of colours."""

    ink: float
    colours: int


@functools.cache
def font() -> tuple[str, str]:
    """(folder, family) of a sans-serif font; ("", "") without any.

    mermaidx carries one, for a machine that has none.
    """
    places = list(_FONTS)
    spec = importlib.util.find_spec("mermaidx")
    if spec and spec.origin:
        places.append(os.path.join(os.path.dirname(spec.origin), "assets", "fonts"))
    for wanted, family in _FAMILIES.items():
        for top in places:
            folder = _folder_with(wanted, top)
            if folder:
                return folder, family
    return "", ""


def _folder_with(wanted: str, top: str) -> str:
    """The folder below `top` that holds the file `wanted` (in any case), or ""."""
    for folder, _, names in os.walk(top):
        if wanted in {name.lower() for name in names}:
            return folder
    return ""


def measure(svg: str, width: int = 160) -> Measure:
    """`svg` drawn `width` pixels wide on white.

    Raises Missing, or ValueError when it cannot be drawn.
    """
    if not here("resvg_py"):
        raise Missing("resvg-py is not here to look: pip install 'catherd[plan]'")
    folder, family = font()
    if not family:
        raise Missing(
            "no font on this machine to draw with: install DejaVu or Liberation"
        )
    import resvg_py

    png = resvg_py.svg_to_bytes(
        svg_string=svg, width=width, height=_TALLEST, background="white", skip_system_fonts=True, font_dirs=[folder],
        font_family=family, sans_serif_family=family, serif_family=family, monospace_family=family,
        cursive_family=family, fantasy_family=family, dpi=96.0,
    )  # fmt: skip
    counts = Counter(_colours(bytes(png)))
    total = counts.total() or 1
    commonest = max(counts.values(), default=total)
    return Measure(1 - commonest / total, len(counts))


def _colours(png: bytes) -> list[bytes]:
    """The red, green and blue of each pixel of an 8-bit PNG that is not interlaced.

    resvg writes no other kind. The PNG specification, section 9, tells the filters.
    """
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    if depth != 8 or kind not in {2, 6}:
        raise ValueError("an unexpected kind of PNG")
    step = 4 if kind == 6 else 3
    raw = zlib.decompress(_chunks(png, b"IDAT"))
    size = width * step
    found: list[bytes] = []

    # a pixel of zeros stands before each row, so that all bytes have a left neighbour
    above = bytearray(step + size)
    for start in range(0, height * (size + 1), size + 1):
        row = bytearray(step) + raw[start + 1 : start + 1 + size]
        unfilter = _FILTERS.get(raw[start])
        if unfilter:
            unfilter(row, above, step)
        found += [bytes(row[n : n + 3]) for n in range(step, len(row), step)]
        above = row
    return found


def _chunks(png: bytes, wanted: bytes) -> bytes:
    """The data of all chunks called `wanted`, one after the other."""
    data, at = b"", 8
    while at < len(png):
        size, name = struct.unpack(">I4s", png[at : at + 8])
        if name == wanted:
            data += png[at + 8 : at + 8 + size]
        at += 12 + size
    return data


def _sub(row: bytearray, _above: bytearray, step: int) -> None:
    for n in range(step, len(row)):
        row[n] = (row[n] + row[n - step]) & 255


def _up(row: bytearray, above: bytearray, step: int) -> None:
    for n in range(step, len(row)):
        row[n] = (row[n] + above[n]) & 255


def _average(row: bytearray, above: bytearray, step: int) -> None:
    for n in range(step, len(row)):
        row[n] = (row[n] + (row[n - step] + above[n]) // 2) & 255


def _paeth(row: bytearray, above: bytearray, step: int) -> None:
    for n in range(step, len(row)):
        guess = _nearest(row[n - step], above[n], above[n - step])
        row[n] = (row[n] + guess) & 255


def _nearest(left: int, up: int, corner: int) -> int:
    """The neighbour that is nearest to left + up - corner; in doubt left, then up."""
    by_left = abs(up - corner)
    by_up = abs(left - corner)
    by_corner = abs(left + up - 2 * corner)
    if by_left <= by_up and by_left <= by_corner:
        return left
    return up if by_up <= by_corner else corner


# Each undoes one of the encoder's filters in place; `step` bytes are a pixel.
_FILTERS: dict[int, Callable[[bytearray, bytearray, int], None]] = {
    1: _sub,
    2: _up,
    3: _average,
    4: _paeth,
}

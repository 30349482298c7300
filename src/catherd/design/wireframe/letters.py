"""How wide text is, without a font file.

The numbers are the advance widths of DejaVu Sans, the widest of the common sans-serifs.
What fits by them fits in Helvetica, Arial and Liberation Sans too. Pure.
"""

from typing import NamedTuple

# hundredths of an em, from the space (32) to the tilde (126)
_WIDTHS = (
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84,
    84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79, 60, 79, 69, 63, 61, 73, 68, 99, 69, 61,
    69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59,
    82, 59, 59, 52, 64, 34, 64, 84,
)  # fmt: skip
BOLD = 1.12
MONO = 0.602  # of an em, every character


class Wrapped(NamedTuple):
    """Lines that fit, and the first word that does not fit anywhere ("" when all do)."""

    lines: list[str]
    too_wide: str


def pixel_width(
    text: str, size: float, *, bold: bool = False, mono: bool = False
) -> float:
    """Pixels that `text` takes at `size` pixels.

    Wide scripts and emoji count as one em each.
    """
    if mono:
        return sum(map(_mono, text)) * size
    ems = sum(_one(ord(char)) for char in text) / 100
    return ems * size * (BOLD if bold else 1.0)


def _mono(char: str) -> float:
    """The ems of a character where each has one of two widths."""
    return MONO if ord(char) < 0x1100 else 2 * MONO


def _one(code: int) -> int:
    """Hundredths of an em that the character with this code takes."""
    if 32 <= code < 127:
        return _WIDTHS[code - 32]
    if code in {0x200B, 0x200D, 0xFE0F}:
        return 0
    return 64 if code < 0x2000 and code != 0x2014 else 100


def wrap_pixels(text: str, size: float, room: float, *, bold: bool = False) -> Wrapped:
    """`text` in lines of at most `room` pixels; line breaks in the text are kept."""
    lines: list[str] = []
    too_wide = ""
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split():
            if not too_wide and pixel_width(word, size, bold=bold) > room:
                too_wide = word
            longer = f"{line} {word}" if line else word
            if line and pixel_width(longer, size, bold=bold) > room:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return Wrapped(lines, too_wide)

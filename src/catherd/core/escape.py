"""Text that others wrote, set into Markdown or columns so that it can break neither. Pure.

What an agent or a person wrote is text, never markup of ours: in a line and a table cell every mark is escaped, in a quote
links, images, HTML, headings, fences and tables are. Widths are terminal columns: a wide character takes two.
"""

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_INLINE = re.compile(r"([\\`*_<\[\]|~])")
_QUOTED = re.compile(r"([\\<\[\]|])")
_BLOCK = re.compile(
    r"^(?=[#>=~`|]|[-+*](?:[-+*\s]|$))"
)  # what would open a block at the start of a line
_NUMBER = re.compile(r"^(\d{1,9})(?=[.)](?:\s|$))")
_LIST = re.compile(r"^(?:[-*+]|\d{1,3}[.)]) +(?=\S)")


def plain_text(text: str) -> str:
    """`text` without escape sequences, control and bidi characters; line ends are newlines, tabs are blanks."""
    return _CONTROLS.sub(
        "",
        _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).expandtabs(4),
    )


def escape_inline(text: str) -> str:
    """`text` on one line with every mark of Markdown escaped: for titles, names and table cells."""
    return _literal(_INLINE.sub(r"\\\1", " ".join(plain_text(text).split())))


def text_width(text: str) -> int:
    """Terminal columns that a line takes."""
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut_columns(text: str, columns: int) -> str:
    """`text` on one line of at most that many columns; what was cut off is an ellipsis."""
    text = " ".join(plain_text(text).split())
    if text_width(text) <= columns:
        return text
    kept, used = "", 1
    for char in text:
        used += _columns(char)
        if used > columns:
            break
        kept += char
    return kept.rstrip() + "…"


def pad(text: str, columns: int) -> str:
    """`text` with blanks after it to that many columns."""
    return text + " " * max(columns - text_width(text), 0)


def wrap_columns(text: str, columns: int) -> list[str]:
    """`text` as lines of at most that many columns; paragraphs stay apart, a word that is too long is broken."""
    lines: list[str] = []
    for paragraph in plain_text(text).strip().split("\n"):
        line = ""
        for word in paragraph.split():
            joined = f"{line} {word}" if line else word
            if text_width(joined) <= columns:
                line = joined
                continue
            lines += [line] if line else []
            line = word
            while text_width(line) > columns:
                take = next(
                    n
                    for n in range(len(line), 0, -1)
                    if text_width(line[:n]) <= columns or n == 1
                )
                lines, line = [*lines, line[:take]], line[take:]
        lines.append(line)
    return lines


def prose(text: str, columns: int = 98) -> str:
    """A paragraph of ours, filled; what stands in it must already be `inline`."""
    first, *more = textwrap.wrap(
        text, columns, break_long_words=False, break_on_hyphens=False
    ) or [""]
    return "\n".join([first, *map(_literal, more)])


def quote(text: str, columns: int = 96) -> str:
    """`text` as a block quote: paragraphs and lists stay, everything else is literal."""
    lines: list[str] = []
    for raw in plain_text(text).strip().split("\n"):
        item = found[0] if (found := _LIST.match(raw.strip())) else ""
        body = _QUOTED.sub(r"\\\1", raw.strip()[len(item) :])
        filled = textwrap.wrap(
            body,
            columns - 2 - len(item),
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
        filled = [_literal(line) for line in filled]
        lines += [item + filled[0], *(" " * len(item) + line for line in filled[1:])]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _literal(line: str) -> str:
    return _NUMBER.sub(r"\1\\", _BLOCK.sub(r"\\", line))


def markdown_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()
) -> str:
    """A Markdown table whose columns also line up raw; cells must already be `inline`; `right`: columns set flush right."""
    body = [list(row) for row in rows]
    wide = [
        max(3, *(text_width(row[n]) for row in [list(head), *body]))
        for n in range(len(head))
    ]

    def line(cells: Sequence[str]) -> str:
        return (
            "| "
            + " | ".join(_set(c, wide[n], n in right) for n, c in enumerate(cells))
            + " |"
        )

    rule = (
        "|"
        + "|".join(
            "-" * (w + 1) + (":" if n in right else "-") for n, w in enumerate(wide)
        )
        + "|"
    )
    return "\n".join([line(head), rule, *(line(row) for row in body)])


def _set(cell: str, columns: int, right: bool) -> str:
    return (
        " " * max(columns - text_width(cell), 0) + cell if right else pad(cell, columns)
    )


def fence(text: str, info: str = "") -> str:
    """`text` verbatim in a fence longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{info}\n{text.rstrip(chr(10))}\n{marks}"

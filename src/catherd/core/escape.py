"""Text that others wrote, set into Markdown or columns so that it can break neither. Pure.

What an agent or a person wrote is text, never markup of ours: in a line and a table cell every mark is escaped, in a quote
links, images, HTML, headings, fences and tables are. Widths are terminal columns: a wide character takes two.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence

from catherd.core import hidden

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
)
_INLINE = re.compile(r"([\\`*_<\[\]|~])")
_QUOTED = re.compile(r"([\\<\[\]|])")
_BLOCK = re.compile(
    r"^(?=[#>=~`|]|[-+*](?:[-+*\s]|$))"
)  # what would open a block at the start of a line
_NUMBER = re.compile(r"^(\d{1,9})(?=[.)](?:\s|$))")
_LIST = re.compile(r"^(?:[-*+]|\d{1,3}[.)]) +(?=\S)")


def plain_text(text: str) -> str:
    """`text` without escape sequences and hidden characters; line ends are newlines, tabs are blanks."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return hidden.removed(_ESCAPES.sub("", lines).expandtabs(4))


def escape_inline(text: str) -> str:
    """`text` on one line with every mark of Markdown escaped: for titles, names and table cells."""
    return _literal(_INLINE.sub(r"\\\1", " ".join(plain_text(text).split())))


def text_width(text: str) -> int:
    """Terminal columns that a line takes; an emoji of several characters takes two."""
    if text.isascii():
        return len(text)
    from wcwidth import width  # 25 ms to import, and most lines are ASCII

    return width(text, control_codes="ignore")


def _graphemes(text: str) -> Iterable[str]:
    """What a reader sees as one character each, in order."""
    if text.isascii():
        return text
    from wcwidth import iter_graphemes

    return iter_graphemes(text)


def _beginning(text: str, columns: int) -> str:
    """As many characters from the start of `text` as fit into that many columns."""
    kept = ""
    for grapheme in _graphemes(text):
        if text_width(kept + grapheme) > columns:
            break
        kept += grapheme

    return kept


def cut_columns(text: str, columns: int) -> str:
    """`text` on one line of at most that many columns; what was cut off is an ellipsis."""
    text = " ".join(plain_text(text).split())
    if text_width(text) <= columns:
        return text
    return _beginning(text, columns - 1).rstrip() + "…"


def pad(text: str, columns: int) -> str:
    """`text` with blanks after it to that many columns."""
    return text + " " * max(columns - text_width(text), 0)


def wrap_columns(text: str, columns: int) -> list[str]:
    """`text` as lines of at most that many columns.

    Paragraphs stay apart. A word that is too long is broken between two characters.
    """
    lines: list[str] = []
    for paragraph in plain_text(text).strip().split("\n"):
        lines += _wrapped_paragraph(paragraph, columns)

    return lines


def _wrapped_paragraph(paragraph: str, columns: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in paragraph.split():
        joined = f"{line} {word}" if line else word
        if text_width(joined) <= columns:
            line = joined
            continue

        if line:
            lines.append(line)

        *full, line = _broken_word(word, columns)
        lines += full

    return [*lines, line]


def _broken_word(word: str, columns: int) -> list[str]:
    """The pieces of a word, each at most that many columns wide, or one character."""
    pieces: list[str] = []
    while text_width(word) > columns:
        first = next(iter(_graphemes(word)))
        piece = _beginning(word, columns) or first
        if piece == word:
            break
        pieces.append(piece)
        word = word.removeprefix(piece)

    return [*pieces, word]


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

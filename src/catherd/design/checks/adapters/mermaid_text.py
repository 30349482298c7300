"""What a Mermaid diagram's source, and mermaidx's answer to it, say about it.

Lines are counted from 1 in the source as it was written. Mermaid's own parser counts
otherwise: it drops front matter, leading blank lines and comments first.
"""

import html
import re
from collections.abc import Callable
from typing import NamedTuple

EDGES = 80  # 600 edges took half a minute to draw
_ARROW = re.compile(
    r"(?:<|o|x)?(?:--+|==+|-\.+-|~~~+)(?:>{1,2}|[ox](?=\s)|-)?"
    r"|->>?|-[x)]|\|[|o]--|\}[|o]--|\bRel\w*\("
)
_COMMENT = re.compile(r"\s*%%(?!\{)")
_NOT_THERE = re.compile(r"cannot read property|undefined")
_PARSE_ERROR = re.compile(r"[Pp]arse error on line (\d+)|Lexical error on line (\d+)")
_JOURNEY_TASK = re.compile(
    r"\s+(?!title\b|section\b|acc\w+\b)([^:]+):\s*([^:]+?)\s*(?::.*)?$"
)
_GANTT_ID = re.compile(
    r":\s*(?:(?:done|active|crit|milestone|vert)\s*,\s*)*([A-Za-z][\w-]*)\s*,"
)


class Drawn(NamedTuple):
    """A verdict: `svg` when it was drawn, else `error` at `line` of the source.

    `unknown` means that nobody could look.
    """

    svg: str = ""
    error: str = ""
    line: int = 1
    unknown: bool = False


def edges(source: str) -> int:
    """About how many edges a diagram has: one an arrow, labels in quotes not counted."""
    bare = re.sub(r'"[^"\n]*"|%%.*', "", source)
    return sum(len(_ARROW.findall(line)) for line in bare.splitlines())


def too_large(source: str) -> Drawn | None:
    """A refusal when the diagram has more than EDGES edges, None otherwise."""
    count = edges(source)
    if count <= EDGES:
        return None
    return Drawn(
        error=f"{count} edges; more than {EDGES} is neither drawn nor read: split it"
    )


def first_line(source: str) -> int:
    """The line that says the kind of diagram, or 1 when there is none.

    It is the first one after front matter and comments.
    """
    lines = source.splitlines()
    start = _front(lines)
    for number, line in enumerate(lines[start:], start + 1):
        if line.strip() and not line.strip().startswith("%%"):
            return number
    return 1


def diagram_kind(source: str) -> str:
    """The word that a diagram begins with (`journey`, `gantt`, …), "" without one."""
    lines = source.splitlines()
    words = lines[first_line(source) - 1].split() if lines else []
    return words[0] if words else ""


def visible(svg: str) -> str:
    """The words that a reader of the picture sees."""
    svg = re.sub(r"(?s)<(style|script|title|desc|defs)\b.*?</\1>", " ", svg)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", svg)).split())


def complaint(source: str, message: str) -> Drawn:
    """What mermaidx said against `source`, in one line and at the line that it means."""
    message = message.removeprefix("Mermaid rendering failed: ")
    message = message.removeprefix("Error: ")
    counted = _counted_lines(source)

    found = _PARSE_ERROR.search(message)
    if found:
        number = int(found[1] or found[2])
        line = counted[min(number, len(counted)) - 1]
        return Drawn(error=_parse_error(message), line=line)

    first = message.splitlines()[0] if message.strip() else "cannot be drawn"
    if _NOT_THERE.search(first):
        what = "cannot be drawn: a relation names something that is not there?"
        return Drawn(error=f"{what} ({first})", line=counted[0])

    line = _line_of_date(source, first, counted)
    return Drawn(error=first, line=line)


def _parse_error(message: str) -> str:
    """The one line of a parser's message that a person can use."""
    lines = message.splitlines()
    detail = lines[-1] if "Expecting" in message else lines[0]
    return re.sub(r"Expecting .*, got", "did not expect", detail)


def _line_of_date(source: str, error: str, counted: list[int]) -> int:
    """The line that holds the date which `error` calls invalid, else the first one."""
    named = re.match(r"Invalid date: ?(.*)", error)
    if named and named[1]:
        lines = source.splitlines()
        for number in counted:
            if named[1] in lines[number - 1]:
                return number
    return counted[0]


def _front(lines: list[str]) -> int:
    """How many lines of front matter there are."""
    if not lines or lines[0].strip() != "---":
        return 0
    for number, line in enumerate(lines[1:], 2):
        if line.strip() == "---":
            return number
    return 0


def _counted_lines(source: str) -> list[int]:
    """The lines that the parser counts, in their order; at least one."""
    lines = source.splitlines() or [""]
    start = _front(lines)
    filled = [number for number, line in enumerate(lines, 1) if line.strip()]
    first = next((number for number in filled if number > start), start + 1)
    last = filled[-1] if filled else 1
    counted = range(first, last + 1)
    return [n for n in counted if not _COMMENT.match(lines[n - 1])] or [1]


def look_again(source: str, drawn: Drawn) -> Drawn:
    """`drawn`, unless something is wrong with it that mermaidx lets pass."""
    if not visible(drawn.svg):
        return Drawn(error="the picture shows no word", line=first_line(source))
    look = _LOOKS.get(diagram_kind(source))
    wrong = look(source) if look else None
    return wrong or drawn


def _wrong_score(source: str) -> Drawn | None:
    """The first task of a journey whose score is not 1 to 5."""
    for number, line in enumerate(source.splitlines(), 1):
        task = _JOURNEY_TASK.match(line)
        if task and not re.fullmatch(r"[1-5]", task[2]):
            what = f"the score of '{task[1].strip()}' is '{task[2]}', not 1 to 5"
            return Drawn(error=what, line=number)
    return None


def _bar_after_nothing(source: str) -> Drawn | None:
    """The first bar of a Gantt that stands after a bar that is not there."""
    known = set(_GANTT_ID.findall(source))
    for number, line in enumerate(source.splitlines(), 1):
        after = " ".join(re.findall(r"\bafter ([\w\- ]+)", line))
        for name in after.split():
            if name not in known:
                return Drawn(error=f"'after {name}': no bar has that id", line=number)
    return None


_LOOKS: dict[str, Callable[[str], Drawn | None]] = {
    "journey": _wrong_score,
    "gantt": _bar_after_nothing,
}

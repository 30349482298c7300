"""Reads what a model wrote: an envelope of front matter, Markdown and whole files.

Lenient in, strict after: here everything is a string and nearly every shape is read; what a field may hold is decided by
the caller. Only an answer that says two things or nothing at all is refused, with sentences that can be sent back to the model.

    ---
    kind: ballot
    ranking: [idea-3, idea-1]
    ---
    free Markdown
    ~~~~~~file path=app/main.py
    print("hello")
    ~~~~~~
"""

import re
import unicodedata
from typing import Any, NamedTuple

import msgspec
import yaml

from catherd.answers import fences, front_matter
from catherd.answers.fences import File
from catherd.core import hidden

__all__ = ["Envelope", "File", "Unusable", "parse_envelope", "render_envelope"]

_THINK = re.compile(
    r"\A\s*<(think|thinking|reasoning)>.*?</\1>\s*", re.DOTALL | re.IGNORECASE
)
_WRAPS = {
    "",
    "yaml",
    "yml",
    "markdown",
    "md",
    "text",
    "txt",
    "json",
    "plaintext",
    "front-matter",
    "frontmatter",
}
_SIZE = 8 * 1024 * 1024


class Envelope(msgspec.Struct, frozen=True):
    """An answer, read: `head` (str, list or dict values, every scalar a str), `body` (Markdown), whole `files`.

    `notes` say what was tolerated, each with its line.
    """

    head: dict[str, Any]
    body: str
    files: list[File] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)


class Unusable(Exception):
    """An answer that cannot be read at all; `errors` are whole sentences to send back with the next try."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def parse_envelope(text: str) -> Envelope:
    """`text` as an envelope. No front matter: `head` is empty and the body is all of it.

    Raises Unusable: nothing there, two documents or keys that contradict each other, aliases, a file cut off, a path
    outside the repository.
    """
    notes: list[str] = []
    text = _clean(text, notes)
    if not text.strip():
        raise Unusable(["the answer is empty; return the whole document"])
    if len(text) > _SIZE:
        raise Unusable(
            [
                f"the answer is longer than {_SIZE // 1024 // 1024} MiB; return a shorter one"
            ]
        )
    lines = _unwrap(text.split("\n"), notes)
    try:
        found = _front(lines, notes)
        if found is None:
            rest, files, more = fences.take_files(lines)
            return _envelope({}, rest, files, notes + more)
        head, opener, after = found
        _second(lines, head, after, notes)
        lead, early, said = fences.take_files(lines[:opener])
        rest, files, more = fences.take_files(lines[after:], after + 1)
    except (fences.Broken, front_matter.Unreadable) as e:
        raise Unusable(e.errors) from None
    if any(x.strip() for x in lead):
        notes.append(
            f"line {opener + 1}: what stands before the front matter was left out"
        )
    twice = {f.path for f in early} & {f.path for f in files}
    if twice:
        raise Unusable([f"{min(twice)} is given twice; return it once"])
    return _envelope(head, rest, early + files, notes + said + more)


def render_envelope(
    head: dict[str, Any], body: str = "", files: list[File] | tuple[File, ...] = ()
) -> str:
    """A well-formed answer: what `parse` reads back as the same head, body and files. Scalars are str."""
    dumped = (
        yaml.safe_dump(head, allow_unicode=True, sort_keys=False, width=1_000_000)
        if head
        else ""
    )
    parts = [
        f"---\n{dumped}---\n",
        f"{body.strip()}\n" if body.strip() else "",
        *(fences.fenced(f) for f in files),
    ]
    return "\n".join(p for p in parts if p)


def _envelope(
    head: dict[str, Any], rest: list[str], files: list[File], notes: list[str]
) -> Envelope:
    body = _whole_fence(
        unicodedata.normalize("NFC", "\n".join(rest)).strip("\n"), notes
    )
    if not body.strip():
        body = ""
        if isinstance(head.get("body"), str) and head["body"].strip():
            head = dict(head)
            body = head.pop("body").strip("\n")
            notes.append("the body stood in the front matter")
    return Envelope(head, body.rstrip(), files, notes)


def _clean(text: str, notes: list[str]) -> str:
    """Plain line ends, no hidden characters, no thinking aloud."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u0085", "\n")
    kept = hidden.removed(text)
    if len(kept) != len(text.replace("\ufeff", "")):
        notes.append("control characters were left out")
    thought = _THINK.match(kept)
    if thought:
        notes.append("what stood between thinking tags was left out")
        kept = kept[thought.end() :]
    return kept


def _first_text(lines: list[str], at: int) -> int:
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at


def _mark(line: str) -> bool:
    return line.strip() == "---" and not line.startswith("    ")


def _unwrap(lines: list[str], notes: list[str]) -> list[str]:
    """Front matter, or the whole answer, that stands in a code fence: without the fence, line numbers unchanged."""
    for block in fences.blocks(lines):
        fence = block.fence
        info = fence.info.split(" ")[0].strip("{}. ").lower()
        if fences.target(fence.info) is not None:
            return lines
        if info not in _WRAPS:
            continue
        if any(
            _mark(x) and _opens(lines, i) for i, x in enumerate(lines[: block.start])
        ):
            return lines  # the front matter came before this fence
        top = _first_text(lines, block.start + 1)
        if top >= len(lines) or not (
            _mark(lines[top])
            or re.match(
                r"^\s*\{?\s*[\"'*]*kind[\"'*]*\s*[:：]", " ".join(lines[top : top + 2])
            )
        ):
            return lines
        return _opened(lines, block, top, notes)
    return lines


def _opened(
    lines: list[str], block: fences.Block, top: int, notes: list[str]
) -> list[str]:
    """`lines` without the fence `block`, whose front matter begins in line `top`."""
    notes.append(f"line {block.start + 1}: a fence around the front matter was ignored")
    is_bare = not _mark(lines[top])
    closer = _closer(lines, top + 1)
    holds_closer = closer >= 0 and (closer < block.end or block.end < 0)
    end = block.end
    if holds_closer:
        end = _fence_end(lines, block, closer, is_bare=is_bare)
    out = list(lines)
    out[block.start] = "---" if is_bare else ""
    if end >= 0:
        out[end] = "" if holds_closer and not is_bare else "---"
    return out


def _fence_end(
    lines: list[str], block: fences.Block, closer: int, *, is_bare: bool
) -> int:
    """The line that closes the fence around front matter which ends in line `closer`."""
    after = _first_text(lines, closer + 1)
    if _closes(lines, after, block.fence):
        return after
    last = len(lines) - 1 - _first_text(lines[::-1], 0)
    is_whole_answer = last > closer and _closes(lines, last, block.fence)
    return last if is_whole_answer and not is_bare else block.end


def _closer(lines: list[str], start: int) -> int:
    """The first line from `start` on that closes front matter, -1 where there is none."""
    for i in range(start, len(lines)):
        if _ends_head(lines[i]):
            return i
    return -1


def _ends_head(line: str) -> bool:
    return _mark(line) or line.rstrip() == "..."


def _closes(lines: list[str], i: int, outer: fences.Fence) -> bool:
    fence = fences.fence_at(lines[i]) if 0 <= i < len(lines) else None
    return (
        fence is not None
        and not fence.info
        and fence.char == outer.char
        and fence.size >= outer.size
    )


def _opens(lines: list[str], i: int) -> bool:
    """Whether the `---` in line i begins front matter, not a rule between paragraphs."""
    top = _first_text(lines, i + 1)
    near = top <= i + 2
    while near and top < min(i + 6, len(lines)) and lines[top].startswith("#"):
        top += 1
    return (
        near
        and top < len(lines)
        and (
            front_matter.is_key(lines[top].strip())
            or lines[top].lstrip().startswith("{")
        )
    )


class _Front(NamedTuple):
    """Front matter: its mapping, its first line, and the first line of the body."""

    head: dict[str, Any]
    opener: int
    after: int


def _front(lines: list[str], notes: list[str]) -> _Front | None:
    """The first front matter, or None."""
    first = _first_text(lines, 0)
    if first < len(lines):
        found = _unopened(lines, first, notes) or _json(lines, first, notes)
        if found is not None:
            return found
    fenced = _fenced(lines)
    is_first = True
    for i, line in enumerate(lines):
        if i not in fenced and _mark(line) and _opens(lines, i):
            found = _head(lines, i, notes, sure=is_first)
            if found is not None:
                return found
        is_first = is_first and not line.strip()
    return None


def _unopened(lines: list[str], first: int, notes: list[str]) -> _Front | None:
    """Front matter that begins with its `kind:`, without a mark before it."""
    if not re.match(r"^\*{0,2}kind\*{0,2}\s*[:：]\s*\S", lines[first]):
        return None
    notes.append(f"line {first + 1}: the front matter has no opening ---")
    return _head(lines, first - 1, notes, sure=True)


def _json(lines: list[str], first: int, notes: list[str]) -> _Front | None:
    """An answer that is one JSON object."""
    last = len(lines) - 1 - _first_text(lines[::-1], 0)
    is_object = lines[first].lstrip().startswith("{")
    if not is_object or not lines[last].rstrip().endswith("}"):
        return None
    head, more = _parsed(lines, first, len(lines))
    if "kind" not in head:
        return None
    notes += ["the answer is JSON, not front matter and Markdown", *more]
    return _Front(head, first, len(lines))


def _fenced(lines: list[str]) -> set[int]:
    """The lines that stand in fences which are closed."""
    inside: set[int] = set()
    for block in fences.blocks(lines):
        inside.update(range(block.start, block.end + 1))
    return inside


def _parsed(lines: list[str], start: int, end: int) -> tuple[dict[str, Any], list[str]]:
    """The front matter in the lines from `start` to before `end`, and notes on it."""
    numbered = [(n + 1, lines[n]) for n in range(start, end)]
    return front_matter.parse_front_matter(numbered)


def _head(
    lines: list[str], opener: int, notes: list[str], *, sure: bool
) -> _Front | None:
    """Front matter from the line after `opener` to its closer.

    Without a closer it goes as far as lines look like YAML. Then, unless it is `sure`,
    it must begin with `kind:`, or it is a rule in prose followed by "Note: …".
    """
    start = opener + 1
    end = _head_end(lines, start)
    if end < len(lines) and _ends_head(lines[end]):
        head, more = _parsed(lines, start, end)
        notes += more
        return _Front(head, max(opener, 0), end + 1)
    while end > start and _is_blank_or_comment(lines[end - 1]):
        end -= 1
    first = lines[start]
    begins = front_matter.is_key(first.strip()) and re.match(r"^\W*kind\b", first)
    if not sure and not begins:
        return None
    head, more = _parsed(lines, start, end)
    notes += [f"line {start + 1}: the front matter has no closing ---", *more]
    return _Front(head, max(opener, 0), end)


def _head_end(lines: list[str], start: int) -> int:
    """The line that closes the front matter, or the first that can be no part of it."""
    after_blank = False
    for i in range(start, len(lines)):
        line = lines[i]
        if _ends_head(line):
            return i
        is_prose = bool(line.strip()) and not front_matter.is_yaml(line)
        if is_prose and (after_blank or fences.fence_at(line)):
            return i
        after_blank = not line.strip()
    return len(lines)


def _is_blank_or_comment(line: str) -> bool:
    return not line.strip() or line.startswith("#")


def _second(
    lines: list[str], head: dict[str, Any], after: int, notes: list[str]
) -> None:
    """Refuse a second front matter that says something else about the same keys."""
    fenced = _fenced(lines)
    for i in range(after - 1, len(lines)):
        if i in fenced or not _mark(lines[i]) or not _opens(lines, i):
            continue
        closer = _closer(lines, i + 1)
        if closer < 0:
            continue
        other, _ = _parsed(lines, i + 1, closer)
        if "kind" not in other or head.keys().isdisjoint(other):
            continue
        differing = [key for key in other if other[key] != head.get(key)]
        if differing:
            raise Unusable(
                [
                    f"line {i + 2}: a second document begins, and its {differing[0]!r} differs from the first; return exactly one"
                ]
            )
        notes.append(f"line {i + 2}: the front matter is repeated")


def _whole_fence(body: str, notes: list[str]) -> str:
    """A body that is nothing but one ```markdown fence: its content."""
    lines = body.strip().split("\n")
    first = fences.fence_at(lines[0])
    if (
        first is None
        or first.info.lower() not in {"markdown", "md"}
        or not _closes(lines, len(lines) - 1, first)
        or len(lines) < 3
    ):
        return body
    if fences.blocks(lines)[0].end != len(lines) - 1:
        return body
    notes.append("a fence around the body was ignored")
    return "\n".join(lines[1:-1]).strip("\n")

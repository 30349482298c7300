"""The lenient door: what a model wrote, as an envelope of front matter, Markdown and whole files.

Lenient in, strict after: here everything is a string and nearly every shape is read; what a field may hold is decided by
whoever asked. Only what says two things or nothing at all is refused, with sentences that can be sent back to the model.

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
from typing import Any

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
    out = list(lines)
    notes.append(f"line {block.start + 1}: a fence around the front matter was ignored")
    bare = not _mark(lines[top])
    out[block.start] = "---" if bare else ""
    end = block.end
    closer = next(
        (
            i
            for i in range(top + 1, len(lines))
            if _mark(lines[i]) or lines[i].rstrip() == "..."
        ),
        -1,
    )
    inside = closer >= 0 and (closer < end or end < 0)
    after = _first_text(lines, closer + 1) if inside else -1
    last = max((i for i, x in enumerate(lines) if x.strip()), default=0)
    if (
        inside
        and not bare
        and not _closes(lines, after, block.fence)
        and last > closer
        and _closes(lines, last, block.fence)
    ):
        end = last  # the whole answer is wrapped: its last line is the close
    elif inside and _closes(lines, after, block.fence):
        end = after
    if end >= 0:
        out[end] = "" if inside and not bare else "---"
    return out


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


def _front(
    lines: list[str], notes: list[str]
) -> tuple[dict[str, Any], int, int] | None:
    """(head, its first line, the first line of the body) of the first front matter, or None."""
    inside = [(b.start, b.end) for b in fences.blocks(lines) if b.end > b.start]
    at = _first_text(lines, 0)
    if at < len(lines) and re.match(r"^\*{0,2}kind\*{0,2}\s*[:：]\s*\S", lines[at]):
        notes.append(f"line {at + 1}: the front matter has no opening ---")
        return _head(lines, at - 1, notes, sure=True)
    if (
        at < len(lines)
        and lines[at].lstrip().startswith("{")
        and lines[-1 - _first_text(lines[::-1], 0)].rstrip().endswith("}")
    ):
        head, more = front_matter.parse_front_matter(
            [(i + 1, lines[i]) for i in range(at, len(lines))]
        )
        if "kind" in head:
            notes += ["the answer is JSON, not front matter and Markdown", *more]
            return head, at, len(lines)
    k = 0
    for i, line in enumerate(lines):
        while k < len(inside) and inside[k][1] < i:
            k += 1
        if k < len(inside) and inside[k][0] <= i:
            continue
        if _mark(line) and _opens(lines, i):
            found = _head(lines, i, notes, sure=not any(x.strip() for x in lines[:i]))
            if found is not None:
                return found
    return None


def _head(
    lines: list[str], opener: int, notes: list[str], *, sure: bool
) -> tuple[dict[str, Any], int, int] | None:
    """Read from the line after `opener` to the closer. Without a closer: as far as lines look like YAML, if `sure`."""
    blank = False
    end = len(lines)
    for i in range(opener + 1, len(lines)):
        line = lines[i]
        if _mark(line) or line.rstrip() == "...":
            head, more = front_matter.parse_front_matter(
                [(n + 1, lines[n]) for n in range(opener + 1, i)]
            )
            notes += more
            return head, max(opener, 0), i + 1
        if (
            line.strip()
            and not front_matter.is_yaml(line)
            and (blank or fences.fence_at(line))
        ):
            end = i
            break
        blank = not line.strip()
    while end > opener + 1 and (
        not lines[end - 1].strip() or lines[end - 1].startswith("#")
    ):
        end -= 1
    if not sure and not front_matter.is_key(lines[opener + 1].strip()):
        return None
    if not sure and not re.match(r"^\W*kind\b", lines[opener + 1]):
        return None  # a rule in prose, followed by "Note: …"
    head, more = front_matter.parse_front_matter(
        [(n + 1, lines[n]) for n in range(opener + 1, end)]
    )
    notes += [f"line {opener + 2}: the front matter has no closing ---", *more]
    return head, max(opener, 0), end


def _second(
    lines: list[str], head: dict[str, Any], after: int, notes: list[str]
) -> None:
    """Refuses a second front matter that says something else about the same keys."""
    inside = {n for b in fences.blocks(lines) for n in range(b.start, b.end + 1)}
    for i in range(after - 1, len(lines)):
        if i in inside or not _mark(lines[i]) or not _opens(lines, i):
            continue
        closer = next(
            (
                n
                for n in range(i + 1, len(lines))
                if _mark(lines[n]) or lines[n].rstrip() == "..."
            ),
            -1,
        )
        if closer < 0:
            continue
        other, _ = front_matter.parse_front_matter(
            [(n + 1, lines[n]) for n in range(i + 1, closer)]
        )
        if "kind" not in other or not set(other) & set(head):
            continue
        for key in other:
            if other[key] != head.get(key):
                raise Unusable(
                    [
                        f"line {i + 2}: a second document begins, and its {key!r} differs from the first; return exactly one"
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

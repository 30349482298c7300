"""The Markdown adapter (markdown-it-py): headings, fences, links, items and tables, each with its line.

Raises ImportError where markdown-it-py is missing; the caller makes that an `unknown`.
"""

import re
from typing import Any, NamedTuple
from urllib.parse import unquote

from catherd.design.checks.finding import Facts, Ref
from catherd.design.checks.tools import need

PLACEHOLDER = re.compile(
    r"\bTBD\b|\bTODO\b|\bFIXME\b|\?\?\?|[Ll]orem ipsum|\{\{.*?\}\}|\[NEEDS\b[^\]]*\]?"
)
_HTML_ANCHOR = re.compile(r"""<[a-zA-Z][^>]*\s(?:id|name)\s*=\s*["']?([^"'\s>]+)""")


class Heading(NamedTuple):
    """A heading; `text` without markup, `slug` as GitHub makes it."""

    level: int
    text: str
    line: int
    slug: str


class CodeFence(NamedTuple):
    """A fenced code block; `line` is that of its opening fence, the body begins one line further down."""

    info: str
    body: str
    line: int


class Item(NamedTuple):
    """A list item: its text without markup, the text of its first bold run, its line, its depth from 1."""

    text: str
    strong: str
    line: int
    depth: int


class Table(NamedTuple):
    """A table: column heads, rows of cells, the line of each row."""

    head: list[str]
    rows: list[list[str]]
    lines: list[int]


class Page(NamedTuple):
    """One Markdown file, read once. `front` is the text of its front matter ("" without one), which starts in line 2."""

    lines: list[str]
    front: str
    headings: list[Heading]
    fences: list[CodeFence]
    links: list[Ref]
    items: list[Item]
    tables: list[Table]
    anchors: list[str]
    placeholders: list[Ref]

    def section(self, title: str, level: int = 2) -> tuple[Heading, int] | None:
        """The heading that begins with `title`, and the last line of its section; None when there is no such heading."""
        for n, head in enumerate(self.headings):
            if head.level == level and head.text.lower().startswith(title.lower()):
                following = (
                    h.line - 1 for h in self.headings[n + 1 :] if h.level <= level
                )
                return head, next(following, len(self.lines))
        return None

    def between(self, first: int, last: int) -> list[Item]:
        """The list items of the lines `first`…`last`."""
        return [item for item in self.items if first <= item.line <= last]

    def empty(self, first: int, last: int) -> bool:
        """Whether there is nothing but headings and blank lines after line `first` up to line `last`."""
        heads = {head.line for head in self.headings}
        return all(
            not self.lines[n - 1].strip() or n in heads
            for n in range(first + 1, last + 1)
        )


def heading_slug(text: str, seen: dict[str, int]) -> str:
    """GitHub's anchor for a heading; `seen` counts those of the page so far."""
    plain = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
    count = seen.get(plain, -1) + 1
    seen[plain] = count
    return f"{plain}-{count}" if count else plain


def split_front(text: str) -> tuple[str, str]:
    """(front matter, body); the body keeps its line numbers because the front matter is replaced by empty lines."""
    found = re.match(
        r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", text, re.DOTALL | re.MULTILINE
    )
    if not found:
        return "", text
    return found[1], "\n" * found[0].count("\n") + text[found.end() :]


def read_page(text: str) -> Page:
    """`text` taken apart."""
    need("markdown_it")
    from markdown_it import MarkdownIt

    front, body = split_front(text)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(body)
    page = Page(text.splitlines(), front, [], [], [], [], [], [], [])
    seen: dict[str, int] = {}
    for n, token in enumerate(tokens):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "fence":
            page.fences.append(CodeFence(token.info.strip(), token.content, line))
        elif token.type == "heading_open":
            words = _plain(tokens[n + 1])
            page.headings.append(
                Heading(int(token.tag[1]), words, line, heading_slug(words, seen))
            )
        elif token.type == "inline":
            _inline(page, token, line)
            page.anchors.extend(_HTML_ANCHOR.findall(token.content))
        elif token.type == "html_block":
            page.anchors.extend(_HTML_ANCHOR.findall(token.content))
        elif token.type == "list_item_open":
            first = next((t for t in tokens[n + 1 : n + 3] if t.type == "inline"), None)
            page.items.append(
                Item(_plain(first), _strong(first), line, token.level // 2 + 1)
            )
        elif token.type == "table_open":
            page.tables.append(_table(tokens, n))
    page.anchors.extend(head.slug for head in page.headings)
    return page


def _plain(token: Any) -> str:
    if token is None:
        return ""
    return "".join(
        child.content
        if child.type in {"text", "code_inline"}
        else " "
        if child.type == "softbreak"
        else ""
        for child in token.children or []
    )


def _strong(token: Any) -> str:
    words, inside = "", False
    for child in (token.children or []) if token else []:
        if child.type == "strong_open":
            inside = True
        elif child.type == "strong_close":
            break
        elif inside:
            words += child.content
    return words


def _inline(page: Page, token: Any, line: int) -> None:
    for child in token.children or []:
        if child.type in {"softbreak", "hardbreak"}:
            line += 1
        elif child.type == "link_open":
            _link(page, str(child.attrs.get("href", "")), line)
        elif child.type == "image":
            _link(page, str(child.attrs.get("src", "")), line)
        elif child.type == "text":
            found = PLACEHOLDER.search(child.content)
            if found:
                page.placeholders.append(
                    Ref(found[0], line, _column(page, line, found[0]))
                )
        elif child.type == "code_inline":
            line += child.content.count("\n")
    # `[NEEDS x]` and `{{ x }}` may be cut into several text tokens by the parser: the raw words tell
    raw = re.sub(r"`[^`]*`", "", token.content)
    for found in re.finditer(r"\[NEEDS\b[^\]]*\]|\{\{.*?\}\}", raw):
        if not any(ref.name == found[0] for ref in page.placeholders):
            at = (
                (token.map[0] if token.map else 0)
                + token.content[: found.start()].count("\n")
                + 1
            )
            page.placeholders.append(Ref(found[0], at, _column(page, at, found[0])))


def _column(page: Page, line: int, words: str) -> int:
    return page.lines[line - 1].find(words) + 1 if 0 < line <= len(page.lines) else 1


def _link(page: Page, target: str, line: int) -> None:
    words = unquote(target)
    page.links.append(Ref(words, line, max(1, _column(page, line, f"({words}") + 1)))


def _table(tokens: list[Any], start: int) -> Table:
    head: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    for n in range(start, len(tokens)):
        token = tokens[n]
        if token.type == "table_close":
            break
        if token.type == "th_open":
            head.append(_plain(tokens[n + 1]))
        elif token.type == "tr_open" and head:
            rows.append([])
            lines.append(token.map[0] + 1 if token.map else 0)
        elif token.type == "td_open":
            rows[-1].append(_plain(tokens[n + 1]))
    return Table(head, rows, lines)


def note(page: Page, facts: Facts) -> None:
    """What every page has for the rules between files: links and anchors."""
    facts.links.extend(page.links)
    facts.anchors.extend(page.anchors)

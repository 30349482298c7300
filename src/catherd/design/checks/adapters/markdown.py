"""The Markdown adapter (markdown-it-py): what stands on a page, each with its line.

`read_page` raises ImportError where markdown-it-py is missing. The caller makes that an
`unknown`.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from catherd.design.checks.adapters.tools import need
from catherd.design.checks.finding import Facts, Ref

PLACEHOLDER = re.compile(
    r"\bTBD\b|\bTODO\b|\bFIXME\b|\?\?\?|[Ll]orem ipsum|\{\{.*?\}\}|\[NEEDS\b[^\]]*\]?"
)
_IN_BRACKETS = re.compile(r"\[NEEDS\b[^\]]*\]|\{\{.*?\}\}")
_HTML_ANCHOR = re.compile(r"""<[a-zA-Z][^>]*\s(?:id|name)\s*=\s*["']?([^"'\s>]+)""")


class Heading(NamedTuple):
    """A heading; `text` without markup, `slug` as GitHub makes it."""

    level: int
    text: str
    line: int
    slug: str


class CodeFence(NamedTuple):
    """A fenced code block.

    `line` is that of the opening fence; the body begins one line further down.
    """

    info: str
    body: str
    line: int

    @property
    def language(self) -> str:
        """The first word of the info string, "" without one."""
        words = self.info.split()
        return words[0] if words else ""


class Item(NamedTuple):
    """A list item; `text` without markup, `strong` its first bold run, depth from 1."""

    text: str
    strong: str
    line: int
    depth: int

    @property
    def word(self) -> str:
        """The bold run in lower case and without its colon: `- **Rule**: …` is "rule"."""
        return self.strong.strip(": ").lower()


class Table(NamedTuple):
    """A table: column heads, rows of cells, the line of each row."""

    head: list[str]
    rows: list[list[str]]
    lines: list[int]


class Span(NamedTuple):
    """A part of a page, from its heading's line to its last line."""

    first: int
    last: int

    def holds(self, line: int) -> bool:
        """Whether a line is one of these."""
        return self.first <= line <= self.last


class Page(NamedTuple):
    """One Markdown file, read once.

    `front` is the text of its front matter, which starts in line 2, or "" without one.
    """

    lines: list[str]
    front: str
    headings: list[Heading]
    fences: list[CodeFence]
    links: list[Ref]
    items: list[Item]
    tables: list[Table]
    anchors: list[str]
    placeholders: list[Ref]

    def section(self, title: str, level: int = 2) -> Span | None:
        """The section whose heading begins with `title`, or None."""
        for n, head in enumerate(self.headings):
            if head.level == level and head.text.lower().startswith(title.lower()):
                return Span(head.line, self._end(n))
        return None

    def _end(self, n: int) -> int:
        """The last line of the section of the heading with index `n`."""
        for following in self.headings[n + 1 :]:
            if following.level <= self.headings[n].level:
                return following.line - 1
        return len(self.lines)

    def titles_in(self, span: Span, level: int) -> list[Heading]:
        """The headings of one level below the first line of `span`."""
        inner = Span(span.first + 1, span.last)
        return [h for h in self.headings if h.level == level and inner.holds(h.line)]

    def blocks(self, span: Span, level: int) -> Iterator[tuple[Heading, Span]]:
        """The headings of one level within `span`, each with its part of it."""
        heads = self.titles_in(span, level)
        ends = [head.line - 1 for head in heads[1:]] + [span.last]
        for head, end in zip(heads, ends, strict=False):
            yield head, Span(head.line, end)

    def items_in(self, span: Span) -> list[Item]:
        """The list items within `span`."""
        return [item for item in self.items if span.holds(item.line)]

    def empty(self, span: Span) -> bool:
        """Whether only headings and blank lines follow the first line of `span`."""
        heads = {head.line for head in self.headings}
        for number in range(span.first + 1, span.last + 1):
            if self.lines[number - 1].strip() and number not in heads:
                return False
        return True

    def column(self, line: int, words: str) -> int:
        """The column of `words` in a line, or 0 when they do not stand there."""
        if not 0 < line <= len(self.lines):
            return 1
        return self.lines[line - 1].find(words) + 1


def heading_slug(text: str, seen: dict[str, int]) -> str:
    """GitHub's anchor for a heading; `seen` counts those of the page so far."""
    plain = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
    count = seen.get(plain, -1) + 1
    seen[plain] = count
    return f"{plain}-{count}" if count else plain


def split_front(text: str) -> tuple[str, str]:
    """(front matter, body).

    Empty lines stand in the body for the front matter, so that it keeps its line
    numbers.
    """
    found = re.match(
        r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", text, re.DOTALL | re.MULTILINE
    )
    if not found:
        return "", text
    return found[1], "\n" * found[0].count("\n") + text[found.end() :]


def title_of(body: str) -> str:
    """The words of the first heading of level 1, "" without one."""
    found = re.search(r"^# (.+)$", body, re.MULTILINE)
    return found[1] if found else ""


def read_page(text: str) -> Page:
    """`text` taken apart."""
    need("markdown_it")
    from markdown_it import MarkdownIt

    front, body = split_front(text)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(body)
    page = Page(text.splitlines(), front, [], [], [], [], [], [], [])
    seen: dict[str, int] = {}
    for n, token in enumerate(tokens):
        line = _line(token)
        match token.type:
            case "fence":
                page.fences.append(CodeFence(token.info.strip(), token.content, line))
            case "heading_open":
                words = _plain(tokens[n + 1])
                slug = heading_slug(words, seen)
                page.headings.append(Heading(int(token.tag[1]), words, line, slug))
            case "inline":
                _read_inline(page, token, line)
                page.anchors.extend(_HTML_ANCHOR.findall(token.content))
            case "html_block":
                page.anchors.extend(_HTML_ANCHOR.findall(token.content))
            case "list_item_open":
                page.items.append(_item(tokens, n))
            case "table_open":
                page.tables.append(_table(tokens, n))
    page.anchors.extend(head.slug for head in page.headings)
    return page


def _line(token: Any) -> int:
    """The line where a token begins, or 0 when markdown-it does not know."""
    return token.map[0] + 1 if token.map else 0


def _item(tokens: list[Any], start: int) -> Item:
    """The list item that opens at `start`; its text is its first paragraph's."""
    token = tokens[start]
    inner = (one for one in tokens[start + 1 : start + 3] if one.type == "inline")
    first = next(inner, None)
    children = (first.children or []) if first else []
    depth = token.level // 2 + 1
    return Item(_plain(first), _strong(children), _line(token), depth)


def _plain(token: Any) -> str:
    """The words of an inline token without markup, "" for None."""
    words = ""
    for child in (token.children or []) if token else []:
        if child.type in {"text", "code_inline"}:
            words += child.content
        elif child.type == "softbreak":
            words += " "
    return words


def _strong(children: list[Any]) -> str:
    """The words of the first bold run."""
    words, inside = "", False
    for child in children:
        if child.type == "strong_open":
            inside = True
        elif child.type == "strong_close":
            break
        elif inside:
            words += child.content
    return words


def _read_inline(page: Page, token: Any, line: int) -> None:
    """Note the links and placeholders of a paragraph that begins in `line`."""
    for child in token.children or []:
        match child.type:
            case "softbreak" | "hardbreak":
                line += 1
            case "link_open":
                _note_link(page, str(child.attrs.get("href", "")), line)
            case "image":
                _note_link(page, str(child.attrs.get("src", "")), line)
            case "text":
                found = PLACEHOLDER.search(child.content)
                if found:
                    _note_placeholder(page, found[0], line)
            case "code_inline":
                line += child.content.count("\n")
    _read_brackets(page, token)


def _read_brackets(page: Page, token: Any) -> None:
    """Note `[NEEDS x]` and `{{ x }}`, which the parser may cut into several texts."""
    raw = re.sub(r"`[^`]*`", "", token.content)
    first = token.map[0] if token.map else 0
    for found in _IN_BRACKETS.finditer(raw):
        if all(ref.name != found[0] for ref in page.placeholders):
            before = token.content[: found.start()]
            _note_placeholder(page, found[0], first + before.count("\n") + 1)


def _note_placeholder(page: Page, words: str, line: int) -> None:
    page.placeholders.append(Ref(words, line, page.column(line, words)))


def _note_link(page: Page, target: str, line: int) -> None:
    words = unquote(target)
    column = page.column(line, f"({words}") + 1
    page.links.append(Ref(words, line, max(1, column)))


def _table(tokens: list[Any], start: int) -> Table:
    """The table that opens at `start`."""
    table = Table([], [], [])
    for n in range(start, len(tokens)):
        token = tokens[n]
        if token.type == "table_close":
            break
        if token.type == "th_open":
            table.head.append(_plain(tokens[n + 1]))
        elif token.type == "tr_open" and table.head:
            table.rows.append([])
            table.lines.append(_line(token))
        elif token.type == "td_open":
            table.rows[-1].append(_plain(tokens[n + 1]))
    return table


def note(page: Page, facts: Facts) -> None:
    """Give `facts` what the rules between files need of every page: links, anchors."""
    facts.links.extend(page.links)
    facts.anchors.extend(page.anchors)

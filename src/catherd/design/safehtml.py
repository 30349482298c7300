"""A model's Markdown made HTML that does nothing, for the one-file design document.

Raw HTML is shown as text. Links keep only http,
https, mailto and places within the document. Pictures are embedded from the tree or
dropped, because a remote picture is a tracker. Diagrams and SVG stand in <img> as
data:, where no script runs.
"""

import base64
import html
import os
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from markupsafe import Markup

from catherd.design.checks.adapters.markdown import heading_slug, split_front

PICTURES = {
    ".svg": "svg+xml",
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".gif": "gif",
    ".webp": "webp",
}
LARGEST = 2 << 20  # bytes of an embedded picture
IDS = re.compile(r"\b(?:US|UJ|SCR|T|AD)-\d{3,}\b|\bADR-\d{4}\b")
_WEB = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_SCHEME = re.compile(r"[a-zA-Z][\w+.-]*:|//")
_STEPS = re.compile(
    r"^(\s*)((?:Feature|Rule|Background|Scenario Outline|Scenario Template|Scenario|Example|Examples|Scenarios):"
    r"|(?:Given|When|Then|And|But|\*) )(.*)$"
)
_VIEW_BOX = re.compile(r'viewBox="([^"]*)"')
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")  # as SVG writes it
_UNKNOWN_SIZE = (300, 150)  # what browsers take
_WIDEST = 100_000  # pixels; what says that it is larger is no picture


class PageContext(NamedTuple):
    """What rendering needs to know of the document.

    `root` is where pictures are read from. `anchors` maps a path of docs/ to its anchor
    in the page. `idents` are the ids that have one. `draw` gives a diagram as HTML.
    """

    root: str
    anchors: Mapping[str, str]
    idents: frozenset[str]
    draw: Callable[[str], Markup]


def picture(svg: str, alt: str, kind: str = "") -> Markup:
    """An SVG as an <img> of its own size; `kind` is a CSS class."""
    wide, high = size(svg)
    data = base64.b64encode(svg.encode()).decode()
    return Markup(
        '<img class="{}" alt="{}" width="{}" height="{}" decoding="async" style="--w:{}px" src="data:image/svg+xml;base64,{}">'
    ).format(kind, alt, wide, high, wide, Markup(data))  # noqa: S704 - base64 holds no markup


def size(svg: str) -> tuple[int, int]:
    """Width and height in pixels from the viewBox, each from 1 to _WIDEST.

    Without a viewBox that says so: 300 x 150, as browsers take it.
    """
    found = _VIEW_BOX.search(svg)
    if not found:
        return _UNKNOWN_SIZE

    words = re.split(r"[\s,]+", found[1].strip())
    numbers = [float(word) for word in words if _NUMBER.fullmatch(word)]
    if len(words) != 4 or len(numbers) != 4:
        return _UNKNOWN_SIZE

    _, _, wide, high = numbers
    if not (0 <= wide <= _WIDEST and 0 <= high <= _WIDEST):
        return _UNKNOWN_SIZE
    return max(1, round(wide)), max(1, round(high))


def gherkin(text: str) -> Markup:
    """A feature with its keywords marked."""
    lines: list[Markup] = []
    for line in text.rstrip("\n").split("\n"):
        found = _STEPS.match(line)
        if found:
            lines.append(Markup("{}<b>{}</b>{}").format(*found.groups()))
        elif line.lstrip().startswith(("@", "#")):
            lines.append(Markup("<i>{}</i>").format(line))
        else:
            lines.append(Markup("{}").format(line))
    code = Markup("\n").join(lines)
    return Markup('<pre class="gherkin"><code>{}</code></pre>').format(code)


def listing_html(text: str, language: str = "") -> Markup:
    """A listing."""
    kind = re.sub(r"[^\w-]", "", language)
    return Markup('<pre class="{}"><code>{}</code></pre>').format(
        kind, text.rstrip("\n")
    )


def inline_html(text: str, place: PageContext) -> Markup:
    """One line of plain text with the document's ids made links."""
    return Markup(_linked(html.escape(text), place))  # noqa: S704 - escaped one call further in


def _linked(escaped: str, place: PageContext) -> str:
    """Escaped text with each id that the page has made a link to it."""

    def link(found: re.Match[str]) -> str:
        ident = found[0]
        return f'<a href="#{ident}">{ident}</a>' if ident in place.idents else ident

    return IDS.sub(link, escaped)


def render_page(
    text: str, path: str, place: PageContext, *, skip_title: bool = False
) -> Markup:
    """A page of Markdown as HTML; `path` is where it stands, for its relative links.

    Headings move down two levels, since the page is a section of the document.
    `skip_title` leaves its H1 out.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(
        ["table", "strikethrough"]
    )
    _add_rules(parser, place)
    tokens = parser.parse(split_front(text)[1])
    if skip_title:
        tokens = _without_title(tokens)
    _lower_headings(tokens, path)
    for token in tokens:
        if token.type == "inline":
            _prepare_inline(token, path, place)
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - html=False and the rules below


def _add_rules(parser: Any, place: PageContext) -> None:
    """Say how fences, text, pictures and tables are written."""

    def fence(_self: Any, tokens: Sequence[Any], n: int, *_: Any) -> str:
        return str(_fence(tokens[n], place))

    def text(_self: Any, tokens: Sequence[Any], n: int, *_: Any) -> str:
        escaped = html.escape(tokens[n].content)
        return escaped if tokens[n].meta.get("linked") else _linked(escaped, place)

    def image(_self: Any, tokens: Sequence[Any], n: int, *_: Any) -> str:
        return _image(tokens[n])

    parser.add_render_rule("fence", fence)
    parser.add_render_rule("text", text)
    parser.add_render_rule("image", image)
    parser.add_render_rule("table_open", lambda *_: '<div class="wide"><table>')
    parser.add_render_rule("table_close", lambda *_: "</table></div>")


def _fence(token: Any, place: PageContext) -> Markup:
    """A diagram, a feature or a listing."""
    words = token.info.split()
    language = words[0] if words else ""
    if language == "mermaid":
        return place.draw(token.content)
    if language == "gherkin":
        return gherkin(token.content)
    return listing_html(token.content, language)


def _image(token: Any) -> str:
    """A picture whose data was found, or its name."""
    if token.meta.get("data"):
        return f'<img alt="{html.escape(token.content)}" src="{token.meta["data"]}">'
    name = html.escape(token.content or "without a name")
    return f'<span class="dropped">[picture: {name}]</span>'


def _without_title(tokens: list[Any]) -> list[Any]:
    """The tokens without those of the first H1: opening, words, closing."""
    for n, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            return tokens[:n] + tokens[n + 3 :]
    return tokens


def _lower_headings(tokens: list[Any], path: str) -> None:
    """Move headings down two levels and give each its anchor."""
    seen: dict[str, int] = {}
    for n, token in enumerate(tokens):
        if token.type == "heading_open":
            words = "".join(child.content for child in tokens[n + 1].children or [])
            token.attrSet("id", anchor(path, heading_slug(words, seen)))
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"


def anchor(path: str, heading: str = "") -> str:
    """The anchor of a page, or of a heading in it."""
    name = re.sub(r"[^\w-]+", "-", path.removeprefix("docs/"))
    return f"{name}--{heading}" if heading else name


def _prepare_inline(token: Any, path: str, place: PageContext) -> None:
    """Point the links, find the pictures, and mark the text that is in a link already."""
    inside = False
    for child in token.children or []:
        if child.type == "link_open":
            inside = True
            _point(child, path, place)
        elif child.type == "link_close":
            inside = False
        elif child.type == "image":
            child.meta["data"] = _data(str(child.attrs.get("src", "")), path, place)
        elif child.type == "text" and inside:
            child.meta["linked"] = True


def _point(token: Any, path: str, place: PageContext) -> None:
    """Point a link to its place in the page.

    A web address is kept. Nothing else leads anywhere.
    """
    href = unquote(str(token.attrs.get("href", "")))
    token.attrs.clear()
    if _WEB.match(href):
        token.attrs["href"] = href
        token.attrs["rel"] = "noopener noreferrer"
        return
    if _SCHEME.match(href):
        return

    target, _, heading = href.partition("#")
    target = _beside(path, target) if target else path
    if target in place.anchors:
        whole = place.anchors[target]
        inner = anchor(target, heading) if heading else whole
        token.attrs["href"] = f"#{inner}"


def _beside(path: str, target: str) -> str:
    """The path that a relative address in the page `path` means."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _data(source: str, path: str, place: PageContext) -> str:
    """A picture of the tree as a data: address, "" for any other."""
    if source.startswith("/") or _SCHEME.match(source):
        return ""
    name = _beside(path, unquote(source))
    _, ending = posixpath.splitext(name)
    kind = PICTURES.get(ending.lower())
    if not kind or not _small_file_of_docs(place.root, name):
        return ""

    with open(os.path.join(place.root, name), "rb") as file:
        data = base64.b64encode(file.read()).decode()
    return f"data:image/{kind};base64,{data}"


def _small_file_of_docs(root: str, name: str) -> bool:
    """Whether a file is small and lies in docs/, symbolic links followed."""
    full = os.path.join(root, name)
    docs = os.path.realpath(os.path.join(root, "docs"))
    inside = os.path.realpath(full).startswith(docs + os.sep)
    if not inside or not name.startswith("docs/"):
        return False
    return os.path.isfile(full) and os.path.getsize(full) <= LARGEST

"""Markdown that a model wrote as HTML that does nothing: for the one-file design document.

Raw HTML is shown as text, links keep only http, https, mailto and places within the document, pictures are embedded from
the tree or dropped (a remote picture is a tracker), diagrams and SVG stand in <img> as data:, where no script runs.
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

from catherd.design.checks.markdown import heading_slug, split_front

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
_STEPS = re.compile(
    r"^(\s*)((?:Feature|Rule|Background|Scenario Outline|Scenario Template|Scenario|Example|Examples|Scenarios):"
    r"|(?:Given|When|Then|And|But|\*) )(.*)$"
)


class PageContext(NamedTuple):
    """What rendering needs to know of the document.

    `root` is where pictures are read from; `anchors` maps a path of docs/ to its anchor in the page; `idents` are the ids
    that have one; `draw` gives a diagram's picture as HTML.
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
    """Width and height from the viewBox; 300 × 150, as browsers take it, without one."""
    found = re.search(
        r'viewBox="\s*[-\d.e]+[\s,]+[-\d.e]+[\s,]+([\d.e+]+)[\s,]+([\d.e+]+)', svg
    )
    if not found:
        return 300, 150
    return max(1, round(float(found[1]))), max(1, round(float(found[2])))


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
    return Markup('<pre class="gherkin"><code>{}</code></pre>').format(
        Markup("\n").join(lines)
    )


def listing_html(text: str, language: str = "") -> Markup:
    """A listing."""
    return Markup('<pre class="{}"><code>{}</code></pre>').format(
        re.sub(r"[^\w-]", "", language), text.rstrip("\n")
    )


def inline_html(text: str, place: PageContext) -> Markup:
    """One line of plain text with the document's ids made links."""
    return Markup(_linked(html.escape(text), place))  # noqa: S704 - escaped one call further in


def _linked(escaped: str, place: PageContext) -> str:
    return IDS.sub(
        lambda m: f'<a href="#{m[0]}">{m[0]}</a>' if m[0] in place.idents else m[0],
        escaped,
    )


def render_page(
    text: str, path: str, place: PageContext, *, skip_title: bool = False
) -> Markup:
    """A page of Markdown as HTML; `path` is where it stands, for its relative links.

    Headings move down two levels, since the page is a section of the document. `skip_title` leaves its H1 out.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(
        ["table", "strikethrough"]
    )
    _rules(parser, place)
    tokens = parser.parse(split_front(text)[1])
    if skip_title:
        tokens = _without_title(tokens)
    _headings(tokens, path)
    for token in tokens:
        if token.type == "inline":
            _children(token, path, place)
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - html=False and the rules below


def _rules(parser: Any, place: PageContext) -> None:
    """How fences, text and listings are written."""

    def fence(_self: Any, tokens: Sequence[Any], n: int, *_: Any) -> str:
        language = tokens[n].info.split()[0] if tokens[n].info.split() else ""
        if language == "mermaid":
            return str(place.draw(tokens[n].content))
        return str(
            gherkin(tokens[n].content)
            if language == "gherkin"
            else listing_html(tokens[n].content, language)
        )

    def text(_self: Any, tokens: Sequence[Any], n: int, *_: Any) -> str:
        escaped = html.escape(tokens[n].content)
        return escaped if tokens[n].meta.get("linked") else _linked(escaped, place)

    def embedded(_self: Any, tokens: Sequence[Any], n: int, *_: Any) -> str:
        token = tokens[n]
        if token.meta.get("data"):
            return (
                f'<img alt="{html.escape(token.content)}" src="{token.meta["data"]}">'
            )
        return f'<span class="dropped">[picture: {html.escape(token.content or "without a name")}]</span>'

    parser.add_render_rule("fence", fence)
    parser.add_render_rule("text", text)
    parser.add_render_rule("image", embedded)
    parser.add_render_rule("table_open", lambda *_: '<div class="wide"><table>')
    parser.add_render_rule("table_close", lambda *_: "</table></div>")


def _without_title(tokens: list[Any]) -> list[Any]:
    at = next(
        (
            n
            for n, token in enumerate(tokens)
            if token.type == "heading_open" and token.tag == "h1"
        ),
        None,
    )
    return tokens if at is None else tokens[:at] + tokens[at + 3 :]


def _headings(tokens: list[Any], path: str) -> None:
    seen: dict[str, int] = {}
    for n, token in enumerate(tokens):
        if token.type in {"heading_open", "heading_close"}:
            if token.type == "heading_open":
                words = "".join(child.content for child in tokens[n + 1].children or [])
                token.attrSet("id", anchor(path, heading_slug(words, seen)))
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"


def anchor(path: str, heading: str = "") -> str:
    """The anchor of a page, or of a heading in it."""
    name = re.sub(r"[^\w-]+", "-", path.removeprefix("docs/"))
    return f"{name}--{heading}" if heading else name


def _children(token: Any, path: str, place: PageContext) -> None:
    inside = False
    for child in token.children or []:
        if child.type == "link_open":
            inside = True
            _link(child, path, place)
        elif child.type == "link_close":
            inside = False
        elif child.type == "image":
            child.meta["data"] = _data(str(child.attrs.get("src", "")), path, place)
        elif child.type == "text" and inside:
            child.meta["linked"] = True


def _link(token: Any, path: str, place: PageContext) -> None:
    """Point a link to its place in the page, keep a web address, and let nothing else lead anywhere."""
    href = unquote(str(token.attrs.get("href", "")))
    token.attrs.clear()
    if re.match(r"(?:https?://|mailto:)", href, re.IGNORECASE):
        token.attrs["href"] = href
        token.attrs["rel"] = "noopener noreferrer"
        return
    if re.match(r"[a-zA-Z][\w+.-]*:|//", href):
        return
    target, _, heading = href.partition("#")
    target = (
        posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if target
        else path
    )
    if target in place.anchors:
        whole = place.anchors[target]
        token.attrs["href"] = f"#{anchor(target, heading) if heading else whole}"


def _data(source: str, path: str, place: PageContext) -> str:
    """A picture of the tree as a data: address, "" for any other."""
    name = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(source)))
    kind = PICTURES.get(posixpath.splitext(name)[1].lower())
    if (
        not kind
        or re.match(r"[a-zA-Z][\w+.-]*:|/", source)
        or not name.startswith("docs/")
    ):
        return ""
    full = os.path.join(place.root, name)
    inside = os.path.realpath(full).startswith(
        os.path.realpath(os.path.join(place.root, "docs")) + os.sep
    )
    if not inside or not os.path.isfile(full) or os.path.getsize(full) > LARGEST:
        return ""
    with open(full, "rb") as file:
        return f"data:image/{kind};base64,{base64.b64encode(file.read()).decode()}"

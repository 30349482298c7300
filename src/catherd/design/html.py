"""The design document as one HTML file that needs nothing else.

No script, nothing loaded; a Content-Security-Policy says so to the browser too. A file
that is missing or does not parse leaves a gap, for it is the checker's business. The
page is templates/design/page.html.j2; sections.py gives what it shows.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from catherd.core.errors import CatherdError
from catherd.design import safehtml, sections, trace
from catherd.design.checks import list_documents
from catherd.design.checks.adapters.mermaid import Drawer
from catherd.design.checks.kept import Store
from catherd.design.safehtml import PageContext
from catherd.design.sections import Source
from catherd.design.wireframe import screens
from catherd.git import workspace

# what has a section of its own in the page, and the section's anchor
_SECTIONS = {
    "docs/index.md": "overview",
    "docs/roadmap.yaml": "roadmap",
    "docs/roadmap.mmd": "roadmap",
    "docs/spec/data-model.mmd": "data",
    "docs/spec/openapi.yaml": "interface",
    "docs/spec/schema.sql": "data",
    "docs/trace.md": "trace",
    "docs/ux/map.mmd": "screens",
    "docs/ux/screens.yaml": "screens",
}


def generate_all(
    root: str, prs: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """Write every generated file of the document below `root`; the paths that changed.

    Screens that are missing or wrong are left out, for the checker names them. `prs` is
    as in trace.generate_trace.
    """
    try:
        changed = screens.generate_screens(root)
    except CatherdError:
        changed = []
    return changed + trace.generate_trace(root, prs)


def render_design(root: str, out_path: str, cache: str | None = None) -> None:
    """Write the document below `root` to `out_path`. `cache` is a folder for diagrams.

    Raises CatherdError when there is no docs/ below `root`, or the template is broken.
    """
    if not os.path.isdir(os.path.join(root, "docs")):
        raise CatherdError(
            "there is no design document here",
            where=os.path.join(root, "docs"),
            fix="make plan",
        )
    store = Store(cache, "diagrams")
    with Drawer(store, pictures=True) as drawer:
        text = compose(root, drawer)
    store.save()
    screens.write_picture(os.path.abspath(out_path), text)


def compose(root: str, drawer: Drawer) -> str:
    """The whole page."""
    plan = trace.read_plan(root)
    paths = list_documents(root)
    pieces = {**plan.journeys, **plan.stories, **plan.tasks}
    anchors = {path: safehtml.anchor(path) for path in paths}
    anchors.update({piece.path: piece.ident for piece in pieces.values()})
    anchors.update(_SECTIONS)

    def draw(text: str) -> Markup:
        return diagram_html(drawer, text)

    idents = frozenset({*pieces, *plan.screens})
    source = Source(root, paths, plan, PageContext(root, anchors, idents, draw))
    return str(_template(root).render(sections.content(source)))


def diagram_html(drawer: Drawer, text: str) -> Markup:
    """A Mermaid source as a picture, or the source and why it cannot be drawn."""
    drawn = drawer.draw(text)
    if drawn.error or not drawn.svg:
        reason = f"not drawn: {drawn.error}"
        listing = safehtml.listing_html(text, "mermaid")
        return Markup('<div class="undrawn"><p>{}</p>{}</div>').format(reason, listing)
    picture = safehtml.picture(drawn.svg, _alt(text))
    return Markup('<div class="diagram">{}</div>').format(picture)


def _alt(text: str) -> str:
    """What a diagram is called: its title, else its kind."""
    title = re.search(r"^\s*title:?\s+(.+)$", text, re.MULTILINE)
    if title:
        return title[1]
    words = text.split(None, 1)
    return f"Diagram ({words[0]})" if words else "Diagram"


def _template(root: str) -> Any:
    """The page's template: the workspace's own, else the one that catherd brings."""
    folders = [
        os.path.join(top, "templates", "design") for top in (root, workspace.source())
    ]
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")

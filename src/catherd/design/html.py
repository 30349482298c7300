"""The design document as one HTML file that needs nothing else: `render(root, out_path)`.

Contents, overview, roadmap, every screen in every state on one gallery linked to story and journey, journeys, stories,
specification, decisions, tasks, trace. No script, nothing loaded; a Content-Security-Policy says so to the browser too.
A file that is missing or does not parse leaves a gap, for it is the checker's business. The page is
templates/design/page.html.j2.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from catherd.bus.yaml_read import loads, text_of
from catherd.core.errors import CatherdError
from catherd.design import safehtml, trace
from catherd.design.checks import list_documents
from catherd.design.checks.kept import Store
from catherd.design.checks.markdown import split_front
from catherd.design.checks.mermaid import Drawer
from catherd.design.checks.plans import MILESTONES
from catherd.design.safehtml import PageContext
from catherd.design.trace import Piece, TracePlan
from catherd.design.wireframe import layout, screens, shapes
from catherd.design.wireframe.language import WIDTHS, Screens, parse_screens
from catherd.git import workspace

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_KNOWN = re.compile(
    r"docs/(index\.md|trace\.md|journeys/UJ-\d+\.md|stories/US-\d+\.md|decisions/\d{4}-.*\.md|spec/(architecture|cli)\.md)$"
)


class Source(NamedTuple):
    """The tree being rendered and what its pages may link to."""

    root: str
    paths: list[str]
    plan: TracePlan
    place: PageContext

    def text(self, path: str) -> str:
        """The text of a file, "" when it is not there or no text."""
        try:
            return text_of(os.path.join(self.root, path), path)
        except (CatherdError, FileNotFoundError):
            return ""

    def data(self, path: str) -> dict[str, Any]:
        """The mapping in a YAML file, {} when there is none."""
        try:
            data = loads(self.text(path), path).data
        except CatherdError:
            return {}
        return data if isinstance(data, dict) else {}

    def page(self, path: str, *, skip_title: bool = True) -> Markup:
        """A Markdown file as HTML, "" when it is not there."""
        return safehtml.render_page(
            self.text(path), path, self.place, skip_title=skip_title
        )


def generate_all(
    root: str, prs: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """Write every generated file of the document below `root`; the paths that changed.

    Screens that are missing or wrong are left out, for the checker names them; `prs` is as in trace.generate.
    """
    try:
        changed = screens.generate_screens(root)
    except CatherdError:
        changed = []
    return changed + trace.generate_trace(root, prs)


def render_design(root: str, out_path: str, cache: str | None = None) -> None:
    """Write the document below `root` to `out_path`. `cache` is a folder for drawn diagrams.

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
    anchors = {path: safehtml.anchor(path) for path in paths}
    pieces = {**plan.journeys, **plan.stories, **plan.tasks}
    anchors.update({piece.path: piece.ident for piece in pieces.values()})
    anchors.update(
        {
            "docs/ux/screens.yaml": "screens",
            "docs/roadmap.yaml": "roadmap",
            "docs/index.md": "overview",
        }
    )
    anchors.update(
        {
            "docs/spec/openapi.yaml": "interface",
            "docs/spec/schema.sql": "data",
            "docs/trace.md": "trace",
        }
    )
    anchors.update(
        {
            "docs/spec/data-model.mmd": "data",
            "docs/ux/map.mmd": "screens",
            "docs/roadmap.mmd": "roadmap",
        }
    )
    idents = frozenset({*pieces, *plan.screens})
    source = Source(
        root,
        paths,
        plan,
        PageContext(root, anchors, idents, lambda text: diagram_html(drawer, text)),
    )
    return str(_template(root).render(_content(source)))


def diagram_html(drawer: Drawer, text: str) -> Markup:
    """A Mermaid source as a picture; where it cannot be drawn, the source and the reason."""
    drawn = drawer.draw(text)
    if drawn.error or not drawn.svg:
        reason = f"not drawn: {drawn.error}"
        return Markup('<div class="undrawn"><p>{}</p>{}</div>').format(
            reason, safehtml.listing_html(text, "mermaid")
        )
    title = re.search(r"^\s*title:?\s+(.+)$", text, re.MULTILINE)
    words = text.split(None, 1)
    alt = title[1] if title else f"Diagram ({words[0]})" if words else "Diagram"
    return Markup('<div class="diagram">{}</div>').format(
        safehtml.picture(drawn.svg, alt)
    )


def _content(source: Source) -> dict[str, Any]:
    """Everything that the template names."""
    index = source.text("docs/index.md")
    try:
        front = loads(split_front(index)[0], "docs/index.md").data
    except CatherdError:
        front = None
    front = front if isinstance(front, dict) else {}
    title = re.search(r"^# (.+)$", split_front(index)[1], re.MULTILINE)
    draw = source.place.draw
    return {
        "title": str(front.get("title") or (title[1] if title else "Design document")),
        "summary": str(front.get("summary", "")),
        "overview": source.page("docs/index.md"),
        "gantt": draw(trace.gantt(source.plan)) if source.plan.milestones else "",
        "milestones": _milestones(source),
        "gallery": _gallery(source),
        "journeys": [_journey(source, piece) for piece in source.plan.journeys.values()],
        "stories": [_story(source, piece) for piece in source.plan.stories.values()],
        "architecture": source.page("docs/spec/architecture.md"),
        "operations": _operations(source),
        "commands": source.page("docs/spec/cli.md"),
        "model": draw(source.text("docs/spec/data-model.mmd")) if source.text("docs/spec/data-model.mmd").strip() else "",
        "sql": safehtml.listing_html(source.text("docs/spec/schema.sql"), "sql") if source.text("docs/spec/schema.sql") else "",
        "decisions": [_decision(source, path) for path in source.paths if re.match(r"docs/decisions/\d{4}-.*\.md$", path)],
        "further": [_further(source, path) for path in source.paths if path.endswith(".md") and not _KNOWN.match(path)],
        "tasks": [_task(source, piece) for piece in source.plan.tasks.values()],
        "matrix": source.page("docs/trace.md") or safehtml.render_page(trace.trace(source.plan), "docs/trace.md", source.place,
                                                                   skip_title=True),
    }  # fmt: skip


def _lines(source: Source, value: Any) -> list[Markup]:
    return (
        [safehtml.inline_html(str(item), source.place) for item in value]
        if isinstance(value, list)
        else []
    )


def _milestones(source: Source) -> list[dict[str, Any]]:
    found = []
    for key in MILESTONES:
        data = source.plan.milestones.get(key)
        if data is None:
            continue
        exits = data.get("exit")
        rows = (
            [row for row in exits if isinstance(row, dict)]
            if isinstance(exits, list)
            else []
        )
        found.append(
            {
                "key": key, "goal": str(data.get("goal", "")), "demo": str(data.get("demo", "")), "days": data.get("days"),
                "entry": _lines(source, data.get("entry")),
                "runs": [" ".join(map(str, row["run"])) for row in rows if isinstance(row.get("run"), list)],
                "people": [str(row["human"]) for row in rows if "human" in row],
                "tasks": [task for task in source.plan.tasks.values() if task.data.get("milestone") == key],
            }
        )  # fmt: skip
    return found


def _gallery(source: Source) -> dict[str, Any]:
    """The map and every screen in every state, with the stories and journeys that pass through it."""
    try:
        found = parse_screens(loads(source.text(screens.FILE), screens.FILE))
    except CatherdError:
        found = Screens("", "phone", [], [])
    rows = []
    for screen in found.screens:
        pictures = []
        for state, body in screen.states.items():
            name = f"{screen.ident} {screen.title}: {state}"
            if body is not None:
                svg = shapes.render_svg(layout.layout(body, WIDTHS[found.canvas]), name)
            else:
                svg = source.text(f"docs/ux/{screen.ident}.{state}.svg")
            drawn = (
                safehtml.picture(svg, name, "screen")
                if svg
                else Markup("<p>not drawn yet</p>")
            )
            pictures.append({"state": state, "picture": drawn})
        journeys = [
            p.ident
            for p in source.plan.journeys.values()
            if screen.ident in p.names("screens")
        ]
        stories = [
            source.plan.stories.get(name) or Piece(name, "", "", {})
            for name in screen.stories
        ]
        rows.append(
            {
                "id": screen.ident,
                "title": screen.title,
                "states": pictures,
                "stories": stories,
                "journeys": journeys,
            }
        )
    known = {row["id"] for row in rows}
    for path in source.paths:  # hand-drawn screens that screens.yaml does not know
        match = re.fullmatch(r"docs/ux/(SCR-\d{3,})(?:\.([\w-]+))?\.svg", path)
        if match and match[1] not in known:
            drawn = safehtml.picture(source.text(path), match[0], "screen")
            shown = {"state": match[2] or "drawn", "picture": drawn}
            rows.append(
                {
                    "id": match[1],
                    "title": "",
                    "states": [shown],
                    "stories": [],
                    "journeys": [],
                }
            )
    chart = (
        source.place.draw(screens.sitemap(found.screens))
        if len(found.screens) > 1
        else ""
    )
    return {"map": chart, "screens": rows, "canvas": found.canvas}


def _journey(source: Source, piece: Piece) -> dict[str, Any]:
    return {
        "id": piece.ident, "title": piece.title, "persona": str(piece.data.get("persona", "")),
        "stories": piece.names("stories"), "screens": piece.names("screens"), "body": source.page(piece.path),
    }  # fmt: skip


def _story(source: Source, piece: Piece) -> dict[str, Any]:
    data = piece.data
    shown = [
        s.ident
        for s in source.plan.screens.values()
        if piece.ident in s.names("stories")
    ]
    tasks = [
        t.ident for t in source.plan.tasks.values() if piece.ident in t.names("stories")
    ]
    return {
        "id": piece.ident, "title": piece.title, "who": str(data.get("as", "")), "want": str(data.get("want", "")),
        "so_that": str(data.get("so_that", "")), "why": str(data.get("why", "")), "milestone": str(data.get("milestone", "")),
        "priority": data.get("priority", ""), "journeys": piece.names("journeys"), "screens": shown, "tasks": tasks,
        "body": source.page(piece.path),
    }  # fmt: skip


def _operations(source: Source) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    paths = source.data("docs/spec/openapi.yaml").get("paths")
    for path, item in (paths or {}).items() if isinstance(paths, dict) else ():
        for method in METHODS:
            operation = item.get(method) if isinstance(item, dict) else None
            if not isinstance(operation, dict):
                continue
            name = str(operation.get("operationId", ""))
            answers = operation.get("responses")
            rows = answers.items() if isinstance(answers, dict) else ()
            said = [
                (
                    str(code),
                    str(row.get("description", "")) if isinstance(row, dict) else "",
                )
                for code, row in rows
            ]
            tasks = [
                t.ident
                for t in source.plan.tasks.values()
                if name in t.names("operations")
            ]
            summary = str(
                operation.get("summary") or operation.get("description") or ""
            )
            found.append(
                {
                    "method": method,
                    "path": path,
                    "id": name,
                    "summary": summary,
                    "answers": said,
                    "tasks": tasks,
                }
            )
    return found


def _decision(source: Source, path: str) -> dict[str, Any]:
    front, body = split_front(source.text(path))
    title = re.search(r"^# (.+)$", body, re.MULTILINE)
    status = re.search(r"^status:\s*(.+)$", front, re.MULTILINE)
    return {
        "anchor": safehtml.anchor(path), "number": os.path.basename(path)[:4], "title": title[1] if title else path,
        "status": status[1].strip("\"' ") if status else "", "body": source.page(path),
    }  # fmt: skip


def _further(source: Source, path: str) -> dict[str, Any]:
    title = re.search(r"^# (.+)$", split_front(source.text(path))[1], re.MULTILINE)
    return {
        "anchor": safehtml.anchor(path),
        "title": title[1] if title else path,
        "path": path,
        "body": source.page(path),
    }


def _task(source: Source, piece: Piece) -> dict[str, Any]:
    data = piece.data
    accept = data.get("accept")
    argv = accept.get("run") if isinstance(accept, dict) else None
    return {
        "id": piece.ident, "title": piece.title, "milestone": str(data.get("milestone", "")),
        "stories": piece.names("stories"), "needs": piece.names("needs"), "screens": piece.names("screens"),
        "operations": piece.names("operations"), "artifacts": piece.names("artifacts"), "skills": piece.names("skills"),
        "estimate": data.get("estimate", ""), "reason": str(data.get("reason", "")),
        "accept": " ".join(map(str, argv)) if isinstance(argv, list) else "",
        "limit": accept.get("timeout_s", "") if isinstance(accept, dict) else "",
        "steps": _lines(source, data.get("steps")),
    }  # fmt: skip


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

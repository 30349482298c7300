"""What the template of the design page names, section by section.

Overview, roadmap, every screen in every state on one gallery linked to story and
journey, journeys, stories, specification, decisions, tasks, trace.
"""

import os
import re
from typing import Any, NamedTuple

from markupsafe import Markup

from catherd.bus.yaml_read import loads
from catherd.core.errors import CatherdError
from catherd.design import safehtml, trace
from catherd.design.checks import api
from catherd.design.checks.adapters.markdown import split_front, title_of
from catherd.design.checks.plans import MILESTONES, accept_command
from catherd.design.safehtml import PageContext
from catherd.design.trace import Piece, TracePlan
from catherd.design.wireframe import layout, screens, shapes
from catherd.design.wireframe.language import WIDTHS, Screen, Screens, parse_screens

Row = dict[str, Any]
# pages that have a place of their own in the document
_KNOWN = re.compile(
    r"docs/(index\.md|trace\.md|journeys/UJ-\d+\.md|stories/US-\d+\.md|decisions/\d{4}-.*\.md|spec/(architecture|cli)\.md)$"
)
_DECISION = re.compile(r"docs/decisions/\d{4}-.*\.md$")
_DRAWN_SCREEN = re.compile(r"docs/ux/(SCR-\d{3,})(?:\.([\w-]+))?\.svg")


class Source(NamedTuple):
    """The tree being rendered and what its pages may link to."""

    root: str
    paths: list[str]
    plan: TracePlan
    place: PageContext

    def text(self, path: str) -> str:
        """The text of a file, "" when it is not there or no text."""
        return trace.text_at(self.root, path)

    def page(self, path: str) -> Markup:
        """A Markdown file as HTML without its title, "" when it is not there."""
        return safehtml.render_page(self.text(path), path, self.place, skip_title=True)


def content(source: Source) -> Row:
    """Everything that the template names."""
    plan = source.plan
    front, body = split_front(source.text("docs/index.md"))
    index = trace.mapping(front)
    return {
        "title": str(index.get("title") or title_of(body) or "Design document"),
        "summary": str(index.get("summary", "")),
        "overview": source.page("docs/index.md"),
        "gantt": source.place.draw(trace.gantt(plan)) if plan.milestones else "",
        "milestones": _milestones(source),
        "gallery": _gallery(source),
        "journeys": [_journey(source, piece) for piece in plan.journeys.values()],
        "stories": [_story(source, piece) for piece in plan.stories.values()],
        "architecture": source.page("docs/spec/architecture.md"),
        "operations": _operations(source),
        "commands": source.page("docs/spec/cli.md"),
        "model": _model(source),
        "sql": _schema(source),
        "decisions": _decisions(source),
        "further": _further(source),
        "tasks": [_task(source, piece) for piece in plan.tasks.values()],
        "matrix": _matrix(source),
    }


def _model(source: Source) -> str:
    """The entities as a picture, "" without a diagram."""
    text = source.text("docs/spec/data-model.mmd")
    return source.place.draw(text) if text.strip() else ""


def _schema(source: Source) -> str:
    """The SQL as a listing, "" without one."""
    text = source.text("docs/spec/schema.sql")
    return safehtml.listing_html(text, "sql") if text else ""


def _matrix(source: Source) -> Markup:
    """The trace as it was written, else as it would be."""
    written = source.page(trace.TRACE)
    if written:
        return written
    text = trace.trace(source.plan)
    return safehtml.render_page(text, trace.TRACE, source.place, skip_title=True)


def _lines(source: Source, value: Any) -> list[Markup]:
    """The entries of a list with their ids made links, none when it is no list."""
    if not isinstance(value, list):
        return []
    return [safehtml.inline_html(str(item), source.place) for item in value]


def _milestones(source: Source) -> list[Row]:
    """The milestones of the roadmap, in their order."""
    rows = source.plan.milestones
    return [_milestone(source, key, rows[key]) for key in MILESTONES if key in rows]


def _milestone(source: Source, key: str, data: Row) -> Row:
    exits = data.get("exit")
    rows = exits if isinstance(exits, list) else []
    runs, people = [], []
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("run"), list):
            runs.append(" ".join(map(str, row["run"])))
        if isinstance(row, dict) and "human" in row:
            people.append(str(row["human"]))
    return {
        "key": key,
        "goal": str(data.get("goal", "")),
        "demo": str(data.get("demo", "")),
        "days": data.get("days"),
        "entry": _lines(source, data.get("entry")),
        "runs": runs,
        "people": people,
        "tasks": source.plan.tasks_in(key),
    }


def _gallery(source: Source) -> Row:
    """The map and every screen in every state, with its stories and journeys."""
    found = _screens(source)
    rows = [_screen(source, screen, found.canvas) for screen in found.screens]
    rows += _drawn_screens(source, {screen.ident for screen in found.screens})
    chart: str = ""
    if len(found.screens) > 1:
        chart = source.place.draw(screens.sitemap(found.screens))
    return {"map": chart, "screens": rows, "canvas": found.canvas}


def _screens(source: Source) -> Screens:
    """The screens of screens.yaml, none when it does not parse."""
    try:
        return parse_screens(loads(source.text(screens.FILE), screens.FILE))
    except CatherdError:
        return Screens("", "phone", [], [])


def _screen(source: Source, screen: Screen, canvas: str) -> Row:
    """A screen of screens.yaml with a picture of each state."""
    states = []
    for state, body in screen.states.items():
        name = f"{screen.ident} {screen.title}: {state}"
        if body is not None:
            svg = shapes.render_svg(layout.layout(body, WIDTHS[canvas]), name)
        else:
            svg = source.text(f"docs/ux/{screen.ident}.{state}.svg")
        drawn = Markup("<p>not drawn yet</p>")
        if svg:
            drawn = safehtml.picture(svg, name, "screen")
        states.append({"state": state, "picture": drawn})
    stories = source.plan.stories
    return {
        "id": screen.ident,
        "title": screen.title,
        "states": states,
        "stories": [stories.get(s) or Piece(s, "", "", {}) for s in screen.stories],
        "journeys": source.plan.journeys_over(screen.ident),
    }


def _drawn_screens(source: Source, known: set[str]) -> list[Row]:
    """The hand-drawn screens that screens.yaml does not know."""
    rows: list[Row] = []
    for path in source.paths:
        match = _DRAWN_SCREEN.fullmatch(path)
        if not match or match[1] in known:
            continue
        drawn = safehtml.picture(source.text(path), match[0], "screen")
        state = {"state": match[2] or "drawn", "picture": drawn}
        row = {"title": "", "states": [state], "stories": [], "journeys": []}
        rows.append({"id": match[1], **row})
    return rows


def _journey(source: Source, piece: Piece) -> Row:
    return {
        "id": piece.ident,
        "title": piece.title,
        "persona": piece.word("persona"),
        "stories": piece.names("stories"),
        "screens": piece.names("screens"),
        "body": source.page(piece.path),
    }


def _story(source: Source, piece: Piece) -> Row:
    return {
        "id": piece.ident,
        "title": piece.title,
        "who": piece.word("as"),
        "want": piece.word("want"),
        "so_that": piece.word("so_that"),
        "why": piece.word("why"),
        "milestone": piece.word("milestone"),
        "priority": piece.data.get("priority", ""),
        "journeys": piece.names("journeys"),
        "screens": source.plan.screens_of(piece.ident),
        "tasks": source.plan.tasks_of(piece.ident),
        "body": source.page(piece.path),
    }


def _operations(source: Source) -> list[Row]:
    """The operations of the interface, with the tasks that make them."""
    paths = trace.mapping(source.text("docs/spec/openapi.yaml")).get("paths")
    found = []
    for path, method, data in api.operations(paths):
        name = str(data.get("operationId", ""))
        found.append(
            {
                "method": method,
                "path": path,
                "id": name,
                "summary": str(data.get("summary") or data.get("description") or ""),
                "answers": _answers(data.get("responses")),
                "tasks": source.plan.tasks_for(name),
            }
        )
    return found


def _answers(responses: Any) -> list[tuple[str, str]]:
    """(status, description) of each response."""
    found = []
    for code, row in responses.items() if isinstance(responses, dict) else ():
        said = row.get("description", "") if isinstance(row, dict) else ""
        found.append((str(code), str(said)))
    return found


def _decisions(source: Source) -> list[Row]:
    paths = [path for path in source.paths if _DECISION.match(path)]
    return [_decision(source, path) for path in paths]


def _decision(source: Source, path: str) -> Row:
    front, body = split_front(source.text(path))
    status = re.search(r"^status:\s*(.+)$", front, re.MULTILINE)
    return {
        "anchor": safehtml.anchor(path),
        "number": os.path.basename(path)[:4],
        "title": title_of(body) or path,
        "status": status[1].strip("\"' ") if status else "",
        "body": source.page(path),
    }


def _further(source: Source) -> list[Row]:
    """The pages that have no other place in the document."""
    pages = [path for path in source.paths if path.endswith(".md")]
    return [_page(source, path) for path in pages if not _KNOWN.match(path)]


def _page(source: Source, path: str) -> Row:
    return {
        "anchor": safehtml.anchor(path),
        "title": title_of(split_front(source.text(path))[1]) or path,
        "path": path,
        "body": source.page(path),
    }


def _task(source: Source, piece: Piece) -> Row:
    accept = piece.data.get("accept")
    limit = accept.get("timeout_s", "") if isinstance(accept, dict) else ""
    return {
        "id": piece.ident,
        "title": piece.title,
        "milestone": piece.word("milestone"),
        "stories": piece.names("stories"),
        "needs": piece.names("needs"),
        "screens": piece.names("screens"),
        "operations": piece.names("operations"),
        "artifacts": piece.names("artifacts"),
        "skills": piece.names("skills"),
        "estimate": piece.data.get("estimate", ""),
        "reason": piece.word("reason"),
        "accept": " ".join(map(str, accept_command(piece.data))),
        "limit": limit,
        "steps": _lines(source, piece.data.get("steps")),
    }

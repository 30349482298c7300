"""docs/ux/screens.yaml: its shape, its ids, where it leads, what can be reached, and whether its texts fit."""

from catherd.bus.yaml_read import Document
from catherd.design.checks import shape
from catherd.design.checks.finding import Facts, Ref
from catherd.design.checks.mermaid import Drawer
from catherd.design.wireframe import language, layout
from catherd.design.wireframe.language import Screen, Screens

_RULES = {
    "missing": ("SCR101", "error"),
    "unknown": ("SCR102", "warning"),
    "wrong": ("SCR103", "error"),
}


def screens(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/ux/screens.yaml."""
    shape.placeholders(text, facts)
    doc = shape.load_shape(text, facts, "DOC003")
    if doc is None:
        return
    found = language.parse_screens(doc)
    for problem in found.problems:
        code, severity = _RULES[problem.rule]
        line, col = shape.line_col(doc.where(*problem.keys))
        facts.say(code, problem.what, line or 1, col or 1, severity=severity)
    _ids(doc, facts, found.screens)
    if not any(f.severity == "error" for f in facts.findings):
        _flow(doc, facts, found.screens)
        _fits(doc, facts, found)
    for screen in found.screens:
        line, col = shape.at_key(text, doc, *screen.keys, "states")
        _states(facts, screen, line, col)
        stories = facts.refs.setdefault("stories", [])
        at = (*screen.keys, "stories")
        stories += [
            Ref(story, *shape.line_col(doc.where(*at, n)))
            for n, story in enumerate(screen.stories)
        ]
    facts.data["canvas"], facts.data["title"] = found.canvas, found.title
    facts.data["screens"] = {
        s.ident: {"title": s.title, "stories": s.stories, "states": list(s.states)}
        for s in found.screens
    }
    facts.data["drawn"] = [
        f"{s.ident}.{state}.svg"
        for s in found.screens
        for state, body in s.states.items()
        if body is None
    ]


def _ids(doc: Document, facts: Facts, screens: list[Screen]) -> None:
    for screen in screens:
        line, col = shape.line_col(doc.where(*screen.keys, "id"))
        if screen.ident in facts.names("defines"):
            facts.say("SCR201", f"the id {screen.ident} stands here twice", line, col)
        facts.refs.setdefault("defines", []).append(Ref(screen.ident, line, col))
        for state, body in screen.states.items():
            seen: set[str] = set()
            for element in language.walk_elements(body or []):
                ident = element.options.get("id")
                if ident is not None and str(ident) in seen:
                    at = shape.line_col(doc.where(*element.keys, "id"))
                    facts.say(
                        "SCR206",
                        f"the id {ident} stands twice in {screen.ident}.{state}",
                        *at,
                    )
                seen.add(str(ident))


def _flow(doc: Document, facts: Facts, screens: list[Screen]) -> None:
    states = {screen.ident: set(screen.states) for screen in screens}
    leads: dict[str, set[str]] = {screen.ident: set() for screen in screens}
    for arrow in language.arrows(screens):
        at = shape.line_col(doc.where(*arrow.keys))
        if arrow.target not in states:
            facts.say("SCR202", f"goes: {arrow.target} is no screen", *at)
        elif arrow.target_state and arrow.target_state not in states[arrow.target]:
            facts.say(
                "SCR202", f"goes: {arrow.target} has no state {arrow.target_state}", *at
            )
        else:
            leads[arrow.screen].add(arrow.target)
    if not screens:
        return
    reached, queue = {screens[0].ident}, [screens[0].ident]
    while queue:
        fresh = leads[queue.pop()] - reached
        reached |= fresh
        queue += sorted(fresh)
    hand_drawn = any(
        body is None for screen in screens for body in screen.states.values()
    )
    for screen in screens:
        if screen.ident not in reached:
            line, col = shape.line_col(doc.where(*screen.keys, "id"))
            severity = (
                "warning" if hand_drawn else "error"
            )  # a drawn state may hold the way there
            facts.say(
                "SCR203",
                f"nothing leads from {screens[0].ident} to {screen.ident}",
                line,
                col,
                severity=severity,
            )


def _fits(doc: Document, facts: Facts, found: Screens) -> None:
    for screen in found.screens:
        for state, body in screen.states.items():
            for over in layout.layout(
                body or [], language.WIDTHS[found.canvas]
            ).overflows:
                line, col = shape.line_col(doc.where(*over.keys))
                what = f"'{over.text}' needs {over.need:.0f} px and has {over.room:.0f}"
                facts.say("SCR204", f"{screen.ident}.{state}: {what}", line, col)


def _states(facts: Facts, screen: Screen, line: int, col: int) -> None:
    kinds = {
        e.kind
        for body in screen.states.values()
        for e in language.walk_elements(body or [])
    }
    if kinds & {"list", "table"} and "empty" not in screen.states:
        facts.say(
            "SCR205",
            f"{screen.ident} shows a list but has no state `empty`",
            line,
            col,
            severity="warning",
        )
    if "input" in kinds and "error" not in screen.states:
        facts.say(
            "SCR205",
            f"{screen.ident} takes input but has no state `error`",
            line,
            col,
            severity="warning",
        )

"""docs/ux/screens.yaml: its shape, its ids, its flow, and whether its texts fit."""

from catherd.bus.yaml_read import Document
from catherd.design.checks import shape
from catherd.design.checks.adapters.mermaid import Drawer
from catherd.design.checks.finding import Facts
from catherd.design.wireframe import language, layout
from catherd.design.wireframe.language import Arrow, Element, Screen, Screens

_RULES = {
    "missing": ("SCR101", "error"),
    "unknown": ("SCR102", "warning"),
    "wrong": ("SCR103", "error"),
}


def screens(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/ux/screens.yaml."""
    shape.placeholders(text, facts)
    doc = shape.load_shape(text, facts)
    if doc is None:
        return
    found = language.parse_screens(doc)
    for problem in found.problems:
        code, severity = _RULES[problem.rule]
        line, col = shape.line_col(doc.where(*problem.keys))
        facts.say(code, problem.what, line or 1, col or 1, severity=severity)
    for screen in found.screens:
        _unique_screen(doc, facts, screen)
        for state, body in screen.states.items():
            _unique_elements(doc, facts, f"{screen.ident}.{state}", body or [])
    if not facts.broken:
        _flow(doc, facts, found.screens)
        _fits(doc, facts, found)
    for screen in found.screens:
        _missing_states(facts, screen, shape.at_key(text, doc, *screen.keys, "states"))
        _note_stories(doc, facts, screen)
    facts.data["drawn"] = _by_hand(found.screens)


def _note_stories(doc: Document, facts: Facts, screen: Screen) -> None:
    """Note the stories that a screen names, for the rules between files."""
    stories = facts.refs.setdefault("stories", [])
    if screen.stories:
        stories += shape.strings_at(doc, *screen.keys, "stories")


def _by_hand(screens: list[Screen]) -> list[str]:
    """The files of the states that are drawn by hand."""
    found = []
    for screen in screens:
        for state, body in screen.states.items():
            if body is None:
                found.append(f"{screen.ident}.{state}.svg")
    return found


def _unique_screen(doc: Document, facts: Facts, screen: Screen) -> None:
    """A screen's id stands once in the file."""
    line, col = shape.line_col(doc.where(*screen.keys, "id"))
    if screen.ident in facts.names("defines"):
        facts.say("SCR201", f"the id {screen.ident} stands here twice", line, col)
    facts.defines(screen.ident, line, col)


def _unique_elements(
    doc: Document, facts: Facts, place: str, body: list[Element]
) -> None:
    """An element's id stands once in its state."""
    seen: set[str] = set()
    for element in language.walk_elements(body):
        if element.options.get("id") is None:
            continue
        ident = str(element.options["id"])
        if ident in seen:
            at = shape.line_col(doc.where(*element.keys, "id"))
            facts.say("SCR206", f"the id {ident} stands twice in {place}", *at)
        seen.add(ident)


def _flow(doc: Document, facts: Facts, screens: list[Screen]) -> None:
    """Each `goes` leads to a screen, and each screen can be reached from the first."""
    states = {screen.ident: set(screen.states) for screen in screens}
    leads: dict[str, set[str]] = {screen.ident: set() for screen in screens}
    for arrow in language.arrows(screens):
        why = _leads_nowhere(arrow, states)
        if why:
            facts.say("SCR202", why, *shape.line_col(doc.where(*arrow.keys)))
        else:
            leads[arrow.screen].add(arrow.target)
    if not screens:
        return
    first = screens[0].ident
    reached = _reached(first, leads)
    # a state that is drawn by hand may hold the way there
    severity = "warning" if _by_hand(screens) else "error"
    for screen in screens:
        if screen.ident not in reached:
            at = shape.line_col(doc.where(*screen.keys, "id"))
            facts.say(
                "SCR203",
                f"nothing leads from {first} to {screen.ident}",
                *at,
                severity=severity,
            )


def _leads_nowhere(arrow: Arrow, states: dict[str, set[str]]) -> str:
    """Why an arrow leads nowhere, "" when it leads to a screen's state."""
    if arrow.target not in states:
        return f"goes: {arrow.target} is no screen"
    if arrow.target_state and arrow.target_state not in states[arrow.target]:
        return f"goes: {arrow.target} has no state {arrow.target_state}"
    return ""


def _reached(first: str, leads: dict[str, set[str]]) -> set[str]:
    """The screens that can be reached from the first one, itself included."""
    reached, queue = {first}, [first]
    while queue:
        fresh = leads[queue.pop()] - reached
        reached |= fresh
        queue.extend(fresh)
    return reached


def _fits(doc: Document, facts: Facts, found: Screens) -> None:
    """Each text fits its box."""
    width = language.WIDTHS[found.canvas]
    for screen in found.screens:
        for state, body in screen.states.items():
            for over in layout.layout(body or [], width).overflows:
                at = shape.line_col(doc.where(*over.keys))
                what = f"'{over.text}' needs {over.need:.0f} px and has {over.room:.0f}"
                facts.say("SCR204", f"{screen.ident}.{state}: {what}", *at)


def _missing_states(facts: Facts, screen: Screen, at: tuple[int, int]) -> None:
    """A list can be empty, and input can be wrong: there is a state that shows it."""
    kinds: set[str] = set()
    for body in screen.states.values():
        kinds.update(element.kind for element in language.walk_elements(body or []))
    if kinds & {"list", "table"} and "empty" not in screen.states:
        facts.say(
            "SCR205",
            f"{screen.ident} shows a list but has no state `empty`",
            *at,
            severity="warning",
        )
    if "input" in kinds and "error" not in screen.states:
        facts.say(
            "SCR205",
            f"{screen.ident} takes input but has no state `error`",
            *at,
            severity="warning",
        )

"""The Markdown artifacts for readers: index, journeys, stories, decisions.

Also any other page, of which only the links and diagrams are looked at.
"""

import re

from catherd.design.checks import shape
from catherd.design.checks.adapters import markdown, scenarios
from catherd.design.checks.adapters.markdown import CodeFence, Page, Span
from catherd.design.checks.adapters.mermaid import Drawer
from catherd.design.checks.adapters.mermaid_text import diagram_kind
from catherd.design.checks.adapters.scenarios import Scenario
from catherd.design.checks.finding import Facts, Ref

SECTIONS = (
    "Context", "Goals", "Non-goals", "Design", "Alternatives", "Cross-cutting concerns", "Success", "Risks", "Glossary"
)  # fmt: skip
DECISION = ("Context and Problem Statement", "Considered Options", "Decision Outcome")
_DRAWN_WRONGLY = re.compile(r"no word|is '.*', not 1 to 5|no bar has|Invalid date")
_CHOSEN = re.compile(r'Chosen option:\s*["“*`\[]+(.+?)["”*`\]]+')
_STEPS = {"Context": "Given", "Action": "When", "Outcome": "Then"}


def check_diagram(facts: Facts, source: str, line: int, drawer: Drawer) -> str:
    """Note what is wrong with a Mermaid source; its kind (`journey`, …).

    `line` is the line of the file where the source begins.
    """
    drawn = drawer.draw(source)
    at = line + drawn.line - 1
    if drawn.unknown:
        facts.cannot_look(
            f"this diagram: {drawn.error}: pip install 'catherd[plan]'",
            line,
        )
    elif "edges;" in drawn.error:
        facts.say("DOC009", drawn.error, line, 1)
    elif _DRAWN_WRONGLY.search(drawn.error):
        facts.say("DOC008", f"Mermaid: {drawn.error}", at, 1)
    elif drawn.error:
        facts.say("DOC007", f"Mermaid: {drawn.error}", at, 1)
    return diagram_kind(source)


def open_page(
    facts: Facts, text: str, drawer: Drawer, *, artifact: bool = True
) -> tuple[Page, list[tuple[str, CodeFence]]]:
    """The page, and its Mermaid fences with the kind of each.

    The complaints that any page can give rise to are noted.
    """
    page = markdown.read_page(text)
    markdown.note(page, facts)
    kinds = []
    for fence in page.fences:
        if fence.language == "mermaid":
            kind = check_diagram(facts, fence.body, fence.line + 1, drawer)
            kinds.append((kind, fence))
    if artifact:
        for ref in page.placeholders:
            facts.say(
                "DOC004",
                f"the placeholder {ref.name} is left",
                ref.line,
                ref.col,
            )
        _one_title(facts, page)
    return page, kinds


def _one_title(facts: Facts, page: Page) -> None:
    """A page has one heading of level 1, its title."""
    heads = [head for head in page.headings if head.level == 1]
    if len(heads) != 1:
        facts.say(
            "DOC012",
            f"{len(heads)} headings of level 1; exactly one is the title",
            heads[1].line if heads else 1,
            1,
        )
    if heads:
        facts.data["title"] = heads[0].text
        facts.at["title"] = [heads[0].line, 1]


def check_page(facts: Facts, text: str, drawer: Drawer) -> None:
    """A page that is no artifact: links and diagrams only."""
    open_page(facts, text, drawer, artifact=False)


def wanted_sections(
    facts: Facts, page: Page, wanted: tuple[str, ...], prefix: str
) -> dict[str, Span]:
    """Those of the H2 sections `wanted` that are there.

    A section that is missing, empty or out of order is noted.
    """
    found: dict[str, Span] = {}
    last = 0
    for title in wanted:
        section = page.section(title)
        if section is None:
            facts.say(f"{prefix}201", f"the section `## {title}` is missing", 1, 1)
            continue
        found[title] = section
        line = section.first
        if page.empty(section):
            facts.say(f"{prefix}202", f"the section {title} is empty", line, 1)
        if line < last:
            order = ", ".join(wanted)
            facts.say(
                f"{prefix}203",
                f"the section {title} stands too early; the order is {order}",
                line,
                1,
            )
        last = max(last, line)
    return found


def index(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/index.md."""
    page, _ = open_page(facts, text, drawer)
    facts.data.update(shape.front(page.front, facts, "IDX", "index") or {})
    found = wanted_sections(facts, page, SECTIONS, "IDX")
    for title in ("Non-goals", "Alternatives"):
        if title in found:
            _at_least_two(facts, page, title, found[title])
    if "Success" in found:
        _counter_metric(facts, page, found["Success"])
    if "Glossary" in found:
        _glossary(facts, page, found["Glossary"])


def _at_least_two(facts: Facts, page: Page, title: str, section: Span) -> None:
    """A section names at least two things: items, or headings of level 3."""
    items = [item for item in page.items_in(section) if item.depth == 1]
    count = len(items) + len(page.titles_in(section, 3))
    if count < 2:
        facts.say(
            "IDX204",
            f"{title} names {count}; at least 2 are expected",
            section.first,
            1,
        )


def _counter_metric(facts: Facts, page: Page, section: Span) -> None:
    """Success has an item that says what must not get worse."""
    for item in page.items_in(section):
        if item.text.lower().startswith("counter-metric"):
            return
    facts.say(
        "IDX205",
        "no item of Success begins with `Counter-metric`: what must not get worse?",
        section.first,
        1,
    )


def _glossary(facts: Facts, page: Page, section: Span) -> None:
    """Each item explains a word, and no word is explained twice."""
    seen: dict[str, int] = {}
    for item in page.items_in(section):
        if not item.word:
            facts.say(
                "IDX206",
                "an item of the glossary is `- **word**: meaning`",
                item.line,
                1,
            )
        elif item.word in seen:
            facts.say(
                "IDX207",
                f"the word '{item.word}' was explained in line {seen[item.word]}",
                item.line,
                1,
            )
        else:
            seen[item.word] = item.line


def journey(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/journeys/UJ-*.md."""
    page, fences = open_page(facts, text, drawer)
    facts.data.update(shape.front(page.front, facts, "UJ", "journey") or {})
    kinds = {kind for kind, _ in fences}
    for code, kind in (("UJ201", "journey"), ("UJ202", "sequenceDiagram")):
        if kind not in kinds:
            facts.say(
                code,
                f"there is no mermaid fence that begins with `{kind}`",
                1,
                1,
            )
    section = page.section("Unhappy path")
    if section is None:
        facts.say(
            "UJ203",
            "the section `## Unhappy path` is missing: what goes wrong, and how is it noticed?",
            1,
            1,
        )
    elif page.empty(section):
        facts.say("UJ204", "the unhappy path is empty", section.first, 1)


def story(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/stories/US-*.md."""
    page, _ = open_page(facts, text, drawer)
    front = shape.front(page.front, facts, "US", "story") or {}
    facts.data.update(front)
    fences = [f for f in page.fences if f.language in {"gherkin", "feature"}]
    if len(fences) != 1:
        facts.say(
            "US201",
            f"{len(fences)} gherkin fences; exactly one is expected",
            fences[1].line if fences else 1,
            1,
        )
    if fences:
        _feature(facts, fences[0], poc=front.get("milestone") == "poc")


def _feature(facts: Facts, fence: CodeFence, *, poc: bool) -> None:
    """What is wrong with a story's scenarios."""
    try:
        feature = scenarios.read_feature(fence.body)
    except ImportError:
        facts.cannot_look(
            "gherkin-official is not here to look: pip install 'catherd[plan]'",
            fence.line,
        )
        return
    for line, col, what in feature.errors:
        facts.say("US202", what, fence.line + line, col)
    if feature.errors:
        return
    if not feature.scenarios:
        facts.say("US203", "there is no Scenario", fence.line, 1)
        return
    seen: set[str] = set()
    for one in feature.scenarios:
        _scenario(facts, one, fence.line + one.line, seen)
    if poc and not any("@failure" in one.tags for one in feature.scenarios):
        facts.say(
            "US205",
            "a PoC story has a scenario tagged @failure: what happens when it goes wrong?",
            fence.line,
            1,
        )


def _scenario(facts: Facts, one: Scenario, line: int, seen: set[str]) -> None:
    """A scenario has all kinds of steps and a title that was not `seen` before."""
    for kind, word in _STEPS.items():
        if kind not in one.kinds:
            facts.say(
                "US204",
                f'scenario "{one.name}" has no {word}',
                line,
                one.col,
            )
    if one.name in seen or not one.name:
        facts.say(
            "US206",
            f'scenario "{one.name}" needs a title of its own',
            line,
            one.col,
        )
    seen.add(one.name)


def check_decision(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/decisions/NNNN-*.md (MADR 4)."""
    page, _ = open_page(facts, text, drawer)
    facts.data.update(shape.front(page.front, facts, "ADR", "decision") or {})
    found = wanted_sections(facts, page, DECISION, "ADR")
    options: list[str] = []
    if "Considered Options" in found:
        section = found["Considered Options"]
        options = [item.text for item in page.items_in(section) if item.depth == 1]
        if len(options) < 2:
            facts.say(
                "ADR204",
                f"{len(options)} options; a decision has at least 2",
                section.first,
                1,
            )
    if "Decision Outcome" in found:
        _outcome(facts, page, found["Decision Outcome"], options)
        _consequences(facts, page, found["Decision Outcome"])
        _subsection(facts, page, found["Decision Outcome"], "Confirmation", "ADR208")


def _outcome(facts: Facts, page: Page, section: Span, options: list[str]) -> None:
    """The outcome names one of the options and says why."""
    chosen = _chosen(page, section)
    if chosen is None:
        facts.say(
            "ADR205",
            'the outcome has no sentence `Chosen option: "…", because …`',
            section.first,
            1,
        )
        return
    reason = " ".join(page.lines[chosen.line - 1 : section.last]).partition("### ")[0]
    if options and not any(_same(chosen.name, option) for option in options):
        facts.say(
            "ADR206",
            f"'{chosen.name}' is none of the considered options",
            chosen.line,
            1,
        )
    elif "because" not in reason:
        facts.say(
            "ADR205",
            'the outcome does not say why: `Chosen option: "…", because …`',
            chosen.line,
            1,
        )


def _chosen(page: Page, section: Span) -> Ref | None:
    """The option that the outcome names first, with its line."""
    for number in range(section.first, section.last + 1):
        found = _CHOSEN.search(page.lines[number - 1])
        if found:
            return Ref(found[1], number)
    return None


def _same(chosen: str, option: str) -> bool:
    """Whether `chosen` is the option, or what stands before its explanation."""
    option = option.strip().lower()
    chosen = chosen.strip().lower()
    if option == chosen:
        return True
    return bool(re.match(re.escape(chosen) + r"\s*([:(–—,-]|$)", option))


def _consequences(facts: Facts, page: Page, outcome: Span) -> None:
    """The consequences name a good one and a bad one."""
    section = _subsection(facts, page, outcome, "Consequences", "ADR207")
    if section is None:
        return
    said = " ".join(item.text.lower() for item in page.items_in(section))
    for word in ("good", "bad"):
        if f"{word}," not in said and f"{word}:" not in said:
            facts.say(
                "ADR207",
                f"no consequence begins with `{word.title()}, because`",
                section.first,
                1,
            )


def _subsection(
    facts: Facts, page: Page, outcome: Span, title: str, code: str
) -> Span | None:
    """An H3 section of a decision; None, and noted, when it is missing or empty."""
    section = page.section(title, 3)
    if section is not None and not page.empty(section):
        return section
    line = section.first if section else outcome.first
    facts.say(code, f"`### {title}` is missing or empty", line, 1)
    return None

"""The Markdown artifacts for readers: index, journeys, stories, decisions; and any other page's links and diagrams."""

import re

from catherd.design.checks import markdown, scenarios, shape
from catherd.design.checks.finding import Facts, Ref
from catherd.design.checks.markdown import CodeFence, Page
from catherd.design.checks.mermaid import Drawer, first_line

SECTIONS = (
    "Context", "Goals", "Non-goals", "Design", "Alternatives", "Cross-cutting concerns", "Success", "Risks", "Glossary"
)  # fmt: skip
DECISION = ("Context and Problem Statement", "Considered Options", "Decision Outcome")


def check_diagram(facts: Facts, source: str, line: int, drawer: Drawer) -> str:
    """Note what is wrong with a Mermaid source whose first line is line `line` of the file; its kind (`journey`, …)."""
    drawn = drawer.draw(source)
    at = line + drawn.line - 1
    if drawn.unknown:
        facts.say(
            "DOC090",
            f"this diagram: {drawn.error}: pip install 'catherd[plan]'",
            line,
            1,
            severity="unknown",
        )
    elif "edges;" in drawn.error:
        facts.say("DOC009", drawn.error, line, 1)
    elif re.search(r"no word|is '.*', not 1 to 5|no bar has|Invalid date", drawn.error):
        facts.say("DOC008", f"Mermaid: {drawn.error}", at, 1)
    elif drawn.error:
        facts.say("DOC007", f"Mermaid: {drawn.error}", at, 1)
    lines = source.splitlines()
    words = lines[first_line(source) - 1].split() if lines else []
    return words[0] if words else ""


def open_page(
    facts: Facts, text: str, drawer: Drawer, *, artifact: bool = True
) -> tuple[Page, list[tuple[str, CodeFence]]]:
    """The page with its common complaints noted, and its Mermaid fences by kind."""
    page = markdown.read_page(text)
    markdown.note(page, facts)
    kinds = [
        (check_diagram(facts, fence.body, fence.line + 1, drawer), fence)
        for fence in page.fences
        if fence.info.split()[:1] == ["mermaid"]
    ]
    if artifact:
        for ref in page.placeholders:
            facts.say(
                "DOC004", f"the placeholder {ref.name} is left", ref.line, ref.col
            )
        heads = [head for head in page.headings if head.level == 1]
        if len(heads) != 1:
            second = heads[1].line if heads else 1
            facts.say(
                "DOC012",
                f"{len(heads)} headings of level 1; exactly one is the title",
                second,
                1,
            )
        if heads:
            facts.data["title"] = heads[0].text
            facts.at["title"] = [heads[0].line, 1]
    return page, kinds


def check_page(facts: Facts, text: str, drawer: Drawer) -> None:
    """A page that is no artifact: links and diagrams only."""
    open_page(facts, text, drawer, artifact=False)


def wanted_sections(
    facts: Facts, page: Page, wanted: tuple[str, ...], prefix: str
) -> dict[str, tuple[int, int]]:
    """(first, last line) of each of the H2 `wanted`; the missing, the empty and the displaced are noted."""
    found: dict[str, tuple[int, int]] = {}
    last = 0
    for title in wanted:
        section = page.section(title)
        if section is None:
            facts.say(f"{prefix}201", f"the section `## {title}` is missing", 1, 1)
            continue
        head, end = section
        found[title] = (head.line, end)
        if page.empty(head.line, end):
            facts.say(f"{prefix}202", f"the section {title} is empty", head.line, 1)
        if head.line < last:
            facts.say(
                f"{prefix}203",
                f"the section {title} stands too early; the order is {', '.join(wanted)}",
                head.line,
                1,
            )
        last = max(last, head.line)
    return found


def index(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/index.md."""
    page, _ = open_page(facts, text, drawer)
    facts.data.update(shape.front(page.front, facts, "IDX", "index") or {})
    found = wanted_sections(facts, page, SECTIONS, "IDX")
    for title in ("Non-goals", "Alternatives"):
        if title in found:
            first, last = found[title]
            count = len([item for item in page.between(first, last) if item.depth == 1])
            count += sum(
                head.level == 3 and first < head.line <= last for head in page.headings
            )
            if count < 2:
                facts.say(
                    "IDX204",
                    f"{title} names {count}; at least 2 are expected",
                    first,
                    1,
                )
    if "Success" in found and not any(
        item.text.lower().startswith("counter-metric")
        for item in page.between(*found["Success"])
    ):
        facts.say(
            "IDX205",
            "no item of Success begins with `Counter-metric`: what must not get worse?",
            found["Success"][0],
            1,
        )
    if "Glossary" in found:
        _glossary(facts, page, *found["Glossary"])


def _glossary(facts: Facts, page: Page, first: int, last: int) -> None:
    seen: dict[str, int] = {}
    for item in page.between(first, last):
        word = item.strong.strip(": ").lower()
        if not word:
            facts.say(
                "IDX206",
                "an item of the glossary is `- **word**: meaning`",
                item.line,
                1,
            )
        elif word in seen:
            facts.say(
                "IDX207",
                f"the word '{word}' was explained in line {seen[word]}",
                item.line,
                1,
            )
        else:
            seen[word] = item.line


def journey(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/journeys/UJ-*.md."""
    page, kinds = open_page(facts, text, drawer)
    facts.data.update(shape.front(page.front, facts, "UJ", "journey") or {})
    for code, kind in (("UJ201", "journey"), ("UJ202", "sequenceDiagram")):
        if not any(found == kind for found, _ in kinds):
            facts.say(
                code, f"there is no mermaid fence that begins with `{kind}`", 1, 1
            )
    section = page.section("Unhappy path")
    if section is None:
        facts.say(
            "UJ203",
            "the section `## Unhappy path` is missing: what goes wrong, and how is it noticed?",
            1,
            1,
        )
    elif page.empty(section[0].line, section[1]):
        facts.say("UJ204", "the unhappy path is empty", section[0].line, 1)


def story(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/stories/US-*.md."""
    page, _ = open_page(facts, text, drawer)
    front = shape.front(page.front, facts, "US", "story") or {}
    facts.data.update(front)
    fences = [
        fence
        for fence in page.fences
        if fence.info.split()[:1] in (["gherkin"], ["feature"])
    ]
    if len(fences) != 1:
        line = fences[1].line if fences else 1
        facts.say(
            "US201", f"{len(fences)} gherkin fences; exactly one is expected", line, 1
        )
    if fences:
        _feature(facts, fences[0], poc=front.get("milestone") == "poc")


def _feature(facts: Facts, fence: CodeFence, *, poc: bool) -> None:
    try:
        feature = scenarios.read_feature(fence.body)
    except ImportError:
        facts.say(
            "DOC090",
            "gherkin-official is not here to look: pip install 'catherd[plan]'",
            fence.line,
            1,
            severity="unknown",
        )
        return
    for line, col, what in feature.errors:
        facts.say("US202", what, fence.line + line, col)
    if feature.errors:
        return
    if not feature.scenarios:
        facts.say("US203", "there is no Scenario", fence.line, 1)
    seen: set[str] = set()
    for one in feature.scenarios:
        line = fence.line + one.line
        for kind, word in (
            ("Context", "Given"),
            ("Action", "When"),
            ("Outcome", "Then"),
        ):
            if kind not in one.kinds:
                facts.say(
                    "US204", f'scenario "{one.name}" has no {word}', line, one.col
                )
        if one.name in seen or not one.name:
            facts.say(
                "US206",
                f'scenario "{one.name}" needs a title of its own',
                line,
                one.col,
            )
        seen.add(one.name)
    facts.data["scenarios"] = [one.name for one in feature.scenarios]
    if (
        poc
        and feature.scenarios
        and not any("@failure" in one.tags for one in feature.scenarios)
    ):
        facts.say(
            "US205",
            "a PoC story has a scenario tagged @failure: what happens when it goes wrong?",
            fence.line,
            1,
        )


def check_decision(facts: Facts, text: str, drawer: Drawer) -> None:
    """docs/decisions/NNNN-*.md (MADR 4)."""
    page, _ = open_page(facts, text, drawer)
    facts.data.update(shape.front(page.front, facts, "ADR", "decision") or {})
    found = wanted_sections(facts, page, DECISION, "ADR")
    options: list[str] = []
    if "Considered Options" in found:
        first, last = found["Considered Options"]
        options = [item.text for item in page.between(first, last) if item.depth == 1]
        if len(options) < 2:
            facts.say(
                "ADR204", f"{len(options)} options; a decision has at least 2", first, 1
            )
    if "Decision Outcome" in found:
        _outcome(facts, page, options, *found["Decision Outcome"])


def _outcome(
    facts: Facts, page: Page, options: list[str], first: int, last: int
) -> None:
    lines = page.lines[first - 1 : last]
    at, chosen = next(
        (
            (first + n, match[1])
            for n, line in enumerate(lines)
            if (match := re.search(r'Chosen option:\s*["“*`\[]+(.+?)["”*`\]]+', line))
        ),
        (first, ""),
    )
    if not chosen:
        facts.say(
            "ADR205",
            'the outcome has no sentence `Chosen option: "…", because …`',
            first,
            1,
        )
    elif options and not any(_same(chosen, option) for option in options):
        facts.say("ADR206", f"'{chosen}' is none of the considered options", at, 1)
    elif "because" not in " ".join(lines[at - first :]).partition("### ")[0]:
        facts.say(
            "ADR205",
            'the outcome does not say why: `Chosen option: "…", because …`',
            at,
            1,
        )
    for title, code in (("Consequences", "ADR207"), ("Confirmation", "ADR208")):
        section = page.section(title, 3)
        if section is None or page.empty(section[0].line, section[1]):
            facts.say(
                code,
                f"`### {title}` is missing or empty",
                section[0].line if section else first,
                1,
            )
        elif title == "Consequences":
            said = " ".join(
                item.text.lower() for item in page.between(section[0].line, section[1])
            )
            for word in ("good", "bad"):
                if f"{word}," not in said and f"{word}:" not in said:
                    facts.say(
                        "ADR207",
                        f"no consequence begins with `{word.title()}, because`",
                        section[0].line,
                        1,
                    )


def _same(chosen: str, option: str) -> bool:
    option = option.strip().lower()
    chosen = chosen.strip().lower()
    return option == chosen or bool(
        re.match(re.escape(chosen) + r"\s*([:(–—,-]|$)", option)
    )


def headings(page: Page, level: int, first: int, last: int) -> list[Ref]:
    """The headings of one level within the lines `first`…`last`."""
    return [
        Ref(h.text, h.line, 1)
        for h in page.headings
        if h.level == level and first < h.line <= last
    ]

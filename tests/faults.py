"""Seeded faults: a good document, one edit, and the one finding that it must bring, with file, line and text."""

from typing import NamedTuple


class Fault(NamedTuple):
    """`old` becomes `new` in `path` (old "": the file is new; new None: it is removed). `at` is on the line to be named
    ("": the file as a whole; the last such line, where there are several).
    """

    path: str
    old: str
    new: str | None
    at: str
    code: str
    text: str
    also: tuple[str, ...] = ()  # codes that come along, because one thing breaks another
    where: str = ""  # the file that the finding names, when it is not `path`
    keep: bool = False  # leave the generated files as they were
    severity: str = "error"
    every: bool = False  # each `old`, not only the first
    more: tuple[tuple[str, str], ...] = ()  # further edits of the same file
    line: int = 0  # the line to be named, where `at` stands on several


INDEX, SCREENS, ROAD = "docs/index.md", "docs/ux/screens.yaml", "docs/roadmap.yaml"
ARC, API, SQL = "docs/spec/architecture.md", "docs/spec/openapi.yaml", "docs/spec/schema.sql"
ERD, CLI = "docs/spec/data-model.mmd", "docs/spec/cli.md"
UJ, US, ADR = "docs/journeys/UJ-001.md", "docs/stories/US-001.md", "docs/decisions/0001-sqlite-on-the-pi.md"
T1, T2, T3 = "docs/tasks/T-001.yaml", "docs/tasks/T-002.yaml", "docs/tasks/T-003.yaml"
SVG, SCENE = "docs/ux/SCR-009.svg", "docs/ux/SCR-009.excalidraw"
GOOD_CLI = """# Command line
## Commands
### `list`
Prints the shelf.
```console
$ toolshed list
Hammer drill  Ada Brandt, flat 14
```
- exit 0: printed
- exit 1: the file cannot be read
"""


def svg(body: str = "", head: str = 'viewBox="0 0 200 100"', title: str = "<title>The map</title>") -> str:
    """A small hand-drawn picture, good unless something is put in."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {head}>\n{title}\n'
        '<rect x="10" y="10" width="120" height="60" fill="#225588"/>\n'
        f'<text x="20" y="50" font-size="20" fill="#ffffff">Shelf</text>\n{body}\n</svg>\n'
    )


def scene(*elements: str) -> str:
    """An Excalidraw file with a frame and `elements`."""
    frame = '{"id": "f", "type": "frame", "x": 0, "y": 0, "width": 9, "height": 9}'
    return '{"type": "excalidraw", "version": 2, "elements": [\n' + ",\n".join([frame, *elements]) + "\n]}\n"


def box(ident: str, more: str = "") -> str:
    """An Excalidraw rectangle."""
    return f'{{"id": "{ident}", "type": "rectangle", "x": 1, "y": 1, "width": 3, "height": 2{more}}}'


NOT_THERE = "is not there, and the document needs it"

FAULTS: dict[str, Fault] = {
    # every file
    "a required file is missing": Fault(ARC, "# Arch", None, "", "DOC001", NOT_THERE, ("DOC005",)),
    "a file that is no UTF-8": Fault(
        US,
        "as: a neighbour in the cellar\n",
        "as: \udcff\n",
        "as:",
        "DOC002",
        "not UTF-8",
        ("UJ301", "T301", "SCR301", "DOC005", "DOC013"),
    ),
    "front matter does not parse": Fault(
        US, "as: a neighbour in", "as: [a neighbour in", "want:", "DOC003", "did not find expected", ("US101",)
    ),
    "a key stands twice": Fault(
        T1,
        "estimate: 2\n",
        "estimate: 2\nestimate: 3\n",
        "estimate: 3",
        "DOC003",
        "the key 'estimate' stands here twice (fix: delete one of them)",
        ("DOC013",),
    ),
    "a placeholder in prose": Fault(
        INDEX, "No deposits, no fines.", "No deposits. TBD", "TBD", "DOC004", "the placeholder TBD is left"
    ),
    "a placeholder of a generator": Fault(
        UJ,
        "Between opening",
        "[NEEDS CLARIFICATION: when?] Between",
        "[NEEDS",
        "DOC004",
        "the placeholder [NEEDS CLARIFICATION: when?] is left",
    ),
    "a placeholder in YAML": Fault(
        T2, "title: Show the shelf", "title: FIXME the shelf", "FIXME", "DOC004", "the placeholder FIXME is left"
    ),
    "a dead link": Fault(
        INDEX,
        "(spec/openapi.yaml)",
        "(spec/openapi.yml)",
        "openapi.yml",
        "DOC005",
        "the link leads to docs/spec/openapi.yml, which is not there",
    ),
    "a dead anchor": Fault(
        INDEX,
        "(journeys/UJ-002.md)",
        "(journeys/UJ-002.md#happy-path)",
        "#happy-path",
        "DOC006",
        "docs/journeys/UJ-002.md has no heading #happy-path",
    ),
    "a diagram that does not parse": Fault(
        UJ, "  else somebody was faster\n", "  elsewhere\n", "elsewhere", "DOC007", "Mermaid: "
    ),
    "a diagram of nothing": Fault(
        ARC,
        "## Where things live\n",
        "## Where things live\n```mermaid\nflowchart LR\n```\n",
        "flowchart",
        "DOC008",
        "Mermaid: the picture shows no word",
    ),
    "a score that is no number": Fault(
        UJ,
        "the code on the door: 4",
        "the code on the door: five",
        ": five",
        "DOC008",
        "Mermaid: the score of 'Scans the code on the door' is 'five', not 1 to 5",
    ),
    "a relation to nobody": Fault(
        ARC,
        "Rel(neighbour, toolshed,",
        "Rel(neighbour, toolbox,",
        "C4Context",
        "DOC007",
        "Mermaid: cannot be drawn: a relation names something that is not there?",
    ),
    "a diagram too large": Fault(
        ARC,
        "## Where things live\n",
        "## Where things live\n```mermaid\nflowchart LR\n"
        + "".join(f"a{n} --> a{n + 1}\n" for n in range(81))
        + "```\n",
        "flowchart",
        "DOC009",
        "81 edges; more than 80 is neither drawn nor read: split it",
    ),
    "a file that is nobody's": Fault(
        "docs/tasks/T-1.yaml",
        "",
        "title: x\n",
        "",
        "DOC010",
        "is no artifact's name, so nothing reads it",
        severity="warning",
    ),
    "front matter is missing": Fault(
        "docs/stories/US-009.md",
        "",
        "# A story\n",
        "# A story",
        "DOC011",
        "the front matter is missing: the page begins with a line ---, keys, and a line ---",
        ("US201", "DOC013"),
    ),
    "two titles": Fault(
        INDEX,
        "## Risks",
        "# Dangers\n\n## Risks",
        "# Dangers",
        "DOC012",
        "2 headings of level 1; exactly one is the title",
    ),
    "a stale picture": Fault(
        SCREENS,
        "bar: Toolshed\n        - input",
        "bar: Tool shed\n        - input",
        "<svg",
        "DOC013",
        "is not what docs/ux/screens.yaml gives today: .venv/bin/catherd design .",
        ("DOC013",),
        where="docs/ux/SCR-001.filled.svg",
        keep=True,
    ),
    "a stale trace": Fault(
        T3,
        "title: Add a tool",
        "title: Add tools",
        "# Trace",
        "DOC013",
        "is not what the artifacts gives today: .venv/bin/catherd design .",
        where="docs/trace.md",
        keep=True,
    ),
    "a picture was not made": Fault(
        "docs/ux/SCR-003.error.svg",
        "<svg",
        None,
        "",
        "DOC014",
        "is not made from docs/ux/screens.yaml yet: .venv/bin/catherd design .",
        keep=True,
    ),
    # index
    "a key is missing": Fault(INDEX, "kind: web\n", "", "title: Toolshed", "IDX101", "the key `kind` is missing"),
    "a key is unknown": Fault(
        INDEX,
        "kind: web\n",
        "kind: web\nsort: web\n",
        "sort:",
        "IDX102",
        "the key `sort` is not known",
        severity="warning",
    ),
    "a value is none of those allowed": Fault(
        INDEX,
        "storage: sqlite",
        "storage: postgres",
        "postgres",
        "IDX103",
        'storage: "postgres" is none of sqlite, files, none',
    ),
    "a section is missing": Fault(INDEX, "## Goals", "## Aims", "TOP", "IDX201", "the section `## Goals` is missing"),
    "a section is empty": Fault(
        INDEX, "## Context", "## Context\n\n## More", "## Context", "IDX202", "the section Context is empty"
    ),
    "a section stands too early": Fault(
        INDEX,
        "## Goals",
        "## Risks\n\nNone.\n\n## Goals",
        "",
        "IDX203",
        "the section Risks stands too early; the order is Context, Goals, ",
        line=19,
    ),
    "one alternative only": Fault(
        INDEX,
        "### A chat group",
        "A chat group",
        "## Alternatives",
        "IDX204",
        "Alternatives names 1; at least 2 are expected",
    ),
    "no counter-metric": Fault(
        INDEX,
        "- Counter-metric: the",
        "- The",
        "## Success",
        "IDX205",
        "no item of Success begins with `Counter-metric`: what must not get worse?",
    ),
    "a glossary item without its word": Fault(
        INDEX,
        "- **overdue**: a",
        "- Overdue: a",
        "- Overdue",
        "IDX206",
        "an item of the glossary is `- **word**: meaning`",
    ),
    "a word explained twice": Fault(
        INDEX, "- **overdue**", "- **Loan**", "- **Loan**", "IDX207", "the word 'loan' was explained in line 69"
    ),
    # screens
    "a screen without a title": Fault(
        SCREENS, "    title: One tool\n", "", "id: SCR-002", "SCR101", "the key `title` is missing"
    ),
    "an element with an unknown key": Fault(
        SCREENS,
        "          value: chainsaw",
        "          text-value: chainsaw",
        "text-value",
        "SCR102",
        "the key `text-value` of input is not known",
        severity="warning",
    ),
    "an element of no kind": Fault(
        SCREENS,
        "- image: A photo of the tile cutter on the shelf\n          height: 120\n        - note",
        "- picture: A photo\n        - note",
        "picture",
        "SCR103",
        "no kind of element among ",
    ),
    "a row within a row": Fault(
        SCREENS,
        "        - row:\n            - button: Save\n              primary: true\n",
        "        - row:\n            - row: [{text: hi}]\n            - button: Save\n              primary: true\n",
        "row: [",
        "SCR103",
        "a row within a row or a box of a row",
    ),
    "two screens with one id": Fault(
        SCREENS,
        "- id: SCR-003",
        "- id: SCR-002",
        "SCR-002",
        "SCR201",
        "the id SCR-002 stands here twice",
        ("UJ302", "T302", "SCR202", "DOC013"),
    ),
    "goes to no screen": Fault(
        SCREENS, "goes: SCR-003", "goes: SCR-030", "SCR-030", "SCR202", "goes: SCR-030 is no screen"
    ),
    "goes to no state": Fault(
        SCREENS, "goes: SCR-002.out", "goes: SCR-002.gone", "SCR-002.gone", "SCR202", "goes: SCR-002 has no state gone"
    ),
    "a screen that nothing leads to": Fault(
        SCREENS,
        "goes: SCR-003",
        "goes: SCR-002",
        "id: SCR-003",
        "SCR203",
        "nothing leads from SCR-001 to SCR-003",
        every=True,
    ),
    "a text too wide for its button": Fault(
        SCREENS,
        "- button: Return",
        "- button: Return the tile cutter to the place it came from",
        "Return the tile",
        "SCR204",
        "SCR-002.out: 'Return the tile cutter to the place it came from' needs 395 px and has 334",
    ),
    "a list without an empty state": Fault(
        SCREENS,
        "      empty:\n        - bar: Toolshed",
        "      bare:\n        - bar: Toolshed",
        "",
        "SCR205",
        "SCR-001 shows a list but has no state `empty`",
        severity="warning",
        line=7,
    ),
    "an id twice in a state": Fault(
        SCREENS, "id: flat", "id: name", "id: name", "SCR206", "the id name stands twice in SCR-002.on-the-shelf"
    ),
    "a screen for no story": Fault(
        SCREENS, "[US-001, US-003]", "[US-001, US-033]", "US-033", "SCR301", "US-033 is not there"
    ),
    "a drawn state without its drawing": Fault(
        SCREENS,
        "      no-match:\n",
        "      drawn-one: drawn\n      no-match:\n",
        "",
        "SCR303",
        "is to be drawn by hand, and is not there",
        where="docs/ux/SCR-001.drawn-one.svg",
    ),
    # pictures
    "SVG that is no XML": Fault(SVG, "", svg("<g>"), "</svg>", "SVG201", "not XML: mismatched tag"),
    "SVG with a DTD": Fault(
        SVG,
        "",
        '<?xml version="1.0"?>\n<!DOCTYPE svg>\n' + svg(),
        "DOCTYPE",
        "SVG202",
        "a DTD is not taken: remove the DOCTYPE",
    ),
    "SVG with a script": Fault(
        SVG, "", svg("<script>alert(1)</script>"), "<script", "SVG203", "<script> is not taken in a picture"
    ),
    "SVG with a handler": Fault(
        SVG,
        "",
        svg('<rect width="5" height="5" onclick="evil()"/>'),
        "onclick",
        "SVG203",
        "the attribute onclick runs a program",
    ),
    "SVG with HTML in it": Fault(
        SVG,
        "",
        svg("<foreignObject><p>x</p></foreignObject>"),
        "<foreign",
        "SVG203",
        "<foreignobject> is not taken in a picture",
    ),
    "SVG that loads a picture": Fault(
        SVG,
        "",
        svg('<image href="https://example.org/x.png" width="9" height="9"/>'),
        "example.org",
        "SVG204",
        "href=https://example.org/x.png leads out of the file",
    ),
    "SVG that loads a font": Fault(
        SVG,
        "",
        svg("<style>@import url(https://example.org/f.css);</style>"),
        "<style",
        "SVG204",
        "the style loads something",
    ),
    "SVG without a viewBox": Fault(
        SVG, "", svg(head='width="200" height="100"'), "<svg", "SVG205", "the viewBox is missing"
    ),
    "SVG without a title": Fault(
        SVG, "", svg(title=""), "<svg", "SVG206", "the <title> is missing: what does it show?"
    ),
    "SVG that shows nothing": Fault(
        SVG, "", svg(head='viewBox="900 900 200 100"'), "<svg", "SVG207", "the picture is blank: 0.0% ink"
    ),
    "SVG of two colours": Fault(
        SVG,
        "",
        svg()
        .replace('height="60" fill="#225588"', 'height="60" shape-rendering="crispEdges" fill="#225588"')
        .replace('font-size="20"', 'font-size="20" opacity="0"'),
        "<svg",
        "SVG208",
        "2 colours; a mock-up has at least 3",
    ),
    "SVG without a word": Fault(
        SVG, "", svg().replace(">Shelf<", "> <"), "<svg", "SVG209", "there is no text in the picture"
    ),
    "Excalidraw that is no JSON": Fault(SCENE, "", scene(box("a"), "{"), "]}", "EXC201", "not JSON: "),
    "Excalidraw with a wrong shape": Fault(
        SCENE, "", scene(box("a", ', "index": "a00"')), '"a"', "EXC202", "elements.1.index: 'a00' is too long"
    ),
    "Excalidraw with an id twice": Fault(
        SCENE, "", scene(box("a"), box("b"), box("a")), '"a"', "EXC203", "the id a stands here twice"
    ),
    "Excalidraw bound to nothing": Fault(
        SCENE,
        "",
        scene(box("a"), box("b", ', "frameId": "g"')),
        '"b"',
        "EXC204",
        "b: frameId names g, which is not there",
    ),
    # journeys
    "a journey without a persona": Fault(
        UJ,
        "persona: Ada Brandt, 34, flat 14, hangs a shelf tonight\n",
        "",
        "stories:",
        "UJ101",
        "the key `persona` is missing",
    ),
    "a journey without stories": Fault(
        UJ,
        "stories: [US-001, US-002]",
        "stories: []",
        "stories: []",
        "UJ103",
        "stories: 0 entries, at least 1 expected",
    ),
    "a journey without its curve": Fault(
        UJ,
        "```mermaid\njourney",
        "```mermaid\npie",
        "TOP",
        "UJ201",
        "there is no mermaid fence that begins with `journey`",
        ("DOC007",),
    ),
    "a journey without a sequence": Fault(
        UJ,
        "```mermaid\nsequenceDiagram",
        "```text\nsequenceDiagram",
        "TOP",
        "UJ202",
        "there is no mermaid fence that begins with `sequenceDiagram`",
    ),
    "a journey that always ends well": Fault(
        UJ,
        "## Unhappy path",
        "## Epilogue",
        "TOP",
        "UJ203",
        "the section `## Unhappy path` is missing: what goes wrong, and how is it noticed?",
    ),
    "a journey of an unknown story": Fault(
        UJ, "[US-001, US-002]", "[US-001, US-020]", "US-020", "UJ301", "US-020 is not there"
    ),
    "a journey over an unknown screen": Fault(
        UJ,
        "[SCR-001, SCR-002]",
        "[SCR-001, SCR-020]",
        "SCR-020",
        "UJ302",
        "SCR-020 is no screen of docs/ux/screens.yaml",
    ),
    # stories
    "a story without a wish": Fault(
        US, "want: to see who has a tool\n", "", "as: a", "US101", "the key `want` is missing"
    ),
    "a story of no milestone": Fault(
        US,
        "milestone: poc",
        "milestone: prototype",
        "prototype",
        "US103",
        'milestone: "prototype" is none of poc, mvp, vertical-slice, alpha, beta, release',
        ("DOC013",),
    ),
    "a story without scenarios in Gherkin": Fault(
        US, "```gherkin", "```text", "TOP", "US201", "0 gherkin fences; exactly one is expected"
    ),
    "Gherkin that does not parse": Fault(
        US,
        '    When I open the shelf\n    Then "',
        '    Wenn I open the shelf\n    Then "',
        "Wenn",
        "US202",
        "Gherkin does not understand 'Wenn I open the shelf'",
    ),
    "a feature without a scenario": Fault(
        "docs/stories/US-004.md",
        """
  Scenario: Fifteen days
    Given "Jigsaw" has been out for 15 days
    When I filter for overdue tools
    Then I see "Jigsaw" and nothing else
""",
        "\n",
        "```gherkin",
        "US203",
        "there is no Scenario",
    ),
    "a scenario without Then": Fault(
        US, "    Then I see <count> tools\n", "", "Scenario Outline", "US204", 'scenario "Searching" has no Then'
    ),
    "a scenario with a misspelt step": Fault(
        US, "    When I search", "    Wenn I search", "Scenario Outline", "US204", 'scenario "Searching" has no When'
    ),
    "a PoC story that cannot fail": Fault(
        US,
        "  @failure\n",
        "",
        "```gherkin",
        "US205",
        "a PoC story has a scenario tagged @failure: what happens when it goes wrong?",
    ),
    "two scenarios with one title": Fault(
        US,
        "Scenario: The list cannot be read",
        "Scenario: A tool that is out",
        "  Scenario: A tool that is out",
        "US206",
        'scenario "A tool that is out" needs a title of its own',
    ),
    "a story of an unknown journey": Fault(US, "[UJ-001]", "[UJ-010]", "UJ-010", "US301", "UJ-010 is not there"),
    "two stories with one title": Fault(
        "docs/stories/US-002.md",
        "# Borrow and return",
        "# See who has a tool",
        "# See",
        "US303",
        "US-001 has the same title",
    ),
    "a PoC story without a screen": Fault(
        SCREENS,
        "stories: [US-001, US-002]",
        "stories: [US-001]",
        "milestone: poc",
        "US304",
        "a PoC story without a screen in docs/ux/screens.yaml",
        where="docs/stories/US-002.md",
    ),
    "a PoC story without a task": Fault(
        T2,
        "stories: [US-001, US-002]",
        "stories: [US-001]",
        "milestone: poc",
        "US305",
        "a PoC story without a PoC task",
        where="docs/stories/US-002.md",
    ),
    # architecture
    "no containers": Fault(
        ARC, "## Containers", "## Parts", "# Architecture", "ARC201", "the section `## Containers` is missing"
    ),
    "nothing is deferred": Fault(
        ARC,
        "\n- Photos: the shelf has nine tools that everybody knows by sight.\n"
        "- Search by synonym: a house has one word for a drill.\n",
        "\n",
        "## Deferred",
        "ARC202",
        "the section Deferred is empty",
    ),
    "a context that is no C4": Fault(
        ARC,
        "```mermaid\nC4Context",
        "```text\nC4Context",
        "## Context",
        "ARC204",
        "the section Context has no mermaid fence that begins with `C4Context`",
    ),
    "a stack without versions": Fault(
        ARC,
        "| Part | Technology | Version |",
        "| Part | Technology | Since |",
        "## Stack",
        "ARC205",
        "the stack is a table with a column `Version`",
    ),
    "a part without a version": Fault(
        ARC, "| Store | SQLite | 3.40 |", "| Store | SQLite | latest |", "latest", "ARC206", "Store has no version"
    ),
    "no invariant": Fault(
        ARC, "### AD-00", "#### AD-00", "## Invariants", "ARC207", "no invariant: `### AD-001: title`", every=True
    ),
    "an invariant twice": Fault(ARC, "### AD-002", "### AD-001", "only writer", "ARC208", "AD-001 stands here twice"),
    "an invariant without a rule": Fault(
        ARC, "- **Rule**: copies", "- Copies", "AD-002", "ARC209", "AD-002 has no item `- **Rule**: …`"
    ),
    # OpenAPI, command line
    "OpenAPI that is not valid": Fault(
        API, "  title: Toolshed\n", "", "info:", "API201", "info: 'title' is a required property"
    ),
    "a path parameter that nobody declares": Fault(
        API,
        "/api/tools/{id}/loan",
        "/api/tools/{tool}/loan",
        "{tool}",
        "API201",
        "Path parameter 'id' for 'delete' operation in '/api/tools/{tool}/loan' was not resolved",
    ),
    "a reference into the void": Fault(
        API,
        'schema: {$ref: "#/components/schemas/Tool"}\n            example',
        'schema: {$ref: "#/components/schemas/Toll"}\n            example',
        "schemas/Toll",
        "API202",
        "$ref #/components/schemas/Toll leads nowhere",
    ),
    "a reference out of the file": Fault(
        API,
        '"#/components/responses/Problem"}\n    post:',
        '"file:///etc/passwd"}\n    post:',
        "passwd",
        "API202",
        "$ref file:///etc/passwd is not local: only #/… is followed",
    ),
    "an operation that cannot succeed": Fault(
        API,
        '"204": {description: it is back}',
        '"103": {description: soon}',
        "    delete:",
        "API203",
        "DELETE /api/tools/{id}/loan has no 2xx response",
    ),
    "an operation that refuses nothing": Fault(
        API,
        '        "400": {$ref: "#/components/responses/Problem"}\n',
        "",
        "    get:",
        "API204",
        "GET /api/tools has no 4xx response: what does it refuse?",
    ),
    "an operation without a name": Fault(
        API, "      operationId: addTool\n", "", "", "API205", "POST /api/tools has no operationId", ("T303",), line=19
    ),
    "two operations with one name": Fault(
        API,
        "operationId: returnTool",
        "operationId: borrowTool",
        "operationId: borrowTool",
        "API206",
        "the operationId borrowTool stands here twice",
        ("API201", "T303"),
    ),
    "an operation that nobody builds": Fault(
        T3,
        "operations: [addTool]\n",
        "",
        "operationId: addTool",
        "API301",
        "no task names addTool in its `operations:`",
        where=API,
    ),
    "a command without an example": Fault(
        CLI,
        "",
        GOOD_CLI.replace("```console", "```"),
        "### `list`",
        "CLI204",
        "list has no `console` fence with an example",
        ("CLI301",),
    ),
    "a command that never fails": Fault(
        CLI,
        "",
        GOOD_CLI.replace("exit 1", "exit 0"),
        "### `list`",
        "CLI205",
        "list does not say `- exit 0: …` and a non-zero one",
        ("CLI301",),
    ),
    "a command twice": Fault(
        CLI,
        "",
        GOOD_CLI + GOOD_CLI.partition("## Commands\n")[2],
        "### `list`",
        "CLI206",
        "the command list stands here twice",
        ("CLI301",),
    ),
    "a command that nobody builds": Fault(
        CLI, "", GOOD_CLI, "### `list`", "CLI301", "no task names list in its `operations:`"
    ),
    # schema
    "SQL that does not parse": Fault(
        SQL, "  flat TEXT NOT NULL,\n", "  flat TEXT NOT NULL,,\n", "NULL,,", "SQL201", 'near ",": syntax error'
    ),
    "SQL that attaches a file": Fault(
        SQL, "PRAGMA foreign_keys = ON;", "ATTACH 'x.db' AS x;", "ATTACH", "SQL201", "not authorized"
    ),
    "a table without a key": Fault(
        SQL,
        "CREATE VIEW",
        "CREATE TABLE photo (\n  tool_id INTEGER\n);\nCREATE VIEW",
        "TABLE photo",
        "SQL202",
        "the table photo has no PRIMARY KEY",
        ("ERD302",),
    ),
    "a key of a table that is not there": Fault(
        SQL,
        "REFERENCES tool (id)",
        "REFERENCES tools (id)",
        "TABLE loan",
        "SQL203",
        "a foreign key of loan names the table tools, which is not there",
    ),
    "a key that is no key there": Fault(
        SQL,
        "REFERENCES tool (id)",
        "REFERENCES tool (note)",
        "TABLE loan",
        "SQL203",
        'foreign key mismatch - "loan" referencing "tool": the columns named in tool are no unique key there',
    ),
    "no table at all": Fault(SQL, "", "-- nothing yet\n", "-- nothing", "SQL204", "there is no table"),
    "a diagram of something else": Fault(
        ERD, "", "flowchart LR\n  tool --> loan\n", "flowchart", "ERD201", "this is no erDiagram", ("ERD302",)
    ),
    "an entity that is no table": Fault(
        ERD,
        "erDiagram\n",
        "erDiagram\n  photo {\n    int id PK\n  }\n",
        "photo",
        "ERD301",
        "the entity photo is no table of docs/spec/schema.sql",
    ),
    "a table that is no entity": Fault(
        SQL,
        "CREATE VIEW",
        "CREATE TABLE photo (id INTEGER PRIMARY KEY);\nCREATE VIEW",
        "TABLE photo",
        "ERD302",
        "the table photo is no entity of docs/spec/data-model.mmd",
    ),
    # decisions
    "a decision of no status": Fault(
        ADR,
        "status: accepted",
        "status: maybe",
        "maybe",
        "ADR103",
        'status: "maybe" is none of proposed, accepted, rejected, deprecated, superseded by 0007',
    ),
    "a decision without an outcome": Fault(
        ADR, "## Decision Outcome", "## So", "TOP", "ADR201", "the section `## Decision Outcome` is missing"
    ),
    "one option": Fault(
        ADR,
        "* One JSON file, rewritten on each change\n* A hosted database\n",
        "",
        "## Considered",
        "ADR204",
        "1 options; a decision has at least 2",
    ),
    "no reason": Fault(
        ADR,
        ", because its journal",
        "; its journal",
        "Chosen option",
        "ADR205",
        'the outcome does not say why: `Chosen option: "…", because …`',
    ),
    "an option out of the blue": Fault(
        ADR,
        'Chosen option: "SQLite in one file"',
        'Chosen option: "Paper"',
        "Paper",
        "ADR206",
        "'Paper' is none of the considered options",
    ),
    "no bad consequence": Fault(
        ADR,
        "* Bad, because",
        "* Fine, because",
        "### Consequences",
        "ADR207",
        "no consequence begins with `Bad, because`",
    ),
    "no confirmation": Fault(
        ADR, "### Confirmation", "### Hope", "## Decision Outcome", "ADR208", "`### Confirmation` is missing or empty"
    ),
    "a number twice": Fault(
        "docs/decisions/0002-again.md",
        "",
        "copy of " + ADR,
        "",
        "ADR301",
        "the number 0002 is taken by docs/decisions/0002-again.md",
        where="docs/decisions/0002-no-accounts.md",
    ),
    "a gap in the numbers": Fault(
        ADR,
        "---",
        None,
        "",
        "ADR302",
        "the number 0001 is missing before it: numbers have no gaps",
        where="docs/decisions/0002-no-accounts.md",
    ),
    # roadmap
    "a milestone is missing": Fault(
        ROAD, "  beta:\n", "  gamma:\n", "milestones:", "RM101", "the key `beta` of milestones is missing", ("RM102",)
    ),
    "a milestone without a demo": Fault(
        ROAD,
        "    demo: Add a tool, borrow it, return it.\n",
        "",
        "mvp:",
        "RM101",
        "the key `demo` of milestones.mvp is missing",
    ),
    "an exit that is neither run nor human": Fault(
        ROAD,
        "{human: Mr Osei adds three tools in two minutes.}",
        "{hope: it works}",
        "hope",
        "RM102",
        "the key `hope` of milestones.mvp.exit.0 is not known",
        severity="warning",
    ),
    "a day and a half": Fault(
        ROAD, "days: 7", "days: 1.5", "days: 1.5", "RM103", "milestones.alpha.days: 1.5 is no integer"
    ),
    "milestones out of order": Fault(
        ROAD,
        "  alpha:\n",
        "  @:\n",
        "  beta:",
        "RM201",
        "beta stands where alpha belongs; the order is poc, mvp, vertical-slice, alpha, beta, release",
        more=(("  beta:\n", "  alpha:\n"), ("  @:\n", "  beta:\n")),
    ),
    "a milestone without a task": Fault(
        "docs/tasks/T-007.yaml", "title", None, "release:", "RM301", "release has no task", where=ROAD
    ),
    # tasks
    "a task without steps": Fault(
        T3, "steps:\n", "steppes:\n", "title:", "T101", "the key `steps` is missing", ("T102",)
    ),
    "accept without a limit": Fault(
        T3, ", timeout_s: 60", "", "accept:", "T101", "the key `timeout_s` of accept is missing"
    ),
    "accept as one string": Fault(
        T3,
        "[python3, -m, unittest, app/tests/test_add.py]",
        '"python3 -m unittest"',
        "python3 -m",
        "T103",
        'accept.run: "python3 -m unittest" is no array',
        ("DOC013",),
    ),
    "an artifact out of the app": Fault(
        T3, "app/pages.py", "docs/pages.py", "docs/pages.py", "T201", "the artifact docs/pages.py is not below app/"
    ),
    "an artifact that climbs": Fault(
        T3, "app/pages.py", "app/../../etc/passwd", "passwd", "T201", "the artifact app/../../etc/passwd holds `..`"
    ),
    "an absolute artifact": Fault(
        T3,
        "app/pages.py",
        "/etc/passwd",
        "passwd",
        "T201",
        "the artifact /etc/passwd is not relative to the repository's root",
    ),
    "accept that proves nothing": Fault(
        T3,
        "[python3, -m, unittest, app/tests/test_add.py]",
        '["true"]',
        "accept:",
        "T202",
        "accept true: it passes whatever the app does",
    ),
    "a task for nobody": Fault(
        T3, "[US-003]", "[]", "stories: []", "T203", "no story: name one, or say `kind: enabler` and a `reason`"
    ),
    "a need of nothing": Fault(T3, "needs: [T-002]", "needs: [T-020]", "T-020", "T301", "T-020 is not there"),
    "a task on an unknown screen": Fault(
        T3, "[SCR-003]", "[SCR-030]", "SCR-030", "T302", "SCR-030 is no screen of docs/ux/screens.yaml"
    ),
    "a task for an unknown operation": Fault(
        T3, "[addTool]", "[addTool, sellTool]", "sellTool", "T303", "no operation sellTool in docs/spec/openapi.yaml"
    ),
    "a circle of needs": Fault(
        T1,
        "needs: []",
        "needs: [T-003]",
        "[T-003]",
        "T304",
        "the needs run in a circle: T-001 needs T-003 needs T-002 needs T-001",
    ),
    "a need of something later": Fault(
        T1, "milestone: poc", "milestone: mvp", "T-001", "T305", "T-001 belongs to mvp, later than poc", where=T2
    ),
    "two tasks that write one file": Fault(
        T3,
        "needs: [T-002]",
        "needs: [T-001]",
        "artifacts",
        "T306",
        "T-002 writes app/server.py too, and neither needs the other: they would conflict",
        ("RM301",),
        more=(("milestone: mvp", "milestone: poc"),),
    ),
}

"""The checks of a design document: `check(root)` reads docs/ and says what is wrong.

Findings are printed like a compiler's. The format of every artifact and the list of
codes are in docs/handbook/document.md. Real parsers do the parsing, each behind one
small adapter in adapters/; where one is missing the finding is `unknown`, and unknown
never passes. What a file says is a function of its path and content, and is kept by
their sha256 together with that of this package and its tools.

To check a new kind of document:

1. Describe its path and format, and explain the codes of its findings, in
   docs/handbook/document.md. Seed a fault for each code in tests/support/document_faults.py.
2. Write a function (facts, text, drawer) beside those of its likes: pages.py, plans.py,
   contracts.py, … It tells what is wrong with `facts.say(code, text, line, col)`, and
   puts the names that other files need to know into `facts.refs`.
3. Give it a row in KINDS below: name, pattern of the path, function.

What must hold between several documents is a rule: see `across.py`.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from catherd.bus.yaml_read import text_of
from catherd.core.errors import CatherdError
from catherd.design.checks import (
    across,
    api,
    contracts,
    generated,
    kept,
    pages,
    pictures,
    plans,
    ux,
)
from catherd.design.checks.adapters.mermaid import Drawer
from catherd.design.checks.between.files import Files
from catherd.design.checks.finding import Facts, Finding, passes, to_json, within
from catherd.design.checks.places import SKIPPED, list_documents, place_of
from catherd.design.checks.shape import line_col

__all__ = [
    "SKIPPED",
    "Finding",
    "check",
    "check_paths",
    "designed",
    "list_documents",
    "passes",
    "place_of",
    "to_json",
]

Reader = Callable[[Facts, str, Drawer], None]


class Kind(NamedTuple):
    """A kind of artifact; group 1 of the pattern, where there is one, is the id."""

    name: str
    pattern: str
    read: Reader


_PICTURE = r"docs/ux/(SCR-\d{3,}(?:\.[\w-]+)?)"
KINDS = (
    Kind("index", r"docs/index\.md", pages.index),
    Kind("screens", r"docs/ux/screens\.yaml", ux.screens),
    Kind("svg", rf"{_PICTURE}\.svg", pictures.check_svg),
    Kind("excalidraw", rf"{_PICTURE}\.excalidraw", pictures.excalidraw),
    Kind("journey", r"docs/journeys/(UJ-\d{3,})\.md", pages.journey),
    Kind("story", r"docs/stories/(US-\d{3,})\.md", pages.story),
    Kind("architecture", r"docs/spec/architecture\.md", contracts.architecture),
    Kind("openapi", r"docs/spec/openapi\.yaml", api.openapi),
    Kind("cli", r"docs/spec/cli\.md", contracts.cli),
    Kind("schema", r"docs/spec/schema\.sql", contracts.check_schema),
    Kind("entities", r"docs/spec/data-model\.mmd", contracts.check_entities),
    Kind("decision", r"docs/decisions/(\d{4})-[\w.-]+\.md", pages.check_decision),
    Kind("roadmap", r"docs/roadmap\.yaml", plans.roadmap),
    Kind("task", r"docs/tasks/(T-\d{3,})\.yaml", plans.task),
)
# what is looked at in any repository, and in a document after KINDS
OTHERS = (
    Kind("page", r".*\.(?:md|markdown)", pages.check_page),
    Kind("diagram", r".*\.(?:mmd|mermaid)", contracts.other_diagram),
)
# Diagrams drawn at a time, at most: each takes half a second of a core and some 100 MB.
HANDS = 4
_SIGNS = re.compile(
    r"docs/(ux/screens\.yaml|journeys/UJ-\d+\.md|stories/US-\d+\.md|tasks/T-\d+\.yaml)"
)
_STRAY = re.compile(
    r"docs/(journeys|stories|tasks|decisions)/(?!README\.md$|index\.md$|\.)[^/]+"
)


def check(
    root: str,
    only: Collection[str] | None = None,
    cache: str | None = None,
    *,
    complete: bool | None = None,
) -> list[Finding]:
    """What is wrong with the document below `root`, sorted by place.

    `only`: paths relative to `root`, files or folders. All is read, but only findings
    that concern these are given.
    `cache`: a folder for results.
    `complete`: True when the plan is done, so that what is missing is an error. False
    while it is being written. None finds out: the plan counts as done if there is any
    artifact, else this is a folder of pages whose links and diagrams are looked at.
    """
    paths = list_documents(root)
    design = complete is not None or designed(paths)
    found = _look_at_all(root, paths, cache, design=design)
    findings: list[Finding] = []
    for facts in found.values():
        findings += facts.findings

    def exists(path: str) -> bool:
        return os.path.exists(os.path.join(root, path))

    files = Files(found, design and complete is not False, exists)
    findings += across.across_findings(files)
    if design:
        findings += stray(paths)
        findings += generated.stale(root, found, complete=files.complete)
    return sorted(set(within(findings, only)))


def designed(paths: Iterable[str]) -> bool:
    """Whether there is a story, a journey, a task or a screen among `paths`.

    Without any, only links and diagrams are looked at.
    """
    return any(_SIGNS.fullmatch(path) for path in paths)


def check_paths(
    tree: str, paths: Iterable[str], cache: str | None = None
) -> list[Finding]:
    """What speaks against the change of `paths` in a document that is being written.

    `tree` is the folder that it was exported to (a merge result, say). The paths in the
    findings are relative to it.
    """
    return check(tree, list(paths), cache, complete=False)


def _look_at_all(
    root: str, paths: list[str], cache: str | None, *, design: bool
) -> dict[str, Facts]:
    """The facts of all files, by path; several are looked at at a time."""
    store = kept.Store(cache)
    drawn = kept.Store(cache, "diagrams")  # html.py keeps its drawings there too
    hands = min(os.cpu_count() or 1, HANDS)
    with (
        ThreadPoolExecutor(hands) as pool,
        Drawer(drawn, pictures=True, hands=hands) as drawer,
    ):

        def look(path: str) -> Facts:
            return look_at_file(root, path, drawer, store, design=design)

        found = dict(zip(paths, pool.map(look, paths), strict=True))
    store.save()
    drawn.save()
    return found


def look_at_file(
    root: str, path: str, drawer: Drawer, store: kept.Store, *, design: bool
) -> Facts:
    """The facts of one file: from the store, or by reading it."""
    facts = Facts(path=path)
    kind = _identify(facts, (*KINDS, *OTHERS) if design else OTHERS)
    text = _text(root, facts) if kind else None
    if kind is None or text is None:
        return facts
    key = store.key(kind.name, path, text)
    known = store.get(key)
    if known is not None:
        return known
    try:
        kind.read(facts, text.replace("\r\n", "\n"), drawer)
    except ImportError as error:
        facts.cannot_look(
            f"{error.name} is not here to look: pip install 'catherd[plan]'",
        )
    except RecursionError:
        facts.say("DOC002", "nested too deeply to be read", 1, 1)
    store.put(key, facts)
    return facts


def _identify(facts: Facts, kinds: Iterable[Kind]) -> Kind | None:
    """The first of `kinds` that a file is of, noted with its id, or None when of none."""
    for kind in kinds:
        match = re.fullmatch(kind.pattern, facts.path)
        if match:
            facts.kind = kind.name
            facts.ident = match[1] if match.re.groups else ""
            return kind
    return None


def _text(root: str, facts: Facts) -> str | None:
    """The text of a file; None, with the reason noted, when it has none."""
    path = facts.path
    try:
        path.encode()
        return text_of(os.path.join(root, path), path)
    except UnicodeEncodeError:
        facts.say("DOC002", "its name is not UTF-8")
    except CatherdError as error:
        facts.say(
            "DOC002",
            f"{error.what} (fix: {error.fix})",
            *line_col(error.where),
        )
    except FileNotFoundError:
        pass  # gone since it was listed
    return None


def stray(paths: Iterable[str]) -> list[Finding]:
    """Files among the artifacts whose names are none of theirs: nothing reads them."""
    what = "is no artifact's name, so nothing reads it"
    found = []
    for path in paths:
        known = any(re.fullmatch(kind.pattern, path) for kind in KINDS)
        if _STRAY.fullmatch(path) and not known:
            stray = Finding(path=path, code="DOC010", severity="warning", text=what)
            found.append(stray)
    return found

"""The checks of a design document: `check(root)` reads docs/ below `root` and says what is wrong, like a compiler.

The format of every artifact and the list of codes are in docs/handbook/document.md. Real parsers do the parsing, each
behind one small adapter; where one is missing the finding is `unknown`, and unknown never passes. What a file says is a
function of its path and content, and cached by their sha256 together with that of this package and its tools.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from catherd.bus.yaml_read import text_of
from catherd.core.errors import CatherdError
from catherd.design import trace
from catherd.design.checks import across, contracts, kept, pages, pictures, plans, ux
from catherd.design.checks.finding import (
    Facts,
    Finding,
    passes,
    program_words,
    to_json,
    within,
)
from catherd.design.checks.mermaid import Drawer
from catherd.design.wireframe import screens

__all__ = [
    "Finding",
    "check",
    "check_paths",
    "designed",
    "listing",
    "passes",
    "place",
    "to_json",
]

SKIPPED = ("docs/handbook", "docs/debate", "docs/game", "docs/milestones")
_SHALLOW = {
    "node_modules",
    "__pycache__",
    "site-packages",
    "worktrees",
    "vendor",
    "target",
    "dist",
    "build",
}
Reader = Callable[[Facts, str, Drawer], None]


class Kind(NamedTuple):
    """A kind of artifact: which paths it has (group 1, where there is one, is the id), and who reads it."""

    name: str
    pattern: re.Pattern[str]
    read: Reader


KINDS = tuple(
    Kind(name, re.compile(pattern), read)
    for name, pattern, read in (
        ("index", r"docs/index\.md", pages.index),
        ("screens", r"docs/ux/screens\.yaml", ux.screens),
        ("svg", r"docs/ux/(SCR-\d{3,}(?:\.[\w-]+)?)\.svg", pictures.check_svg),
        (
            "excalidraw",
            r"docs/ux/(SCR-\d{3,}(?:\.[\w-]+)?)\.excalidraw",
            pictures.excalidraw,
        ),
        ("journey", r"docs/journeys/(UJ-\d{3,})\.md", pages.journey),
        ("story", r"docs/stories/(US-\d{3,})\.md", pages.story),
        ("architecture", r"docs/spec/architecture\.md", contracts.architecture),
        ("openapi", r"docs/spec/openapi\.yaml", contracts.openapi),
        ("cli", r"docs/spec/cli\.md", contracts.cli),
        ("schema", r"docs/spec/schema\.sql", contracts.check_schema),
        ("entities", r"docs/spec/data-model\.mmd", contracts.check_entities),
        ("decision", r"docs/decisions/(\d{4})-[\w.-]+\.md", pages.check_decision),
        ("roadmap", r"docs/roadmap\.yaml", plans.roadmap),
        ("task", r"docs/tasks/(T-\d{3,})\.yaml", plans.task),
    )
)
_OTHERS = (
    Kind("page", re.compile(r".*\.(?:md|markdown)"), pages.check_page),
    Kind("diagram", re.compile(r".*\.(?:mmd|mermaid)"), contracts.other_diagram),
)
HANDS = 4  # diagrams drawn at a time, at most: one is half a second of a core, and some 100 MB
_SIGNS = re.compile(
    r"docs/(ux/screens\.yaml|journeys/UJ-\d+\.md|stories/US-\d+\.md|tasks/T-\d+\.yaml)"
)
_STRAY = re.compile(
    r"docs/(journeys|stories|tasks|decisions)/(?!README\.md$|index\.md$|\.)[^/]+"
)


def place_of(path: str) -> tuple[str, list[str] | None]:
    """(root, only) for what a person typed: a repository, its docs/, a folder or a file in it.

    Raises CatherdError when there is nothing there.
    """
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise CatherdError(
            "there is no such file or directory",
            where=path,
            fix=f"{program_words()} check .",
        )
    if os.path.isdir(os.path.join(path, "docs")):
        return path, None
    at = path if os.path.isdir(path) else os.path.dirname(path)
    while os.path.dirname(at) != at:
        if os.path.basename(at) == "docs":
            root = os.path.dirname(at)
            return root, None if at == path else [
                os.path.relpath(path, root).replace(os.sep, "/")
            ]
        at = os.path.dirname(at)
    return (
        (path, None)
        if os.path.isdir(path)
        else (os.path.dirname(path), [os.path.basename(path)])
    )


def check(
    root: str,
    only: Collection[str] | None = None,
    cache: str | None = None,
    *,
    complete: bool | None = None,
) -> list[Finding]:
    """What is wrong with the document below `root`, sorted by place.

    `only`: paths relative to `root` (files, or folders); only what concerns them is told, though all is read.
    `cache`: a folder for results. `complete`: True, the plan is done, so what is missing is an error; False, it is being
    written; None, complete if there is any artifact, else just a folder of pages whose links and diagrams are looked at.
    """
    paths = list_documents(root)
    design = complete is not None or designed(paths)
    store, drawn = (
        kept.Store(cache),
        kept.Store(cache, "diagrams"),
    )  # the second is design.py's too
    hands = min(os.cpu_count() or 1, HANDS)
    with (
        ThreadPoolExecutor(hands) as pool,
        Drawer(drawn, pictures=True, hands=hands) as drawer,
    ):
        found = dict(
            zip(
                paths,
                pool.map(
                    lambda path: look_at_file(root, path, drawer, store, design=design),
                    paths,
                ),
                strict=True,
            )
        )
    store.save()
    drawn.save()
    findings = [finding for facts in found.values() for finding in facts.findings]
    files = across.Files(
        found,
        design and complete is not False,
        lambda path: os.path.exists(os.path.join(root, path)),
    )
    findings += across.rules(files)
    if design:
        findings += [
            *stray(paths),
            *stale_generated(root, found, complete=files.complete),
        ]
    return sorted(set(within(findings, only)))


def designed(paths: Iterable[str]) -> bool:
    """Whether there is a story, a journey, a task or a screen among them; without any, only links and diagrams are looked at."""
    return any(_SIGNS.fullmatch(path) for path in paths)


def check_paths(
    tree: str, paths: Iterable[str], cache: str | None = None
) -> list[Finding]:
    """What speaks against the change of `paths` in a document that is still being written.

    `tree` is where it was exported to (a merge result, say); the paths in the findings are relative to it.
    """
    return check(tree, list(paths), cache, complete=False)


def list_documents(root: str) -> list[str]:
    """The files to look at, relative to `root`: all of docs/, or of `root` where there is no docs/."""
    top = "docs" if os.path.isdir(os.path.join(root, "docs")) else ""
    found: list[str] = []
    for folder, folders, names in os.walk(os.path.join(root, top)):
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        below = "" if below == "." else below
        folders[:] = sorted(
            name
            for name in folders
            if name[0] != "."
            and name not in _SHALLOW
            and posix(below, name) not in SKIPPED
        )
        found += [
            posix(below, name)
            for name in names
            if name[0] != "." and not name.endswith("~")
        ]
    return sorted(found)


def posix(folder: str, name: str) -> str:
    """folder/name, or name at the top."""
    return f"{folder}/{name}" if folder else name


def look_at_file(
    root: str, path: str, drawer: Drawer, store: "kept.Store", *, design: bool
) -> Facts:
    """The facts of one file: from the store, or by reading it."""
    kinds = (*KINDS, *_OTHERS) if design else _OTHERS
    kind, match = next(
        ((k, m) for k in kinds if (m := k.pattern.fullmatch(path))), (None, None)
    )
    facts = Facts(path=path)
    if kind is None or match is None:
        return facts
    facts.kind = kind.name
    facts.ident = match[1] if match.re.groups and match[1] else ""
    try:
        path.encode()
        text = text_of(os.path.join(root, path), path)
    except UnicodeEncodeError:
        facts.say("DOC002", "its name is not UTF-8")
        return facts
    except CatherdError as error:
        facts.say("DOC002", f"{error.what} (fix: {error.fix})", *_line(error.where))
        return facts
    except FileNotFoundError:  # gone since it was listed
        return facts
    key = store.key(kind.name, path, text)
    known = store.get(key)
    if known is not None:
        return known
    try:
        kind.read(facts, text.replace("\r\n", "\n"), drawer)
    except ImportError as error:
        facts.say(
            "DOC090",
            f"{error.name} is not here to look: pip install 'catherd[plan]'",
            1,
            1,
            severity="unknown",
        )
    except RecursionError:
        facts.say("DOC002", "nested too deeply to be read", 1, 1)
    store.put(key, facts)
    return facts


def _line(where: str) -> tuple[int, int]:
    found = re.search(r":(\d+)$", where)
    return (int(found[1]), 1) if found else (0, 0)


def stray(paths: Iterable[str]) -> list[Finding]:
    """Files that lie among the artifacts but are none by name, so that nobody would read them."""
    return [
        Finding(
            path=path,
            code="DOC010",
            severity="warning",
            text="is no artifact's name, so nothing reads it",
        )
        for path in paths
        if _STRAY.fullmatch(path)
        and not any(kind.pattern.fullmatch(path) for kind in KINDS)
    ]


def stale_generated(
    root: str, found: dict[str, Facts], *, complete: bool
) -> list[Finding]:
    """Generated files that are not what their sources give today, and (when complete) those that are not there."""
    findings: list[Finding] = []
    source = found.get(screens.FILE)
    if source and not any(f.severity == "error" for f in source.findings):
        made = screens.compiled(_read(root, screens.FILE) or "")
        for name, text in made.items():
            findings += _stale(
                root, f"docs/ux/{name}", text, screens.FILE, complete=complete
            )
        for name in source.data.get("drawn", []):
            if f"docs/ux/{name}" not in found and complete:
                findings.append(
                    Finding(
                        path=f"docs/ux/{name}",
                        code="SCR303",
                        text="is to be drawn by hand, and is not there",
                    )
                )
    if complete:
        plan = trace.read_plan(root)
        now = _read(root, trace.TRACE)
        if now is not None:
            findings += _stale(
                root,
                trace.TRACE,
                trace.trace(plan, trace.prs_in(now)),
                "the artifacts",
                complete=True,
            )
        if plan.milestones and _read(root, trace.GANTT) is not None:
            findings += _stale(
                root, trace.GANTT, trace.gantt(plan), "docs/roadmap.yaml", complete=True
            )
    return findings


def _read(root: str, path: str) -> str | None:
    try:
        return text_of(os.path.join(root, path), path)
    except (FileNotFoundError, CatherdError):
        return None


def _stale(
    root: str, path: str, text: str, source: str, *, complete: bool
) -> list[Finding]:
    now = _read(root, path)
    if now is None and complete:
        return [
            Finding(
                path=path,
                code="DOC014",
                text=f"is not made from {source} yet: {program_words()} design .",
                about=(source,),
            )
        ]
    if now is not None and now != text:
        what = f"is not what {source} gives today: {program_words()} design ."
        return [
            Finding(path=path, line=1, col=1, code="DOC013", text=what, about=(source,))
        ]
    return []

"""What must hold between the files of a design document. Pure: a function of the files' facts and of `exists`.

`complete` says that all artifacts are there (the plan is done): then what is missing is an error. While the plan is
being written, coverage is not asked for, and a name whose file may still come is a warning.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from catherd.design.checks.finding import Facts, Finding, Ref
from catherd.design.checks.plans import MILESTONES

INDEX, SCREENS, ROADMAP = "docs/index.md", "docs/ux/screens.yaml", "docs/roadmap.yaml"
API, CLI = "docs/spec/openapi.yaml", "docs/spec/cli.md"
SQL, ERD = "docs/spec/schema.sql", "docs/spec/data-model.mmd"
ROLES = {"stories": "story", "journeys": "journey", "needs": "task"}


class Files(NamedTuple):
    """The facts of all files, by path, and what is being asked."""

    by_path: dict[str, Facts]
    complete: bool
    exists: Callable[[str], bool]

    def kind(self, kind: str) -> list[Facts]:
        """The artifacts of one kind, by id."""
        return sorted(
            (f for f in self.by_path.values() if f.kind == kind), key=lambda f: f.ident
        )

    def idents(self, kind: str) -> dict[str, Facts]:
        """The artifacts of one kind, under their ids."""
        return {f.ident: f for f in self.kind(kind)}


def rules(files: Files) -> list[Finding]:
    """All findings between files."""
    found = [
        *links(files),
        *references(files),
        *titles(files),
        *decisions(files),
        *entities_match(files),
        *tasks(files),
    ]
    if files.complete:
        found += [*required(files), *coverage(files)]
    return found


def _at(
    facts: Facts,
    code: str,
    text: str,
    ref: Ref | list[int] | None = None,
    **more: object,
) -> Finding:
    line, col = (ref.line, ref.col) if isinstance(ref, Ref) else (ref or [0, 0])[:2]
    about = more.get("about", ())
    assert isinstance(about, Iterable)  # noqa: S101 - given by this module alone
    severity = str(more.get("severity", "error"))
    return Finding(
        path=facts.path,
        line=line,
        col=col,
        code=code,
        severity=severity,
        text=text,
        about=tuple(map(str, about)),
    )


ARTIFACT = re.compile(
    r"docs/(index\.md|trace\.md|roadmap\.\w+|(ux|journeys|stories|spec|decisions|tasks)(/.*)?)$"
)


def links(files: Files) -> Iterator[Finding]:
    """Every relative link leads to a file, and to a heading in it."""
    for facts in files.by_path.values():
        for ref in facts.links:
            target, _, anchor = ref.name.partition("#")
            target = target.partition("?")[0]
            if re.match(r"[a-zA-Z][\w+.-]*:|//", ref.name) or (
                not target and not anchor
            ):
                continue
            folder = "" if target.startswith("/") else posixpath.dirname(facts.path)
            path = (
                posixpath.normpath(posixpath.join(folder, target.lstrip("/")))
                if target
                else facts.path
            )
            if path.startswith("..") or (
                path.split("/")[0] == "app" and not files.exists("app")
            ):
                continue  # out of the repository, or the app that is still to be built
            if not files.exists(path):
                coming = not files.complete and ARTIFACT.match(path)
                severity = (
                    "warning" if coming or not path.startswith("docs/") else "error"
                )
                yield _at(
                    facts,
                    "DOC005",
                    f"the link leads to {path}, which is not there",
                    ref,
                    severity=severity,
                )
            elif anchor and path in files.by_path and path.endswith(".md"):
                known = files.by_path[path].anchors
                if (
                    anchor not in known
                    and anchor.lower() not in known
                    and not re.fullmatch(r"L\d+(-L\d+)?", anchor)
                ):
                    yield _at(
                        facts,
                        "DOC006",
                        f"{path} has no heading #{anchor}",
                        ref,
                        about=[path],
                    )


def references(files: Files) -> Iterator[Finding]:
    """Every id names an artifact that is there."""
    codes = {"task": "T", "story": "US", "journey": "UJ", "screens": "SCR"}
    screens = files.by_path.get(SCREENS)
    operations = [f for path in (API, CLI) if (f := files.by_path.get(path))]
    for facts in files.by_path.values():
        prefix = codes.get(facts.kind)
        if prefix is None:
            continue
        for role, kind in ROLES.items():
            known = files.idents(kind)
            for ref in facts.refs.get(role, []):
                if ref.name not in known and re.fullmatch(r"[A-Z]+-\d+", ref.name):
                    severity = "error" if files.complete else "warning"
                    yield _at(
                        facts,
                        f"{prefix}301",
                        f"{ref.name} is not there",
                        ref,
                        severity=severity,
                    )
        if screens and facts.kind != "screens":
            for ref in facts.refs.get("screens", []):
                if ref.name not in screens.names("defines"):
                    yield _at(
                        facts,
                        f"{prefix}302",
                        f"{ref.name} is no screen of {SCREENS}",
                        ref,
                        about=[SCREENS],
                    )
        if operations and facts.kind == "task":
            defined = {name for f in operations for name in f.names("defines")}
            for ref in facts.refs.get("operations", []):
                if ref.name not in defined and (files.complete or len(operations) == 2):
                    about = [f.path for f in operations]
                    yield _at(
                        facts,
                        "T303",
                        f"no operation {ref.name} in {' or '.join(about)}",
                        ref,
                        about=about,
                    )


def titles(files: Files) -> Iterator[Finding]:
    """No two stories have the same title."""
    seen: dict[str, Facts] = {}
    for story in files.kind("story"):
        title = str(story.data.get("title", "")).strip().lower()
        if title and title in seen:
            other = seen[title]
            what = f"{other.ident} has the same title"
            yield _at(story, "US303", what, story.at.get("title"), about=[other.path])
        seen.setdefault(title, story)


def decisions(files: Files) -> Iterator[Finding]:
    """Decision records are numbered from 0001, each number once, without gaps."""
    seen: dict[str, Facts] = {}
    for record in files.kind("decision"):
        if record.ident in seen:
            other = seen[record.ident].path
            yield _at(
                record,
                "ADR301",
                f"the number {record.ident} is taken by {other}",
                about=[other],
            )
        seen.setdefault(record.ident, record)
    if files.complete:
        for n, (ident, record) in enumerate(sorted(seen.items()), 1):
            if int(ident) != n:
                yield _at(
                    record,
                    "ADR302",
                    f"the number {n:04} is missing before it: numbers have no gaps",
                )
                break


def entities_match(files: Files) -> Iterator[Finding]:
    """The diagram's entities are the schema's tables."""
    schema, model = files.by_path.get(SQL), files.by_path.get(ERD)
    if (
        not schema
        or not model
        or any(f.code in {"SQL201", "SQL204"} for f in schema.findings)
    ):
        return
    tables = {ref.name.lower(): ref for ref in schema.refs.get("defines", [])}
    drawn = {ref.name.lower(): ref for ref in model.refs.get("defines", [])}
    for name, ref in drawn.items():
        if name not in tables:
            yield _at(
                model,
                "ERD301",
                f"the entity {ref.name} is no table of {SQL}",
                ref,
                about=[SQL],
            )
    for name, ref in tables.items():
        if name not in drawn:
            yield _at(
                schema,
                "ERD302",
                f"the table {ref.name} is no entity of {ERD}",
                ref,
                about=[ERD],
            )


def tasks(files: Files) -> Iterator[Finding]:
    """No cycle, no need of something later, no file that two unordered tasks both write."""
    known = files.idents("task")
    graph = {
        ident: [n for n in task.names("needs") if n in known]
        for ident, task in known.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        path = list(reversed(error.args[1]))
        first = known[path[0]]
        ref = next((r for r in first.refs["needs"] if r.name == path[1]), None)
        about = [known[name].path for name in path[1:-1]]
        yield _at(
            first,
            "T304",
            f"the needs run in a circle: {' needs '.join(path)}",
            ref,
            about=about,
        )
        return
    for task in known.values():
        mine = _rank(task)
        for ref in task.refs.get("needs", []):
            other = known.get(ref.name)
            if other and 0 <= mine < _rank(other):
                what = f"{ref.name} belongs to {other.data['milestone']}, later than {task.data['milestone']}"
                yield _at(task, "T305", what, ref, about=[other.path])
    yield from _shared(known, graph)


def _rank(task: Facts) -> int:
    milestone = task.data.get("milestone")
    return MILESTONES.index(milestone) if milestone in MILESTONES else -1


def _shared(known: dict[str, Facts], graph: dict[str, list[str]]) -> Iterator[Finding]:
    before: dict[str, set[str]] = {}
    for ident in TopologicalSorter(graph).static_order():
        before[ident] = {ident}.union(*(before[need] for need in graph[ident]))
    order = sorted(known)
    for n, later in enumerate(order):
        for earlier in order[:n]:
            apart = later not in before[earlier] and earlier not in before[later]
            if not apart or _rank(known[later]) != _rank(known[earlier]):
                continue
            others = known[earlier].names("artifacts")
            for ref in known[later].refs.get("artifacts", []):
                if any(_overlap(ref.name, other) for other in others):
                    what = f"{earlier} writes {ref.name} too, and neither needs the other: they would conflict"
                    yield _at(
                        known[later], "T306", what, ref, about=[known[earlier].path]
                    )


def _overlap(a: str, b: str) -> bool:
    return (
        a == b
        or (a.endswith("/") and b.startswith(a))
        or (b.endswith("/") and a.startswith(b))
    )


def required(files: Files) -> Iterator[Finding]:
    """Every artifact of the layout is there."""
    index = files.by_path.get(INDEX)
    kind, storage = (
        (index.data.get("kind"), index.data.get("storage")) if index else (None, None)
    )
    wanted = [
        INDEX,
        ROADMAP,
        "docs/spec/architecture.md",
        "docs/trace.md",
        "docs/roadmap.mmd",
    ]
    wanted += [SCREENS] if kind != "library" else []
    wanted += [SQL, ERD] if storage == "sqlite" else []
    for path in wanted:
        if path not in files.by_path:
            yield Finding(
                path=path, code="DOC001", text="is not there, and the document needs it"
            )
    if API not in files.by_path and CLI not in files.by_path and kind != "game":
        path = CLI if kind in {"cli", "library"} else API
        yield Finding(
            path=path, code="DOC001", text=f"neither {API} nor {CLI} is there"
        )
    for group, path in (
        ("journey", "docs/journeys/UJ-001.md"), ("story", "docs/stories/US-001.md"),
        ("decision", "docs/decisions/0001-slug.md"), ("task", "docs/tasks/T-001.yaml"),
    ):  # fmt: skip
        if not files.kind(group):
            yield Finding(path=path, code="DOC001", text=f"there is no {group}")


def coverage(files: Files) -> Iterator[Finding]:
    """Every PoC story has a screen and a task, every operation a task, every milestone a task."""
    index, screens = files.by_path.get(INDEX), files.by_path.get(SCREENS)
    everything = files.kind("task")
    for story in files.kind("story"):
        if story.data.get("milestone") != "poc":
            continue
        seen = index and index.data.get("kind") in {"web", "tui", "game"} and screens
        if seen and screens and story.ident not in screens.names("stories"):
            at = story.at.get("milestone")
            yield _at(
                story,
                "US304",
                f"a PoC story without a screen in {SCREENS}",
                at,
                about=[SCREENS],
            )
        if not any(
            story.ident in t.names("stories") and t.data.get("milestone") == "poc"
            for t in everything
        ):
            yield _at(
                story,
                "US305",
                "a PoC story without a PoC task",
                story.at.get("milestone"),
            )
    brought = {name for task in everything for name in task.names("operations")}
    for path, code in ((API, "API301"), (CLI, "CLI301")):
        interface = files.by_path.get(path)
        for ref in interface.refs.get("defines", []) if interface else []:
            if interface and ref.name not in brought:
                yield _at(
                    interface,
                    code,
                    f"no task names {ref.name} in its `operations:`",
                    ref,
                )
    road = files.by_path.get(ROADMAP)
    for milestone in (road.data.get("milestones") or {}) if road else {}:
        if (
            road
            and milestone in MILESTONES
            and not any(t.data.get("milestone") == milestone for t in everything)
        ):
            yield _at(road, "RM301", f"{milestone} has no task", road.at.get(milestone))

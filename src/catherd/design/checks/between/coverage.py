"""What a document that is done must have, and what somebody must make of it."""

from collections.abc import Iterator

from catherd.design.checks.between.files import (
    API,
    CLI,
    ERD,
    INDEX,
    ROADMAP,
    SCREENS,
    SQL,
    Files,
    finding,
)
from catherd.design.checks.finding import Facts, Finding
from catherd.design.checks.plans import MILESTONES

_ALWAYS = (
    INDEX,
    ROADMAP,
    "docs/spec/architecture.md",
    "docs/trace.md",
    "docs/roadmap.mmd",
)
# a kind of which there is at least one, and the path of the first
_AT_LEAST_ONE = {
    "journey": "docs/journeys/UJ-001.md",
    "story": "docs/stories/US-001.md",
    "decision": "docs/decisions/0001-slug.md",
    "task": "docs/tasks/T-001.yaml",
}
_SHOWN = ("web", "tui", "game")  # kinds of app whose stories are seen on a screen


def artifacts_are_there(files: Files) -> Iterator[Finding]:
    """Every file of the layout is there."""
    kind, storage = _index(files, "kind"), _index(files, "storage")
    wanted = list(_ALWAYS)
    if kind != "library":
        wanted.append(SCREENS)
    if storage == "sqlite":
        wanted += [SQL, ERD]
    for path in wanted:
        if path not in files.by_path:
            yield _missing(path, "is not there, and the document needs it")
    if API not in files.by_path and CLI not in files.by_path and kind != "game":
        path = CLI if kind in ("cli", "library") else API
        yield _missing(path, f"neither {API} nor {CLI} is there")
    for group, path in _AT_LEAST_ONE.items():
        if not files.kind(group):
            yield _missing(path, f"there is no {group}")


def _missing(path: str, text: str) -> Finding:
    return Finding(path=path, code="DOC001", text=text)


def _index(files: Files, key: str) -> object:
    """What the index says of the app."""
    index = files.by_path.get(INDEX)
    return index.data.get(key) if index else None


def poc_stories_have_a_screen(files: Files) -> Iterator[Finding]:
    """Every story of the PoC is on a screen, where the app has screens."""
    screens = files.by_path.get(SCREENS)
    if screens is None or _index(files, "kind") not in _SHOWN:
        return
    shown = screens.names("stories")
    for story in _poc(files, "story"):
        if story.ident not in shown:
            what = f"a PoC story without a screen in {SCREENS}"
            at = story.part("milestone")
            yield finding(story, "US304", what, at, about=[SCREENS])


def poc_stories_have_a_task(files: Files) -> Iterator[Finding]:
    """Every story of the PoC is made by a task of the PoC."""
    made: set[str] = set()
    for task in _poc(files, "task"):
        made.update(task.names("stories"))
    for story in _poc(files, "story"):
        if story.ident not in made:
            yield finding(
                story,
                "US305",
                "a PoC story without a PoC task",
                story.part("milestone"),
            )


def _poc(files: Files, kind: str) -> list[Facts]:
    return [one for one in files.kind(kind) if one.data.get("milestone") == "poc"]


def operations_have_a_task(files: Files) -> Iterator[Finding]:
    """Every operation of openapi.yaml and every command of cli.md is made by a task."""
    made: set[str] = set()
    for task in files.kind("task"):
        made.update(task.names("operations"))
    for path, code in ((API, "API301"), (CLI, "CLI301")):
        interface = files.by_path.get(path)
        if interface is None:
            continue
        for ref in interface.refs.get("defines", []):
            if ref.name not in made:
                yield finding(
                    interface,
                    code,
                    f"no task names {ref.name} in its `operations:`",
                    ref,
                )


def milestones_have_a_task(files: Files) -> Iterator[Finding]:
    """Every milestone of the roadmap has a task."""
    roadmap = files.by_path.get(ROADMAP)
    if roadmap is None:
        return
    filled = [task.data.get("milestone") for task in files.kind("task")]
    for milestone in roadmap.data.get("milestones") or {}:
        if milestone in MILESTONES and milestone not in filled:
            yield finding(
                roadmap,
                "RM301",
                f"{milestone} has no task",
                roadmap.part(milestone),
            )

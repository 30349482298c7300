"""The artifacts that the work is planned by: roadmap and tasks. What holds between them stands in across.py."""

import re

from catherd.design.checks import shape
from catherd.design.checks.finding import Facts
from catherd.design.checks.mermaid import Drawer

MILESTONES = ("poc", "mvp", "vertical-slice", "alpha", "beta", "release")
_IDLE = ("true", ":", "echo", "test", "[", "ls", "cat", "exit", "sleep", "stat", "grep")


def roadmap(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/roadmap.yaml."""
    shape.placeholders(text, facts)
    data = shape.checked(text, facts, "RM", "roadmap")
    found = data.get("milestones") if data else None
    if not isinstance(found, dict):
        return
    facts.data["milestones"] = found
    doc = shape.load_shape(text, facts, "DOC003")
    for key in found:
        facts.at[key] = list(shape.at_key(text, doc, "milestones", key)) if doc else []
    known = [key for key in found if key in MILESTONES]
    wanted = sorted(known, key=MILESTONES.index)
    for key, due in zip(known, wanted, strict=True):
        if key != due:
            facts.say(
                "RM201",
                f"{key} stands where {due} belongs; the order is {', '.join(MILESTONES)}",
                *facts.at[key],
            )
            break


def task(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/tasks/T-*.yaml."""
    shape.placeholders(text, facts)
    data = shape.checked(text, facts, "T", "task")
    if data is None:
        return
    facts.data.update(data)
    for ref in facts.refs.get("artifacts", []):
        why = _outside(ref.name)
        if why:
            facts.say("T201", f"the artifact {ref.name} {why}", ref.line, ref.col)
    accept = data.get("accept")
    argv = accept.get("run") if isinstance(accept, dict) else None
    if isinstance(argv, list) and argv and all(isinstance(word, str) for word in argv):
        why = _proves_nothing(argv)
        if why:
            facts.say("T202", f"accept {' '.join(argv)}: {why}", *facts.at["accept"])
    if data.get("stories") == [] and not (
        data.get("kind") == "enabler" and data.get("reason")
    ):
        facts.say(
            "T203",
            "no story: name one, or say `kind: enabler` and a `reason`",
            *facts.at["stories"],
        )


def _outside(path: str) -> str:
    if path.startswith(("/", "~")) or "\\" in path or re.match(r"[A-Za-z]:", path):
        return "is not relative to the repository's root"
    if ".." in path.split("/"):
        return "holds `..`"
    if not re.match(r"app/[^/]", path):
        return "is not below app/"
    return ""


def _proves_nothing(argv: list[str]) -> str:
    """Why a command says nothing about what it is run on; "" when it may."""
    name = argv[0].rsplit("/", 1)[-1]
    if len(argv) == 1 and re.search(r"\s", argv[0]):
        return "one string; give the arguments one by one: [python3, -m, unittest]"
    if name in _IDLE:
        return "it passes whatever the app does"
    if name in {"sh", "bash", "dash"} and argv[1:2] == ["-c"]:
        script = argv[2].split() if len(argv) > 2 else []
        simple = not re.search(r"[;&|]", argv[2]) if len(argv) > 2 else True
        if not script or (simple and script[0] in _IDLE):
            return "it passes whatever the app does"
    if name.startswith("python") and argv[1:3] in (
        ["-c", "pass"],
        ["-c", ""],
        ["-c", "1"],
    ):
        return "it passes whatever the app does"
    return ""

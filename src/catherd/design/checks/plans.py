"""The artifacts that the work is planned by: roadmap and tasks.

What must hold between them stands in between/.
"""

import posixpath
import re
from typing import Any

from catherd.design.checks import shape
from catherd.design.checks.adapters.mermaid import Drawer
from catherd.design.checks.finding import Facts

MILESTONES = ("poc", "mvp", "vertical-slice", "alpha", "beta", "release")
_IDLE = ("true", ":", "echo", "test", "[", "ls", "cat", "exit", "sleep", "stat", "grep")
_IDLE_PYTHON = (["-c", "pass"], ["-c", ""], ["-c", "1"])


def roadmap(facts: Facts, text: str, _drawer: Drawer) -> None:
    """docs/roadmap.yaml."""
    shape.placeholders(text, facts)
    data = shape.checked(text, facts, "RM", "roadmap")
    found = data.get("milestones") if data else None
    if not isinstance(found, dict):
        return
    facts.data["milestones"] = found
    doc = shape.load_shape(text, facts)
    if doc is None:
        return
    for key in found:
        facts.at[key] = list(shape.at_key(text, doc, "milestones", key))
    _order(facts, [key for key in found if key in MILESTONES])


def _order(facts: Facts, milestones: list[str]) -> None:
    """The milestones stand in their order; the first that does not is noted."""
    wanted = sorted(milestones, key=MILESTONES.index)
    for key, due in zip(milestones, wanted, strict=True):
        if key != due:
            order = ", ".join(MILESTONES)
            facts.say(
                "RM201",
                f"{key} stands where {due} belongs; the order is {order}",
                *facts.at[key],
            )
            return


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
    argv = accept_command(data)
    why = _proves_nothing(argv) if _all_words(argv) else ""
    if why:
        facts.say("T202", f"accept {' '.join(argv)}: {why}", *facts.at["accept"])
    excused = data.get("kind") == "enabler" and data.get("reason")
    if data.get("stories") == [] and not excused:
        facts.say(
            "T203",
            "no story: name one, or say `kind: enabler` and a `reason`",
            *facts.at["stories"],
        )


def accept_command(task_data: dict[str, Any]) -> list[Any]:
    """The argv of a task's accept command as it was written, [] when there is no list."""
    accept = task_data.get("accept")
    argv = accept.get("run") if isinstance(accept, dict) else None
    return argv if isinstance(argv, list) else []


def _all_words(argv: list[Any]) -> bool:
    return bool(argv) and all(isinstance(word, str) for word in argv)


def _outside(path: str) -> str:
    """Why an artifact's path is refused, "" when it is not."""
    if path.startswith(("/", "~")) or "\\" in path or re.match(r"[A-Za-z]:", path):
        return "is not relative to the repository's root"
    if ".." in path.split("/"):
        return "holds `..`"
    if not re.match(r"app/[^/]", path):
        return "is not below app/"
    return ""


def _proves_nothing(argv: list[str]) -> str:
    """Why a command says nothing about what it is run on, or "" when it may."""
    if len(argv) == 1 and re.search(r"\s", argv[0]):
        return "one string; give the arguments one by one: [python3, -m, unittest]"
    if _idle(posixpath.basename(argv[0]), argv[1:]):
        return "it passes whatever the app does"
    return ""


def _idle(program: str, words: list[str]) -> bool:
    """Whether a program with these words passes whatever it is run on."""
    if program.startswith("python"):
        return words[:2] in _IDLE_PYTHON
    if program in {"sh", "bash", "dash"} and words[:1] == ["-c"]:
        return _idle_script(words[1] if len(words) > 1 else "")
    return program in _IDLE


def _idle_script(script: str) -> bool:
    """Whether a shell script is empty or one command that always passes."""
    words = script.split()
    if not words:
        return True
    return words[0] in _IDLE and not re.search(r"[;&|]", script)

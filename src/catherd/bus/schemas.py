"""JSON Schemas of the files that people edit, generated from the structs that read them.

They stand in `templates/schemas/`, which is tracked here and laid by `catherd init`, so that a modeline
(`# yaml-language-server: $schema=../templates/schemas/agent.json`) resolves in a fresh clone, in any workspace, and from `bus/`.
`catherd schemas` writes them anew; a test holds the committed ones to the structs. Editors use them; catherd itself never does.
"""

import json
import os
from typing import Any

import msgspec

from catherd.bus.config import Agent, Phase
from catherd.bus.crashpoints import effect
from catherd.core.messages import Argument, Ballot, Chat, Game, Pitch, Tiebreak, Veto
from catherd.core.tasks import Assignment, Bid, Review, Task

FOLDER = "templates/schemas"
KINDS: dict[str, type[msgspec.Struct]] = {
    "agent": Agent,
    "argument": Argument,
    "assignment": Assignment,
    "ballot": Ballot,
    "bid": Bid,
    "chat": Chat,
    "game": Game,
    "phase": Phase,
    "pitch": Pitch,
    "review": Review,
    "task": Task,
    "tiebreak": Tiebreak,
    "veto": Veto,
}
_TOLD_BY_THE_PATH = {"Agent": ("id",), "Gate": ("name", "phase"), "Phase": ("name",)}
_DURATION = {"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?[smh]?$"}
_ANY = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean", "array"]},
}
_NARROWER: dict[
    tuple[str, str], dict[str, Any]
] = {  # what the struct's type alone does not say
    ("Agent", "runs"): {"enum": ["here", "elsewhere"]},
    ("Agent", "options"): _ANY,
    ("Agent", "rehearsal"): _ANY,
    ("Ballot", "kind"): {"const": "ballot"},
    ("Chat", "kind"): {"enum": ["chat", "constraint"]},
    ("Game", "models"): {"enum": ["rehearsal", "live"]},
    ("Gate", "timebox"): _DURATION,
    ("Phase", "grace"): _DURATION,
    ("Review", "verdict"): {"enum": ["approve", "changes"]},
    ("Task", "kind"): {"enum": ["design", "build", "mend"]},
}


def json_schema(name: str) -> dict[str, Any]:
    """The schema of one kind. Unknown keys are allowed (they are kept and reported), and so is `key:` with nothing behind it."""
    made = msgspec.json.schema(KINDS[name])
    for struct, definition in made.get("$defs", {}).items():
        properties = definition.get("properties", {})
        for key in _TOLD_BY_THE_PATH.get(struct, ()):
            properties.pop(key, None)

        for key in properties:
            properties[key] |= _NARROWER.get((struct, key), {})

        if struct == KINDS[name].__name__:
            needed = definition.get("required", [])
            definition["properties"] = {
                k: v if k in needed else _or_nothing(v) for k, v in properties.items()
            }

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"catherd {name}",
        **made,
    }


def _or_nothing(allowed: dict[str, Any]) -> dict[str, Any]:
    if isinstance(allowed.get("type"), str) and not {"enum", "const"} & set(allowed):
        return {**allowed, "type": [allowed["type"], "null"]}
    default = {"default": allowed.pop("default")} if "default" in allowed else {}
    return {"anyOf": [allowed, {"type": "null"}], **default}


def schema_text(name: str) -> str:
    """The schema as it stands in its file."""
    return json.dumps(json_schema(name), indent=1, ensure_ascii=False) + "\n"


def write_schemas(root: str) -> list[str]:
    """Write every schema that differs from its file below `root`; the paths written, relative to it."""
    written = []
    os.makedirs(os.path.join(root, FOLDER), exist_ok=True)
    for name in KINDS:
        path = f"{FOLDER}/{name}.json"
        full = os.path.join(root, path)
        new = schema_text(name)
        if os.path.exists(full):
            with open(full, encoding="utf-8") as file:
                if file.read() == new:
                    continue

        with effect("write", path), open(full, "w", encoding="utf-8") as file:
            file.write(new)

        written.append(path)

    return written

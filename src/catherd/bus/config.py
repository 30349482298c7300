"""What a person configures: `agents/*.yaml` (who speaks) and `phases/*.yaml` (what each gate needs)."""

import difflib
import os
import re
import shlex
from typing import Any

import msgspec

from catherd.bus import yaml_read
from catherd.core.errors import CatherdError

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
RESERVED = frozenset(
    {"human", "you", "me", "open", "blocked", "done", "catherd", "main"}
)
_ENDINGS = (".yaml", ".yml")
IGNORED = re.compile(r"(\..*|.*~|.*\.sw[a-z]|4913|#.*#)\Z")  # editors' leftovers


class Agent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`agents/<id>.yaml`. `id` is the file's stem and the agent's name on the bus; `name` is how it is displayed."""

    id: str = ""
    name: str = ""
    model: str = ""
    vendor: str = ""
    key: str = ""  # the environment variable that holds its key
    temper: str = ""
    lens: str = ""
    draw: dict[str, list[str]] = msgspec.field(default_factory=dict)
    options: dict[str, str] = msgspec.field(default_factory=dict)
    rehearsal: dict[str, str] = msgspec.field(default_factory=dict)
    command: dict[str, Any] = msgspec.field(default_factory=dict)
    runs: str = "here"  # or "elsewhere": we start nothing, somebody else's program speaks for it
    limits: dict[str, float] = msgspec.field(default_factory=dict)
    also: list[str] = msgspec.field(
        default_factory=list
    )  # models to play on where its own key is absent


class Gate(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One gate of a phase file. `does`: ask, count, land, or the kinds of later phases; `step` is the folder of its ask."""

    does: str = "ask"
    kind: str = ""
    step: str = ""
    template: str = ""
    timebox: str = "5m"
    name: str = ""
    phase: str = ""
    options: dict[str, Any] = msgspec.field(default_factory=dict)


class Phase(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`phases/<name>.yaml`: its gates in the order in which Make closes them."""

    catherd: int = 1
    gates: dict[str, Gate]
    after: str = ""  # the phase that comes before this one
    quorum: str = "more than half"
    mentions: int = 1  # answers that an agent gives to mentions, per step
    human_mentions: int = 20  # … and to yours, per game
    idle_minutes: float = 30
    grace: str = "30s"
    name: str = ""
    options: dict[str, Any] = msgspec.field(default_factory=dict)


def seconds(text: str, where: str) -> float:
    """`300`, `5m`, `30s`, `1h`, `0.5s` in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|)", text.strip())
    if not found:
        raise CatherdError(
            f"'{text}' is no duration", where=where, fix="write it like 30s, 5m or 1h"
        )
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def agents(root: str, told: list[str] | None = None) -> dict[str, Agent]:
    """Every `agents/*.yaml` by id, sorted. Raises CatherdError naming the file and the fix for the first that is wrong.

    Keys that are not known go to `told`, a line each: they are kept and not used.
    """
    found, wrong = readable_agents(root, told)
    if wrong:
        raise wrong[0]
    return found


def secret_names(root: str) -> frozenset[str]:
    """The environment variables that agents/*.yaml call a key, whatever their names look like."""
    told: set[Any] = set()
    for one in readable_agents(root)[0].values():
        keys = one.command.get("keys")
        told |= {one.key, *(keys if isinstance(keys, list) else [])}
    return frozenset(name for name in told if isinstance(name, str) and name)


def readable_agents(
    root: str, told: list[str] | None = None
) -> tuple[dict[str, Agent], list[CatherdError]]:
    """The agents whose files are right, and what is wrong with the others: a running game goes on without those."""
    found: dict[str, Agent] = {}
    wrong: list[CatherdError] = []
    names: dict[str, str] = {}
    for file in _files(root, "agents"):
        if not file.endswith(_ENDINGS) or IGNORED.match(file):
            continue
        try:
            one = agent(root, f"agents/{file}", told)
            _alone(one, f"agents/{file}", found, names)
        except CatherdError as error:
            wrong.append(error)
            continue
        found[one.id], names[one.name.casefold()] = one, f"agents/{file}"
    if not found and not wrong:
        wrong.append(
            CatherdError("no agent", where="agents/", fix=".venv/bin/catherd init .")
        )
    return found, wrong


def _alone(
    one: Agent, path: str, found: dict[str, Agent], names: dict[str, str]
) -> None:
    if one.id in found:
        raise CatherdError(
            f"a second file for the agent '{one.id}'",
            where=path,
            fix=f"rm '{path}', or rename it",
        )
    if one.name.casefold() in names:
        raise CatherdError(
            f"the name '{one.name}' is taken by {names[one.name.casefold()]}",
            where=path,
            fix="give one of the two another `name:`",
        )


def agent(root: str, path: str, told: list[str] | None = None) -> Agent:
    """The agent in `path` (relative to `root`).

    Its id is checked against what may be a directory and a branch name.
    """
    name = _agent_name(path)
    try:
        document = yaml_read.read_yaml(os.path.join(root, path), path)
    except FileNotFoundError:
        there = [file for file in _files(root, "agents") if file.endswith(_ENDINGS)]
        raise CatherdError(
            "no such agent", where=path, fix=f"there are: {', '.join(there)}"
        ) from None

    _write_out(document.data)
    one = yaml_read.typed(document, Agent)
    if one.runs not in {"here", "elsewhere"}:
        raise CatherdError(
            f"runs is here or elsewhere, not '{one.runs}'",
            where=document.where("runs"),
            fix="runs: here",
        )

    _tell(told, document, Agent, set(document.data))
    one.id = name
    one.name = one.name or name.capitalize()
    return one


def _agent_name(path: str) -> str:
    """The id that an agent's file gives it."""
    folder, _, file = path.rpartition("/")
    name = file.rpartition(".")[0]
    if folder != "agents":
        raise CatherdError(
            "an agent's file stands in agents/", where=path, fix=f"mv '{path}' agents/"
        )
    if NAME.match(name) and name not in RESERVED:
        return name

    why = "must be lower-case letters, digits and dashes, beginning with a letter"
    if name in RESERVED:
        why = "is reserved"
    raise CatherdError(
        f"an agent's name {why}, not '{name}'",
        where=path,
        fix=f"mv '{path}' agents/another-name.yaml",
    )


def _write_out(data: Any) -> None:
    """Turn the values of `options` and `rehearsal` into text, as the model's package takes them."""
    for key in ("options", "rehearsal"):
        values = data.get(key) if isinstance(data, dict) else None
        if isinstance(values, dict):
            data[key] = {name: _plain(value) for name, value in values.items()}


def _files(root: str, folder: str) -> list[str]:
    """The names in a folder of the repository, sorted; none where it is not there."""
    path = os.path.join(root, folder)
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def _tell(
    told: list[str] | None,
    document: yaml_read.Document,
    kind: type[msgspec.Struct],
    keys: set[str],
    *under: str,
) -> None:
    """A misspelt key would be ignored without a word otherwise."""
    known = [field for field in kind.__struct_fields__ if field not in {"id", "phase"}]
    if told is None:
        return
    for key in sorted(keys - {"catherd", *known}):
        what = f"the key '{key}' is not known here; it is kept and not used"
        error = CatherdError(
            what, where=document.where(*under, key), fix=f"one of: {', '.join(known)}"
        )
        told.append(str(error))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        ",".join(str(item) for item in value) if isinstance(value, list) else str(value)
    )


def phases_stamp(root: str) -> list[tuple[str, int]]:
    """Name and mtime of every phase file, what changes when one is edited; none where there is no such folder."""
    try:
        with os.scandir(os.path.join(root, "phases")) as found:
            return sorted(
                (one.name, one.stat().st_mtime_ns)
                for one in found
                if one.name.endswith(".yaml")
            )
    except OSError:
        return []


def phases(root: str, told: list[str] | None = None) -> dict[str, Phase]:
    """Every `phases/*.yaml` by name; keys that are not known go to `told`, as in `agents`."""
    found = {}
    for file in _files(root, "phases"):
        if file.endswith(".yaml") and not file.startswith("."):
            phase = _phase(root, file, told)
            found[phase.name] = phase
    if not found:
        raise CatherdError(
            "no phase file", where="phases/", fix=".venv/bin/catherd init ."
        )
    return _ordered(found)


def _phase(root: str, file: str, told: list[str] | None) -> Phase:
    path = f"phases/{file}"
    document = yaml_read.read_yaml(os.path.join(root, path), path)
    phase = yaml_read.typed(document, Phase)
    phase.name = file.removesuffix(".yaml")
    _tell(told, document, Phase, set(document.data))

    for name, gate in phase.gates.items():
        gate.name, gate.phase = name, phase.name
        _tell(told, document, Gate, set(document.data["gates"][name]), "gates", name)
        seconds(gate.timebox, document.where("gates", name, "timebox"))
        _check_template(root, phase, gate, document)

    seconds(phase.grace, document.where("grace"))
    return phase


def _check_template(
    root: str, phase: Phase, gate: Gate, document: yaml_read.Document
) -> None:
    path = os.path.join(root, "templates", gate.template)
    if not gate.template or os.path.isfile(path):
        return
    used = {other.template for other in phase.gates.values()}
    raise CatherdError(
        f"the template templates/{gate.template} is not there",
        where=document.where("gates", gate.name, "template"),
        fix=_meant(root, gate.template, used),
    )


def _ordered(found: dict[str, Phase]) -> dict[str, Phase]:
    """The phases, each behind the one it comes after."""
    depth: dict[str, int] = {}
    for name in found:
        at, steps = name, 0
        while (before := found[at].after) and steps <= len(found):
            if before not in found:
                raise CatherdError(
                    f"no phase '{before}'",
                    where=f"phases/{at}.yaml",
                    fix=f"after: one of {', '.join(found)}",
                )
            at, steps = before, steps + 1
        depth[name] = steps
    return dict(sorted(found.items(), key=lambda item: (depth[item[0]], item[0])))


def _meant(root: str, template: str, used: set[str]) -> str:
    """The fix for a template that is not there: the one that is spelt nearly so and that no gate uses, else where to look."""
    folder = os.path.dirname(template)
    try:
        there = [
            os.path.join(folder, name)
            for name in sorted(os.listdir(os.path.join(root, "templates", folder)))
        ]
    except OSError:
        return "git checkout -- templates/"
    stems = {
        os.path.basename(path).partition(".")[0]: path
        for path in there
        if path not in used
    }
    near = difflib.get_close_matches(
        os.path.basename(template).partition(".")[0], stems, 1, 0.8
    )
    return (
        f"template: {stems[near[0]]}"
        if near
        else f"ls {shlex.quote(os.path.join('templates', folder))}"
    )


def gate_of(root: str, name: str) -> tuple[Phase, Gate]:
    """The gate called `name`, with its phase."""
    known = []
    for phase in phases(root).values():
        if name in phase.gates:
            return phase, phase.gates[name]
        known += list(phase.gates)
    raise CatherdError(
        f"no gate '{name}'", where="phases/", fix=f"one of: {', '.join(known)}"
    )

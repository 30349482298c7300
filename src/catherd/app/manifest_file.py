"""`app/app.yaml`: how the app is started and which journeys prove which story.

The format is docs/handbook/app.md. `load_manifest` reads and types the file, and raises
CatherdError with file:line:col and a fix. The rules that a well-formed file can still
break are in `manifest_rules`.
"""

import hashlib
import os
from typing import Any, Literal

import msgspec

from catherd.bus import yaml_read
from catherd.core.errors import CatherdError

Scalar = str | int | float | bool
NAME = "app/app.yaml"


class _Strict(
    msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    pass


class Http(_Strict):
    """One request. `json`, `form`, `body`: at most one."""

    path: str
    method: str = "GET"
    json: Any = msgspec.UNSET
    form: dict[str, Scalar] | None = None
    body: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Cli(_Strict):
    """One process: `start.run` (or `run`) and `args`."""

    args: list[Scalar] = msgspec.field(default_factory=list)
    stdin: str = ""
    run: list[str] = msgspec.field(default_factory=list)


class Path(_Strict):
    """A file below the app's data directory."""

    path: str


class Target(_Strict):
    """What an action is about, by role and name, text, label or placeholder."""

    role: str = ""
    name: str = ""
    text: str = ""
    label: str = ""
    placeholder: str = ""
    with_: Scalar = msgspec.field(name="with", default="")
    option: str = ""


class Action(_Strict):
    """One thing done in the browser. Exactly one field is set."""

    goto: str | None = None
    fill: Target | None = None
    select: Target | None = None
    check: Target | None = None
    uncheck: Target | None = None
    click: Target | None = None
    press: str | None = None
    see: Target | None = None
    gone: Target | None = None
    reload: Literal[True] | None = None
    changed: Literal[True] | None = None
    no_console_errors: Literal[True] | None = None


class Expect(_Strict):
    """What must be seen. Which fields a step may use depends on its kind."""

    status: int | list[int] | None = None
    exit: int | list[int] | None = None
    json: Any = msgspec.UNSET
    json_at: dict[str, Any] = msgspec.field(default_factory=dict)
    json_in: str = ""
    json_contains: Any = msgspec.UNSET
    json_lacks: Any = msgspec.UNSET
    body_contains: str | list[str] = msgspec.field(default_factory=list)
    body_lacks: str | list[str] = msgspec.field(default_factory=list)
    stdout_contains: str | list[str] = msgspec.field(default_factory=list)
    stdout_lacks: str | list[str] = msgspec.field(default_factory=list)
    stdout_regex: str = ""
    stderr_contains: str | list[str] = msgspec.field(default_factory=list)
    stderr_lacks: str | list[str] = msgspec.field(default_factory=list)
    contains: str | list[str] = msgspec.field(default_factory=list)
    lacks: str | list[str] = msgspec.field(default_factory=list)
    exists: bool | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Step(_Strict):
    """One step. Exactly one of the first five is set."""

    http: Http | None = None
    cli: Cli | None = None
    file: Path | None = None
    browser: list[Action] | None = None
    restart: Literal["term", "kill"] | None = None
    expect: Expect | None = None
    save: dict[str, str] = msgspec.field(default_factory=dict)


class Journey(_Strict):
    """What a person does, and what they see, that shows a story."""

    id: str
    story: str
    title: str
    steps: list[Step]
    by: str = ""
    failure: bool = False


class Start(_Strict):
    """The program: argv, environment, directory below app/."""

    run: list[str]
    env: dict[str, Scalar] = msgspec.field(default_factory=dict)
    cwd: str = "."


class Ready(_Strict):
    """When a server counts as started."""

    http: str = "/"
    status: int = 200
    within_s: float = 10.0


class Stop(_Strict):
    """How a server is asked to end, and how long it may take."""

    signal: Literal["TERM", "INT"] = "TERM"
    within_s: float = 5.0


class Room(_Strict):
    """What a box of the app may use; `seconds` is for a whole journey."""

    memory_mb: int = 512
    seconds: float = 60.0
    processes: int = 64


class App(_Strict):
    """The file."""

    name: str
    kind: Literal["web", "cli", "library"]
    summary: str
    try_it: str
    start: Start
    persistence: bool
    journeys: list[Journey]
    catherd: int
    requires: dict[str, str] = msgspec.field(default_factory=dict)
    install: list[list[str]] = msgspec.field(default_factory=list)
    ready: Ready = msgspec.field(default_factory=Ready)
    stop: Stop = msgspec.field(default_factory=Stop)
    limits: Room = msgspec.field(default_factory=Room)
    known_gaps: list[str] = msgspec.field(default_factory=list)


class Manifest(msgspec.Struct, frozen=True):
    """A loaded file: the app, where its parts stand, the sha256 of its bytes."""

    app: App
    document: Any
    sha256: str


def shown_scalar(value: Scalar) -> str:
    """A scalar as a command line or a form holds it: `true`, not `True`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def load_manifest(tree: str) -> Manifest:
    """The manifest of the app in `tree`.

    Raises CatherdError when it is missing, is not YAML or has a wrong shape.
    """
    path = os.path.join(tree, NAME)
    try:
        text = yaml_read.text_of(path, NAME)
    except FileNotFoundError:
        raise CatherdError(
            "there is no such file",
            where=NAME,
            fix="write it as docs/handbook/app.md shows",
        ) from None

    return parse_manifest(text)


def _has_nul(data: object) -> bool:
    """Whether any text in the data, also a key, holds a NUL character."""
    if isinstance(data, dict):
        return any(map(_has_nul, data)) or any(map(_has_nul, data.values()))
    if isinstance(data, list):
        return any(map(_has_nul, data))
    return isinstance(data, str) and "\0" in data


def parse_manifest(text: str, name: str = NAME) -> Manifest:
    """The manifest in `text`; `name` is what errors call it."""
    document = yaml_read.loads(text, name)
    if _has_nul(document.data):
        raise CatherdError(
            "holds a NUL character, which no program can be given",
            where=name,
            fix="take it out",
        )

    try:
        app = yaml_read.typed(document, App)
    except CatherdError as error:
        if "unknown field" in error.what:
            error.fix = (
                "delete the key, or see docs/handbook/app.md for the one that you mean"
            )

        raise

    for journey in app.journeys:
        for step in journey.steps:
            if step.cli is not None:
                step.cli.args = [shown_scalar(word) for word in step.cli.args]

    return Manifest(
        app=app, document=document, sha256=hashlib.sha256(text.encode()).hexdigest()
    )

"""Results kept between runs, so that a file is looked at again only when it changed.

A result's name is the sha256 of the file's kind, path and content and of the hidden
tools. The name of the store holds the sha256 of the program that looked.

A store is one JSON file, replaced in one step. What another process kept meanwhile is
read again before that. When two processes write in the same moment the last one wins,
which costs a look and no more. What could not be looked at (`unknown`) is never kept. A
damaged file counts as an empty one.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import re
import tempfile
from collections.abc import Iterator

import msgspec

from catherd.bus.crashpoints import effect
from catherd.design.checks.finding import Facts

LIMIT = 2000  # entries
TOOLS = (
    "mermaidx",
    "resvg_py",
    "gherkin-official",
    "openapi-spec-validator",
    "jsonschema",
    "markdown-it-py",
)


@functools.cache
def version() -> str:
    """The sha256 of the program that looks: its modules and the versions of its tools."""
    state = hashlib.sha256()
    for name in _program():
        with open(name, "rb") as file:
            state.update(hashlib.sha256(file.read()).digest())
    for tool in TOOLS:
        state.update(f"{tool} {_tool_version(tool)}\n".encode())
    return state.hexdigest()


def _program() -> Iterator[str]:
    """The files that a finding can depend on: the checks and what they lean on."""
    checks = os.path.dirname(os.path.abspath(__file__))
    design = os.path.dirname(checks)
    engine = os.path.dirname(design)

    yield from _files_below(checks)
    yield from _files_below(os.path.join(design, "wireframe"))
    yield os.path.join(engine, "bus", "yaml_read.py")


def _files_below(top: str) -> Iterator[str]:
    """The modules and schemas below a folder, always in the same order."""
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            if name.endswith((".py", ".json")):
                yield os.path.join(folder, name)


def _tool_version(tool: str) -> str:
    try:
        return importlib.metadata.version(tool)
    except importlib.metadata.PackageNotFoundError:
        return "none"


class Store:
    """The kept results called `name` in `folder`; None: nothing is kept."""

    def __init__(self, folder: str | None, name: str = "checks") -> None:
        self._folder, self._name = folder, name
        self._known: dict[str, Facts] | None = None
        self._new: dict[str, Facts] = {}

    def _all(self) -> dict[str, Facts]:
        """Everything kept, read when it is first asked for."""
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> dict[str, Facts]:
        if self._folder is None:
            return {}
        try:
            with open(os.path.join(self._folder, self._file()), "rb") as file:
                return msgspec.json.decode(file.read(), type=dict[str, Facts])
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return {}

    def _file(self) -> str:
        return f"{self._name}-{version()[:16]}.json"

    def key(self, kind: str, path: str, text: str) -> str:
        """The name of a result."""
        without = os.environ.get("CATHERD_WITHOUT", "")
        return hashlib.sha256(f"{kind}\0{path}\0{without}\0{text}".encode()).hexdigest()

    def get(self, key: str) -> Facts | None:
        """The result under `key`."""
        return self._all().get(key)

    def put(self, key: str, facts: Facts) -> None:
        """Keep a result, unless something could not be looked at."""
        if self._folder is None:
            return
        if all(finding.severity != "unknown" for finding in facts.findings):
            self._all()[key] = self._new[key] = facts

    def save(self) -> None:
        """Write what is new; the oldest entries go first when there are too many."""
        if not self._new or self._folder is None:
            return
        entries = self._read() | self._new
        newest = dict(list(entries.items())[-LIMIT:])

        os.makedirs(self._folder, exist_ok=True)
        fd, scratch = tempfile.mkstemp(dir=self._folder, prefix=".checks.")
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.encode(newest))

        target = os.path.join(self._folder, self._file())
        with effect("cache", self._file()):
            os.replace(scratch, target)

        self._remove_old(self._folder)
        self._new = {}

    def _remove_old(self, folder: str) -> None:
        """Remove the stores of other versions of this program; nobody asks for them."""
        for name in os.listdir(folder):
            stored = re.fullmatch(rf"{self._name}-[0-9a-f]{{16}}\.json", name)
            if stored and name != self._file():
                with effect("remove", name), contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(folder, name))

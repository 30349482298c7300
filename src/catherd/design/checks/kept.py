"""Results kept between runs, by the sha256 of a file's path, kind and content and of the program that looked at it.

One JSON file for all, replaced in one step; what another process kept meanwhile is read again before. Of two that write in
the same moment the last one wins, which costs a look and no more. What could not be looked at (`unknown`) is never kept. A
damaged file is an empty one.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import re
import tempfile

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
    """The sha256 of this program: the modules beside it, those it leans on, and the versions of its tools."""
    state = hashlib.sha256()
    here = os.path.dirname(os.path.abspath(__file__))
    package = os.path.dirname(os.path.dirname(here))
    wireframe = os.path.join(package, "design", "wireframe")
    names = [
        os.path.join(here, name)
        for name in sorted(os.listdir(here))
        if name.endswith(".py")
    ]
    names += [
        os.path.join(here, "schemas", name)
        for name in sorted(os.listdir(os.path.join(here, "schemas")))
    ]
    names += [
        os.path.join(wireframe, name)
        for name in sorted(os.listdir(wireframe))
        if name.endswith(".py")
    ]
    names.append(os.path.join(package, "bus", "yaml_read.py"))
    for name in names:
        with open(name, "rb") as file:
            state.update(hashlib.sha256(file.read()).digest())
    for tool in TOOLS:
        try:
            state.update(f"{tool} {importlib.metadata.version(tool)}\n".encode())
        except importlib.metadata.PackageNotFoundError:
            state.update(f"{tool} none\n".encode())
    return state.hexdigest()


class Store:
    """The kept results called `name` in `folder`; None: nothing is kept."""

    def __init__(self, folder: str | None, name: str = "checks") -> None:
        self._folder, self._name, self._changed = folder, name, False
        self._known: dict[str, Facts] | None = None
        self._new: dict[str, Facts] = {}

    def _all(self) -> dict[str, Facts]:
        """Everything kept, read when it is first asked for."""
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> dict[str, Facts]:
        if self._folder is not None:
            try:
                with open(self._path(), "rb") as file:
                    return msgspec.json.decode(file.read(), type=dict[str, Facts])
            except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
                pass
        return {}

    def _path(self) -> str:
        return os.path.join(self._folder or "", f"{self._name}-{version()[:16]}.json")

    def key(self, kind: str, path: str, text: str) -> str:
        """The name of a result."""
        without = os.environ.get("CATHERD_WITHOUT", "")
        return hashlib.sha256(f"{kind}\0{path}\0{without}\0{text}".encode()).hexdigest()

    def get(self, key: str) -> Facts | None:
        """The result under `key`."""
        return self._all().get(key)

    def put(self, key: str, facts: Facts) -> None:
        """Keep a result, unless something could not be looked at."""
        if self._folder is not None and not any(
            f.severity == "unknown" for f in facts.findings
        ):
            self._all()[key] = self._new[key] = facts
            self._changed = True

    def save(self) -> None:
        """Write what changed; the oldest entries go first when there are too many."""
        if not self._changed or self._folder is None:
            return
        rows = dict(list((self._read() | self._new).items())[-LIMIT:])
        os.makedirs(self._folder, exist_ok=True)
        fd, scratch = tempfile.mkstemp(dir=self._folder, prefix=".checks.")
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.encode(rows))
        with effect("cache", os.path.basename(self._path())):
            os.replace(scratch, self._path())
        for name in os.listdir(
            self._folder
        ):  # of other versions of this program: nobody asks for them again
            if re.fullmatch(
                rf"{self._name}-[0-9a-f]{{16}}\.json", name
            ) and name != os.path.basename(self._path()):
                with effect("remove", name), contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._folder, name))
        self._changed = False

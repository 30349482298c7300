"""What a rule between files is given, and the artifacts that stand at one path."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from catherd.design.checks.finding import Facts, Finding, Ref

INDEX = "docs/index.md"
SCREENS = "docs/ux/screens.yaml"
ROADMAP = "docs/roadmap.yaml"
API = "docs/spec/openapi.yaml"
CLI = "docs/spec/cli.md"
SQL = "docs/spec/schema.sql"
ERD = "docs/spec/data-model.mmd"


class Files(NamedTuple):
    """The facts of all files, by path, and what is being asked.

    `complete` says that the plan is done, so that nothing may be missing. `exists` says
    whether a path is there at all, for a file that no check reads.
    """

    by_path: dict[str, Facts]
    complete: bool
    exists: Callable[[str], bool]

    def kind(self, kind: str) -> list[Facts]:
        """The artifacts of one kind, by id."""
        found = [facts for facts in self.by_path.values() if facts.kind == kind]
        return sorted(found, key=lambda facts: facts.ident)

    def idents(self, kind: str) -> dict[str, Facts]:
        """The artifacts of one kind, under their ids."""
        return {facts.ident: facts for facts in self.kind(kind)}


def finding(
    facts: Facts,
    code: str,
    text: str,
    at: Ref | None = None,
    *,
    severity: str = "error",
    about: Iterable[str] = (),
) -> Finding:
    """A finding about a file, at a place of it or about the whole."""
    return Finding(
        path=facts.path,
        line=at.line if at else 0,
        col=at.col if at else 0,
        code=code,
        severity=severity,
        text=text,
        about=tuple(about),
    )

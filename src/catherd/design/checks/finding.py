"""What a check says: one finding per place, printed like a compiler's.

`severity` is error (to be mended before a merge), warning (worth a look) or unknown (a
tool is missing, so nothing was proved). Unknown never passes. `about` lists further
files that take part, so that a finding can be shown to the author of each.
"""

import os
import shlex
import sys
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from catherd.git.pr_rules import shown_path


class Finding(
    msgspec.Struct, frozen=True, order=True, kw_only=True, omit_defaults=True
):
    """One complaint.

    `path` is relative to the root; `line` and `col` count from 1. Line 0 means the file
    as a whole.
    """

    path: str
    line: int = 0
    col: int = 0
    code: str
    severity: str = "error"
    text: str
    about: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{shown_path(self.path)}:{self.line or 1}:{self.col or 1}"
        return f"{place}: {self.code} {self.severity}: {shown_path(self.text)}"


class Ref(msgspec.Struct, frozen=True):
    """A name that one artifact uses for another, and where it stands."""

    name: str
    line: int = 0
    col: int = 0


class Facts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All that the rules between files need to know of one file.

    It depends on the file's path and content alone. `ident` is the artifact's id
    (US-004). `refs` are the names that it uses, by role; under "defines" stand those
    that it gives. `links` and `anchors` are its Markdown links and heading slugs. `at`
    holds (line, col) of named parts. `data` is whatever else its kind needs.
    """

    path: str
    kind: str = ""
    ident: str = ""
    findings: list[Finding] = msgspec.field(default_factory=list)
    refs: dict[str, list[Ref]] = msgspec.field(default_factory=dict)
    links: list[Ref] = msgspec.field(default_factory=list)
    anchors: list[str] = msgspec.field(default_factory=list)
    at: dict[str, list[int]] = msgspec.field(default_factory=dict)
    data: dict[str, Any] = msgspec.field(default_factory=dict)

    def say(
        self,
        code: str,
        text: str,
        line: int = 0,
        col: int = 0,
        *,
        severity: str = "error",
    ) -> None:
        """Add a finding about this file."""
        self.findings.append(
            Finding(
                path=self.path,
                line=line,
                col=col,
                code=code,
                severity=severity,
                text=" ".join(text.split()),
            )
        )

    def cannot_look(self, why: str, line: int = 1, col: int = 1) -> None:
        """Add the finding that a tool is missing, so that nothing was proved."""
        self.say("DOC090", why, line, col, severity="unknown")

    def defines(self, name: str, line: int, col: int = 1) -> None:
        """Note a name that this file gives to something."""
        self.refs.setdefault("defines", []).append(Ref(name, line, col))

    def names(self, role: str) -> list[str]:
        """The names under `role`, in their order."""
        return [ref.name for ref in self.refs.get(role, [])]

    def part(self, name: str) -> Ref:
        """The place of a named part; line 0 when it has none."""
        line, col = self.at.get(name, (0, 0))
        return Ref(name, line, col)

    @property
    def broken(self) -> bool:
        """Whether an error was found."""
        return any(finding.severity == "error" for finding in self.findings)


def program_words() -> str:
    """The words that call catherd, to be pasted into a shell.

    They are what a person typed, or the workspace's own program when `make` or another
    program called.
    """
    called = sys.argv[0]
    if os.path.basename(called) == "catherd":
        return shlex.quote(called)
    return ".venv/bin/catherd"


def passes(findings: Iterable[Finding]) -> bool:
    """Whether nothing speaks against a merge: no error, and nothing unknown."""
    return all(finding.severity == "warning" for finding in findings)


def to_json(findings: Iterable[Finding]) -> str:
    """A JSON array with one object for each finding; the keys are those of Finding."""
    rows = [_row(finding) for finding in findings]
    return msgspec.json.format(msgspec.json.encode(rows), indent=1).decode()


def _row(finding: Finding) -> dict[str, Any]:
    """A finding with all its keys; a name that is no UTF-8 with escapes."""
    return {
        "path": finding.path.encode(errors="backslashreplace").decode(),
        "line": finding.line,
        "col": finding.col,
        "code": finding.code,
        "severity": finding.severity,
        "text": finding.text,
        "about": list(finding.about),
    }


def within(findings: Iterable[Finding], only: Collection[str] | None) -> list[Finding]:
    """Those that concern one of `only`: files, or folders with all below them.

    None means all.
    """
    if only is None:
        return list(findings)
    wanted = [path.rstrip("/") for path in only]
    return [
        finding
        for finding in findings
        if any(_below(path, wanted) for path in (finding.path, *finding.about))
    ]


def _below(path: str, wanted: list[str]) -> bool:
    """Whether `path` is one of `wanted` or stands below one; "" and "." hold all."""
    for want in wanted:
        if want in {"", ".", path} or path.startswith(f"{want}/"):
            return True
    return False

"""What a check says: one finding per place, printed like a compiler's.

`severity` is error (must be mended before a merge), warning (worth a look) or unknown (a tool is missing, so nothing was
proved): unknown never passes. `about` lists further files that take part, so that a finding can be shown to each author.
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
    """One complaint: `path` relative to the root, `line` and `col` from 1 (0: the file as a whole)."""

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
    """All that the rules between files need to know of one file; a function of its path and content alone.

    `ident` is the artifact's id (US-004), `refs` the names it uses by role, `links` and `anchors` its Markdown links and
    heading slugs, `at` lines of named parts, `data` whatever else its kind needs.
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

    def names(self, role: str) -> list[str]:
        """The names under `role`, in their order."""
        return [ref.name for ref in self.refs.get(role, [])]


def program_words() -> str:
    """How catherd was called, to be pasted; in a workspace, and where something else called it, as `make` does."""
    called = sys.argv[0]
    return (
        shlex.quote(called)
        if os.path.basename(called) == "catherd"
        else ".venv/bin/catherd"
    )


def passes(findings: Iterable[Finding]) -> bool:
    """Whether nothing speaks against a merge: no error, and nothing that could not be looked at."""
    return all(finding.severity == "warning" for finding in findings)


def to_json(findings: Iterable[Finding]) -> str:
    """A JSON array with one object per finding: path, line, col, code, severity, text, about."""
    rows = [
        {"path": f.path.encode(errors="backslashreplace").decode(), "line": f.line, "col": f.col, "code": f.code, "severity": f.severity, "text": f.text,
         "about": list(f.about)}
        for f in findings
    ]  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(rows), indent=1).decode()


def within(findings: Iterable[Finding], only: Collection[str] | None) -> list[Finding]:
    """Those that concern one of `only` (files, or directories with all below them); None: all."""
    if only is None:
        return list(findings)
    wanted = [path.rstrip("/") for path in only]

    def meant(path: str) -> bool:
        return any(
            path == want or path.startswith(f"{want}/") or want in {"", "."}
            for want in wanted
        )

    return [f for f in findings if meant(f.path) or any(map(meant, f.about))]

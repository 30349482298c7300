"""The lines at the end of a merge commit that prove who reviewed it and what was tested. Pure.

`Task: T-012`, `PR: PR-0007`, `Reviewed-by: gemini <gemini@agents.invalid> (sha12)`, `CI: tree:<oid> <check>=green`,
`Overridden-by: human <human@agents.invalid> (sha12)`. Only catherd writes them: they are taken out of what agents write.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from catherd.core import hidden

OURS = "Task|PR|Reviewed-by|Overridden-by|CI|Model|Co-authored-by|Signed-off-by|Acked-by|Tested-by|Approved-by"
_FORGED = re.compile(rf"^[ \t>]*({OURS})[ \t]*:.*$", re.IGNORECASE | re.MULTILINE)
_TRAILER = re.compile(r"^([A-Za-z-]+): (.*)$")
_BY = re.compile(r"^([a-z][a-z0-9-]*) <\1@agents\.invalid> \(([0-9a-f]{12})\)$")
_CI = re.compile(r"^tree:([0-9a-f]{40,64}) (\S+)=green$")


class Proof(NamedTuple):
    """What the trailers of one merge say. Reviews and overrides are (who, first 12 of the head), checks (tree, name)."""

    task: str
    pr: str
    reviews: tuple[tuple[str, str], ...]
    overrides: tuple[tuple[str, str], ...]
    checks: tuple[tuple[str, str], ...]


def trailer_text(text: str) -> str:
    """An agent's text without hidden characters and without lines that look like our trailers."""
    plain = hidden.removed(text.replace("\r", "\n"))
    return re.sub(r"\n{3,}", "\n\n", _FORGED.sub("", plain)).strip()


def subject(text: str) -> str:
    """One line of at most 100 characters from an agent's text."""
    return " ".join(trailer_text(text).split())[:100] or "no title"


def message(
    topic: str,
    pr: str,
    title: str,
    body: str,
    head: str,
    tree: str,
    reviewers: Sequence[str],
    checks: Sequence[str],
    overrides: Sequence[str] = (),
) -> str:
    """The message of a merge commit: `Merge claude/T-007: title (PR-0007)`, the body, the trailers."""
    lines = [f"Task: {topic.partition('/')[2]}", f"PR: {pr}"]
    lines += [
        f"Reviewed-by: {who} <{who}@agents.invalid> ({head[:12]})" for who in reviewers
    ]
    lines += [
        f"Overridden-by: {who} <{who}@agents.invalid> ({head[:12]})"
        for who in overrides
    ]
    lines += [f"CI: tree:{tree} {check}=green" for check in checks]
    parts = [
        f"Merge {topic}: {subject(title)} ({pr})",
        trailer_text(body),
        "\n".join(lines),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def parse_trailers(text: str) -> Proof:
    """What the last paragraph of a commit message proves; lines that are not exactly ours prove nothing."""
    last = text.strip().rpartition("\n\n")[2]
    found = [m.groups() for line in last.splitlines() if (m := _TRAILER.match(line))]

    def each(key: str, shape: re.Pattern[str]) -> tuple[tuple[str, str], ...]:
        matches = [shape.match(value) for k, value in found if k == key]
        return tuple((m[1], m[2]) for m in matches if m)

    one = {k: v for k, v in found if k in ("Task", "PR")}
    return Proof(
        one.get("Task", ""),
        one.get("PR", ""),
        each("Reviewed-by", _BY),
        each("Overridden-by", _BY),
        each("CI", _CI),
    )

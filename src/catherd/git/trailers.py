"""The lines at the end of a merge commit: they prove the reviews and the tests. Pure.

`Task: T-012`, `PR: PR-0007`, `Reviewed-by: gemini <gemini@agents.invalid> (sha12)`,
`CI: tree:<oid> <check>=green`, `Overridden-by: human <human@agents.invalid> (sha12)`.
Only catherd writes them: such lines are taken out of what agents write.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from catherd.core import hidden

OURS = (
    "Task|PR|Reviewed-by|Overridden-by|CI|Model|Co-authored-by|Signed-off-by|Acked-by"
    "|Tested-by|Approved-by"
)
_FORGED = re.compile(rf"^[ \t>]*({OURS})[ \t]*:.*$", re.IGNORECASE | re.MULTILINE)
_TRAILER = re.compile(r"^([A-Za-z-]+): (.*)$")
_BY = re.compile(r"^([a-z][a-z0-9-]*) <\1@agents\.invalid> \(([0-9a-f]{12})\)$")
_CI = re.compile(r"^tree:([0-9a-f]{40,64}) (\S+)=green$")


class MergeCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A pull request as it was tested: what may be merged, exactly so.

    `pr`: its name (`PR-0007`). `topic`: its branch (`claude/T-007`), at commit `head`.
    `tree`: the tree that git makes of main and `head`.
    """

    pr: str
    topic: str
    head: str
    tree: str


class Proof(NamedTuple):
    """What the trailers of one merge say.

    Reviews and overrides are (who, first 12 of the head), checks are (tree, name).
    """

    task: str
    pr: str
    reviews: tuple[tuple[str, str], ...]
    overrides: tuple[tuple[str, str], ...]
    checks: tuple[tuple[str, str], ...]


def trailer_text(text: str) -> str:
    """An agent's text without hidden characters and lines that look like ours."""
    plain = hidden.removed(text.replace("\r", "\n"))
    return re.sub(r"\n{3,}", "\n\n", _FORGED.sub("", plain)).strip()


def subject(text: str) -> str:
    """One line of at most 100 characters from an agent's text."""
    return " ".join(trailer_text(text).split())[:100] or "no title"


def message(
    candidate: MergeCandidate,
    title: str,
    body: str,
    reviewers: Sequence[str],
    checks: Sequence[str],
    overrides: Sequence[str] = (),
) -> str:
    """The message of a merge commit.

    `Merge claude/T-007: title (PR-0007)`, the body, the trailers.
    """
    task = candidate.topic.partition("/")[2]
    trailers = [
        f"Task: {task}",
        f"PR: {candidate.pr}",
        *_signed("Reviewed-by", reviewers, candidate.head),
        *_signed("Overridden-by", overrides, candidate.head),
        *(f"CI: tree:{candidate.tree} {check}=green" for check in checks),
    ]
    parts = [
        f"Merge {candidate.topic}: {subject(title)} ({candidate.pr})",
        trailer_text(body),
        "\n".join(trailers),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _signed(key: str, people: Sequence[str], head: str) -> list[str]:
    return [f"{key}: {who} <{who}@agents.invalid> ({head[:12]})" for who in people]


def parse_trailers(text: str) -> Proof:
    """What the last paragraph of a commit message proves.

    Lines that are not exactly of our making prove nothing.
    """
    last = text.strip().rpartition("\n\n")[2]
    values: dict[str, list[str]] = defaultdict(list)
    for line in last.splitlines():
        found = _TRAILER.match(line)
        if found:
            key, value = found.groups()
            values[key].append(value)

    tasks = ["", *values["Task"]]
    pulls = ["", *values["PR"]]
    return Proof(
        task=tasks[-1],
        pr=pulls[-1],
        reviews=_pairs(values["Reviewed-by"], _BY),
        overrides=_pairs(values["Overridden-by"], _BY),
        checks=_pairs(values["CI"], _CI),
    )


def _pairs(values: list[str], shape: re.Pattern[str]) -> tuple[tuple[str, str], ...]:
    matches = [shape.match(value) for value in values]
    return tuple((match[1], match[2]) for match in matches if match)

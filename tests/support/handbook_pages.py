"""What docs/handbook/bus.md says of paths and kinds, as patterns."""

import os
import re
from pathlib import Path

import msgspec

from catherd.app.evidence import Evidence
from catherd.core.messages import (
    Answer,
    Argument,
    Ask,
    Ballot,
    Call,
    Chat,
    Game,
    Lock,
    Pitch,
    Receipt,
    Tiebreak,
    Trouble,
    Veto,
)
from catherd.core.tasks import (
    Assignment,
    Bid,
    Check,
    Head,
    Merged,
    Needs,
    Pr,
    Review,
    Task,
)
from catherd.gates.delivery import TrialWords
from catherd.gates.proof import Waiver
from catherd.pulls.build import Try
from support.games import ROOT

PAGE = (ROOT / "docs/handbook/bus.md").read_text(encoding="utf-8")


MEANS = {
    "<agent>": "[a-z][a-z0-9-]*",
    "<utc>": r"\d{8}T\d{6}\.\d{3}Z",
    "<who>": "[a-z][a-z0-9-]*",
    "<step>": r"debate/(?:round-\d|ballots)",
    "<gate>": "[a-z][a-z0-9-]*",
    "<turn>": r"[a-z-]+\.[A-Za-z0-9.-]+\.\d+",
    "<phase>": "(?:plan|poc|mvp|vertical-slice|alpha|beta|release)",
    "<task>": "[A-Z]-[A-Za-z0-9.-]+",
    "<state>": "[a-z][a-z0-9-]*",
    "<head12>": "[0-9a-f]{12}",
    "<tree12>": "[0-9a-f]{12}",
    "<check>": "[A-Za-z0-9-]+",
    "<n>": r"\d+",
    "<id>": "[a-z]+",
    "<date>": r"\d{4}-\d\d-\d\d",
    "<name>": "[a-z0-9.-]+",
    "<game>": "g-[0-9a-f-]+",
    "<file>": r"\d+-\d+-.+",
}


class Posted(msgspec.Struct):
    """`.posted` has no type of its own in the engine: it is looked for, and its content only tells."""

    posted: str
    seal: str
    catherd: int = 1


class Life(msgspec.Struct):
    """So it is with the content of a daemon's lock."""

    pid: int
    start: str
    catherd: int = 1


KINDS: list[tuple[str, type[msgspec.Struct]]] = [
    (r"game\.yaml", Game),
    (r"agents/.+\.lock", Life),
    (r"chat/.+\.yaml", Chat),
    (r"debate/[^/]+/open\.yaml", Ask),
    (r"debate/round-1/.+\.yaml", Pitch),
    (r"debate/round-\d/.+\.yaml", Argument),
    (r"debate/ballots/.+\.yaml", Ballot),
    (r"debate/veto/.+\.yaml", Veto),
    (r"debate/tiebreak\.yaml", Tiebreak),
    (r"gates/.+\.yaml", Receipt),
    (r"runs/.+\.answer\.yaml", Answer),
    (r"runs/.+\.posted", Posted),
    (r"runs/.+\.yaml", Call),
    (r"problems/.+\.yaml", Trouble),
    (r"claims/.+\.lock", Lock),
    (r"[a-z-]+/(bids|swaps)/open\.yaml", Ask),
    (r"[a-z-]+/(bids|swaps)/.+\.yaml", Bid),
    (r"[a-z-]+/assignment\.yaml", Assignment),
    (r"[a-z-]+/evidence\.yaml", Evidence),
    (r"[a-z-]+/waiver\.yaml", Waiver),
    (r"[a-z-]+/said-\d+\.yaml", TrialWords),
    (r"tasks/[^/]+\.yaml", Task),
    (r"tasks/.+\.try/.+\.yaml", Try),
    (r"prs/PR-\d+/pr\.yaml", Pr),
    (r"prs/PR-\d+/head-\d+\.yaml", Head),
    (r"prs/PR-\d+/reviews/.+\.yaml", Review),
    (r"prs/PR-\d+/needs-.+\.yaml", Needs),
    (r"prs/PR-\d+/merged\.yaml", Merged),
    (r"ci/.+\.yaml", Check),
]


def _kind(path: str) -> type[msgspec.Struct]:
    return next(kind for pattern, kind in KINDS if re.fullmatch(pattern, path))


def _sections() -> dict[str, str]:
    """Heading → text, of the sections that describe paths."""
    parts = re.split(r"^### (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def patterns() -> list[str]:
    """What the headings of the page say about paths, as regular expressions."""
    made = []
    for heading in _sections():
        for path in re.findall(r"`([^`]+)`", heading):
            pattern = re.escape(path)
            for word, regex in MEANS.items():
                pattern = pattern.replace(re.escape(word), regex)
            made.append(pattern + ("(?:.*)" if path.endswith("/") else ""))
    return made


def files(bus: Path) -> list[str]:
    """Everything below the bus."""
    return sorted(
        os.path.relpath(os.path.join(at, name), bus)
        for at, _, names in os.walk(bus)
        for name in names
    )

"""Who wrote the journeys, and who the code that they prove: by git's authorship, never by what a file says of itself."""

import re

from catherd.app.manifest_file import NAME
from catherd.bus import yaml_read
from catherd.core.errors import CatherdError
from catherd.git import objects, run
from catherd.pulls.task_check import is_test

_AGENT = re.compile(r"([a-z][a-z0-9-]*)@agents\.invalid")
YOU = "you"


def _who(mail: str) -> str:
    found = _AGENT.fullmatch(mail.strip("<>"))
    return found[1] if found else YOU


def provers(root: str, main: str) -> list[str]:
    """The agents that ever changed the journeys which main has, by name."""
    mails = run.git(
        root, "log", "--no-merges", "--format=%ae", main, "--", NAME
    ).split()
    return sorted({_who(mail) for mail in mails} - {YOU})


def coders(root: str, main: str) -> dict[str, str]:
    """Agent → one file of code below app/ that it wrote: neither journeys nor tests."""
    told = run.git(
        root, "log", "--no-merges", "--name-only", "--format=%x00%ae", main, "--", "app"
    )
    found: dict[str, str] = {}
    for part in told.split("\0")[1:]:
        mail, *paths = [line for line in part.split("\n") if line]
        code = sorted(path for path in paths if path != NAME and not is_test(path))
        if code and _who(mail) != YOU:
            found.setdefault(_who(mail), code[0])
    return found


def of_journeys(root: str, main: str) -> dict[str, str]:
    """Journey id → who wrote its lines, `wildcard` or `gemini and you`; empty where app.yaml cannot be read."""
    text = (objects.read_blob(root, main, NAME) or b"").decode("utf-8", "replace")
    try:
        document = yaml_read.loads(text, NAME)
        ids = [str(journey["id"]) for journey in document.data["journeys"]]
    except (CatherdError, KeyError, TypeError):
        return {}
    mails = re.findall(
        r"^author-mail (\S+)$",
        run.git(root, "blame", "--line-porcelain", main, "--", NAME),
        re.MULTILINE,
    )
    lines = text.split("\n")
    begins = [int(document.where("journeys", n).split(":")[1]) for n in range(len(ids))]
    last = next(
        (
            n
            for n in range(begins[-1] if begins else 0, len(lines))
            if re.match(r"\w", lines[n])
        ),
        len(mails),
    )
    ends = [*(begin - 1 for begin in begins[1:]), last]
    made = {}
    for ident, begin, end in zip(ids, begins, ends, strict=True):
        made[ident] = " and ".join(
            sorted({_who(mail) for mail in mails[begin - 1 : end]})
        )
    return made


def judged_own(journeys: dict[str, str], code: dict[str, str]) -> list[str]:
    """A line for each agent that wrote journeys and code too: `wildcard wrote J-001, J-002 and app/shelf/store.py`."""
    found = []
    for who, path in sorted(code.items()):
        mine = [ident for ident, by in journeys.items() if who in by.split(" and ")]
        found += (
            [f"{who} wrote {', '.join(mine)} and code of the app, {path} for one"]
            if mine
            else []
        )
    return found

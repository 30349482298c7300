"""Who wrote the journeys, and who wrote the code that they prove.

Git's authorship says it, never what a file says of itself.
"""

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
    asked = ("log", "--no-merges", "--name-only", "--format=%x00%ae", main, "--", "app")
    told = run.git(root, *asked)

    found: dict[str, str] = {}
    for part in told.split("\0")[1:]:
        mail, *paths = [line for line in part.split("\n") if line]
        author = _who(mail)
        if author == YOU:
            continue

        code = [path for path in paths if path != NAME and not is_test(path)]
        if code:
            found.setdefault(author, min(code))

    return found


def of_journeys(root: str, main: str) -> dict[str, str]:
    """Journey id → who wrote its lines, `wildcard` or `gemini and you`.

    Empty where app.yaml cannot be read.
    """
    text = (objects.read_blob(root, main, NAME) or b"").decode("utf-8", "replace")
    try:
        document = yaml_read.loads(text, NAME)
        ids = [str(journey["id"]) for journey in document.data["journeys"]]
    except (CatherdError, KeyError, TypeError):
        return {}

    if not ids:
        return {}

    people = _people(root, main)
    begins = [_line(document, n) for n in range(len(ids))]
    last = _end(text, begins[-1], len(people))
    ends = [*(begin - 1 for begin in begins[1:]), last]

    made = {}
    for ident, begin, end in zip(ids, begins, ends, strict=True):
        wrote = sorted(set(people[begin - 1 : end]))
        made[ident] = " and ".join(wrote)

    return made


def _people(root: str, main: str) -> list[str]:
    """Who wrote each line of the journeys."""
    blame = run.git(root, "blame", "--line-porcelain", main, "--", NAME)
    mails = re.findall(r"^author-mail (\S+)$", blame, re.MULTILINE)
    return [_who(mail) for mail in mails]


def _line(document: yaml_read.Document, number: int) -> int:
    """The line at which a journey begins; the first is 1."""
    _, line, *_ = document.where("journeys", number).split(":")
    return int(line)


def _end(text: str, begin: int, last: int) -> int:
    """The last line of the journey that begins at line `begin`: before the next key,
    else `last`.
    """
    lines = text.split("\n")
    for number in range(begin, len(lines)):
        if re.match(r"\w", lines[number]):
            return number
    return last


def judged_own(journeys: dict[str, str], code: dict[str, str]) -> list[str]:
    """A line for each agent that wrote both journeys and code.

    `wildcard wrote J-001, J-002 and code of the app, app/shelf/store.py for one`.
    """
    found = []
    for who, path in sorted(code.items()):
        mine = [ident for ident, by in journeys.items() if who in by.split(" and ")]
        if mine:
            found.append(
                f"{who} wrote {', '.join(mine)} and code of the app, {path} for one"
            )

    return found

"""Passages of a model's Markdown: sections under headings, labelled lines, lists of ids, a cut at a number of words. Pure."""

import re
from collections.abc import Sequence
from typing import Any

HEADING = re.compile(r"^ {0,3}(#{1,4})\s+(.+?)\s*#*\s*$")
_BOLD = re.compile(r"^ {0,3}(\*\*|__)(.+?)(?:\1\s*:?|:\s*\1)\s*$")
_LABEL = re.compile(
    r"^[\s>*_+-]*(best(?: point)?|(?:most serious )?objection|(?:testable )?question|(?:poc )?risk|why"
    r"|accept(?:ed)?|rebut(?:ted|tal)?)\b[\s*_]*[:：][\s*_]*(.*)$",
    re.IGNORECASE,
)
_TRIM = " `*_\"'."
# `amber: because …`
_REASONED = re.compile(r"[`*_\"']*([\w-]+)[`*_\"']*\s*(?:[:,;]\s|\(|[—–-]\s)")
_ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*+])\s+(.*)$")


def heading(line: str) -> re.Match[str] | None:
    """A heading, or a line that is bold from end to end; group 2 is its text."""
    return HEADING.match(line) or _BOLD.match(line)


def sections(body: str, codes: Sequence[str]) -> dict[str, list[str]]:
    """The lines under each heading that names one of `codes`; what comes before the first is nobody's."""
    found: dict[str, list[str]] = {}
    here: list[str] = []
    for line in body.split("\n"):
        head = heading(line)
        if head and not _LABEL.match(line):
            named = [
                w
                for w in re.findall(r"[a-z0-9][a-z0-9-]*", head[2].lower())
                if w in codes
            ]
            here = found.setdefault(named[0], []) if named else []
        else:
            here.append(line)
    return found


def labelled(lines: Sequence[str]) -> dict[str, str]:
    """The labelled parts of a section; a label holds until the next one."""
    found: dict[str, list[str]] = {}
    here: list[str] = found.setdefault("", [])
    for line in lines:
        label = _LABEL.match(line)
        if label:
            name = next(
                n
                for n in (
                    "best",
                    "objection",
                    "question",
                    "risk",
                    "why",
                    "accept",
                    "rebut",
                )
                if n in label[1].lower()
            )
            here = found.setdefault(name, [])
            here.append(label[2])
        else:
            here.append(line)
    return {name: "\n".join(part).strip() for name, part in found.items()}


def under_ranking(body: str) -> list[str]:
    """The items below the heading `Ranking`, up to the end."""
    found: list[str] | None = None
    for line in body.split("\n"):
        head = heading(line)
        if head:
            found = [] if re.search(r"\branking\b", head[2], re.IGNORECASE) else found
        elif found is not None and line.strip():
            item = _ITEM.match(line)
            found.append(item[1] if item else line)
    return found or []


def items(listed: Any) -> list[str]:
    """Ids, best first, from a list or from `a, b, c` and `a > b > c`; an equal rank stays one item with `=`."""
    if isinstance(listed, str):
        listed = re.split(r"[,>;\n]+", listed.strip("[] "))
    made: list[str] = []
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, list):
            made.append(" = ".join(str(e) for e in each))
        else:
            made += _ids(str(each))
    return made


def _ids(text: str) -> list[str]:
    """The ids in one item: `1. amber`, `amber, birch`, or `amber: because …`."""
    text = re.sub(r"^\s*\d+[.)]\s*", "", text).strip(_TRIM)
    parts = [part.strip(_TRIM).lower() for part in re.split(r"[,>;]", text)]
    if all(parts) and " " not in "".join(parts):
        return parts
    reasoned = _REASONED.match(text)
    return [reasoned[1].lower() if reasoned else text.lower()]


def cut_words(text: str, limit: int) -> str:
    """The first `limit` words, line breaks kept, with … where it was cut."""
    found = list(re.finditer(r"\S+", text))
    return text if len(found) <= limit else text[: found[limit - 1].end()] + " …"

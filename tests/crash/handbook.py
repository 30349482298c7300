"""The table of docs/handbook/recovery.md, as patterns: which door changes which paths."""

import re
from functools import cache
from pathlib import Path

import msgspec

from support import games

PAGE = games.ROOT / "docs" / "handbook" / "recovery.md"


WORDS = {"<path>": ".+", "<lock>": ".+"}  # these may have slashes


class Row(msgspec.Struct, frozen=True):
    """One row of the table: `goals` are the make targets in which it happens."""

    door: str
    path: str
    goals: frozenset[str]

    def matches(self, door: str, path: str) -> bool:
        """Whether an effect is one of this row's. `<word>` stands for anything without a slash."""
        if door != self.door:
            return False
        parts = re.split(r"(<\w+>)", self.path)
        pattern = "".join(
            WORDS.get(part, "[^/]+") if part.startswith("<") else re.escape(part)
            for part in parts
        )
        return re.fullmatch(pattern, path) is not None


@cache
def row(door: str, path: str) -> Row | None:
    """The row that names an effect; the first one, where more than one does."""
    return next((one for one in rows() if one.matches(door, path)), None)


def rows(page: Path = PAGE) -> list[Row]:
    """Every row of the table."""
    found = []
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 5 and (door := re.fullmatch(r"`([\w-]+)`", cells[0])):
            goals = frozenset(re.findall(r"[\w-]+", cells[2]))
            found += [
                Row(door[1], path, goals) for path in re.findall(r"`([^`]+)`", cells[1])
            ]
    return found

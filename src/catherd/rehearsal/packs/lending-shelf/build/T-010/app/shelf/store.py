"""The shelf itself: things, and who has them since when, in one SQLite file.

A change is committed before its method returns, so what a neighbour was told survives a crash.
Times are UTC in ISO 8601, to the second; days are days in the house, YYYY-MM-DD: both sort as text.
"""

import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Lock
from typing import Any

Thing = dict[str, Any]  # id, name, owner; holder, since, back_by: None while it is on the shelf; overdue

LONGEST = 80  # characters in a name: what fits on one line of a phone twice

# One script for each version of the file, oldest first. Never edit one that has been released: add the next.
MIGRATIONS = [
    """
    CREATE TABLE thing (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL CHECK (length(trim(name)) > 0),
      owner TEXT NOT NULL CHECK (length(trim(owner)) > 0),
      added_at TEXT NOT NULL
    );
    CREATE TABLE loan (
      id INTEGER PRIMARY KEY,
      thing_id INTEGER NOT NULL REFERENCES thing(id),
      borrower TEXT NOT NULL CHECK (length(trim(borrower)) > 0),
      lent_at TEXT NOT NULL,
      returned_at TEXT
    );
    CREATE UNIQUE INDEX one_open_loan ON loan(thing_id) WHERE returned_at IS NULL;
    """,
    "ALTER TABLE thing ADD COLUMN removed_at TEXT;",
    "ALTER TABLE loan ADD COLUMN back_by TEXT;",
]

THINGS = """
    SELECT thing.id, thing.name, thing.owner, loan.borrower AS holder, loan.lent_at AS since, loan.back_by
    FROM thing LEFT JOIN loan ON loan.thing_id = thing.id AND loan.returned_at IS NULL
    WHERE thing.removed_at IS NULL
"""


class Invalid(Exception):
    """What was asked makes no sense, whatever the state of the shelf."""


class NotFound(Exception):
    """There is no such thing."""


class Conflict(Exception):
    """It makes sense, but not now: someone else has the thing, or nobody has."""


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def words(text: object, what: str) -> str:
    """`text` with its blanks put in order; Invalid when nothing is left of it, or too much."""
    tidy = " ".join(text.split()) if isinstance(text, str) else ""
    if not tidy:
        raise Invalid(f"{what} is missing")
    if len(tidy) > LONGEST:
        raise Invalid(f"{what} is longer than {LONGEST} characters")
    return tidy


def a_day(text: object, today: date) -> str | None:
    """`text` as a day that has not passed, None for none; Invalid when it is neither."""
    if text in (None, ""):
        return None
    try:
        day = date.fromisoformat(text) if isinstance(text, str) and len(text) == 10 else None
    except ValueError:
        day = None
    if day is None:
        raise Invalid("the day is not a date like 2026-03-12")
    if day < today:
        raise Invalid(f"{day} has passed")
    return day.isoformat()


class Shelf:
    """One connection, one lock: the server's threads take turns, which is plenty for one house."""

    def __init__(self, file: Path, now: Callable[[], str] = utc_now, today: Callable[[], date] = date.today) -> None:
        self.now, self.today = now, today
        self.lock = Lock()
        self.db = sqlite3.connect(file, check_same_thread=False)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA foreign_keys = ON")
        self._migrate()

    def _migrate(self) -> None:
        (version,) = self.db.execute("PRAGMA user_version").fetchone()
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            self.db.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")

    def close(self) -> None:
        self.db.close()

    def things(self, q: str = "", free: bool = False) -> list[Thing]:
        """Everything on the shelf or out with someone, by name; `q`: words of thing or owner that must all occur."""
        wanted = words(q, "the query").casefold().split() if q.strip() else []
        with self.lock:
            rows = self.db.execute(THINGS + "ORDER BY thing.name COLLATE NOCASE, thing.id").fetchall()
        found = [self._told(row) for row in rows if not (free and row["holder"])]
        return [thing for thing in found if all(word in f"{thing['name']} {thing['owner']}".casefold() for word in wanted)]

    def thing(self, thing_id: int) -> Thing:
        with self.lock:
            return self._thing(thing_id)

    def _thing(self, thing_id: int) -> Thing:
        row = self.db.execute(THINGS + "AND thing.id = ?", (thing_id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no thing {thing_id}")
        return self._told(row)

    def _told(self, row: sqlite3.Row) -> Thing:
        return {**dict(row), "overdue": bool(row["back_by"]) and row["back_by"] < self.today().isoformat()}

    def add(self, name: object, owner: object) -> Thing:
        """Puts a thing on the shelf."""
        row = (words(name, "the name of the thing"), words(owner, "the owner's name"), self.now())
        with self.lock, self.db:
            added = self.db.execute("INSERT INTO thing (name, owner, added_at) VALUES (?, ?, ?)", row)
            return self._thing(added.lastrowid)

    def lend(self, thing_id: int, borrower: object, back_by: object = None) -> Thing:
        """Hands a free thing to `borrower`, from now on, until the day `back_by` if one was agreed on."""
        borrower, back_by = words(borrower, "the borrower's name"), a_day(back_by, self.today())
        with self.lock, self.db:
            thing = self._thing(thing_id)
            if thing["holder"]:
                raise Conflict(f"{thing['holder']} has it since {thing['since'][:10]}")
            loan = (thing_id, borrower, self.now(), back_by)
            self.db.execute("INSERT INTO loan (thing_id, borrower, lent_at, back_by) VALUES (?, ?, ?, ?)", loan)
            return self._thing(thing_id)

    def give_back(self, thing_id: int) -> Thing:
        """Puts a thing back on the shelf; the loan stays on record."""
        with self.lock, self.db:
            if not self._thing(thing_id)["holder"]:
                raise Conflict("it is on the shelf already")
            self.db.execute(
                "UPDATE loan SET returned_at = ? WHERE thing_id = ? AND returned_at IS NULL", (self.now(), thing_id)
            )
            return self._thing(thing_id)

    def remove(self, thing_id: int) -> Thing:
        """Takes a thing off the shelf for good; its row stays, because its loans do."""
        with self.lock, self.db:
            thing = self._thing(thing_id)
            if thing["holder"]:
                raise Conflict(f"{thing['holder']} has it since {thing['since'][:10]}")
            self.db.execute("UPDATE thing SET removed_at = ? WHERE id = ?", (self.now(), thing_id))
            return thing

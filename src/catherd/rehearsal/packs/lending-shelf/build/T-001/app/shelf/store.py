"""The shelf itself: things, and who has them since when, in one SQLite file.

A change is committed before its method returns, so what a neighbour was told survives a crash.
Times are UTC in ISO 8601, to the second: they sort as text.
"""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

Thing = dict[str, Any]  # id, name, owner, holder and since; the last two are None while it is on the shelf

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
]

THINGS = """
    SELECT thing.id, thing.name, thing.owner, loan.borrower AS holder, loan.lent_at AS since
    FROM thing LEFT JOIN loan ON loan.thing_id = thing.id AND loan.returned_at IS NULL
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


class Shelf:
    """One connection, one lock: the server's threads take turns, which is plenty for one house."""

    def __init__(self, file: Path, now: Callable[[], str] = utc_now) -> None:
        self.now = now
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

    def things(self) -> list[Thing]:
        """Everything on the shelf or out with someone, by name."""
        with self.lock:
            return [dict(row) for row in self.db.execute(THINGS + "ORDER BY thing.name COLLATE NOCASE, thing.id")]

    def thing(self, thing_id: int) -> Thing:
        with self.lock:
            return self._thing(thing_id)

    def _thing(self, thing_id: int) -> Thing:
        row = self.db.execute(THINGS + "WHERE thing.id = ?", (thing_id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no thing {thing_id}")
        return dict(row)

    def add(self, name: object, owner: object) -> Thing:
        """Puts a thing on the shelf."""
        row = (words(name, "the name of the thing"), words(owner, "the owner's name"), self.now())
        with self.lock, self.db:
            added = self.db.execute("INSERT INTO thing (name, owner, added_at) VALUES (?, ?, ?)", row)
            return self._thing(added.lastrowid)

    def lend(self, thing_id: int, borrower: object) -> Thing:
        """Hands a free thing to `borrower`, from now on."""
        borrower = words(borrower, "the borrower's name")
        with self.lock, self.db:
            thing = self._thing(thing_id)
            if thing["holder"]:
                raise Conflict(f"{thing['holder']} has it since {thing['since'][:10]}")
            loan = (thing_id, borrower, self.now())
            self.db.execute("INSERT INTO loan (thing_id, borrower, lent_at) VALUES (?, ?, ?)", loan)
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

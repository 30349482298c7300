"""The SQL adapter (sqlite3): a schema loaded into memory and looked at.

It is loaded statement by statement under an authorizer, so that nothing in it can reach
out or run for ever.
"""

import re
import sqlite3
from typing import NamedTuple

_ALLOWED = frozenset(
    {
        sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_CREATE_VIEW,
        sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE,
        sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_REINDEX, sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_DROP_TABLE, sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_CREATE_VTABLE,
    }
)  # fmt: skip
_PRAGMAS = frozenset(
    {
        "foreign_keys", "user_version", "journal_mode", "encoding", "application_id", "synchronous", "data_version",
        "table_list",
    }
)  # fmt: skip
_REACH_OUT = frozenset({"load_extension", "writefile", "readfile"})
# of SQLite's virtual machine, for the whole schema: a recursive query ends there
STEPS = 2_000_000


class SqlTrouble(NamedTuple):
    """Something wrong: `rule` is syntax, primary-key, foreign-key or empty."""

    line: int
    rule: str
    what: str


class Schema(NamedTuple):
    """The tables with the line of their CREATE TABLE, and what is wrong with them."""

    tables: dict[str, int]
    troubles: list[SqlTrouble]


class _ForeignKey(NamedTuple):
    """`table` names `target`."""

    table: str
    line: int
    target: str


def _authorize(
    action: int, first: str | None, second: str | None, *_: str | None
) -> int:
    """What SQLite asks before each action; `first` and `second` depend on the action."""
    if action == sqlite3.SQLITE_PRAGMA:
        allowed = (first or "").lower() in _PRAGMAS
    elif action == sqlite3.SQLITE_FUNCTION:
        allowed = (second or "").lower() not in _REACH_OUT
    else:
        allowed = action in _ALLOWED
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def statements(text: str) -> list[tuple[int, str]]:
    """(line of its first word, statement); the last one may be incomplete."""
    found: list[tuple[int, str]] = []
    buffer, start, line = "", 1, 1
    for part in re.split(r"(;)", text):
        if not buffer.strip():
            buffer, start = "", line
        buffer += part
        line += part.count("\n")
        if part == ";" and sqlite3.complete_statement(buffer):
            found.append((start + _skipped(buffer), buffer))
            buffer = ""
    if re.sub(r"--[^\n]*|/\*.*?\*/", "", buffer, flags=re.DOTALL).strip():
        found.append((start + _skipped(buffer), buffer))
    return found


def _skipped(statement: str) -> int:
    """Lines of blanks and comments before the first word."""
    lead = re.match(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", statement, re.DOTALL)
    return lead[0].count("\n") if lead else 0


def read_schema(text: str) -> Schema:
    """The schema in `text`."""
    base = sqlite3.connect(":memory:")
    try:
        found = _load(base, text)
        for name, line in found.tables.items():
            if not _virtual(base, name):
                found.troubles.extend(_key_troubles(base, found.tables, name, line))
    finally:
        base.close()
    if not found.tables and not found.troubles:
        found.troubles.append(SqlTrouble(1, "empty", "there is no table"))
    return found


def _load(base: sqlite3.Connection, text: str) -> Schema:
    """Run the statements of `text`; the tables that came of it and what failed."""
    found = Schema({}, [])
    left = STEPS // 1000

    def spend() -> int:
        nonlocal left
        left -= 1
        return int(left < 0)

    base.set_authorizer(_authorize)
    base.set_progress_handler(spend, 1000)
    for line, statement in statements(text):
        before = _table_names(base)
        try:
            base.execute(statement)
        except (sqlite3.Error, sqlite3.Warning) as error:
            # a statement that failed before would have made the table
            follows = found.troubles and "no such table" in str(error)
            if not follows:
                at = line + _offset(base, statement, str(error))
                found.troubles.append(SqlTrouble(at, "syntax", str(error)))
        fresh = sorted(_table_names(base) - before)
        found.tables.update(dict.fromkeys(fresh, line))
    base.set_authorizer(None)
    base.set_progress_handler(None, 0)
    return found


def _offset(base: sqlite3.Connection, statement: str, message: str) -> int:
    """Lines from the statement's first word to the word that SQLite stopped at.

    SQLite does not say which of several commas it means. Cut off behind the right one,
    the statement fails at the same word; cut off behind an earlier one, it asks for
    more.
    """
    found = re.match(r'near "(.+?)": syntax error', message)
    if not found:
        return 0
    for place in re.finditer(re.escape(found[1]), statement):
        try:
            base.execute(f"EXPLAIN {statement[: place.end()]}")
        except sqlite3.Error as error:
            if str(error) == message:
                return statement.count("\n", 0, place.start()) - _skipped(statement)
    return 0


def _table_names(base: sqlite3.Connection) -> set[str]:
    """The tables, those of full-text search too, without what SQLite keeps for itself."""
    found = set()
    for row in base.execute("PRAGMA table_list").fetchall():
        name, kind = row[1], row[2]
        if kind in {"table", "virtual"} and not name.startswith("sqlite_"):
            found.add(name)
    return found


def _virtual(base: sqlite3.Connection, name: str) -> bool:
    """Whether a table is a virtual one, which has no keys."""
    question = "SELECT sql FROM sqlite_master WHERE name = ?"
    row = base.execute(question, [name]).fetchone()
    return bool(row and row[0] and row[0].upper().startswith("CREATE VIRTUAL"))


def _key_troubles(
    base: sqlite3.Connection, tables: dict[str, int], name: str, line: int
) -> list[SqlTrouble]:
    """What is wrong with the primary and the foreign keys of a table."""
    found: list[SqlTrouble] = []
    columns = base.execute(f"PRAGMA table_info({_quoted(name)})").fetchall()
    if not any(row[5] for row in columns):
        what = f"the table {name} has no PRIMARY KEY"
        found.append(SqlTrouble(line, "primary-key", what))
    rows = base.execute(f"PRAGMA foreign_key_list({_quoted(name)})").fetchall()
    keys = [_ForeignKey(name, line, row[2]) for row in rows]
    known = {table.lower() for table in tables}
    missing = [key for key in keys if key.target.lower() not in known]
    if not missing:
        return found + _mismatch(base, keys)
    for key in missing:
        what = (
            f"a foreign key of {name} names the table {key.target}, which is not there"
        )
        found.append(SqlTrouble(line, "foreign-key", what))
    return found


def _mismatch(base: sqlite3.Connection, keys: list[_ForeignKey]) -> list[SqlTrouble]:
    """The first foreign key whose columns are no key of the table that it names.

    SQLite says so when it compiles a DELETE from that table.
    """
    base.execute("PRAGMA foreign_keys=ON")
    for key in keys:
        try:
            base.execute(f"EXPLAIN DELETE FROM {_quoted(key.target)}")  # noqa: S608 - the name is SQLite's own, quoted
        except sqlite3.Error as error:
            said = str(error)
            if "foreign key mismatch" in said and f'"{key.table}"' in said:
                what = f"{error}: the columns named in {key.target} are no unique key there"
                return [SqlTrouble(key.line, "foreign-key", what)]
    return []


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

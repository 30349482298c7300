"""The SQL adapter (sqlite3): a schema loaded into memory under an authorizer, statement by statement, and looked at."""

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
        "foreign_keys",
        "user_version",
        "journal_mode",
        "encoding",
        "application_id",
        "synchronous",
        "data_version",
        "table_list",
    }
)
STEPS = 2_000_000  # of SQLite's virtual machine, for the whole schema: a recursive query ends there


class SqlTrouble(NamedTuple):
    """Something wrong: `rule` is syntax, primary-key, foreign-key or empty."""

    line: int
    rule: str
    what: str


class Schema(NamedTuple):
    """The tables with the line of their CREATE TABLE, and what is wrong with them."""

    tables: dict[str, int]
    troubles: list[SqlTrouble]


def _authorize(
    action: int, first: str | None, second: str | None, *_: str | None
) -> int:
    if action == sqlite3.SQLITE_PRAGMA:
        return (
            sqlite3.SQLITE_OK
            if (first or "").lower() in _PRAGMAS
            else sqlite3.SQLITE_DENY
        )
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in {
        "load_extension",
        "writefile",
        "readfile",
    }:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


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
    tables: dict[str, int] = {}
    troubles: list[SqlTrouble] = []
    left = [STEPS // 1000]

    def spend() -> int:
        left[0] -= 1
        return int(left[0] < 0)

    base = sqlite3.connect(":memory:")
    try:
        base.set_authorizer(_authorize)
        base.set_progress_handler(spend, 1000)
        for line, statement in statements(text):
            before = _names(base)
            try:
                base.execute(statement)
            except (sqlite3.Error, sqlite3.Warning) as error:
                if not (
                    troubles and "no such table" in str(error)
                ):  # the failed one would have made it
                    troubles.append(
                        SqlTrouble(
                            line + _offset(base, statement, str(error)),
                            "syntax",
                            str(error),
                        )
                    )
            tables.update(dict.fromkeys(sorted(_names(base) - before), line))
        base.set_authorizer(None)
        base.set_progress_handler(None, 0)
        troubles += _keys(base, tables)
    finally:
        base.close()
    if not tables and not troubles:
        troubles.append(SqlTrouble(1, "empty", "there is no table"))
    return Schema(tables, troubles)


def _offset(base: sqlite3.Connection, statement: str, message: str) -> int:
    """Lines from the statement's first word to the word that SQLite stopped at.

    It does not say which of several commas it means; but cut off behind the right one, it stops at the same word, and
    cut off behind an earlier one, it asks for more.
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


def _names(base: sqlite3.Connection) -> set[str]:
    """The tables, those of full-text search included, without what SQLite keeps behind them."""
    rows = base.execute("PRAGMA table_list").fetchall()
    return {
        row[1]
        for row in rows
        if row[2] in {"table", "virtual"} and not row[1].startswith("sqlite_")
    }


def _keys(base: sqlite3.Connection, tables: dict[str, int]) -> list[SqlTrouble]:
    found: list[SqlTrouble] = []
    known = {name.lower() for name in tables}
    for name, line in tables.items():
        quoted = '"' + name.replace('"', '""') + '"'
        virtual = base.execute(
            "SELECT sql FROM sqlite_master WHERE name = ?", [name]
        ).fetchone()
        if virtual and virtual[0] and virtual[0].upper().startswith("CREATE VIRTUAL"):
            continue
        if not any(row[5] for row in base.execute(f"PRAGMA table_info({quoted})")):
            found.append(
                SqlTrouble(line, "primary-key", f"the table {name} has no PRIMARY KEY")
            )
        targets = [
            (row[2], row[3], row[4])
            for row in base.execute(f"PRAGMA foreign_key_list({quoted})")
        ]
        missing = [target for target, _, _ in targets if target.lower() not in known]
        found += [
            SqlTrouble(
                line,
                "foreign-key",
                f"a foreign key of {name} names the table {target}, which is not there",
            )
            for target in missing
        ]
        if targets and not missing:
            found += _mismatch(base, name, line, targets)
    return found


def _mismatch(
    base: sqlite3.Connection, name: str, line: int, targets: list[tuple[str, str, str]]
) -> list[SqlTrouble]:
    """SQLite says that a foreign key's columns are no key of their table when a DELETE there is compiled."""
    base.execute("PRAGMA foreign_keys=ON")
    for target, _, _ in targets:
        quoted = '"' + target.replace('"', '""') + '"'
        try:
            base.execute(f"EXPLAIN DELETE FROM {quoted}")  # noqa: S608 - the name is SQLite's own, quoted
        except sqlite3.Error as error:
            if "foreign key mismatch" in str(error) and f'"{name}"' in str(error):
                return [
                    SqlTrouble(
                        line,
                        "foreign-key",
                        f"{error}: the columns named in {target} are no unique key there",
                    )
                ]
    return []

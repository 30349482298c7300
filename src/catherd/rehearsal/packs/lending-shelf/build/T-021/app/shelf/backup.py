"""Copies the shelf into one new file while it runs: `python3 -m shelf.backup FILE`, in the directory of server.py.

To restore, put the copy into an empty directory as shelf.db and start the server with APP_DATA pointing there.
"""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path


def copy(source: Path, target: Path) -> tuple[int, int]:
    """Makes `target`; returns how many things and loans it holds. FileExistsError when it is there already."""
    with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as shelf:
        target.open("x").close()  # never over an older copy
        try:
            with closing(sqlite3.connect(target)) as copied:
                shelf.backup(copied)
                (ok,) = copied.execute("PRAGMA integrity_check").fetchone()
                if ok != "ok":
                    raise sqlite3.DatabaseError(ok)
                counts = copied.execute("SELECT (SELECT count(*) FROM thing), (SELECT count(*) FROM loan)").fetchone()
        except BaseException:
            target.unlink()  # half a copy is worse than none
            raise
    return counts


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python3 -m shelf.backup FILE", file=sys.stderr)
        return 2
    target = Path(arguments[0])
    source = Path(os.environ.get("APP_DATA", "data")) / "shelf.db"
    try:
        things, loans = copy(source, target)
    except FileExistsError:
        print(f"{target} exists; a copy is never written over another one", file=sys.stderr)
        return 1
    except (OSError, sqlite3.Error) as error:
        print(f"{source} was not copied: {error}", file=sys.stderr)
        return 1
    print(f"copied {things} thing{'s' * (things != 1)}, {loans} loan{'s' * (loans != 1)} to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The list as a table for a spreadsheet."""

import csv
import io
from collections.abc import Iterable

from .store import Thing

HEADER = ("thing", "owner", "holder", "since", "back by")
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet takes for the beginning of one


def table(things: Iterable[Thing]) -> str:
    """CSV as RFC 4180 has it: a header, a line a thing."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(HEADER)
    for thing in things:
        names = [harmless(thing[key] or "") for key in ("name", "owner", "holder")]
        rows.writerow([*names, (thing["since"] or "")[:10], thing["back_by"] or ""])
    return out.getvalue()


def harmless(name: str) -> str:
    """`name`, with an apostrophe before what would be computed: names are written by neighbours."""
    return f"'{name}" if name.startswith(FORMULA) else name

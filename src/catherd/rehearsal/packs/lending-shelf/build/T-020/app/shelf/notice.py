"""The sheet for the stairs: what can be borrowed and from whom, then what is out. No JavaScript; made to be printed."""

from collections.abc import Iterable
from datetime import date
from html import escape

from .store import Invalid, Thing

ORDERS = ("name", "owner")

SHEET = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Sheet for the stairs</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/notice.css">
</head>
<body>
  <h1>In this house you can borrow</h1>
  <p>As of {today}. Ring at the owner’s door.</p>
  {free}
  {out}
  <p class="screen"><a href="/">Back to the shelf</a> · <a href="/notice?by={other}">By {other}</a></p>
</body>
</html>
"""


def sheet(things: Iterable[Thing], today: date, by: str = "name") -> str:
    """The page, sorted by the name of the thing or of its owner."""
    if by not in ORDERS:
        raise Invalid(f"the sheet is ordered by {' or '.join(ORDERS)}")
    ordered = sorted(things, key=lambda thing: (thing[by].casefold(), thing["name"].casefold()))
    free = [(thing["name"], thing["owner"]) for thing in ordered if not thing["holder"]]
    out = [(thing["name"], thing["holder"], begun(thing)) for thing in ordered if thing["holder"]]
    return SHEET.format(
        today=f"{today:%A}, {in_words(today)} {today.year}",
        free=table(("Thing", "Owner"), free) or "<p>Nothing yet. Put the first thing on the shelf.</p>",
        out="<h2>Out at the moment</h2>" + table(("Thing", "With", "Since"), out) if out else "",
        other=ORDERS[1 - ORDERS.index(by)],
    )


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """An HTML table of texts; nothing at all without rows."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def begun(thing: Thing) -> str:
    return in_words(date.fromisoformat(thing["since"][:10]))


def in_words(day: date) -> str:
    return f"{day.day} {day:%B}"

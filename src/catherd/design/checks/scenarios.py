"""The Gherkin adapter (gherkin-official): the scenarios of a feature, each with the kinds of steps it has.

Raises ImportError where gherkin-official is missing.
"""

from typing import Any, NamedTuple

from catherd.design.checks.tools import need


class Scenario(NamedTuple):
    """`line` is relative to the text (from 1); `kinds` ⊆ {Context, Action, Outcome}; tags as written, with @."""

    name: str
    line: int
    col: int
    kinds: frozenset[str]
    tags: frozenset[str]
    steps: int


class Feature(NamedTuple):
    """A parsed feature, or `errors` as (line, col, what)."""

    name: str
    scenarios: list[Scenario]
    errors: list[tuple[int, int, str]]


def read_feature(text: str) -> Feature:
    """The feature in `text`. A background's steps count for every scenario of its feature."""
    need("gherkin")
    from gherkin.errors import CompositeParserException, ParserError
    from gherkin.parser import Parser

    try:
        document = Parser().parse(text)
    except CompositeParserException as error:
        return Feature("", [], [_error(one) for one in error.errors])
    except ParserError as error:
        return Feature("", [], [_error(error)])
    feature = document.get("feature")
    if not feature:
        return Feature("", [], [(1, 1, "there is no Feature")])
    found: list[Scenario] = []
    _collect(
        feature["children"],
        frozenset(t["name"] for t in feature["tags"]),
        frozenset(),
        found,
    )
    return Feature(feature["name"], found, [])


def _error(error: Any) -> tuple[int, int, str]:
    place = getattr(error, "location", None) or {}
    what = str(error).partition("): ")[2] or str(error)
    got = what.rpartition("got ")[2]
    return (
        place.get("line", 1),
        place.get("column", 1),
        f"Gherkin does not understand {got}" if got else what,
    )


def _collect(
    children: Any, tags: frozenset[str], given: frozenset[str], found: list[Scenario]
) -> None:
    for child in children:
        if "background" in child:
            given |= _kinds(child["background"]["steps"])
        elif "rule" in child:
            rule = child["rule"]
            _collect(
                rule["children"], tags | {t["name"] for t in rule["tags"]}, given, found
            )
        elif "scenario" in child:
            one = child["scenario"]
            marks = tags | {t["name"] for t in one["tags"]}
            marks |= {t["name"] for table in one["examples"] for t in table["tags"]}
            place = one["location"]
            kinds = given | _kinds(one["steps"])
            found.append(
                Scenario(
                    one["name"],
                    place["line"],
                    place.get("column", 1),
                    kinds,
                    marks,
                    len(one["steps"]),
                )
            )


def _kinds(steps: Any) -> frozenset[str]:
    return frozenset(step["keywordType"] for step in steps)

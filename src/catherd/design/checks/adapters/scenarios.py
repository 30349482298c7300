"""The Gherkin adapter (gherkin-official): a feature's scenarios and their steps.

`read_feature` raises ImportError where gherkin-official is missing.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from catherd.design.checks.adapters.tools import need


class Scenario(NamedTuple):
    """A scenario; `line` counts within the feature's text, from 1.

    `kinds` are those of its steps: a subset of {Context, Action, Outcome}. Tags are as
    written, with their @.
    """

    name: str
    line: int
    col: int
    kinds: frozenset[str]
    tags: frozenset[str]


class Feature(NamedTuple):
    """A parsed feature, or `errors` as (line, col, what)."""

    scenarios: list[Scenario]
    errors: list[tuple[int, int, str]]


def read_feature(text: str) -> Feature:
    """The feature in `text`.

    A background's steps count for every scenario of its feature.
    """
    need("gherkin")
    from gherkin.errors import CompositeParserException, ParserError
    from gherkin.parser import Parser

    try:
        document = Parser().parse(text)
    except CompositeParserException as error:
        return Feature([], [_error(one) for one in error.errors])
    except ParserError as error:
        return Feature([], [_error(error)])
    feature = document.get("feature")
    if not feature:
        return Feature([], [(1, 1, "there is no Feature")])
    found = _scenarios(feature["children"], _tags(feature), frozenset())
    return Feature(list(found), [])


def _error(error: Any) -> tuple[int, int, str]:
    place = getattr(error, "location", None) or {}
    what = str(error).partition("): ")[2] or str(error)
    got = what.rpartition("got ")[2]
    said = f"Gherkin does not understand {got}" if got else what
    return place.get("line", 1), place.get("column", 1), said


def _scenarios(
    children: Any, tags: frozenset[str], given: frozenset[str]
) -> Iterator[Scenario]:
    """The scenarios among `children`, which have these tags and kinds of steps already."""
    for child in children:
        if "background" in child:
            given |= _kinds(child["background"])
        elif "rule" in child:
            rule = child["rule"]
            yield from _scenarios(rule["children"], tags | _tags(rule), given)
        elif "scenario" in child:
            yield _scenario(child["scenario"], tags, given)


def _scenario(one: Any, tags: frozenset[str], given: frozenset[str]) -> Scenario:
    tags |= _tags(one)
    for table in one["examples"]:
        tags |= _tags(table)
    place = one["location"]
    column = place.get("column", 1)
    return Scenario(one["name"], place["line"], column, given | _kinds(one), tags)


def _tags(node: Any) -> frozenset[str]:
    return frozenset(tag["name"] for tag in node["tags"])


def _kinds(node: Any) -> frozenset[str]:
    return frozenset(step["keywordType"] for step in node["steps"])

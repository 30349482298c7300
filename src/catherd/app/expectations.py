"""What a step expects against what was seen, and the placeholders in both. Pure.

Placeholders: `{port} {host} {data} {url} {wheels}`, `{nonce.a}`, `{number.a}`, and what earlier steps saved. Other braces are left alone.
"""

import json
import re
from typing import Any

PLACE = re.compile(r"\{([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)?)\}")
_SHOWN = 300  # characters of an answer that a reason quotes


def names_in(value: Any) -> set[str]:
    """All placeholder names in a value, nested or not."""
    if isinstance(value, str):
        return set(PLACE.findall(value))
    if isinstance(value, dict):
        return set().union(*(names_in(k) | names_in(v) for k, v in value.items()))
    if isinstance(value, list):
        return set().union(*(names_in(item) for item in value))
    return set()


def fill_placeholders(value: Any, names: dict[str, Any], *, regex: bool = False) -> Any:
    """`value` with every known placeholder replaced; one that is the whole text keeps its type. `regex`: taken literally there."""
    if isinstance(value, dict):
        return {
            fill_placeholders(k, names): fill_placeholders(v, names)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [fill_placeholders(item, names) for item in value]
    if not isinstance(value, str):
        return value
    whole = PLACE.fullmatch(value)
    if whole and whole[1] in names and not regex:
        return names[whole[1]]

    def one(found: re.Match[str]) -> str:
        if found[1] not in names:
            return found[0]
        text = as_text(names[found[1]])
        return re.escape(text) if regex else text

    return PLACE.sub(one, value)


def as_text(value: Any) -> str:
    """A value inside a longer text: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def brief(value: Any) -> str:
    """A value as a reason quotes it: JSON, cut."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def pointed(value: Any, pointer: str) -> tuple[bool, Any]:
    """(found, value) at a JSON pointer (RFC 6901); an empty pointer is the whole."""
    for raw in pointer.split("/")[1:]:
        key = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return False, None
    return True, value


def differs(wanted: Any, got: Any, at: str = "") -> str:
    """Why `got` does not hold `wanted` (objects: at least its keys; lists: element by element; else equal, same type); empty when it does."""
    place = at or "the answer"
    if isinstance(wanted, dict):
        if not isinstance(got, dict):
            return f"{place} is no object: {brief(got)}"
        for key, value in wanted.items():
            if key not in got:
                return f"{place} has no key {key!r}: {brief(got)}"
            if why := differs(value, got[key], f"{at}/{key}"):
                return why
        return ""
    if isinstance(wanted, list):
        if not isinstance(got, list):
            return f"{place} is no list: {brief(got)}"
        if len(got) != len(wanted):
            return f"{place} has {len(got)} elements, not {len(wanted)}: {brief(got)}"
        return next(
            (
                why
                for i, value in enumerate(wanted)
                if (why := differs(value, got[i], f"{at}/{i}"))
            ),
            "",
        )
    same = wanted == got and isinstance(wanted, bool) == isinstance(got, bool)
    return "" if same else f"{place} is {brief(got)}, not {brief(wanted)}"


def texts(wanted: str | list[str]) -> list[str]:
    """One text or a list of texts, as a list."""
    return [wanted] if isinstance(wanted, str) else wanted


def text_misses(
    name: str, text: str, contains: str | list[str], lacks: str | list[str]
) -> str:
    """Why `text` (called `name`) does not hold all of `contains` and none of `lacks`; empty when it does."""
    for wanted in texts(contains):
        if as_text(wanted) not in text:
            return f"{name} does not hold {brief(wanted)}: {brief(text)}"
    for unwanted in texts(lacks):
        if as_text(unwanted) in text:
            return f"{name} holds {brief(unwanted)}: {brief(text)}"
    return ""


def json_misses(text: str, expect: dict[str, Any]) -> str:
    """Why the JSON in `text` does not hold what `json json_at json_in json_contains json_lacks` of `expect` want; empty when it does."""
    if not expect.keys() & {"json", "json_at", "json_contains", "json_lacks"}:
        return ""
    try:
        value = json.loads(text)
    except ValueError:
        return f"not JSON: {brief(text)}"
    if "json" in expect and (why := differs(expect["json"], value)):
        return why
    for pointer, wanted in expect.get("json_at", {}).items():
        found, got = pointed(value, pointer)
        if not found:
            return f"nothing at {pointer}: {brief(value)}"
        if why := differs(wanted, got, pointer):
            return why
    if not expect.keys() & {"json_contains", "json_lacks"}:
        return ""
    found, items = pointed(value, expect.get("json_in", ""))
    if not found or not isinstance(items, list):
        return f"no list at {expect.get('json_in') or 'the top'}: {brief(value)}"
    if "json_contains" in expect and all(
        differs(expect["json_contains"], item) for item in items
    ):
        return f"no element holds {brief(expect['json_contains'])}: {brief(items)}"
    if "json_lacks" in expect and not all(
        differs(expect["json_lacks"], item) for item in items
    ):
        return f"an element holds {brief(expect['json_lacks'])}: {brief(items)}"
    return ""


def one_of(name: str, wanted: int | list[int], got: int) -> str:
    """Why `got` is none of `wanted`; empty when it is one."""
    choices = [wanted] if isinstance(wanted, int) else wanted
    return (
        "" if got in choices else f"{name} {got}, not {' or '.join(map(str, choices))}"
    )

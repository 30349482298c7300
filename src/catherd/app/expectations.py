"""What a step expects against what was seen, and the placeholders in both.

Placeholders are `{port} {host} {data} {url} {wheels}`, `{nonce.a}`, `{number.a}`, and
what earlier steps saved. Other braces are left alone.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

PLACE = re.compile(r"\{([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)?)\}")
_SHOWN = 300  # characters of an answer that a reason quotes


def placeholder_names(value: Any) -> set[str]:
    """All placeholder names in a value, nested or not."""
    if isinstance(value, str):
        return set(PLACE.findall(value))
    found: set[str] = set()
    if isinstance(value, dict):
        found |= placeholder_names(list(value)) | placeholder_names(
            list(value.values())
        )
    elif isinstance(value, list):
        for item in value:
            found |= placeholder_names(item)

    return found


def fill_placeholders(value: Any, names: dict[str, Any]) -> Any:
    """`value` with every known placeholder replaced, nested or not.

    A placeholder that is the whole text keeps the type of what it stands for.
    """
    if isinstance(value, dict):
        filled = {}
        for key, item in value.items():
            filled[fill_placeholders(key, names)] = fill_placeholders(item, names)

        return filled

    if isinstance(value, list):
        return [fill_placeholders(item, names) for item in value]
    if not isinstance(value, str):
        return value
    whole = PLACE.fullmatch(value)
    if whole and whole[1] in names:
        return names[whole[1]]

    return _fill(value, names, as_text)


def filled_text(value: str, names: dict[str, Any]) -> str:
    """`value` with every known placeholder replaced, as text."""
    return as_text(fill_placeholders(value, names))


def fill_pattern(pattern: str, names: dict[str, Any]) -> str:
    """A regular expression in which every known placeholder is taken literally."""
    return _fill(pattern, names, lambda value: re.escape(as_text(value)))


def _fill(text: str, names: dict[str, Any], show: Callable[[Any], str]) -> str:
    def one(found: re.Match[str]) -> str:
        return show(names[found[1]]) if found[1] in names else found[0]

    return PLACE.sub(one, text)


def as_text(value: Any) -> str:
    """A value inside a longer text: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def brief(value: Any) -> str:
    """A value as a reason quotes it: JSON, cut."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


class Pointed(msgspec.Struct, frozen=True):
    """What a JSON pointer leads to. `value` is None where it leads to nothing."""

    found: bool
    value: Any = None


def pointed(value: Any, pointer: str) -> Pointed:
    """What stands at a JSON pointer (RFC 6901). An empty pointer is the whole."""
    for raw in pointer.split("/")[1:]:
        key = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return Pointed(found=False)

    return Pointed(found=True, value=value)


def differs(wanted: Any, got: Any, at: str = "") -> str:
    """Why `got` does not hold `wanted`. Empty when it does.

    An object holds at least the wanted keys, a list is compared element by element,
    anything else is equal and of the same type. `at`: the pointer to `got`.
    """
    if isinstance(wanted, dict):
        return _object_differs(wanted, got, at)
    if isinstance(wanted, list):
        return _list_differs(wanted, got, at)
    # 1 equals True in Python, and not in JSON.
    if wanted == got and isinstance(wanted, bool) == isinstance(got, bool):
        return ""

    return f"{_place(at)} is {brief(got)}, not {brief(wanted)}"


def _place(at: str) -> str:
    return at or "the answer"


def _object_differs(wanted: dict[str, Any], got: Any, at: str) -> str:
    if not isinstance(got, dict):
        return f"{_place(at)} is no object: {brief(got)}"
    for key, value in wanted.items():
        if key not in got:
            return f"{_place(at)} has no key {key!r}: {brief(got)}"
        why = differs(value, got[key], f"{at}/{key}")
        if why:
            return why

    return ""


def _list_differs(wanted: list[Any], got: Any, at: str) -> str:
    if not isinstance(got, list):
        return f"{_place(at)} is no list: {brief(got)}"
    if len(got) != len(wanted):
        lengths = f"{len(got)} elements, not {len(wanted)}"
        return f"{_place(at)} has {lengths}: {brief(got)}"

    for index, value in enumerate(wanted):
        why = differs(value, got[index], f"{at}/{index}")
        if why:
            return why

    return ""


def texts(wanted: str | list[str]) -> list[str]:
    """One text or a list of texts, as a list."""
    return [wanted] if isinstance(wanted, str) else wanted


def text_misses(
    name: str, text: str, contains: str | list[str], lacks: str | list[str]
) -> str:
    """Why `text` does not hold all of `contains` and none of `lacks`. Empty if it does.

    `name`: what the text is called in the reason.
    """
    for wanted in texts(contains):
        if as_text(wanted) not in text:
            return f"{name} does not hold {brief(wanted)}: {brief(text)}"

    for unwanted in texts(lacks):
        if as_text(unwanted) in text:
            return f"{name} holds {brief(unwanted)}: {brief(text)}"

    return ""


def json_misses(text: str, expect: dict[str, Any]) -> str:
    """Why the JSON in `text` does not hold what `expect` wants. Empty when it does.

    Looks at the keys `json json_at json_in json_contains json_lacks`, in that order.
    Without any of them the text need not be JSON.
    """
    if not expect.keys() & {"json", "json_at", "json_contains", "json_lacks"}:
        return ""
    try:
        value = json.loads(text)
    except ValueError:
        return f"not JSON: {brief(text)}"

    why = differs(expect["json"], value) if "json" in expect else ""
    return why or _places_miss(value, expect) or _elements_miss(value, expect)


def _places_miss(value: Any, expect: dict[str, Any]) -> str:
    """`json_at`: what must stand at each pointer."""
    for pointer, wanted in expect.get("json_at", {}).items():
        place = pointed(value, pointer)
        if not place.found:
            return f"nothing at {pointer}: {brief(value)}"
        why = differs(wanted, place.value, pointer)
        if why:
            return why

    return ""


def _elements_miss(value: Any, expect: dict[str, Any]) -> str:
    """`json_contains`, `json_lacks`: what the list at `json_in` must hold, or not."""
    if not expect.keys() & {"json_contains", "json_lacks"}:
        return ""
    items = pointed(value, expect.get("json_in", "")).value
    if not isinstance(items, list):
        return f"no list at {expect.get('json_in') or 'the top'}: {brief(value)}"
    if "json_contains" in expect and not _holds(items, expect["json_contains"]):
        return f"no element holds {brief(expect['json_contains'])}: {brief(items)}"
    if "json_lacks" in expect and _holds(items, expect["json_lacks"]):
        return f"an element holds {brief(expect['json_lacks'])}: {brief(items)}"

    return ""


def _holds(items: list[Any], wanted: Any) -> bool:
    """Whether any of the elements holds what is wanted."""
    return any(not differs(wanted, item) for item in items)


def one_of(name: str, wanted: int | list[int], got: int) -> str:
    """Why `got` is none of `wanted`. Empty when it is one."""
    choices = [wanted] if isinstance(wanted, int) else wanted
    if got in choices:
        return ""
    return f"{name} {got}, not {' or '.join(map(str, choices))}"

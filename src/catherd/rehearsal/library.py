"""The shelf: `ideas/*.yaml` (what is proposed, its weak spots, what becomes of it) and `voices/*.yaml` (how an agent talks).

Every text that a rehearsal says stands there; the modules beside this one only choose and join. The keys of both kinds of
file are the fields of Idea and Voice.
"""

import os
import re
from functools import lru_cache

import msgspec
import yaml

from catherd.core.errors import Fault
from catherd.rehearsal.reading import draw_number

HEADINGS = {
    "user": "User",
    "problem": "Problem",
    "loop": "Core loop",
    "poc": "PoC in a day",
    "risk": "Biggest risk",
    "not": "What it is not",
}
PACKS = {
    "claude": ["recipe-arithmetic", "quiet-hours"],
    "chatgpt": ["five-line-standup", "quiet-hours"],
    "gemini": ["street-almanac", "recipe-arithmetic"],
    "wildcard": ["unsent", "lost-sounds"],
}
SPARE = [
    "five-line-standup",
    "quiet-hours",
    "recipe-arithmetic",
    "street-almanac",
    "unsent",
    "lost-sounds",
]
WEB, TERMINAL = "lending-shelf", "halfpast"  # the two that later phases can build
_HERE = os.path.dirname(__file__)


class Spot(msgspec.Struct, kw_only=True):
    """A weak spot: words of the pitch, what is wrong with them, and what the author does about it: `stance` accept or rebut.

    Accepting replaces `old` by `new` in the text, and says `reply`; rebutting says `reply`.
    """

    quote: str
    objection: str
    question: str
    risk: int
    why: str
    stance: str
    reply: str
    old: str = ""
    new: str = ""


class Idea(msgspec.Struct, kw_only=True):
    """One app idea. `spots` and `best` by lens (user, builder, sources, wild); `tease` by voice."""

    title: str
    fit: str
    pitch: dict[str, str]
    best: dict[str, str]
    spots: dict[str, Spot]
    first_day: str
    weak: str
    tease: dict[str, str]
    parody: str
    retort: dict[str, dict[str, str]] = msgspec.field(
        default_factory=dict
    )  # author → who teased → the answer to it
    merges_with: str = ""  # the idea that is really the same app …
    merged: str = ""  # … and what the two become


class Voice(msgspec.Struct, kw_only=True):
    """How an agent talks: frames with {slots}, several per occasion so that it need not repeat itself."""

    lens: str
    object: list[str]
    accept: list[str]
    rebut: list[str]
    vague: list[str]
    stand: list[str]
    withdraw: list[str]
    merge: list[str]
    final: list[str]
    advocate: list[str]
    reason_high: list[str]
    reason_mid: list[str]
    reason_low: list[str]
    tease: list[str]
    banter: list[str]
    defend: list[str]
    close: list[str]
    answer: list[str]
    to_you: list[str]
    bound: list[str]  # to you as well, about a constraint


def title_slug(title: str) -> str:
    """The file name of a title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@lru_cache(maxsize=1)
def shelf() -> list[str]:
    """The names of all ideas."""
    return sorted(
        f.removesuffix(".yaml")
        for f in os.listdir(os.path.join(_HERE, "ideas"))
        if f.endswith(".yaml")
    )


@lru_cache(maxsize=64)
def idea(name: str) -> Idea | None:
    """The idea called `name`, or None: a person or a real model may propose anything."""
    path = os.path.join(_HERE, "ideas", f"{name}.yaml")
    if not re.fullmatch(r"[a-z0-9-]+", name) or not os.path.isfile(path):
        return None
    return msgspec.convert(_load(path), Idea)


def shelved(name: str) -> Idea:
    """The idea called `name`; where a herd is larger than the shelf, the small one that fits any topic."""
    found = idea(name) or idea("one-number")
    if found is None:
        raise Fault(
            "the rehearsal's own ideas are missing",
            where=_HERE,
            fix="install catherd again",
        )
    return found


@lru_cache(maxsize=16)
def voice(name: str) -> Voice:
    """The voice of agent `name`; whoever has none of its own speaks like `other`."""
    path = os.path.join(_HERE, "voices", f"{name}.yaml")
    return msgspec.convert(
        _load(
            path
            if os.path.isfile(path)
            else os.path.join(_HERE, "voices", "other.yaml")
        ),
        Voice,
    )


def _load(path: str) -> object:
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe, one is fast


def body_text(sections: dict[str, str]) -> str:
    """A proposal's body out of its sections."""
    return "\n\n".join(
        f"## {heading}\n{sections[key].strip()}"
        for key, heading in HEADINGS.items()
        if key in sections
    )


def assigned(me: str, roll: list[str], seed: int) -> str:
    """Which idea `me` pitches. The two that can be built go to claude and chatgpt, or to whoever plays in their place."""
    herd = sorted({*roll, me})
    web = (
        "claude"
        if "claude" in herd
        else next((a for a in herd if a != "chatgpt"), herd[0])
    )
    terminal = (
        "chatgpt"
        if "chatgpt" in herd and web != "chatgpt"
        else next((a for a in herd if a != web), "")
    )
    if me == web:
        return WEB
    if me == terminal:
        return TERMINAL
    taken: set[str] = set()
    for each in herd:
        if each in {web, terminal}:
            continue
        wanted = PACKS.get(each, [])
        order = sorted(wanted, key=lambda n: _order(seed, each, n)) + sorted(
            SPARE, key=lambda n: _order(seed, "", n)
        )
        mine = next((n for n in order if n not in taken), "")
        taken.add(mine)
        if each == me:
            return mine
    return ""


def _order(seed: int, name: str, idea: str) -> int:
    return draw_number("pack", seed, name, idea)

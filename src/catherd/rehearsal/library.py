"""The shelf: ideas to propose in `ideas/*.yaml`, and how each agent talks in
`voices/*.yaml`.

Every text that a rehearsal says stands there. The modules beside this one only choose
and join. The keys of both kinds of file are the fields of Idea and Voice.
"""

import os
import re
from functools import lru_cache

import msgspec
import yaml

from catherd.core.errors import Fault
from catherd.rehearsal.reading import FencedBlock, draw_number, title

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
    """A weak spot of a pitch: its words, what is wrong with them, and the author's
    answer.

    `stance` is accept or rebut. Both say `reply`. To accept also replaces `old` by
    `new` in the pitch.
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
    """One app idea.

    `spots` and `best` go by lens (user, builder, sources, wild), `tease` by voice.
    `retort` maps an author to the answers that it gives, by who teased it.
    `merges_with` names the idea that is really the same app, `merged` what the two
    become.
    """

    title: str
    fit: str
    pitch: dict[str, str]
    best: dict[str, str]
    spots: dict[str, Spot]
    first_day: str
    weak: str
    tease: dict[str, str]
    parody: str
    retort: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    merges_with: str = ""
    merged: str = ""

    def best_point(self, lens: str) -> str:
        """The best of the idea through a lens.

        The first that it has, where it has none there.
        """
        return self.best.get(lens) or next(iter(self.best.values()))


class Voice(msgspec.Struct, kw_only=True):
    """How an agent talks: frames with {slots}.

    Each occasion has several frames, so that the agent need not repeat itself. `bound`
    answers the person too, about a constraint.
    """

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
    bound: list[str]


def title_slug(title: str) -> str:
    """The file name of a title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@lru_cache(maxsize=1)
def shelf() -> list[str]:
    """The names of all ideas."""
    files = os.listdir(os.path.join(_HERE, "ideas"))
    return sorted(
        file.removesuffix(".yaml") for file in files if file.endswith(".yaml")
    )


@lru_cache(maxsize=64)
def idea(name: str) -> Idea | None:
    """The idea called `name`, or None: a person or a real model may propose anything."""
    path = os.path.join(_HERE, "ideas", f"{name}.yaml")
    if not re.fullmatch(r"[a-z0-9-]+", name) or not os.path.isfile(path):
        return None
    return msgspec.convert(_load(path), Idea)


def idea_behind(proposal: FencedBlock | None) -> Idea | None:
    """The idea that a proposal is about, by its title.

    None where the shelf has none.
    """
    if proposal is None:
        return None
    return idea(title_slug(title(proposal)))


def shelved(name: str) -> Idea:
    """The idea called `name`, or the small one that fits any topic.

    A herd that is larger than the shelf needs the small one. Raises Fault when both are
    missing.
    """
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
    """The voice of agent `name`.

    An agent without a voice of its own speaks like `other`.
    """
    folder = os.path.join(_HERE, "voices")
    path = os.path.join(folder, f"{name}.yaml")
    if not os.path.isfile(path):
        path = os.path.join(folder, "other.yaml")
    return msgspec.convert(_load(path), Voice)


def _load(path: str) -> object:
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe, one is fast


def body_text(sections: dict[str, str]) -> str:
    """A proposal's body out of its sections, in the order of HEADINGS."""
    parts = []
    for key, heading in HEADINGS.items():
        if key in sections:
            parts.append(f"## {heading}\n{sections[key].strip()}")
    return "\n\n".join(parts)


def assigned(me: str, roll: list[str], seed: int) -> str:
    """The name of the idea that `me` pitches; "" when the shelf is empty before its
    turn.

    The two ideas that can be built go to claude and chatgpt, or to the agents that play
    in their place. Each of the others takes what those before it on the roll left.
    """
    herd = sorted({*roll, me})
    web = _web_author(herd)
    terminal = _terminal_author(herd, web)
    if me == web:
        return WEB
    if me == terminal:
        return TERMINAL
    taken: set[str] = set()
    for each in herd:
        if each in {web, terminal}:
            continue
        mine = next((n for n in _wishes(each, seed) if n not in taken), "")
        if each == me:
            return mine
        taken.add(mine)

    return ""


def _web_author(herd: list[str]) -> str:
    """The agent that pitches the idea for the web; chatgpt only when it is alone."""
    if "claude" in herd:
        return "claude"
    return next((name for name in herd if name != "chatgpt"), herd[0])


def _terminal_author(herd: list[str], web: str) -> str:
    """The agent that pitches the idea for the terminal; "" when nobody is left."""
    if "chatgpt" in herd and web != "chatgpt":
        return "chatgpt"
    return next((name for name in herd if name != web), "")


def _wishes(agent: str, seed: int) -> list[str]:
    """The ideas that an agent would pitch, most wanted first: its own pack, then the
    spare ones.
    """
    own = sorted(PACKS.get(agent, []), key=lambda n: _order(seed, agent, n))
    spare = sorted(SPARE, key=lambda n: _order(seed, "", n))
    return own + spare


def _order(seed: int, name: str, idea: str) -> int:
    return draw_number("pack", seed, name, idea)

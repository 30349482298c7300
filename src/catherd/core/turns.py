"""What an agent does next: a pure function of what is on the bus. Daemon, gate, status and tests call the same one."""

import re
from collections.abc import Mapping

import msgspec

from catherd.core.messages import Ask, Chat, Game

# What stands before `.yaml` in the name of a message of yours.
YOU = frozenset({"human", "you", "me"})


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh look at the bus.

    `asks` are open, in the order of their gates. `said` tells for each step which names
    have a file there. `chat` is its tail, each message by its stem. `listening` are the
    agents that answer to their name: those that run here.
    """

    game: Game | None
    goal: str = ""
    paused: bool = False
    asks: tuple[Ask, ...] = ()
    said: dict[str, frozenset[str]] = msgspec.field(default_factory=dict)
    chat: dict[str, Chat] = msgspec.field(default_factory=dict)
    listening: frozenset[str] = frozenset()
    mentions: int = 1
    human_mentions: int = 20


class Speak(msgspec.Struct, frozen=True):
    """Answer an ask."""

    ask: Ask


class Mention(msgspec.Struct, frozen=True):
    """Answer a message of the chat that names you."""

    stem: str


Turn = Speak | Mention


def next_turn(me: str, snapshot: Snapshot) -> Turn | None:
    """The turn of agent `me`, or None when there is nothing to do. You come first, then the asks, then the other agents."""
    if snapshot.game is None or snapshot.paused:
        return None
    for stem in from_you(me, snapshot):
        return Mention(stem)
    for ask in snapshot.asks:
        if me in ask.roll and me not in snapshot.said.get(ask.step, frozenset()):
            return Speak(ask)
    for ask in snapshot.asks:
        for stem in owed(ask, snapshot).get(me, []):
            return Mention(stem)
    return None


def who(stem: str) -> str:
    """The author of a message, as its name says.

    >>> who("20261122T101204.123Z.gemini")
    'gemini'
    """
    return stem.rpartition(".")[2]


def named(text: str) -> list[str]:
    """The names mentioned, in order: `@gemini` anywhere in the text."""
    return [
        name.lower() for name in re.findall(r"(?<![\w@])@([A-Za-z][A-Za-z0-9-]*)", text)
    ]


def from_you(me: str, snapshot: Snapshot) -> list[str]:
    """Your messages that name `me` and that it has not answered, up to the cap of the game."""
    if me not in snapshot.listening:
        return []

    yours = []
    for stem, message in snapshot.chat.items():
        if who(stem) in YOU and me in named(message.text):
            yours.append(stem)

    due = yours[: snapshot.human_mentions]
    done = answered(snapshot.chat).get(me, set())
    return [stem for stem in due if stem not in done]


def owed(ask: Ask, snapshot: Snapshot) -> dict[str, list[str]]:
    """Agent → messages said with answers to `ask` that name it and that it still owes a reply.

    None is owed before everybody who will speak has spoken, and the first by writer's
    name: so a game at another speed has the same conversation. An answer to a mention is
    owed no further answer, or two agents would never stop.
    """
    spoke = snapshot.said.get(ask.step, frozenset())
    speakers = snapshot.listening.intersection(ask.roll)
    if not speakers <= spoke:
        return {}

    done = answered(snapshot.chat)
    still: dict[str, list[str]] = {}
    for name, stems in _mentions(ask, snapshot).items():
        due = stems[: snapshot.mentions]
        open_ = [stem for stem in due if stem not in done.get(name, set())]
        if open_:
            still[name] = open_

    return still


def _mentions(ask: Ask, snapshot: Snapshot) -> dict[str, list[str]]:
    """Agent that answered `ask` → messages said with an answer to it that name the agent, by writer."""
    said = []
    for stem, message in snapshot.chat.items():
        turn = message.wrote.get("turn", "")
        if turn.startswith(f"{ask.step}."):
            said.append((who(stem), stem))

    spoke = snapshot.said.get(ask.step, frozenset())
    able = snapshot.listening & spoke
    found: dict[str, list[str]] = {}
    for writer, stem in sorted(said):
        addressed = set(named(snapshot.chat[stem].text))
        for name in sorted(addressed & able - {writer}):
            found.setdefault(name, []).append(stem)

    return found


def answered(chat: Mapping[str, Chat]) -> dict[str, set[str]]:
    """Agent → the messages that it has replied to."""
    done: dict[str, set[str]] = {}
    for stem, message in chat.items():
        if message.reply_to:
            done.setdefault(who(stem), set()).add(message.reply_to)
    return done

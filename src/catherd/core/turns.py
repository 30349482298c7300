"""What an agent does next: a pure function of what is on the bus. Daemon, gate, status and tests call the same one."""

import re
from collections.abc import Mapping

import msgspec

from catherd.core.messages import Ask, Chat, Game

YOU = frozenset(
    {"human", "you", "me"}
)  # what stands before `.yaml` in the name of a message of yours


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh look at the bus: the open asks in the order of their gates, who has answered which, and the chat's tail."""

    game: Game | None
    goal: str = ""
    paused: bool = False
    asks: tuple[Ask, ...] = ()
    said: dict[str, frozenset[str]] = msgspec.field(
        default_factory=dict
    )  # step → names with a file there
    chat: dict[str, Chat] = msgspec.field(default_factory=dict)  # stem → message
    listening: frozenset[str] = (
        frozenset()
    )  # agents that answer to their name: those that run here
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
    """Whose message it is: the name says it.

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
    mine = answered(snapshot.chat).get(me, set())
    yours = [
        s for s, m in snapshot.chat.items() if who(s) in YOU and me in named(m.text)
    ]
    return (
        [stem for stem in yours[: snapshot.human_mentions] if stem not in mine]
        if me in snapshot.listening
        else []
    )


def owed(ask: Ask, snapshot: Snapshot) -> dict[str, list[str]]:
    """Agent → messages said with answers to `ask` that name it and that it still owes a reply.

    Only once everybody who will speak has spoken, and the first by writer's name: so a game at another speed has the same
    conversation. An answer to a mention is owed no further answer, or two agents would never stop.
    """
    spoke = snapshot.said.get(ask.step, frozenset())
    if any(name not in spoke for name in ask.roll if name in snapshot.listening):
        return {}
    done = answered(snapshot.chat)
    due: dict[str, list[str]] = {}
    said = [
        (who(s), s)
        for s, m in snapshot.chat.items()
        if m.wrote.get("turn", "").startswith(f"{ask.step}.")
    ]
    for writer, stem in sorted(said):
        for name in dict.fromkeys(named(snapshot.chat[stem].text)):
            if name in snapshot.listening and name in spoke and name != writer:
                due.setdefault(name, []).append(stem)
    return {
        name: [
            stem
            for stem in stems[: snapshot.mentions]
            if stem not in done.get(name, set())
        ]
        for name, stems in due.items()
        if any(stem not in done.get(name, set()) for stem in stems[: snapshot.mentions])
    }


def answered(chat: Mapping[str, Chat]) -> dict[str, set[str]]:
    """Agent → the messages that it has replied to."""
    done: dict[str, set[str]] = {}
    for stem, message in chat.items():
        if message.reply_to:
            done.setdefault(who(stem), set()).add(message.reply_to)
    return done

"""You in the chat: saying something, and following what is said."""

import os
import sys

from catherd.bus import atomic, yaml_write
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus, now, tidy_text
from catherd.bus.watch import Watch
from catherd.core.errors import CatherdError
from catherd.core.messages import FORMAT, Chat
from catherd.core.turns import who


def say(root: str, text: str, *, to: str = "", binding: bool = False) -> str:
    """Post your message to the chat. Gives its path from the root.

    `to` puts a name before it. `binding` makes it a constraint, which every later ask
    carries.
    """
    bus = _bus_with_a_chat(root)
    text = tidy_text(text)
    if not text.strip():
        raise CatherdError(
            "nothing to say", where="MSG", fix="make say MSG='@gemini why not offline?'"
        )

    if to and f"@{to}" not in text:
        text = f"@{to} {text}"

    at = now()
    path = f"chat/{at.replace('-', '').replace(':', '')}.human.yaml"
    kind = "constraint" if binding else "chat"
    message = Chat(catherd=FORMAT, kind=kind, text=text, at=at)
    atomic.publish(bus.path, path, yaml_write.dumps(message))
    bus.by = "human"
    bus.event("posted", path)
    return f"bus/{path}"


def _bus_with_a_chat(root: str) -> Bus:
    """The bus of the game that is on. Raises CatherdError where none is."""
    bus = Bus(root)
    if not os.path.isdir(bus.here("chat")):
        raise CatherdError(
            "no game is on", where="bus/chat/", fix="make debate begins one"
        )
    return bus


def follow(root: str, teller: Teller) -> None:
    """Print the chat, and what is said from now on, until ^C.

    Piped, it stops as soon as no goal is left.
    """
    bus = _bus_with_a_chat(root)
    told: set[str] = set()
    with Watch(bus.path, ("", "chat"), ()) as watch:
        while os.path.isdir(bus.path):
            _tell_what_is_new(bus, told, teller)
            if not sys.stdout.isatty() and not bus.goal():
                return
            watch.wait(5.0)


def _tell_what_is_new(bus: Bus, told: set[str], teller: Teller) -> None:
    """Print the messages that are not in `told`, and put them there."""
    said = bus.chat()
    for stem, message in said.items():
        if stem in told:
            continue
        told.add(stem)
        answered = who(message.reply_to) if message.reply_to in said else ""
        teller.chat_line(who(stem), message.text, answered)

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
    """Post your message to the chat; its path from the root. `to` puts a name before it; `binding` makes it a constraint."""
    bus = Bus(root)
    if not os.path.isdir(bus.here("chat")):
        raise CatherdError(
            "no game is on", where="bus/chat/", fix="make debate begins one"
        )
    text = tidy_text(text)
    if not text.strip():
        raise CatherdError(
            "nothing to say", where="MSG", fix="make say MSG='@gemini why not offline?'"
        )
    if to and f"@{to}" not in text:
        text = f"@{to} {text}"
    at = now()
    path = f"chat/{at.replace('-', '').replace(':', '')}.human.yaml"
    message = Chat(
        catherd=FORMAT, kind="constraint" if binding else "chat", text=text, at=at
    )
    atomic.publish(bus.path, path, yaml_write.dumps(message))
    bus.by = "human"
    bus.event("posted", path)
    return f"bus/{path}"


def follow(root: str, teller: Teller) -> None:
    """Print the chat and whatever is said from now on, until ^C or until no goal is left and nobody is running."""
    bus = Bus(root)
    told: set[str] = set()
    if not os.path.isdir(bus.here("chat")):
        raise CatherdError(
            "no game is on", where="bus/chat/", fix="make debate begins one"
        )
    with Watch(bus.path, ("", "chat"), ()) as watch:
        while os.path.isdir(bus.path):
            said = bus.chat()
            for stem, message in said.items():
                if stem not in told:
                    told.add(stem)
                    other = who(message.reply_to) if message.reply_to in said else ""
                    teller.chat_line(who(stem), message.text, other)
            if not sys.stdout.isatty() and not bus.goal():
                return
            watch.wait(5.0)

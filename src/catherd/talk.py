"""You in the chat: saying something, and following what is said."""

import os
import re
import sys

from catherd import files, yamldoor
from catherd.bus import Bus, now, tidy
from catherd.errors import CatherdError
from catherd.messages import FORMAT, Chat
from catherd.tell import Teller
from catherd.turns import who
from catherd.watch import Watch


def say(root: str, text: str, *, to: str = "", binding: bool = False) -> str:
    """Post your message to the chat; its path from the root. `to` puts a name before it; `binding` makes it a constraint."""
    bus = Bus(root)
    if not os.path.isdir(bus.here("chat")):
        raise CatherdError("no game is on", where="bus/chat/", fix="make debate begins one")
    text = tidy(text)
    if not text.strip():
        raise CatherdError("nothing to say", where="MSG", fix="make say MSG='@gemini why not offline?'")
    if to and f"@{to}" not in text:
        text = f"@{to} {text}"
    at = now()
    path = f"chat/{at.replace('-', '').replace(':', '')}.human.yaml"
    message = Chat(catherd=FORMAT, kind="constraint" if binding else "chat", text=text, at=at)
    files.publish(bus.path, path, yamldoor.dumps(message))
    bus.by = "human"
    bus.event("posted", path)
    return f"bus/{path}"


def follow(root: str, teller: Teller) -> None:
    """Print the chat and whatever is said from now on, until ^C or until no goal is left and nobody is running."""
    bus = Bus(root)
    told: set[str] = set()
    if not os.path.isdir(bus.here("chat")):
        raise CatherdError("no game is on", where="bus/chat/", fix="make debate begins one")
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


def logged(bus: Bus) -> set[str]:
    """The messages that `chat.log` holds already; none where no file stands there, which is reported."""
    try:
        text = yamldoor.text_of(bus.here("chat.log"), "bus/chat.log", 1 << 30)
    except FileNotFoundError:
        text = ""
    except CatherdError as error:
        bus.broken("chat.log", error)
        return set()
    bus.solved("chat.log")
    return set(re.findall(r"^\[(.+?)\]", text, re.MULTILINE))


def log(bus: Bus) -> None:
    """Bring `chat.log` up to date: the chat as one text for `tail -f`, derived from the messages and never used."""
    have = logged(bus)
    if bus.there("problems/chat.log.yaml"):
        return
    for stem, message in bus.chat().items():
        if stem not in have:
            text = tidy(message.text).replace("\n", " ")
            try:
                files.append(bus.path, "chat.log", f"[{stem}] {who(stem)}: {text}\n")
            except CatherdError as error:  # it was none a moment ago; a file that is only derived ends no game
                bus.broken("chat.log", error)
                return

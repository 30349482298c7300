"""Says in the group chat what the work does: one dry line per event, by the agent concerned.

No model is called for it. The name of a line follows from a time in the file that it is
about, so a line that is said again has a name that is taken. A line names nobody with @,
and nobody answers it.
"""

import re

from catherd.bus import atomic, yaml_read
from catherd.bus.store import Bus, tidy_text
from catherd.core.errors import CatherdError
from catherd.core.messages import Chat
from catherd.core.turns import who as author_of

MARK = "line/"  # what `wrote: turn` of such a message begins with


def remark(bus: Bus, who: str, at: str, about: str, text: str) -> None:
    """Post `text` as `who`, said at `at` (ISO 8601, from the file that it is about)."""
    stem = f"{at.replace('-', '').replace(':', '')}.{who}"
    path = f"chat/{stem}.yaml"
    if at and not bus.there(path):
        words = " ".join(tidy_text(text).replace("@", "").split())[:280]
        bus.post(
            path, Chat(text=words, at=at, wrote={"turn": f"{MARK}{about}"}), agent=who
        )


def logged_chat(bus: Bus) -> set[str]:
    """The messages that `chat.log` holds already; none where no file stands there, which is reported."""
    try:
        text = yaml_read.text_of(bus.here("chat.log"), "bus/chat.log", 1 << 30)
    except FileNotFoundError:
        text = ""
    except CatherdError as error:
        bus.broken("chat.log", error)
        return set()

    bus.solved("chat.log")
    return set(re.findall(r"^\[(.+?)\]", text, re.MULTILINE))


def log_chat(bus: Bus) -> None:
    """Bring `chat.log` up to date: the chat as one text for `tail -f`, derived from the messages and never used."""
    have = logged_chat(bus)
    if bus.there("problems/chat.log.yaml"):
        return
    for stem, message in bus.chat().items():
        if stem not in have:
            text = tidy_text(message.text).replace("\n", " ")
            try:
                atomic.append(
                    bus.path, "chat.log", f"[{stem}] {author_of(stem)}: {text}\n"
                )
            except CatherdError as error:  # it was none a moment ago; a file that is only derived ends no game
                bus.broken("chat.log", error)
                return

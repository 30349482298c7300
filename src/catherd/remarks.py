"""What the work leaves in the group chat: one dry line per event by the agent concerned, at no model call.

The name of a line follows from a time that stands in the file it is about, so that saying it again meets its own name.
A line names nobody with @, and nobody answers it.
"""

from catherd.bus import Bus, tidy
from catherd.messages import Chat

MARK = "line/"  # what `wrote: turn` of such a message begins with


def remark(bus: Bus, who: str, at: str, about: str, text: str) -> None:
    """Post `text` as `who`, said at `at` (ISO 8601, from the file that it is about)."""
    stem = f"{at.replace('-', '').replace(':', '')}.{who}"
    path = f"chat/{stem}.yaml"
    if at and not bus.there(path):
        words = " ".join(tidy(text).replace("@", "").split())[:280]
        bus.post(path, Chat(text=words, at=at, wrote={"turn": f"{MARK}{about}"}), agent=who)

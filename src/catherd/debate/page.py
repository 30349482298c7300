"""One answer of an agent while it is read.

Here are the rules that hold for every kind of answer. On the last try a text that is
too long is cut at its limit, and a part that is missing from a text is let pass. Limits
are in words, as `str.split` counts them.
"""

from typing import Any

import msgspec

from catherd.answers import passages
from catherd.answers.prompts import Card
from catherd.core.messages import Ask


class AnswerPage(msgspec.Struct):
    """An answer while it is read; `errors` are sent back, `notes` were let pass."""

    ask: Ask
    card: Card
    head: dict[str, Any]
    body: str
    last_try: bool
    errors: list[str] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)

    def text(self, key: str) -> str:
        """The value of a key of the front matter as one string; a list is joined."""
        value = self.head.get(key, "")
        if isinstance(value, list):
            return " ".join(str(each) for each in value)
        return str(value).strip()

    def fit(self, what: str, text: str, limit: int) -> str:
        """`text`, if it keeps to its limit; on the last try cut there."""
        count = len(text.split())
        if count <= limit:
            return text
        if not self.last_try:
            self.errors.append(f"{what} has {count} words; the limit is {limit}")
            return text
        self.notes.append(f"{what} had {count} words and was cut at {limit}")
        return passages.cut_words(text, limit)

    def lack(self, error: str) -> None:
        """Note a lack: an error to be mended, but on the last try only a note."""
        if self.last_try:
            self.notes.append(error)
        else:
            self.errors.append(error)

"""The one seam to a model: `complete(request) -> reply`. Rehearsal, LiteLLM and command agents stand behind it."""

from typing import Protocol

import msgspec


class Said(msgspec.Struct, frozen=True):
    """One turn of a conversation; role is "user" or "assistant". `thinking`: see Reply."""

    role: str
    content: str
    thinking: str = ""


class Request(msgspec.Struct, frozen=True):
    """Everything a model is given. A rehearsal sees this and nothing else.

    `turn` is the key of the turn (`debate.round-1.pitch.1`); `system` and `messages` are kept verbatim in the journal.
    `max_tokens` bounds the answer; `deadline_s` is wall-clock seconds for the whole call, retries included.
    """

    agent: str
    turn: str
    model: str
    system: str
    messages: tuple[Said, ...]
    max_tokens: int = 4096
    deadline_s: float = 300.0
    seed: int = 0
    options: dict[str, str] = msgspec.field(
        default_factory=dict
    )  # agents/*.yaml `options:`; api_base, effort …
    phase: str = ""  # whose cap pays; empty: what the turn's name begins with


class Reply(msgspec.Struct, frozen=True):
    """What came back: text, tokens (the prompt's count includes the cached), dollars, seconds, HTTP requests made.

    `finish` is stop, length, filter or refusal; an empty text is an answer that failed, whatever `finish` says. `thinking` is
    what the model thought, as JSON of its vendor's blocks, signed by it: given back to the same model as it is, or not at all.
    """

    text: str
    model: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    requests: int = 0
    finish: str = "stop"
    thinking: str = ""

    def __post_init__(self) -> None:
        # JSON may hold half a character, which no file can: two halves become one, what is left alone U+FFFD.
        whole = self.text.encode("utf-16-le", "surrogatepass").decode(
            "utf-16-le", "replace"
        )
        msgspec.structs.force_setattr(self, "text", whole)


class Model(Protocol):
    """Anything that answers. Raises ModelError when there is no answer to be had."""

    def complete(self, request: Request) -> Reply:
        """The reply to `request`, or ModelError."""
        ...


class ModelError(Exception):
    """A call that gave no answer.

    `kind`: auth, quota, not_found, too_long, refused, unpriced, budget (a person must act), or timeout, unavailable,
    rate_limited (the next try may succeed), lost (too many tries may have been billed), or silent (it will never answer).
    `what` holds no prompt, key or path. `retry_after_s` is what the vendor asked for, if it did; `requests` how many HTTP
    requests were made in vain; `took` what is known of the tokens and dollars that it took all the same.
    """

    def __init__(
        self,
        kind: str,
        what: str,
        *,
        retry_after_s: float | None = None,
        requests: int = 0,
        took: Reply | None = None,
    ) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind, self.what, self.retry_after_s, self.requests = (
            kind,
            what,
            retry_after_s,
            requests,
        )
        self.took = took

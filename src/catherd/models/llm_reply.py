"""What LiteLLM brings back, whole or streamed, as a Reply with what it cost."""

import re
from typing import Any

import msgspec

from catherd.core.model import Reply, Request
from catherd.models.prices import Price, estimate, token_room


class Completion(msgspec.Struct):
    """What a response says; `usage` is LiteLLM's, None if the vendor did not say."""

    text: str = ""
    finish: str = ""
    model: str = ""
    refused: bool = False
    usage: Any = None
    thinking: list[dict[str, Any]] = []


def read_whole(response: Any) -> Completion:
    choice = response.choices[0]
    message = choice.message
    fields = getattr(message, "provider_specific_fields", None) or {}
    refusal = getattr(message, "refusal", None) or fields.get("refusal")
    thinking = getattr(message, "thinking_blocks", None) or []
    return Completion(
        text=_text(message.content),
        finish=choice.finish_reason or "",
        model=response.model or "",
        refused=bool(refusal),
        usage=getattr(response, "usage", None),
        thinking=[dict(block) for block in thinking],
    )


def _text(content: object) -> str:
    return content if isinstance(content, str) else ""


_ENDED = re.compile(
    rb'"(?:finish_reason|stop_reason|finishReason|done_reason)"\s*:\s*"|"done"\s*:\s*true|response\.(?:completed|incomplete)|message-end'
)


class Cut(Exception):
    """A stream that ended without saying why."""


def read_stream(chunks: Any, body: bytearray) -> Completion:
    """The whole of a stream. Raises Cut for one that merely stops.

    LiteLLM ends such a stream as if it were done, so the vendor's own word for the end
    is looked for.
    """
    heard = Completion()
    parts = []
    for chunk in chunks:
        heard.model = heard.model or getattr(chunk, "model", "") or ""
        heard.usage = getattr(chunk, "usage", None) or heard.usage
        if chunk.choices:
            choice = chunk.choices[0]
            parts.append(_text(choice.delta.content))
            _take_delta(heard, choice.delta)
            heard.finish = choice.finish_reason or heard.finish

    if not heard.finish or not _ENDED.search(body):
        raise Cut
    heard.text = "".join(parts)
    return heard


def _take_delta(heard: Completion, delta: Any) -> None:
    """Take in what a part of a stream says beside its text."""
    if getattr(delta, "refusal", None):
        heard.refused = True
    for block in getattr(delta, "thinking_blocks", None) or []:
        # The whole block comes with its signature.
        if block.get("signature") or block.get("data"):
            heard.thinking.append(dict(block))


_FINISH = {
    "stop": "stop",
    "length": "length",
    "content_filter": "filter",
    "tool_calls": "stop",
    "function_call": "stop",
}
# LiteLLM reports these of Anthropic as "stop"; both are answers cut short.
_SHORT = (
    b'"stop_reason":"model_context_window_exceeded"',
    b'"stop_reason":"pause_turn"',
)


def reply_of(request: Request, price: Price, heard: Completion, body: bytes) -> Reply:
    finish = _finish(heard, body)
    usage = heard.usage
    details = getattr(usage, "prompt_tokens_details", None)
    come = _count(usage, "prompt_tokens")
    go = _count(usage, "completion_tokens")
    cached = _count(details, "cached_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    usd = price.usd(come, cached, written, go)
    if come <= 0 or (go <= 0 and heard.text):  # not said: never for nothing
        most = token_room(request.model, request.max_tokens, request.options)
        usd = price.worst(come or estimate(request), most)
    withheld = finish in {"refusal", "filter"} or not heard.text.strip()
    thinking = msgspec.json.encode(heard.thinking).decode() if heard.thinking else ""
    return Reply(
        text="" if withheld else heard.text,
        model=heard.model or request.model,
        prompt_tokens=come,
        cached_tokens=cached,
        completion_tokens=go,
        usd=usd,
        finish=finish,
        thinking=thinking,
    )


def _finish(heard: Completion, body: bytes) -> str:
    """How an answer ended, as a Reply says it."""
    if heard.refused:
        return "refusal"
    finish = _FINISH.get(heard.finish, "stop")
    packed = body.replace(b'": "', b'":"')
    if finish == "stop" and any(mark in packed for mark in _SHORT):
        return "length"
    return finish


def _count(thing: Any, name: str) -> int:
    found = getattr(thing, name, 0)
    return found if isinstance(found, int) and found > 0 else 0

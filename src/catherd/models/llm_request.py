"""A Request as the arguments of LiteLLM.

Nothing is in them that was not asked for, and every limit is explicit.
"""

import itertools
from typing import Any

import msgspec

from catherd.core.model import Request
from catherd.models.prices import token_room

# Characters: Anthropic caches nothing shorter than about a thousand tokens.
_CACHE_FROM = 4000


def streams(request: Request) -> bool:
    """Whether the answer is read as it is written."""
    return request.options.get("stream", "") == "true"


def arguments(request: Request, key: str) -> dict[str, Any]:
    """What LiteLLM is called with."""
    options = request.options
    made: dict[str, Any] = {
        "model": request.model,
        "messages": _messages(request),
        "max_tokens": token_room(request.model, request.max_tokens, options),
        # The transport keeps the time. This is one value for all calls, since LiteLLM
        # caches a client for each value.
        "timeout": 3600.0,
        "num_retries": 0,
        "max_retries": 0,
        "stream": streams(request),
    }
    if streams(request):
        # Without it OpenAI does not say how many tokens it took.
        made["stream_options"] = {"include_usage": True}
    if options.get("api_base"):
        made["api_base"] = options["api_base"]
        if request.model.startswith("anthropic/"):  # LiteLLM adds /v1 again
            made["api_base"] = made["api_base"].rstrip("/").removesuffix("/v1")
        # Many servers of one's own want no key; the SDK wants one.
        made["api_key"] = "none"
    if key:
        made["api_key"] = key
    if "temperature" in options:
        made["temperature"] = float(options["temperature"])
    if "effort" in options:
        made["reasoning_effort"] = options["effort"]
    return made


def _messages(request: Request) -> list[dict[str, Any]]:
    """System first, then the conversation.

    Anthropic alone gets back what its model thought, and marks for its cache.
    """
    said: list[dict[str, Any]] = []
    if request.system:
        said.append({"role": "system", "content": request.system})
    claude = request.model.startswith("anthropic/")
    for message in request.messages:
        made: dict[str, Any] = {"role": message.role, "content": message.content}
        if claude and message.thinking:
            made["thinking_blocks"] = msgspec.json.decode(message.thinking)
        said.append(made)

    if claude:
        _mark_stable(said, request)
    return said


def _mark_stable(said: list[dict[str, Any]], request: Request) -> None:
    """Mark the stable prefix of a conversation for Anthropic's cache.

    The system prompt is marked by itself: it begins the ballot too, and a first call
    that has nothing else to share.
    """
    first = next((message for message in said if message["role"] == "user"), None)
    if first is not None:
        first["content"] = _in_blocks(first["content"], request)
    if request.system and len(request.system) >= _CACHE_FROM:
        said[0]["content"] = [_kept(request.system)]


def _in_blocks(text: str, request: Request) -> str | list[dict[str, Any]]:
    """A text cut where its stable parts end, each of them marked; else as it is."""
    cuts = _cuts(request, len(text))
    if not cuts:
        return text
    ends = itertools.pairwise([0, *cuts, len(text)])
    *stable, rest = [text[start:end] for start, end in ends]
    return [*(_kept(part) for part in stable), {"type": "text", "text": rest}]


def _cuts(request: Request, length: int) -> list[int]:
    """Where the blocks of the first message end; empty while it is too short for one.

    They are the same places as in earlier calls, for only whole blocks are found in a
    cache. Four marks are allowed, one for the system prompt, so the last three count.
    """
    told = request.options.get("stable_chars", "").split(",")
    places = {int(word) for word in told if word.strip().isdecimal()}
    cuts = sorted(place for place in places if 0 < place < length)
    if not cuts or cuts[-1] + len(request.system) < _CACHE_FROM:
        return []
    return cuts[-3:]


def _kept(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}

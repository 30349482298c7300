"""The LiteLLM edge: a Request becomes one call to a vendor, whatever comes back a Reply or a ModelError.

LiteLLM is imported by `_litellm` alone, with its settings made before: no price list or header list from the network, no
`.env`, no telemetry. It only translates: retries, deadlines, prices and the reading of errors are ours (retry, wire, prices).
Nothing of a prompt, a key or a path is in what is raised.
"""

import itertools
import os
import random
import re
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import msgspec

from catherd.core.model import ModelError, Reply, Request
from catherd.models import failures, prices
from catherd.models.failures import PARK_S, TRIES, Failure, RetryVerdict
from catherd.models.prices import EFFORT, Price, estimate, token_room

# What an agent's `options:` may say. Everything else is refused: LiteLLM would drop it or pass it on unseen.
OPTIONS = {
    "api_base": "the server's address, for any that speaks the vendor's protocol",
    "effort": "low, medium or high: how long the model thinks",
    "max_tokens": "of one answer, thinking included",
    "temperature": "a number; left to the vendor if not stated",
    "stream": "true reads the answer as it is written",
    "price": "dollars per million tokens in/out, like 2.50/10.00, or free",
    "stable_chars": "how many characters of the prompt stay the same between calls, or several such places: 900,4000",
}
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?\Z")
_OURS = ("rehearsal", "latency")  # options of the rehearsal: no business of a vendor
_CACHE_FROM = (
    4000  # characters: Anthropic caches nothing shorter than about a thousand tokens
)
_SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else the import fetches a price list from GitHub
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",  # else the first Anthropic call fetches another
    "LITELLM_MODE": "PRODUCTION",  # else the import reads .env of this and every parent directory
    "LITELLM_LOG": "CRITICAL",
    "LITELLM_DISABLE_BUG_REPORT_LINK": "true",
}


class Live:
    """A model behind LiteLLM. `key` is the vendor's (empty: LiteLLM looks into the environment, or the server wants none).

    `backoff` scales our pauses between tries (1.0: 1, 2, 4 … seconds, jittered); `limit` is the largest answer in bytes.
    """

    def __init__(
        self,
        key: str = "",
        *,
        backoff: float = 1.0,
        limit: int = 0,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.key, self.backoff, self.limit, self.draw, self.sleep = (
            key,
            backoff,
            limit,
            draw,
            sleep,
        )

    def complete(self, request: Request) -> Reply:
        """The reply, within `request.deadline_s` in all. Raises ModelError.

        An answer that is empty, refused or filtered is a Reply with empty text: it was paid for. `usd` is the cost by the
        price table; the worst case where the vendor did not say how many tokens it took.
        """
        _checked(request)
        price = prices.price_of(request.model, request.options)
        began, requests = time.monotonic(), 0
        for tried in range(1, TRIES + 1):
            reply, failure, made = self._try(request, price, began + request.deadline_s)
            requests += made
            if reply is not None:
                return msgspec.structs.replace(
                    reply, requests=requests, seconds=round(time.monotonic() - began, 3)
                )
            assert failure is not None  # noqa: S101 - one of the two is there
            verdict = (
                failure
                if isinstance(failure, RetryVerdict)
                else failures.classify(failure)
            )
            asked = (
                failures.retry_after(failure, time.time())
                if isinstance(failure, Failure)
                else None
            )
            wait = failures.delay(tried, asked, self.draw(), self.backoff)
            late = time.monotonic() + wait > began + request.deadline_s
            if not verdict.again or tried == TRIES or late or (asked or 0) > PARK_S:
                raise ModelError(
                    verdict.kind, verdict.what, retry_after_s=asked, requests=requests
                )
            self.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _try(
        self, request: Request, price: Price, deadline: float
    ) -> tuple[Reply | None, Failure | RetryVerdict | None, int]:
        """(reply, what failed instead, HTTP requests made). Never raises an Exception: a traceback would hold the prompt."""
        litellm = _litellm()
        from catherd.models import transport

        if (
            not (self.key or request.options.get("api_base"))
            and litellm.validate_environment(request.model)["missing_keys"]
        ):
            return (
                None,
                RetryVerdict(
                    "auth", "there is no key for this model in the environment"
                ),
                0,
            )
        exchange = transport.Exchange(deadline, self.limit or transport.LIMIT)
        token = transport.current.set(exchange)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydantic's, about LiteLLM's own types
                response = litellm.completion(**_arguments(request, self.key))
                heard = (
                    _streamed(response, exchange.body)
                    if _stream(request)
                    else _whole(response)
                )
            return (
                _reply(request, price, heard, bytes(exchange.body)),
                None,
                exchange.requests,
            )
        except Exception as error:
            if exchange.requests == 0:
                return None, _unsent(error), 0
            body = bytes(exchange.body[:65536]).decode("utf-8", "replace")
            failure = Failure(
                exchange.status,
                exchange.headers,
                body,
                exchange.sent,
                exchange.received,
                exchange.why,
            )
            return None, failure, exchange.requests
        finally:
            transport.current.reset(token)


def live_price(
    model: str, options: dict[str, str] | None = None
) -> tuple[float, float]:
    """(dollars per token in, out). Raises ModelError("unpriced"). Does not import LiteLLM."""
    found = prices.price_of(model, options)
    return found.prompt, found.completion


def worst_case_usd(
    model: str,
    prompt_tokens: int,
    max_tokens: int,
    options: dict[str, str] | None = None,
) -> float:
    """Dollars that one call costs at most: reserve this. `prompt_tokens` from estimate(), `max_tokens` and `options` as in the Request.

    Raises ModelError("unpriced").

    A call that may have been billed is never made again under the same reserve, so retries add nothing.
    """
    return prices.price_of(model, options).worst(
        prompt_tokens, token_room(model, max_tokens, options)
    )


def warm() -> threading.Thread:
    """Import LiteLLM in the background, while the agent reads; the first call waits for what is left of it."""
    thread = threading.Thread(target=_litellm, name="warm", daemon=True)
    thread.start()
    return thread


def _litellm() -> Any:
    """LiteLLM, with every setting made and its HTTP going through the wire. The only import of it."""
    os.environ.update(_SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's, about its own future
        import litellm
    with _once:
        if not isinstance(getattr(litellm, "sync_transport", None), _transport()):
            import httpx

            litellm.suppress_debug_info = True
            litellm.drop_params = False
            litellm.sync_transport = _transport()()
            litellm.client_session = httpx.Client(
                transport=_transport()()
            )  # the OpenAI SDK's way out
    return litellm


_once = threading.Lock()


def _transport() -> Any:
    from catherd.models import transport

    return transport.Transport


def _checked(request: Request) -> None:
    for name, value in request.options.items():
        if name not in OPTIONS and not name.startswith(_OURS):
            raise ModelError(
                "refused",
                f"options: '{name[:40]}' is not known; there are: {', '.join(OPTIONS)}",
            )
        if name == "effort" and value not in EFFORT:
            raise ModelError("refused", "options: effort is low, medium or high")
        if name == "max_tokens" and not (value.isdecimal() and int(value) > 0):
            raise ModelError("refused", "options: max_tokens is a number")
        if name == "temperature" and not _NUMBER.match(value):
            raise ModelError("refused", "options: temperature is a number")


def _stream(request: Request) -> bool:
    return request.options.get("stream", "") == "true"


def _arguments(request: Request, key: str) -> dict[str, Any]:
    """What LiteLLM is called with: nothing that was not asked for, and every limit explicit."""
    options = request.options
    made: dict[str, Any] = {
        "model": request.model,
        "messages": _messages(request),
        "max_tokens": token_room(request.model, request.max_tokens, request.options),
        "timeout": 3600.0,  # the wire keeps the time; one value, or LiteLLM caches a client for each
        "num_retries": 0,
        "max_retries": 0,
        "stream": _stream(request),
    }
    if _stream(request):
        made["stream_options"] = {
            "include_usage": True
        }  # else OpenAI's answer costs nothing
    if options.get("api_base"):
        made["api_base"] = options["api_base"]
        if request.model.startswith("anthropic/"):
            made["api_base"] = (
                made["api_base"].rstrip("/").removesuffix("/v1")
            )  # LiteLLM adds it again
        made["api_key"] = (
            "none"  # many servers of one's own want none; the SDK wants one
        )
    if key:
        made["api_key"] = key
    if "temperature" in options:
        made["temperature"] = float(options["temperature"])
    if "effort" in options:
        made["reasoning_effort"] = options["effort"]
    return made


def _messages(request: Request) -> list[dict[str, Any]]:
    """System first, then the conversation; the stable prefix marked for Anthropic's cache, and for nobody else.

    The system prompt is marked by itself: it begins the ballot too, and a first call that has nothing else to share.
    """
    said: list[dict[str, Any]] = (
        [{"role": "system", "content": request.system}] if request.system else []
    )
    claude = request.model.startswith("anthropic/")
    for m in request.messages:
        thought = (
            {"thinking_blocks": msgspec.json.decode(m.thinking)}
            if claude and m.thinking
            else {}
        )
        said.append({"role": m.role, "content": m.content, **thought})
    if not claude or not said:
        return said
    first = next((m for m in said if m["role"] == "user"), None)
    cuts = _cuts(request, len(first["content"])) if first is not None else []
    if first is not None and cuts:
        parts = [
            first["content"][a:b]
            for a, b in itertools.pairwise([0, *cuts, len(first["content"])])
        ]
        first["content"] = [
            *map(_kept, parts[:-1]),
            {"type": "text", "text": parts[-1]},
        ]
    if len(request.system) >= _CACHE_FROM:
        said[0]["content"] = [_kept(request.system)]
    return said


def _cuts(request: Request, length: int) -> list[int]:
    """Where the blocks of the first message end: the same places as in earlier calls, for only whole blocks are found in a
    cache. None while all of it is too short for one; four marks are allowed, one for the system prompt, so the last three count.
    """
    told = request.options.get("stable_chars", "").split(",")
    cuts = sorted(
        {
            int(word)
            for word in told
            if word.strip().isdecimal() and 0 < int(word) < length
        }
    )
    return cuts[-3:] if cuts and cuts[-1] + len(request.system) >= _CACHE_FROM else []


def _kept(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}


class Completion(msgspec.Struct):
    """What a response says, whole or streamed. `usage` is LiteLLM's, None if the vendor did not say."""

    text: str = ""
    finish: str = ""
    model: str = ""
    refused: bool = False
    usage: Any = None
    thinking: list[dict[str, Any]] = []


def _whole(response: Any) -> Completion:
    choice = response.choices[0]
    message = choice.message
    refusal = getattr(message, "refusal", None) or (
        getattr(message, "provider_specific_fields", None) or {}
    ).get("refusal")
    text = message.content if isinstance(message.content, str) else ""
    usage, thought = (
        getattr(response, "usage", None),
        getattr(message, "thinking_blocks", None) or [],
    )
    return Completion(
        text,
        choice.finish_reason or "",
        response.model or "",
        bool(refusal),
        usage,
        [*map(dict, thought)],
    )


_ENDED = re.compile(
    rb'"(?:finish_reason|stop_reason|finishReason|done_reason)"\s*:\s*"|"done"\s*:\s*true|response\.(?:completed|incomplete)|message-end'
)


class _Cut(Exception):
    """A stream that ended without saying why."""


def _streamed(chunks: Any, body: bytearray) -> Completion:
    """The whole of a stream. LiteLLM ends one that merely stops as if it were done, so the vendor's own word is looked for."""
    heard, parts = Completion(), []
    for chunk in chunks:
        heard.model = heard.model or getattr(chunk, "model", "") or ""
        heard.usage = getattr(chunk, "usage", None) or heard.usage
        for choice in chunk.choices[:1]:
            parts.append(
                choice.delta.content if isinstance(choice.delta.content, str) else ""
            )
            heard.refused = heard.refused or bool(
                getattr(choice.delta, "refusal", None)
            )
            thought = (
                getattr(choice.delta, "thinking_blocks", None) or []
            )  # the whole block comes with its signature
            heard.thinking += [
                dict(block)
                for block in thought
                if block.get("signature") or block.get("data")
            ]
            heard.finish = choice.finish_reason or heard.finish
    if not heard.finish or not _ENDED.search(body):
        raise _Cut
    heard.text = "".join(parts)
    return heard


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


def _reply(request: Request, price: Price, heard: Completion, body: bytes) -> Reply:
    finish = "refusal" if heard.refused else _FINISH.get(heard.finish, "stop")
    packed = body.replace(b'": "', b'":"')
    if finish == "stop" and any(mark in packed for mark in _SHORT):
        finish = "length"
    usage = heard.usage
    come, go = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    cached = _count(getattr(usage, "prompt_tokens_details", None), "cached_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    usd = price.usd(come, cached, written, go)
    if come <= 0 or (go <= 0 and heard.text):  # not said: never for nothing
        most = token_room(request.model, request.max_tokens, request.options)
        usd = price.worst(come or estimate(request), most)
    text = "" if finish in {"refusal", "filter"} else heard.text
    return Reply(
        text=text if text.strip() else "",
        model=heard.model or request.model,
        prompt_tokens=come,
        cached_tokens=cached,
        completion_tokens=go,
        usd=usd,
        finish=finish,
        thinking=msgspec.json.encode(heard.thinking).decode() if heard.thinking else "",
    )


def _count(thing: Any, name: str) -> int:
    found = getattr(thing, name, 0)
    return found if isinstance(found, int) and found > 0 else 0


def _unsent(error: Exception) -> RetryVerdict:
    """A call that LiteLLM itself gave up before anything was sent."""
    status, name = failures.status_of(error), type(error).__name__
    if status == 401 or "Authentication" in name:
        return RetryVerdict("auth", "there is no key for this model in the environment")
    if status in {400, 404}:
        return RetryVerdict(
            "not_found",
            "LiteLLM does not know this vendor or model: write it like openai/gpt-5.5",
        )
    return RetryVerdict("unavailable", f"the call could not be made ({name[:60]})")


__all__ = [
    "OPTIONS",
    "Live",
    "estimate",
    "live_price",
    "token_room",
    "warm",
    "worst_case_usd",
]

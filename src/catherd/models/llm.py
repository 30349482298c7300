"""The LiteLLM edge: a Request becomes one call to a vendor, and what comes back a Reply or a ModelError.

LiteLLM is imported by `_litellm` alone, with its settings made before: no price list or
header list from the network, no `.env`, no telemetry. It only translates. Retries,
deadlines, prices and the reading of errors are ours (`failures`, `transport`, `prices`).
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
from typing import TYPE_CHECKING, Any

import msgspec

from catherd.core.model import ModelError, Reply, Request
from catherd.models import failures, prices
from catherd.models.failures import PARK_S, TRIES, Failure, RetryVerdict
from catherd.models.prices import EFFORT, Price, estimate, token_room

if TYPE_CHECKING:
    from catherd.models.transport import Exchange

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
# Characters: Anthropic caches nothing shorter than about a thousand tokens.
_CACHE_FROM = 4000
# LiteLLM reads these when it is imported.
_SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else the import fetches a price list from GitHub
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",  # else the first Anthropic call fetches another
    "LITELLM_MODE": "PRODUCTION",  # else the import reads .env of this and every parent directory
    "LITELLM_LOG": "CRITICAL",
    "LITELLM_DISABLE_BUG_REPORT_LINK": "true",
}


_NO_KEY = RetryVerdict("auth", "there is no key for this model in the environment")


class _Failed(msgspec.Struct, frozen=True):
    """A try without an answer; `asked` is how many seconds the vendor asks to wait."""

    verdict: RetryVerdict
    asked: float | None = None

    @property
    def again(self) -> bool:
        """Whether another try may help soon."""
        return self.verdict.again and (self.asked or 0) <= PARK_S


class _Try(msgspec.Struct, frozen=True):
    """What came of one try, and how many HTTP requests it made."""

    result: Reply | _Failed
    requests: int = 0


class Live:
    """A model behind LiteLLM.

    `key` is the vendor's. Where it is empty, LiteLLM looks into the environment, or the
    server wants none. `backoff` scales our pauses between tries (1.0: 1, 2, 4 … seconds,
    jittered). `limit` is the largest answer in bytes.
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
        self.key = key
        self.backoff = backoff
        self.limit = limit
        self.draw = draw
        self.sleep = sleep

    def complete(self, request: Request) -> Reply:
        """The reply, within `request.deadline_s` in all. Raises ModelError.

        An answer that is empty, refused or filtered is a Reply with empty text: it was
        paid for. `usd` is the cost by the price table. It is the worst case where the
        vendor did not say how many tokens it took.
        """
        _checked(request)
        price = prices.price_of(request.model, request.options)
        began = time.monotonic()
        deadline = began + request.deadline_s
        requests = 0
        for tried in range(1, TRIES + 1):
            made = self._try(request, price, deadline)
            requests += made.requests
            if isinstance(made.result, Reply):
                seconds = round(time.monotonic() - began, 3)
                return msgspec.structs.replace(
                    made.result, requests=requests, seconds=seconds
                )
            failed = made.result
            wait = failures.delay(tried, failed.asked, self.draw(), self.backoff)
            late = time.monotonic() + wait > deadline
            if late or tried == TRIES or not failed.again:
                raise ModelError(
                    failed.verdict.kind,
                    failed.verdict.what,
                    retry_after_s=failed.asked,
                    requests=requests,
                )
            self.sleep(wait)

        raise AssertionError("the last try returns or raises")

    def _try(self, request: Request, price: Price, deadline: float) -> _Try:
        """One try. Never raises an Exception: a traceback would hold the prompt."""
        litellm = _litellm()
        from catherd.models import transport

        has_key = self.key or request.options.get("api_base")
        if not has_key and litellm.validate_environment(request.model)["missing_keys"]:
            return _Try(_Failed(_NO_KEY))
        exchange = transport.Exchange(deadline, self.limit or transport.LIMIT)
        token = transport.current.set(exchange)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydantic's, about LiteLLM's own types
                response = litellm.completion(**_arguments(request, self.key))
                if _stream(request):
                    heard = _streamed(response, exchange.body)
                else:
                    heard = _whole(response)
            reply = _reply(request, price, heard, bytes(exchange.body))
            return _Try(reply, exchange.requests)
        except Exception as error:
            if exchange.requests == 0:
                return _Try(_Failed(_unsent(error)))
            return _Try(_failed(exchange), exchange.requests)
        finally:
            transport.current.reset(token)


def _failed(exchange: "Exchange") -> _Failed:
    """What to make of an exchange with a vendor that brought no answer."""
    failure = Failure(
        exchange.status,
        exchange.headers,
        bytes(exchange.body[:65536]).decode("utf-8", "replace"),
        exchange.sent,
        exchange.received,
        exchange.why,
    )
    asked = failures.retry_after(failure, time.time())
    return _Failed(failures.classify(failure), asked)


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
    """Dollars that one call costs at most: reserve this. Raises ModelError("unpriced").

    `prompt_tokens` is from estimate(), `max_tokens` and `options` are as in the Request.
    A call that may have been billed is never made again under the same reserve, so
    retries add nothing.
    """
    room = token_room(model, max_tokens, options)
    return prices.price_of(model, options).worst(prompt_tokens, room)


def warm() -> threading.Thread:
    """Import LiteLLM in the background, while the agent reads; the first call waits for what is left of it."""
    thread = threading.Thread(target=_litellm, name="warm", daemon=True)
    thread.start()
    return thread


def _litellm() -> Any:
    """LiteLLM, with every setting made and its HTTP going through `transport`.

    This is the only import of it.
    """
    os.environ.update(_SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's, about its own future
        import litellm
    from catherd.models.transport import Transport

    with _once:
        if not isinstance(getattr(litellm, "sync_transport", None), Transport):
            import httpx

            litellm.suppress_debug_info = True
            litellm.drop_params = False
            litellm.sync_transport = Transport()
            # The OpenAI SDK's way out.
            litellm.client_session = httpx.Client(transport=Transport())
    return litellm


_once = threading.Lock()


def _checked(request: Request) -> None:
    """Raise ModelError("refused") for an option that is unknown or has no meaning."""
    for name, value in request.options.items():
        wrong = _wrong_option(name, value)
        if wrong:
            raise ModelError("refused", f"options: {wrong}")


def _wrong_option(name: str, value: str) -> str:
    """What is wrong with an option; "" if nothing is."""
    if name not in OPTIONS and not name.startswith(_OURS):
        return f"'{name[:40]}' is not known; there are: {', '.join(OPTIONS)}"
    if name == "effort" and value not in EFFORT:
        return "effort is low, medium or high"
    if name == "max_tokens" and not (value.isdecimal() and int(value) > 0):
        return "max_tokens is a number"
    if name == "temperature" and not _NUMBER.match(value):
        return "temperature is a number"
    return ""


def _stream(request: Request) -> bool:
    return request.options.get("stream", "") == "true"


def _arguments(request: Request, key: str) -> dict[str, Any]:
    """What LiteLLM is called with: nothing that was not asked for, and every limit explicit."""
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
        "stream": _stream(request),
    }
    if _stream(request):
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
    """A text cut where its stable parts end, all but the last marked; whole without any."""
    cuts = _cuts(request, len(text))
    if not cuts:
        return text
    ends = itertools.pairwise([0, *cuts, len(text)])
    *stable, rest = [text[start:end] for start, end in ends]
    return [*(_kept(part) for part in stable), {"type": "text", "text": rest}]


def _cuts(request: Request, length: int) -> list[int]:
    """Where the blocks of the first message end; empty while all of it is too short for one.

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


class _Cut(Exception):
    """A stream that ended without saying why."""


def _streamed(chunks: Any, body: bytearray) -> Completion:
    """The whole of a stream. Raises _Cut for one that merely stops.

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
        raise _Cut
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


def _reply(request: Request, price: Price, heard: Completion, body: bytes) -> Reply:
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


def _unsent(error: Exception) -> RetryVerdict:
    """What to make of a call that LiteLLM gave up before anything was sent."""
    status, name = failures.status_of(error), type(error).__name__
    if status == 401 or "Authentication" in name:
        return _NO_KEY
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

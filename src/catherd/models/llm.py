"""The LiteLLM edge: a Request becomes a call to a vendor, and then a Reply.

What is no answer becomes a ModelError.

LiteLLM is imported by `_litellm` alone, with its settings made before: no price list or
header list from the network, no `.env`, no telemetry. It only translates. Retries,
deadlines, prices and the reading of errors are ours (`failures`, `transport`,
`prices`). Nothing of a prompt, a key or a path is in what is raised.
"""

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
from catherd.models.llm_reply import read_stream, read_whole, reply_of
from catherd.models.llm_request import arguments, streams
from catherd.models.prices import EFFORT, Price, estimate, token_room

if TYPE_CHECKING:
    from catherd.models.transport import Exchange

# What an agent's `options:` may say. Everything else is refused: LiteLLM would drop it
# or pass it on unseen.
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
# LiteLLM reads these when it is imported.
_SETTINGS = {
    # Else the import fetches a price list from GitHub.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # Else the first Anthropic call fetches a list of headers.
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    # Else the import reads .env of this and every parent directory.
    "LITELLM_MODE": "PRODUCTION",
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
    server wants none. `backoff` scales our pauses between tries (1.0: 1, 2, 4 …
    seconds, jittered). `limit` is the largest answer in bytes.
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
                response = litellm.completion(**arguments(request, self.key))
                if streams(request):
                    heard = read_stream(response, exchange.body)
                else:
                    heard = read_whole(response)
            reply = reply_of(request, price, heard, bytes(exchange.body))
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
    """(dollars per token in, out), without LiteLLM. Raises ModelError("unpriced")."""
    found = prices.price_of(model, options)
    return found.prompt, found.completion


def worst_case_usd(
    model: str,
    prompt_tokens: int,
    max_tokens: int,
    options: dict[str, str] | None = None,
) -> float:
    """Dollars that one call costs at most: reserve this. Raises ModelError("unpriced").

    `prompt_tokens` is from estimate(), `max_tokens` and `options` are as in the
    Request. A call that may have been billed is never made again under the same
    reserve, so retries add nothing.
    """
    room = token_room(model, max_tokens, options)
    return prices.price_of(model, options).worst(prompt_tokens, room)


def warm() -> threading.Thread:
    """Import LiteLLM in the background, while the agent reads.

    The first call waits for what is left of the import.
    """
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

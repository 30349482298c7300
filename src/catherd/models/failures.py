"""What a failed call means, and whether and when to make it again. Pure.

Classified by the raw HTTP status and the body's own code, never by an exception's class: those differ between releases of
LiteLLM (Anthropic's 529 arrives as 500, OpenAI's 401 as 400). A request that reached the vendor and brought no whole answer
may have been billed: it is never repeated under the same reserve, whoever called decides. What is said about a failure is
made of our own words and the vendor's code word: no prompt, key or path can be in it.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from catherd.core.ledger import MAY_BE_BILLED

TRIES = 6
PARK_S = 300.0  # a vendor that wants a longer pause than this is left alone; the agent is parked

_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529}
_QUOTA = re.compile(
    r"insufficient_quota|credit balance|billing|exceeded your current quota|payment required|out of credits|spending limit"
)
_LONG = re.compile(
    r"context_length_exceeded|context window|maximum context|prompt is too long|too many tokens|input token count|request_too_large|exceeds the context"
)
_POLICY = re.compile(
    r"content_policy|content policy|content_filter|content management policy|safety system|responsibleai|invalid_prompt|usage polic"
)
_KEY = re.compile(
    r"api key not valid|api_key_invalid|invalid_api_key|invalid x-api-key|incorrect api key|authentication"
)
_MODEL = re.compile(
    r"model_not_found|does not exist|not_found_error|unknown model|is not found|not supported for generatecontent|provider not provided"
)
_RETRY_INFO = re.compile(r'"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"')
_WORD = re.compile(
    r"(?=.{3,49}\Z)[A-Za-z]+(?:[_.-][A-Za-z]+)*\Z"
)  # no digits: nearly every key has some


class Failure(msgspec.Struct, frozen=True):
    """What is known of one HTTP exchange that gave no answer.

    `status` is None without response headers; `sent` says that the whole request went out; `why` is "", connect, deadline,
    too_big, redirect or repeated; `body` the first bytes of what came back, used to classify and never shown.
    """

    status: int | None = None
    headers: Mapping[str, str] = {}
    body: str = ""
    sent: bool = False
    received: int = 0
    why: str = ""


class RetryVerdict(msgspec.Struct, frozen=True):
    """`kind` and `what` as in ModelError; `again` whether another try may help and costs nothing twice."""

    kind: str
    what: str
    again: bool = False


def classify(failure: Failure) -> RetryVerdict:
    """What to make of a failure."""
    status, billed = failure.status, f"; {MAY_BE_BILLED}" if failure.sent else ""
    if failure.why == "redirect":
        return RetryVerdict(
            "not_found",
            f"the server redirects elsewhere (HTTP {status}), which is not followed: correct api_base",
        )
    if failure.why == "too_big":
        return RetryVerdict(
            "unavailable", f"the answer is larger than any answer may be{billed}"
        )
    if failure.why == "deadline":
        return RetryVerdict(
            "timeout",
            f"no whole answer in time ({failure.received} bytes came){billed}",
        )
    if failure.why == "connect":
        return RetryVerdict("unavailable", "the server cannot be reached", again=True)
    if status is None:
        return RetryVerdict(
            "unavailable",
            f"the connection was lost before an answer came{billed}",
            again=not failure.sent,
        )
    if 200 <= status < 300:
        return RetryVerdict(
            "unavailable",
            f"the answer was cut off or is not what this vendor sends{billed}",
        )
    return _refused(status, failure.body)


def _refused(status: int, body: str) -> RetryVerdict:
    text, named = body.lower(), _named(status, body)
    if (
        status in {400, 402, 403, 429}
        and (_QUOTA.search(text) or status == 402)
        and not _RETRY_INFO.search(body)
    ):
        return RetryVerdict(
            "quota", f"the account has no credit or quota left ({named})"
        )
    if status == 429:
        return RetryVerdict("rate_limited", f"too many requests ({named})", again=True)
    if status in _AGAIN or status >= 500:
        return RetryVerdict(
            "unavailable",
            f"the vendor is out of order or overloaded ({named})",
            again=status in _AGAIN,
        )
    if status in {401, 403} or (status == 400 and _KEY.search(text)):
        return RetryVerdict(
            "auth", f"the key is missing, wrong or not allowed to do this ({named})"
        )
    if status == 413 or _LONG.search(text):
        return RetryVerdict(
            "too_long", f"the prompt is longer than the model takes ({named})"
        )
    if _POLICY.search(text):
        return RetryVerdict(
            "refused", f"the vendor's content policy refuses the prompt ({named})"
        )
    if status in {404, 410} or _MODEL.search(text):
        return RetryVerdict("not_found", f"there is no such model or address ({named})")
    return RetryVerdict("refused", f"the vendor does not take the request ({named})")


def _named(status: int, body: str) -> str:
    """`HTTP 429, rate_limit_error`: the status and the vendor's own code word, if it is one."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        found = None
    found = found[0] if isinstance(found, list) and found else found
    error = found.get("error", found) if isinstance(found, dict) else None
    words = (
        [error.get(k) for k in ("code", "type", "status")]
        if isinstance(error, dict)
        else []
    )
    word = next((w for w in words if isinstance(w, str) and _WORD.match(w)), "")
    return f"HTTP {status}, {word}" if word else f"HTTP {status}"


def retry_after(failure: Failure, now: float) -> float | None:
    """Seconds that the vendor asks to wait: Retry-After (seconds or a date), retry-after-ms, Gemini's RetryInfo; or None.

    `now` is Unix time in seconds.
    """
    headers = {k.lower(): v for k, v in failure.headers.items()}
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        if "retry-after" in headers:
            value = headers["retry-after"].strip()
            if re.fullmatch(r"\d+(\.\d+)?", value):
                return float(value)
            return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        pass
    found = _RETRY_INFO.search(failure.body)
    return float(found[1]) if found else None


def delay(tried: int, asked: float | None, draw: float, backoff: float = 1.0) -> float:
    """Seconds to wait after the `tried`-th try (1 is the first): what was asked for, or doubling with jitter.

    `draw` is uniform in [0, 1); `backoff` scales our own pauses, never the vendor's.
    """
    own = backoff * min(60.0, 2.0**tried) * (0.5 + draw / 2)
    return max(asked or 0.0, own)


def status_of(error: BaseException) -> int | None:
    """The raw HTTP status: that of the innermost exception in the chain that has one."""
    found, seen = None, set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        value = getattr(at, "status_code", None)
        if isinstance(value, int) and 100 <= value < 600:
            found = value
        at = at.__cause__ or at.__context__
    return found

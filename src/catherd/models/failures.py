"""What a failed call means, and whether and when to make it again.

A call is classified by the raw HTTP status and the body's own code, never by an
exception's class: those differ between releases of LiteLLM (Anthropic's 529 arrives as
500, OpenAI's 401 as 400). A request that reached the vendor and brought no whole answer
may have been billed: it is never repeated under the same reserve; the caller decides.
What is said about a failure is made of our own words and the vendor's code word: no
prompt, key or path can be in it.
"""

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import msgspec

from catherd.core.ledger import MAY_BE_BILLED

TRIES = 6
# A vendor that wants a longer pause than these seconds is left alone; the agent rests.
PARK_S = 300.0

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
# A vendor's code word. It has no digits: nearly every key has some.
_WORD = re.compile(r"(?=.{3,49}\Z)[A-Za-z]+(?:[_.-][A-Za-z]+)*\Z")


class Failure(msgspec.Struct, frozen=True):
    """What is known of one HTTP exchange that gave no answer.

    `status` is None without response headers. `sent` says that the whole request went
    out. `why` is "", connect, deadline, too_big, redirect or repeated. `body` holds the
    first bytes of what came back, used to classify and never shown.
    """

    status: int | None = None
    headers: Mapping[str, str] = {}
    body: str = ""
    sent: bool = False
    received: int = 0
    why: str = ""


class RetryVerdict(msgspec.Struct, frozen=True):
    """What to make of a failure: `kind` and `what` are as in ModelError.

    `again` says that another try may help and costs nothing twice.
    """

    kind: str
    what: str
    again: bool = False


def classify(failure: Failure) -> RetryVerdict:
    """What to make of a failure."""
    status = failure.status
    billed = f"; {MAY_BE_BILLED}" if failure.sent else ""
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


class _Rule(NamedTuple):
    """What a response means to which `applies`, given its status and body."""

    applies: Callable[[int, str], bool]
    kind: str
    what: str
    again: bool = False


def _no_credit(status: int, body: str) -> bool:
    """No money is left; a vendor that says when to come back means a rate limit."""
    if _RETRY_INFO.search(body) or status not in {400, 402, 403, 429}:
        return False
    return status == 402 or _says(_QUOTA, body)


def _too_many(status: int, _: str) -> bool:
    return status == 429


def _overloaded(status: int, _: str) -> bool:
    return status in _AGAIN


def _broken(status: int, _: str) -> bool:
    return status >= 500


def _bad_key(status: int, body: str) -> bool:
    return status in {401, 403} or (status == 400 and _says(_KEY, body))


def _too_long(status: int, body: str) -> bool:
    return status == 413 or _says(_LONG, body)


def _against_policy(_: int, body: str) -> bool:
    return _says(_POLICY, body)


def _no_model(status: int, body: str) -> bool:
    return status in {404, 410} or _says(_MODEL, body)


def _any(_status: int, _body: str) -> bool:
    return True


def _says(pattern: re.Pattern[str], body: str) -> bool:
    return pattern.search(body.lower()) is not None


_OUT_OF_ORDER = "the vendor is out of order or overloaded"
# The first rule that applies counts.
_RULES = (
    _Rule(_no_credit, "quota", "the account has no credit or quota left"),
    _Rule(_too_many, "rate_limited", "too many requests", again=True),
    _Rule(_overloaded, "unavailable", _OUT_OF_ORDER, again=True),
    _Rule(_broken, "unavailable", _OUT_OF_ORDER),
    _Rule(_bad_key, "auth", "the key is missing, wrong or not allowed to do this"),
    _Rule(_too_long, "too_long", "the prompt is longer than the model takes"),
    _Rule(_against_policy, "refused", "the vendor's content policy refuses the prompt"),
    _Rule(_no_model, "not_found", "there is no such model or address"),
    _Rule(_any, "refused", "the vendor does not take the request"),
)


def _refused(status: int, body: str) -> RetryVerdict:
    """What a response that is no answer means."""
    rule = next(rule for rule in _RULES if rule.applies(status, body))
    what = f"{rule.what} ({_named(status, body)})"
    return RetryVerdict(rule.kind, what, again=rule.again)


def _named(status: int, body: str) -> str:
    """`HTTP 429, rate_limit_error`: the status and, if it has one, its code word."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        found = None

    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, dict):
        found = found.get("error", found)
    if isinstance(found, dict):
        for key in ("code", "type", "status"):
            word = found.get(key)
            if isinstance(word, str) and _WORD.match(word):
                return f"HTTP {status}, {word}"

    return f"HTTP {status}"


def retry_after(failure: Failure, now: float) -> float | None:
    """Seconds that the vendor asks to wait, or None.

    They stand in Retry-After (seconds or a date), retry-after-ms or Gemini's RetryInfo.
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
    """Seconds to wait after the `tried`-th try (1 is the first).

    It is what was asked for, or a pause that doubles, with jitter, if that is longer.
    `draw` is uniform in [0, 1); `backoff` scales our own pauses, never the vendor's.
    """
    own = backoff * min(60.0, 2.0**tried) * (0.5 + draw / 2)
    return max(asked or 0.0, own)


def status_of(error: BaseException) -> int | None:
    """The raw HTTP status, of the innermost exception in the chain that has one."""
    found, seen = None, set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        value = getattr(at, "status_code", None)
        if isinstance(value, int) and 100 <= value < 600:
            found = value
        at = at.__cause__ or at.__context__

    return found

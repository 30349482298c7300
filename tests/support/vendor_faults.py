"""The faults of vendors, as a table: what the server does, and what must come of it. Run by test_llm.py and bench/faults.py."""

from collections.abc import Callable

import msgspec

from catherd.core.model import ModelError, Request, Said
from catherd.models.llm import Live
from support.vendors import Fault, Say, Seen, Vendors

MODELS = {
    "openai": "openai/gpt-5.5",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
}
BILLED = "it may have been billed"
ALWAYS = 99
INFO = (
    b'{"error": {"code": 429, "message": "quota exceeded, retry", "status": "RESOURCE_EXHAUSTED", "details": '
    b'[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.02s"}]}}'
)


class Case(msgspec.Struct, frozen=True):
    """`fault` for the first `times` requests. `outcome`: "answer", "empty:<finish>" (asked again by the caller) or an error's kind.

    `requests`: how many HTTP requests; `billed`: whether the error says that it may have been; `only`: for some vendors.
    """

    name: str
    fault: Fault
    outcome: str
    requests: int = 1
    times: int = ALWAYS
    billed: bool = False
    only: tuple[str, ...] = ("openai", "anthropic", "gemini")
    deadline_s: float = 90.0
    comes: str = ""  # what follows: for the table that people read


PERSON, AGAIN, LATER = (
    "you are told; the game goes on without it",
    "asked again with the error, twice; then abstains",
    "the turn is tried again",
)

CASES = [
    Case("401 wrong key", Fault(401, "authentication_error"), "auth", comes=PERSON),
    Case("400 key not valid", Fault(400, "API_KEY_INVALID"), "auth", only=("gemini",), comes=PERSON),
    Case("402 payment required", Fault(402), "quota", only=("openai",), comes=PERSON),
    Case("403 forbidden", Fault(403, "permission_error"), "auth", comes=PERSON),
    Case("404 no such model", Fault(404, "not_found_error"), "not_found", comes=PERSON),
    Case("408 for ever", Fault(408), "unavailable", 6, comes=LATER),
    Case("408 once", Fault(408), "answer", 2, 1),
    Case("413 too large", Fault(413, "request_too_large"), "too_long", comes=PERSON),
    Case("422 not understood", Fault(422, "invalid_request_error"), "refused", comes=PERSON),
    Case("429 for ever", Fault(429, "rate_limit_error"), "rate_limited", 6, comes=LATER),
    Case("429 twice", Fault(429, "rate_limit_error"), "answer", 3, 2),
    Case("429 with Retry-After", Fault(429, "rate_limit_error", {"retry-after": "0.02"}), "answer", 2, 1),
    Case("429, Retry-After beyond the timebox", Fault(429, "rate_limit_error", {"retry-after": "60"}), "rate_limited", deadline_s=20.0, comes=LATER),
    Case("429, Retry-After of an hour", Fault(429, "rate_limit_error", {"retry-after": "3600"}), "rate_limited", deadline_s=7200, comes=LATER),
    Case("429 with RetryInfo in the body", Fault(429, body=INFO), "answer", 2, 1, only=("gemini",)),
    Case("429 no quota left", Fault(429, "insufficient_quota"), "quota", comes=PERSON),
    Case("500 for ever", Fault(500), "unavailable", 6, comes=LATER),
    Case("500 once", Fault(500), "answer", 2, 1),
    Case("502 as HTML", Fault(502, body=b"<html><h1>Bad gateway</h1></html>", kind="text/html"), "answer", 3, 2),
    Case("503 once", Fault(503, "UNAVAILABLE"), "answer", 2, 1),
    Case("529 overloaded", Fault(529, "overloaded_error"), "answer", 3, 2),
    Case("context too long", Fault(400, "context_length_exceeded"), "too_long", comes=PERSON),
    Case("content policy", Fault(400, "content_policy_violation"), "refused", comes=PERSON),
    Case("answer filtered", Fault(say=Say("x", "filter")), "empty:filter", comes=AGAIN),
    Case("refusal", Fault(say=Say("x", "refusal")), "empty:refusal", only=("openai",), comes=AGAIN),
    Case("refusal", Fault(say=Say("x", "refusal")), "empty:filter", only=("anthropic", "gemini"), comes=AGAIN),
    Case("empty content", Fault(say=Say("x", "empty")), "empty:stop", comes=AGAIN),
    Case("blank content", Fault(say=Say(" \n\t")), "empty:stop", comes=AGAIN),
    Case("choices: []", Fault(say=Say("x", "none")), "unavailable", billed=True, only=("openai",), comes=LATER),
    Case("candidates: []", Fault(say=Say("x", "none")), "unavailable", billed=True, only=("gemini",), comes=LATER),
    Case("malformed tool call", Fault(say=Say("x", "tool")), "empty:stop", comes=AGAIN),
    Case("cut by max_tokens", Fault(say=Say("half an answ", "length")), "answer:length", comes="read, and asked again if it is not whole"),
    Case("window full", Fault(say=Say("half", "model_context_window_exceeded")), "answer:length", only=("anthropic",)),
    Case("body cut off", Fault(cut=60), "unavailable", billed=True, comes=LATER),
    Case("broken JSON", Fault(body=b'{"choices": [{"mess'), "unavailable", billed=True, comes=LATER),
    Case("empty body", Fault(body=b""), "unavailable", billed=True, comes=LATER),
    Case("wrong content type", Fault(body=b"<html>Welcome</html>", kind="text/html"), "unavailable", billed=True, comes=LATER),
    Case("connection dropped", Fault(drop=True), "unavailable", billed=True, comes=LATER),
    Case("silence", Fault(hold=True), "timeout", billed=True, deadline_s=0.8, comes=LATER),
    Case("dripping body", Fault(drip=1, pause=0.02), "timeout", billed=True, deadline_s=0.8, comes=LATER),
    Case("redirect", Fault(302, headers={"location": "http://127.0.0.1:9/elsewhere"}), "not_found", comes=PERSON),
    Case("100 MB body", Fault(huge=100 * 1024 * 1024), "unavailable", billed=True, comes=LATER),
]  # fmt: skip

STREAMED = [
    Case("stream cut", Fault(cut=400), "unavailable", billed=True, comes=LATER),
    Case("stream that stops early", Fault(early=430), "unavailable", billed=True, comes=LATER),
    Case("stream dripping", Fault(drip=2, pause=0.02), "timeout", billed=True, deadline_s=0.8, comes=LATER),
    Case("stream of 100 MB", Fault(huge=100 * 1024 * 1024, kind="text/event-stream"), "unavailable", billed=True, comes=LATER),
    Case("429 before the stream", Fault(429, "rate_limit_error"), "answer", 2, 1),
    Case("stream filtered", Fault(say=Say("x", "filter")), "empty:filter", comes=AGAIN),
    Case("stream cut by max_tokens", Fault(say=Say("half", "length")), "answer:length"),
    Case("stream broken", Fault(body=b'data: {"choices": [{\n\n', kind="text/event-stream"), "unavailable", billed=True, comes=LATER),
]  # fmt: skip

SECRET = "PROMPT-ECHO the plans of the cat"


class Outcome(msgspec.Struct, frozen=True):
    """What came of a case: `outcome` as in Case, HTTP requests as counted by the server and by us, and what was said."""

    outcome: str
    served: int
    counted: int
    said: str


def run(case: Case, vendor: str, *, stream: bool = False) -> Outcome:
    """Run one case through real LiteLLM on a server of its own."""
    left = [case.times]

    def faults(_seen: Seen) -> Fault | None:
        left[0] -= 1
        return case.fault if left[0] >= 0 else None

    with Vendors(
        lambda _seen: "An answer that is long enough to be cut. " * 20, faults
    ) as server:
        options = {
            "api_base": server.base(vendor),
            **({"stream": "true"} if stream else {}),
        }
        request = Request(
            "a",
            "t",
            MODELS[vendor],
            "You are a cat.",
            (Said("user", SECRET),),
            500,
            case.deadline_s,
            0,
            options,
        )
        outcome, counted, said = attempt(
            Live("sk-loopback-secret", backoff=0.001, draw=lambda: 0.0).complete,
            request,
        )
        return Outcome(outcome, len(server.seen), counted, said)


def attempt(
    complete: Callable[[Request], object], request: Request
) -> tuple[str, int, str]:
    """(outcome, requests, what was said)."""
    try:
        reply = complete(request)
    except ModelError as error:
        return error.kind, error.requests, error.what
    text, finish, requests = (
        getattr(reply, "text", ""),
        getattr(reply, "finish", ""),
        getattr(reply, "requests", 0),
    )
    if not text:
        return f"empty:{finish}", requests, ""
    return ("answer" if finish == "stop" else f"answer:{finish}"), requests, ""


def rows() -> list[tuple[Case, str, bool]]:
    """Every case with its vendor and whether it is streamed."""
    plain = [(case, vendor, False) for case in CASES for vendor in case.only]
    return plain + [(case, vendor, True) for case in STREAMED for vendor in case.only]

"""The LiteLLM edge against loopback vendors: real LiteLLM, real HTTP, real faults."""

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from catherd.answers.journal import converse
from catherd.bus.store import Bus
from catherd.core.ledger import MAY_BE_BILLED
from catherd.core.messages import Answer
from catherd.core.model import ModelError, Reply, Request, Said
from catherd.models import failures, llm
from catherd.models.failures import Failure
from catherd.models.llm import Live, _litellm
from support.vendor_faults import CASES, MODELS, SECRET, STREAMED, Case, run
from support.vendors import Fault, Say, Vendors, tokens

pytestmark = pytest.mark.vendors

ROOT = Path(__file__).parents[2]
OUTSIDE: list[str] = []


def _audit(event: str, args: tuple[object, ...]) -> None:
    if (
        event == "socket.connect"
        and isinstance(args[1], tuple)
        and args[1][0] not in {"127.0.0.1", "::1"}
    ):
        OUTSIDE.append(f"connect {args[1]}")
    elif event == "socket.getaddrinfo" and args[0] not in {
        "127.0.0.1",
        "localhost",
        None,
    }:
        OUTSIDE.append(f"look up {args[0]}")
    elif (
        event == "open"
        and args[1] in {"r", "rb", None}
        and os.path.basename(str(args[0])) == ".env"
    ):
        OUTSIDE.append(f"open {args[0]}")


sys.addaudithook(_audit)


@pytest.fixture(autouse=True)
def _nothing_goes_outside() -> Iterator[None]:
    OUTSIDE.clear()  # the hook hears the whole process, other files' tests too
    yield
    assert OUTSIDE == []


def request(vendor: str, server: Vendors, **more: object) -> Request:
    options = {"api_base": server.base(vendor), **dict(more.pop("options", {}))}  # type: ignore[call-overload]
    words = {
        "model": MODELS[vendor],
        "system": "You are a cat.",
        "messages": (Said("user", "Speak."),),
        "max_tokens": 300,
        **more,
    }
    return Request(agent="a", turn="t", options=options, deadline_s=90.0, **words)  # type: ignore[arg-type]


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("vendor", MODELS)
def test_every_vendor_answers_and_the_count_is_the_vendors_own(
    vendor: str, stream: str
) -> None:
    text = "Meow. " * 60
    with Vendors(lambda _: text) as server:
        reply = Live("sk-key").complete(
            request(vendor, server, options={"stream": stream})
        )
        seen = server.seen[0]
        assert (seen.system, seen.messages, seen.max_tokens, seen.stream) == (
            "You are a cat.",
            (Said("user", "Speak."),),
            llm.token_room(MODELS[vendor], 300),
            stream == "true",
        )
        assert seen.key == "sk-key"
        assert server.tokens == (reply.prompt_tokens, reply.completion_tokens)
    come, go = llm.live_price(MODELS[vendor])
    assert reply == Reply(
        text=text,
        model=reply.model,
        prompt_tokens=tokens("You are a cat.") + tokens("Speak."),
        completion_tokens=tokens(text),
        usd=reply.prompt_tokens * come + reply.completion_tokens * go,
        seconds=reply.seconds,
        requests=1,
    )


@pytest.mark.parametrize("stream", ["false", "true"])
def test_openai_is_spoken_to_through_responses_too(stream: str) -> None:
    with Vendors(lambda _: "Meow.") as server:
        reply = Live("k").complete(
            request(
                "openai",
                server,
                model="openai/responses/gpt-5.5",
                options={"stream": stream},
            )
        )
        assert (server.seen[0].path, server.seen[0].max_tokens, reply.text) == (
            "/v1/responses",
            6444,
            "Meow.",
        )
        assert server.tokens == (reply.prompt_tokens, reply.completion_tokens)


@pytest.mark.parametrize(
    ("case", "vendor", "stream"),
    [(c, v, False) for c in CASES for v in c.only]
    + [(c, v, True) for c in STREAMED for v in c.only],
    ids=lambda x: x.name if isinstance(x, Case) else str(x),
)
def test_each_fault_of_a_vendor_ends_in_its_outcome(
    case: Case, vendor: str, stream: bool
) -> None:
    found = run(case, vendor, stream=stream)
    assert (found.outcome, found.served, found.counted) == (
        case.outcome,
        case.requests,
        case.requests,
    )
    assert (MAY_BE_BILLED in found.said) == case.billed
    for secret in (SECRET, "PROMPT-ECHO", "sk-", "/home", "127.0.0.1"):
        assert secret not in found.said


def test_a_server_that_is_not_there_is_tried_again_and_then_unavailable() -> None:
    with Vendors(lambda _: "x") as server:
        gone = request("anthropic", server)
    waits: list[float] = []
    with pytest.raises(ModelError) as error:
        Live("k", backoff=0.001, draw=lambda: 0.0, sleep=waits.append).complete(gone)
    assert str(error.value) == "unavailable: the server cannot be reached"
    assert (len(waits), error.value.requests) == (5, 6)
    assert error.value.__cause__ is None
    assert error.value.__context__ is None


def test_pauses_double_with_jitter_and_never_undercut_what_the_vendor_asked_for() -> (
    None
):
    assert [failures.delay(n, None, 0.0) for n in (1, 2, 3, 8)] == [1.0, 2.0, 4.0, 30.0]
    assert [
        failures.delay(n, None, 0.999, backoff=0.1) <= 0.1 * 2**n for n in (1, 2, 3)
    ] == [True, True, True]
    assert failures.delay(1, 17.0, 0.5) == 17.0


@pytest.mark.parametrize(
    ("headers", "body", "asked"),
    [
        ({"Retry-After": "7"}, "", 7.0),
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after-ms": "250"}, "", 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, "", 50.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, "", 0.0),
        ({"retry-after": "soon"}, "", None),
        ({}, '{"details": [{"retryDelay": "17s"}]}', 17.0),
        ({}, "", None),
    ],
)
def test_the_pause_that_a_vendor_asks_for_is_read_wherever_it_stands(
    headers: dict[str, str], body: str, asked: float | None
) -> None:
    assert failures.retry_after(Failure(429, headers, body), now=10.0) == asked


def test_the_innermost_status_of_a_chain_of_exceptions_counts() -> None:
    class Http(Exception):
        def __init__(self, status_code: int) -> None:
            self.status_code = status_code

    outer = Http(500)
    outer.__context__ = Http(529)
    outer.__context__.__context__ = outer
    assert failures.status_of(outer) == 529
    assert failures.status_of(ValueError()) is None


def test_a_paid_model_without_a_price_is_never_called() -> None:
    unknown = "unpriced: the price of this model is unknown: state it as options: price: 2.50/10.00 (dollars per million tokens, in/out)"
    wrong = "unpriced: options: price is 'free' or dollars per million tokens in and out, like 2.50/10.00"
    with Vendors(lambda _: "x") as server:
        for model in (
            "openai/gpt-99",
            "anthropic/claude-unheard-of",
            "gemini/nothing",
            "nobody/x",
            "x",
        ):
            with pytest.raises(ModelError) as error:
                Live("k").complete(request("openai", server, model=model))
            assert str(error.value) == unknown
        for stated in ("0/0", "cheap", "1", "0/5", "-1/2"):
            with pytest.raises(ModelError) as error:
                Live("k").complete(request("openai", server, options={"price": stated}))
            assert str(error.value) == wrong
        assert server.seen == []


def test_a_stated_price_counts_and_a_model_of_ones_own_may_be_free() -> None:
    with Vendors(lambda _: "Meow meow meow.") as server:
        paid = Live("k").complete(
            request(
                "openai", server, model="openai/mine", options={"price": "2.50/10.00"}
            )
        )
        free = Live("").complete(
            request("openai", server, model="openai/mine", options={"price": "free"})
        )
        known = Live("").complete(request("openai", server, options={"price": "free"}))
        for model in MODELS.values():
            with pytest.raises(ModelError) as error:
                llm.worst_case_usd(model, 1000, 1000, {"price": "free"})
            assert str(error.value) == (
                "unpriced: this model costs money at its vendor: options: price: free needs api_base: beside it, the server of your own"
            )
    assert (
        llm.worst_case_usd("ollama/llama9", 1000, 1000, {"price": "free"}),
        known.usd,
    ) == (0.0, 0.0)
    assert paid.usd == pytest.approx(
        paid.prompt_tokens * 2.5e-6 + paid.completion_tokens * 10e-6
    )
    assert (free.usd, free.text) == (0.0, "Meow meow meow.")


def test_the_reserve_is_never_less_than_what_a_call_can_cost() -> None:
    for vendor, model in MODELS.items():
        for text in ("word " * 2000, "猫" * 3000, "x=[];" * 1000, "\u202f" * 500):
            with Vendors(lambda seen: "y " * 2 * seen.max_tokens) as server:
                asked = request(vendor, server, messages=(Said("user", text),))
                reply = Live("k").complete(asked)
            assert reply.completion_tokens == llm.token_room(model, asked.max_tokens)
            assert reply.usd <= llm.worst_case_usd(
                model, llm.estimate(asked), asked.max_tokens
            )


DENSE = {
    "an SVG path": "M12.3,4.5L6.78,9.01C2.3,4.5,6.7,8.9,1,2.3 " * 60,
    "digits": "1234567890,987654,3.14159\n" * 60,
    "Amharic": "ሰላም ለዓለም " * 60,
    "emoji": "🦊🐈" * 60,
    "base64": base64.b64encode(bytes(n * n % 251 for n in range(2000))).decode(),
    "minified": "function(a,b){return!a||b?{x:1}:[];}" * 60,
}


@pytest.mark.parametrize("kind", DENSE)
def test_the_reserve_holds_whatever_text_a_real_tokenizer_counts(kind: str) -> None:
    """Counted by a tokenizer of a vendor, which comes with LiteLLM; the longest answer and what it thinks beside it."""
    encode, words = _litellm().encoding.encode, DENSE[kind]
    come = (
        len(encode("You are a cat.")) + len(encode(words)) + 11
    )  # what a vendor puts around two messages
    with Vendors(
        None, lambda seen: Fault(body=_completion("hi", come, seen.max_tokens))
    ) as server:
        asked = request("openai", server, messages=(Said("user", words),))
        reply = Live("k").complete(asked)
    assert reply.prompt_tokens == come
    assert reply.usd <= llm.worst_case_usd(
        asked.model, llm.estimate(asked), asked.max_tokens
    )
    assert llm.estimate(asked) >= len(
        words.encode()
    )  # where a tokenizer knows no longer piece, a byte is a token


def _completion(text: str, come: int, go: int | None) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": come, "total_tokens": come} | (
        {} if go is None else {"completion_tokens": go}
    )
    whole = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }
    return json.dumps(whole).encode()


def test_a_vendor_that_does_not_say_what_it_took_is_counted_at_the_worst() -> None:
    body = b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
    for said, come in (
        (body, 0),
        (_completion("hi", 1000, 0), 1000),
        (_completion("hi", 1000, None), 1000),
    ):
        with Vendors(None, lambda _, said=said: Fault(body=said)) as server:  # type: ignore[misc]
            asked = request("openai", server)
            reply = Live("k").complete(asked)
        worst = llm.worst_case_usd(
            asked.model, come or llm.estimate(asked), asked.max_tokens
        )
        assert (reply.text, reply.usd) == ("hi", worst)


def test_an_answer_without_words_may_have_taken_none() -> None:
    with Vendors(None, lambda _: Fault(body=_completion("", 1000, 0))) as server:
        reply = Live("k").complete(request("openai", server))
    assert reply.text == ""
    assert reply.usd == pytest.approx(1000 * llm.live_price(MODELS["openai"])[0])


def test_only_anthropic_is_told_what_to_cache_and_what_is_cached_costs_less() -> None:
    long = "You are a cat. " * 400
    with Vendors(lambda _: Say("Meow.", cached=1000)) as server:
        prices = {}
        for vendor in MODELS:
            Live("k").complete(request(vendor, server, system=long))
            reply = Live("k").complete(
                request(
                    vendor,
                    server,
                    messages=(Said("user", "a" * 5000 + "b"),),
                    options={"stable_chars": "5000"},
                )
            )
            prices[vendor] = (
                reply.prompt_tokens,
                reply.cached_tokens,
                reply.usd < reply.prompt_tokens * llm.live_price(MODELS[vendor])[0],
            )
        bodies = [str(seen.body) for seen in server.seen]
        assert ["cache_control" in body for body in bodies] == [
            False,
            False,
            True,
            True,
            False,
            False,
        ]
        assert [
            p["text"][-1] for p in server.seen[3].body["messages"][0]["content"]
        ] == ["a", "b"]
        assert {
            seen.messages[-1].content
            for seen in server.seen
            if "b" in seen.messages[-1].content
        } == {"a" * 5000 + "b"}
    assert prices == dict.fromkeys(
        MODELS, (tokens("a" * 5001) + tokens("You are a cat."), 1000, True)
    )


def test_a_long_system_prompt_is_marked_beside_the_places_and_four_marks_are_never_exceeded() -> (
    None
):
    with Vendors(lambda _: "x") as server:
        for told in ({}, {"stable_chars": "100,200,300,400"}):
            Live("k").complete(
                request(
                    "anthropic",
                    server,
                    system="s" * 4000,
                    messages=(Said("user", "u" * 500),),
                    options=told,
                )
            )
        marks = [
            [
                str(seen.body[part]).count("cache_control")
                for part in ("system", "messages")
            ]
            for seen in server.seen
        ]
        assert marks == [[1, 0], [1, 3]]
        assert [
            len(part["text"]) for part in server.seen[1].body["messages"][0]["content"]
        ] == [200, 100, 100, 100]


def test_several_places_make_blocks_that_a_later_call_finds_again() -> None:
    words = "a" * 4500 + "b" * 3000 + "c" * 100
    with Vendors(lambda _: "x") as server:
        for cuts in ("4500", "4500,7500"):
            asked = request(
                "anthropic",
                server,
                messages=(Said("user", words),),
                options={"stable_chars": cuts},
            )
            Live("k").complete(asked)
        blocks = [seen.body["messages"][0]["content"] for seen in server.seen]
    assert [
        [(len(part["text"]), "cache_control" in part) for part in one] for one in blocks
    ] == [
        [(4500, True), (3100, False)],
        [(4500, True), (3000, True), (100, False)],
    ]


THOUGHT = [
    {"type": "thinking", "thinking": "Hm: “so”.\n", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "AAAA"},
]


def _thinking(stream: bool) -> Fault:
    """Anthropic's answer of a model that thought twice before it spoke, whole or as its events."""
    start: dict[str, Any] = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
    }
    usage = {"input_tokens": 10, "output_tokens": 20}
    if not stream:
        content = [*THOUGHT, {"type": "text", "text": "no"}]
        return Fault(
            body=json.dumps(
                start | {"content": content, "stop_reason": "end_turn", "usage": usage}
            ).encode()
        )
    deltas: list[tuple[dict[str, str], list[dict[str, str]]]] = [
        ({"type": "thinking", "thinking": "", "signature": ""}, [{"type": "thinking_delta", "thinking": "Hm: "},
         {"type": "thinking_delta", "thinking": "“so”.\n"}, {"type": "signature_delta", "signature": "c2ln"}]),
        (THOUGHT[1], []),
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "no"}]),
    ]  # fmt: skip
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": start | {"usage": usage}}
    ]
    for n, (block, parts) in enumerate(deltas):
        events.append(
            {"type": "content_block_start", "index": n, "content_block": block}
        )
        events += [
            {"type": "content_block_delta", "index": n, "delta": part} for part in parts
        ]
        events.append({"type": "content_block_stop", "index": n})
    events.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 20},
        }
    )
    events.append({"type": "message_stop"})
    body = "".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events
    )
    return Fault(body=body.encode(), kind="text/event-stream")


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_model_thought_is_journalled_and_given_back_to_it_as_it_was(
    stream: bool, tmp_path: Path
) -> None:
    (tmp_path / "bus" / ".tmp").mkdir(parents=True)
    bus = Bus(str(tmp_path))
    with Vendors(
        lambda _: "yes", lambda seen: _thinking(stream) if seen.n == 1 else None
    ) as server:
        asked = request(
            "anthropic",
            server,
            options={"effort": "low", "stream": str(stream).lower()},
        )

        def reread(text: str, _last: bool) -> str:
            return "" if text == "yes" else "say yes"

        for _ in range(2):  # the second time from the journal alone
            assert converse(bus, Live("k"), asked, lambda _r: 0.0, reread) == "yes"
        other = msgspec.structs.replace(asked, model="anthropic/claude-opus-5-5")
        (tmp_path / "bus/runs/a/t.2.yaml").unlink()
        (tmp_path / "bus/runs/a/t.2.answer.yaml").unlink()
        assert converse(bus, Live("k"), other, lambda _r: 0.0, reread) == "yes"
        given = [list(seen.body["messages"][1]["content"]) for seen in server.seen[1:]]
    answer = bus.must("runs/a/t.1.answer.yaml", Answer)
    assert (answer.text, json.loads(answer.thinking)) == ("no", THOUGHT)
    assert given == [
        [*THOUGHT, {"type": "text", "text": "no"}],
        [{"type": "text", "text": "no"}],
    ]


def test_what_an_agent_may_not_set_is_refused_before_anything_is_sent() -> None:
    with Vendors(lambda _: "x") as server:
        for options, said in (
            (
                {"tools": "[]"},
                f"refused: options: 'tools' is not known; there are: {', '.join(llm.OPTIONS)}",
            ),
            ({"effort": "insane"}, "refused: options: effort is low, medium or high"),
            ({"max_tokens": "lots"}, "refused: options: max_tokens is a number"),
            ({"max_tokens": "²"}, "refused: options: max_tokens is a number"),
            ({"temperature": "hot"}, "refused: options: temperature is a number"),
            ({"temperature": "²"}, "refused: options: temperature is a number"),
            ({"temperature": "."}, "refused: options: temperature is a number"),
        ):
            with pytest.raises(ModelError) as error:
                Live("k").complete(request("openai", server, options=options))
            assert str(error.value) == said
        assert server.seen == []
        Live("k").complete(
            request(
                "gemini", server, options={"temperature": "0.3", "rehearsal": "slow"}
            )
        )
        assert "0.3" in str(server.seen[0].body)


def test_there_is_room_to_think_for_models_that_think_and_the_reserve_knows_it() -> (
    None
):
    assert {m: llm.token_room(m, 400) for m in MODELS.values()} == {
        "openai/gpt-5.5": 6544,
        "anthropic/claude-sonnet-4-5": 400,
        "gemini/gemini-2.5-flash": 6544,
    }
    assert (
        llm.token_room("anthropic/claude-sonnet-4-5", 400, {"effort": "high"}) == 16784
    )
    assert (
        llm.token_room("openai/gpt-5.5", 400, {"max_tokens": "1000", "effort": "high"})
        == 1000
    )
    assert llm.token_room("openai/gpt-4o-mini", 400) == 400
    tops = {
        "gemini/gemini-3.8-flash": 65536,
        "openai/gpt-4o": 16384,
        "deepseek/deepseek-chat": 8192,
    }
    assert {model: llm.token_room(model, 64000) for model in tops} == tops
    assert {
        model: llm.token_room(model, 400, {"max_tokens": "99999"}) for model in tops
    } == tops
    come, go = llm.live_price("openai/gpt-5.5")
    assert llm.worst_case_usd("openai/gpt-5.5", 1000, 400) >= 1000 * come + 6544 * go


def test_effort_reaches_every_vendor_and_thinking_is_within_the_reserve() -> None:
    with Vendors(lambda _: "x") as server:
        for vendor in MODELS:
            asked = request(
                vendor, server, max_tokens=3000, options={"effort": "medium"}
            )
            Live("k").complete(asked)
            assert any(
                word in str(server.seen[-1].body)
                for word in (
                    "reasoning_effort",
                    "'thinking'",
                    "thinkingConfig",
                    "thinking_config",
                )
            )
            plain = llm.worst_case_usd(asked.model, 0, asked.max_tokens)
            reserved = llm.worst_case_usd(
                asked.model, 0, asked.max_tokens, asked.options
            )
            assert (reserved > plain) == (
                vendor == "anthropic"
            )  # the others think unasked, with room for it
            assert (
                reserved >= llm.live_price(asked.model)[1] * server.seen[-1].max_tokens
            )


def _child(code: str, cwd: Path, **environ: str) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if not k.endswith(("_KEY", "_BASE"))}
    env |= {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", **environ}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_fresh_process_reads_no_env_file_and_reaches_nothing_but_the_vendor(
    tmp_path: Path,
) -> None:
    """The import and the first call are where LiteLLM fetches lists and reads .env, unless told not to."""
    (tmp_path / ".env").write_text("LEAKED=1\nOPENAI_API_KEY=sk-from-dotenv\n")
    code = """
        import os, sys, threading
        events = set()
        def hook(event, args):
            if event == "socket.connect": events.add(("connect", args[1][0]))
            if event == "socket.getaddrinfo": events.add(("connect", str(args[0])))
            if event == "open" and str(args[0]).endswith(".env"): events.add(("open", ".env"))
        sys.addaudithook(hook)
        from catherd.models.llm import Live, warm
        from catherd.core.model import ModelError, Request, Said
        assert "litellm" not in sys.modules
        warm().join()
        assert "litellm" in sys.modules
        before = set(events)
        for model in sys.argv[1:] or os.environ["MODELS"].split():
            for stream in ("false", "true"):
                words = (Said("user", "hi"),)
                print(Live().complete(Request("a", "t", model, "s", words, 50, 20.0, 0, {"stream": stream})).text)
        print(sorted(before), sorted(events), os.environ.get("LEAKED"), os.environ["OPENAI_API_KEY"])
        print([t.name for t in threading.enumerate() if t.daemon and t.name != "MainThread"])
        try:
            Live().complete(Request("a", "t", "openrouter/x", "s", words, 50, 20.0, 0, {"price": "1/1"}))
        except ModelError as error:
            print(error)
    """
    with Vendors(lambda _: "Meow.") as server:
        child = _child(
            code, tmp_path, MODELS=" ".join(MODELS.values()), **server.environ()
        )
        out, err = child.communicate(timeout=120)
        assert len(server.seen) == 6
    assert (child.returncode, err) == (0, "")
    assert out.splitlines() == [
        *["Meow."] * 6,
        "[] [('connect', '127.0.0.1')] None sk-loopback-openai",
        "[]",
        "auth: there is no key for this model in the environment",
    ]


def test_a_stop_signal_ends_a_call_to_any_vendor_at_once(tmp_path: Path) -> None:
    """Raised as a BaseException it passes through every handler of LiteLLM and of the vendors' SDKs; an Exception is swallowed."""
    code = """
        import os, signal
        from catherd.models.llm import Live
        from catherd.core.model import Request, Said
        class Leave(BaseException): pass
        def leave(*_): raise Leave
        signal.signal(signal.SIGTERM, leave)
        live, words = Live(), (Said("user", "hi"),)
        for model in os.environ["MODELS"].split():
            ask = Request("a", "t", model, "s", words, 50, 600.0)
            print(live.complete(ask).text, flush=True)
            try:
                live.complete(ask)
            except Leave:
                print("left", flush=True)
    """
    with Vendors(
        lambda _: "Meow.", lambda seen: None if seen.n % 2 else Fault(hold=True)
    ) as server:
        child = _child(
            code, tmp_path, MODELS=" ".join(MODELS.values()), **server.environ()
        )
        assert child.stdout is not None
        for n in range(1, 4):
            assert child.stdout.readline() == "Meow.\n"
            while len(server.seen) < 2 * n:
                assert not server.closing.wait(0.01)
            child.send_signal(signal.SIGTERM)
            assert child.stdout.readline() == "left\n"
        out, err = child.communicate(timeout=60)
    assert (out, child.returncode, err) == ("", 0, "")

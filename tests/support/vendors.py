"""A loopback server that speaks the vendors' wire formats: OpenAI chat/completions and responses, Anthropic messages,
Gemini generateContent; streaming and not; with faults on request.

    with Vendors(lambda seen: "hello") as server:
        Live("dummy").complete(Request(model="openai/gpt-5.5", options={"api_base": server.base("openai")}, …))

It answers with a callable (what was seen → text or Say), by default with the rehearsal model, and counts requests and tokens
the way a vendor would: what it says in `usage` is what `server.tokens` adds up to.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from catherd.core.model import Request, Said


class Seen(msgspec.Struct, frozen=True):
    """A request as the vendor understood it. `n` counts from 1; `body` is the JSON as sent."""

    n: int
    vendor: str
    path: str
    model: str
    system: str
    messages: tuple[Said, ...]
    stream: bool
    max_tokens: int
    key: str
    body: dict[str, Any]


class Say(msgspec.Struct, frozen=True):
    """An answer. `finish`: stop, length, filter, refusal, empty (no content), none (no choices), tool (a broken tool call)."""

    text: str
    finish: str = "stop"
    cached: int = 0


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with one request. Only `status`: an error of that status in the vendor's own words (`code`).

    `body`: raw bytes instead; `say`: answer so; `cut`: only so many bytes, then the connection closes; `early`: so
    many, and they are said to be all; `drop`: no answer at
    all; `drip`: bytes per `pause` seconds; `huge`: a body of so many bytes; `hold`: wait until the client is gone or the
    server closes.
    """

    status: int = 200
    code: str = ""
    headers: dict[str, str] = {}
    body: bytes | None = None
    kind: str = "application/json"
    say: Say | None = None
    cut: int = -1
    early: int = -1
    drop: bool = False
    drip: int = 0
    pause: float = 0.05
    huge: int = 0
    hold: bool = False


Answers = Callable[[Seen], str | Say]
Faults = Callable[[Seen], Fault | None]


def tokens(text: str) -> int:
    """The vendors' count here: a token for every four characters, at least one."""
    return max(1, (len(text) + 3) // 4)


class Vendors:
    """The server. `faults` is asked for every request; `seen` lists them all; `billed` those that were answered in full."""

    def __init__(
        self, answer: Answers | None = None, faults: Faults | None = None
    ) -> None:
        self.answer, self.faults = answer or rehearsed, faults or (lambda _seen: None)
        self.seen: list[Seen] = []
        self.billed: list[
            tuple[Seen, int, int]
        ] = []  # the request, tokens in, tokens out
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.vendors = self
        self.port: int = self._http.server_address[1]
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> "Vendors":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def base(self, vendor: str) -> str:
        """The api_base of `openai`, `anthropic` or `gemini`."""
        return f"http://127.0.0.1:{self.port}{ {'openai': '/v1', 'gemini': '/v1beta', 'anthropic': ''}[vendor] }"

    def environ(self) -> dict[str, str]:
        """The environment under which every vendor is this server, with dummy keys."""
        return {
            "OPENAI_API_KEY": "sk-loopback-openai",
            "OPENAI_BASE_URL": self.base("openai"),
            "ANTHROPIC_API_KEY": "sk-ant-loopback",
            "ANTHROPIC_API_BASE": self.base("anthropic"),
            "GEMINI_API_KEY": "loopback-gemini",
            "GEMINI_API_BASE": self.base("gemini"),
        }

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens billed so far, in and out."""
        return sum(b[1] for b in self.billed), sum(b[2] for b in self.billed)

    def note(self, make: Callable[[int], Seen]) -> Seen:
        """Number and keep a request."""
        with self._lock:
            seen = make(len(self.seen) + 1)
            self.seen.append(seen)
        return seen

    def bill(self, seen: Seen, come: int, go: int) -> None:
        """Count an answer as sold."""
        with self._lock:
            self.billed.append((seen, come, go))


def rehearsed(seen: Seen) -> str:
    """The rehearsal model's answer to the very prompt; who is asked stands in it."""
    from catherd.rehearsal import Rehearsal

    return (
        Rehearsal()
        .complete(Request("", "", "rehearsal", seen.system, seen.messages))
        .text
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    vendors: Vendors

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what half of these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        vendors = self.server.vendors
        named = [
            self.headers.get(name)
            for name in ("x-api-key", "x-goog-api-key", "authorization")
        ]
        key = next((k for k in named if k), "")
        seen = vendors.note(lambda n: _seen(n, self.path, body, key))
        fault = vendors.faults(seen) or Fault()
        if fault.drop:
            self._drop()
        elif fault.hold:
            self._hold()
        elif fault.status != 200 or fault.body is not None or fault.huge:
            data = (
                fault.body
                if fault.body is not None
                else error_body(seen.vendor, fault.status, fault.code)
            )
            self._send(fault, data, fault.kind)
        else:
            self._answer(vendors, seen, fault)

    def _answer(self, vendors: Vendors, seen: Seen, fault: Fault) -> None:
        answer = fault.say or vendors.answer(seen)
        say = answer if isinstance(answer, Say) else Say(answer)
        come, go = _usage(seen, say)
        data, kind = (
            _stream(seen, say, come, go)
            if seen.stream
            else (json.dumps(_whole(seen, say, come, go)).encode(), "application/json")
        )
        if (
            fault.cut < 0 and fault.early < 0
        ):  # before it is sent: who has the answer may look at the bill
            vendors.bill(seen, come, go)
        self._send(fault, data if fault.early < 0 else data[: fault.early], kind)

    def do_GET(self) -> None:
        self.server.vendors.note(
            lambda n: Seen(n, "get", self.path, "", "", (), False, 0, "", {})
        )
        self._send(Fault(status=404), b"{}", "application/json")

    def _send(self, fault: Fault, data: bytes, kind: str) -> None:
        self.close_connection = True
        self.send_response(fault.status)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(fault.huge or len(data)))
        self.send_header("connection", "close")
        self.end_headers()
        if fault.huge:
            self._huge(fault.huge)
        elif fault.cut >= 0:
            self.wfile.write(data[: fault.cut])
        elif fault.drip:
            for i in range(0, len(data), fault.drip):
                self.wfile.write(data[i : i + fault.drip])
                self.wfile.flush()
                if self.server.vendors.closing.wait(fault.pause):
                    return
        else:
            self.wfile.write(data)

    def _huge(self, size: int) -> None:
        block = b" " * (1 << 20)
        while size > 0 and not self.server.vendors.closing.is_set():
            self.wfile.write(block[: min(size, len(block))])
            size -= len(block)

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.connection.close()

    def _hold(self) -> None:
        self.close_connection = True
        while not self.server.vendors.closing.wait(0.05):
            try:
                if (
                    self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                    == b""
                ):
                    return
            except BlockingIOError:
                continue
            except OSError:
                return


def _seen(n: int, path: str, body: dict[str, Any], key: str) -> Seen:
    key, path = key.removeprefix("Bearer "), path.partition("?")[0]
    if path.endswith("/messages"):
        said = [(m["role"], _text(m["content"])) for m in body["messages"]]
        return _made(
            n,
            "anthropic",
            path,
            body["model"],
            _text(body.get("system", "")),
            said,
            body.get("max_tokens", 0),
            key,
            body,
        )
    if ":" in path:
        said = [
            ({"model": "assistant"}.get(c["role"], c["role"]), _text(c["parts"]))
            for c in body["contents"]
        ]
        system = _text(
            (body.get("system_instruction") or body.get("systemInstruction") or {}).get(
                "parts", ""
            )
        )
        limit = body.get("generationConfig", {}).get("max_output_tokens") or body.get(
            "generationConfig", {}
        ).get("maxOutputTokens", 0)
        return _made(
            n,
            "gemini",
            path,
            path.rpartition("/")[2].partition(":")[0],
            system,
            said,
            limit,
            key,
            body,
        )
    if path.endswith("/responses"):
        items = (
            [{"role": "user", "content": body["input"]}]
            if isinstance(body["input"], str)
            else body["input"]
        )
        said = [(m.get("role", "user"), _text(m.get("content") or "")) for m in items]
        limit = body.get("max_output_tokens", 0)
        return _made(
            n,
            "openai",
            path,
            body["model"],
            body.get("instructions") or "",
            said,
            limit,
            key,
            body,
        )
    said = [(m["role"], _text(m["content"])) for m in body["messages"]]
    limit = body.get("max_completion_tokens") or body.get("max_tokens", 0)
    return _made(n, "openai", path, body["model"], "", said, limit, key, body)


def _made(  # noqa: PLR0913 - what a vendor can answer, each by its name
    n: int,
    vendor: str,
    path: str,
    model: str,
    system: str,
    said: list[tuple[str, str]],
    limit: int,
    key: str,
    body: dict[str, Any],
) -> Seen:
    system = "\n".join(
        [system, *(t for r, t in said if r in {"system", "developer"})]
    ).strip("\n")
    messages = tuple(Said(r, t) for r, t in said if r not in {"system", "developer"})
    stream = bool(body.get("stream")) or ":stream" in path
    return Seen(n, vendor, path, model, system, messages, stream, limit, key, body)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _usage(seen: Seen, say: Say) -> tuple[int, int]:
    return sum(
        tokens(t) for t in [seen.system, *(m.content for m in seen.messages)]
    ), tokens(say.text)


def error_body(vendor: str, status: int, code: str) -> bytes:
    """An error as this vendor words it. `code` is the vendor's code word; the message echoes what a scrubber must hide."""
    message = f"{code or 'error'}: PROMPT-ECHO sk-secret-key /home/you/prompt.txt"
    if vendor == "anthropic":
        return json.dumps(
            {
                "type": "error",
                "error": {"type": code or "api_error", "message": message},
            }
        ).encode()
    if vendor == "gemini":
        return json.dumps(
            {
                "error": {
                    "code": status,
                    "message": message,
                    "status": code or "INTERNAL",
                }
            }
        ).encode()
    return json.dumps(
        {
            "error": {
                "message": message,
                "type": code or "server_error",
                "param": None,
                "code": code or None,
            }
        }
    ).encode()


_OA = {
    "stop": "stop",
    "length": "length",
    "filter": "content_filter",
    "refusal": "stop",
    "empty": "stop",
    "tool": "tool_calls",
}
_AN = {
    "stop": "end_turn",
    "length": "max_tokens",
    "filter": "refusal",
    "refusal": "refusal",
    "empty": "end_turn",
    "tool": "tool_use",
}
_GE = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "filter": "SAFETY",
    "refusal": "SAFETY",
    "empty": "STOP",
    "tool": "MALFORMED_FUNCTION_CALL",
}


def _whole(seen: Seen, say: Say, come: int, go: int) -> dict[str, Any]:
    silent = say.finish in {"filter", "refusal", "empty", "tool"}
    text = None if silent else say.text
    if seen.vendor == "anthropic":
        return _anthropic(seen, say, come, go, text)
    if seen.vendor == "gemini":
        return _gemini(seen, say, come, go, text)
    if seen.path.endswith("/responses"):
        return _responses(seen, say, come, go, text)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if say.finish == "refusal":
        message["refusal"] = "I cannot help with that."
    if say.finish == "tool":
        message["tool_calls"] = [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "bash", "arguments": '{"cmd": "ls'},
            }
        ]
    choices = (
        []
        if say.finish == "none"
        else [
            {
                "index": 0,
                "message": message,
                "finish_reason": _OA.get(say.finish, "stop"),
            }
        ]
    )
    usage = {
        "prompt_tokens": come,
        "completion_tokens": go,
        "total_tokens": come + go,
        "prompt_tokens_details": {"cached_tokens": say.cached},
    }
    return {
        "id": f"cmpl-{seen.n}",
        "object": "chat.completion",
        "created": 1,
        "model": seen.model,
        "choices": choices,
        "usage": usage,
    }


def _anthropic(
    seen: Seen, say: Say, come: int, go: int, text: str | None
) -> dict[str, Any]:
    content: list[dict[str, Any]] = (
        [] if text is None else [{"type": "text", "text": text}]
    )
    if say.finish == "tool":
        content = [{"type": "tool_use", "id": "c1", "name": "bash", "input": {}}]
    return {
        "id": f"msg_{seen.n}", "type": "message", "role": "assistant", "model": seen.model, "content": content,
        "stop_reason": _AN.get(say.finish, say.finish), "stop_sequence": None,
        "usage": {"input_tokens": come - say.cached, "cache_read_input_tokens": say.cached, "cache_creation_input_tokens": 0, "output_tokens": go},
    }  # fmt: skip


def _gemini(
    seen: Seen, say: Say, come: int, go: int, text: str | None
) -> dict[str, Any]:
    usage = {
        "promptTokenCount": come,
        "candidatesTokenCount": go,
        "totalTokenCount": come + go,
        "cachedContentTokenCount": say.cached,
    }
    candidate: dict[str, Any] = {
        "finishReason": _GE.get(say.finish, "STOP"),
        "index": 0,
    }
    if text is not None:
        candidate["content"] = {"role": "model", "parts": [{"text": text}]}
    return {
        "candidates": [] if say.finish == "none" else [candidate],
        "usageMetadata": usage,
        "modelVersion": seen.model,
        "responseId": f"r{seen.n}",
    }


def _responses(
    seen: Seen, say: Say, come: int, go: int, text: str | None
) -> dict[str, Any]:
    part = (
        {"type": "refusal", "refusal": "I cannot."}
        if say.finish == "refusal"
        else {"type": "output_text", "text": text or "", "annotations": []}
    )
    output = [
        {
            "type": "message",
            "id": "m1",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }
    ]
    status = "incomplete" if say.finish == "length" else "completed"
    usage = {
        "input_tokens": come, "output_tokens": go, "total_tokens": come + go,
        "input_tokens_details": {"cached_tokens": say.cached}, "output_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip
    return {
        "id": f"resp_{seen.n}", "object": "response", "created_at": 1, "model": seen.model, "status": status, "output": output,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None, "usage": usage,
        "error": None, "instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0,
        "tool_choice": "auto", "tools": [], "top_p": 1.0,
    }  # fmt: skip


def _stream(seen: Seen, say: Say, come: int, go: int) -> tuple[bytes, str]:
    """Server-sent events of the answer, a few words each."""
    silent = say.finish in {"filter", "refusal", "empty", "tool", "none"}
    words = [] if silent else re.findall(r"(?s).{1,60}", say.text)
    make = {"anthropic": _anthropic_events, "gemini": _gemini_events}.get(
        seen.vendor, _openai_events
    )
    if seen.path.endswith("/responses"):
        make = _responses_events
    lines = []
    for name, event in make(seen, say, come, go, words):
        lines.append(
            (f"event: {name}\n" if name else "")
            + f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n"
        )
    return "".join(lines).encode(), "text/event-stream"


Events = Iterator[tuple[str, Any]]


def _openai_events(
    seen: Seen, say: Say, come: int, go: int, words: list[str]
) -> Events:
    def chunk(choices: list[Any], **more: Any) -> tuple[str, Any]:
        return "", {
            "id": f"cmpl-{seen.n}",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": seen.model,
            "choices": choices,
            **more,
        }

    for i, word in enumerate(words):
        yield chunk(
            [
                {
                    "index": 0,
                    "delta": {"content": word} | ({} if i else {"role": "assistant"}),
                    "finish_reason": None,
                }
            ]
        )
    yield chunk(
        [{"index": 0, "delta": {}, "finish_reason": _OA.get(say.finish, "stop")}]
    )
    if (seen.body.get("stream_options") or {}).get("include_usage"):
        usage = {
            "prompt_tokens": come,
            "completion_tokens": go,
            "total_tokens": come + go,
        }
        yield chunk([], usage=usage)
    yield "", "[DONE]"


def _anthropic_events(
    seen: Seen, say: Say, come: int, go: int, words: list[str]
) -> Events:
    start = _anthropic(seen, say, come, 0, None) | {"content": [], "stop_reason": None}
    yield "message_start", {"type": "message_start", "message": start}
    if words:
        yield (
            "content_block_start",
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            },
        )
    for word in words:
        yield (
            "content_block_delta",
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": word},
            },
        )
    if words:
        yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    delta = {"stop_reason": _AN.get(say.finish, say.finish), "stop_sequence": None}
    yield (
        "message_delta",
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": go}},
    )
    yield "message_stop", {"type": "message_stop"}


def _gemini_events(
    seen: Seen, say: Say, come: int, go: int, words: list[str]
) -> Events:
    for word in words:
        yield (
            "",
            {
                "candidates": [
                    {
                        "content": {"role": "model", "parts": [{"text": word}]},
                        "index": 0,
                    }
                ],
                "modelVersion": seen.model,
            },
        )
    yield "", _gemini(seen, say, come, go, None if say.finish != "stop" else "")


def _responses_events(
    seen: Seen, say: Say, come: int, go: int, words: list[str]
) -> Events:
    whole = _responses(seen, say, come, go, say.text)
    yield (
        "response.created",
        {
            "type": "response.created",
            "response": whole | {"output": [], "status": "in_progress"},
            "sequence_number": 0,
        },
    )
    item = {
        "type": "message",
        "id": "m1",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    yield (
        "response.output_item.added",
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item,
            "sequence_number": 1,
        },
    )
    for i, word in enumerate(words):
        delta = {
            "type": "response.output_text.delta",
            "item_id": "m1",
            "output_index": 0,
            "content_index": 0,
            "delta": word,
            "sequence_number": i + 2,
        }
        yield "response.output_text.delta", delta
    item = whole["output"][0]
    yield (
        "response.output_item.done",
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": item,
            "sequence_number": len(words) + 2,
        },
    )
    yield (
        "response.completed",
        {
            "type": "response.completed",
            "response": whole,
            "sequence_number": len(words) + 3,
        },
    )

"""The journal: every model call is written down before it is made and when it came back; no journalled answer is asked again.

`runs/<agent>/<turn>.<n>.yaml` is the call (prompt kept verbatim), `….<n>.answer.yaml` what came back. A call without an
answer was in flight when its process died: it may have been billed, counts as spent at its reserve, and is made again with
the very same prompt under the next number.
"""

import hashlib
import os
from collections.abc import Callable

import msgspec

from catherd.bus import atomic
from catherd.bus.store import Bus, now
from catherd.core.messages import Answer, Call
from catherd.core.model import Model, ModelError, Reply, Request, Said

CUT = "The answer was cut off: it was longer than there is room for. Say it in fewer words."
Reserve = Callable[
    [Request], float
]  # the worst case in dollars; raises ModelError("budget") beyond a cap


def converse(
    bus: Bus,
    model: Model,
    request: Request,
    reserve: Reserve,
    reread: Callable[[str, bool], str],
    tries: int = 3,
) -> str | None:
    """The first answer that `reread` accepts, from the journal as far as it goes and then from the model.

    `reread(text, last)` returns "" for an answer that is right and else the exact complaint, which is sent back with the
    bad answer at most `tries - 1` times; `last` says that no further try follows. None: no answer was right.
    Raises ModelError when the model gives none; that too is journalled.
    """
    messages, n, left, room = request.messages, 1, tries, request.max_tokens
    while True:
        call, answer = _entry(bus, request, n)
        same = (
            call is None or call.model == request.model
        )  # another model can't read what this one thought
        if call is not None:
            messages = tuple(
                Said(m["role"], m["content"], m.get("thinking", "") if same else "")
                for m in call.messages
            )
            request = msgspec.structs.replace(
                request, system=call.system, messages=messages
            )
        if call is not None and answer is None:
            bus.event("may-have-been-billed", _path(request, n), usd=call.reserved_usd)
            n += 1
            if _entry(bus, request, n)[0] is None:
                answer = _call(
                    bus,
                    model,
                    msgspec.structs.replace(request, messages=messages),
                    n,
                    reserve,
                )
            else:
                continue
        elif call is None:
            answer = _call(
                bus,
                model,
                msgspec.structs.replace(request, messages=messages),
                n,
                reserve,
            )
        assert answer is not None  # noqa: S101 - it was read or made just above
        n += 1
        if answer.error:
            continue  # an old failure, tried again: a new one raises in _call
        left -= 1
        cut = (
            answer.finish == "length"
        )  # half an answer may well parse: it is never taken for a whole one
        complaint = CUT if cut else reread(answer.text, left == 0)
        if not complaint:
            return answer.text
        if left == 0:
            return None
        if cut and request.max_tokens == room:
            told = request.options.get("max_tokens", "")
            more = {"max_tokens": str(2 * int(told))} if told.isdecimal() else {}
            request = msgspec.structs.replace(
                request, max_tokens=2 * room, options=request.options | more
            )
        retry = f"{complaint}\n\nReturn the full document again, corrected, and nothing else."
        said = Said(
            "assistant", answer.text or "(empty)", answer.thinking if same else ""
        )
        messages = (*messages, said, Said("user", retry))


def _path(request: Request, n: int) -> str:
    return f"runs/{request.agent}/{request.turn.replace('/', '.')}.{n}"


def _entry(bus: Bus, request: Request, n: int) -> tuple[Call | None, Answer | None]:
    path = _path(request, n)
    return bus.get(f"{path}.yaml", Call), bus.get(f"{path}.answer.yaml", Answer)


def _call(bus: Bus, model: Model, request: Request, n: int, reserve: Reserve) -> Answer:
    path = _path(request, n)
    thought = [
        {"thinking": said.thinking} if said.thinking else {}
        for said in request.messages
    ]
    words = [
        {"role": m.role, "content": m.content, **more}
        for m, more in zip(request.messages, thought, strict=True)
    ]
    prompt = hashlib.sha256(msgspec.json.encode([request.system, words])).hexdigest()
    money = atomic.take_lock(bus.here(".money.lock"), wait=True)
    try:  # between the sum of what is spent and the new reserve nobody else may reserve
        usd = reserve(request)
        call = Call(
            turn=request.turn,
            model=request.model,
            sha256=prompt,
            reserved_usd=usd,
            max_tokens=request.max_tokens,
            phase=request.phase or request.turn.partition("/")[0],
            system=request.system,
            messages=words,
        )
        bus.post(f"{path}.yaml", call, turn=request.turn, usd=usd)
    finally:
        if money is not None:
            os.close(money)
    try:
        reply = model.complete(request)
    except ModelError as error:
        took = error.took or Reply("", request.model)
        failed = _answer(
            msgspec.structs.replace(took, finish="", requests=error.requests)
        )
        failed.error = str(error)
        bus.post(f"{path}.answer.yaml", failed, turn=request.turn, error=error.kind)
        raise
    answer = _answer(reply)
    bus.post(f"{path}.answer.yaml", answer, turn=request.turn, usd=reply.usd)
    return answer


def _answer(reply: Reply) -> Answer:
    data = {
        k: v
        for k, v in msgspec.structs.asdict(reply).items()
        if k in Answer.__struct_fields__
    }
    return Answer(**data, at=now())

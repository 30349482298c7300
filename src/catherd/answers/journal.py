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

    `reread(text, last)` returns "" for an answer that is right and else the exact
    complaint. It is sent back with the bad answer at most `tries - 1` times; `last` says
    that no further try follows. None: no answer was right. Raises ModelError when the
    model gives none; that too is journalled.
    """
    room = request.max_tokens
    number, left = 0, tries
    while left:
        number += 1
        call, answer = _entry(bus, request, number)
        if call is not None:
            request = _as_journalled(request, call)
            if answer is None:
                bus.event(
                    "may-have-been-billed",
                    _path(request, number),
                    usd=call.reserved_usd,
                )
                continue
        if answer is None:
            answer = _call(bus, model, request, number, reserve)
        if answer.error:
            continue  # an old failure, tried again: a new one raises in _call
        left -= 1
        # Half an answer may well parse: it is never taken for a whole one.
        is_cut = answer.finish == "length"
        complaint = CUT if is_cut else reread(answer.text, left == 0)
        if not complaint:
            return answer.text
        if is_cut and request.max_tokens == room:
            request = _with_more_room(request)
        # Another model can't read what this one thought.
        is_same = call is None or call.model == request.model
        thinking = answer.thinking if is_same else ""
        request = _asked_again(request, answer.text, thinking, complaint)
    return None


def _as_journalled(request: Request, call: Call) -> Request:
    """`request` with the very prompt of a call that was made before."""
    messages = []
    for said in call.messages:
        thinking = said.get("thinking", "") if call.model == request.model else ""
        messages.append(Said(said["role"], said["content"], thinking))
    return msgspec.structs.replace(
        request, system=call.system, messages=tuple(messages)
    )


def _with_more_room(request: Request) -> Request:
    """`request` with twice the tokens for its answer."""
    options = dict(request.options)
    told = options.get("max_tokens", "")
    if told.isdecimal():
        options["max_tokens"] = str(2 * int(told))
    return msgspec.structs.replace(
        request, max_tokens=2 * request.max_tokens, options=options
    )


def _asked_again(
    request: Request, answer: str, thinking: str, complaint: str
) -> Request:
    """`request` with its answer and what is wrong with it."""
    said = Said("assistant", answer or "(empty)", thinking)
    retry = (
        f"{complaint}\n\nReturn the full document again, corrected, and nothing else."
    )
    messages = (*request.messages, said, Said("user", retry))
    return msgspec.structs.replace(request, messages=messages)


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

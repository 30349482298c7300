"""Speaking: an ask becomes a prompt, the prompt a call, the answer a message on the bus. Each step of it can be killed.

Order: journal the call, call, journal the answer, post the aside, post the message, mark the turn as posted. Whatever was
done before a kill is found again by its name, and the rest follows from the journalled answer. A message that was marked as
posted and is gone was removed by a person: that asks anew, under the next attempt.
"""

import contextlib

import msgspec

from catherd.answers import prompts
from catherd.answers.envelopes import Unusable
from catherd.answers.journal import converse
from catherd.answers.seat import Seat, request
from catherd.bus import atomic, config
from catherd.bus import store as bus_
from catherd.bus.store import Bus
from catherd.core.messages import Answer, Argument, Ask, Ballot, Base, Chat, Pitch
from catherd.core.tasks import Bid
from catherd.debate import asks, parse
from catherd.pulls import bids


class Understood(msgspec.Struct, frozen=True):
    """What was understood: the message to post, the line for the chat ("" for none), and what that line answers."""

    message: Pitch | Argument | Ballot | Bid | Chat
    aside: str = ""
    reply_to: str = ""


def attempt(bus: Bus, agent: str, ask: Ask) -> tuple[str, bool]:
    """The key of the agent's turn for this ask, and whether it is a new attempt after a person removed the last answer."""
    n = 1
    while bus.there(_mark(agent, f"{ask.step}.{ask.kind}.{n}")):
        n += 1
    return f"{ask.step}.{ask.kind}.{n}", n > 1


def _mark(agent: str, turn: str) -> str:
    return f"runs/{agent}/{turn.replace('/', '.')}.posted"


def mark_posted(bus: Bus, agent: str, ask: Ask) -> None:
    """Mark the agent's answer to `ask` as posted, where a kill came between the two: removing it asks anew, as ever."""
    turn, _ = attempt(bus, agent, ask)
    path = f"{ask.step}/{agent}.yaml"
    if bus.there(path) and bus.there(f"runs/{agent}/{turn.replace('/', '.')}.1.yaml"):
        atomic.publish(bus.path, _mark(agent, turn), f"catherd: 1\nposted: {path}\n")


def speak(seat: Seat, ask: Ask) -> bool:
    """Answer the ask; False when the model never gave an answer that could be used. Raises ModelError when it gave none."""
    bus = seat.bus
    turn, anew = attempt(bus, seat.agent.id, ask)
    if anew:
        bus.event("asked-anew", f"{ask.step}/{seat.agent.id}", turn=turn)
    heard, shown = _converse(seat, ask, turn)
    message = (
        heard.message
        if heard and not isinstance(heard.message, Chat)
        else _instead(ask)
    )
    path = f"{ask.step}/{seat.agent.id}.yaml"
    if heard is None:
        bus.trouble(
            f"unusable-{bus_.slug(path)}",
            f"bus/runs/{seat.agent.id}/{turn.replace('/', '.')}",
            f"{seat.agent.name} gave no usable answer in three tries",
            f"write bus/{path} yourself, or rm 'bus/problems/unusable-{bus_.slug(path)}.yaml'",
        )
    if message is None:
        return False
    if isinstance(message, Ballot):
        message.shown = shown
    at = _answered_at(bus, seat.agent.id, turn)
    message.wrote = {"model": seat.model_name, "turn": turn, "at": at}
    if heard and heard.aside:
        post_chat(
            bus,
            seat.agent.id,
            heard.aside,
            heard.reply_to,
            at,
            {"model": seat.model_name, "turn": turn},
        )
    tidy_message(message)
    bus.post(path, message, agent=seat.agent.id, turn=turn)
    atomic.publish(
        bus.path,
        _mark(seat.agent.id, turn),
        f"catherd: 1\nposted: {path}\nseal: '{message.seal}'\n",
    )
    return True


def reply_in_chat(seat: Seat, stem: str) -> None:
    """Answer a message of the chat that names the agent: one call, at most 80 words."""
    bus = seat.bus
    said = bus.chat()
    thread, at = [stem], said[stem].reply_to
    while at in said and len(thread) < 6:
        thread.insert(0, at)
        at = said[at].reply_to
    shown = _debated(bus)
    there = (
        [one for one in shown.inputs if one.kind != "chat" or bus.there(one.path)]
        if shown
        else []
    )
    new = [
        one
        for one in thread
        if f"chat/{one}.yaml" not in {known.path for known in there}
    ]
    ask = Ask(
        gate="",
        step=f"chat/{stem}",
        kind="chat",
        template="chat/reply.md.j2",
        roll=shown.roll if shown else [seat.agent.id],
        brief=seat.game.brief,
        inputs=there + asks.chat_inputs(bus, new, prompts.REPLY),
        names=shown.names if shown else {},
    )
    turn = f"chat/{stem}.reply.1"
    heard, _ = _converse(seat, ask, turn)
    words = (
        heard.message.text
        if heard and isinstance(heard.message, Chat)
        else "(no usable answer)"
    )
    post_chat(
        bus,
        seat.agent.id,
        words,
        stem,
        _answered_at(bus, seat.agent.id, turn),
        {"model": seat.model_name, "turn": turn},
    )


def _converse(seat: Seat, ask: Ask, turn: str) -> tuple[Understood | None, list[str]]:
    """What was understood of the model's answer, None when no answer could be used; and the order that a ballot displayed."""
    card = seat.card()
    rendered = prompts.render_prompt(seat.bus.root, ask, card)
    kept: list[Understood] = []

    def reread(text: str, last: bool) -> str:
        try:
            if ask.kind == "bid":
                kept.append(Understood(bids.read_bid(ask, text, last_try=last)))
            elif ask.kind == "swap":
                kept.append(Understood(bids.read_swap(ask, seat.agent.id, text)))
            else:
                said = parse.read_statement(ask, card, text, last_try=last)
                kept.append(Understood(said.message, said.aside, said.reply_to))
        except Unusable as error:
            return "\n".join(error.errors)
        return ""

    asked = request(seat, turn, ask.kind, rendered)
    if ask.kind == "chat":
        asked = msgspec.structs.replace(asked, phase=_phase_on(seat.bus))
    text = converse(seat.bus, seat.model, asked, seat.reserve, reread)
    return (None if text is None else kept[-1]), rendered.shown


def _debated(bus: Bus) -> Ask | None:
    """The latest ask of the debate that is on: what its prompts show, all agents know."""
    found = None
    for gate in (
        config.phases(bus.root)
        .get(_phase_on(bus), config.Phase(gates={}))
        .gates.values()
    ):
        if gate.kind in {"objections", "answers", "final"}:
            found = bus.get(f"{gate.step}/{bus_.OPEN}", Ask) or found
    return found


def _phase_on(bus: Bus) -> str:
    """The phase that is on: it pays for the chat."""
    phases = config.phases(bus.root)
    return next(
        (
            name
            for name, phase in phases.items()
            if not all(map(bus.closed, phase.gates))
        ),
        "game",
    )


def post_chat(
    bus: Bus, agent: str, text: str, reply_to: str, at: str, wrote: dict[str, str]
) -> None:
    """Post to the group chat. The name follows from when the answer came, so that posting again meets its own name."""
    stem = f"{at.replace('-', '').replace(':', '')}.{agent}"
    if reply_to and not bus.there(f"chat/{reply_to}.yaml"):
        reply_to = ""
    bus.post(
        f"chat/{stem}.yaml",
        Chat(text=bus_.tidy_text(text), reply_to=reply_to, at=at, wrote=wrote),
        agent=agent,
    )


def tidy_message(message: Base) -> None:
    """Every text of the message as the bus keeps it."""
    data = msgspec.to_builtins(message)
    cleaned = msgspec.convert(_tidied(data), type(message))
    for name in message.__struct_fields__:
        setattr(message, name, getattr(cleaned, name))


def _tidied(data: object) -> object:
    if isinstance(data, str):
        return bus_.tidy_text(data)
    if isinstance(data, list):
        return [_tidied(one) for one in data]
    return (
        {key: _tidied(value) for key, value in data.items()}
        if isinstance(data, dict)
        else data
    )


def _instead(ask: Ask) -> Pitch | Argument | Ballot | Bid | None:
    """What is posted when no answer could be used: never a guessed vote, and no pitch that nobody made."""
    if ask.kind == "ballot":
        return Ballot(abstain=True, why="no usable ballot in three tries")
    if ask.kind in {"bid", "swap"}:
        return Bid(note=f"no usable {ask.kind} in three tries")
    if ask.kind == "pitch":
        return None
    return Argument(body="(no usable answer in three tries)")


def _answered_at(bus: Bus, agent: str, turn: str) -> str:
    stem, n, at = f"runs/{agent}/{turn.replace('/', '.')}", 1, ""
    while bus.there(f"{stem}.{n}.yaml"):
        with contextlib.suppress(FileNotFoundError):
            answer = bus.get(f"{stem}.{n}.answer.yaml", Answer)
            at = answer.at if answer else at
        n += 1
    return at or bus_.now()

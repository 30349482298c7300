"""Speaking: an ask becomes a prompt, the prompt a call, the answer a message on the
bus.

The order is: journal the call, call, journal the answer, post the aside, post the
message, mark the turn as posted. Each step can be killed. What was done before a kill
is found again by its name, and the rest follows from the journalled answer. A message
that was marked as posted and is gone was removed by a person: that asks anew, under the
next attempt.
"""

import contextlib
from collections.abc import Mapping
from typing import NamedTuple

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
    """What was understood of an answer: the message to post, and a line for the chat.

    The line is "" for none. `reply_to` is the message of the chat that it answers.
    """

    message: Pitch | Argument | Ballot | Bid | Chat
    aside: str = ""
    reply_to: str = ""


class Reading(NamedTuple):
    """What the model answered, None when no answer could be used; and the order that a ballot displayed."""

    understood: Understood | None
    shown: list[str]


class Attempt(NamedTuple):
    """The key of a turn for an ask, and whether a person removed the last answer."""

    turn: str
    anew: bool


def attempt(bus: Bus, agent: str, ask: Ask) -> Attempt:
    """The agent's turn for this ask: the first that is not marked as posted."""
    n = 1
    while bus.there(_mark(agent, f"{ask.step}.{ask.kind}.{n}")):
        n += 1
    return Attempt(f"{ask.step}.{ask.kind}.{n}", n > 1)


def _run(agent: str, turn: str) -> str:
    """How the paths of a turn in the journal begin."""
    return f"runs/{agent}/{turn.replace('/', '.')}"


def _mark(agent: str, turn: str) -> str:
    return f"{_run(agent, turn)}.posted"


def mark_posted(bus: Bus, agent: str, ask: Ask) -> None:
    """Mark the agent's answer to `ask` as posted, where a kill came between the two.

    After that, to remove the answer asks anew, as ever.
    """
    turn = attempt(bus, agent, ask).turn
    path = f"{ask.step}/{agent}.yaml"
    if bus.there(path) and bus.there(f"{_run(agent, turn)}.1.yaml"):
        atomic.publish(bus.path, _mark(agent, turn), f"catherd: 1\nposted: {path}\n")


def speak(seat: Seat, ask: Ask) -> bool:
    """Answer the ask; False when the model never gave an answer that could be used.

    Raises ModelError when it gave none.
    """
    bus, me = seat.bus, seat.agent.id
    turn, anew = attempt(bus, me, ask)
    if anew:
        bus.event("asked-anew", f"{ask.step}/{me}", turn=turn)

    heard = _converse(seat, ask, turn)
    understood = heard.understood
    if understood is None:
        _tell_unusable(seat, ask, turn)

    if understood is None or isinstance(understood.message, Chat):
        message = _instead(ask)
    else:
        message = understood.message

    if message is None:
        return False

    if isinstance(message, Ballot):
        message.shown = heard.shown

    at = _answered_at(bus, me, turn)
    wrote = {"model": seat.model_name, "turn": turn}
    message.wrote = {**wrote, "at": at}
    if understood is not None and understood.aside:
        chat = Chat(
            text=understood.aside, reply_to=understood.reply_to, at=at, wrote=wrote
        )
        post_chat(bus, me, chat)

    tidy_message(message)
    path = f"{ask.step}/{me}.yaml"
    bus.post(path, message, agent=me, turn=turn)
    mark = f"catherd: 1\nposted: {path}\nseal: '{message.seal}'\n"
    atomic.publish(bus.path, _mark(me, turn), mark)
    return True


def _tell_unusable(seat: Seat, ask: Ask, turn: str) -> None:
    path = f"{ask.step}/{seat.agent.id}.yaml"
    trouble = f"unusable-{bus_.slug(path)}"
    seat.bus.trouble(
        trouble,
        f"bus/{_run(seat.agent.id, turn)}",
        f"{seat.agent.name} gave no usable answer in three tries",
        f"write bus/{path} yourself, or rm 'bus/problems/{trouble}.yaml'",
    )


def reply_in_chat(seat: Seat, stem: str) -> None:
    """Answer a message of the chat that names the agent: one call, at most 80 words."""
    bus, me = seat.bus, seat.agent.id
    turn = f"chat/{stem}.reply.1"
    understood = _converse(seat, _chat_ask(seat, stem), turn).understood
    words = "(no usable answer)"
    if understood is not None and isinstance(understood.message, Chat):
        words = understood.message.text

    at = _answered_at(bus, me, turn)
    wrote = {"model": seat.model_name, "turn": turn}
    post_chat(bus, me, Chat(text=words, reply_to=stem, at=at, wrote=wrote))


def _chat_ask(seat: Seat, stem: str) -> Ask:
    """The ask for a reply: what all agents know of the debate, then the thread."""
    bus = seat.bus
    shown = _debated(bus)
    if shown is None:
        shown = Ask(gate="", step="", kind="", template="", roll=[seat.agent.id])

    gone = [
        one for one in shown.inputs if one.kind == "chat" and not bus.there(one.path)
    ]
    there = [one for one in shown.inputs if one not in gone]
    known = {one.path for one in there}
    thread = _thread(bus.chat(), stem)
    new = [one for one in thread if f"chat/{one}.yaml" not in known]
    return Ask(
        gate="",
        step=f"chat/{stem}",
        kind="chat",
        template="chat/reply.md.j2",
        roll=shown.roll,
        brief=seat.game.brief,
        inputs=there + asks.chat_inputs(bus, new, prompts.REPLY),
        names=shown.names,
    )


def _thread(said: Mapping[str, Chat], stem: str) -> list[str]:
    """A message and those before it that it answers, oldest first, six at most."""
    thread, before = [stem], said[stem].reply_to
    while before in said and len(thread) < 6:
        thread.insert(0, before)
        before = said[before].reply_to
    return thread


def _converse(seat: Seat, ask: Ask, turn: str) -> Reading:
    """Ask the model until its answer can be understood."""
    rendered = prompts.render_prompt(seat.bus.root, ask, seat.card())
    kept: list[Understood] = []

    def reread(text: str, last: bool) -> str:
        try:
            kept.append(_understand(seat, ask, text, last_try=last))
        except Unusable as error:
            return "\n".join(error.errors)
        return ""

    asked = request(seat, turn, ask.kind, rendered)
    if ask.kind == "chat":
        asked = msgspec.structs.replace(asked, phase=_phase_on(seat.bus))

    text = converse(seat.bus, seat.model, asked, seat.reserve, reread)
    return Reading(None if text is None else kept[-1], rendered.shown)


def _understand(seat: Seat, ask: Ask, text: str, *, last_try: bool) -> Understood:
    """What an answer says. Raises Unusable for one that cannot be used."""
    if ask.kind == "bid":
        return Understood(bids.read_bid(ask, text, last_try=last_try))
    if ask.kind == "swap":
        return Understood(bids.read_swap(ask, seat.agent.id, text))
    said = parse.read_statement(ask, seat.card(), text, last_try=last_try)
    return Understood(said.message, said.aside, said.reply_to)


def _debated(bus: Bus) -> Ask | None:
    """The latest ask of the debate that is on.

    All agents know what its prompts show.
    """
    phase = config.phases(bus.root).get(_phase_on(bus))
    if phase is None:
        return None
    found = None
    for gate in phase.gates.values():
        if gate.kind in {"objections", "answers", "final"}:
            found = bus.get(f"{gate.step}/{bus_.OPEN}", Ask) or found

    return found


def _phase_on(bus: Bus) -> str:
    """The phase that is on; it pays for the chat."""
    for name, phase in config.phases(bus.root).items():
        if not all(bus.closed(gate) for gate in phase.gates):
            return name
    return "game"


def post_chat(bus: Bus, agent: str, said: Chat) -> None:
    """Post to the group chat.

    The name follows from when the answer came, so that posting again meets its own
    name. A message that is gone is not replied to.
    """
    stem = f"{said.at.replace('-', '').replace(':', '')}.{agent}"
    if said.reply_to and not bus.there(f"chat/{said.reply_to}.yaml"):
        said.reply_to = ""

    said.text = bus_.tidy_text(said.text)
    bus.post(f"chat/{stem}.yaml", said, agent=agent)


def tidy_message(message: Base) -> None:
    """Make every text of the message what the bus keeps."""
    data = msgspec.to_builtins(message)
    cleaned = msgspec.convert(_tidied(data), type(message))
    for name in message.__struct_fields__:
        setattr(message, name, getattr(cleaned, name))


def _tidied(data: object) -> object:
    if isinstance(data, str):
        return bus_.tidy_text(data)
    if isinstance(data, list):
        return [_tidied(one) for one in data]
    if isinstance(data, dict):
        return {key: _tidied(value) for key, value in data.items()}
    return data


def _instead(ask: Ask) -> Pitch | Argument | Ballot | Bid | None:
    """What is posted when no answer could be used: never a guessed vote, and no pitch
    that nobody made.
    """
    if ask.kind == "ballot":
        return Ballot(abstain=True, why="no usable ballot in three tries")
    if ask.kind in {"bid", "swap"}:
        return Bid(note=f"no usable {ask.kind} in three tries")
    if ask.kind == "pitch":
        return None
    return Argument(body="(no usable answer in three tries)")


def _answered_at(bus: Bus, agent: str, turn: str) -> str:
    """When the last answer of a turn came; now, where the journal does not say."""
    stem, n, at = _run(agent, turn), 1, ""
    while bus.there(f"{stem}.{n}.yaml"):
        with contextlib.suppress(FileNotFoundError):
            answer = bus.get(f"{stem}.{n}.answer.yaml", Answer)
            at = answer.at if answer else at

        n += 1

    return at or bus_.now()

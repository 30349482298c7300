"""Whether a gate may close, and which gate closes with it.

Pure: what is there and how long it waited go in, a verdict comes out.
"""

from collections.abc import Mapping

import msgspec

from catherd.core.messages import Argument, Ballot, Pitch, Spoken
from catherd.core.tasks import Bid

Message = Pitch | Argument | Ballot | Bid
KINDS: dict[str, type[Message]] = {
    "pitch": Pitch,
    "ballot": Ballot,
    "bid": Bid,
    "swap": Bid,
}


class Heard(msgspec.Struct):
    """One readable answer: the message, and its bytes as they counted.

    `fault` says what is wrong with it, so that the count would drop it.
    """

    message: Message
    spoken: Spoken
    fault: str = ""


class CloseVerdict(msgspec.Struct, frozen=True):
    """`act` is wait, close, or human (nothing will change by waiting).

    `waiting` are those that are waited for, `why` says it in words.
    """

    act: str
    waiting: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    why: str = ""


def quorum(roll: int) -> int:
    """More than half of the roll.

    >>> [quorum(n) for n in (1, 2, 3, 4, 5)]
    [1, 2, 2, 3, 3]
    """
    return roll // 2 + 1


class Clock(msgspec.Struct, frozen=True):
    """How long an ask has waited, and its timebox, both in seconds."""

    waited: float
    timebox: float


def judge_gate(
    roll: list[str],
    heard: set[str],
    excused: set[str],
    pending: int,
    clock: Clock,
    *,
    votes: bool = False,
) -> CloseVerdict:
    """Whether an ask is answered.

    `excused` missed an earlier timebox and are not waited for until they speak again;
    `pending` is how many answers to mentions are still owed.

    When everybody expected has spoken, it closes. When the timebox is over, it closes if
    more than half of the roll spoke; a vote without that quorum gets the same time once
    more; then a person decides.
    """
    absent = tuple(name for name in roll if name not in heard)
    waiting = tuple(name for name in absent if name not in excused)
    spoke = len(roll) - len(absent)
    needed = quorum(len(roll))
    is_quorate = spoke >= needed

    if is_quorate and not waiting and not pending:
        return CloseVerdict("close", absent=absent)
    if clock.waited < clock.timebox:
        return CloseVerdict("wait", waiting or absent, absent)

    # The timebox is over.
    if is_quorate:
        return CloseVerdict("close", absent=absent)
    if clock.waited < 2 * clock.timebox:
        why = "no quorum: the timebox runs once more"
        return CloseVerdict("wait", absent, absent, why)

    what = "ballots" if votes else "answers"
    why = f"{spoke} of {len(roll)} {what}; {needed} are needed"
    return CloseVerdict("human", absent, absent, why)


def onward(does: Mapping[str, str], name: str, goal: str) -> str:
    """The gate after `name` if it waits for nobody's answer and `goal` is not before it, else "".

    `does` are a phase's gates in order. The process that closed `name` closes it, too:
    another would only cost its start, when there is nothing to hide that behind.

    >>> onward({"ballots": "ask", "decision": "count", "debate": "land"}, "ballots", "debate")
    'decision'
    """
    if name == goal:
        return ""
    names = list(does)
    following = names[names.index(name) + 1 :]
    if not following or does[following[0]] not in {"count", "land"}:
        return ""
    return following[0]

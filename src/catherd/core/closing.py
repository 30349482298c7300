"""May the gate close, and which comes with it? Pure: what is there and how long it waited go in, a verdict comes out."""

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
    """One readable answer: the message, its bytes as they counted, and what is wrong with it that the count would drop."""

    message: Message
    spoken: Spoken
    fault: str = ""


class CloseVerdict(msgspec.Struct, frozen=True):
    """`act`: wait, close, or human (nothing will change by waiting). `waiting` are those not heard yet, `why` says it in words."""

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


def judge_gate(
    roll: list[str],
    heard: set[str],
    excused: set[str],
    pending: int,
    waited: float,
    timebox: float,
    *,
    votes: bool = False,
) -> CloseVerdict:
    """Whether an ask is answered. `excused` missed an earlier timebox and are not waited for until they speak again;
    `pending` is how many answers to mentions are still owed. The clock `waited` runs in seconds.

    Everybody expected has spoken: it closes. The timebox is over: it closes if more than half of the roll spoke; a vote
    without that quorum gets the same time once more; then a person decides.
    """
    waiting = tuple(name for name in roll if name not in heard and name not in excused)
    absent = tuple(name for name in roll if name not in heard)
    enough = len(heard & set(roll)) >= quorum(len(roll))
    if not waiting and not pending and enough:
        return CloseVerdict("close", absent=absent)
    if waited < timebox:
        return CloseVerdict("wait", waiting or absent, absent)
    if enough:
        return CloseVerdict("close", absent=absent)
    if waited < 2 * timebox:
        return CloseVerdict(
            "wait", absent, absent, "no quorum: the timebox runs once more"
        )
    spoke = len(heard & set(roll))
    what = "ballots" if votes else "answers"
    return CloseVerdict(
        "human",
        absent,
        absent,
        f"{spoke} of {len(roll)} {what}; {quorum(len(roll))} are needed",
    )


def onward(does: Mapping[str, str], name: str, goal: str) -> str:
    """The gate after `name` if it waits for nobody's answer and `goal` is not before it, else "". `does`: a phase's gates in order.

    The process that closed `name` closes it, too: another would only cost its start, when there is nothing to hide that behind.

    >>> onward({"ballots": "ask", "decision": "count", "debate": "land"}, "ballots", "debate")
    'decision'
    """
    names = list(does)
    after = names[names.index(name) + 1 :][:1] if name != goal else []
    return next((gate for gate in after if does[gate] in {"count", "land"}), "")

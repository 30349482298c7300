"""What the files on the bus hold: one struct per kind, shared by those who write, read, judge and count.

Pure: no os, time, random, yaml. Field names are the keys in the files; `docs/handbook/bus.md` shows each with an example.
A file's path is its identity (who, which step); the content never repeats it.
"""

from typing import Any

import msgspec

FORMAT = 1  # `catherd: 1`: the version of every file that the engine writes


class Base(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Every file: its format, and when and by which turn it was written. `seal` is over everything else (see bus/store.py)."""

    catherd: int = 0
    wrote: dict[str, str] = msgspec.field(
        default_factory=dict
    )  # model, turn, at: for the reader; nothing decides by it
    seal: str = ""


class Game(Base, kw_only=True):
    """`game.yaml`: this game. You may edit caps; the rest is what was typed when it began."""

    id: str
    brief: str = ""
    branch: str = ""  # refs/heads/… without the prefix; empty: HEAD was detached
    base: str = ""  # the commit that the game began on
    roll: list[str]
    models: str = "rehearsal"  # or "live"
    seed: int = 0
    began: str = ""
    caps: dict[str, float] = msgspec.field(
        default_factory=dict
    )  # dollars: debate, plan, poc, agent, game
    cast: dict[str, dict[str, str]] = msgspec.field(
        default_factory=dict
    )  # live: agent → model, or why it sits out


class Input(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing an ask shows: where it stands, its sha256, and the text itself, so that a prompt is a function of its ask.

    `by` is whose it is as the readers see it: a code name in the debate, a real name in the chat.
    """

    path: str
    sha256: str
    kind: str
    by: str = ""
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class Ask(Base, kw_only=True):
    """`…/open.yaml`: what is asked of whom. `template` renders it; `names` maps code names to agents and is never shown.

    `kind`: pitch, objections, answers, final, ballot; chat for an answer to a mention (never posted); later phases add theirs.
    """

    gate: str
    step: str
    kind: str
    template: str
    roll: list[str]
    brief: str = ""
    constraints: list[str] = msgspec.field(default_factory=list)
    inputs: list[Input] = msgspec.field(default_factory=list)
    names: dict[str, str] = msgspec.field(default_factory=dict)
    opened: str = ""


class Pitch(Base, kw_only=True):
    """Round 1: one proposal for an app."""

    kind: str = "pitch"
    title: str
    body: str


class Objection(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Round 2, one per rival: its best point, the most serious objection, one testable question, the risk of its PoC 1–5."""

    to: str
    best: str
    objection: str
    question: str = ""
    risk: int = 0
    why: str = ""


class Answered(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Round 3, one per objection received: `accept` (what changed) or `rebut` (why not). `by` is the objector's code name."""

    by: str
    verdict: str
    text: str


class Argument(Base, kw_only=True):
    """Rounds 2, 3, 4. Which fields count depends on the round; the others stay empty.

    Round 2: `objections`. Round 3: `decision` (stand, revise, withdraw, merge), `merge_with`, `answers`, and the revised
    `title` and `body`. Round 4: `speaks_for` (a proposal) and the statement in `body`.
    """

    kind: str = "argument"
    title: str = ""
    body: str = ""
    objections: list[Objection] = msgspec.field(default_factory=list)
    answers: list[Answered] = msgspec.field(default_factory=list)
    decision: str = ""
    merge_with: str = ""
    speaks_for: str = ""


class Ballot(Base, kw_only=True):
    """A ranked ballot, best first; a nested list is an equal rank. `shown` is the order in which the texts were displayed."""

    kind: str = "ballot"
    ranking: list[Any] = msgspec.field(default_factory=list)
    reasons: dict[str, str] = msgspec.field(default_factory=dict)
    abstain: bool = False
    why: str = ""
    shown: list[str] = msgspec.field(default_factory=list)


class Chat(Base, kw_only=True):
    """`chat/<utc>.<who>.yaml`: a message. `kind: constraint` (yours only) binds every ask from the next one on."""

    kind: str = "chat"
    text: str
    reply_to: str = ""  # the stem of another chat file
    at: str = ""


class Spoken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One counted file in a receipt: the text that counted stands here, whatever becomes of the file later."""

    path: str
    sha256: str
    edited: bool = False
    text: str = ""


class Receipt(Base, kw_only=True):
    """`gates/<gate>.yaml`: the gate is closed. What `counted` does not list was late and is never used.

    `outcome` is empty when the gate simply closed; for the vote: condorcet, irv, unopposed, human, lot.
    """

    gate: str
    closed: str = ""
    roll: list[str] = msgspec.field(default_factory=list)
    counted: list[Spoken] = msgspec.field(default_factory=list)
    absent: list[str] = msgspec.field(default_factory=list)
    spoiled: list[str] = msgspec.field(default_factory=list)
    outcome: str = ""
    winner: str = ""
    commit: str = ""
    notes: list[str] = msgspec.field(default_factory=list)
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class Tiebreak(Base, kw_only=True):
    """`debate/tiebreak.yaml`: fill in `choice:` with one of `tied`."""

    choice: str = ""
    tied: list[str] = msgspec.field(default_factory=list)
    reason: str = ""


class Veto(Base, kw_only=True):
    """`debate/veto/<id>.yaml`: you take a proposal off the ballot, with your reason."""

    reason: str


class Trouble(Base, kw_only=True):
    """`problems/<name>.yaml`: what a person must look at."""

    where: str
    what: str
    fix: str = ""
    of: str = ""  # sha256 of the content that the complaint is about
    until: str = ""  # an agent rests until then; with no `fix` there is nothing for you to do but wait


class Call(Base, kw_only=True):
    """`runs/<agent>/<turn>.<n>.yaml`: a model call, written before it is made. No answer beside it: it may have been billed."""

    turn: str
    model: str
    sha256: str  # of system + messages
    reserved_usd: float = 0.0
    max_tokens: int = 0
    phase: str = ""
    system: str = ""
    messages: list[dict[str, str]] = msgspec.field(default_factory=list)


class Answer(Base, kw_only=True):
    """`runs/<agent>/<turn>.<n>.answer.yaml`: what came back, verbatim, with its cost; or the error. `thinking`: see Reply."""

    text: str = ""
    thinking: str = ""
    error: str = ""
    model: str = ""
    finish: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    requests: int = 0
    at: str = ""


class Lock(Base, kw_only=True):
    """`claims/<state>/<id>.lock`: the claim. The directory it stands in is its state; the content only explains."""

    task: str
    why: str = ""

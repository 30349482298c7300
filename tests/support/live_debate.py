"""A whole debate in memory through real LiteLLM, with vendors that fail and answer nonsense: what must finish all the same."""

import random

import msgspec

from catherd.answers import prompts
from catherd.answers.envelopes import Unusable
from catherd.core.messages import Argument, Ask, Ballot, Pitch
from catherd.core.model import ModelError, Request, Said
from catherd.debate import parse
from catherd.models.llm import Live
from support.debate_in_memory import FOUR, ROOT, Debate, card
from support.vendors import Fault, Say, Seen, Vendors, rehearsed

MODEL = {
    "claude": ("anthropic", "anthropic/claude-opus-5-5"),
    "chatgpt": ("openai", "openai/gpt-6-sol"),
    "gemini": ("gemini", "gemini/gemini-3.8-flash"),
    "wildcard": ("anthropic", "anthropic/claude-sonnet-5-5"),
}
HTTP = (
    Fault(429, "rate_limit_error"),
    Fault(503),
    Fault(529),
    Fault(502, body=b"<html>", kind="text/html"),
    Fault(500),
)
LOST = (Fault(drop=True), Fault(cut=50), Fault(body=b'{"half":'))


class Trouble:
    """A vendor whose every answer is faulty with probability `share`; what it did is a function of the seed and the prompt."""

    def __init__(self, seed: int, share: float) -> None:
        self.random = random.Random(seed)
        self.share = share
        self.faulty = 0

    def fault(self, _seen: Seen) -> Fault | None:
        """An error of HTTP or a lost answer, for half of what goes wrong."""
        if self.random.random() >= self.share / 2:
            return None
        self.faulty += 1
        return self.random.choice(HTTP + LOST)

    def answer(self, seen: Seen) -> str | Say:
        """The rehearsal's answer; for the other half of what goes wrong: empty, cut, garbage, twice, in prose."""
        text = rehearsed(seen)
        if self.random.random() >= self.share / 2:
            return text
        self.faulty += 1
        bad: list[str | Say] = [
            Say(text, "empty"),
            Say(text, "filter"),
            Say(text[: len(text) // 3], "length"),
        ]
        bad += ["I would rather not.", "{", f"{text}\n{text}x: y"]
        return self.random.choice(bad)


class LiveDebate(Debate, kw_only=True):
    """Debate, asked as the daemon asks: three tries with the exact error, a lost call made again, abstention at the end."""

    server: Vendors
    abstained: list[tuple[str, str]] = msgspec.field(default_factory=list)
    calls: int = 0

    def turn(self, one: Ask, name: str) -> parse.Statement:
        shown = prompts.render_prompt(ROOT, one, card(name))
        words: tuple[Said, ...] = (Said("user", shown.prompt),)
        vendor, model = MODEL[name]
        live = Live("k", backoff=0.001, draw=lambda: 0.0)
        for left in (2, 1, 0):
            options = {"api_base": self.server.base(vendor)}
            text = self.ask(
                live,
                Request(
                    name, one.step, model, shown.system, words, 4000, 30.0, 0, options
                ),
            )
            try:
                return parse.read_statement(one, card(name), text, last_try=left == 0)
            except Unusable as error:
                words = (
                    *words,
                    Said("assistant", text or "(empty)"),
                    Said("user", "\n".join(error.errors)),
                )
        self.abstained.append((prompts.answer_form(one), name))
        return parse.Statement(instead(prompts.answer_form(one)))

    def ask(self, live: Live, request: Request) -> str:
        for _ in range(20):
            try:
                self.calls += 1
                return live.complete(request).text
            except ModelError as error:
                if error.kind not in {"unavailable", "rate_limited", "timeout"}:
                    raise
        raise AssertionError("twenty lost calls in a row")


def instead(form: str) -> Pitch | Argument | Ballot:
    """What stands for an agent that gave no usable answer."""
    if form == "ballot":
        return Ballot(abstain=True, why="no usable ballot in three tries")
    return (
        Pitch(title="(none)", body="(no usable answer)")
        if form == "pitch"
        else Argument(body="(no usable answer in three tries)")
    )


def play(seed: int, share: float) -> tuple[LiveDebate, Trouble]:
    """A debate of four agents, `share` of all answers faulty."""
    trouble = Trouble(seed, share)
    with Vendors(trouble.answer, trouble.fault) as server:
        game = LiveDebate(roll=FOUR, seed=seed, server=server)
        game.play()
    return game, trouble

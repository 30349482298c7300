"""What a game costs, as a person reads it."""

from typing import Any

from catherd.bus.config import Agent
from catherd.core.ledger import Entry
from catherd.models import costs


def agents() -> dict[str, Agent]:
    made = [
        Agent(id="claude", name="Claude", model="anthropic/claude-opus-5-5"),
        Agent(
            id="gemini",
            name="Gemini",
            model="gemini/gemini-3.8-flash",
            key="GEMINI_API_KEY",
        ),
        Agent(
            id="wild",
            name="Wild",
            model="mistral/mistral-large-latest",
            also=["anthropic/claude-sonnet-5-5"],
        ),
        Agent(id="odd", name="Odd", model="anthropic/claude-unheard-of"),
    ]
    return {a.id: a for a in made}


def test_before_the_first_call_it_is_said_who_can_play_and_what_it_costs_at_most() -> (
    None
):
    found = "Claude (anthropic/claude-opus-5-5), Wild (anthropic/claude-sonnet-5-5, for want of a key for mistral/mistral-large-latest)"
    unknown = "the price of this model is unknown: state it as options: price: 2.50/10.00 (dollars per million tokens, in/out)"
    assert costs.offer_costs(agents(), {"ANTHROPIC_API_KEY": "k"}, "debate") == [
        f"keys found for {found}",
        f"sitting out: Gemini (set GEMINI_API_KEY), Odd ({unknown})",
        "LIVE=1 costs at most $2.00 for debate (caps: in bus/game.yaml)",
    ]
    assert costs.offer_costs({"gemini": agents()["gemini"]}, {}, "plan") == [
        "no key found",
        "sitting out: Gemini (set GEMINI_API_KEY)",
    ]


def test_the_table_adds_up_and_lists_what_nobody_can_know() -> None:
    def call(agent: str, kind: str, n: int, **more: Any) -> Entry:
        usage = {
            "answered": True,
            "usd": 0.01,
            "prompt_tokens": 2000,
            "completion_tokens": 300,
            "reserved": 0.05,
            **more,
        }
        return Entry(
            agent=agent,
            phase="debate",
            turn=f"debate/round-{n}.{kind}.1",
            kind=kind,
            **usage,
        )

    entries = [
        call("claude", "pitch", 1),
        call("claude", "ballot", 2, cached_tokens=1000, prompt="p", answer="a"),
        call("claude", "ballot", 3, prompt="p", answer="a"),
        call("claude", "ballot", 4, prompt="p", answer="a"),
        call(
            "gemini",
            "pitch",
            1,
            answered=False,
            usd=0.0,
            prompt_tokens=0,
            completion_tokens=0,
        ),
    ]
    lines = costs.report(
        entries, {"debate": 2.0, "plan": 5.0, "game": 20.0}, {"claude": (1e-6, 1e-5)}
    )
    assert "\n".join(lines) == (
        "                         calls    dollars   tokens in  cached       out   alone\n"
        "the game                     5     0.0900       8,000     12%     1,200\n"
        "\n"
        "by agent\n"
        "  gemini                     1     0.0500           0      0%         0\n"
        "  claude                     4     0.0400       8,000     12%     1,200   $0.0200\n"
        "\n"
        "by phase\n"
        "  debate                     5     0.0900       8,000     12%     1,200\n"
        "\n"
        "by kind of turn\n"
        "  pitch                      2     0.0600       2,000      0%       300\n"
        "  ballot                     3     0.0300       6,000     17%       900\n"
        "\n"
        "cap debate: $0.09 of $2.00\n"
        "cap game: $0.09 of $20.00\n"
        "\n"
        "may have been billed, counted in full ($0.0500):\n"
        "  gemini debate/round-1.pitch.1 $0.0500\n"
        "in circles? claude gave the same answer to the same prompt 3 times, last in debate/round-4.ballot.1"
    )
    assert costs.report([], {}) == ["no model was called yet"]

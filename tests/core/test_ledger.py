"""Money: no game of calls, however it crashes, spends more than its caps; and every sum is the sum of the journal."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catherd.answers.journal import converse
from catherd.bus.store import Bus
from catherd.core import ledger
from catherd.core.ledger import MAY_BE_BILLED, Entry, Refusal, costs, looping, may_spend
from catherd.core.messages import Answer, Call
from catherd.core.model import ModelError, Request, Said
from catherd.models.llm import Live, estimate, worst_case_usd
from support.vendors import Fault, Say, Seen, Vendors

AGENTS = ["claude", "chatgpt", "gemini"]
PHASES = ["debate", "plan", "poc"]
_money = st.floats(0.0001, 3.0, allow_nan=False)
_calls = st.lists(
    st.tuples(
        st.sampled_from(AGENTS),
        st.sampled_from(PHASES),
        _money,
        st.floats(0.0, 1.0),  # which part of the reserve it really cost
        st.sampled_from(
            ["answered", "answered", "answered", "killed", "lost", "in vain"]
        ),
        st.booleans(),  # whether another agent reserves while this call is in the air
    ),
    max_size=60,
)


def settled(reserved: Entry, part: float, end: str) -> Entry:
    """What the journal says of the call afterwards."""
    usd = reserved.reserved * part
    if end == "killed":
        return reserved
    error = {
        "lost": f"timeout: no whole answer; {MAY_BE_BILLED}",
        "in vain": "unavailable: HTTP 503",
    }.get(end, "")
    return ledger.ledger_entry(
        agent=reserved.agent,
        turn="",
        phase=reserved.phase,
        reserved=reserved.reserved,
        error=error,
        answered=True,
        usd=0.0 if error else usd,
    )


@settings(max_examples=1000, deadline=None)
@given(
    _calls,
    st.dictionaries(
        st.sampled_from([*PHASES, "agent", "game"]), st.floats(0.0, 6.0), max_size=5
    ),
)
def test_no_game_of_calls_and_crashes_ever_exceeds_a_cap(
    calls: list[tuple[str, str, float, float, str, bool]], caps: dict[str, float]
) -> None:
    """The vendor's own bill counts a call that was killed or lost in full, whether it was billed or not."""
    journal: list[Entry] = []
    bill: list[tuple[str, str, float]] = []
    in_the_air: list[tuple[int, float, str]] = []
    for agent, phase, worst, part, end, overlaps in calls:
        if may_spend(journal, caps, agent, phase, worst) is None:
            journal.append(Entry(agent=agent, phase=phase, reserved=worst))
            in_the_air.append((len(journal) - 1, part, end))
            bill.append(
                (
                    agent,
                    phase,
                    0.0
                    if end == "in vain"
                    else worst
                    if end in {"killed", "lost"}
                    else worst * part,
                )
            )
        if not overlaps:
            for at, share, how in in_the_air:
                journal[at] = settled(journal[at], share, how)
            in_the_air.clear()
    for cap, limit in caps.items():
        for agent in AGENTS:
            paid = [
                usd
                for who, phase, usd in bill
                if cap in {phase, "game"} or (cap == "agent" and who == agent)
            ]
            assert sum(paid) <= limit + 1e-9
    table = costs(journal)
    for of in ("agent", "phase", "kind"):
        assert sum(r.usd for r in table if r.of == of) == pytest.approx(table[0].usd)
        assert (
            sum(r.calls for r in table if r.of == of) == table[0].calls == len(journal)
        )
    assert table[0].usd >= sum(usd for *_, usd in bill) - 1e-9


@given(st.sampled_from([float("nan"), float("inf"), -1.0, -1e-9]))
def test_a_reserve_that_is_no_amount_is_never_spent(worst: float) -> None:
    assert may_spend([], {"game": 10.0}, "claude", "debate", worst) is not None


def test_what_costs_nothing_is_allowed_when_all_is_spent() -> None:
    spent = [Entry(agent="claude", phase="debate", reserved=5.0)]
    assert (
        may_spend(
            spent, {"debate": 2.0, "game": 2.0, "agent": 0.0}, "claude", "debate", 0.0
        )
        is None
    )


def test_a_refusal_names_the_cap_what_is_left_and_what_was_wanted() -> None:
    spent = [
        Entry(agent="claude", phase="debate", reserved=1.5),
        Entry(agent="gemini", phase="plan", answered=True, reserved=9.0, usd=0.25),
    ]
    refusal = may_spend(
        spent, {"debate": 2.0, "game": 3.0, "agent": 10.0}, "gemini", "debate", 0.75
    )
    assert refusal == Refusal("debate", 2.0, 1.5, 0.75)
    assert (
        str(refusal)
        == "the cap 'debate' of $2.00 leaves $0.5000; the call may cost $0.7500"
    )
    assert may_spend(
        spent, {"debate": 2.0, "game": 1.8}, "gemini", "debate", 0.25
    ) == Refusal("game", 1.8, 1.75, 0.25)
    assert may_spend(spent, {"agent": 1.6}, "claude", "plan", 0.25) == Refusal(
        "agent", 1.6, 1.5, 0.25
    )
    assert may_spend(spent, {"agent": 1.6}, "gemini", "plan", 0.25) is None


def test_costs_say_who_what_for_and_what_one_agent_alone_would_have_paid() -> None:
    def call(
        agent: str,
        kind: str,
        usd: float,
        come: int,
        cached: int,
        go: int,
        **more: object,
    ) -> Entry:
        usage: dict[str, Any] = {
            "usd": usd,
            "prompt_tokens": come,
            "cached_tokens": cached,
            "completion_tokens": go,
            **more,
        }
        return ledger.ledger_entry(
            agent=agent,
            turn=f"debate/round-1.{kind}.1",
            phase="debate",
            reserved=1.0,
            answered=True,
            **usage,
        )

    entries = [
        call("claude", "pitch", 0.30, 1000, 0, 100),
        call("claude", "ballot", 0.10, 3000, 2000, 50),
        call("gemini", "pitch", 0.05, 1000, 500, 100),
        ledger.ledger_entry(
            agent="gemini",
            turn="debate/round-1.pitch.1",
            phase="debate",
            reserved=0.2,
            answered=False,
        ),
    ]
    table = costs(entries, {"claude": (1e-4, 1e-3)})
    assert [
        (r.of, r.name, r.calls, round(r.usd, 6), r.uncertain, r.uncertain_usd)
        for r in table
    ] == [
        ("game", "", 4, 0.65, 1, 0.2),
        ("agent", "claude", 2, 0.4, 0, 0),
        ("agent", "gemini", 2, 0.25, 1, 0.2),
        ("phase", "debate", 4, 0.65, 1, 0.2),
        ("kind", "pitch", 3, 0.55, 1, 0.2),
        ("kind", "ballot", 1, 0.1, 0, 0),
    ]
    assert (table[0].cached_share, table[2].alone) == (0.5, None)
    assert table[1].alone == pytest.approx(5000 * 1e-4 + 250 * 1e-3)
    assert costs([])[0].cached_share == 0.0


def test_a_loop_is_noticed_at_the_third_same_answer_to_the_same_prompt() -> None:
    def said(turn: str, answer: str) -> Entry:
        return Entry(
            agent="claude",
            phase="poc",
            turn=turn,
            answered=True,
            prompt="p",
            answer=answer,
        )

    assert (
        looping(
            [
                said("t1", "a"),
                said("t2", "a"),
                said("t3", "b"),
                Entry(agent="claude", phase="poc", prompt="p", answer="a"),
            ]
        )
        == []
    )
    assert looping(
        [said("t1", "a"), said("t2", "a"), said("t3", "b"), said("t4", "a")]
    ) == [("claude", "t4", 3)]


def journalled(bus: Bus) -> list[Entry]:
    """The entries of the journal on disk."""
    found = []
    for path in sorted(Path(bus.path).glob("runs/*/*.yaml")):
        if path.name.endswith(".answer.yaml"):
            continue
        name = f"runs/{path.parent.name}/{path.name}"
        call, answer = (
            bus.get(name, Call),
            bus.get(name.replace(".yaml", ".answer.yaml"), Answer),
        )
        assert call is not None
        usage = (
            {
                k: getattr(answer, k)
                for k in ("usd", "prompt_tokens", "completion_tokens", "cached_tokens")
            }
            if answer
            else {}
        )
        found.append(
            ledger.ledger_entry(
                agent=path.parent.name,
                turn=call.turn,
                phase=call.phase,
                reserved=call.reserved_usd,
                error=answer.error if answer else "",
                answered=answer is not None,
                **usage,
            )
        )
    return found


@pytest.mark.vendors
def test_the_ledger_is_the_journal_is_the_vendors_own_count_to_the_token(
    tmp_path: Path,
) -> None:
    """Real LiteLLM, a server that fails in every way in turn, answers that are asked again."""
    faults = [
        None,
        Fault(503),
        None,
        Fault(drop=True),
        Fault(say=Say("no", "empty")),
        None,
        Fault(429),
        Fault(body=b"{"),
        None,
        Fault(cut=30),
    ]
    model = {
        "claude": "anthropic/claude-sonnet-4-5",
        "chatgpt": "openai/gpt-5.5",
        "gemini": "gemini/gemini-2.5-flash",
    }
    vendor = {"claude": "anthropic", "chatgpt": "openai", "gemini": "gemini"}
    (tmp_path / "bus" / ".tmp").mkdir(parents=True)
    bus = Bus(str(tmp_path))
    caps = {"debate": 0.12, "agent": 0.10, "game": 1.0}

    def fault(seen: Seen) -> Fault | None:
        return faults[seen.n % len(faults)]

    def reserve(asked: Request) -> float:
        worst = worst_case_usd(asked.model, estimate(asked), asked.max_tokens)
        refusal = may_spend(journalled(bus), caps, asked.agent, "debate", worst)
        if refusal is not None:
            raise ModelError("budget", str(refusal))
        return worst

    failures: list[str] = []
    with Vendors(lambda seen: f"Answer {seen.n}. " * 20, fault) as server:
        for n in range(12):
            for agent in AGENTS:
                asked = Request(
                    agent,
                    f"debate/round-{n}.pitch.1",
                    model[agent],
                    "sys",
                    (Said("user", f"Speak {n}."),),
                    300,
                    10.0,
                )
                asked = Request(
                    **{f: getattr(asked, f) for f in asked.__struct_fields__}
                    | {"options": {"api_base": server.base(vendor[agent])}}
                )
                try:
                    converse(
                        bus,
                        Live("k", backoff=0.001),
                        asked,
                        reserve,
                        lambda text, _last: "" if text else "empty",
                        3,
                    )
                except ModelError as error:
                    failures.append(error.kind)
        bought = server.tokens
    table = costs(journalled(bus))
    assert (table[0].prompt_tokens, table[0].completion_tokens) == bought
    assert table[0].uncertain > 0
    assert {"budget", "unavailable"} <= set(failures)
    assert sum(r.usd for r in table if r.of == "agent") == pytest.approx(table[0].usd)
    for row in table:
        assert row.usd <= {"agent": 0.10, "phase": 0.12, "game": 1.0}.get(row.of, 1.0)

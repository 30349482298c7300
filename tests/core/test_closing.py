"""When a gate closes: pure, so every row of the table is one call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catherd.core.closing import Clock, CloseVerdict, judge_gate, quorum

FOUR = ["chatgpt", "claude", "gemini", "wildcard"]


def verdict(
    heard: str,
    *,
    excused: str = "",
    pending: int = 0,
    waited: float = 0.0,
    votes: bool = False,
) -> CloseVerdict:
    """Of four, with a timebox of 10 s; names by their first two letters."""
    names = {name[:2]: name for name in FOUR}
    return judge_gate(
        FOUR,
        {names[w] for w in heard.split()},
        {names[w] for w in excused.split()},
        pending,
        Clock(waited, 10),
        votes=votes,
    )


@pytest.mark.parametrize(
    ("roll", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4)]
)
def test_a_quorum_is_more_than_half(roll: int, needed: int) -> None:
    assert quorum(roll) == needed


def test_it_closes_at_once_when_everybody_has_spoken() -> None:
    assert verdict("ch cl ge wi") == CloseVerdict("close")


def test_an_answer_to_a_mention_that_is_owed_is_waited_for_until_the_timebox() -> None:
    assert verdict("ch cl ge wi", pending=1).act == "wait"
    assert verdict("ch cl ge wi", pending=1, waited=10) == CloseVerdict("close")


def test_who_is_silent_is_waited_for_until_the_timebox_and_then_absent() -> None:
    assert verdict("ch cl ge", waited=9.9) == CloseVerdict(
        "wait", waiting=("wildcard",), absent=("wildcard",)
    )
    assert verdict("ch cl ge", waited=10) == CloseVerdict("close", absent=("wildcard",))


def test_who_missed_the_last_timebox_is_not_waited_for_again_until_it_speaks() -> None:
    assert verdict("ch cl ge", excused="wi") == CloseVerdict(
        "close", absent=("wildcard",)
    )
    assert verdict("ch cl ge wi", excused="wi") == CloseVerdict("close")


def test_without_a_quorum_the_timebox_runs_once_more_and_then_a_person_decides() -> (
    None
):
    again = verdict("ch cl", waited=10, votes=True)
    assert (again.act, again.why) == ("wait", "no quorum: the timebox runs once more")
    assert verdict("ch cl", waited=20, votes=True) == CloseVerdict(
        "human",
        ("gemini", "wildcard"),
        ("gemini", "wildcard"),
        "2 of 4 ballots; 3 are needed",
    )
    assert verdict("", waited=20).why == "0 of 4 answers; 3 are needed"


def test_excused_ones_alone_never_close_a_gate_without_a_quorum() -> None:
    assert verdict("ch", excused="cl ge wi").act == "wait"


def test_your_answer_is_no_part_of_the_quorum_unless_you_are_on_the_roll() -> None:
    assert (
        judge_gate(FOUR, {"chatgpt", "claude", "human"}, set(), 0, Clock(10, 10)).act
        == "wait"
    )
    five = [*FOUR, "human"]
    assert judge_gate(five, set(FOUR), set(), 0, Clock(0, 10)) == CloseVerdict(
        "wait", ("human",), ("human",)
    )


names = st.sets(st.sampled_from(FOUR))


@given(names, names, st.integers(0, 3), st.floats(0, 30))
def test_waiting_longer_never_takes_a_verdict_back(
    heard: set[str], excused: set[str], pending: int, waited: float
) -> None:
    order = {"wait": 0, "human": 1, "close": 1}
    first = judge_gate(FOUR, heard, excused - heard, pending, Clock(waited, 10))
    later = judge_gate(FOUR, heard, excused - heard, pending, Clock(waited + 5, 10))
    assert order[later.act] >= order[first.act]
    assert first.act != "close" or later.act == "close"


@given(names, names, st.integers(0, 3), st.floats(0, 30))
def test_it_never_closes_below_the_quorum_and_never_waits_beyond_two_timeboxes(
    heard: set[str], excused: set[str], pending: int, waited: float
) -> None:
    found = judge_gate(FOUR, heard, excused - heard, pending, Clock(waited, 10))
    assert found.act != "close" or len(heard) >= 3
    assert found.act != "wait" or waited < 20
    assert set(found.absent) == set(FOUR) - heard or not found.absent

"""What a debate knows at each step: code names, what became of each proposal, what stays open. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catherd.core import lots
from catherd.core.messages import Answered, Argument, Objection, Pitch
from catherd.debate.proposals import (
    WORDS,
    Proposal,
    code_names,
    open_objections,
    standing,
    standing_inputs,
)

PITCHES = {
    "claude": Pitch(title="Lending Shelf", body="a shelf"),
    "gemini": Pitch(title="Street Almanac", body="an almanac"),
    "wildcard": Pitch(title="Lost Sounds", body="sounds"),
}
NAMES = {"birch": "gemini", "hazel": "claude", "sage": "wildcard"}


def stand(*rounds: dict[str, Argument]) -> dict[str, Proposal]:
    """The proposals after the rounds."""
    return standing(NAMES, PITCHES, rounds)


@given(st.permutations(list(PITCHES)))
def test_code_names_do_not_depend_on_who_was_first(order: list[str]) -> None:
    assert code_names(
        {agent: PITCHES[agent] for agent in order}, order, 0
    ) == code_names(PITCHES, list(PITCHES), 0)


def test_code_names_follow_the_seed_and_the_texts_and_nobody_keeps_one() -> None:
    by_seed = {
        frozenset(code_names(PITCHES, list(PITCHES), seed).items())
        for seed in range(20)
    }
    assert len(by_seed) == 20
    of_claude = {
        next(w for w, a in code_names(PITCHES, [], seed).items() if a == "claude")
        for seed in range(40)
    }
    assert len(of_claude) > 10


def test_a_word_that_stands_in_a_title_names_nobody() -> None:
    pitches = {
        f"a{n}": Pitch(title=word, body="b") for n, word in enumerate(WORDS[:-3])
    }
    found = code_names(pitches, [], 0)
    assert sorted(found.values()) == sorted(pitches)
    assert not set(found) & set(WORDS[:-3])


def test_who_made_no_pitch_is_a_guest() -> None:
    found = code_names(
        {"claude": PITCHES["claude"]}, ["chatgpt", "claude", "gemini"], 0
    )
    assert {name: agent for name, agent in found.items() if agent != "claude"} == {
        "guest-1": "chatgpt",
        "guest-2": "gemini",
    }


def test_a_revision_replaces_the_text_and_what_it_leaves_out_stays() -> None:
    found = stand({"claude": Argument(decision="revise", body="a better shelf")})[
        "hazel"
    ]
    assert (found.title, found.body, found.status) == (
        "Lending Shelf",
        "a better shelf",
        "open",
    )


def test_standing_by_a_text_keeps_it_whatever_else_is_written() -> None:
    assert (
        stand({"claude": Argument(decision="stand", title="x", body="y")})["hazel"].body
        == "a shelf"
    )
    assert stand({"claude": Argument(body="y")})["hazel"].body == "a shelf"


def test_who_withdraws_is_off_the_ballot_and_cannot_come_back() -> None:
    found = stand(
        {"claude": Argument(decision="withdraw")},
        {"claude": Argument(decision="revise", body="again")},
    )
    assert (found["hazel"].status, found["hazel"].body) == ("withdrawn", "a shelf")


def test_a_merge_holds_when_both_name_each_other_in_the_same_round() -> None:
    found = stand(
        {
            "claude": Argument(
                decision="merge", merge_with="birch", title="Both", body="by claude"
            ),
            "gemini": Argument(
                decision="merge", merge_with="hazel", title="Both", body="by gemini"
            ),
        }
    )
    assert (found["birch"].status, found["birch"].body, found["birch"].authors) == (
        "open",
        "by gemini",
        ["gemini", "claude"],
    )
    assert (found["hazel"].status, found["hazel"].merged_into) == ("merged", "birch")


@pytest.mark.parametrize(
    "rounds",
    [
        [{"claude": Argument(decision="merge", merge_with="birch", body="b")}],
        [
            {
                "claude": Argument(decision="merge", merge_with="birch", body="b"),
                "gemini": Argument(decision="merge", merge_with="sage", body="b"),
            }
        ],
        [
            {"claude": Argument(decision="merge", merge_with="birch", body="b")},
            {"gemini": Argument(decision="merge", merge_with="hazel", body="b")},
        ],
        [{"claude": Argument(decision="merge", merge_with="hazel", body="b")}],
        [
            {"gemini": Argument(decision="withdraw")},
            {
                "claude": Argument(decision="merge", merge_with="birch", body="b"),
                "gemini": Argument(decision="merge", merge_with="hazel", body="b"),
            },
        ],
    ],
    ids=[
        "alone",
        "with another",
        "a round later",
        "with itself",
        "with one that is gone",
    ],
)
def test_a_merge_that_is_not_mutual_takes_nobody_off_the_ballot(
    rounds: list[dict[str, Argument]],
) -> None:
    found = stand(*rounds)
    assert found["hazel"].status == "open"
    assert not [one for one in found.values() if one.status == "merged"]


def test_an_objection_stays_open_until_its_author_accepts_it() -> None:
    objections = {
        "gemini": Argument(
            objections=[
                Objection(to="hazel", best="b", objection="who notices?", risk=4)
            ]
        ),
        "wildcard": Argument(
            objections=[
                Objection(to="hazel", best="b", objection="dull", risk=2),
                Objection(to="birch", best="b", objection="slow", risk=3),
            ]
        ),
    }
    answers = {
        "claude": Argument(
            answers=[
                Answered(by="birch", verdict="accept", text="amber"),
                Answered(by="sage", verdict="rebut", text="good"),
            ]
        )
    }
    found = open_objections(NAMES, objections, answers)
    assert [(o["to"], o["by"], o["verdict"]) for o in found] == [
        ("hazel", "birch", "accept"),
        ("hazel", "sage", "rebut"),
        ("birch", "sage", "unanswered"),
    ]


def test_only_what_changed_is_shown_again() -> None:
    first, now = stand(), stand({"claude": Argument(decision="revise", body="better")})
    assert [(one.by, one.data["body"]) for one in standing_inputs(first, now)] == [
        ("hazel", "better")
    ]
    assert standing_inputs(first, first) == []
    assert lots.draw("a", "b") != lots.draw("ab")

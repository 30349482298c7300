"""What an agent does next, and who owes whom an answer: a pure function of the bus."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catherd.core.messages import Ask, Chat, Game
from catherd.core.turns import (
    Mention,
    Snapshot,
    Speak,
    answered,
    from_you,
    named,
    next_turn,
    owed,
    who,
)

GAME = Game(id="g", roll=["claude", "gemini", "wildcard"])
ASK = Ask(
    gate="round-1",
    step="debate/round-1",
    kind="pitch",
    template="t",
    roll=["claude", "gemini", "wildcard"],
)
ALL = frozenset(ASK.roll)


def said(turn: str, text: str, reply_to: str = "") -> Chat:
    """An agent's message, written with the turn."""
    return Chat(text=text, reply_to=reply_to, wrote={"turn": turn})


def snapshot(
    chat: dict[str, Chat] | None = None,
    spoke: frozenset[str] = frozenset(),
    **more: object,
) -> Snapshot:
    """One open ask, and what the test says."""
    told: dict[str, object] = {
        "game": GAME,
        "goal": "debate",
        "asks": (ASK,),
        "listening": ALL,
    } | more
    return Snapshot(said={ASK.step: spoke}, chat=chat or {}, **told)  # type: ignore[arg-type]  # a test's few fields


def test_whoever_is_asked_and_has_not_answered_speaks() -> None:
    assert next_turn("claude", snapshot()) == Speak(ASK)
    assert next_turn("claude", snapshot(spoke=frozenset({"claude"}))) is None
    assert next_turn("stranger", snapshot()) is None


def test_nobody_does_anything_while_it_is_paused_or_no_game_is_on() -> None:
    assert next_turn("claude", snapshot(paused=True)) is None
    assert next_turn("claude", snapshot(game=None)) is None


def test_you_come_first_then_the_asks_then_the_other_agents() -> None:
    yours = {"1.human": Chat(text="@claude why?")}
    theirs = {"2.gemini": said("debate/round-1.pitch.1", "@claude no")}
    assert next_turn("claude", snapshot(yours | theirs)) == Mention("1.human")
    answered_you = yours | {
        "3.claude": said("chat/1.human.reply.1", "because", "1.human")
    }
    assert next_turn("claude", snapshot(answered_you | theirs)) == Speak(ASK)
    assert next_turn("claude", snapshot(answered_you | theirs, spoke=ALL)) == Mention(
        "2.gemini"
    )


@pytest.mark.parametrize("name", ["human", "you", "me"])
def test_a_message_is_yours_by_its_file_name(name: str) -> None:
    assert from_you("claude", snapshot({name: Chat(text="hi @Claude")})) == [name]
    assert from_you("claude", snapshot({f"1.{name}": Chat(text="hi @Claude")})) == [
        f"1.{name}"
    ]


def test_a_mention_of_yours_is_answered_once_up_to_the_cap_of_the_game() -> None:
    chat = {f"{n}.human": Chat(text="@claude?") for n in range(5)} | {
        "7.claude": Chat(text="ok", reply_to="0.human")
    }
    assert from_you("claude", snapshot(chat, human_mentions=3)) == [
        "1.human",
        "2.human",
    ]
    assert from_you("gemini", snapshot(chat)) == []


def test_who_runs_elsewhere_is_not_waited_for_in_the_chat() -> None:
    chat = {
        "1.human": Chat(text="@claude?"),
        "2.gemini": said("debate/round-1.pitch.1", "@claude?"),
    }
    there = snapshot(chat, spoke=ALL, listening=frozenset({"gemini", "wildcard"}))
    assert from_you("claude", there) == []
    assert owed(ASK, there) == {}


def test_nothing_is_owed_before_everybody_who_will_speak_has_spoken() -> None:
    chat = {"1.gemini": said("debate/round-1.pitch.1", "@claude?")}
    assert owed(ASK, snapshot(chat, spoke=frozenset({"claude", "gemini"}))) == {}
    assert owed(ASK, snapshot(chat, spoke=ALL)) == {"claude": ["1.gemini"]}


def test_an_answer_to_a_mention_is_owed_no_further_answer() -> None:
    chat = {
        "1.gemini": said("debate/round-1.pitch.1", "@claude?"),
        "2.claude": said("chat/1.gemini.reply.1", "@gemini yes", "1.gemini"),
    }
    assert owed(ASK, snapshot(chat, spoke=ALL)) == {}


def test_nobody_owes_itself_and_each_owes_as_often_as_the_phase_says() -> None:
    chat = {
        "1.gemini": said(
            "debate/round-1.pitch.1", "I, @gemini, ask @claude and @claude"
        ),
        "2.wildcard": said("debate/round-1.pitch.1", "@claude too"),
    }
    assert owed(ASK, snapshot(chat, spoke=ALL, mentions=1)) == {"claude": ["1.gemini"]}
    assert owed(ASK, snapshot(chat, spoke=ALL, mentions=2)) == {
        "claude": ["1.gemini", "2.wildcard"]
    }


def test_what_was_said_in_another_step_is_owed_nothing_here() -> None:
    assert (
        owed(
            ASK,
            snapshot(
                {"1.gemini": said("debate/round-11.pitch.1", "@claude?")}, spoke=ALL
            ),
        )
        == {}
    )


@given(st.permutations(["claude", "gemini", "wildcard"]))
def test_who_answers_whom_does_not_depend_on_who_was_fastest(order: list[str]) -> None:
    words = {
        "claude": "@gemini?",
        "gemini": "@wildcard and @claude?",
        "wildcard": "@claude!",
    }
    chat = {
        f"{n}.{name}": said("debate/round-1.pitch.1", words[name])
        for n, name in enumerate(order)
    }
    due = {
        name: [who(stem) for stem in stems]
        for name, stems in owed(ASK, snapshot(chat, spoke=ALL)).items()
    }
    assert due == {"gemini": ["claude"], "wildcard": ["gemini"], "claude": ["gemini"]}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@gemini why?", ["gemini"]),
        ("why, @Gemini?", ["gemini"]),
        ("(@claude-2)", ["claude-2"]),
        ("mail me@gemini.example", []),
        ("@@gemini", []),
        ("@", []),
        ("@gemini@claude", ["gemini"]),
        ("@claude, @gemini.", ["claude", "gemini"]),
    ],
)
def test_a_name_is_a_mention_where_a_word_begins(text: str, names: list[str]) -> None:
    assert named(text) == names


def test_the_newest_part_of_the_name_says_who_speaks() -> None:
    assert who("20261122T101204.123Z.gemini") == "gemini"
    assert who("me") == "me"
    assert answered({"2.claude": Chat(text="x", reply_to="1.human")}) == {
        "claude": {"1.human"}
    }

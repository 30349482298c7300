"""The record of a vote: what it must say, and that nothing an agent wrote can pass for a part of it."""

import re
from typing import Any

import msgspec
import pytest
import yaml
from markdown_it import MarkdownIt

from catherd.bus import yaml_write
from catherd.core.escape import (
    cut_columns,
    escape_inline,
    markdown_table,
    quote,
    text_width,
    wrap_columns,
)
from catherd.debate.count import count_text
from catherd.debate.report import decision_yaml, results_md
from catherd.debate.tie_card import tie_card
from catherd.debate.vote import Candidate, Gone, Open, Sheet, Vote, counted, decided

NASTY = (
    "No tiles | offline.\n# Fake heading\n\n| id | title |\n|---|---|\n| x | y |\n<script>alert(1)</script>\n"
    "![pixel](http://example.org/x.png) [link](http://example.org)\n[ref]: http://example.org\n```\nunclosed\n"
    "---\n===\n1. one\n- two\n> quoted\x1b[31m red\u202e\x07"
)


def candidate(name: str, author: str, **more: Any) -> Candidate:
    fields = {
        "title": name.title(),
        "authors": (author,),
        "text": f"{name} does one thing.",
        "sha256": "ab" * 32,
    }
    return Candidate(id=name, **{**fields, **more})


VOTE = Vote(
    game="2026-11-23-a",
    base="f" * 40,
    brief="Something useful for hikers",
    candidates=(
        candidate(
            "trail",
            "claude",
            objections=(
                Open(by="gemini", text="Maps go stale.", risk=2, answer="Daily."),
            ),
        ),
        candidate(
            "recipe",
            "gemini",
            objections=(
                Open(by="a", text="minor", risk=1),
                Open(by="b", text="major", risk=5),
            ),
        ),
        candidate("ledger", "chatgpt"),
    ),
    roll=("claude", "gemini", "chatgpt", "wildcard"),
    needed=3,
    sheets=(
        Sheet(
            voter="claude",
            ranking=["recipe", "ledger"],
            reasons={"recipe": "small enough"},
            shown=("recipe", "trail"),
        ),
        Sheet(
            voter="gemini",
            ranking=["trail", "ledger"],
            shown=("ledger", "trail"),
            edited=True,
        ),
        Sheet(voter="chatgpt", ranking=["trail", "recipe"], shown=("trail",)),
    ),
    missing=("wildcard",),
)


def changed(**fields: Any) -> Vote:
    return msgspec.structs.replace(VOTE, **fields)


def record(vote: Vote) -> str:
    return results_md(vote, *counted(vote))


def card(vote: Vote) -> str:
    return tie_card(vote, *counted(vote))


TIED = changed(
    sheets=(
        Sheet(voter="claude", ranking=["recipe", "ledger"]),
        Sheet(voter="gemini", ranking=["trail", "ledger"]),
        Sheet(voter="chatgpt", ranking=[["trail", "recipe"]]),
    )
)


def test_the_whole_record_of_a_decided_vote() -> None:
    assert (
        record(VOTE)
        == """# The vote: Trail

**trail** by claude: it beats every other proposal head to head. 3 of 4 ballots; wildcard was not
heard.

The brief:

> Something useful for hikers

## Which rung decided

1. Condorcet: trail beats every other. Decided.

## On the ballot

| id     | title  | by      | sha256       |
|--------|--------|---------|--------------|
| trail  | Trail  | claude  | abababababab |
| recipe | Recipe | gemini  | abababababab |
| ledger | Ledger | chatgpt | abababababab |

## Ballots as cast

| voter   | best first      | no say on |               |
|---------|-----------------|-----------|---------------|
| claude  | recipe > ledger | trail     |               |
| gemini  | trail > ledger  | recipe    | edited by you |
| chatgpt | trail > recipe  | ledger    |               |

- wildcard: no ballot

Reasons of claude, who was shown recipe, trail:

> - recipe: small enough

## Head to head

| row : column | ledger | recipe | trail | won–level–lost |
|--------------|-------:|-------:|------:|---------------:|
| ledger       |        |  0 : 1 | 0 : 1 |          0–0–2 |
| recipe       |  1 : 0 |        | 0 : 1 |          1–0–1 |
| trail        |  1 : 0 |  1 : 0 |       |          2–0–0 |

## What would flip it

- without the ballot of chatgpt: a tie of recipe, trail
- the closest pair is with ledger: 1 ballot turned round would end it
- position check: 2 of 3 ballots rank first what was shown first

For information; none of it decides:

| another rule            | says                         |
|-------------------------|------------------------------|
| with self-votes counted | trail (condorcet)            |
| instant runoff alone    | trail (irv)                  |
| first choices only      | trail 2, recipe 1, ledger 0  |
| Borda                   | trail 2, recipe 0, ledger -2 |
| Copeland                | trail 2, recipe 0, ledger -2 |

## What stays open

Against trail, by gemini, risk 2 of 5:

> Maps go stale.

Answered:

> Daily.

## Count it yourself

Rule catherd-tally/1. `.venv/bin/catherd count FILE` says the same of:

```yaml
candidates: ["trail","recipe","ledger"]
ballots:
- [1, ["recipe","ledger"]]  # claude
- [1, ["trail","ledger"]]  # gemini
- [1, ["trail","recipe"]]  # chatgpt
recused:
  0: ["trail"]
  1: ["recipe"]
  2: ["ledger"]
```
"""
    )


@pytest.mark.parametrize("vote", [VOTE, TIED])
def test_the_block_at_its_end_counts_to_the_same_result(vote: Vote) -> None:
    block = record(vote).split("```yaml\n")[1].split("```")[0]
    result, _ = counted(vote)

    out, code = count_text(block, "vote.yaml")

    told = yaml.safe_load(out)
    assert (told["method"], told["winner"], told["tied"]) == (
        result.method,
        result.winner,
        result.tied,
    )
    assert told["pairwise"] == result.pairwise
    assert code == (0 if result.winner else 75)


def test_the_decision_is_machine_readable_and_names_who_decided() -> None:
    result, _ = counted(VOTE)

    told = yaml.safe_load(yaml_write.dumps(decision_yaml(VOTE, result)))

    assert told == {
        "catherd": 1,
        "kind": "decision",
        "winner": "trail",
        "title": "Trail",
        "authors": ["claude"],
        "by": "herd",
        "method": "condorcet",
        "reason": "",
        "tied": [],
        "ballots": "3 of 4",
        "your_ballot": False,
        "missing": ["wildcard"],
        "rule": "catherd-tally/1",
        "game": "2026-11-23-a",
        "base": "f" * 40,
        "roll": ["claude", "gemini", "chatgpt", "wildcard"],
        "brief": "Something useful for hikers",
        "constraints": [],
        "candidates": [
            {"id": n, "title": n.title(), "authors": [a], "sha256": "ab" * 32}
            for n, a in (
                ("trail", "claude"),
                ("recipe", "gemini"),
                ("ledger", "chatgpt"),
            )
        ],
        "open_objection": {"by": "gemini", "text": "Maps go stale.", "risk": 2},
        "sha256": "ab" * 32,
        "text": "trail does one thing.",
    }


def test_a_tie_is_yours_and_your_choice_ends_it() -> None:
    result, _ = counted(TIED)
    assert decided(TIED, result).winner is None
    assert (
        "- no single ballot: without any one of them the result is the same\n"
        in record(TIED)
    )
    assert decided(TIED, result).options == ["recipe", "trail"]
    chosen = msgspec.structs.replace(TIED, choice="recipe", reason="I cook.")

    told = decision_yaml(chosen, counted(chosen)[0])

    assert (told["winner"], told["by"], told["method"], told["reason"]) == (
        "recipe",
        "human",
        "human",
        "I cook.",
    )
    assert told["tied"] == ["recipe", "trail"]
    assert told["open_objection"] == {"by": "b", "text": "major", "risk": 5}
    assert "\n3. You: recipe. I cook.\n" in record(chosen)
    assert record(chosen).startswith(
        "# The vote: Recipe\n\n**recipe** by gemini: you chose it. 3 of 4 ballots"
    )


def test_without_a_quorum_the_count_decides_nothing() -> None:
    few = changed(sheets=VOTE.sheets[1:2], missing=("claude", "chatgpt", "wildcard"))
    result, _ = counted(few)

    assert decision_yaml(few, result)["winner"] is None
    assert decision_yaml(few, result)["tied"] == ["ledger", "recipe", "trail"]
    assert (
        "1. Quorum: not met, 1 of 4 ballots, 3 are needed: the count decides nothing.\n"
        in record(few)
    )
    assert card(few).startswith(
        "No quorum: 1 of 4 ballots, 3 are needed. You choose among all.\n"
    )


def test_your_ballot_counts_but_is_no_part_of_the_quorum() -> None:
    yours = changed(
        sheets=(*VOTE.sheets[:2], Sheet(voter="human", ranking=["ledger"])),
        missing=("chatgpt", "wildcard"),
    )
    result, _ = counted(yours)

    assert decided(yours, result).method == "no_quorum"
    assert "| you    | ledger" in record(yours)
    assert "2 of 4 ballots and yours" in record(yours)


def test_it_says_who_was_spoiled_late_vetoed_merged_and_of_one_vendor() -> None:
    vote = changed(
        spoiled={
            "wildcard": "bus/debate/ballots/wildcard.yaml:3:1: a quote is opened here and never closed"
        },
        missing=(),
        late=("zoe",),
        gone=(
            Gone(
                id="old",
                title="Old",
                authors=("wildcard",),
                how="vetoed",
                why="not *again*",
            ),
            Gone(id="map", title="Map", authors=("zoe",), how="merged", into="trail"),
        ),
        same_vendor="claude and wildcard are of one vendor",
        constraints=("offline only",),
    )

    text = record(vote)

    assert (
        "- wildcard: spoiled, not counted: bus/debate/ballots/wildcard.yaml:3:1: a quote is opened"
        in text
    )
    assert "- zoe: late, not counted\n" in text
    assert "- old, Old, by wildcard: vetoed by you: not \\*again\\*\n" in text
    assert "- map, Map, by zoe: merged into trail\n" in text
    assert "- claude and wildcard are of one vendor\n" in text
    assert "Binding from you:\n\n> offline only\n" in text


def headings(markdown: str) -> list[str]:
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    return [
        tokens[n + 1].content
        for n, token in enumerate(tokens)
        if token.type == "heading_open"
    ]


def kinds(markdown: str) -> set[str]:
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    return {t.type for token in tokens for t in [token, *(token.children or [])]}


def test_nothing_that_an_agent_wrote_breaks_the_record() -> None:
    sheet = Sheet(
        voter="claude",
        ranking=["recipe", NASTY],
        reasons={"recipe": NASTY, "# x": "y"},
        why=NASTY,
        notes=(NASTY,),
    )
    nasty = changed(
        brief=NASTY,
        same_vendor=NASTY,
        spoiled={"wildcard": NASTY},
        gone=(Gone(id="old", title=NASTY, authors=("zoe",), how="vetoed", why=NASTY),),
        candidates=(
            candidate(
                "trail",
                "claude",
                title=NASTY,
                objections=(Open(by="gemini", text=NASTY, answer=NASTY),),
            ),
            *VOTE.candidates[1:],
        ),
        sheets=(sheet, *VOTE.sheets[1:]),
    )

    text = record(nasty)

    assert headings(text)[1:] == headings(record(VOTE))[1:]
    assert len(headings(text)[0].splitlines()) == 1
    assert not kinds(text) & {"html_block", "html_inline", "link_open", "image", "hr"}
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    expected = [line for line in record(VOTE).splitlines() if line.startswith("|")]
    assert len(tables) == len(expected)
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in tables] == [
        line.count("|") for line in expected
    ]


def test_the_tie_card_shows_both_texts_their_duel_and_how_to_decide() -> None:
    assert (
        card(TIED)
        == """The vote is tied (3 of 4 ballots): no proposal beats every other, and the runoff
does not decide.

1 recipe                                  2 trail
Recipe                                    Trail

recipe does one thing.                    trail does one thing.

Open (risk 5 of 5): major                 Open (risk 2 of 5): Maps go stale.

Head to head: recipe 0 : 0 trail
For information: with self-votes counted still a tie (recipe, trail); first
  choices recipe 3/2, trail 3/2, ledger 0; Borda recipe 1, trail 1, ledger -2;
  Copeland recipe 1, trail 1, ledger -2

To decide, write one of these lines into bus/debate/tiebreak.yaml:
  choice: recipe
  choice: trail
"""
    )


def test_the_tie_card_keeps_to_80_columns_whatever_was_written() -> None:
    long = NASTY * 20 + "日本語" * 100 + "x" * 300
    vote = msgspec.structs.replace(
        TIED,
        candidates=tuple(
            msgspec.structs.replace(
                c, title=long, text=long, objections=(Open(by="x", text=long),)
            )
            for c in TIED.candidates
        ),
    )

    text = card(vote)

    assert max(text_width(line) for line in text.splitlines()) <= 80
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert text.endswith("  choice: recipe\n  choice: trail\n")


def test_no_ballots_give_a_card_of_all() -> None:
    none = changed(sheets=tuple(Sheet(voter=v, abstain=True) for v in VOTE.roll))

    assert card(none).startswith(
        "No ballot ranks anything (4 of 4 ballots). You choose among all.\n"
    )
    assert card(none).count("choice: ") == 3
    assert (
        "1. No ballot ranks anything: a person decides among all.\n2. You: not yet.\n"
        in record(none)
    )


def test_a_single_proposal_is_recorded_as_unopposed() -> None:
    alone = changed(candidates=VOTE.candidates[:1], sheets=())

    assert decision_yaml(alone, counted(alone)[0])["method"] == "unopposed"
    assert "1. Unopposed: one proposal, no ballots needed.\n" in record(alone)
    assert "There is no pair." in record(alone)


def test_text_is_measured_cut_and_wrapped_by_terminal_columns() -> None:
    assert text_width("日本e\u0301") == 5
    assert cut_columns("日本語 text", 8) == "日本語…"
    assert wrap_columns("日本語日本語 ab", 6) == ["日本語", "日本語", "ab"]
    assert wrap_columns("one\n\ntwo", 9) == ["one", "", "two"]
    assert escape_inline("a|b\n*c* <d> [e]\x1b[1m") == "a\\|b \\*c\\* \\<d> \\[e\\]"
    assert quote("1. one\n# two") == "> 1. one\n> \\# two"
    assert (
        markdown_table(["a", "b"], [["日本", "1"]], right=[1])
        == "| a    |   b |\n|------|----:|\n| 日本 |   1 |"
    )

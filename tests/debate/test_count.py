"""`catherd count`: what goes in, what comes out, and what is refused, word for word."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from catherd.core.errors import CatherdError
from catherd.debate.count import count_text


def counted(text: str) -> tuple[dict[str, Any], int]:
    out, code = count_text(text, "vote.yaml")
    return yaml.safe_load(out), code


def refusal(text: str) -> str:
    with pytest.raises(CatherdError) as caught:
        count_text(text, "vote.yaml")
    assert caught.value.exit == 1
    return str(caught.value)


def test_a_decided_election_exits_0_and_names_its_winner() -> None:
    text = """
candidates: [Memphis, Nashville, Chattanooga, Knoxville]
ballots:
- [42, [Memphis, Nashville, Chattanooga, Knoxville]]
- [26, [Nashville, Chattanooga, Knoxville, Memphis]]
- [15, [Chattanooga, Knoxville, Nashville, Memphis]]
- [17, [Knoxville, Chattanooga, Nashville, Memphis]]
"""

    assert counted(text) == (
        {
            "rule": "catherd-tally/1",
            "method": "condorcet",
            "winner": "Nashville",
            "tied": [],
            "pairwise": {
                "Chattanooga": {"Knoxville": 83, "Memphis": 58, "Nashville": 32},
                "Knoxville": {"Chattanooga": 17, "Memphis": 58, "Nashville": 32},
                "Memphis": {"Chattanooga": 42, "Knoxville": 42, "Nashville": 42},
                "Nashville": {"Chattanooga": 68, "Knoxville": 68, "Memphis": 58},
            },
            "rounds": [],
            "notes": [],
        },
        0,
    )


def test_a_runoff_tells_its_rounds_with_exact_fractions() -> None:
    result, code = counted(
        "{candidates: [A, B, C], ballots: [[4, [A, B, C]], [3, [[B, C], A]], [2, [C, A, B]], [1, [B, C]]]}"
    )

    assert (result["method"], result["winner"], code) == ("irv", "C", 0)
    assert result["rounds"] == [
        {
            "remaining": ["A", "B", "C"],
            "counts": {"A": 4, "B": "5/2", "C": "7/2"},
            "exhausted": 0,
            "eliminated": ["B"],
        },
        {
            "remaining": ["A", "C"],
            "counts": {"A": 4, "C": 6},
            "exhausted": 0,
            "elected": ["C"],
            "head_to_head": True,
        },
    ]


def test_a_tie_exits_75_and_lists_who_is_tied() -> None:
    result, code = counted(
        "{candidates: [C, B, A], ballots: [[1, [A, B, C]], [1, [B, C, A]], [1, [C, A, B]]]}"
    )

    assert (result["method"], result["winner"], result["tied"], code) == (
        "tie",
        None,
        ["A", "B", "C"],
        75,
    )
    assert [r.get("tied", r.get("elected")) for r in result["rounds"]] == [
        ["A", "B", "C"],
        ["B"],
        ["C"],
        ["A"],
    ]
    assert result["notes"] == [
        "tie for last (A, B, C) of A, B, C, and it matters which goes"
    ]


def test_no_ballots_exit_75_and_list_every_candidate() -> None:
    for ballots in ("[]", "[[3, []]]", "[[0, [A]]]", "[[1, [nobody]]]"):
        result, code = counted(f"{{candidates: [B, A], ballots: {ballots}}}")
        assert (result["method"], result["winner"], result["tied"], code) == (
            "no_ballots",
            None,
            ["A", "B"],
            75,
        )


def test_a_single_candidate_is_unopposed() -> None:
    result, code = counted("{candidates: [A], ballots: []}")

    assert (result["method"], result["winner"], result["tied"], code) == (
        "unopposed",
        "A",
        [],
        0,
    )


def test_unknown_repeated_and_recused_ids_are_dropped_and_noted() -> None:
    text = """
catherd: 1
title: ours
candidates: [A, B, C]
ballots:
- [2, [A, B, A, x]]
- [1, [[C, C], B, true]]
recused: {0: [A, y]}
"""

    result, code = counted(text)

    assert (result["method"], result["winner"], code) == ("condorcet", "B", 0)
    assert result["notes"] == [
        "ballot 0: recused 'y' is not a candidate, dropped",
        "the key 'title' is not used",
        "ballot 0: 'A' is recused, dropped",
        "ballot 0: 'A' is recused, dropped",
        "ballot 0: 'x' is not a candidate, dropped",
        "ballot 1: 'C' again, the first mention counts",
        "ballot 1: 'True' is not a candidate, dropped",
    ]
    assert result["pairwise"] == {
        "A": {"B": 0, "C": 0},
        "B": {"A": 1, "C": 2},
        "C": {"A": 1, "B": 1},
    }


def test_a_recused_line_has_no_say_on_pairs_with_what_it_is_recused_from() -> None:
    result, _ = counted(
        "{candidates: [A, B], ballots: [[5, [B, A]], [1, [A, B]]], recused: {0: [A]}}"
    )

    assert result["pairwise"] == {"A": {"B": 1}, "B": {"A": 0}}
    assert result["winner"] == "A"


def test_numbers_may_be_ids_and_come_back_as_numbers() -> None:
    result, code = counted(
        "{candidates: [10, 9], ballots: [[2, [9, '10']], [1, [10]]]}"
    )

    assert (result["winner"], code) == (9, 0)
    assert result["pairwise"] == {10: {9: 1}, 9: {10: 2}}


def test_json_is_read_as_well() -> None:
    assert (
        counted(
            '{"candidates": ["A", "B"], "ballots": [[1, ["A"]]], "recused": {"0": []}}'
        )[0]["winner"]
        == "A"
    )


def test_the_order_of_the_input_never_matters() -> None:
    one = count_text(
        "{candidates: [A, B, C], ballots: [[1, [A, B]], [2, [B, C]], [2, [C, A]]]}", "-"
    )
    other = count_text(
        "{ballots: [[2, [C, A]], [1, [A, B]], [2, [B, C]]], candidates: [C, A, B]}", "-"
    )

    assert one == other


EXAMPLE = "{candidates: [a, b, c], ballots: [[2, [a, b]], [1, [c, [a, b]]]]}"
SHAPE = "write [times, [best, …, worst]], for instance [3, [a, [b, c]]]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"vote.yaml: not an election\n  fix: {EXAMPLE}"),
        ("- a\n- b", f"vote.yaml:1:1: not an election\n  fix: {EXAMPLE}"),
        (
            "ballots: []",
            f"vote.yaml:1:1: candidates is missing\n  fix: write it like this: {EXAMPLE}",
        ),
        (
            "candidates: [a]",
            f"vote.yaml:1:1: ballots is missing\n  fix: write it like this: {EXAMPLE}",
        ),
        (
            "candidates: a\nballots: []",
            f"vote.yaml:1:13: candidates is not a list\n  fix: write it like this: {EXAMPLE}",
        ),
        (
            "candidates: []\nballots: []",
            "vote.yaml:1:13: there are no candidates\n  fix: candidates: [a, b]  # two or more, to have something to choose from",
        ),
        (
            "candidates: [a, b, a]\nballots: []",
            "vote.yaml:1:20: the candidate 'a' stands here twice\n  fix: delete one of them",
        ),
        (
            "candidates: [a, 1.5]\nballots: []",
            "vote.yaml:1:17: a candidate is a word or a whole number\n  fix: quote it, if it is meant as a name",
        ),
        (
            "candidates: [a, [b]]\nballots: []",
            "vote.yaml:1:17: a candidate is a word or a whole number\n  fix: candidates: [a, b, c]",
        ),
        (
            "candidates: [a, b]\nballots:\n- [1, [a]]\n- [a, b]",
            f"vote.yaml:4:3: ballot 1 is not [times, [ids]]\n  fix: {SHAPE}",
        ),
        (
            "candidates: [a, b]\nballots:\n- [-1, [a]]",
            f"vote.yaml:3:4: ballot 0: -1 is not how many were cast\n  fix: {SHAPE}",
        ),
        (
            "candidates: [a, b]\nballots:\n- [true, [a]]",
            f"vote.yaml:3:4: ballot 0: True is not how many were cast\n  fix: {SHAPE}",
        ),
        (
            "candidates: [a, b]\nballots:\n- [1, [a, [b, [c]]]]",
            f"vote.yaml:3:11: ballot 0 ranks something that is no id\n  fix: {SHAPE}",
        ),
        (
            "candidates: [a, b]\nballots: []\nrecused: [a]",
            "vote.yaml:3:10: recused is not a map of ballots to ids\n  fix: recused: {0: [a]}  # ballot 0 may not judge a",
        ),
        (
            "candidates: [a, b]\nballots: [[1, [a]]]\nrecused: {1: [a]}",
            "vote.yaml:3:14: recused names ballot '1', which is not there\n  fix: count from 0: the first is 0, the last is 0",
        ),
        (
            "candidates: [a, b]\nballots: [[1, [a]]]\nrecused: {0: a}",
            "vote.yaml:3:14: recused takes a list of ids\n  fix: recused: {0: [a]}",
        ),
        (
            "candidates: [a, b]\nballots: []\nballots: []",
            "vote.yaml:3:1: the key 'ballots' stands here twice\n  fix: delete one of them",
        ),
    ],
)
def test_what_cannot_be_read_as_an_election_is_refused_with_place_and_fix(
    text: str, message: str
) -> None:
    assert refusal(text) == message


def typed(*words: str, given: bytes = b"") -> tuple[int, bytes, str]:
    start = "from catherd.cli import main; main(prog_name='catherd')"
    done = subprocess.run(
        [sys.executable, "-c", start, *words], input=given, capture_output=True
    )
    return done.returncode, done.stdout, done.stderr.decode()


def test_standard_input_that_is_not_utf_8_is_refused_as_a_file_is() -> None:
    assert typed(
        "count", "-", given=b'candidates: [a, b]\nballots: [[1, ["\xff"]]]\n'
    ) == (
        1,
        b"",
        "catherd: standard input:2: not UTF-8\n  fix: save the file as UTF-8\n",
    )


def test_a_directory_is_no_election(tmp_path: Path) -> None:
    assert typed("count", str(tmp_path)) == (
        1,
        b"",
        f"catherd: {tmp_path}: is a directory\n  fix: name a file, or - for standard input\n",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "frob",
            "catherd: catherd: No such command 'frob'\n  fix: .venv/bin/catherd --help\n",
        ),
        (
            "--nope",
            "catherd: catherd: No such option '--nope'\n  fix: .venv/bin/catherd --help\n",
        ),
        (
            "bus log --nope",
            "catherd: catherd bus log: No such option '--nope'\n  fix: .venv/bin/catherd bus log --help\n",
        ),
        (
            "count",
            "catherd: catherd count: Missing argument 'FILE'\n  fix: .venv/bin/catherd count --help\n",
        ),
    ],
)
def test_a_command_mistyped_is_your_mistake(words: str, message: str) -> None:
    assert typed(*words.split()) == (1, b"", message)


def test_a_pipe_that_nobody_reads_ends_the_command_quietly() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    start = "from catherd.cli import main; main(prog_name='catherd')"
    election = b"candidates: [a]\nballots: [[1, [a]]]\n"
    done = subprocess.run(
        [sys.executable, "-c", start, "count", "-"],
        input=election,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")

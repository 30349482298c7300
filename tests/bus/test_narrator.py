"""What a person sees and types: on a terminal of 80 columns, piped, and in the chat."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from catherd.bus import yaml_read
from catherd.bus.narrator import Teller, cut_line, headline, terminal_text, trouble
from catherd.bus.store import Bus
from catherd.core.closing import CloseVerdict, Heard
from catherd.core.messages import (
    Argument,
    Ask,
    Ballot,
    Chat,
    Objection,
    Pitch,
    Spoken,
    Trouble,
)
from support import games, terminal
from support.git_repos import sh
from support.typed import Typed, until

NAMES = {"claude": "Claude", "gemini": "Gemini"}
ASK = Ask(
    gate="round-1",
    step="debate/round-1",
    kind="pitch",
    template="t",
    roll=["claude", "gemini"],
)


def heard(message: Pitch | Argument | Ballot) -> Heard:
    """An answer as the gate has it."""
    return Heard(message, Spoken(path="x", sha256="y"))


# Piped


def test_piped_there_are_plain_lines_without_colour_pace_or_bell(
    finished_game: Path,
) -> None:
    shown = (finished_game.parent / "session.txt").read_text()
    assert "\x1b" not in shown
    assert "\a" not in shown
    assert "\r" not in shown
    lines = shown.splitlines()
    assert [line for line in lines if line.rstrip() != line] == []
    assert [line for line in lines if line.startswith("── ")] == [
        f"── {name} {'─' * (76 - len(name))}"
        for name in ("round 1", "round 2", "round 3", "round 4", "ballots")
    ]
    assert [
        line
        for line in lines
        if len(line) > 80 and not line.startswith("a rehearsal, free;")
    ] == []
    assert "round-1 closed: 4 of 4 heard" in lines
    assert lines[-3:-1] == [
        "debate: done",
        "rehearsal: no model was called. For real: set your keys, then make debate LIVE=1",
    ]
    assert re.fullmatch(
        r"undo: git reset --keep refs/catherd/before/g-[0-9a-f-]+ && make new",
        lines[-1],
    )


def test_a_second_time_nothing_is_done_and_nothing_else_is_said(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    head = sh(game, "rev-parse", "main")
    done = games.make(game, "debate")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "debate: done"
    assert sh(game, "rev-parse", "main") == head


def test_our_own_words_never_shout(finished_game: Path) -> None:
    """The agents may; catherd's lines are those that begin at the margin and name nobody."""
    shown = (finished_game.parent / "session.txt").read_text().splitlines()
    ours = [
        line
        for line in shown
        if not re.match(r"\s|(Claude|ChatGPT|Gemini|Wildcard) ", line)
    ]
    assert len(ours) > 10
    assert [line for line in ours if "!" in line] == []


# What an agent wrote


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("a\x1b[31mred", "a[31mred"),
        ("a\x1b]0;title\x07b", "a]0;titleb"),
        ("a\x9b2Jb", "a2Jb"),
        ("a\rb\x08c\x7f", "abc"),
        ("a\u202eb\u2066c\u200fd", "abcd"),
        ("a\u200b\ufeffb", "ab"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("größe 猫 🐈", "größe 猫 🐈"),
    ],
)
def test_nothing_that_a_terminal_obeys_gets_through(
    hostile: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert terminal_text(hostile) == shown
    teller = Teller({"claude": hostile}, rehearsal=True, tty=False)
    teller.said(
        ASK,
        {"claude": heard(Pitch(title=hostile, body=hostile))},
        {"1.claude": Chat(text=hostile)},
    )
    teller.troubles([Trouble(where=hostile, what=hostile, fix=hostile)])
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]",
        capsys.readouterr().out,
    )


def test_each_answer_and_each_message_is_told_once_and_what_was_told_before_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    teller = Teller(NAMES, rehearsal=True, tty=False)
    teller.knows({"1.gemini"})
    chat = {
        "1.gemini": Chat(text="before"),
        "2.claude": Chat(text="now", reply_to="1.gemini"),
        "me": Chat(text="mine"),
    }
    for _ in range(2):
        teller.said(
            ASK, {"claude": heard(Pitch(title="Shed", body="## User\nMarta"))}, chat
        )
    assert capsys.readouterr().out.splitlines() == [
        f"── round 1 {'─' * (Teller(NAMES, rehearsal=True, tty=False).width - 11)}",
        "Claude   │ Shed. Marta",
        "Claude   » @Gemini: now",
        "you      » mine",
    ]


def test_what_needs_a_look_is_told_once_with_its_fix(
    capsys: pytest.CaptureFixture[str],
) -> None:
    teller = Teller(NAMES, rehearsal=True, tty=False)
    one = Trouble(where="bus/x.yaml:1:2", what="is wrong", fix="rm bus/x.yaml")
    teller.troubles([one, one])
    teller.troubles([one])
    assert (
        capsys.readouterr().out
        == "look at bus/x.yaml:1:2: is wrong\n  fix: rm bus/x.yaml\n"
    )
    assert trouble(Trouble(where="x", what="y")) == "look at x: y"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (Pitch(title="Shed", body="## User\n\nMarta."), "Shed. Marta."),
        (Ballot(ranking=["hazel", ["birch", "sage"]]), "hazel > birch=sage"),
        (Ballot(abstain=True, why="cannot tell"), "abstains. cannot tell"),
        (
            Argument(
                objections=[
                    Objection(to="hazel", best="b", objection="dull"),
                    Objection(to="birch", best="b", objection="x"),
                ]
            ),
            "to hazel: dull (and 1 more)",
        ),
        (
            Argument(decision="merge", merge_with="birch"),
            "merge with birch; accepts 0 of 0 objections",
        ),
        (Argument(speaks_for="hazel", body="small"), "for hazel: small"),
    ],
)
def test_a_headline_says_what_an_answer_comes_to(
    message: Pitch | Argument | Ballot, line: str
) -> None:
    assert headline(message) == line


def test_a_long_text_is_cut_between_words() -> None:
    assert cut_line("one two three", 9) == "one two …"
    assert cut_line("one", 9) == "one"


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (
            CloseVerdict("wait", ("claude", "human")),
            "round-1: 12 s, waiting for Claude, you",
        ),
        (CloseVerdict("wait"), "round-1: 12 s, waiting for answers in the chat"),
        (
            CloseVerdict(
                "wait", ("gemini",), (), "no quorum: the timebox runs once more"
            ),
            "round-1: 12 s, waiting for Gemini (no quorum: the timebox runs once more)",
        ),
    ],
)
def test_one_line_says_who_is_still_thinking_and_for_how_long(
    verdict: CloseVerdict, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    teller = Teller(NAMES, rehearsal=True, tty=True)
    teller.waiting("round-1", verdict, paused=False, waited=12.7)
    teller.waiting("round-1", verdict, paused=False, waited=12.9)
    assert capsys.readouterr().out == f"\r\x1b[K{line}"
    teller.line("said")
    assert capsys.readouterr().out == "\r\x1b[Ksaid\n"
    teller.waiting("round-1", verdict, paused=True, waited=12.9)
    assert capsys.readouterr().out == "\r\x1b[Kpaused: rm bus/PAUSE goes on"


def test_that_line_never_wraps(capsys: pytest.CaptureFixture[str]) -> None:
    names = {f"a{n}": f"Somebody {n}" for n in range(20)}
    teller = Teller(names, rehearsal=True, tty=True)
    teller.waiting(
        "round-1", CloseVerdict("wait", tuple(names)), paused=False, waited=1
    )
    assert len(capsys.readouterr().out.removeprefix("\r\x1b[K")) < teller.width


# On a terminal


def _fill(game: Path) -> Callable[[], object]:
    """Rank the proposal that is going to win."""

    def fill() -> None:
        form = game / "bus/debate/ballots/human.yaml"
        text = form.read_text()
        (shelf,) = re.findall(r"^#   (\w+): Lending Shelf$", text, flags=re.MULTILINE)
        form.write_text(text.replace("ranking: []", f"ranking: [{shelf}]"))

    return fill


def test_on_a_terminal_you_are_asked_for_a_brief_and_a_vote_and_your_ballot_counts(
    game: Path,
) -> None:
    notified = game.parent / "notified"
    shown = terminal.play(
        game,
        ["make", "debate"],
        games.env(NOTIFY=f"echo called >> {notified}"),
        [
            ("what should they build?", "A tool shed.\n"),
            ("vote too? [y/N] ", "y\n"),
            ("your ballot: ", _fill(game)),
        ],
    )
    assert shown.code == 0, shown.text
    assert shown.widest <= 80
    assert "brief: A tool shed." in shown.lines
    assert (
        "your ballot: bus/debate/ballots/human.yaml, best first behind `ranking:`; it"
        in shown.lines
    )
    assert any(re.fullmatch(r"you      │ \w+", line) for line in shown.lines)
    assert "ballots closed: 4 of 4 ballots" in shown.lines
    assert re.search(
        r"^decided: Lending Shelf \(\w+; it beats every rival; 4 of 4 ballots and yours\)$",
        shown.text,
        re.MULTILINE,
    )
    assert "\x1b[1;" in shown.raw
    assert shown.raw.count("\a") == 2  # asked for the vote; done
    assert notified.read_text() == "called\n" * 2
    assert (
        "4 of 4 ballots and yours" in (game / "docs/debate/vote-results.md").read_text()
    )
    assert [line for line in shown.lines if line.startswith("make")] == []


def test_on_a_terminal_a_tie_is_yours_to_break_by_its_number(game: Path) -> None:
    shown = terminal.play(
        game,
        ["make", "debate", "REHEARSAL_SEED=4", "BRIEF=A shed."],
        games.env(NO_COLOR="1"),
        [("vote too? [y/N] ", "\n"), ("  1/2? ", "7\n"), ("  1/2? ", "2\n")],
    )
    assert shown.code == 0, shown.text
    assert shown.widest <= 80
    assert "\x1b[1;" not in shown.raw
    assert re.search(
        r"^decided: .+ \(\w+; you chose it; 4 of 4 ballots\)$", shown.text, re.MULTILINE
    )
    decision = yaml_read.read_yaml(str(game / "docs/debate/decision.yaml")).data
    assert decision["by"] == "human"


def test_without_a_terminal_the_last_lines_of_a_tie_name_the_file_and_its_choice_ends_it(
    game: Path,
) -> None:
    notified = game.parent / "notified"
    tied = games.make(
        game, "debate", "REHEARSAL_SEED=4", NOTIFY=f"echo called >> {notified}"
    )
    assert tied.returncode == 2
    last = tied.stderr.splitlines()[:2]
    found = re.fullmatch(
        r"catherd: needs you: bus/debate/tiebreak.yaml: the vote is tied between (\w+) and (\w+)",
        last[0],
    )
    assert found is not None, tied.stderr
    assert last[1] == (
        f"  fix: fill in `choice:` there with one of {found[1]}, {found[2]}, then type make debate"
    )
    assert tied.stderr.splitlines()[2].endswith("Error 75")
    assert notified.read_text() == "called\n"
    screen = games.make(game, "status").stdout.splitlines()
    assert screen[:4] == [
        "needs you",
        "  bus/debate/tiebreak.yaml: the vote is tied",
        "    fix: fill in `choice:`, then make debate",
        "",
    ]
    path = game / "bus/debate/tiebreak.yaml"
    form = path.read_text()
    path.write_text(form.replace("choice:\n", "choice: oak\n"))
    wrong = games.make(game, "debate")
    assert re.match(
        rf"catherd: needs you: bus/debate/tiebreak.yaml:\d+:9: 'oak' is not among the tied\n  fix: one of: {found[1]}, {found[2]}\n",
        wrong.stderr,
    ), wrong.stderr
    assert "'oak' is not among the tied\n" in games.make(game, "status").stdout
    assert not (game / "bus/goal").exists()
    path.write_text(
        form.replace(
            "choice:\nreason:\n", f"choice: {found[2]}\nreason: It can be tried here.\n"
        )
    )
    done = games.make(game, "debate")
    assert done.returncode == 0, done.stderr
    decision = yaml_read.read_yaml(str(game / "docs/debate/decision.yaml")).data
    assert (decision["winner"], decision["by"]) == (found[2], "human")
    assert "It can be tried here." in (game / "docs/debate/vote-results.md").read_text()
    assert Bus(str(game)).names("problems") == []


# Talking


def test_what_you_say_arrives_as_you_typed_it_and_bare_say_reads_your_input(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    words = """it's "so", $HOME, $(id), `id`, 100 % \\ and #1; @gemini"""
    said = games.make(game, "say", f"MSG={words}")
    assert yaml_read.read_yaml(str(game / said.stdout.strip())).data["text"] == words
    typed = subprocess.run(
        ["make", "say"],
        cwd=game,
        env=games.env(),
        input=f"{words}\nsecond line\n",
        capture_output=True,
        text=True,
    )
    assert (
        yaml_read.read_yaml(str(game / typed.stdout.strip())).data["text"]
        == f"{words}\nsecond line"
    )
    nothing = subprocess.run(
        ["make", "say"],
        cwd=game,
        env=games.env(),
        input="\n",
        capture_output=True,
        text=True,
    )
    assert nothing.stderr.startswith(
        "catherd: MSG: nothing to say\n  fix: make say MSG='@gemini why not offline?'\n"
    )
    to = games.make(game, "say", "MSG=why?", "TO=gemini")
    assert to.stderr == "nobody is running; it is read once a goal is typed\n"
    assert (
        yaml_read.read_yaml(str(game / to.stdout.strip())).data["text"]
        == "@gemini why?"
    )
    assert games.make(game, "chat").stdout.splitlines()[-1] == "you      » @gemini why?"


@pytest.mark.herd
def test_before_the_first_game_each_command_says_what_begins_one(
    tmp_path: Path,
) -> None:
    game = games.lay(tmp_path / "game")
    for command in ("say", "chat"):
        done = games.make(game, command, "MSG=hi")
        assert done.stderr.startswith(
            "catherd: bus/chat/: no game is on\n  fix: make debate begins one\n"
        )
    assert games.make(game, "ballot").stderr.startswith(
        "catherd: bus/debate/ballots/: the ballots are not open yet\n  fix: make ballots goes on to them\n"
    )
    assert (
        games.make(game, "status").stdout.splitlines()[0]
        == "no game is on; make debate begins one"
    )
    assert games.make(game, "new").stdout == "no game is on\n"
    assert games.make(game, "go").stderr.startswith(
        "catherd: bus/STEP: no gate is held\n  fix: make debate STEP=1 holds every gate\n"
    )


def test_status_says_that_nobody_turns_the_crank(
    finished_game: Path, tmp_path: Path
) -> None:
    game = games.copy(finished_game, tmp_path / "game")
    (game / "bus/goal").write_text("plan\n")
    first = games.make(game, "status").stdout.splitlines()[0]
    assert first.endswith(
        " · rehearsal · stopped short of plan; type make plan to go on"
    )


def test_a_ballot_after_the_vote_is_refused(finished_game: Path) -> None:
    done = games.make(finished_game, "ballot")
    assert done.stderr.startswith(
        "catherd: bus/debate/ballots/: the ballots are closed; no other is counted\n  fix: make status\n"
    )
    assert not (finished_game / "bus/debate/ballots/human.yaml").exists()


def test_a_mention_of_yours_is_answered_while_the_game_is_on(game: Path) -> None:
    typed = Typed(game, "round-1", "STEP=1")
    until(
        "it is held", lambda: "round-1: held (STEP); make go closes it\n" in typed.said
    )
    said = games.make(game, "say", "MSG=@gemini why not offline?").stdout.strip()
    stem = Path(said).stem
    until(
        "it is answered",
        lambda: [m for m in Bus(str(game)).chat().values() if m.reply_to == stem],
    )
    bound = games.make(game, "say", "MSG=@gemini it must run offline.", "BINDING=1")
    stem = Path(bound.stdout.strip()).stem
    until(
        "it is accepted",
        lambda: [m for m in Bus(str(game)).chat().values() if m.reply_to == stem],
    )
    assert [m.text for m in Bus(str(game)).chat().values() if m.reply_to == stem] == [
        "“it must run offline” is binding; I accept it without a survey. Whatever I argue from here on keeps to it."
    ]
    assert bound.stderr == ""
    assert games.make(game, "go").returncode == 0
    assert typed.ended() == 0, typed.text
    assert any(line.startswith("Gemini   » @you: ") for line in typed.said)
    assert os.listdir(game / "bus/.tmp") == []

"""Hidden characters: one definition, and no surface that a reader trusts lets one through unmarked."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catherd.answers import envelopes, prompts
from catherd.box.supervise import escaped_text
from catherd.bus import narrator, store, yaml_read, yaml_write
from catherd.core import escape, hidden
from catherd.git import pr_rules, run, trailers, worktree
from support.git_repos import put, repo

# A character (or more) between two letters, and how it is written where it is escaped.
HIDDEN = {
    "\x00": "\\x00",
    "\x07": "\\x07",
    "\x1b": "\\x1b",
    "\x7f": "\\x7f",
    "\x9b": "\\x9b",
    "\xad": "\\xad",
    "\u034f": "\\u034f",
    "\u061c": "\\u061c",
    "\u115f": "\\u115f",
    "\u1160": "\\u1160",
    "\u180e": "\\u180e",
    "\u200b": "\\u200b",
    "\u200c": "\\u200c",
    "\u200d": "\\u200d",
    "\u200e": "\\u200e",
    "\u200f": "\\u200f",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
    "\u202a": "\\u202a",
    "\u202e": "\\u202e",
    "\u2060": "\\u2060",
    "\u2064": "\\u2064",
    "\u2066": "\\u2066",
    "\u2069": "\\u2069",
    "\u3164": "\\u3164",
    "\ufe0e": "\\ufe0e",
    "\ufe0f": "\\ufe0f",
    "\ufeff": "\\ufeff",
    "\uffa0": "\\uffa0",
    "\ufff9": "\\ufff9",
    "\ufffb": "\\ufffb",
    "\U000e0041": "\\U000e0041",
    "\U000e0100": "\\U000e0100",
    "\u202e\u200b": "\\u202e\\u200b",
}
READ = {
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "a skin colour": "\U0001f44d\U0001f3fd",
    "a red heart": "\u2764\ufe0f",
    "a heart on fire": "\u2764\ufe0f\u200d\U0001f525",
    "a rainbow flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "a keycap": "1\ufe0f\u20e3",
    "Persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Hindi": "\u0915\u094d\u200d\u0937",
    "Chinese": "\u4e2d\u6587",
    "an accent": "e\u0301",
}
ASK_TEXT = "a{0}b"


def names(characters: dict[str, str]) -> list[str]:
    return [ascii(one).strip("'") for one in characters]


@pytest.mark.parametrize("one", HIDDEN, ids=names(HIDDEN))
def test_what_a_prompt_a_terminal_a_document_and_the_bus_hold_is_without_it(
    one: str,
) -> None:
    text = f"a{one}b and more\n"

    assert prompts.tame(text) == "ab and more"
    assert prompts.one_line(text) == (
        "a b and more" if one[0] in "\u2028\u2029" else "ab and more"
    )
    assert narrator.terminal_text(text) == "ab and more "
    assert store.tidy_text(text) == "ab and more"
    assert envelopes.parse_envelope(text).body == "ab and more"


@pytest.mark.parametrize("one", sorted(HIDDEN.keys() - {"\x1b"}), ids=ascii)
def test_a_document_of_markdown_is_without_it(one: str) -> None:
    assert escape.plain_text(f"a{one}b") == "ab"


@pytest.mark.parametrize("one", HIDDEN, ids=names(HIDDEN))
def test_what_a_box_and_git_said_shows_it(one: str) -> None:
    assert escaped_text(f"a{one}b\n") == f"a{HIDDEN[one]}b\n"
    assert run.scrub(f"a{one}b") == f"a{HIDDEN[one]}b"


@pytest.mark.parametrize("one", HIDDEN, ids=names(HIDDEN))
def test_yaml_shows_it_and_reads_it_back(one: str) -> None:
    written = yaml_write.dumps({"text": f"a{one}b"})

    assert written.isascii()
    assert written.startswith('text: "a\\')
    assert yaml_read.loads(written, "it").data == {"text": f"a{one}b"}


@pytest.mark.parametrize("one", HIDDEN, ids=names(HIDDEN))
def test_a_message_of_a_commit_is_without_it_and_forges_no_trailer_with_it(
    one: str,
) -> None:
    text = f"a{one}b\n\nReviewed{one}-by: gemini <gemini@agents.invalid> (0123456789ab)"

    assert trailers.trailer_text(text) == "ab"


@pytest.mark.parametrize("one", HIDDEN, ids=names(HIDDEN))
def test_no_file_name_holds_it(one: str) -> None:
    assert pr_rules.bad_name(f"app/a{one}b") == (
        "the name has a control or invisible character"
    )
    assert pr_rules.denied(f".g{one}it/config") == (
        "git's own files are not part of a pull request"
    )
    assert pr_rules.shown_path(f"app/a{one}b") == f"app/a{HIDDEN[one]}b"


def test_a_reviewer_is_shown_each_of_them(tmp_path: Path) -> None:
    root = repo(tmp_path / "game", {"worktrees/README.md": "agents work here\n"})
    shown = HIDDEN.keys() - {"\x00"}  # a file with a zero byte is shown as binary
    lines = {one: f"a{one}b" for one in sorted(shown)}
    tree = Path(worktree.begin_branch(root, "claude", "T-001", "main").path)
    put(tree, {"app/a.txt": "".join(f"{line}\n" for line in lines.values())})
    paths = worktree.changed_paths(root, "claude")
    sha = worktree.commit(root, "claude", paths, "Work")

    diff = pr_rules.diff(root, "main", sha)

    added = [line for line in diff.split("\n") if line.startswith("+a")]
    assert added == [f"+a{HIDDEN[one]}b" for one in sorted(shown)]


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_what_is_read_stays_on_every_surface(text: str) -> None:
    assert prompts.tame(text) == text
    assert narrator.terminal_text(text) == text
    assert store.tidy_text(text) == text
    assert escape.plain_text(text) == text
    assert escaped_text(text) == text
    assert run.scrub(text) == text
    assert trailers.trailer_text(text) == text
    assert pr_rules.shown_path(text) == text
    assert yaml_write.dumps({"text": text}) == f"text: {text}\n"


JOINERS = ["\u200c", "\u200d", "\ufe0f", "\u20e3", "\u200b", "\U000e0041"]
ALPHABET = st.sampled_from([*JOINERS, *"a1#\u2764\U0001f468\U0001f3fd\u0645\u0915"])


@given(st.text(ALPHABET, max_size=12))
def test_nothing_is_left_to_remove_and_nothing_hidden_is_left(text: str) -> None:
    once = hidden.removed(text)

    assert hidden.removed(once) == once
    assert hidden.escaped(once) == once
    assert hidden.removed(hidden.escaped(text)) == hidden.escaped(text)


@given(st.text())
def test_texts_of_any_characters_are_read_back_from_yaml(text: str) -> None:
    thing = {"a": text, "b": [f"{text}\U0001f600", "\ue000"]}

    assert yaml_read.loads(yaml_write.dumps(thing), "it").data == thing


def test_a_character_of_the_private_use_area_is_no_emoji_after_it_was_written() -> None:
    thing = {"emoji": "\U0001f600\U0001f44d", "mine": "\ue000\ue001"}

    assert yaml_write.dumps(thing) == (
        "emoji: \U0001f600\U0001f44d\nmine: \ue000\ue001\n"
    )

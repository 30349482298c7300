"""The YAML door: what it takes, what it refuses and where, and that what it writes comes back as it went in."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catherd.bus import yaml_read, yaml_write
from catherd.core.errors import CatherdError
from catherd.core.messages import Argument, Ballot, Chat, Pitch

REFUSED = {
    "a tab": (
        "title: a\n\tbody: b\n",
        "x.yaml:2:1: found a tab character that violates indentation\n  fix: use spaces, not a tab",
    ),
    "a tab in a list": (
        "title: x\nbody:\n\t- y\n",
        (
            "x.yaml:3:1: found character that cannot start any token\n"
            "  fix: use spaces, not a tab; quote the value if it begins with @, `, % or *"
        ),
    ),
    "an unclosed quote": (
        'title: a\nbody: "b\nkind: pitch\n',
        "x.yaml:2:7: a quote is opened here and never closed\n  fix: close the quote that is open",
    ),
    "a duplicate key": (
        "title: a\nbody: b\ntitle: c\n",
        "x.yaml:3:1: the key 'title' stands here twice\n  fix: delete one of them",
    ),
    "a colon in a text": (
        "title: a: b\nbody: c\n",
        (
            "x.yaml:1:9: mapping values are not allowed in this context\n"
            "  fix: quote the value: it holds a colon followed by a blank"
        ),
    ),
    "a mention that is not quoted": (
        "title: @gemini\nbody: b\n",
        (
            "x.yaml:1:8: found character that cannot start any token\n"
            "  fix: use spaces, not a tab; quote the value if it begins with @, `, % or *"
        ),
    ),
    "an alias bomb": (
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\ntitle: *c\n",
        "x.yaml:1:4: an anchor (`&name`) is not taken here\n  fix: delete the anchor; quote a text that begins with &",
    ),
    "an alias of nothing": (
        "title: *gemini\nbody: b\n",
        "x.yaml:1:8: found undefined alias\n  fix: quote the value: a `*` at its beginning means an alias",
    ),
    "a tag": (
        "title: !!python/object:os.system x\nbody: b\n",
        "x.yaml:1:8: the tag tag:yaml.org,2002:python/object:os.system is not taken here\n  fix: delete the tag",
    ),
    "brackets without end": (
        f"title: {'[' * 100_000}\n",
        "x.yaml:1:71: nested deeper than 64 levels\n  fix: write it flatter",
    ),
    "dashes without end": (
        "- " * 2_000 + "x\n",
        "x.yaml:1:129: nested deeper than 64 levels\n  fix: write it flatter",
    ),
    "two documents": (
        "title: a\n---\ntitle: b\n",
        (
            "x.yaml:2:1: but found another document\n"
            "  fix: delete the line `---`, or put what follows it into a file of its own"
        ),
    ),
    "a NUL": (
        "title: a\0\n",
        (
            "x.yaml: unacceptable character #x0000: control characters are not allowed\n"
            "  fix: remove the character; YAML holds text only"
        ),
    ),
    "a key that is a list": (
        "? [a]\n: b\n",
        "x.yaml:1:3: a key must be a word\n  fix: quote the key",
    ),
    "more than a file of the bus holds": (
        f"title: {'x' * (1 << 20)}\n",
        "x.yaml: larger than 1048576 bytes\n  fix: split it; no file of the bus is that large",
    ),
}
MISTYPED: dict[str, tuple[str, type, str]] = {
    "a number for a text": (
        "title: 3\nbody: b\n",
        Pitch,
        "x.yaml:1:8: title: Expected `str`, got `int`\n  fix: title: '3'",
    ),
    "a switch for a text": (
        "title: a\nbody: true\n",
        Pitch,
        "x.yaml:2:7: body: Expected `str`, got `bool`\n  fix: body: 'true'",
    ),
    "a list for a text": (
        "title: [a]\nbody: b\n",
        Pitch,
        "x.yaml:1:8: title: Expected `str`, got `array`\n  fix: write it like title: 'a text'",
    ),
    "a map for a list": (
        "ranking: {a: b}\n",
        Ballot,
        "x.yaml:1:10: ranking: Expected `array`, got `object`\n  fix: write it like ranking: [one, two]",
    ),
    "a text for a switch": (
        "abstain: yes\n",
        Ballot,
        "x.yaml:1:10: abstain: Expected `bool`, got `str`\n  fix: write it like abstain: true",
    ),
    "a text for a number, deep inside": (
        "objections:\n- {to: a, best: b, objection: c, risk: high}\n",
        Argument,
        "x.yaml:2:40: objections.0.risk: Expected `int`, got `str`\n  fix: write it like risk: 3",
    ),
    "a missing key": (
        "title: a\n",
        Pitch,
        "x.yaml:1:1: body is missing\n  fix: add a line `body: …`",
    ),
    "a newer format": (
        "catherd: 2\ntext: hi\n",
        Chat,
        (
            "x.yaml:1:10: format 2 is newer than this catherd, which reads format 1\n"
            "  fix: git pull && make .venv, or make CATHERD=/path/to/a/newer/catherd.whl"
        ),
    ),
    "a list": (
        "- a\n",
        Pitch,
        "x.yaml:1:1: expected `key: value` lines\n  fix: see docs/handbook/bus.md",
    ),
    "nothing": (
        "",
        Pitch,
        "x.yaml: expected `key: value` lines\n  fix: see docs/handbook/bus.md",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_taken_is_named_with_its_place_and_a_fix(case: str) -> None:
    text, message = REFUSED[case]
    with pytest.raises(CatherdError) as caught:
        yaml_read.loads(text, "x.yaml")
    assert str(caught.value) == message


@pytest.mark.parametrize("case", MISTYPED)
def test_a_wrong_type_is_named_with_its_place_and_the_line_as_it_would_be_taken(
    case: str,
) -> None:
    text, kind, message = MISTYPED[case]
    with pytest.raises(CatherdError) as caught:
        yaml_read.typed(yaml_read.loads(text, "x.yaml"), kind)
    assert str(caught.value) == message


def test_the_deepest_nesting_does_not_end_the_process() -> None:
    code = "from catherd.bus import yaml_read\nfor one in ('[', '{a: ', '- ', '? '):\n try: yaml_read.loads(one * 200_000, 'x')\n except Exception as e: print(type(e).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "CatherdError\n" * 4), done.stderr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("2026-11-22", "2026-11-22"),
        ("0777", "0777"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0x1f", "0x1f"),
        (".inf", ".inf"),
        ("-17", -17),
        ("0.5", 0.5),
        ("~", None),
        ("", None),
        ("'7'", "7"),
        ("99999999999999999999", "99999999999999999999"),
    ],
)
def test_nothing_is_guessed_from_a_plain_word(text: str, value: Any) -> None:
    assert yaml_read.loads(f"key: {text}\n", "x").data == {"key": value}


def test_a_key_with_nothing_behind_it_is_a_key_that_is_not_there() -> None:
    assert yaml_read.typed(yaml_read.loads("text: hi\nreply_to:\n", "x"), Chat) == Chat(
        text="hi"
    )


def test_an_unknown_key_is_kept_and_told_apart() -> None:
    document = yaml_read.loads("text: hi\ncolour: red\n", "x.yaml")
    assert yaml_read.unknown(document, Chat) == ["colour"]
    assert document.where("colour") == "x.yaml:2:9"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbftext: hi\n")
    assert yaml_read.read_yaml(str(tmp_path / "x.yaml")).data == {"text": "hi"}


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner),
        max_leaves=12,
    )
)
def test_what_is_written_comes_back_and_hides_nothing_from_a_terminal(
    thing: Any,
) -> None:
    text = yaml_write.dumps({"thing": thing})
    assert yaml_read.loads(text, "x").data == {"thing": thing}
    assert not [
        char
        for char in text
        if char != "\n" and (ord(char) < 32 or 0x7F <= ord(char) < 0xA0)
    ]
    assert not set(text) & set(
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
    )

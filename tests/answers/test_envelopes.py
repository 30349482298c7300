"""Answers as models really write them: read or refused, never guessed, never crashed on."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catherd.answers.envelopes import (
    Envelope,
    File,
    Unusable,
    parse_envelope,
    render_envelope,
)
from catherd.answers.fences import path_error

B: dict[str, object] = {"kind": "ballot", "ranking": ["idea-3", "idea-1"]}
P: dict[str, object] = {"kind": "pitch", "title": "X"}
BALLOT = "---\nkind: ballot\nranking: [idea-3, idea-1]\n---\n"

# name, answer, head, body
READ: list[tuple[str, str, dict[str, object], str]] = [
    ("as asked", BALLOT + "Because.\n", B, "Because."),
    ("byte order mark", "\ufeff" + BALLOT + "x", B, "x"),
    ("CRLF", (BALLOT + "a\n\nb\n").replace("\n", "\r\n"), B, "a\n\nb"),
    ("lone CR", (BALLOT + "a\n").replace("\n", "\r"), B, "a"),
    ("prose before", "Sure! Here is my ballot:\n\n" + BALLOT + "x", B, "x"),
    ("blank lines before", "\n\n\n" + BALLOT + "x", B, "x"),
    ("spaces after the dashes", BALLOT.replace("---\n", "---  \n") + "x", B, "x"),
    ("indented by two", "  ---\n  kind: pitch\n  title: X\n  ---\nb", P, "b"),
    ("closed by dots", "---\nkind: pitch\ntitle: X\n...\nb", P, "b"),
    (
        "no closer, heading",
        "---\nkind: pitch\ntitle: X\n\n# H\n\ntext",
        P,
        "# H\n\ntext",
    ),
    (
        "no closer, prose",
        "---\nkind: pitch\ntitle: X\n\nSome text here.\nMore.",
        P,
        "Some text here.\nMore.",
    ),
    (
        "no closer, a rule below",
        "---\nkind: pitch\ntitle: X\n\n# H\n\nt\n\n---\n\nm",
        P,
        "# H\n\nt\n\n---\n\nm",
    ),
    ("no closer, end of text", "---\nkind: pitch\ntitle: X", P, ""),
    ("no opener", "kind: pitch\ntitle: X\n---\nb", P, "b"),
    ("bold kind without opener", "**kind**: pitch\ntitle: X\n---\nb", P, "b"),
    (
        "in a yaml fence, body outside",
        "```yaml\n---\nkind: pitch\ntitle: X\n---\n```\nb",
        P,
        "b",
    ),
    ("in a yaml fence, no dashes", "```yaml\nkind: pitch\ntitle: X\n```\nb", P, "b"),
    (
        "in a yaml fence, one row of dashes",
        "```yaml\n---\nkind: pitch\ntitle: X\n```\nb",
        P,
        "b",
    ),
    (
        "fenced header, code in the body",
        "```yaml\nkind: pitch\ntitle: X\n```\nb\n```\nc\n```",
        P,
        "b\n```\nc\n```",
    ),
    (
        "all in a markdown fence",
        "```markdown\n---\nkind: pitch\ntitle: X\n---\nb\n```\n",
        P,
        "b",
    ),
    ("all in a bare fence", "```\n---\nkind: pitch\ntitle: X\n---\nb\n```\n", P, "b"),
    (
        "wrapped, nested code",
        "```md\n---\nkind: pitch\ntitle: X\n---\n```py\nx\n```\ne\n```",
        P,
        "```py\nx\n```\ne",
    ),
    (
        "wrapped, nested bare code",
        "```\n---\nkind: pitch\ntitle: X\n---\nb\n```\nx\n```\ne\n```",
        P,
        "b\n```\nx\n```\ne",
    ),
    (
        "wrapped and never closed",
        "```markdown\n---\nkind: pitch\ntitle: X\n---\nb\n",
        P,
        "b",
    ),
    (
        "prose, then a wrapper",
        "Here you go.\n\n~~~markdown\n---\nkind: pitch\ntitle: X\n---\nb\n~~~\n",
        P,
        "b",
    ),
    (
        "the body alone in a fence",
        "---\nkind: pitch\ntitle: X\n---\n```markdown\n# H\n```\n",
        P,
        "# H",
    ),
    ("JSON", '{"kind": "ballot", "ranking": ["idea-3", "idea-1"]}', B, ""),
    (
        "JSON in a fence",
        '```json\n{"kind": "ballot", "ranking": ["idea-3", "idea-1"]}\n```',
        B,
        "",
    ),
    (
        "JSON over lines",
        '```json\n{\n  "kind": "pitch",\n  "title": "X"\n}\n```',
        P,
        "",
    ),
    (
        "body in the front matter",
        "---\nkind: pitch\ntitle: X\nbody: |\n  one\n\n  two\n---\n",
        P,
        "one\n\ntwo",
    ),
    ("no front matter", "I like idea 3.\n", {}, "I like idea 3."),
    ("only rules", "a\n\n---\n\nb\n\n---\n\nc", {}, "a\n\n---\n\nb\n\n---\n\nc"),
    (
        "a rule and a note",
        "Hello\n\n---\n\nNote: this",
        {},
        "Hello\n\n---\n\nNote: this",
    ),
    (
        "a heading underlined",
        "Title\n---\nWords and more words",
        {},
        "Title\n---\nWords and more words",
    ),
    (
        "thinking aloud",
        "<think>\n---\nkind: no\n---\n</think>\n" + BALLOT + "x",
        B,
        "x",
    ),
    (
        "repeated, the same",
        BALLOT + "x\n" + BALLOT,
        B,
        "x\n---\nkind: ballot\nranking: [idea-3, idea-1]\n---",
    ),
    (
        "dashes inside code",
        BALLOT + "```\n---\nkind: x\n---\n```",
        B,
        "```\n---\nkind: x\n---\n```",
    ),
    (
        "colon in a value",
        "---\nkind: pitch\ntitle: Foo: bar\n---\n",
        {"kind": "pitch", "title": "Foo: bar"},
        "",
    ),
    (
        "at sign",
        "---\nkind: pitch\ntitle: @x y\n---\n",
        {"kind": "pitch", "title": "@x y"},
        "",
    ),
    (
        "stars",
        "---\nkind: pitch\ntitle: *bold* z\n---\n",
        {"kind": "pitch", "title": "*bold* z"},
        "",
    ),
    (
        "one star",
        "---\nkind: pitch\ntitle: *loud\n---\n",
        {"kind": "pitch", "title": "*loud"},
        "",
    ),
    (
        "ampersand",
        "---\nkind: pitch\ntitle: &co and sons\n---\n",
        {"kind": "pitch", "title": "&co and sons"},
        "",
    ),
    (
        "back-ticks",
        "---\nkind: pitch\ntitle: `x` y\n---\n",
        {"kind": "pitch", "title": "`x` y"},
        "",
    ),
    (
        "per cent",
        "---\nkind: pitch\ntitle: %5 more\n---\n",
        {"kind": "pitch", "title": "%5 more"},
        "",
    ),
    (
        "brackets and text",
        "---\nkind: pitch\ntitle: [WIP] x\n---\n",
        {"kind": "pitch", "title": "[WIP] x"},
        "",
    ),
    (
        "braces",
        "---\nkind: pitch\ntitle: {{ x }}\n---\n",
        {"kind": "pitch", "title": "{{ x }}"},
        "",
    ),
    (
        "bang",
        "---\nkind: pitch\ntitle: !x now\n---\n",
        {"kind": "pitch", "title": "!x now"},
        "",
    ),
    (
        "quoted and more",
        '---\nkind: pitch\ntitle: "a" and b\n---\n',
        {"kind": "pitch", "title": '"a" and b'},
        "",
    ),
    (
        "quote inside quotes",
        "---\nkind: pitch\ntitle: 'it's'\n---\n",
        {"kind": "pitch", "title": "it's"},
        "",
    ),
    (
        "unclosed quote",
        '---\nkind: pitch\ntitle: "abc\n---\n',
        {"kind": "pitch", "title": '"abc'},
        "",
    ),
    ("tabs", "---\nkind:\tpitch\ntitle: X\n---\n", P, ""),
    (
        "a list by tabs",
        "---\nkind: ballot\nranking:\n\t- idea-3\n\t- idea-1\n---\n",
        B,
        "",
    ),
    (
        "a list by dashes",
        "---\nkind: ballot\nranking:\n- idea-3\n- idea-1\n---\n",
        B,
        "",
    ),
    (
        "curly quotes",
        "---\nkind: “ballot”\nranking: [“idea-3”, “idea-1”]\n---\n",
        B,
        "",
    ),
    (
        "curly quotes, comma",
        "---\nkind: pitch\nx: [“a, b”, “c”]\n---\n",
        {"kind": "pitch", "x": ["a, b", "c"]},
        "",
    ),
    ("wide colon", "---\nkind：pitch\ntitle：X\n---\n", P, ""),
    ("no space after the colon", "---\nkind:pitch\ntitle:X\n---\n", P, ""),
    ("no-break space", "---\nkind:\u00a0pitch\ntitle: X\n---\n", P, ""),
    (
        "escape codes",
        "---\nkind: \x1b[1mpitch\ntitle: X\x00\n---\n",
        {"kind": "[1mpitch", "title": "X"},
        "",
    ),
    ("bidi override", "---\nkind: pitch\ntitle: \u202eX\n---\n", P, ""),
    ("half a character", "---\nkind: pitch\ntitle: X\ud800\n---\n", P, ""),
    (
        "decomposed",
        "---\nkind: pitch\ntitle: cafe\u0301\n---\nnai\u0308f",
        {"kind": "pitch", "title": "café"},
        "naïf",
    ),
    ("Norway", "---\nok: NO\non: yes\n---\n", {"ok": "NO", "on": "yes"}, ""),
    (
        "numbers",
        "---\na: 1.10\nb: 007\nc: 12:30\n---\n",
        {"a": "1.10", "b": "007", "c": "12:30"},
        "",
    ),
    (
        "dates and nulls",
        "---\na: 2026-11-22\nb: null\nc: ~\nd:\n---\n",
        {"a": "2026-11-22", "b": "null", "c": "~", "d": ""},
        "",
    ),
    ("comments", "---\n# my ballot\nkind: pitch # really\ntitle: X\n---\n", P, ""),
    ("wrong kind", "---\nkind: poem\n---\nroses", {"kind": "poem"}, "roses"),
    (
        "other language",
        "---\nkind: pitch\ntitle: 喵\n---\n猫が好き。",
        {"kind": "pitch", "title": "喵"},
        "猫が好き。",
    ),
    (
        "keys in another language",
        "---\nart: Entwurf\nüberschrift: Ä\n---\n",
        {"art": "Entwurf", "überschrift": "Ä"},
        "",
    ),
    (
        "emoji",
        "---\nkind: pitch\ntitle: 🐈‍⬛ C#\n---\n",
        {"kind": "pitch", "title": "🐈‍⬛ C#"},
        "",
    ),
    (
        "folded",
        "---\nkind: pitch\ntitle: >\n  a\n  b\n---\n",
        {"kind": "pitch", "title": "a b"},
        "",
    ),
    (
        "nested ranks",
        "---\nranking: [a, [b, c]]\n---\n",
        {"ranking": ["a", ["b", "c"]]},
        "",
    ),
    (
        "records",
        "---\nq:\n  - to: A\n    b: x\n  - to: B\n    b: y\n---\n",
        {"q": [{"to": "A", "b": "x"}, {"to": "B", "b": "y"}]},
        "",
    ),
    (
        "records that are not YAML",
        "---\nq:\n  - to: A\n    b: Foo: bar\n  - to: B\n    b: it's @me\n    c: |\n      l1\n      l2: z\n---\n",
        {
            "q": [
                {"to": "A", "b": "Foo: bar"},
                {"to": "B", "b": "it's @me", "c": "l1\nl2: z"},
            ]
        },
        "",
    ),
    (
        "a long value over lines",
        "---\nkind: pitch\ntitle: @a\n  b\n  c\n---\n",
        {"kind": "pitch", "title": "@a b c"},
        "",
    ),
    (
        "a web address",
        "---\nkind: pitch\nsee: https://x.org/a: b\n---\n",
        {"kind": "pitch", "see": "https://x.org/a: b"},
        "",
    ),
    (
        "deep brackets",
        "---\nkind: pitch\nx: " + "[" * 5000 + "\n---\n",
        {"kind": "pitch", "x": "[" * 5000},
        "",
    ),
]


@pytest.mark.parametrize(
    ("text", "head", "body"), [r[1:] for r in READ], ids=[r[0] for r in READ]
)
def test_an_answer_is_read_as_its_author_meant_it(
    text: str, head: dict[str, object], body: str
) -> None:
    found = parse_envelope(text)
    assert (found.head, found.body, found.files) == (head, body, [])


H = "---\nkind: patch\n---\n"
FILES: list[tuple[str, str, list[File], str]] = [
    (
        "tildes",
        H + "b\n~~~~~~file path=src/app.py\nx = 1\n~~~~~~\n",
        [File("src/app.py", "x = 1\n")],
        "b",
    ),
    ("back-ticks", H + "```file path=a.py\nx\n```\n", [File("a.py", "x\n")], ""),
    (
        "four back-ticks around three",
        H + "````file path=a.md\n```\nx\n```\n````\n",
        [File("a.md", "```\nx\n```\n")],
        "",
    ),
    (
        "nested of the same length",
        H + "```file path=a.md\n```py\ny\n```\nz\n```\n",
        [File("a.md", "```py\ny\n```\nz\n")],
        "",
    ),
    (
        "tildes around back-ticks",
        H + "~~~~~~file path=a.md\n```\nx\n~~~~~~\n",
        [File("a.md", "```\nx\n")],
        "",
    ),
    ("a language too", H + "```python path=a.py\nx\n```\n", [File("a.py", "x\n")], ""),
    ("without path=", H + "~~~~~~file a.py\nx\n~~~~~~\n", [File("a.py", "x\n")], ""),
    (
        "quoted path",
        H + '~~~~~~file path="a b.py"\nx\n~~~~~~\n',
        [File("a b.py", "x\n")],
        "",
    ),
    (
        "delete",
        H + "~~~~~~delete path=a.py\n~~~~~~\nb",
        [File("a.py", delete=True)],
        "b",
    ),
    (
        "delete without a close",
        H + "~~~~~~delete path=a.py\n\nb",
        [File("a.py", delete=True)],
        "b",
    ),
    (
        "empty",
        H + "~~~~~~file path=a/__init__.py\n~~~~~~\n",
        [File("a/__init__.py", "")],
        "",
    ),
    (
        "front matter inside a file",
        "~~~~~~file path=a.md\n---\nkind: x\n---\n~~~~~~\n" + H,
        [File("a.md", "---\nkind: x\n---\n")],
        "",
    ),
    (
        "in a list",
        H + "- here:\n\n    ~~~~~~file path=a.py\n    if x:\n        y\n    ~~~~~~\n",
        [File("a.py", "if x:\n    y\n")],
        "- here:",
    ),
    (
        "CRLF",
        (H + "~~~~~~file path=a.py\nx\n~~~~~~\n").replace("\n", "\r\n"),
        [File("a.py", "x\n")],
        "",
    ),
    (
        "twice the same",
        H + "~~~file path=a\nx\n~~~\n~~~file path=a\nx\n~~~\n",
        [File("a", "x\n")],
        "",
    ),
    (
        "the whole wrapped",
        "````markdown\n" + H + "~~~~~~file path=a\nx\n~~~~~~\n````\n",
        [File("a", "x\n")],
        "",
    ),
    (
        "inline code is no fence",
        H + "```x``` y\n~~~file path=a\nx\n~~~",
        [File("a", "x\n")],
        "```x``` y",
    ),
    (
        "an unclosed plain fence above",
        H + "```\nq\n~~~~~~file path=a\nx\n~~~~~~",
        [File("a", "x\n")],
        "```\nq",
    ),
    (
        "documentation of the format",
        H + "```text\n~~~file path=a\nx\n~~~\n```",
        [],
        "```text\n~~~file path=a\nx\n~~~\n```",
    ),
]


@pytest.mark.parametrize(
    ("text", "files", "body"), [r[1:] for r in FILES], ids=[r[0] for r in FILES]
)
def test_whole_files_come_out_of_their_fences(
    text: str, files: list[File], body: str
) -> None:
    found = parse_envelope(text)
    assert (found.files, found.body) == (files, body)


REFUSED = [
    ("nothing", "", "the answer is empty; return the whole document"),
    ("blank", " \n\t\n\u00a0", "the answer is empty; return the whole document"),
    (
        "only invisible characters",
        "\u200b\x00\ufeff",
        "the answer is empty; return the whole document",
    ),
    (
        "a key twice",
        "---\nkind: a\nx: 1\nx: 2\n---\n",
        "line 4: the key 'x' stands twice; keep one",
    ),
    (
        "a key twice, not YAML",
        "---\nt: a: b\nx: 1\nx: 2\n---\n",
        "line 4: the key 'x' stands twice; keep one",
    ),
    (
        "aliases",
        "---\na: &x [1]\nb: *x\n---\n",
        "line 2: anchors and aliases (&x, *x) are not read; write the value out",
    ),
    (
        "two documents",
        BALLOT + "no, wait\n---\nkind: ballot\nranking: [idea-1, idea-3]\n---\n",
        "line 7: a second document begins, and its 'ranking' differs from the first; return exactly one",
    ),
    (
        "two documents back to back",
        "---\nkind: ballot\n---\nkind: pitch\n---\n",
        "line 4: a second document begins, and its 'kind' differs from the first; return exactly one",
    ),
    (
        "a file cut off",
        H + "~~~~~~file path=a.py\nx = 1\n",
        "line 4: the file a.py is cut off: its closing ~~~~~~ is missing; return the whole file",
    ),
    (
        "the second file cut off",
        H + "```file path=a\nx\n```\n```file path=b\nx\n",
        "line 7: the file b is cut off: its closing ``` is missing; return the whole file",
    ),
    (
        "an end that is a guess",
        H + "```file path=a.md\n# x\n```\ny\n```\nz\n```\nrest",
        "line 8: cannot tell where the file above ends: put files between fences longer than any inside, such as ~~~~~~~~",
    ),
    (
        "a file in a bare fence",
        H + "```\n~~~file path=a\nx\n~~~\n```",
        "line 4: a file stands inside another fence; put each file outside any other fence",
    ),
    (
        "a file twice",
        H + "~~~file path=a\nx\n~~~\n~~~file path=a\ny\n~~~\n",
        "line 7: a is given twice, differently; return it once",
    ),
    (
        "upwards",
        H + "~~~file path=../x\nx\n~~~\n",
        "line 4: the path '../x' must be relative and stay inside the repository",
    ),
    (
        "git's own",
        H + "~~~file path=.git/hooks/x\nx\n~~~\n",
        "line 4: the path '.git/hooks/x' belongs to git",
    ),
    (
        "too much front matter",
        "---\nkind: x\ny: " + "a" * 300_000 + "\n---\n",
        "line 2: the front matter is longer than 256 KiB; put long text below the second ---",
    ),
]


@pytest.mark.parametrize(
    ("text", "error"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_what_says_two_things_or_nothing_is_refused_with_a_sentence_to_send_back(
    text: str, error: str
) -> None:
    with pytest.raises(Unusable) as refused:
        parse_envelope(text)
    assert refused.value.errors == [error]


def test_what_was_tolerated_is_said() -> None:
    assert parse_envelope("Sure.\n```yaml\nkind: a: b\n```\n\x1bhi").notes == [
        "control characters were left out",
        "line 2: a fence around the front matter was ignored",
        "line 3: the front matter is not valid YAML and was read line by line",
        "line 2: what stands before the front matter was left out",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "~/x",
        "C:/x",
        "a/../b",
        "a\\b",
        "a//b",
        "./a",
        "",
        "a\nb",
        "x/.GIT/y",
        ".git",
        "a\u202eb",
    ],
)
def test_a_path_that_leaves_the_repository_or_hides_is_no_path(path: str) -> None:
    assert path_error(path)


@pytest.mark.slow
def test_the_longest_answers_are_read_in_linear_time() -> None:
    """Each of these once made some parser quadratic; the test's own time limit would end the run."""
    for text in (
        "```a\n" * 60_000,
        "---\n" * 60_000,
        "~~~\n" * 60_001,
        "- " * 60_000,
        "---\na: b\n" * 2_000,
        "`" * 500_000,
    ):
        parse_envelope(text)


_word = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]),
    min_size=0,
    max_size=20,
)
_scalars = _word.map(
    lambda s: parse_envelope(render_envelope({"x": s})).head.get("x", "") if s else ""
).filter(lambda s: isinstance(s, str))
_heads = st.dictionaries(
    st.sampled_from(["title", "why", "ranking", "answers", "to"]),
    st.one_of(_scalars, st.lists(_scalars, max_size=3)),
    max_size=4,
)
_line = st.sampled_from(
    [
        "text",
        "",
        "```",
        "```python",
        "~~~",
        "~~~~~~~",
        "---",
        "kind: x",
        "    deep",
        "\tx = 1",
        "# H",
        "...",
        "~~~~~~file path=q",
    ]
)
_files = st.lists(
    st.builds(
        File,
        st.sampled_from(["a.py", "docs/b.md", "c d.txt"]),
        st.lists(_line, max_size=8).map(lambda x: "".join(f"{y}\n" for y in x)),
    ),
    max_size=3,
    unique_by=lambda f: f.path,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    _heads,
    st.sampled_from(["", "Hello.", "# H\n\ntext", "a\n\n```py\nx\n```\n\nb"]),
    _files,
)
def test_what_is_well_formed_comes_back_as_it_went_in(
    head: dict[str, object], body: str, files: list[File]
) -> None:
    head = {"kind": "pitch", **head}
    found = parse_envelope(render_envelope(head, body, files))
    assert found == Envelope(head, body, files, [])


_pieces = st.sampled_from(
    [
        "---", "...", "kind: ballot", "title: a: b", "- x", "  - to: A", "    b: |", "```", "```yaml", "~~~~~~file path=a.py", "~~~~~~", "````md",
        "~~~delete path=b", "{", '{"kind": "x"}', "[", "]", "&a *a", "!!python/object:os", "? x", "\t", "“x”", "\ufeff", "\r", "\x00", "\u202e", "\ud83d",
        "<think>", "</think>", "*x", "|", ">", "'", '"', "# H", "kind：x", "%YAML 1.1", "ranking: [a, [b", "<<: *x", "\u0085", "0x1F", " ", "x" * 50,
    ]
)  # fmt: skip


@settings(max_examples=800, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(
            st.tuples(_pieces, st.sampled_from(["\n", "\n\n", " ", "", "\r\n"])),
            max_size=25,
        ),
    )
)
def test_no_text_crashes_or_hangs_the_reader(raw: str | list[tuple[str, str]]) -> None:
    text = raw if isinstance(raw, str) else "".join(a + b for a, b in raw)
    found = _parsed(text)
    if isinstance(found, list):
        assert found
        assert all(found)
        return
    assert _only_strings(found.head)
    for file in found.files:
        assert path_error(file.path) == ""
        file.text.encode()
    found.body.encode()


def _only_strings(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _only_strings(v) for k, v in value.items())
    if isinstance(value, list):
        return all(_only_strings(v) for v in value)
    return isinstance(value, str)


def _parsed(text: str) -> Envelope | list[str]:
    try:
        return parse_envelope(text)
    except Unusable as e:
        return e.errors

"""What is wrong with an app.yaml is told with its line and a fix; the handbook's own examples have nothing wrong."""

import re
from pathlib import Path

import pytest

from catherd.app import expectations, freshness, manifest_file, manifest_rules
from catherd.core.errors import CatherdError

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "handbook" / "app.md").read_text(
    encoding="utf-8"
)
NOTES, TODO = re.findall(r"```yaml\n(catherd: 1\nname.*?)```", PAGE, re.DOTALL)


def test_the_examples_of_the_handbook_break_no_rule() -> None:
    for text in (NOTES, TODO):
        assert [
            str(finding)
            for finding in manifest_rules.manifest_findings(
                manifest_file.parse_manifest(text)
            )
        ] == []


BROKEN = {
    "name: notes": ("name: Not es", "app/app.yaml:2:7: not a name: Not es\n  fix: lower case, digits and hyphens: `name: notes`"),
    "kind: web": ("kind: webb", "app/app.yaml:3:7: kind: Invalid enum value 'webb'\n  fix: one of: web, cli, library"),
    "  env:": ("  enw:", "app/app.yaml:11:3: start: Object contains unknown field `enw`\n  fix: delete the key, or see docs/handbook/app.md for the one that you mean"),
    "persistence: true\n": ("", "app/app.yaml:1:1: persistence is missing\n  fix: add a line `persistence: …`"),
    "      - restart: kill\n": ("", "app/app.yaml:15:14: persistence: true is claimed, and no journey shows it\n  fix: write a nonce, `restart: kill`, see it without sending it again"),
    "    failure: true\n": ("", "app/app.yaml:17:3: no journey shows what happens when something is wrong\n  fix: add one with `failure: true`"),
    "save: {id: /id}": ("save: {ident: /id}", "app/app.yaml:25:9: nothing is called {id} here\n  fix: save it in an earlier step, or see the table of placeholders"),
    "expect: {status: 422, body_contains: required}": ("expect: {exit: 1}", "app/app.yaml:34:9: a http step cannot expect exit\n  fix: it can expect body_contains, body_lacks, headers, json, json_at, json_contains, json_in, json_lacks, status"),
    '        expect: {status: 200, json: [{text: "{nonce.a}"}]}\n': ("", "app/app.yaml:36:9: a step that expects nothing proves nothing\n  fix: add `expect:`"),
    "body_contains: required": ("stdout_lacks: x", "app/app.yaml:34:9: a http step cannot expect stdout_lacks\n  fix: it can expect body_contains, body_lacks, headers, json, json_at, json_contains, json_in, json_lacks, status"),
    "status: 422, body_contains: required": ("status: [200, 422]", "app/app.yaml:30:14: J-002 is a failure path, and no step of it expects a refusal\n  fix: expect a status from 400 on, an exit other than 0, words on stderr, or `{see: {role: alert}}`; else delete `failure: true`"),
    "within_s: 10}": ("within_s: 61}", "app/app.yaml:13:48: ready.within_s is 61\n  fix: from 0.1 to 60"),
    "within_s: 5}": ("within_s: 31}", "app/app.yaml:14:32: stop.within_s is 31\n  fix: from 0.1 to 30"),
    "known_gaps:": ("limits: {seconds: 1.0e+9}\nknown_gaps:", "app/app.yaml:50:19: limits.seconds is 1e+09\n  fix: from 1 to 300"),
    "  - A note cannot be edited.": ("  - None.\nlimits: {memory_mb: 1000000}", "app/app.yaml:52:21: limits.memory_mb is 1e+06\n  fix: from 16 to 2048"),
    "summary: Short": ("limits: {processes: 4000}\nsummary: Short", "app/app.yaml:4:21: limits.processes is 4000\n  fix: from 4 to 256"),
    'HOST: "{host}"': ('HOST: "{nonce.a}"', "app/app.yaml:12:31: nothing is called {nonce.a} here\n  fix: save it in an earlier step, or see the table of placeholders"),
    '{see: {text: "{nonce.b}"}}': ('{see: {role: heading, text: "{nonce.b}"}}', "app/app.yaml:42:9: see finds its element by exactly one of role (with its name), label, placeholder, text\n  fix: `{see: {role: button, name: Save}}`"),
"- id: J-002": ("- id: J-001", "app/app.yaml:27:9: not a new journey id: J-001\n  fix: number them: J-001, J-002, …"),
}  # fmt: skip


@pytest.mark.parametrize("old", sorted(BROKEN))
def test_a_mistake_in_the_manifest_is_told_with_its_line_and_a_fix(old: str) -> None:
    new, text = BROKEN[old]
    assert old in NOTES
    try:
        told = [
            str(finding)
            for finding in manifest_rules.manifest_findings(
                manifest_file.parse_manifest(NOTES.replace(old, new, 1))
            )
        ]
    except CatherdError as error:
        told = [str(error)]
    assert text in told


def test_a_journey_without_fresh_values_and_a_web_app_without_a_browser_are_told() -> (
    None
):
    told = [
        str(finding)
        for finding in manifest_rules.manifest_findings(
            manifest_file.parse_manifest(
                NOTES.split("  - id: J-003")[0].replace("{nonce.a}", "milk")
            )
        )
    ]
    assert any(
        "J-001 sends no fresh value that the app must show, so a constant could pass it"
        in line
        for line in told
    )
    assert any("a web app needs a journey in the browser" in line for line in told)


REFUSED = """  - id: J-009
    story: US-002
    title: A wrong word is refused
    failure: true
    steps:
      - {step}
"""
REFUSALS = {
    "web": "{http: {path: /x}, expect: {status: 404}}\n      - browser: [{goto: /}]",
    "cli": "{cli: {args: [x]}, expect: {exit: 2}}",
}
SENDS = {
    "web": '- {http: {method: POST, path: /api/notes, json: {text: "{nonce.a} {nonce.b}"}}, expect: {status: 201}}\n      - restart: kill',
    "cli": '- {cli: {args: [add, "{nonce.a}"]}, expect: {exit: 0}}',
}
UNKEPT = "persistence: true is claimed, and no journey shows it"
UNFRESH = (
    "J-001 sends no fresh value that the app must show, so a constant could pass it"
)
CLI_CHEATS = {
    "what is not there needs no memory": ('- {cli: {args: [list]}, expect: {stdout_lacks: "{nonce.a} was lost"}}', [UNFRESH, UNKEPT]),
    "nor does a file that must not exist": ('- {file: {path: "{nonce.a}.tmp"}, expect: {exists: false}}', [UNFRESH, UNKEPT]),
    "nor an echo": ('- {cli: {args: [find, "{nonce.a}"]}, expect: {stdout_contains: "{nonce.a}"}}', [UNKEPT]),
    "nor what is typed in": ('- {cli: {args: [find], stdin: "{nonce.a}"}, expect: {stdout_contains: "{nonce.a}"}}', [UNKEPT]),
    "what another program says is not the app's": ('- {cli: {run: [echo, "1."], args: ["{nonce.a}"]}, expect: {stdout_contains: "1. {nonce.a}"}}', [UNFRESH, UNKEPT]),
    "nor is what another program wrote": (
        '- {cli: {run: [tee, "{data}/x"], stdin: "{nonce.a}"}, expect: {exit: 0}}\n      - {file: {path: x}, expect: {contains: "{nonce.a}"}}', [UNFRESH, UNKEPT],
    ),
    "nor what an interpreter is told to say": ('- {cli: {run: [python3, -c], args: ["print(\'{nonce.a}\')"]}, expect: {stdout_contains: "{nonce.a}"}}', [UNFRESH, UNKEPT]),
    "a pattern can go another way": ("- {cli: {args: [list]}, expect: {stdout_regex: '{nonce.a}|ok'}}", ["stdout_regex can match without {nonce.a}"]),
    "or not be one": ("- {cli: {args: [list]}, expect: {stdout_regex: 'a{99999999999}{nonce.a}'}}", ["not a regular expression: the repetition number is too large"]),
}  # fmt: skip
WEB_CHEATS = {
    "what is not there needs no memory": ('- {http: {path: /}, expect: {body_lacks: "{nonce.a} was lost"}}', [UNKEPT]),
    "nor does what is gone": ('- {browser: [{goto: /}, {gone: {text: "{nonce.a}"}}]}', [UNKEPT]),
    "nor an element that no list must hold": ('- {http: {path: /}, expect: {json_in: "/{nonce.a}", json_lacks: "{nonce.a}"}}', [UNKEPT]),
    "nor an echo": ('- {http: {path: "/find?q={nonce.a}"}, expect: {body_contains: ["Found", "{nonce.a}"]}}', [UNKEPT]),
    "nor a header's": ('- {http: {path: /, headers: {cookie: "n={nonce.a}"}}, expect: {body_contains: "{nonce.a}"}}', [UNKEPT]),
    "nor the page's": ('- {browser: [{goto: /}, {fill: {label: Find, with: "{nonce.a}"}}, {see: {text: "{nonce.a}"}}]}', [UNKEPT]),
    "nor what was sent once more": (
        '- {http: {method: POST, path: /, body: "{nonce.a}"}, expect: {status: 201}}\n      - {http: {path: /}, expect: {body_contains: "{nonce.a}"}}', [UNKEPT],
    ),
    "nor what another program reads": ('- {cli: {run: [cat, "{data}/notes"]}, expect: {stdout_contains: "{nonce.a}"}}', [UNKEPT]),
}  # fmt: skip
HONEST = {
    "web": [
        '- {http: {path: /}, expect: {body_contains: "{nonce.a}"}}',
        '- {http: {path: "/find?q={nonce.b}"}, expect: {json_contains: {text: "{nonce.a} {nonce.b}"}}}',
        '- {browser: [{goto: /}, {check: {role: checkbox, name: "{nonce.a}"}}]}',
        '- {browser: [{goto: /}, {fill: {label: "Borrower of {nonce.a}", with: Ben}}]}',
    ],
    "cli": [
        "- {cli: {args: [list]}, expect: {stdout_regex: '^(?:\\d+)\\. {nonce.a}$'}}",
        '- {cli: {run: [python3, more.py], args: [list]}, expect: {stdout_contains: "{nonce.a}"}}',
        '- {cli: {run: [bin/list]}, expect: {stdout_contains: "{nonce.a}"}}',
        '- {file: {path: "{nonce.a}.txt"}}',
    ],
}


def proving(kind: str, steps: str) -> list[str]:
    """What is said of a manifest whose first journey sends a nonce and then takes `steps`, after a kill if it is of a web app."""
    head = (NOTES if kind == "web" else TODO).split("  - id: J-001")[0]
    first = f"  - id: J-001\n    story: US-001\n    title: It is kept\n    steps:\n      {SENDS[kind]}\n      {steps}\n"
    text = head + first + REFUSED.replace("{step}", REFUSALS[kind])
    return [
        finding.what
        for finding in manifest_rules.manifest_findings(
            manifest_file.parse_manifest(text)
        )
    ]


@pytest.mark.parametrize("name", sorted(CLI_CHEATS))
def test_a_command_that_keeps_nothing_cannot_show_that_it_does(name: str) -> None:
    steps, told = CLI_CHEATS[name]
    assert proving("cli", steps)[: len(told)] == told


@pytest.mark.parametrize("name", sorted(WEB_CHEATS))
def test_a_server_that_keeps_nothing_cannot_show_that_it_does(name: str) -> None:
    steps, told = WEB_CHEATS[name]
    assert proving("web", steps)[-len(told) :] == told


@pytest.mark.parametrize(
    ("kind", "steps"),
    [(kind, steps) for kind, all_of in HONEST.items() for steps in all_of],
)
def test_a_value_that_nobody_sent_again_shows_that_it_was_kept(
    kind: str, steps: str
) -> None:
    assert proving(kind, steps) == []


def test_a_story_is_shown_only_by_a_journey_that_a_constant_cannot_pass() -> None:
    constant = """  - id: J-001
    story: US-001
    title: The list shows what was added
    failure: true
    steps:
      - {cli: {args: [add, milk]}, expect: {exit: 0}}
      - {cli: {args: [list]}, expect: {stdout_contains: "1. milk"}}
"""
    manifest = manifest_file.parse_manifest(
        TODO.split("  - id:")[0].replace("persistence: true", "persistence: false")
        + constant
    )
    assert [finding.what for finding in manifest_rules.manifest_findings(manifest)] == [
        "J-001 is a failure path, and no step of it expects a refusal"
    ]
    assert manifest_rules.unshown(manifest.app, ["US-001"]) == ["US-001"]
    assert (
        manifest_rules.unshown(
            manifest_file.parse_manifest(TODO).app, ["US-001", "US-002"]
        )
        == []
    )


def test_another_program_cannot_refuse_for_the_app() -> None:
    text = TODO.replace("args: [frobnicate]", 'run: ["false"]').replace(
        ", stderr_contains: usage", ""
    )
    assert [
        finding.what
        for finding in manifest_rules.manifest_findings(
            manifest_file.parse_manifest(text)
        )
    ] == ["J-002 is a failure path, and no step of it expects a refusal"]


PATTERNS = [
    (r"^{id}\. {nonce.a}$", set()),
    (r"^(\d+ )?(?:done|open) {nonce.a}$", set()),
    (r"^\| ({nonce.a}) \|( x)*$", set()),
    (r"(?=.*{nonce.a})[|?]+\)?", set()),
    (r"{nonce.a}|ok", {"nonce.a"}),
    (r"^({nonce.a} )?{number.b}", {"nonce.a"}),
    (r"^(({nonce.a}) ){0,3}ok", {"nonce.a"}),
    (r"(?:x(?:{nonce.a})|ok) {nonce.b}", {"nonce.a"}),
    (r"^(?!{nonce.a})", {"nonce.a"}),
    (r"(?<!{nonce.a})ok", {"nonce.a"}),
    (r"(a)?(?(1)b|{nonce.a})", {"nonce.a"}),
    (r"(?#{nonce.a})ok", {"nonce.a"}),
    ("(?x)ok # {nonce.a}", {"nonce.a"}),
    (r"[]{nonce.a}]", {"nonce.a"}),
    (r"[\]{nonce.a}]", {"nonce.a"}),
    (r"\{nonce.a}", {"nonce.a"}),
]


@pytest.mark.parametrize(("pattern", "names"), PATTERNS)
def test_what_a_pattern_can_do_without_is_named(pattern: str, names: set[str]) -> None:
    assert freshness.can_do_without(pattern) == names


def test_a_word_that_no_program_can_be_given_is_refused() -> None:
    with pytest.raises(CatherdError) as caught:
        manifest_file.parse_manifest(
            NOTES.replace("name: notes", 'name: "x\\0--bind"', 1)
        )
    assert (
        str(caught.value)
        == "app/app.yaml: holds a NUL character, which no program can be given\n  fix: take it out"
    )


HOLDS = [
    ({"a": 1}, {"a": 1, "b": 2}, ""),
    ({"a": 1}, {"a": True}, "/a is true, not 1"),
    ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "x", "c": None}]}, ""),
    ({"a": [1]}, {"a": [1, 2]}, "/a has 2 elements, not 1: [1, 2]"),
    ([{"a": 1}], [{"a": 2}], "/0/a is 2, not 1"),
    ({"a": 1}, [1], "the answer is no object: [1]"),
    ({"a": 1}, {}, "the answer has no key 'a': {}"),
    ([], {}, "the answer is no list: {}"),
    (None, None, ""),
    ("é", "é", ""),
]


@pytest.mark.parametrize(("wanted", "got", "why"), HOLDS)
def test_an_answer_holds_what_is_expected_or_the_difference_is_named(
    wanted: object, got: object, why: str
) -> None:
    assert expectations.differs(wanted, got) == why


def test_placeholders_keep_their_type_alone_and_become_text_within_text() -> None:
    names = {"id": 7, "nonce.a": "a.b", "number.n": 1234}
    assert expectations.fill_placeholders(
        {"{nonce.a}": ["{id}", "x{id}", '{"a": {b}}', "{other}"]}, names
    ) == {"a.b": [7, "x7", '{"a": {b}}', "{other}"]}
    assert expectations.fill_pattern(r"^{id}\. {nonce.a}$", names) == r"^7\. a\.b$"
    assert expectations.fill_pattern("{nonce.a}", names) == r"a\.b"
    said = {"yes": True, "no": None, "id": 7}
    assert [expectations.filled_text(f"{{{one}}}", said) for one in said] == [
        "true",
        "null",
        "7",
    ]
    assert expectations.placeholder_names(
        {"a": ["{id} {nonce.a}"], "{number.n}": 1}
    ) == {
        "id",
        "nonce.a",
        "number.n",
    }


def test_a_pointer_finds_what_it_points_to() -> None:
    value = {"items": [{"a/b": 1}, {"~": 2}]}
    there = expectations.pointed(value, "/items/0/a~1b")
    assert (there.found, there.value) == (True, 1)
    assert expectations.pointed(value, "/items/1/~0").value == 2
    assert not expectations.pointed(value, "/items/2").found
    assert expectations.pointed(value, "").value == value


JSON = [
    ('{"items": [{"id": 1}]}', {"json_in": "/items", "json_contains": {"id": 1}}, ""),
    (
        '{"items": [{"id": 1}]}',
        {"json_in": "/items", "json_contains": {"id": 2}},
        'no element holds {"id": 2}: [{"id": 1}]',
    ),
    (
        '[{"id": 1}]',
        {"json_lacks": {"id": 1}},
        'an element holds {"id": 1}: [{"id": 1}]',
    ),
    ('[{"id": 1}]', {"json_lacks": {"id": 2}}, ""),
    (
        '{"items": 3}',
        {"json_in": "/items", "json_contains": 1},
        'no list at /items: {"items": 3}',
    ),
    ('{"a": {"b": [1]}}', {"json_at": {"/a/b/0": 1}}, ""),
    (
        '{"a": {"b": [1]}}',
        {"json_at": {"/a/c": 1}},
        'nothing at /a/c: {"a": {"b": [1]}}',
    ),
    ("<html>", {"json": {}}, 'not JSON: "<html>"'),
    ("<html>", {"status": 200}, ""),
]


@pytest.mark.parametrize(("text", "expect", "why"), JSON)
def test_what_json_is_missing_is_named(
    text: str, expect: dict[str, object], why: str
) -> None:
    assert expectations.json_misses(text, expect) == why

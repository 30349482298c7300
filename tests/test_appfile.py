"""What is wrong with an app.yaml is told with its line and a fix; the handbook's own examples have nothing wrong."""

import re
from pathlib import Path

import pytest

from catherd import appfile, apprules, seen
from catherd.errors import CatherdError

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "handbook" / "app.md").read_text(encoding="utf-8")
NOTES, TODO = re.findall(r"```yaml\n(catherd: 1\nname.*?)```", PAGE, re.DOTALL)


def test_the_examples_of_the_handbook_break_no_rule() -> None:
    for text in (NOTES, TODO):
        assert [str(finding) for finding in apprules.findings(appfile.loads(text))] == []


BROKEN = {
    "name: notes": ("name: Not es", "app/app.yaml:2:7: not a name: Not es\n  fix: lower case, digits and hyphens: `name: notes`"),
    "kind: web": ("kind: webb", "app/app.yaml:3:7: kind: Invalid enum value 'webb'\n  fix: one of: web, cli, library"),
    "  env:": ("  enw:", "app/app.yaml:11:3: start: Object contains unknown field `enw`\n  fix: delete the key, or see docs/handbook/app.md for the one that you mean"),
    "persistence: true\n": ("", "app/app.yaml:1:1: persistence is missing\n  fix: add a line `persistence: …`"),
    "      - restart: kill\n": ("", "app/app.yaml:15:14: persistence: true is claimed, and no journey shows it\n  fix: write a nonce, `restart: kill`, read it"),
    "    failure: true\n": ("", "app/app.yaml:17:3: no journey shows what happens when something is wrong\n  fix: add one with `failure: true`"),
    "save: {id: /id}": ("save: {ident: /id}", "app/app.yaml:25:9: nothing is called {id} here\n  fix: save it in an earlier step, or see the table of placeholders"),
    "expect: {status: 422, body_contains: required}": ("expect: {exit: 1}", "app/app.yaml:32:9: a http step cannot expect exit\n  fix: it can expect body_contains, body_lacks, headers, json, json_at, json_contains, json_in, json_lacks, status"),
    "        expect: {status: 200, json: []}\n": ("", "app/app.yaml:34:9: a step that expects nothing proves nothing\n  fix: add `expect:`"),
"- id: J-002": ("- id: J-001", "app/app.yaml:27:9: not a new journey id: J-001\n  fix: number them: J-001, J-002, …"),
}  # fmt: skip


@pytest.mark.parametrize("old", sorted(BROKEN))
def test_a_mistake_in_the_manifest_is_told_with_its_line_and_a_fix(old: str) -> None:
    new, text = BROKEN[old]
    assert old in NOTES
    try:
        told = [str(finding) for finding in apprules.findings(appfile.loads(NOTES.replace(old, new, 1)))]
    except CatherdError as error:
        told = [str(error)]
    assert text in told


def test_a_journey_without_fresh_values_and_a_web_app_without_a_browser_are_told() -> None:
    told = [
        str(finding)
        for finding in apprules.findings(appfile.loads(NOTES.split("  - id: J-003")[0].replace("{nonce.a}", "milk")))
    ]
    assert any("J-001 sends and expects no fresh value, so a constant could pass it" in line for line in told)
    assert any("a web app needs a journey in the browser" in line for line in told)


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
def test_an_answer_holds_what_is_expected_or_the_difference_is_named(wanted: object, got: object, why: str) -> None:
    assert seen.differs(wanted, got) == why


def test_placeholders_keep_their_type_alone_and_become_text_within_text() -> None:
    names = {"id": 7, "nonce.a": "a.b", "number.n": 1234}
    assert seen.fill({"{nonce.a}": ["{id}", "x{id}", '{"a": {b}}', "{other}"]}, names) == {
        "a.b": [7, "x7", '{"a": {b}}', "{other}"]
    }
    assert seen.fill(r"^{id}\. {nonce.a}$", names, regex=True) == r"^7\. a\.b$"
    assert seen.names_in({"a": ["{id} {nonce.a}"], "{number.n}": 1}) == {"id", "nonce.a", "number.n"}


def test_a_pointer_finds_what_it_points_to() -> None:
    value = {"items": [{"a/b": 1}, {"~": 2}]}
    assert seen.pointed(value, "/items/0/a~1b") == (True, 1)
    assert seen.pointed(value, "/items/1/~0") == (True, 2)
    assert seen.pointed(value, "/items/2") == (False, None)
    assert seen.pointed(value, "") == (True, value)


JSON = [
    ('{"items": [{"id": 1}]}', {"json_in": "/items", "json_contains": {"id": 1}}, ""),
    (
        '{"items": [{"id": 1}]}',
        {"json_in": "/items", "json_contains": {"id": 2}},
        'no element holds {"id": 2}: [{"id": 1}]',
    ),
    ('[{"id": 1}]', {"json_lacks": {"id": 1}}, 'an element holds {"id": 1}: [{"id": 1}]'),
    ('[{"id": 1}]', {"json_lacks": {"id": 2}}, ""),
    ('{"items": 3}', {"json_in": "/items", "json_contains": 1}, 'no list at /items: {"items": 3}'),
    ('{"a": {"b": [1]}}', {"json_at": {"/a/b/0": 1}}, ""),
    ('{"a": {"b": [1]}}', {"json_at": {"/a/c": 1}}, 'nothing at /a/c: {"a": {"b": [1]}}'),
    ("<html>", {"json": {}}, 'not JSON: "<html>"'),
    ("<html>", {"status": 200}, ""),
]


@pytest.mark.parametrize(("text", "expect", "why"), JSON)
def test_what_json_is_missing_is_named(text: str, expect: dict[str, object], why: str) -> None:
    assert seen.json_misses(text, expect) == why

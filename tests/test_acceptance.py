"""The gate is not fooled: two small apps pass, every mutant of them is red, and the evidence says why."""

import os
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from catherd import acceptance, appfile, apprules, browser, note, sandbox, tryout
from catherd.acceptance import Asked
from catherd.errors import CatherdError
from catherd.evidence import Evidence, Run, Shown, StepSeen

HERE = Path(__file__).resolve().parent
PAGE = (HERE.parent / "docs" / "handbook" / "app.md").read_text(encoding="utf-8")
NOTES, TODO = re.findall(r"```yaml\n(catherd: 1\nname.*?)```", PAGE, re.DOTALL)
STORIES = ["US-001", "US-002"]
needs_box = pytest.mark.skipif(
    sandbox.probe().name != "bwrap", reason=f"no bubblewrap box here: {sandbox.probe().why_not}"
)
needs_browser = pytest.mark.skipif(not browser.find()[0], reason=f"no browser here: {browser.find()[1]}")


@pytest.fixture
def place() -> Iterator[Path]:
    """A scratch directory that any user can walk."""
    with tempfile.TemporaryDirectory(prefix="catherd-test-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        yield Path(folder)


def tree_of(place: Path, kind: str, manifest: str, old: str = "", new: str = "") -> str:
    """The app `notes` or `todo` as an exported tree, `old` in its program replaced by `new`."""
    shutil.copytree(HERE / "apps" / kind, place / "tree" / "app")
    program = place / "tree" / "app" / ("server.py" if kind == "notes" else "todo.py")
    text = program.read_text(encoding="utf-8")
    assert old in text
    program.write_text(text.replace(old, new, 1), encoding="utf-8")
    (place / "tree" / "app" / "app.yaml").write_text(manifest, encoding="utf-8")
    return str(place / "tree")


def only(manifest: str, *ids: str) -> str:
    """The manifest with these journeys alone: a mutant need not pay for those that it passes."""
    head, *journeys = re.split(r"(?m)^(?=  - id: )", manifest.split("known_gaps", maxsplit=1)[0])
    return head + "".join(journey for journey in journeys if any(f"id: {name}\n" in journey for name in ids))


@needs_box
@needs_browser
def test_a_web_app_that_works_is_green_and_its_screens_are_kept(place: Path) -> None:
    got = acceptance.accept(
        Asked(
            tree=tree_of(place, "notes", NOTES),
            stories=STORIES,
            commit="c0ffee",
            tree_id="feed",
            shots=str(place / "shots"),
        )
    )
    assert (got.verdict, got.reasons) == ("green", [])
    assert (got.tier, got.commit, got.known_gaps) == ("bwrap", "c0ffee", ["A note cannot be edited."])
    assert [(j.id, j.verdict, [(r.against, r.verdict) for r in j.runs]) for j in got.journeys] == [
        (name, "pass", [("null app", "fail"), ("app, first time", "pass"), ("app, second time", "pass")])
        for name in ("J-001", "J-002", "J-003")
    ]
    first, second = got.journeys[0].runs[1:]
    assert [step.kind for step in first.steps] == ["http", "restart", "http"]
    assert first.steps[0].seen.startswith('201 {"id": 1, "text": "')
    assert first.steps[0].sent != second.steps[0].sent  # other nonces
    picture = (place / "shots" / "J-003-1.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert not browser.blank(picture)
    assert got.journeys[2].runs[1].steps[0].shot == "J-003-1.png"
    assert note.note_md(got, "PoC", root=str(HERE.parent), shots="poc") == NOTE.replace("MANIFEST", got.manifest[:12])


@needs_box
def test_a_command_that_works_is_green(place: Path) -> None:
    got = acceptance.accept(Asked(tree=tree_of(place, "todo", TODO), stories=STORIES))
    assert (got.verdict, got.reasons) == ("green", [])
    assert [step.sent.split()[:2] for step in got.journeys[0].runs[1].steps] == [["python3", "todo.py"]] * 2


NOTE = """# PoC: proved

notes (web): Short notes that survive a crash.

The gate ran commit `c0ffee` in the box (bwrap): every journey failed against an app that does nothing and passed
twice against this one, with other values, other data and another port each time. What stands in braces below was random.

## What works, and what was shown

### J-001 A saved note survives a crash

US-001: **pass**

1. `POST /api/notes {"text": "{nonce.a}"}` → `201 {"id": 1, "text": "{nonce.a}"}`
2. `restart: kill`
3. `GET /api/notes` → `200 [{"id": 1, "text": "{nonce.a}"}]`

### J-002 An empty note is refused

US-002, what happens when something is wrong: **pass**

1. `POST /api/notes {"text": " "}` → `422 {"error": "text is required"}`
2. `GET /api/notes` → `200 []`

### J-003 A person saves a note in the browser

US-001: **pass**

1. `browser: goto /; fill label Note with {nonce.b}; click role button name Save; see text {nonce.b}; reload; see text {nonce.b}; no_console_errors` → `Notes Note Save {nonce.b}`

   ![A person saves a note in the browser](poc/J-003-1.png)

## Known gaps

- A note cannot be edited.

## How to try it

`make run`, then:

```text
1. Open {url}
2. Type a note and press Save: it appears in the list.
3. Stop with ^C, run `make run` again: the note is still there.
```

---
commit c0ffee · tree feed · app.yaml sha256 MANIFEST
"""
WEB_MUTANTS = {
    "dead button": ("J-003", 'form.addEventListener("submit", async', 'form.addEventListener("never", async', r"J-003 .* step 1 `browser: see text \w+`: not there within 5 s"),
    "in-memory store": (
        "J-001", "def read()", "M = []\ndef write(n): M[:] = n\ndef read(): return list(M)\ndef old_read()",
        r"J-001 .* step 3 `GET /api/notes`: no element holds .*: \[\]",
    ),
    "stores nothing": ("J-001", "        write(notes)\n", "", r"J-001 .* step 3 `GET /api/notes`: no element holds .*: \[\]"),
    "wrong status": ("J-001", "self.answer(201", "self.answer(200", r"J-001 .* step 1 `POST .*: status 200, not 201"),
    "accepts the empty": ("J-002", "if not text:", "if False:", r"J-002 .* step 1 `POST .*: status 201, not 422"),
    "ignores input": ("J-001", '"text": text}', '"text": "hello"}', r'J-001 .* step 1 .*: /text is "hello", not "'),
    "hard-coded answer": (
        "J-001", "self.answer(200, read())", 'self.answer(200, [{"id": 1, "text": "milk"}])',
        r'J-001 .* step 3 .*: no element holds .*: \[\{"id": 1, "text": "milk"\}\]',
    ),
    "crash on restart": (
        "J-001", "    server = ", "    STORE.exists() and sys.exit(3)\n    server = ",
        r"J-001 .* step 2 `restart: kill`: it ended with 3 before it was ready",
    ),
    "leaves a process": (
        "J-002", "    server = ", "    os.fork() or (os.setsid(), signal.pause())\n    server = ",
        r"J-002 .*: it left 1 running when it ended: python3 server\.py",
    ),
    "writes outside": (
        "J-001", "        notes = read()\n", '        Path("copy.json").write_text(text)\n        notes = read()\n',
        r"J-001 .*: it wrote outside \{data\}: app/copy\.json",
    ),
    "stores outside": (
        "J-001", 'Path(os.environ["APP_DATA"])', "Path(__file__).parent", r"J-001 .*: it wrote outside \{data\}: app/notes\.json",
    ),
    "stores in the temporary directory": (
        "J-001", 'Path(os.environ["APP_DATA"])', 'Path("/tmp")', r"J-001 .* step 3 `GET /api/notes`: no element holds .*: \[\]",
    ),
    "hangs on stop": (
        "J-002", "lambda *_: sys.exit(0)", "signal.SIG_IGN", r"J-002 .*: it did not end within 0\.5 s of SIGTERM",
    ),
    "port ignored": (
        "J-002", 'int(os.environ["PORT"])', "8000",
        r"J-002 .*: it does not start: GET /healthz on port \d+: no answer within 1 s; it listens on 8000",
    ),
    "crash on start": ("J-002", "import json\n", "import flask\nimport json\n", r"J-002 .*: it does not start: it ended with 1 before"),
    "dies of the first request": ("J-002", "def do_POST(self) -> None:\n", "def do_POST(self) -> None:\n        os._exit(9)\n", r"J-002 .*: no answer: .*; the app has ended with 9"),
    "eats memory": (
        "J-002", "def do_POST(self) -> None:\n", "def do_POST(self) -> None:\n        x = [bytearray(9 << 20) for _ in iter(int, 1)]\n",
        r"J-002 .*: no answer: .*; the app has ended with 137 \(memory\)",
    ),
    "script error": ("J-003", "load();\n</script>", "load(); nothing.at_all();\n</script>", r"J-003 .*no_console_errors.*nothing is not defined"),
}  # fmt: skip
CLI_MUTANTS = {
    "stores nothing": (
        'STORE.write_text("\\n".join(things) + "\\n", encoding="utf-8")', "pass",
        r"J-001 .* step 2 `python3 todo\.py list`: stdout does not match .*: \"\"",
    ),
    "ignores input": ("things.append(words[1])", 'things.append("milk")', r"J-001 .* step 2 .*: stdout does not match .*: \"1\. milk"),
    "wrong exit": ("    return 2", "    return 0", r"J-002 .* step 1 `python3 todo\.py frobnicate`: exit 0, not 2: \"usage: "),
    "silent": (
        '    print("usage: todo.py add THING | list", file=sys.stderr)', "    pass",
        r"J-002 .* step 1 `python3 todo\.py frobnicate`: stderr does not hold \"usage\": \"\"",
    ),
    "writes outside": ('print(f"Added', "open('log', 'w').close(); print(f\"Added", r"J-001 .*: it wrote outside \{data\}: app/log"),
}  # fmt: skip


@needs_box
@pytest.mark.parametrize("name", sorted(WEB_MUTANTS))
def test_a_mutant_of_the_web_app_is_red_and_the_reason_says_why(place: Path, name: str) -> None:
    journey, old, new, reason = WEB_MUTANTS[name]
    if journey == "J-003" and not browser.find()[0]:
        pytest.skip("no browser here")
    manifest = (
        only(NOTES, journey)
        .replace('requires: {python3: "3.11"}\n', "")
        .replace("within_s: 10}", "within_s: 1}")
        .replace("within_s: 5}", "within_s: 0.5}")
    )
    got = acceptance.accept(Asked(tree=tree_of(place, "notes", manifest, old, new)))
    assert got.verdict == "red"
    assert any(re.search(reason, line, re.DOTALL) for line in got.reasons), got.reasons


@needs_box
@pytest.mark.parametrize("name", sorted(CLI_MUTANTS))
def test_a_mutant_of_the_command_is_red_and_the_reason_says_why(place: Path, name: str) -> None:
    old, new, reason = CLI_MUTANTS[name]
    got = acceptance.accept(Asked(tree=tree_of(place, "todo", TODO, old, new)))
    assert got.verdict == "red"
    assert any(re.search(reason, line, re.DOTALL) for line in got.reasons), got.reasons


@needs_box
def test_a_journey_that_the_null_app_passes_proves_nothing(place: Path) -> None:
    manifest = TODO.replace("expect: {exit: 2, stderr_contains: usage}", "expect: {exit: 0}")
    got = acceptance.accept(Asked(tree=tree_of(place, "todo", manifest, "return 2", "return 0")))
    assert got.reasons == [
        "J-002 (A wrong command explains itself) passes against the null app, which does nothing: it proves nothing"
    ]
    assert got.verdict == "red"


@needs_box
def test_a_story_without_a_journey_is_claimed_and_not_shown(place: Path) -> None:
    got = acceptance.accept(Asked(tree=tree_of(place, "todo", TODO), stories=[*STORIES, "US-009"]))
    assert (got.verdict, got.unshown) == ("red", ["US-009"])
    assert got.reasons == ["US-009 is claimed, not shown: no journey has `story: US-009`"]
    assert [journey.verdict for journey in got.journeys] == ["pass", "pass"]


@needs_box
def test_without_a_browser_the_verdict_is_unknown_until_a_person_waives_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("sh", "bwrap", "prlimit", "setpriv", "unshare", "mount"):
        (place / program).symlink_to(shutil.which(program) or "/bin/true")
    monkeypatch.setenv("PATH", str(place))
    tree = tree_of(place, "notes", only(NOTES, "J-002", "J-003").replace("persistence: true", "persistence: false"))
    got = acceptance.accept(Asked(tree=tree))
    assert got.verdict == "unknown"
    assert got.reasons[0].startswith("browser: there is no browser on this machine, and unseen never passes\n  fix: ")
    assert [journey.verdict for journey in got.journeys] == ["pass", "unknown"]
    waived = acceptance.accept(Asked(tree=tree, waiver="I looked at it myself."))
    assert (waived.verdict, waived.waiver) == ("green", "I looked at it myself.")
    assert [journey.verdict for journey in waived.journeys] == ["pass", "waived"]


def test_below_the_tier_that_is_asked_for_the_verdict_is_unknown_and_in_the_weak_tier_it_is_stamped(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATHERD_BOX", "weak")
    tree = tree_of(place, "todo", TODO)
    got = acceptance.accept(Asked(tree=tree))
    assert got.verdict == "unknown"
    assert got.reasons == [
        "sandbox: the sandbox is weak, bwrap is needed: CATHERD_BOX=weak is set\n  fix: unset CATHERD_BOX"
    ]
    weak = acceptance.accept(Asked(tree=tree, minimum="weak"))
    assert (weak.verdict, weak.tier, weak.reasons) == ("green", "weak", [])


def test_a_web_app_can_be_judged_in_the_weak_tier(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATHERD_BOX", "weak")
    got = acceptance.accept(Asked(tree=tree_of(place, "notes", only(NOTES, "J-001", "J-002")), minimum="weak"))
    assert [journey.verdict for journey in got.journeys] == ["pass", "pass"]
    assert got.tier == "weak"


@needs_box
def test_a_program_that_is_missing_or_too_old_leaves_the_verdict_unknown(place: Path) -> None:
    got = acceptance.accept(
        Asked(tree=tree_of(place, "todo", TODO.replace('{python3: "3.11"}', '{no-such-thing: "1"}')))
    )
    assert (got.verdict, got.reasons) == ("unknown", ["no-such-thing 1 is required, and the box has none"])
    shutil.rmtree(place / "tree")
    got = acceptance.accept(Asked(tree=tree_of(place, "todo", TODO.replace('"3.11"', '"99.1"'))))
    assert got.verdict == "unknown"
    assert re.fullmatch(r"python3 99\.1 is required, the box has 3\.[0-9.]+", got.reasons[0])


@needs_box
def test_what_install_makes_is_there_when_the_app_runs_and_a_failing_install_is_red(place: Path) -> None:
    manifest = TODO.replace("start:\n", "install: [[sh, -c, 'cp todo.py made.py']]\nstart:\n").replace(
        "python3, todo.py", "python3, made.py"
    )
    got = acceptance.accept(Asked(tree=tree_of(place, "todo", manifest)))
    assert (got.verdict, got.reasons) == ("green", [])
    shutil.rmtree(place / "tree")
    manifest = TODO.replace("start:\n", "install: [[sh, -c, 'echo no wheel >&2; exit 4']]\nstart:\n")
    got = acceptance.accept(Asked(tree=tree_of(place, "todo", manifest)))
    assert (got.verdict, got.reasons) == ("red", ["`sh -c echo no wheel >&2; exit 4` ended with 4: no wheel\n"])


def test_the_examples_of_the_handbook_break_no_rule() -> None:
    for text in (NOTES, TODO):
        assert [str(finding) for finding in apprules.findings(appfile.loads(text))] == []


BROKEN = {
    "name: notes": ("name: Not es", "app/app.yaml:2:7: not a name: Not es\n  fix: lower case, digits and hyphens: `name: notes`"),
    "kind: web": ("kind: webb", "app/app.yaml:3:7: kind: Invalid enum value 'webb'\n  fix: correct the value of kind"),
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
        for finding in apprules.findings(appfile.loads(only(NOTES, "J-001", "J-002").replace("{nonce.a}", "milk")))
    ]
    assert any("J-001 sends and expects no fresh value, so a constant could pass it" in line for line in told)
    assert any("a web app needs a journey in the browser" in line for line in told)


def test_no_manifest_at_all_is_red_and_says_what_to_write(place: Path) -> None:
    (place / "tree").mkdir()
    got = acceptance.accept(Asked(tree=str(place / "tree")))
    assert (got.verdict, got.reasons) == (
        "red",
        ["app/app.yaml: there is no such file\n  fix: write it as docs/handbook/app.md shows"],
    )


@needs_box
def test_a_person_gets_the_app_at_an_address_and_the_data_stays(place: Path) -> None:
    tree, data = tree_of(place, "notes", NOTES), str(place / "data")
    with tryout.serve(tree, data) as app:
        assert app.try_it.splitlines()[0] == f"1. Open {app.url}"
        request = urllib.request.Request(f"{app.url}/api/notes", data=b'{"text": "by hand"}', method="POST")  # noqa: S310
        assert urllib.request.urlopen(request).status == 201  # noqa: S310
        assert not app.wait(0)
        url = app.url
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)  # noqa: S310
    with tryout.serve(tree, data) as app:
        assert b"by hand" in urllib.request.urlopen(f"{app.url}/api/notes").read()  # noqa: S310


@needs_box
def test_an_app_that_does_not_start_shows_its_last_words_to_the_person(place: Path) -> None:
    tree = tree_of(place, "notes", NOTES, "import json\n", "raise SystemExit('no flask')\n")
    with pytest.raises(CatherdError) as caught, tryout.serve(tree, str(place / "data")):
        pass
    assert str(caught.value) == (
        "app/app.yaml: the app does not start: it ended with 1 before it was ready\nno flask\n  fix: read its log above"
    )


@needs_box
def test_a_person_runs_the_command_and_the_data_stays(place: Path) -> None:
    tree, data = tree_of(place, "todo", TODO), str(place / "data")
    assert tryout.command(tree, data, ["add", "buy milk"]).out == "Added 1: buy milk\n"
    assert tryout.command(tree, data, ["list"]).out == "1. buy milk\n"
    assert tryout.command(tree, data, ["frob"]).rc == 2


def test_a_red_note_names_the_reasons_and_opens_nothing_of_its_own() -> None:
    step = StepSeen(number=1, kind="http", sent="GET /`x`", verdict="fail", seen="# a\n``` b", why="<b> [x](y)")
    run = Run(against="app, first time", verdict="fail", steps=[step], log="boom")
    shown = Shown(id="J-001", story="US-001", title="Hi *you*", verdict="fail", runs=[run])
    one = Evidence(verdict="red", app="x", kind="web", summary="s", tier="weak", journeys=[shown], try_it="```\nhi")
    one.reasons = ["J-001 (Hi *you*), app, first time: <b>"]
    one.unshown = ["US-002"]
    assert msgspec.convert(msgspec.to_builtins(one), Evidence) == one
    text = note.note_md(one, "MVP", root=str(HERE.parent))
    assert text.startswith("# MVP: not proved\n")
    assert r"- J-001 (Hi \*you\*), app, first time: \<b\>" in text
    assert "1. `GET /'x'` → `# a ''' b`: \\<b\\> \\[x\\](y)" in text
    assert "**Not isolated:** the sandbox of that machine was `weak`." in text
    assert "- US-002: no journey shows it" in text
    assert "````text\n```\nhi\n````" in text
    assert note.lines_for_agents(one) == [
        {"journey": "J-001", "story": "US-001", "title": "Hi *you*", "reason": one.reasons[0], "log": "boom"}
    ]

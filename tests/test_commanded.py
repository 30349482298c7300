"""A command agent in a game: any CLI builds a task of the poc end to end, and speaks where its agent has no model."""

import os
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import msgspec
import pytest

import games
from catherd.answers.journal import converse
from catherd.box import sandbox
from catherd.bus import config
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.jobs import Write, next_job
from catherd.core.messages import Answer, Call, Game, Trouble
from catherd.core.model import ModelError, Request, Said
from catherd.game.lifecycle import lay as lay_bus
from catherd.git import worktree
from catherd.herd import dispatch, doctor, seats, trial
from catherd.herd.daemon import Daemon
from catherd.models import accounts, cast, cli_model, costs
from gitrooms import sh
from test_packs import tree as build
from workshop import Workshop, lay

SRC = Path(__file__).parent.parent / "src"
needs_box = pytest.mark.skipif(
    sandbox.probe_tier().name != "bwrap",
    reason=f"no bubblewrap box: {sandbox.probe_tier().why_not}",
)

# Writes what the rehearsal would answer to the very prompt; in the way that real ones do: it commits, litters and chats.
FAKE = """
import json, os, subprocess, sys
sys.path.insert(0, {src!r})
from catherd.answers.envelopes import parse_envelope
from catherd.core.model import Request, Said
from catherd.rehearsal import Rehearsal
prompt = sys.stdin.read()
open(os.path.join(os.environ["HOME"], "saw"), "a").write(json.dumps([os.path.lexists({bus!r}), sorted(os.environ)]) + "\\n")
text = Rehearsal().complete(Request("", "", "", prompt, (Said("user", prompt),))).text
print("thinking aloud", flush=True)
for file in parse_envelope(text).files:
    os.makedirs(os.path.dirname(file.path) or ".", exist_ok=True)
    open(file.path, "w").write(file.text)
{more}
print(json.dumps({{"type": "result", "text": text, "usage": {{"in": 1000, "out": 200}}, "usd": 0.05}}), flush=True)
"""
COMMITS = """
subprocess.run(["git", "add", "-A"], check=True)
subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "mine"], check=True)
"""


def command(where: Path, bus: str, more: str = "") -> dict[str, Any]:
    """The `command:` block of such a program."""
    script = where / "bin" / "fake.py"
    script.parent.mkdir()
    script.write_text(textwrap.dedent(FAKE).format(src=str(SRC), bus=bus, more=more))
    usage = {
        "match": {"type": "result"},
        "input": "usage.in",
        "output": "usage.out",
        "usd": "usd",
    }
    text = {"match": {"type": "result"}, "get": "text"}
    sees = [str(script.parent), str(SRC.parent), sys.prefix]
    return {
        "argv": [sys.executable, str(script)],
        "final": {"type": "result"},
        "text": text,
        "usage": usage,
        "sees": sees,
    }


def agent_of(shop: Workshop, where: Path, more: str = "") -> Agent:
    """Claude with a program for hands and no model."""
    block = command(where, shop.bus.path, more)
    return msgspec.structs.replace(
        shop.agents["claude"], command=block, model="", key="FAKE_KEY", also=[]
    )


def step(shop: Workshop, agent: Agent) -> None:
    """One job of the command agent in a live game."""
    seen = shop.desks[agent.id].look(agent.id, tuple(shop.game.roll), ("poc",))
    job = next_job(agent.id, seen)
    if job is not None:
        dispatch.work(
            seats.choose(
                shop.bus, agent, msgspec.structs.replace(shop.game, models="live")
            ),
            job,
            seen,
        )


@needs_box
def test_a_program_builds_a_task_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_KEY", "the-key-of-the-program")
    monkeypatch.setenv("OPENAI_API_KEY", "the-key-of-another")
    shop = lay(
        tmp_path / "game", ["T-001", "T-002"], only=["T-003"], owner={"T-003": "claude"}
    )
    agent = agent_of(shop, tmp_path, COMMITS)
    for _ in range(20):
        step(shop, agent)
        for other in ("chatgpt", "gemini"):
            shop.do(other)
        shop.queue.turn()
        if shop.bus.there("claims/done/T-003.lock"):
            break
    assert shop.bus.there("claims/done/T-003.lock"), shop.bus.names("problems")
    log = sh(Path(shop.bus.root), "log", "--format=%an: %s", f"{shop.game.base}..main")
    assert "Claude (catherd): T-003" in log
    assert "mine" not in log
    assert not list((Path(shop.bus.root) / "worktrees" / "claude").glob("**/saw"))
    ran = [
        one
        for one in accounts.entries(shop.bus)
        if one.agent == "claude" and one.phase == "poc"
    ]
    assert ran
    assert all(
        (one.answered, one.usd, one.prompt_tokens) == (True, 0.05, 1000) for one in ran
    )
    events = "".join(p.read_text() for p in Path(shop.bus.here("events")).iterdir())
    assert '"kind":"ran"' in events.replace(" ", "")
    saw = (
        (Path(shop.bus.root) / ".catherd" / "home" / "claude" / "saw")
        .read_text()
        .splitlines()
    )
    for line in saw:
        there, names = msgspec.json.decode(line)
        assert not there
        assert "FAKE_KEY" in names
        assert "OPENAI_API_KEY" not in names
    build("lending-shelf", ["T-001", "T-002", "T-003"], tmp_path / "want")
    for path in (tmp_path / "want").rglob("*"):
        if path.is_file() and path.name != "app.yaml":
            mine = sh(
                Path(shop.bus.root),
                "show",
                f"main:{path.relative_to(tmp_path / 'want')}",
            )
            assert mine.strip() == path.read_text().strip(), path


LEAKS = """
if "take it out" not in prompt:
    open("app/shelf/routes.py", "a").write("TOKEN = '" + "AKIA" + "ABCDEFGHIJKLMNOP" + "'\\n")
"""


@needs_box
def test_a_key_in_a_file_goes_back_to_the_author_and_never_into_a_commit(
    tmp_path: Path,
) -> None:
    shop = lay(
        tmp_path / "game", ["T-001", "T-002"], only=["T-003"], owner={"T-003": "claude"}
    )
    agent = agent_of(shop, tmp_path, LEAKS)
    for _ in range(3):
        step(shop, agent)
        if shop.bus.names("prs"):
            break
    complaint = shop.said("claude", "poc.T-003.write.1")[1]
    line = (
        Path(shop.bus.root) / "worktrees" / "claude" / "app" / "shelf" / "routes.py"
    ).read_text().count("\n") + 1
    told = f"Not taken: app/shelf/routes.py:{line}: AWS key: take it out; nothing that is secret may be committed\n"
    assert complaint.startswith(told)
    assert not [
        p
        for p in Path(shop.bus.path).rglob("*")
        if p.is_file() and b"AKIA" in p.read_bytes()
    ]
    assert "AKIA" not in sh(
        Path(shop.bus.root),
        "log",
        "-p",
        "--all",
        "--format=",
        "--",
        "app/shelf/routes.py",
    )


@needs_box
@pytest.mark.parametrize("hands", [False, True], ids=["speaks", "builds"])
def test_a_program_that_tells_its_key_tells_it_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hands: bool
) -> None:
    """Neither what it says nor what it writes brings the key to the bus; in a file it is a fault of its author."""
    key = "plain-words-of-a-key"
    monkeypatch.setenv("KNIT_WORK_ACCOUNT", key)
    root = games.lay(tmp_path / "game")
    bus = Bus(str(root))
    lay_bus(bus)
    tree = (
        worktree.begin_branch(
            str(root), "knit", "T-003", sh(root, "rev-parse", "main")
        ).path
        if hands
        else ""
    )
    block = {
        "argv": ["sh", "-c", 'echo "my key is $KNIT_WORK_ACCOUNT" | tee -a notes.md'],
        "events": "text",
    }
    agent = Agent(id="knit", name="Knit", key="KNIT_WORK_ACCOUNT", command=block)
    ask = Request("knit", "poc/T-003.write.1", "command", "", (Said("user", "x"),))
    said = converse(
        bus,
        cli_model.Program(bus, agent, tree),
        ask,
        lambda _: 0.1,
        lambda text, last: "",
    )

    if hands:
        secret = "notes.md:1: the value of KNIT_WORK_ACCOUNT: take it out; nothing that is secret may be committed"
        assert said == f"Not taken: {secret}"
    else:
        assert said == "my key is [removed: the value of KNIT_WORK_ACCOUNT]\n"
    kept = (root / ".catherd" / "home" / "knit.log").read_text()
    assert kept == "my key is [removed: the value of KNIT_WORK_ACCOUNT]\n"
    assert not [
        p
        for p in (root / "bus").rglob("*")
        if p.is_file() and key.encode() in p.read_bytes()
    ]


VERSION = """sh -c echo sh 5.2; test -z "$KNIT_API_KEY\""""
# Reads and writes whatever it can reach; what must not be there is named by the test.
BURGLAR = """
import glob, json, os, subprocess, sys
sys.stdin.read()
def write(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | (0 if path.startswith("/proc") else os.O_CREAT)))
        return True
    except OSError:
        return False
def git(*words):
    return subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()
found = {"there": [p for p in PATHS if os.path.lexists(p)], "written": [p for p in [*PATHS, *SYSTEM] if write(p)]}
found["home"] = [write(os.path.expanduser("~/mine")), write("mine.json")]
found["git"] = [git("status", "--porcelain"), git("branch", "--format=%(refname:short)"), git("log", "--all", "--format=%s")]
found["all"] = git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype)").split().count("commit")
git("-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qam", "mine"), git("checkout", "-qb", "elsewhere")
git("update-ref", "refs/heads/main", "HEAD"), write(git("rev-parse", "--git-dir") + "/hooks/post-commit")
for folder, below, names in os.walk("/proc"):
    below[:] = [n for n in below if not n.isdigit() and n not in ("self", "thread-self")]
    found["written"] += [n for n in names if write(os.path.join(folder, n))]
found["processes"] = len([p for p in glob.glob("/proc/[0-9]*")])
open("mine.json", "w").write(json.dumps(found) + "\\n")
print(json.dumps({"type": "result"}), flush=True)
"""


@needs_box
def test_a_program_reaches_its_home_and_its_worktree_and_nothing_else_of_yours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the bus, the repository, another worktree nor your files; the system cannot be written; its git is a copy."""
    root, yours = games.lay(tmp_path / "game"), tmp_path / "you"
    bus = Bus(str(root))
    (root / "bus" / "game.yaml").write_text("id: g\n")
    (yours / ".ssh").mkdir(parents=True)
    (yours / ".ssh" / "id").write_text("secret")
    monkeypatch.setenv("HOME", str(yours))
    (root / ".catherd" / "home" / "gemini").mkdir(parents=True)
    paths = [
        root / "bus",
        root / "bus" / "game.yaml",
        root / ".git" / "config",
        root / "Makefile",
    ]
    paths += [
        root / "worktrees" / "gemini" / "x",
        root / ".catherd" / "home" / "gemini",
        yours / ".ssh" / "id",
    ]
    system = [
        "/etc/burglar",
        "/usr/burglar",
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/opt/burglar",
    ]
    script = tmp_path / "bin" / "burglar.py"
    script.parent.mkdir()
    script.write_text(
        f"PATHS, SYSTEM = {[str(path) for path in paths]}, {system}\n{BURGLAR}"
    )
    base = sh(root, "rev-parse", "main")
    tree = worktree.begin_branch(str(root), "claude", "T-003", base).path

    def repository() -> list[str]:
        refs = sh(root, "for-each-ref", "--format=%(refname) %(objectname)")
        return [
            refs,
            sh(root, "config", "--list", "--local"),
            *(path.name for path in (root / ".git" / "hooks").glob("*")),
        ]

    before = repository()
    block = {
        "argv": [sys.executable, str(script)],
        "sees": [str(script.parent), sys.prefix],
        "final": {"type": "result"},
    }
    program = cli_model.Program(
        bus, Agent(id="claude", name="Claude", command=block), tree
    )
    said = program.complete(
        Request("claude", "poc/T-003.write.1", "command", "", (Said("user", "x"),))
    )

    assert "file path=mine.json\n" in said.text
    found = msgspec.json.decode((Path(tree) / "mine.json").read_bytes())
    assert found["there"] == []
    assert found["written"] == []
    assert found["home"] == [True, True]
    assert found["git"] == [
        "?? mine.json",
        "claude/T-003",
        sh(root, "log", "-1", "--format=%s", base),
    ]
    assert found["all"] == 1
    assert found["processes"] < 8
    assert repository() == before


def test_without_walls_no_program_is_started_unless_its_yaml_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATHERD_BOX", "weak")
    told = "without bubblewrap sh could reach bus/ and your files (CATHERD_BOX=weak is set): make doctor says how to get it, or write `sandbox: none` into its `command:`"
    block: dict[str, Any] = {
        "argv": ["sh", "-c", "touch started; echo hello"],
        "version": ["sh", "-c", "echo 1.0"],
        "events": "text",
    }
    agent = Agent(id="knit", name="Knit", command=block)
    bus = room(tmp_path)
    ask = Request("knit", "t", "command", "", (Said("user", "x"),))
    with pytest.raises(ModelError) as error:
        cli_model.Program(bus, agent).complete(ask)
    assert str(error.value) == f"refused: {told}"
    assert not list(tmp_path.rglob("started"))
    assert cli_model.probe_program(agent) == f"--  knit: {told}"

    bare = msgspec.structs.replace(agent, command={**block, "sandbox": "none"})
    assert cli_model.Program(bus, bare).complete(ask).text.strip() == "hello"
    assert cli_model.probe_program(bare) == "ok  knit: sh -c echo 1.0: 1.0"


@needs_box
def test_the_doctor_tries_the_program_of_every_agent_that_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = games.lay(tmp_path / "game")
    argv = "command: {argv: [sh], version: [sh, -c, 'echo sh 5.2; test -z \"$KNIT_API_KEY\"'], keys: [KNIT_API_KEY]}\n"
    (root / "agents" / "knit.yaml").write_text(f"name: Knit\n{argv}")
    (root / "agents" / "purl.yaml").write_text(
        f"name: Purl\nkey: KNIT_API_KEY\nmodel: openai/gpt-6-sol\n{argv}"
    )
    (root / "agents" / "sew.yaml").write_text(
        "name: Sew\ncommand: {argv: [/no/such/program]}\n"
    )
    monkeypatch.setenv("KNIT_API_KEY", "a-key-that-no-probe-needs")
    told = list(doctor.doctor_lines(str(root), live=False))

    assert [
        line for line in told if "knit:" in line or "purl:" in line or "sew:" in line
    ] == [
        f"ok  knit: {VERSION}: sh 5.2",
        "ok  knit: a key for sh is there",
        f"ok  purl: {VERSION}: sh 5.2",
        "ok  purl: a key for openai/gpt-6-sol is there",
        "--  sew: there is no program /no/such/program here; install it, or correct `argv:`",
    ]


@needs_box
def test_a_program_that_its_walls_hide_is_told_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is seen wherever it lies, with its interpreter; what it loads from elsewhere must be named."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, text in (
        ("tool", "#!/usr/bin/env twice\n"),
        ("twice", '#!/bin/sh\ncat "$DATA" 2>&- || { echo lost; exit 1; }\n'),
    ):
        path = tmp_path / "apps" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    data = tmp_path / "data" / "words"
    data.parent.mkdir()
    data.write_text("from afar\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'apps'}:{os.environ['PATH']}")
    agent = Agent(
        id="knit", name="Knit", command={"argv": ["tool"], "env": {"DATA": str(data)}}
    )
    assert cli_model.probe_program(agent) == "--  knit: tool --version: lost"
    seen = msgspec.structs.replace(agent, command={**agent.command, "sees": ["~/data"]})
    assert cli_model.probe_program(seen) == "ok  knit: tool --version: from afar"

    (tmp_path / "apps" / "tool").write_text(f"#!{tmp_path}/none\n")
    with pytest.raises(ModelError) as error:
        cli_model.Program(room(tmp_path / "game"), agent).complete(
            Request("knit", "t", "command", "", (Said("user", "x"),))
        )
    assert str(error.value) == (
        "not_found: tool does not start behind its walls (bwrap: execvp tool: No such file or directory): name what it lacks under `sees:`"
    )


def room(tmp_path: Path) -> Bus:
    (tmp_path / "bus" / ".tmp").mkdir(parents=True)
    return Bus(str(tmp_path))


def test_a_program_speaks_for_an_agent_without_a_model(tmp_path: Path) -> None:
    bus = room(tmp_path)
    script = 'import json,sys; sys.stdin.read(); print(json.dumps({"type": "result", "text": "I would rather knit."}))'
    block = {
        "argv": [sys.executable, "-c", script],
        "final": {"type": "result"},
        "text": {"get": "text"},
    }
    agent = Agent(id="knit", name="Knit", command=block)
    seat = seats.choose(bus, agent, Game(id="g", roll=["knit"], models="live"))
    ask = Request(
        "knit", "debate/round-1.pitch.1", "command", "s", (Said("user", "Pitch."),)
    )
    assert seat.reserve(ask) == 0.25
    reply = seat.model.complete(ask)
    assert (reply.text, reply.usd) == ("I would rather knit.", 0.25)


def test_what_a_program_may_cost_counts_before_it_runs(tmp_path: Path) -> None:
    bus = room(tmp_path)
    agent = Agent(id="knit", name="Knit", command={"argv": ["true"], "usd": 12})
    seat = seats.choose(bus, agent, Game(id="g", roll=["knit"], models="live"))
    ask = Request(
        "knit", "debate/round-1.pitch.1", "command", "s", (Said("user", "Pitch."),)
    )
    assert seat.reserve(ask) == 1.5
    bus.post(
        "runs/knit/debate.round-1.pitch.1.1.yaml",
        Call(turn=ask.turn, model="m", sha256="p", reserved_usd=1.5, phase="debate"),
    )
    bus.post(
        "runs/knit/debate.round-1.pitch.1.1.answer.yaml", Answer(text="x", usd=1.2)
    )
    with pytest.raises(accounts.CapReached) as error:
        seat.reserve(ask)
    assert error.value.what == (
        "the cap 'debate' of $2.00 leaves $0.8000; the call may cost $1.5000: raise `debate:` under `caps:` in bus/game.yaml to go on"
    )


def test_a_program_that_is_not_there_is_told_to_the_person(tmp_path: Path) -> None:
    agent = Agent(id="knit", name="Knit", command={"argv": ["/no/such/program"]})
    seat = seats.choose(
        room(tmp_path), agent, Game(id="g", roll=["knit"], models="live")
    )
    with pytest.raises(ModelError) as error:
        seat.model.complete(Request("knit", "t", "command", "", (Said("user", "x"),)))
    assert (
        str(error.value)
        == "not_found: there is no program program here: install it, or correct `argv:`"
    )


def ends(tmp_path: Path, last: str, **more: Any) -> Agent:
    """An agent without a model whose program says `last` on stdout, then waits: only an event or its time ends it."""
    script = tmp_path / "bin" / "ends.py"
    script.parent.mkdir(parents=True)
    script.write_text(
        f"import signal, sys\nsys.stdin.read()\nprint({last!r}, flush=True)\nsignal.pause()\n"
    )
    usage = {"match": {"type": "result"}, "input": "in", "output": "out", "usd": "usd"}
    signs = [
        {"result": "budget", "match": {"subtype": "over"}},
        {"result": "auth", "match": {"subtype": "login"}},
    ]
    signs += [{"result": "error", "match": {"subtype": "down"}}]
    block: dict[str, Any] = {
        "argv": [sys.executable, str(script)],
        "sees": [str(script.parent), sys.prefix],
        "final": {"type": "result"},
    }
    block |= {"usage": usage, "signs": signs, "grace_s": 0.0, "idle_s": 1.0, "usd": "2"}
    return Agent(id="knit", name="Knit", command={**block, **more})


@needs_box
@pytest.mark.parametrize(
    ("last", "told", "spent", "uncertain"),
    [
        (
            '{"type": "result", "subtype": "over", "usd": 2.07, "in": 900, "out": 40}',
            "quota: … (budget: …)",
            2.07,
            False,
        ),
        (
            '{"type": "result", "subtype": "over"}',
            "quota: … (budget: …); it may have been billed",
            1.5,
            True,
        ),
        (
            '{"type": "other"}',
            "timeout: … (idle timeout: no event in 1 s); it may have been billed",
            1.5,
            True,
        ),
        (
            '{"type": "result", "subtype": "down", "usd": 0, "in": 0, "out": 0}',
            "unavailable: … (error: …)",
            0.0,
            False,
        ),
        ('{"type": "system", "subtype": "login"}', "auth: … (auth: …)", 0.0, False),
    ],
)
def test_a_run_that_failed_counts_at_what_it_took_or_at_its_reserve(
    tmp_path: Path, last: str, told: str, spent: float, uncertain: bool
) -> None:
    """What it said when it ended is believed; where it did not end or said nothing, nobody knows better than the reserve."""
    bus = room(tmp_path)
    seat = seats.choose(
        bus, ends(tmp_path, last), Game(id="g", roll=["knit"], models="live")
    )
    ask = Request(
        "knit", "debate/round-1.pitch.1", "command", "", (Said("user", "Pitch."),)
    )
    with pytest.raises(ModelError) as error:
        converse(bus, seat.model, ask, lambda _: 1.5, lambda text, last: "")
    said = (
        str(error.value)
        .replace(last, "…")
        .replace(f"the command {os.path.basename(sys.executable)} gave no answer", "…")
    )
    assert said == told
    [one] = accounts.entries(bus)
    assert (one.spent, one.uncertain, one.answered) == (spent, uncertain, True)
    assert (one.prompt_tokens, one.completion_tokens) == (
        (900, 40) if spent == 2.07 else (0, 0)
    )


@needs_box
def test_a_task_whose_program_is_silent_three_times_in_a_row_is_open_again_and_told(
    tmp_path: Path,
) -> None:
    """Each silent run counts at its reserve, so that a cap would stop it; before that, somebody else gets the task."""
    shop = lay(
        tmp_path / "game", ["T-001", "T-002"], only=["T-003"], owner={"T-003": "claude"}
    )
    block = ends(tmp_path, "I think.", idle_s=0.2).command
    claude = msgspec.structs.replace(
        shop.agents["claude"], command=block, model="", also=[]
    )
    step(shop, claude)
    daemon = Daemon(shop.bus, claude)
    table = msgspec.structs.replace(shop.game, models="live")
    for _ in range(3):
        assert shop.bus.there("claims/claude/T-003.lock")
        assert not shop.bus.troubles()
        daemon.works = shop.desks["claude"].look(
            "claude", ("claude", "chatgpt", "gemini"), ("poc",)
        )
        job = next_job("claude", daemon.works)
        assert isinstance(job, Write)
        with pytest.raises(ModelError) as error:
            daemon.carry_out(job, seats.choose(shop.bus, claude, table))
        daemon.unanswered(job, error.value, table)
    assert [(one.uncertain, one.spent) for one in accounts.entries(shop.bus)] == [
        (True, 2.0)
    ] * 3
    assert shop.bus.there("claims/open/T-003.lock")
    trouble = shop.bus.must("problems/model-claude.yaml", Trouble)
    lost = "(idle timeout: no event in 0.2 s); it may have been billed"
    program = os.path.basename(sys.executable)
    booked = "$6.0000 is booked for its calls without an answer"
    said = f"the command {program} gave no answer {lost}; {booked}"
    assert trouble.what == f"Claude ({program}) cannot answer, 3 calls in a row: {said}"


def test_a_program_that_only_speaks_is_told_to_stay_within_an_eighth(
    tmp_path: Path,
) -> None:
    """Five turns of a debate at that price leave room for the others; a run with hands has the whole sum."""
    block = {
        "argv": ["sh", "-c", 'echo "$0"; echo > done.txt', ["{usd}"]],
        "events": "text",
        "usd": 1.6,
        "sandbox": "none",
    }
    agent = Agent(id="knit", name="Knit", command=block)
    root = games.lay(tmp_path / "game")
    bus = Bus(str(root))
    lay_bus(bus)
    ask = Request("knit", "debate/round-1.pitch.1", "command", "", (Said("user", "x"),))
    assert cli_model.Program(bus, agent).complete(ask).text == "0.2\n"
    tree = worktree.begin_branch(
        str(root), "knit", "T-003", sh(root, "rev-parse", "main")
    ).path
    game = Game(id="g", roll=["knit"], models="live")
    seat = cli_model.hands(seats.choose(bus, agent, game), tree, 10**9)
    assert seat.reserve(ask) == seat.model.complete(ask).usd == 1.6


@pytest.mark.parametrize(
    "name", ["claude-code", "codex", "gemini-cli", "aider", "opencode"]
)
@pytest.mark.parametrize("speaks", ["its model", "the program"])
def test_every_shipped_definition_has_its_five_turns_in_a_debate_of_two_dollars(
    tmp_path: Path, name: str, speaks: str
) -> None:
    """Each turn at its worst, whether its model speaks, as shipped, or the program does, because you took `model:` out."""
    agent = config.agent(str(games.ROOT / "examples"), f"agents/{name}.yaml")
    agent = agent if speaks == "its model" else msgspec.structs.replace(agent, model="")
    cast_ = cast.settle_cast({name: agent}, {agent.key: "k"}, 0)
    assert list(cast_[name]) == (["model"] if speaks == "its model" else ["command"])
    bus, game = room(tmp_path), Game(id="g", roll=[name], models="live", cast=cast_)
    if speaks == "its model":
        played = cast.cast_agent(agent, game)
        reserve = accounts.reserve_call(bus, played, game)
    else:
        played, reserve = agent, cli_model.seat(bus, agent, game).reserve
    for n, kind in enumerate(("pitch", "objections", "answers", "final", "ballot"), 1):
        ask = Request(
            name,
            f"debate/round-{n}.{kind}.1",
            played.model,
            "s" * 4000,
            (Said("user", "w" * 16000),),
            4000,
        )
        worst = reserve(ask)
        call = Call(
            turn=ask.turn, model="m", sha256="p", reserved_usd=worst, phase="debate"
        )
        bus.post(f"runs/{name}/debate.round-{n}.{kind}.1.1.yaml", call)
    assert 0 < sum(one.spent for one in accounts.entries(bus)) < 1.5


def test_a_program_without_its_key_sits_out_as_a_model_does() -> None:
    """`key:` is the one that it needs; without that any of `keys:` will do, and a program that names none needs none."""
    one = Agent(
        id="knit",
        name="Knit",
        key="KNIT_KEY",
        command={"argv": ["knit"], "keys": ["KNIT_KEY", "OTHER_KEY"]},
    )
    two = Agent(
        id="purl",
        name="Purl",
        command={"argv": ["purl"], "keys": ["PURL_KEY", "OTHER_KEY"]},
    )
    three = Agent(id="sew", name="Sew", command={"argv": ["sew"]})
    four = Agent(
        id="darn",
        name="Darn",
        model="openai/gpt-6-sol",
        key="KNIT_KEY",
        command=one.command,
    )
    agents = {each.id: each for each in (one, two, three, four)}
    told = {"sits_out": "no key: set KNIT_KEY"}
    assert cast.settle_cast(agents, {}, 0) == {
        "knit": told,
        "purl": {"sits_out": "no key: set PURL_KEY or OTHER_KEY"},
        "sew": {"command": "sew"},
        "darn": told,
    }
    assert cast.settle_cast(agents, {"OTHER_KEY": "x"}, 0) == {
        "knit": told, "purl": {"command": "purl"}, "sew": {"command": "sew"}, "darn": told,
    }  # fmt: skip
    assert costs.offer_costs({"knit": one, "purl": two}, {}, "debate") == [
        "no key found",
        "sitting out: Knit (set KNIT_KEY), Purl (set PURL_KEY)",
    ]


def test_the_doctor_tries_a_program_in_a_home_apart_and_enters_it_in_the_books(
    tmp_path: Path,
) -> None:
    """A run of the agent's daemon goes on meanwhile; what says no word of its price counts at its reserve."""
    bus = Bus(str(games.lay(tmp_path / "game")))
    lay_bus(bus)
    block = {
        "argv": ["sh", "-c", 'cat > /dev/null; echo "$HOME"'],
        "events": "text",
        "sandbox": "none",
        "keys": ["KNIT_KEY"],
    }
    agent = Agent(id="knit", name="Knit", command=block)
    [good] = trial.trial_lines(bus, agent, {"KNIT_KEY": "x"})
    assert re.fullmatch(
        r"ok  knit: sh answers in \d+\.\d s, this call \$0\.250000", good
    )
    [said] = Path(bus.here("runs/knit")).glob("doctor.*.answer.yaml")
    assert ".catherd/home/knit.doctor" in said.read_text()
    assert [(one.phase, one.spent) for one in accounts.entries(bus)] == [
        ("doctor", 0.25)
    ]

    assert list(trial.trial_lines(bus, agent, {})) == [
        "--  knit: no key: set KNIT_KEY",
        "    fix: export KNIT_KEY=…",
    ]
    poor = msgspec.structs.replace(agent, limits={"usd": 0.4})
    told, fix = next(trial.trial_lines(bus, poor, {"KNIT_KEY": "x"})).split("\n")
    assert (
        told
        == "--  knit: sh: the cap 'agent' of $0.40 leaves $0.1500; the call may cost $0.2500"
    )
    assert fix == "    fix: raise `usd:` under `limits:` in agents/knit.yaml"
    assert len(accounts.entries(bus)) == 1

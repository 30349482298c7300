"""A command agent in a game: any CLI builds a task of the poc end to end, and speaks where its agent has no model."""

import sys
import textwrap
from pathlib import Path
from typing import Any

import msgspec
import pytest

from catherd import commanded, hands, live, models, sandbox
from catherd.bus import Bus
from catherd.config import Agent
from catherd.jobs import next_job
from catherd.messages import Answer, Call, Game
from catherd.model import ModelError, Request, Said
from gitrooms import sh
from test_packs import tree as build
from workshop import Workshop, lay

SRC = Path(__file__).parent.parent / "src"
needs_box = pytest.mark.skipif(sandbox.probe().name != "bwrap", reason=f"no bubblewrap box: {sandbox.probe().why_not}")

# Writes what the rehearsal would answer to the very prompt; in the way that real ones do: it commits, litters and chats.
FAKE = """
import json, os, subprocess, sys
sys.path.insert(0, {src!r})
from catherd.answers import parse
from catherd.model import Request, Said
from catherd.rehearsal import Rehearsal
prompt = sys.stdin.read()
open(os.path.join(os.environ["HOME"], "saw"), "a").write(json.dumps([sorted(os.listdir({bus!r})), sorted(os.environ)]) + "\\n")
text = Rehearsal().complete(Request("", "", "", prompt, (Said("user", prompt),))).text
print("thinking aloud", flush=True)
for file in parse(text).files:
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
    script = where / "fake.py"
    script.write_text(textwrap.dedent(FAKE).format(src=str(SRC), bus=bus, more=more))
    usage = {"match": {"type": "result"}, "input": "usage.in", "output": "usage.out", "usd": "usd"}
    text = {"match": {"type": "result"}, "get": "text"}
    return {"argv": [sys.executable, str(script)], "final": {"type": "result"}, "text": text, "usage": usage}


def agent_of(shop: Workshop, where: Path, more: str = "") -> Agent:
    """Claude with a program for hands and no model."""
    block = command(where, shop.bus.path, more)
    return msgspec.structs.replace(shop.agents["claude"], command=block, model="", key="FAKE_KEY", also=[])


def step(shop: Workshop, agent: Agent) -> None:
    """One job of the command agent in a live game."""
    seen = shop.desks[agent.id].look(agent.id, tuple(shop.game.roll), ("poc",))
    job = next_job(agent.id, seen)
    if job is not None:
        hands.work(models.choose(shop.bus, agent, msgspec.structs.replace(shop.game, models="live")), job, seen)


@needs_box
def test_a_program_builds_a_task_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", "the-key-of-the-program")
    monkeypatch.setenv("OPENAI_API_KEY", "the-key-of-another")
    shop = lay(tmp_path / "game", ["T-001", "T-002"], only=["T-003"], owner={"T-003": "claude"})
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
    ran = [one for one in live.entries(shop.bus) if one.agent == "claude" and one.phase == "poc"]
    assert ran
    assert all((one.answered, one.usd, one.prompt_tokens) == (True, 0.05, 1000) for one in ran)
    events = "".join(p.read_text() for p in Path(shop.bus.here("events")).iterdir())
    assert '"kind":"ran"' in events.replace(" ", "")
    saw = (Path(shop.bus.root) / ".catherd" / "home" / "claude" / "saw").read_text().splitlines()
    for line in saw:
        there, names = msgspec.json.decode(line)
        assert there == []
        assert "FAKE_KEY" in names
        assert "OPENAI_API_KEY" not in names
    build("lending-shelf", ["T-001", "T-002", "T-003"], tmp_path / "want")
    for path in (tmp_path / "want").rglob("*"):
        if path.is_file() and path.name != "app.yaml":
            mine = sh(Path(shop.bus.root), "show", f"main:{path.relative_to(tmp_path / 'want')}")
            assert mine.strip() == path.read_text().strip(), path


LEAKS = """
if "take it out" not in prompt:
    open("app/shelf/routes.py", "a").write("TOKEN = '" + "AKIA" + "ABCDEFGHIJKLMNOP" + "'\\n")
"""


@needs_box
def test_a_key_in_a_file_goes_back_to_the_author_and_never_into_a_commit(tmp_path: Path) -> None:
    shop = lay(tmp_path / "game", ["T-001", "T-002"], only=["T-003"], owner={"T-003": "claude"})
    agent = agent_of(shop, tmp_path, LEAKS)
    for _ in range(3):
        step(shop, agent)
        if shop.bus.names("prs"):
            break
    complaint = shop.said("claude", "poc.T-003.write.1")[1]
    line = (Path(shop.bus.root) / "worktrees" / "claude" / "app" / "shelf" / "routes.py").read_text().count("\n") + 1
    assert complaint.startswith(
        f"Findings:\napp/shelf/routes.py:{line}: AWS key: take it out; nothing that is secret may be committed\n"
    )
    assert "AKIA" not in sh(Path(shop.bus.root), "log", "-p", "--all", "--format=", "--", "app/shelf/routes.py")


def room(tmp_path: Path) -> Bus:
    (tmp_path / "bus" / ".tmp").mkdir(parents=True)
    return Bus(str(tmp_path))


def test_a_program_speaks_for_an_agent_without_a_model(tmp_path: Path) -> None:
    bus = room(tmp_path)
    script = 'import json,sys; sys.stdin.read(); print(json.dumps({"type": "result", "text": "I would rather knit."}))'
    block = {"argv": [sys.executable, "-c", script], "final": {"type": "result"}, "text": {"get": "text"}}
    agent = Agent(id="knit", name="Knit", command=block)
    seat = models.choose(bus, agent, Game(id="g", roll=["knit"], models="live"))
    ask = Request("knit", "debate/round-1.pitch.1", "command", "s", (Said("user", "Pitch."),))
    assert seat.reserve(ask) == commanded.RUN_USD
    reply = seat.model.complete(ask)
    assert (reply.text, reply.usd) == ("I would rather knit.", commanded.RUN_USD)


def test_what_a_program_may_cost_counts_before_it_runs(tmp_path: Path) -> None:
    bus = room(tmp_path)
    agent = Agent(id="knit", name="Knit", command={"argv": ["true"], "usd": "1.50"})
    seat = models.choose(bus, agent, Game(id="g", roll=["knit"], models="live"))
    ask = Request("knit", "debate/round-1.pitch.1", "command", "s", (Said("user", "Pitch."),))
    assert seat.reserve(ask) == 1.5
    bus.post(
        "runs/knit/debate.round-1.pitch.1.1.yaml",
        Call(turn=ask.turn, model="m", sha256="p", reserved_usd=1.5, phase="debate"),
    )
    bus.post("runs/knit/debate.round-1.pitch.1.1.answer.yaml", Answer(text="x", usd=1.2))
    with pytest.raises(live.CapReached) as error:
        seat.reserve(ask)
    assert error.value.what == (
        "the cap 'debate' of $2.00 leaves $0.8000; the call may cost $1.5000: raise `debate:` under `caps:` in bus/game.yaml to go on"
    )


def test_a_program_that_is_not_there_is_told_to_the_person(tmp_path: Path) -> None:
    agent = Agent(id="knit", name="Knit", command={"argv": ["/no/such/program"]})
    seat = models.choose(room(tmp_path), agent, Game(id="g", roll=["knit"], models="live"))
    with pytest.raises(ModelError) as error:
        seat.model.complete(Request("knit", "t", "command", "", (Said("user", "x"),)))
    assert str(error.value) == "not_found: there is no program program here: install it, or correct `argv:`"

"""Command agents in a game: scripts as programs, and one step of their work."""

import sys
import textwrap
from pathlib import Path
from typing import Any

import msgspec
import pytest

from catherd.box import sandbox
from catherd.bus.config import Agent
from catherd.core.jobs import next_job
from catherd.herd import dispatch, seats
from support.build_herd import Workshop

SRC = Path(__file__).parents[2] / "src"


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

"""A whole game, debate → plan → poc, through real LiteLLM: four agents of three vendors, streaming and not.

The vendors are a loopback server that answers by the rehearsal's content and bills by its own count. The debate is always
played; `make live-proof` (CATHERD_SWEEP=1) goes on to a proved poc, which takes minutes.
"""

import os
from pathlib import Path

import pytest

from catherd.bus.store import Bus
from catherd.core import ledger
from catherd.models import accounts
from support import games
from support.vendors import Vendors

pytestmark = pytest.mark.vendors

SWEEP = os.environ.get("CATHERD_SWEEP") == "1"


def tune(game: Path, name: str, **lines: str) -> None:
    """Replace lines of an agent's YAML, or add them."""
    file = game / "agents" / f"{name}.yaml"
    kept = [
        line
        for line in file.read_text().splitlines()
        if line.partition(":")[0] not in lines
    ]
    file.write_text(
        "\n".join([*kept, *(f"{key}: {value}" for key, value in lines.items())]) + "\n"
    )


def books(game: Path, server: Vendors) -> list[ledger.Entry]:
    """The journal's entries, which agree with the vendors' bill to the token and with the table of `make costs`."""
    entries = accounts.entries(Bus(str(game)))
    table = ledger.costs(entries)
    assert (table[0].prompt_tokens, table[0].completion_tokens) == server.tokens
    assert len(entries) == len(server.billed)
    printed = games.catherd(game, "costs").stdout
    assert f"{table[0].calls:>6}{table[0].usd:>11.4f}" in printed
    return entries


def through(game: Path, server: Vendors, goal: str, seconds: float) -> str:
    """`make GOAL LIVE=1` with these vendors; what it printed."""
    done = games.make(game, goal, seconds=seconds, LIVE="1", **server.environ())
    games.make(game, "down")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(1800 if SWEEP else 240)
@pytest.mark.parametrize("how", ["plain and streamed", "responses"])
def test_a_game_is_played_live_from_the_debate_to_a_proved_poc(
    game: Path, how: str
) -> None:
    if how == "responses":
        tune(game, "chatgpt", model="openai/responses/gpt-6-sol")
    else:
        tune(game, "claude", options='{stream: "true"}')
        tune(game, "wildcard", options='{stream: "true"}')
    tune(
        game,
        "gemini",
        options='{stream: "true"}' if how == "responses" else '{stream: "false"}',
    )
    with Vendors() as server:
        said = through(game, server, "debate", 200)
        first, second = said.splitlines()[:2]
        assert first.startswith("keys found for ChatGPT (openai/")
        assert (
            second == "LIVE=1 costs at most $2.00 for debate (caps: in bus/game.yaml)"
        )
        assert "for want of a key for " in said
        entries = books(game, server)
        assert {seen.vendor for seen in server.seen} == {
            "anthropic",
            "openai",
            "gemini",
        }
        assert {entry.agent for entry in entries} == {
            "claude",
            "chatgpt",
            "gemini",
            "wildcard",
        }
        paths = {seen.path for seen in server.seen if seen.vendor == "openai"}
        assert paths == {
            "/v1/responses" if how == "responses" else "/v1/chat/completions"
        }
        assert {seen.stream for seen in server.seen} == {True, False}
        if SWEEP:
            through(game, server, "poc", 1500)
            entries = books(game, server)
            assert {entry.phase for entry in entries} == {"debate", "plan", "poc"}
            assert (game / "bus" / "gates" / "poc.yaml").is_file()
    assert ledger.uncertain(entries) == []

"""What a game costs, in words.

Before the first call: who has a key, and how much the game costs at most. At any time
after: `make costs`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from catherd.bus.config import Agent
from catherd.core import ledger
from catherd.core.ledger import Entry, Row
from catherd.core.model import ModelError
from catherd.models import accounts, llm, prices

_OF = {"agent": "by agent", "phase": "by phase", "kind": "by kind of turn"}


class _Offer(NamedTuple):
    """Whether an agent could play live here, and what is told of it."""

    plays: bool
    told: str


def offer_costs(
    agents: Mapping[str, Agent],
    environ: Mapping[str, str],
    goal: str,
    caps: Mapping[str, float] | None = None,
    through: Sequence[str] = (),
) -> list[str]:
    """Which agents could play live here, on which model; which not, and what they lack.

    Then what LIVE=1 costs at most. `through` are the phases that would be played; just
    that of the goal if empty.
    """
    offers = [_offer(agent, environ) for agent in agents.values()]
    ready = [offer.told for offer in offers if offer.plays]
    without = [offer.told for offer in offers if not offer.plays]
    lines = []

    if ready:
        lines.append(f"keys found for {', '.join(ready)}")
    else:
        lines.append("no key found")
    if without:
        lines.append(f"sitting out: {', '.join(without)}")

    if ready:
        phases = through or [goal]
        limits = {**accounts.CAPS, **(caps or {})}
        most = ledger.most(limits, phases)
        lines.append(
            f"LIVE=1 costs at most ${most:.2f} for {', '.join(phases)} (caps: in bus/game.yaml)"
        )
    return lines


def _offer(agent: Agent, environ: Mapping[str, str]) -> _Offer:
    name = agent.name
    chosen = accounts.live_model(agent, environ)
    own = chosen == agent.model
    if not chosen:
        return _without_model(agent, environ)

    try:
        llm.live_price(chosen, agent.options if own else {})
    except ModelError as error:
        # Without LiteLLM there is no table of prices yet: make installs it.
        if prices.installed():
            return _Offer(False, f"{name} ({error.what})")
        return _Offer(True, f"{name} ({chosen})")

    instead = ""
    if not own:
        instead = f", for want of a key for {agent.model}"
    return _Offer(True, f"{name} ({chosen}{instead})")


def _without_model(agent: Agent, environ: Mapping[str, str]) -> _Offer:
    """What an agent offers that has no key for any model: its program, or nothing."""
    if accounts.program_of(agent, environ):
        told = f"{agent.name} (a command; what it takes counts at its own word)"
        return _Offer(True, told)
    keys = accounts.keys_named(agent)
    return _Offer(False, f"{agent.name} (set {keys[0] if keys else 'a model'})")


def report(
    entries: Iterable[Entry],
    caps: Mapping[str, float],
    prices: Mapping[str, tuple[float, float]] | None = None,
) -> list[str]:
    """The lines of `make costs`.

    The dollars of every group add up to those of the game. `caps` and `prices` are as
    in `ledger`.
    """
    entries = list(entries)
    rows = ledger.costs(entries, prices)
    if not entries:
        return ["no model was called yet"]

    lines = [_head(), _line("the game", rows[0])]
    for of, title in _OF.items():
        lines += ["", title]
        for row in rows:
            if row.of == of:
                name = row.name or "(other)"
                lines.append(_line(f"  {name}", row))

    lines.append("")
    lines += _caps(rows, caps)
    lines += _uncertain(entries)
    lines += _loops(entries)
    return lines


def _head() -> str:
    return f"{'':<24}{'calls':>6}{'dollars':>11}{'tokens in':>12}{'cached':>8}{'out':>10}   alone"


def _line(name: str, row: Row) -> str:
    alone = "" if row.alone is None else f"   ${row.alone:.4f}"
    counts = f"{row.calls:>6}{row.usd:>11.4f}{row.prompt_tokens:>12,}{row.cached_share:>8.0%}{row.completion_tokens:>10,}"
    return f"{name:<24}{counts}{alone}"


def _caps(rows: Sequence[Row], caps: Mapping[str, float]) -> list[str]:
    spent = {row.name: row.usd for row in rows if row.of == "phase"}
    spent["game"] = rows[0].usd
    return [
        f"cap {cap}: ${spent[cap]:.2f} of ${limit:.2f}"
        for cap, limit in caps.items()
        if cap in spent
    ]


def _uncertain(entries: list[Entry]) -> list[str]:
    found = ledger.uncertain(entries)
    if not found:
        return []
    total = sum(e.spent for e in found)
    listed = [f"  {e.agent} {e.turn} ${e.spent:.4f}" for e in found]
    return ["", f"may have been billed, counted in full (${total:.4f}):", *listed]


def _loops(entries: list[Entry]) -> list[str]:
    return [
        f"in circles? {agent} gave the same answer to the same prompt {n} times, last in {turn}"
        for agent, turn, n in ledger.looping(entries)
    ]

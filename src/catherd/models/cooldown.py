"""A model gave no answer: how long its agent rests, and what you are told: why, until when, and the one thing to change.

The rest is the agent's, not the turn's: an address or a limit fails every turn alike. It stands in
`problems/model-<agent>.yaml`, so that it outlives the daemon, and is over as soon as that file is gone: typing a goal removes it.
"""

import datetime as dt
import os
import time

import msgspec

from catherd.bus import yaml_read
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.ledger import MAY_BE_BILLED
from catherd.core.messages import Game, Trouble
from catherd.core.model import ModelError
from catherd.models import cast

SOON = {
    "timeout": 2.0,
    "unavailable": 5.0,
    "rate_limited": 30.0,
}  # seconds after the first failure
IN_A_ROW = 3  # failures after which you are told; where they may have been billed the turn is given up, for calls cost
LONG = 300.0  # a rest that is longer is told, and others take over what the agent had claimed
MOST, DAY = 3600.0, 86400.0


class Setback(msgspec.Struct):
    """Where an agent stands: failures in a row, until when it rests (Unix time; 0: it does not), and whether that was told."""

    failed: int = 0
    until: float = 0.0
    told: bool = False


def rest(error: ModelError, failed: int) -> float:
    """Seconds for which the agent makes no call after `failed` failures in a row; 0 where only this one turn is hopeless.

    What the vendor asks for, at most a day; else a pause that grows, to an hour. Three calls that may have been billed cost
    one turn; if the next turn fails as well it is not the turn.
    """
    if error.kind not in SOON:
        return 0.0
    if error.retry_after_s is not None:
        return min(error.retry_after_s, DAY)
    if hopeless(error, failed):
        return MOST if failed > IN_A_ROW else 0.0
    return float(min(MOST, SOON[error.kind] * 4 ** (failed - 1)))


def hopeless(error: ModelError, failed: int) -> bool:
    """Whether the turn is to be given up."""
    return error.kind not in SOON or (
        failed >= IN_A_ROW and MAY_BE_BILLED in error.what
    )


def rest_of(bus: Bus, name: str) -> Trouble | None:
    """What was told of an agent that rests, while it does."""
    found = _read(bus, name)
    return found if found is not None and _unix(found.until) > time.time() else None


def _read(bus: Bus, name: str) -> Trouble | None:
    try:
        return bus.get(f"problems/model-{name}.yaml", Trouble)
    except CatherdError:
        return None


def again(bus: Bus, name: str) -> Setback:
    """Where a daemon that was started anew stands: it goes on resting, and one more failure is one too many."""
    found = _read(bus, name)
    return (
        Setback(IN_A_ROW - 1, _unix(found.until), told=True)
        if found is not None
        else Setback()
    )


def met(bus: Bus, agent: Agent, game: Game, error: ModelError, stands: Setback) -> bool:
    """Take note of one more failure in `stands`; tell it where it is yours to act, goes on, or lasts. Whether the turn is hopeless."""
    stands.failed += 1
    seconds = rest(error, stands.failed)
    stands.until = time.time() + seconds if seconds else 0.0
    till = time_text(stands.until)
    lost = hopeless(error, stands.failed)
    if error.kind == "silent" or not (
        lost or seconds > LONG or stands.failed >= IN_A_ROW
    ):
        return lost
    from catherd.git import secrets

    played = cast.cast_agent(agent, game)
    who = f"{agent.name} ({played.model or os.path.basename(str((agent.command.get('argv') or ['its command'])[0]))})"
    why = secrets.redact(error.what, environ=os.environ)[0]
    if error.kind in SOON and error.retry_after_s is not None:
        where, what, fix = (
            f"agents/{agent.id}.yaml",
            f"{who} waits until {clock(till)}: {why}",
            "",
        )
    else:
        where, fix = change(bus, played, error)
        times = f", {stands.failed} calls in a row" if stands.failed >= IN_A_ROW else ""
        tries = f"; it tries again at {clock(till)}" if till else ""
        what = f"{who} cannot answer{times}: {why}{_booked(bus, agent)}{tries}"
    bus.trouble(f"model-{agent.id}", where, what, fix, till or error.kind, until=till)
    stands.told = True
    return lost


def end_rest(bus: Bus, name: str, stands: Setback) -> None:
    """It was answered."""
    if stands.failed:
        stands.failed, stands.until, stands.told = 0, 0.0, False
        bus.solved(f"model-{name}")


def clock(at: str) -> str:
    """A time of day for people, with its date where that is not today's.

    >>> clock("2026-11-22T13:40:05Z")
    '2026-11-22 13:40 UTC'
    """
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return f"{at[11:16]} UTC" if at.startswith(today) else f"{at[:10]} {at[11:16]} UTC"


def time_text(at: float) -> str:
    """Unix time as the bus writes it; "" for 0.

    >>> stamp(1795354805)
    '2026-11-22T13:40:05Z'
    """
    return (
        dt.datetime.fromtimestamp(at, dt.UTC)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z")
        if at
        else ""
    )


def _unix(at: str) -> float:
    try:
        return dt.datetime.fromisoformat(at).timestamp() if at else 0.0
    except ValueError:
        return 0.0


def _booked(bus: Bus, agent: Agent) -> str:
    """What stands in the books for calls of this agent that brought nothing."""
    from catherd.core import ledger
    from catherd.models import accounts

    usd = sum(
        one.spent
        for one in ledger.uncertain(accounts.entries(bus))
        if one.agent == agent.id
    )
    return f"; ${usd:.4f} is booked for its calls without an answer" if usd else ""


def change(bus: Bus, agent: Agent, error: ModelError) -> tuple[str, str]:
    """(where, fix): the one thing to change. `agent` is it as it plays in this game."""
    from catherd.models import accounts

    file = f"agents/{agent.id}.yaml"
    then = f"then make {bus.goal() or 'the goal again'}"
    if not agent.model:
        return _line(
            bus, file, "command"
        ), f"see to what it says, or correct `command:` in {file}, {then}"
    key = next(
        (n for n in accounts.keys_named(agent) if os.environ.get(n)),
        next(iter(accounts.keys_named(agent)), "its key"),
    )
    if error.what.startswith("options:"):
        return _line(bus, file, "options"), f"correct `options:` in {file}, {then}"
    if error.kind == "auth":
        return _line(
            bus, file, "key"
        ), f"export {key}= with a key that is valid, {then}"
    if error.kind in {"quota", "rate_limited"}:
        return (
            _line(bus, file, "model"),
            f"raise what the account of {key} may spend, or name another `model:` in {file}, {then}",
        )
    if error.kind == "unpriced":
        return _line(
            bus, file, "options"
        ), f"write `options: {{price: 2.50/10.00}}` into {file}, {then}"
    if error.kind in {"too_long", "refused"}:
        return _line(
            bus, file, "model"
        ), f"name another `model:` in {file}, {then}; or write its answer yourself"
    if error.kind == "timeout":
        return _line(
            bus, file, "model"
        ), f"name a faster `model:` in {file}, or `options: {{effort: low}}`, {then}"
    if agent.options.get("api_base"):
        both = "`api_base:` or `model:`" if error.kind == "not_found" else "`api_base:`"
        return _line(
            bus, file, "options", "api_base"
        ), f"correct {both} in {file}, {then}"
    vendor = agent.model.partition("/")[0].upper()
    base = next(
        (n for n in (f"{vendor}_BASE_URL", f"{vendor}_API_BASE") if os.environ.get(n)),
        "",
    )
    if base:
        return _line(bus, file, "model"), f"correct or unset {base}, {then}"
    if error.kind == "not_found":
        return _line(bus, file, "model"), f"correct `model:` in {file}, {then}"
    return _line(
        bus, file, "model"
    ), f"look whether the network and the vendor are up, {then}"


def _line(bus: Bus, file: str, *keys: str) -> str:
    try:
        return yaml_read.read_yaml(os.path.join(bus.root, file), file).where(*keys)
    except (CatherdError, OSError):
        return file

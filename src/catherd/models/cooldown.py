"""A model gave no answer: how long its agent rests, and what you are told.

You are told why, until when, and the one thing to change. The rest is the agent's, not
the turn's: a wrong address or a limit fails every turn alike. It stands in
`problems/model-<agent>.yaml`, so that it outlives the daemon, and it is over as soon as
that file is gone. Typing a goal removes the file.
"""

import datetime as dt
import os
import time
from typing import NamedTuple

import msgspec

from catherd.bus import yaml_read
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.ledger import MAY_BE_BILLED
from catherd.core.messages import Game, Trouble
from catherd.core.model import ModelError
from catherd.models import cast

# Kinds of error after which the next try may succeed → seconds to rest after the first.
SOON = {"timeout": 2.0, "unavailable": 5.0, "rate_limited": 30.0}
# Failures after which you are told. Where the calls may have been billed, the turn is
# given up then, for calls cost.
IN_A_ROW = 3
# A longer rest is told, and others take over what the agent had claimed.
LONG = 300.0
MOST, DAY = 3600.0, 86400.0


class Setback(msgspec.Struct):
    """Where an agent stands.

    It has `failed` so often in a row, and it rests `until` (Unix time; 0: it does not
    rest). `told` says whether you were told.
    """

    failed: int = 0
    until: float = 0.0
    told: bool = False


def rest(error: ModelError, failed: int) -> float:
    """Seconds for which the agent makes no call after `failed` failures in a row.

    0 where only this one turn is hopeless. Else it is what the vendor asks for, at most
    a day, or a pause that grows, to an hour. Three calls that may have been billed cost
    one turn. If the next turn fails as well, the turn is not the cause.
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
    if error.kind not in SOON:
        return True
    return failed >= IN_A_ROW and MAY_BE_BILLED in error.what


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
    """Where a daemon that was started anew stands.

    It goes on resting, and one more failure is one too many.
    """
    found = _read(bus, name)
    if found is None:
        return Setback()
    return Setback(IN_A_ROW - 1, _unix(found.until), told=True)


def met(bus: Bus, agent: Agent, game: Game, error: ModelError, stands: Setback) -> bool:
    """Take note of one more failure in `stands`; whether the turn is hopeless.

    You are told of a failure that is yours to mend, that goes on, or that lasts.
    """
    stands.failed += 1
    seconds = rest(error, stands.failed)
    stands.until = time.time() + seconds if seconds else 0.0

    lost = hopeless(error, stands.failed)
    goes_on = stands.failed >= IN_A_ROW
    lasts = seconds > LONG
    if error.kind != "silent" and (lost or goes_on or lasts):
        _tell(bus, agent, game, error, stands)
        stands.told = True
    return lost


def _tell(
    bus: Bus, agent: Agent, game: Game, error: ModelError, stands: Setback
) -> None:
    from catherd.git import secrets

    played = cast.cast_agent(agent, game)
    who = f"{agent.name} ({_voice(played)})"
    why = secrets.redact(error.what, environ=os.environ)[0]
    till = time_text(stands.until)

    if error.kind in SOON and error.retry_after_s is not None:
        where, fix = f"agents/{agent.id}.yaml", ""
        what = f"{who} waits until {clock(till)}: {why}"
    else:
        where, fix = change(bus, played, error)
        times = ""
        if stands.failed >= IN_A_ROW:
            times = f", {stands.failed} calls in a row"
        tries = ""
        if till:
            tries = f"; it tries again at {clock(till)}"
        what = f"{who} cannot answer{times}: {why}{_booked(bus, agent)}{tries}"

    bus.trouble(f"model-{agent.id}", where, what, fix, till or error.kind, until=till)


def _voice(played: Agent) -> str:
    """The model that speaks for an agent, or the name of its program."""
    argv = played.command.get("argv") or ["its command"]
    return played.model or os.path.basename(str(argv[0]))


def end_rest(bus: Bus, name: str, stands: Setback) -> None:
    """Take note that a call was answered."""
    if stands.failed:
        stands.failed, stands.until, stands.told = 0, 0.0, False
        bus.solved(f"model-{name}")


def clock(at: str) -> str:
    """A time of day for people, with its date where that is not today's.

    >>> clock("2026-11-22T13:40:05Z")
    '2026-11-22 13:40 UTC'
    """
    today = dt.datetime.now(dt.UTC).date().isoformat()
    time_of_day = f"{at[11:16]} UTC"
    return time_of_day if at.startswith(today) else f"{at[:10]} {time_of_day}"


def time_text(at: float) -> str:
    """Unix time as the bus writes it; "" for 0.

    >>> time_text(1795354805)
    '2026-11-22T13:40:05Z'
    """
    if not at:
        return ""
    moment = dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds")
    return moment.replace("+00:00", "Z")


def _unix(at: str) -> float:
    try:
        return dt.datetime.fromisoformat(at).timestamp() if at else 0.0
    except ValueError:
        return 0.0


def _booked(bus: Bus, agent: Agent) -> str:
    """What stands in the books for calls of this agent that brought nothing."""
    from catherd.core import ledger
    from catherd.models import accounts

    unclear = ledger.uncertain(accounts.entries(bus))
    usd = sum(one.spent for one in unclear if one.agent == agent.id)
    return f"; ${usd:.4f} is booked for its calls without an answer" if usd else ""


class _Change(NamedTuple):
    """The one thing to change: its key in the agent's YAML, and a sentence.

    In `fix`, {file}, {key} (a variable with a key) and {then} are filled in.
    """

    at: tuple[str, ...]
    fix: str


_COMMAND = _Change(
    ("command",), "see to what it says, or correct `command:` in {file}, {then}"
)
_OPTIONS = _Change(("options",), "correct `options:` in {file}, {then}")
_MONEY = _Change(
    ("model",),
    "raise what the account of {key} may spend, or name another `model:` in {file}, {then}",
)
_ANOTHER_MODEL = _Change(
    ("model",),
    "name another `model:` in {file}, {then}; or write its answer yourself",
)
_BY_KIND = {
    "auth": _Change(("key",), "export {key}= with a key that is valid, {then}"),
    "quota": _MONEY,
    "rate_limited": _MONEY,
    "unpriced": _Change(
        ("options",), "write `options: {{price: 2.50/10.00}}` into {file}, {then}"
    ),
    "too_long": _ANOTHER_MODEL,
    "refused": _ANOTHER_MODEL,
    "timeout": _Change(
        ("model",),
        "name a faster `model:` in {file}, or `options: {{effort: low}}`, {then}",
    ),
}


def change(bus: Bus, agent: Agent, error: ModelError) -> tuple[str, str]:
    """(where, fix): the one thing to change. `agent` is it as it plays in this game."""
    file = f"agents/{agent.id}.yaml"
    found = _to_change(agent, error)
    fix = found.fix.format(
        file=file,
        key=_key_in_use(agent),
        then=f"then make {bus.goal() or 'the goal again'}",
    )
    return _line(bus, file, *found.at), fix


def _to_change(agent: Agent, error: ModelError) -> _Change:
    if not agent.model:
        return _COMMAND
    if error.what.startswith("options:"):
        return _OPTIONS
    return _BY_KIND.get(error.kind) or _address(
        agent, unknown=error.kind == "not_found"
    )


def _address(agent: Agent, *, unknown: bool) -> _Change:
    """What may be wrong where nobody answers, or where the model is `unknown` there."""
    if agent.options.get("api_base"):
        both = "`api_base:` or `model:`" if unknown else "`api_base:`"
        return _Change(("options", "api_base"), f"correct {both} in {{file}}, {{then}}")
    vendor = agent.model.partition("/")[0].upper()
    for base in (f"{vendor}_BASE_URL", f"{vendor}_API_BASE"):
        if os.environ.get(base):
            return _Change(("model",), f"correct or unset {base}, {{then}}")

    if unknown:
        return _Change(("model",), "correct `model:` in {file}, {then}")
    return _Change(("model",), "look whether the network and the vendor are up, {then}")


def _key_in_use(agent: Agent) -> str:
    """The variable that the agent's key is in, or the first that it could be in."""
    from catherd.models import accounts

    names = accounts.keys_named(agent)
    found = [name for name in names if os.environ.get(name)]
    return next(iter(found or names), "its key")


def _line(bus: Bus, file: str, *keys: str) -> str:
    try:
        return yaml_read.read_yaml(os.path.join(bus.root, file), file).where(*keys)
    except (CatherdError, OSError):
        return file

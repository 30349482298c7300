"""What is wrong with the files in `debate/veto/`, told as soon as somebody looks.

A veto that cannot be read would be missed at the vote. The ids are known once the round
of pitches is closed; until then a veto for any id may come true.
"""

import difflib
import os
from collections.abc import Mapping

from catherd.bus.config import Gate, Phase
from catherd.bus.store import OPEN, Bus, slug
from catherd.core.errors import CatherdError
from catherd.core.messages import Ask, Veto

FOLDER = "debate/veto"


def tell(bus: Bus, phases: Mapping[str, Phase]) -> None:
    """Report each veto that takes nothing off the ballot, once per content.

    A veto that was mended or removed is reported as solved.
    """
    wrong = _wrong(bus, phases)
    for name in bus.names("problems"):
        stem = name.removesuffix(".yaml")
        if stem.startswith(slug(FOLDER)) and stem not in map(slug, wrong):
            bus.solved(stem)
    for path, error in wrong.items():
        bus.broken(path, error)


def _wrong(bus: Bus, phases: Mapping[str, Phase]) -> dict[str, CatherdError]:
    """Path → what is wrong; empty after the vote, or in a phase without pitches."""
    gates: dict[str, Gate] = {}
    for phase in phases.values():
        for gate in phase.gates.values():
            gates[gate.kind] = gate

    names = bus.names(FOLDER)
    if not names or "pitch" not in gates or "ballot" not in gates:
        return {}
    if bus.closed(gates["ballot"].name):
        return {}
    known = _known(bus, gates["pitch"])
    shown = _shown(bus, gates["ballot"])
    found = {}
    for name in names:
        fault = _fault(bus, name, known, shown)
        if fault is not None:
            found[f"{FOLDER}/{name}"] = fault

    return found


def _known(bus: Bus, pitch: Gate) -> list[str] | None:
    """The ids of the proposals; None until the round of pitches is closed."""
    closed = bus.receipt(pitch.name)
    if closed is None:
        return None
    names = closed.data.get("names", {})
    return [name for name in names if not name.startswith("guest-")]


def _shown(bus: Bus, ballot: Gate) -> set[str]:
    """The proposals that the ballots list; empty until the ballots are opened."""
    ask = bus.get(f"{ballot.step}/{OPEN}", Ask)
    inputs = ask.inputs if ask else []
    return {one.by for one in inputs if one.kind == "proposal"}


def _fault(
    bus: Bus, name: str, known: list[str] | None, shown: set[str]
) -> CatherdError | None:
    path, (one, ending) = f"bus/{FOLDER}/{name}", os.path.splitext(name)
    if ending != ".yaml":
        return CatherdError(
            "a veto is <id>.yaml",
            where=path,
            fix=f"mv '{path}' 'bus/{FOLDER}/{one}.yaml'",
        )
    if known is not None and one not in known:
        near = difflib.get_close_matches(one, known, 1)
        fix = f"mv '{path}' bus/{FOLDER}/{near[0]}.yaml" if near else f"rm '{path}'"
        return CatherdError(
            f"'{one}' is no proposal; there are {', '.join(known)}", where=path, fix=fix
        )
    sample = f"echo 'reason: why it goes' > '{path}'"
    try:
        veto = bus.get(f"{FOLDER}/{name}", Veto)
    except CatherdError as error:
        error.fix = sample if error.what.startswith("expected `key") else error.fix
        return error
    if veto is not None and not veto.reason.strip():
        return CatherdError("a veto needs a reason", where=path, fix=sample)
    if one in shown:
        return CatherdError(
            "came after the ballots were opened; it is not counted",
            where=path,
            fix=f"rm '{path}'",
        )
    return None

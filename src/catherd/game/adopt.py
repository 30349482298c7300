"""A clone of a game: its bus fetched from origin where origin has one; else what is on main counts as done.

Which phases are done can be told from main alone: the plan from its trace, a milestone from its green evidence.
"""

import os

from catherd.bus import atomic, config, yaml_read, yaml_write
from catherd.bus.config import Phase
from catherd.bus.store import DECISION, Bus, now
from catherd.core.errors import CatherdError
from catherd.core.messages import FORMAT, Game, Lock, Receipt
from catherd.design import trace
from catherd.git import bus_ref, landing, objects, remote
from catherd.git.run import rev

ASK_S = 10.0  # seconds for asking origin whether it has a bus


def from_origin(bus: Bus, lines: list[str]) -> bool:
    """Restore the bus that was published to origin, with the agents' branches; False where there is none.

    Only where this repository has never had a bus. `game.yaml` comes last: a kill before it, and it is restored again.
    """
    root = bus.root
    if rev(root, bus_ref.REF) and not bus.there(".restoring"):
        return False
    if not remote.url(root):
        return False
    try:
        if bus_ref.REF not in remote.list_refs(root, "refs/catherd/*", seconds=ASK_S):
            return False
        atomic.publish(bus.path, ".restoring", f"catherd: {FORMAT}\n")
        remote.fetch_refs(root, ["refs/catherd/*:refs/catherd/*"])
        heads = [
            f"refs/heads/{name}/*:refs/heads/{name}/*" for name in config.agents(root)
        ]
        remote.fetch_refs(root, heads)
    except CatherdError as error:
        lines.append(f"origin could not be asked for the bus: {error.what}")
        return False
    written = _restore(bus)
    atomic.remove(bus.path, ".restoring")
    lines.append(f"restored the bus from {remote.url(root)}: {written} files")
    return True


def saved(root: str) -> str:
    """The id of the game in the last snapshot of the bus, "" where there is none or it was put away."""
    found = (
        objects.read_blob(root, bus_ref.REF, "bus/game.yaml")
        if rev(root, bus_ref.REF)
        else None
    )
    if found is None:
        return ""
    game = yaml_read.typed(
        yaml_read.loads(found.decode("utf-8", "replace"), "bus/game.yaml"), Game
    )
    return "" if rev(root, f"refs/catherd/games/{game.id}") else game.id


def from_snapshot(bus: Bus, lines: list[str]) -> bool:
    """`bus/` was deleted in the middle of a game: write back what the last gate saved; False where no game was on."""
    if not (game := saved(bus.root)):
        return False
    lines.append(
        f"bus/ was gone; {game} goes on from {bus_ref.REF}: {_restore(bus)} files"
    )
    return True


def _restore(bus: Bus) -> int:
    """How many files of the last snapshot were written; `game.yaml` last, and never a goal: that is what was typed."""
    top = {
        path.split("/")[1] for path in objects.list_tree(bus.root, bus_ref.REF, "bus")
    } - {"game.yaml", "goal"}
    return sum(
        len(bus_ref.restore_bus(bus.root, bus.path, path=name))
        for name in [*sorted(top), "game.yaml"]
    )


def adopt_decision(bus: Bus, game: Game) -> bool:
    """A decision is on main and the bus is new: the clone of a finished game. Its gates count as closed; nothing is debated."""
    from catherd.git import landing

    found = objects.read_blob(
        bus.root, landing.ref_of(game.branch) if game.branch else "HEAD", DECISION
    )
    if not found:
        return False
    data = yaml_read.loads(found.decode("utf-8", "replace"), DECISION).data
    if not isinstance(data, dict) or not data.get("winner"):
        return False
    phase = config.phases(bus.root)["debate"]
    if all(map(bus.closed, phase.gates)):
        return False
    for name in phase.gates:
        bus.post(
            f"gates/{name}.yaml",
            Receipt(
                gate=name,
                closed=now(),
                outcome="adopted",
                winner=str(data["winner"]),
                notes=[f"adopted from {DECISION} of game {data.get('game', '')}"],
                data={"decision": data} if name == "decision" else {},
            ),
        )
    later(bus, game)
    return True


def later(bus: Bus, game: Game) -> list[str]:
    """Close the gates of every later phase whose result is on main, in order; the names of those phases."""
    main = landing.tip(bus.root, game.branch)
    adopted = []
    for phase in config.phases(bus.root).values():
        if phase.after and (phase.after in adopted or phase.after == "debate"):
            found = _proof(bus.root, phase, main)
            if not found:
                break
            _tasks(bus, phase, main)
            for name in phase.gates:
                notes = [f"adopted from {found}"]
                bus.post(
                    f"gates/{name}.yaml",
                    Receipt(gate=name, closed=now(), outcome="adopted", notes=notes),
                )
            adopted.append(phase.name)
    return adopted


def _proof(root: str, phase: Phase, main: str) -> str:
    """The file on main that says that the phase is done; "" where it is not."""
    does = {gate.does for gate in phase.gates.values()}
    if "document" in does:
        there = objects.read_blob(root, main, trace.TRACE) and objects.list_tree(
            root, main, "docs/tasks"
        )
        return trace.TRACE if there else ""
    path = f"docs/milestones/{phase.name}/evidence.yaml"
    text = objects.read_blob(root, main, path) if "prove" in does else None
    if not text:
        return ""
    data = yaml_read.loads(text.decode("utf-8", "replace"), path).data
    return path if isinstance(data, dict) and data.get("verdict") == "green" else ""


def _tasks(bus: Bus, phase: Phase, main: str) -> None:
    """The tasks of an adopted milestone are done: later ones need them."""
    if "tasks" in phase.options:
        return
    from catherd.pulls.main_tasks import tasks_of

    for name, task in tasks_of(bus, phase, main).items():
        bus.post(f"tasks/{name}.yaml", task)
        os.makedirs(bus.here("claims/done"), exist_ok=True)
        lock = yaml_write.dumps(Lock(catherd=FORMAT, task=name, why="adopted"))
        atomic.publish(bus.path, f"claims/done/{name}.lock", lock)

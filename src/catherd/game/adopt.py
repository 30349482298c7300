"""A clone of a game goes on with it.

Its bus is fetched from origin where origin has one. Where there is none, what is on
main counts as done: main alone tells that the plan is done, by its trace, and that a
milestone is, by its green evidence.
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
    """Restore the bus that was published to origin, with the agents' branches.

    Gives False where there is none, or this repository has had a bus. A kill halfway is
    no matter: `game.yaml` comes last, and until then it is restored again. What is to
    be told goes to `lines`.
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
        folders = [f"refs/heads/{name}/*" for name in config.agents(root)]
        remote.fetch_refs(root, [f"{folder}:{folder}" for folder in folders])
    except CatherdError as error:
        lines.append(f"origin could not be asked for the bus: {error.what}")
        return False

    written = _restore(bus)
    atomic.remove(bus.path, ".restoring")
    lines.append(f"restored the bus from {remote.url(root)}: {written} files")
    return True


def saved(root: str) -> str:
    """The id of the game in the last snapshot of the bus.

    It is "" where there is no snapshot, or that game was put away.
    """
    if not rev(root, bus_ref.REF):
        return ""
    content = objects.read_blob(root, bus_ref.REF, "bus/game.yaml")
    if content is None:
        return ""
    document = yaml_read.loads(content.decode("utf-8", "replace"), "bus/game.yaml")
    game = yaml_read.typed(document, Game)
    return "" if rev(root, f"refs/catherd/games/{game.id}") else game.id


def from_snapshot(bus: Bus, lines: list[str]) -> bool:
    """`bus/` was deleted in the middle of a game: write back what the last gate saved.

    Gives False where no game was on.
    """
    game = saved(bus.root)
    if not game:
        return False
    written = _restore(bus)
    what = f"bus/ was gone; {game} goes on from {bus_ref.REF}"
    lines.append(f"{what}: {written} files")
    return True


def _restore(bus: Bus) -> int:
    """Write back the last snapshot. Gives how many files were written.

    `game.yaml` comes last. A goal is never restored: a goal is what was typed.
    """
    paths = objects.list_tree(bus.root, bus_ref.REF, "bus")
    top = {path.split("/")[1] for path in paths} - {"game.yaml", "goal"}
    written = 0
    for name in [*sorted(top), "game.yaml"]:
        written += len(bus_ref.restore_bus(bus.root, bus.path, path=name))

    return written


def adopt_decision(bus: Bus, game: Game) -> bool:
    """Take over the decision that is on main of a finished game.

    Its gates count as closed, and nothing is debated. Gives False where main has no
    decision, or the debate is closed already.
    """
    where = landing.ref_of(game.branch) if game.branch else "HEAD"
    content = objects.read_blob(bus.root, where, DECISION)
    if not content:
        return False
    data = yaml_read.loads(content.decode("utf-8", "replace"), DECISION).data
    if not isinstance(data, dict) or not data.get("winner"):
        return False
    phase = config.phases(bus.root)["debate"]
    if all(map(bus.closed, phase.gates)):
        return False

    for name in phase.gates:
        receipt = Receipt(
            gate=name,
            closed=now(),
            outcome="adopted",
            winner=str(data["winner"]),
            notes=[f"adopted from {DECISION} of game {data.get('game', '')}"],
            data={"decision": data} if name == "decision" else {},
        )
        bus.post(f"gates/{name}.yaml", receipt)

    later(bus, game)
    return True


def later(bus: Bus, game: Game) -> list[str]:
    """Close the gates of every later phase whose result is on main, in order.

    Gives the names of those phases.
    """
    main = landing.tip(bus.root, game.branch)
    adopted = ["debate"]
    for phase in config.phases(bus.root).values():
        if phase.after not in adopted:
            continue
        proof = _proof(bus.root, phase, main)
        if not proof:
            break
        _adopt_tasks(bus, phase, main)
        _close_gates(bus, phase, proof)
        adopted.append(phase.name)

    return adopted[1:]


def _close_gates(bus: Bus, phase: Phase, proof: str) -> None:
    """Close every gate of a phase that the file `proof` on main says is done."""
    for name in phase.gates:
        receipt = Receipt(
            gate=name,
            closed=now(),
            outcome="adopted",
            notes=[f"adopted from {proof}"],
        )
        bus.post(f"gates/{name}.yaml", receipt)


def _proof(root: str, phase: Phase, main: str) -> str:
    """The file on main that says that the phase is done. It is "" if none does."""
    does = {gate.does for gate in phase.gates.values()}
    if "document" in does:
        traced = objects.read_blob(root, main, trace.TRACE)
        tasks = objects.list_tree(root, main, "docs/tasks")
        return trace.TRACE if traced and tasks else ""

    if "prove" not in does:
        return ""

    path = f"docs/milestones/{phase.name}/evidence.yaml"
    content = objects.read_blob(root, main, path)
    if not content:
        return ""
    data = yaml_read.loads(content.decode("utf-8", "replace"), path).data
    green = isinstance(data, dict) and data.get("verdict") == "green"
    return path if green else ""


def _adopt_tasks(bus: Bus, phase: Phase, main: str) -> None:
    """The tasks of an adopted milestone are done: later ones need them."""
    if "tasks" in phase.options:
        return  # of the plan: its tasks are in the phase file
    from catherd.pulls.main_tasks import tasks_of

    os.makedirs(bus.here("claims/done"), exist_ok=True)
    for name, task in tasks_of(bus, phase, main).items():
        bus.post(f"tasks/{name}.yaml", task)
        lock = Lock(catherd=FORMAT, task=name, why="adopted")
        path = f"claims/done/{name}.lock"
        atomic.publish(bus.path, path, yaml_write.dumps(lock))

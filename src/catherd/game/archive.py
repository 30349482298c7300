"""`make new`: a game is put away, so that another can begin."""

import os

from catherd.bus import atomic
from catherd.bus.store import Bus
from catherd.core.messages import Game
from catherd.game.lifecycle import check_writable, clear_goal
from catherd.git import bus_ref, landing, objects, run
from catherd.herd import processes

# What stays in bus/ when a game is put away. Its game.yaml goes, but last.
_STAYS = {
    "README.md",
    "archive",
    atomic.TMP,
    ".crank.lock",
    ".auto.lock",
    ".money.lock",
    "game.yaml",
}


def archive_game(root: str) -> str:
    """Move the bus of the game to `bus/archive/<game>/` and to refs/catherd/games/<id>.

    Gives the id of the game, "" where none was on. `game.yaml` goes last: killed
    halfway, the same command goes on.
    """
    bus = Bus(root)
    game = bus.game() if os.path.isdir(bus.path) else None
    if game is None:
        return ""
    check_writable(bus)
    clear_goal(bus, "new")
    processes.stop_daemons(bus)
    kept = f"refs/catherd/games/{game.id}"
    _keep_snapshot(root, game, kept)

    delivered = _deliverables(root, game)
    if delivered:
        message = f"Put game {game.id} away\n\nIts bus is {kept}.\n"
        landing.land(root, game.branch, {}, delivered, message)

    moved = sorted(set(os.listdir(bus.path)) - _STAYS)
    for name in [*moved, "game.yaml"]:
        _put_away(bus, name, f"archive/{game.id}/{name}")

    return game.id


def _keep_snapshot(root: str, game: Game, ref: str) -> None:
    """Let `ref` name the last snapshot of the game, unless it names one already."""
    if run.rev(root, ref):
        return
    bus_ref.snapshot(root, f"{game.id} archived")
    tip = run.rev(root, bus_ref.REF)
    if tip:
        run.git(root, "update-ref", ref, tip, change=ref)


def _put_away(bus: Bus, old: str, new: str) -> None:
    """Move a file or a directory on the bus.

    Where a kill interrupted the move of a directory, the rest of it follows.
    """
    if not os.path.isdir(bus.here(new)):
        atomic.rename(bus.path, old, new)
        return

    for name in sorted(os.listdir(bus.here(old))):
        _put_away(bus, f"{old}/{name}", f"{new}/{name}")
    os.rmdir(bus.here(old))


def _deliverables(root: str, game: Game) -> list[str]:
    """What the game put on main: its documents and its app."""
    main = landing.tip(root, game.branch)
    before = objects.list_tree(root, game.base, "") if game.base else {}
    ours = []
    for path in objects.list_tree(root, main, ""):
        delivered = path.startswith(("docs/", "app/"))
        handbook = path.startswith("docs/handbook/")
        if delivered and not handbook and path not in before:
            ours.append(path)

    return ours

"""What a game stands on: its folders and its goal.

How it begins is in `beginning`, how it is put away in `archive`.
"""

import errno
import os

from catherd.bus import atomic, config
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.messages import FORMAT, Game
from catherd.git import bus_ref, objects, run

FOLDERS = [
    "agents",
    "chat",
    "claims/open",
    "claims/blocked",
    "claims/done",
    "debate/veto",
    "events",
    "gates",
    "problems",
    "prs",
    "runs",
    "tasks",
    ".tmp",
]


def workspace(cwd: str) -> str:
    """The root of the workspace that `cwd` is in.

    Raises CatherdError inside `worktrees/`: the game is played from the root.
    """
    # Where make laid a bus, git was asked then.
    laid = atomic.whole(os.path.join(cwd, "bus"))
    if laid and os.path.isdir(os.path.join(cwd, ".git")):
        return os.path.realpath(cwd)

    root = run.root(cwd)
    worktrees = os.path.join(os.path.realpath(root), "worktrees")
    if os.path.realpath(cwd).startswith(worktrees + os.sep):
        raise CatherdError(
            "this is an agent's worktree", where="worktrees/", fix=f"cd '{root}'"
        )

    return root


def lay(bus: Bus) -> None:
    """Make the directories that everything else may rely on.

    Raises CatherdError when they cannot be written.
    """
    folders = list(FOLDERS)
    for phase in config.phases(bus.root).values():
        folders += [gate.step for gate in phase.gates.values() if gate.step]
    try:
        for folder in folders:
            os.makedirs(bus.here(folder), exist_ok=True)
    except OSError as error:
        raise atomic.unwritable(error, "bus/") from None

    check_writable(bus)


def check_writable(bus: Bus) -> None:
    """Raises CatherdError when the bus cannot be written, with the system's reason."""
    read_only = os.statvfs(bus.path).f_flag & os.ST_RDONLY
    code = errno.EROFS if read_only else errno.EACCES
    if not os.access(bus.path, os.W_OK) or not os.access(bus.here(atomic.TMP), os.W_OK):
        raise atomic.unwritable(OSError(code, os.strerror(code)), "bus/")


def finish_goal(root: str, goal: str) -> tuple[Game | None, str]:
    """The goal is reached, and the herd may leave.

    Gives the game and the command that undoes its first commit, "" where it has made
    none. A goal that somebody else typed meanwhile stays. What a kill kept out of the
    last snapshot goes into one now.
    """
    bus = Bus(root)
    game = bus.game()
    if bus.goal() == goal:
        clear_goal(bus, goal)
    if bus.closed(goal) and not _saved(root, f"bus/gates/{goal}.yaml"):
        bus_ref.snapshot(root, f"{goal} reached")

    debate = bus.receipt("debate")
    if game is None or debate is None or not debate.commit:
        return game, ""
    from catherd.git import landing  # the other commands start sooner without it

    return game, landing.save_before(root, game.id, game.branch)


def _saved(root: str, path: str) -> bool:
    """Whether the last snapshot of the bus holds a file."""
    if not run.rev(root, bus_ref.REF):
        return False
    return bool(objects.list_tree(root, bus_ref.REF, path))


def clear_goal(bus: Bus, why: str) -> None:
    """No goal: the daemons leave by themselves."""
    if bus.there("goal"):
        bus.event("goal-cleared", why)
        atomic.remove(bus.path, "goal")


def let_go(root: str) -> None:
    """`make go`: close the gate that STEP holds."""
    bus = Bus(root)
    if not bus.there("STEP"):
        raise CatherdError(
            "no gate is held",
            where="bus/STEP",
            fix="make debate STEP=1 holds every gate",
        )

    atomic.publish(bus.path, "GO", f"catherd: {FORMAT}\n")

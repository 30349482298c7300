"""A game from its beginning to its goal: what `make GOAL` does before and after the gates.

`begin` looks first: it sweeps what dead writers left, mends a receipt whose documents are gone from main, adopts a result
that is on main while the bus is empty, begins a game where none is on, records the goal, and wakes the herd.
"""

import errno
import os
import re
import secrets
import sys
import time

import msgspec

from catherd.bus import atomic, config, crashpoints, event_log, narrator, yaml_read
from catherd.bus.config import Agent, Phase
from catherd.bus.store import DECISION, OPEN, Bus, now
from catherd.core.errors import CatherdError
from catherd.core.messages import FORMAT, Game
from catherd.debate import asks
from catherd.git import bus_ref, objects, run
from catherd.herd import processes

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


class Begun(msgspec.Struct, kw_only=True):
    """What `begin` found: the game (None: adopted or already there), lines to tell, whether the goal is reached already."""

    game: Game | None
    lines: list[str]
    reached: bool


def workspace(cwd: str) -> str:
    """The root of the workspace that `cwd` is in. Refuses inside `worktrees/`: the game is played from the root."""
    if os.path.isdir(os.path.join(cwd, ".git")) and atomic.whole(
        os.path.join(cwd, "bus")
    ):
        return os.path.realpath(cwd)  # `make` laid it: git was asked then
    root = run.root(cwd)
    if os.path.realpath(cwd).startswith(
        os.path.join(os.path.realpath(root), "worktrees") + os.sep
    ):
        raise CatherdError(
            "this is an agent's worktree", where="worktrees/", fix=f"cd '{root}'"
        )
    return root


def begin_goal(
    root: str, goal: str, *, brief: str, live: bool, step: bool, dry: bool
) -> Begun:
    """Everything before the first gate of `goal`. With `dry` it only looks."""
    crashpoints.role[0] = "herd"
    told: list[str] = []
    phases = config.phases(root, told)
    gate = _gate_of(phases, goal)
    from catherd.herd import budget, daemon, readiness, recovery
    from catherd.pulls import board  # here and below: no other step needs it

    bus = Bus(root)
    if dry:
        return Begun(
            game=bus.game() if os.path.isdir(bus.path) else None,
            lines=[],
            reached=bus.closed(gate),
        )
    lay(bus)
    atomic.sweep_writers(bus.path)
    readiness.equipped(bus, phases, gate)
    if bus.goal():  # whoever typed it was killed, or is at it still
        event_log.log_missing(bus)
    before = bus.game()
    anew = (
        live and before is not None and before.models == "rehearsal"
    )  # what it closed is played again
    lines = (
        []
        if bus.closed(gate) and not anew
        else budget.offer_budget(bus, _cast(root), phases, gate, asked=live)
    )
    lines += recovery.recover(root)
    game = _game(bus, brief, live=live, lines=lines)
    readiness.packed(
        bus,
        phases,
        game,
        next(phase.name for phase in phases.values() if gate in phase.gates),
    )
    lines += _mend(bus, game)
    if bus.closed(gate):
        return Begun(game=game, lines=lines, reached=True)
    for name in ("STEP", "GO"):
        atomic.remove(bus.path, name)
    if step:
        atomic.publish(bus.path, "STEP", "catherd: 1\n")
    atomic.replace(bus.path, "goal", f"{goal}\n")
    bus.event("goal", goal)
    for trouble in [
        n
        for n in bus.names("problems")
        if re.match(r"(fuse|model|loop|file|turn)-|(crank|goal)\.", n)
    ]:
        atomic.remove(bus.path, f"problems/{trouble}")
    lines += map(narrator.trouble, bus.troubles())
    players = {n: a for n, a in config.agents(root, told).items() if n in game.roll}
    lines += told
    budget.begun(bus, players, game)
    board.mend_claims(bus, players)
    processes.Herd(bus, players).look(daemon.main)
    phase = next(
        phase
        for phase in phases.values()
        if not all(bus.closed(name) for name in phase.gates)
    )
    asks.ahead(bus, phase, game, goal, asking=_terminal())
    return Begun(game=game, lines=lines, reached=False)


def _gate_of(phases: dict[str, Phase], goal: str) -> str:
    known = [name for phase in phases.values() for name in phase.gates]
    if goal not in known:
        raise CatherdError(
            f"no goal '{goal}'", where="phases/", fix=f"one of: {', '.join(known)}"
        )
    return goal


def lay(bus: Bus) -> None:
    """The directories that everything else may rely on."""
    phases = config.phases(bus.root)
    steps = [
        gate.step
        for phase in phases.values()
        for gate in phase.gates.values()
        if gate.step
    ]
    try:
        for folder in [*FOLDERS, *steps]:
            os.makedirs(bus.here(folder), exist_ok=True)
    except OSError as error:
        raise atomic.unwritable(error, "bus/") from None
    _writable(bus)


def _writable(bus: Bus) -> None:
    code = errno.EROFS if os.statvfs(bus.path).f_flag & os.ST_RDONLY else errno.EACCES
    if not os.access(bus.path, os.W_OK) or not os.access(bus.here(atomic.TMP), os.W_OK):
        raise atomic.unwritable(OSError(code, os.strerror(code)), "bus/")


def _game(bus: Bus, brief: str, *, live: bool, lines: list[str]) -> Game:
    game = bus.game() or _restored(bus, lines)
    if game is not None and bus.there(
        ".restoring"
    ):  # game.yaml is restored last: where that is, all is
        atomic.remove(bus.path, ".restoring")
    if game is not None and live and game.models == "rehearsal":
        from catherd.models import cast

        cast.settle_cast(
            _cast(bus.root), os.environ, 0
        )  # refuses before anything is put away
        lines.append(
            f"the rehearsal {game.id} goes to bus/archive/; a live game begins"
        )
        archive(bus.root)
        lay(bus)
        game = None
    if game is not None:
        if brief and brief.strip() != game.brief.strip():
            lines.append(
                f"the game {game.id} keeps its own brief; make new begins another"
            )
        if not _opened(bus) and _adopt(bus, game):
            lines.append(
                f"adopted what was decided on {game.branch or 'HEAD'}: {DECISION}"
            )
        return game
    agents = _cast(bus.root)
    bus_branch = run.head_branch(bus.root)
    seed = _seed(live=live)
    from catherd.models import cast

    roles = cast.settle_cast(agents, os.environ, seed) if live else {}
    text = brief or _brief_file(bus.root) or _ask_brief()
    game = Game(
        id=f"g-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}",
        brief=text.strip(),
        branch=bus_branch,
        base=run.rev(bus.root, "HEAD"),
        roll=[name for name in agents if "sits_out" not in roles.get(name, {})],
        models="live" if live else "rehearsal",
        seed=seed,
        began=now(),
        caps={"debate": 2.0, "plan": 5.0, "poc": 10.0} if live else {},
        cast=roles,
    )
    header = "# yaml-language-server: $schema=../templates/schemas/game.json\n"
    if bus.post("game.yaml", game, header):
        lines += [
            f"game {game.id}: {', '.join(agents[n].name for n in game.roll)}",
            _about(game),
        ]
        lines += cast.cast_lines(agents, roles) if roles else []
    if _adopt(bus, game):
        lines.append(f"adopted what was decided on {game.branch or 'HEAD'}: {DECISION}")
    return bus.must("game.yaml", Game)


def _restored(bus: Bus, lines: list[str]) -> Game | None:
    """The game that origin or the last snapshot holds, restored where there is none; None where there is no such thing."""
    from catherd.game import adopt

    return (
        bus.game()
        if adopt.from_origin(bus, lines) or adopt.from_snapshot(bus, lines)
        else None
    )


def _adopt(bus: Bus, game: Game) -> bool:
    from catherd.game import adopt

    return adopt.adopt_decision(bus, game)


def _cast(root: str) -> dict[str, Agent]:
    """Who takes part: every agent file, or those that AGENTS='a b' names."""
    agents = config.agents(root)
    picked = os.environ.get("AGENTS", "").split()
    for name in picked:
        if name not in agents:
            raise CatherdError(
                f"no agent '{name}'", where="AGENTS", fix=f"AGENTS='{' '.join(agents)}'"
            )
    return {name: agents[name] for name in picked} if picked else agents


def _seed(*, live: bool) -> int:
    told = os.environ.get("REHEARSAL_SEED", "")
    if told and not re.fullmatch(r"\d{1,9}", told):
        raise CatherdError(
            f"'{told}' is no seed",
            where="REHEARSAL_SEED",
            fix="REHEARSAL_SEED=0, or any whole number",
        )
    return int(told) if told else (secrets.randbelow(10**6) if live else 0)


def _brief_file(root: str) -> str:
    try:
        return yaml_read.text_of(os.path.join(root, "brief.md"), "brief.md")
    except FileNotFoundError:
        return ""


def _ask_brief() -> str:
    if not _terminal() or "CATHERD_BRIEF" in os.environ:
        return ""
    sys.stdout.write("what should they build? (one line; empty: they are free) ")
    sys.stdout.flush()
    return sys.stdin.readline()


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _about(game: Game) -> str:
    words = " ".join(game.brief.split())
    return (
        f"brief: {words if len(words) <= 72 else words[:71] + '…'}"
        if words
        else "no brief: they are free"
    )


def _opened(bus: Bus) -> bool:
    """Whether this game has asked anything yet."""
    return any(
        bus.there(f"{gate.step}/{OPEN}")
        for gate in config.phases(bus.root)["debate"].gates.values()
        if gate.step
    )


def _mend(bus: Bus, game: Game) -> list[str]:
    """A receipt of a landing whose documents are gone from main is taken back: its gate lands them again from the bus."""
    from catherd.git import landing

    lines = []
    tip = landing.tip(bus.root, game.branch)
    there = objects.list_tree(bus.root, tip, "docs")
    for name in config.phases(bus.root):
        receipt = bus.receipt(name)
        gone = [
            path
            for path in (receipt.data.get("files", []) if receipt else [])
            if path not in there
        ]
        if gone:
            atomic.remove(bus.path, f"gates/{name}.yaml")
            bus.event("taken-back", name, gone=gone[:5])
            lines.append(
                f"{gone[0]} is gone from {game.branch or 'HEAD'}; it is landed again from the bus"
            )
    return lines


def finish_goal(root: str, goal: str) -> tuple[Game | None, str]:
    """The goal is reached: the herd may leave. Gives the game and the line that undoes its first commit.

    A goal that somebody else typed meanwhile stays. What a kill kept out of the last snapshot goes into one now.
    """
    bus = Bus(root)
    game = bus.game()
    if bus.goal() == goal:
        clear_goal(bus, goal)
    if bus.closed(goal) and not _saved(root, f"bus/gates/{goal}.yaml"):
        bus_ref.snapshot(root, f"{goal} reached")
    if game is None or not bus.closed("debate") or not _landed(bus):
        return game, ""
    from catherd.git import landing

    return game, landing.save_before(root, game.id, game.branch)


def _saved(root: str, path: str) -> bool:
    return bool(run.rev(root, bus_ref.REF)) and bool(
        objects.list_tree(root, bus_ref.REF, path)
    )


def _landed(bus: Bus) -> bool:
    receipt = bus.receipt("debate")
    return receipt is not None and bool(receipt.commit)


def clear_goal(bus: Bus, why: str) -> None:
    """No goal: the daemons leave by themselves."""
    if bus.there("goal"):
        bus.event("goal-cleared", why)
        atomic.remove(bus.path, "goal")


def archive(root: str) -> str:
    """`make new`: the bus goes to `archive/<game>/` and to refs/catherd/games/<id>; its id, or "" where no game was on.

    `game.yaml` goes last: killed halfway, the same command goes on.
    """
    from catherd.git import landing

    bus = Bus(root)
    game = bus.game() if os.path.isdir(bus.path) else None
    if game is None:
        return ""
    _writable(bus)
    clear_goal(bus, "new")
    processes.stop_daemons(bus)
    kept = f"refs/catherd/games/{game.id}"
    if not run.rev(root, kept):
        bus_ref.snapshot(root, f"{game.id} archived")
        tip = run.rev(root, bus_ref.REF)
        if tip:
            run.git(root, "update-ref", kept, tip, change=kept)
    gone = _deliverables(root, game)
    if gone:
        landing.land(
            root,
            game.branch,
            {},
            gone,
            f"Put game {game.id} away\n\nIts bus is refs/catherd/games/{game.id}.\n",
        )
    stays = {
        "README.md",
        "archive",
        atomic.TMP,
        ".crank.lock",
        ".auto.lock",
        ".money.lock",
        "game.yaml",
    }
    for name in [*sorted(set(os.listdir(bus.path)) - stays), "game.yaml"]:
        _put_away(bus, name, f"archive/{game.id}/{name}")
    return game.id


def _put_away(bus: Bus, old: str, new: str) -> None:
    """Move a file, or a directory; into one that is there already where a kill had parted them."""
    if not os.path.isdir(bus.here(new)):
        atomic.rename(bus.path, old, new)
        return
    for name in sorted(os.listdir(bus.here(old))):
        _put_away(bus, f"{old}/{name}", f"{new}/{name}")
    os.rmdir(bus.here(old))


def _deliverables(root: str, game: Game) -> list[str]:
    """What the game put on main: its documents and its app."""
    from catherd.git import landing

    tree = objects.list_tree(root, landing.tip(root, game.branch), "")
    base = objects.list_tree(root, game.base, "") if game.base else {}
    kept = ("docs/handbook/",)
    return [
        p
        for p in tree
        if p.startswith(("docs/", "app/")) and not p.startswith(kept) and p not in base
    ]


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

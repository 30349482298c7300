"""What can be known before any work.

This machine can build and prove a milestone, and a rehearsal has files for it.
"""

from catherd.bus import config, yaml_read
from catherd.bus.config import Phase
from catherd.bus.store import DECISION, Bus
from catherd.core.errors import CatherdError, NeedsYou
from catherd.core.messages import Game, Trouble
from catherd.git import landing, objects
from catherd.herd import doctor


def equipped(bus: Bus, phases: dict[str, Phase], gate: str) -> None:
    """Raise CatherdError when this machine lacks what the milestone's gate will need.

    So that is asked for in the first second, not at the gate.
    """
    for phase in phases.values():
        if gate in phase.gates and _builds(phase) and not bus.closed(gate):
            waived = bus.there(f"{phase.name}/waiver.yaml")
            what, fix = doctor.lacks(phase.options, browser=not waived)
            if what:
                raise CatherdError(
                    f"building and proving {phase.name} needs more on this machine: {what}",
                    where=f"make {gate}",
                    fix=fix,
                )


def boxed(phase: Phase) -> None:
    """Raise NeedsYou when a milestone is to be built and there is no box for it here."""
    if not _builds(phase):
        return
    what, fix = doctor.lacks(phase.options, browser=False)
    if what:
        raise NeedsYou(
            f"{phase.name} cannot be built here: {what}", where="sandbox", fix=fix
        )


def box_refused(bus: Bus) -> None:
    """Raise NeedsYou when an agent's daemon could not have a box."""
    turns = [name for name in bus.names("problems") if name.startswith("turn-")]
    for name in turns:
        found = bus.get(f"problems/{name}", Trouble)
        if found is not None and found.where == "sandbox":
            raise NeedsYou(found.what, where="sandbox", fix=found.fix)


def _builds(phase: Phase) -> bool:
    return any(gate.does == "prove" for gate in phase.gates.values())


def packed(bus: Bus, phases: dict[str, Phase], game: Game, goal: str) -> None:
    """Raise CatherdError when a rehearsal is to go on past the end of its pack.

    A live game may, and so may one with agents elsewhere.
    """
    if not _rehearsed(bus, game):
        return
    title = _decided(bus.root, game.branch)
    if not title or bus.closed(goal):
        return
    from catherd.rehearsal import pack

    order, end = list(phases), pack.last_phase(title)
    if end in order and order.index(goal) > order.index(end):
        raise CatherdError(
            f"the rehearsal's {title} ends at {end}",
            where=f"make {goal}",
            fix=f"make new && make {goal} BRIEF='a page in the browser' plays the pack that goes on; or make debate LIVE=1",
        )


def _decided(root: str, branch: str) -> str:
    """The title of the decided idea on the game's branch.

    "" where there is none yet.
    """
    text = objects.read_blob(root, landing.tip(root, branch), DECISION)
    if not text:
        return ""
    data = yaml_read.loads(text.decode("utf-8", "replace"), DECISION).data or {}
    return str(data.get("title", ""))


def mendable(bus: Bus, phase: Phase, game: Game, task: str, words: str) -> None:
    """Raise NeedsYou when a rehearsal is to mend what you said in words of your own."""
    if _rehearsed(bus, game) and not bus.there(f"claims/done/{task}.lock"):
        raise NeedsYou(
            f"a rehearsal cannot mend what you said: “{words}”",
            where=f"docs/milestones/{phase.name}.md",
            fix="make run, and say y: that takes your no back (mend main yourself first, if you like); make debate LIVE=1 has agents that can",
        )


def _rehearsed(bus: Bus, game: Game) -> bool:
    """Whether the whole game is rehearsed: no agent that takes part runs elsewhere."""
    agents = config.agents(bus.root)
    playing = [agents[name] for name in game.roll if name in agents]
    elsewhere = any(agent.runs == "elsewhere" for agent in playing)
    return game.models == "rehearsal" and not elsewhere

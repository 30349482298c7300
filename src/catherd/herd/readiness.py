"""What can be known before any work: that this machine can build and prove a milestone, and that a rehearsal has files for it."""

from catherd.bus import config, yaml_read
from catherd.bus.config import Phase
from catherd.bus.store import DECISION, Bus
from catherd.core.errors import CatherdError, NeedsYou
from catherd.core.messages import Game, Trouble
from catherd.git import landing, objects
from catherd.herd import doctor


def equipped(bus: Bus, phases: dict[str, Phase], gate: str) -> None:
    """What the milestone's gate will need is asked for in the first second, not at the gate. Raises CatherdError."""
    for phase in phases.values():
        if gate in phase.gates and _builds(phase) and not bus.closed(gate):
            what, fix = doctor.lacks(
                phase.options, browser=not bus.there(f"{phase.name}/waiver.yaml")
            )
            if what:
                raise CatherdError(
                    f"building and proving {phase.name} needs more on this machine: {what}",
                    where=f"make {gate}",
                    fix=fix,
                )


def boxed(phase: Phase) -> None:
    """While a milestone is built: raises NeedsYou where there is no box for it, here or at an agent's."""
    if not _builds(phase):
        return
    what, fix = doctor.lacks(phase.options, browser=False)
    if what:
        raise NeedsYou(
            f"{phase.name} cannot be built here: {what}", where="sandbox", fix=fix
        )


def box_refused(bus: Bus) -> None:
    """Raises NeedsYou when an agent's daemon could not have a box."""
    for name in bus.names("problems"):
        found = (
            bus.get(f"problems/{name}", Trouble) if name.startswith("turn-") else None
        )
        if found is not None and found.where == "sandbox":
            raise NeedsYou(found.what, where="sandbox", fix=found.fix)


def _builds(phase: Phase) -> bool:
    return any(gate.does == "prove" for gate in phase.gates.values())


def packed(bus: Bus, phases: dict[str, Phase], game: Game, goal: str) -> None:
    """A rehearsal cannot go on past the end of its pack. Raises CatherdError; a live game, and one with agents elsewhere, may."""
    if not _rehearsed(bus, game):
        return
    text = objects.read_blob(bus.root, landing.tip(bus.root, game.branch), DECISION)
    title = (
        str(
            (yaml_read.loads(text.decode("utf-8", "replace"), DECISION).data or {}).get(
                "title", ""
            )
        )
        if text
        else ""
    )
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


def mendable(bus: Bus, phase: Phase, game: Game, task: str, words: str) -> None:
    """A rehearsal cannot mend what you said in words of your own. Raises NeedsYou."""
    if _rehearsed(bus, game) and not bus.there(f"claims/done/{task}.lock"):
        raise NeedsYou(
            f"a rehearsal cannot mend what you said: “{words}”",
            where=f"docs/milestones/{phase.name}.md",
            fix="make run, and say y: that takes your no back (mend main yourself first, if you like); make debate LIVE=1 has agents that can",
        )


def _rehearsed(bus: Bus, game: Game) -> bool:
    agents = config.agents(bus.root)
    return game.models == "rehearsal" and not any(
        agents[n].runs == "elsewhere" for n in game.roll if n in agents
    )

"""The last two gates of the debate: the vote is counted, and the documents land."""

from catherd.bus import event_log
from catherd.bus.store import now
from catherd.core.messages import Receipt
from catherd.debate import documents, election
from catherd.gates.step import Crank
from catherd.git import landing


def count_votes(crank: Crank) -> None:
    """Close the gate with what the count decided. Raises NeedsYou for a tie."""
    outcome = election.decide(
        crank.bus, crank.phase, crank.game, crank.agents, crank.teller
    )
    crank.close(
        Receipt(
            gate=crank.gate.name,
            closed=now(),
            roll=crank.game.roll,
            outcome=outcome.method,
            winner=outcome.winner or "",
            data={"choice": outcome.choice, "reason": outcome.reason},
        )
    )
    crank.teller.decided(outcome)


def land_debate(crank: Crank) -> None:
    """Commit everything that the debate delivers to the game's branch.

    It is one commit, and the receipt names it.
    """
    bus, game = crank.bus, crank.game
    landing.save_before(bus.root, game.id, game.branch)
    event_log.log_missing(bus)
    made = documents.debate(bus, crank.phase, game, crank.agents)

    title = next(iter(made.title.splitlines()), "")
    message = f"Land the debate: {title}\n\nGame {game.id}.\n"
    landed = landing.land(bus.root, game.branch, made.files, [], message)
    bus.event("landed", "debate", commit=landed.sha)

    crank.close(
        Receipt(
            gate=crank.gate.name,
            closed=now(),
            commit=landed.sha,
            data={"files": sorted(made.files)},
        )
    )
    crank.teller.landed(landed.sha, landed.where)

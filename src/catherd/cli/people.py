"""What people type while a game is on: watching, talking, voting."""

import os
import sys
from typing import TYPE_CHECKING

import click

from catherd.cli.terminal import on, teller_of
from catherd.core.errors import CatherdError

if TYPE_CHECKING:
    from catherd.bus.config import Gate


@click.command()
def status() -> None:
    """Show the game on one screen: first what needs you."""
    from catherd.game import lifecycle
    from catherd.game.status import status_lines

    for line in status_lines(lifecycle.workspace(os.getcwd())):
        click.echo(line)


@click.command()
def costs() -> None:
    """Show what the game has cost, by agent, phase and kind of turn.

    Every sum is added up from the journals.
    """
    from catherd.game import lifecycle
    from catherd.herd.budget import cost_table

    for line in cost_table(lifecycle.workspace(os.getcwd())):
        click.echo(line)


@click.command()
def chat() -> None:
    """Follow the group chat. Piped, print it and stop."""
    from catherd.game import lifecycle, talk

    root = lifecycle.workspace(os.getcwd())
    teller = teller_of(root)
    teller.pace = 0.0
    talk.follow(root, teller)


@click.command()
@click.option("--to", default="", envvar="TO", help="The agent that should answer.")
@click.option(
    "--binding",
    is_flag=True,
    help="Make it a constraint, which every later ask carries.",
)
def say(to: str, *, binding: bool) -> None:
    """Say something to the herd.

    The text is CATHERD_MSG (make say MSG=…), else standard input.
    """
    from catherd.bus.store import Bus
    from catherd.game import lifecycle, talk
    from catherd.herd import processes

    text = os.environ.get("CATHERD_MSG", "") or sys.stdin.read()
    root = lifecycle.workspace(os.getcwd())
    click.echo(talk.say(root, text, to=to, binding=binding or on("BINDING")))
    if not processes.living(Bus(root)):
        click.echo("nobody is running; it is read once a goal is typed", err=True)


def _ballot_gate(root: str) -> "Gate":
    """The gate that asks for ballots."""
    from catherd.bus import config

    gates: list[Gate] = []
    for phase in config.phases(root).values():
        gates += phase.gates.values()
    return next(gate for gate in gates if gate.kind == "ballot")


@click.command()
def ballot() -> None:
    """Put your ballot there, as a form to fill in.

    It can be filled in until the gate of the ballots closes.
    """
    from catherd.bus.store import OPEN, Bus
    from catherd.core.messages import Ask
    from catherd.debate import election
    from catherd.game import lifecycle

    root = lifecycle.workspace(os.getcwd())
    bus = Bus(root)
    gate = _ballot_gate(root)
    where = f"bus/{gate.step}/"
    if bus.closed(gate.name):
        raise CatherdError(
            "the ballots are closed; no other is counted",
            where=where,
            fix="make status",
        )

    ask = bus.get(f"{gate.step}/{OPEN}", Ask)
    if ask is None:
        raise CatherdError(
            "the ballots are not open yet",
            where=where,
            fix="make ballots goes on to them",
        )

    click.echo(f"bus/{election.ballot_form(bus, ask)}")


COMMANDS = (status, costs, chat, say, ballot)

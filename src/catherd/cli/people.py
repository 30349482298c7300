"""What people type while a game is on: watching, talking, voting."""

import os
import sys

import click

from catherd.cli.terminal import on, teller_of
from catherd.core.errors import CatherdError


@click.command()
def status() -> None:
    """One screen: what needs you first."""
    from catherd.game import lifecycle
    from catherd.game.status import status_lines

    for line in status_lines(lifecycle.workspace(os.getcwd())):
        click.echo(line)


@click.command()
def costs() -> None:
    """What the game has cost: by agent, phase and kind of turn; every sum is the journal's."""
    from catherd.game import lifecycle
    from catherd.herd.budget import cost_table

    for line in cost_table(lifecycle.workspace(os.getcwd())):
        click.echo(line)


@click.command()
def chat() -> None:
    """Follow the group chat; piped, print it and stop."""
    from catherd.game import lifecycle, talk

    root = lifecycle.workspace(os.getcwd())
    teller = teller_of(root)
    teller.pace = 0.0
    talk.follow(root, teller)


@click.command()
@click.option("--to", default="", envvar="TO", help="the agent that should answer")
@click.option(
    "--binding", is_flag=True, help="a constraint that every later ask carries"
)
def say(to: str, *, binding: bool) -> None:
    """Talk to the herd: CATHERD_MSG (make say MSG=…), or standard input."""
    from catherd.bus.store import Bus
    from catherd.game import lifecycle, talk
    from catherd.herd import processes

    text = os.environ.get("CATHERD_MSG", "")
    if not text:
        text = sys.stdin.read()
    root = lifecycle.workspace(os.getcwd())
    click.echo(talk.say(root, text, to=to, binding=binding or on("BINDING")))
    if not processes.living(Bus(root)):
        click.echo("nobody is running; it is read once a goal is typed", err=True)


@click.command()
def ballot() -> None:
    """Put your ballot where it counts, as a form to fill in."""
    from catherd.bus import config
    from catherd.bus.store import OPEN, Bus
    from catherd.core.messages import Ask
    from catherd.debate import election
    from catherd.game import lifecycle

    root = lifecycle.workspace(os.getcwd())
    bus = Bus(root)
    gate = next(
        g
        for phase in config.phases(root).values()
        for g in phase.gates.values()
        if g.kind == "ballot"
    )
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

"""What people type while a game is on: watching, talking, voting."""

import os
import sys

import click

from catherd.doors.terminal import on, teller_of
from catherd.errors import CatherdError


@click.command()
def status() -> None:
    """One screen: what needs you first."""
    from catherd import game
    from catherd.status import lines

    for line in lines(game.workspace(os.getcwd())):
        click.echo(line)


@click.command()
def costs() -> None:
    """What the game has cost: by agent, phase and kind of turn; every sum is the journal's."""
    from catherd import game
    from catherd.budget import table

    for line in table(game.workspace(os.getcwd())):
        click.echo(line)


@click.command()
def chat() -> None:
    """Follow the group chat; piped, print it and stop."""
    from catherd import game, talk

    root = game.workspace(os.getcwd())
    teller = teller_of(root)
    teller.pace = 0.0
    talk.follow(root, teller)


@click.command()
@click.option("--to", default="", envvar="TO", help="the agent that should answer")
@click.option("--binding", is_flag=True, help="a constraint that every later ask carries")
def say(to: str, *, binding: bool) -> None:
    """Talk to the herd: CATHERD_MSG (make say MSG=…), or standard input."""
    from catherd import game, herd, talk
    from catherd.bus import Bus

    text = os.environ.get("CATHERD_MSG", "")
    if not text:
        text = sys.stdin.read()
    root = game.workspace(os.getcwd())
    click.echo(talk.say(root, text, to=to, binding=binding or on("BINDING")))
    if not herd.living(Bus(root)):
        click.echo("nobody is running; it is read once a goal is typed", err=True)


@click.command()
def ballot() -> None:
    """Put your ballot where it counts, as a form to fill in."""
    from catherd import config, election, game
    from catherd.bus import OPEN, Bus
    from catherd.messages import Ask

    root = game.workspace(os.getcwd())
    bus = Bus(root)
    gate = next(g for phase in config.phases(root).values() for g in phase.gates.values() if g.kind == "ballot")
    where = f"bus/{gate.step}/"
    if bus.closed(gate.name):
        raise CatherdError("the ballots are closed; no other is counted", where=where, fix="make status")
    ask = bus.get(f"{gate.step}/{OPEN}", Ask)
    if ask is None:
        raise CatherdError("the ballots are not open yet", where=where, fix="make ballots goes on to them")
    click.echo(f"bus/{election.form(bus, ask)}")


COMMANDS = (status, costs, chat, say, ballot)

"""The herd and the game: one daemon, all of them, and the game that they play."""

import os
import sys

import click


@click.command()
@click.argument("file")
def agent(file: str) -> None:
    """Be the daemon of the agent in FILE."""
    from catherd import agent as daemon
    from catherd import game

    here = os.path.dirname(os.path.abspath(file))
    root = game.workspace(os.path.dirname(here) if os.path.basename(here) == "agents" else os.getcwd())
    os.chdir(root)
    sys.exit(daemon.main(root, os.path.relpath(os.path.join(here, os.path.basename(file)), root)))


@click.command()
def up() -> None:
    """Start one daemon per agents/*.yaml; those that run are left alone."""
    from catherd import agent as daemon
    from catherd import config, game, herd
    from catherd.bus import Bus

    root = game.workspace(os.getcwd())
    bus = Bus(root)
    game.lay(bus)
    begun = herd.Herd(bus, config.agents(root)).look(daemon.main)
    click.echo(f"started: {', '.join(begun)}" if begun else "all are running")


@click.command()
def down() -> None:
    """Stop the herd; what was in flight is gone on with next time."""
    from catherd import game, herd
    from catherd.bus import Bus

    bus = Bus(game.workspace(os.getcwd()))
    stopped = list(herd.living(bus))
    game.clear_goal(bus, "down")  # first, or a gate that waits would start them again
    herd.down(bus)
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "none was running")


@click.command()
def go() -> None:
    """Close the gate that STEP=1 holds."""
    from catherd import game

    game.go(game.workspace(os.getcwd()))


@click.command()
def new() -> None:
    """Put this game away (bus/archive/ and refs/catherd/games/) so that another can begin."""
    from catherd import game

    put = game.archive(game.workspace(os.getcwd()))
    click.echo(f"put away: {put}; its bus is refs/catherd/games/{put}" if put else "no game is on")


COMMANDS = (agent, up, down, go, new)

"""The herd and the game: one daemon, all of them, and the game that they play."""

import os
import sys

import click


@click.command()
@click.argument("file")
def agent(file: str) -> None:
    """Be the daemon of the agent in FILE."""
    from catherd.game import lifecycle
    from catherd.herd import daemon

    here = os.path.dirname(os.path.abspath(file))
    root = lifecycle.workspace(
        os.path.dirname(here) if os.path.basename(here) == "agents" else os.getcwd()
    )
    os.chdir(root)
    sys.exit(
        daemon.main(
            root, os.path.relpath(os.path.join(here, os.path.basename(file)), root)
        )
    )


@click.command()
def up() -> None:
    """Start one daemon per agents/*.yaml; those that run are left alone."""
    from catherd.bus import config
    from catherd.bus.store import Bus
    from catherd.game import lifecycle
    from catherd.herd import daemon, processes

    root = lifecycle.workspace(os.getcwd())
    bus = Bus(root)
    lifecycle.lay(bus)
    begun = processes.Herd(bus, config.agents(root)).look(daemon.main)
    click.echo(f"started: {', '.join(begun)}" if begun else "all are running")


@click.command()
def down() -> None:
    """Stop the herd; what was in flight is gone on with next time."""
    from catherd.bus.store import Bus
    from catherd.game import lifecycle
    from catherd.herd import processes

    bus = Bus(lifecycle.workspace(os.getcwd()))
    stopped = list(processes.living(bus))
    lifecycle.clear_goal(
        bus, "down"
    )  # first, or a gate that waits would start them again
    processes.stop_daemons(bus)
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "none was running")


@click.command()
def go() -> None:
    """Close the gate that STEP=1 holds."""
    from catherd.game import lifecycle

    lifecycle.let_go(lifecycle.workspace(os.getcwd()))


@click.command()
def new() -> None:
    """Put this game away (bus/archive/ and refs/catherd/games/) so that another can begin."""
    from catherd.game import archive, lifecycle

    put = archive.archive_game(lifecycle.workspace(os.getcwd()))
    click.echo(
        f"put away: {put}; its bus is refs/catherd/games/{put}"
        if put
        else "no game is on"
    )


COMMANDS = (agent, up, down, go, new)

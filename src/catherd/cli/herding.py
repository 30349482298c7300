"""The herd: one daemon, all of them, and the game that they play."""

import os
import sys

import click


@click.command()
@click.argument("file")
def agent(file: str) -> None:
    """Run the daemon of the agent in FILE, like agents/claude.yaml."""
    from catherd.game import lifecycle
    from catherd.herd import daemon

    path = os.path.abspath(file)
    folder, above = os.path.dirname(path), os.getcwd()
    if os.path.basename(folder) == "agents":
        above = os.path.dirname(folder)
    root = lifecycle.workspace(above)
    os.chdir(root)
    sys.exit(daemon.main(root, os.path.relpath(path, root)))


@click.command()
def up() -> None:
    """Start a daemon for each agents/*.yaml that has none running."""
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
    """Stop the herd. The next goal goes on with what was in flight."""
    from catherd.bus.store import Bus
    from catherd.game import lifecycle
    from catherd.herd import processes

    bus = Bus(lifecycle.workspace(os.getcwd()))
    stopped = list(processes.living(bus))
    # The goal goes first, or a gate that waits would start them again.
    lifecycle.clear_goal(bus, "down")
    processes.stop_daemons(bus)
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "none was running")


@click.command()
def go() -> None:
    """Close the gate that STEP=1 holds."""
    from catherd.game import lifecycle

    lifecycle.let_go(lifecycle.workspace(os.getcwd()))


@click.command()
def new() -> None:
    """Put this game away, so that another can begin.

    It is kept in bus/archive/ and as refs/catherd/games/<id>.
    """
    from catherd.game import archive, lifecycle

    put = archive.archive_game(lifecycle.workspace(os.getcwd()))
    if put:
        click.echo(f"put away: {put}; its bus is refs/catherd/games/{put}")
    else:
        click.echo("no game is on")


COMMANDS = (agent, up, down, go, new)

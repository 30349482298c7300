"""The steps that make calls: before the gates of a goal, at each gate, and after the last."""

import os
from typing import Any

import click

from catherd.cli.terminal import on, teller_of
from catherd.core.errors import NeedsYou


@click.command()
@click.argument("goal")
@click.option("--dry", is_flag=True, help="only look, as under make -n")
def begin(goal: str, *, dry: bool) -> None:
    """What `make GOAL` does before the gates: look, mend, begin a game, wake the herd."""
    from catherd.bus.narrator import folded
    from catherd.game import beginning, lifecycle

    root = lifecycle.workspace(os.getcwd())
    begun = beginning.begin_goal(
        root,
        goal,
        brief=os.environ.get("CATHERD_BRIEF", ""),
        live=on("LIVE"),
        step=on("STEP"),
        dry=dry,
    )
    for line in begun.lines:
        click.echo(folded(line))
    if begun.reached and not dry:
        _finish(root, goal)


@click.command()
@click.argument("name")
def gate(name: str) -> None:
    """Close one gate, or follow whoever is closing it; then those that ask nobody, up to the goal. At the goal, say so."""
    from catherd.bus import config
    from catherd.core import closing
    from catherd.game import lifecycle
    from catherd.gates import crank

    root = lifecycle.workspace(os.getcwd())
    teller = teller_of(root)
    does = {
        gate.name: gate.does for gate in config.gate_of(root, name)[0].gates.values()
    }
    goal = os.environ.get("CATHERD_GOAL", name)
    if closing.onward(does, name, goal):  # while the answers are awaited
        from catherd.git import landing  # noqa: F401
    try:
        while name:
            crank.turn(root, name, teller)
            last, name = name, closing.onward(does, name, goal)
    except NeedsYou:
        teller.bell()
        raise
    if last == goal:
        _finish(root, goal)


@click.command(hidden=True)
def stop() -> None:
    """^C stops what `make GOAL` started: without a goal the herd leaves, each when its call in flight is answered."""
    from catherd.bus.store import Bus
    from catherd.game import lifecycle

    lifecycle.clear_goal(Bus(lifecycle.workspace(os.getcwd())), "^C")
    click.echo("stopped; the same command goes on from here")


@click.command()
@click.argument("goal")
def finish(goal: str) -> None:
    """What `make GOAL` does after the last gate, if whoever closed that gate did not: the goal is reached, the herd may leave."""
    from catherd.game import lifecycle

    _finish(lifecycle.workspace(os.getcwd()), goal)


def _finish(root: str, goal: str) -> None:
    from catherd.game import lifecycle

    found, undo = lifecycle.finish_goal(root, goal)
    teller = teller_of(root)
    for line in _last_lines(goal, found, undo):
        teller.line(line)
    teller.bell()


def _last_lines(goal: str, found: Any, undo: str) -> list[str]:
    lines = [f"{goal}: done"]
    if found is not None and found.models == "rehearsal":
        lines.append(
            "rehearsal: no model was called. For real: set your keys, then make debate LIVE=1"
        )
    if undo:
        lines.append(
            f"undo: {undo} && make new"
        )  # with the game still on, make would land it again
    return lines


COMMANDS = (begin, gate, finish, stop)

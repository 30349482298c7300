"""The steps that make calls on the way to a goal.

They come before its gates, at each gate, and after the last.
"""

import os
from typing import TYPE_CHECKING

import click

from catherd.cli.terminal import on, teller_of
from catherd.core.errors import NeedsYou

if TYPE_CHECKING:
    from catherd.core.messages import Game


@click.command()
@click.argument("goal")
@click.option("--dry", is_flag=True, help="Only look, as under make -n.")
def begin(goal: str, *, dry: bool) -> None:
    """Do what comes before the gates of a goal.

    Look, mend what was interrupted, begin a game where none is on, wake the herd.
    """
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
    """Close the gate NAME, or follow the process that is closing it.

    The gates after it that wait for nobody's answer are closed, too, up to the goal in
    CATHERD_GOAL. At the goal, it says so.
    """
    from catherd.bus import config
    from catherd.core import closing
    from catherd.game import lifecycle
    from catherd.gates import crank

    root = lifecycle.workspace(os.getcwd())
    teller = teller_of(root)
    phase, _ = config.gate_of(root, name)
    does = {gate.name: gate.does for gate in phase.gates.values()}
    goal = os.environ.get("CATHERD_GOAL", name)
    if closing.onward(does, name, goal):
        # The gates that follow need it. It is loaded while the answers are awaited.
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
    """Stop what `make GOAL` started, as ^C does.

    Without a goal the herd leaves, each agent when its call in flight is answered.
    """
    from catherd.bus.store import Bus
    from catherd.game import lifecycle

    lifecycle.clear_goal(Bus(lifecycle.workspace(os.getcwd())), "^C")
    click.echo("stopped; the same command goes on from here")


@click.command()
@click.argument("goal")
def finish(goal: str) -> None:
    """Do what comes after the last gate of a goal.

    `make GOAL` calls it where the process that closed that gate did not do it. The goal is reached, and the herd may leave.
    """
    from catherd.game import lifecycle

    _finish(lifecycle.workspace(os.getcwd()), goal)


def _finish(root: str, goal: str) -> None:
    from catherd.game import lifecycle

    game, undo = lifecycle.finish_goal(root, goal)
    teller = teller_of(root)
    for line in _last_lines(goal, game, undo):
        teller.line(line)
    teller.bell()


def _last_lines(goal: str, game: "Game | None", undo: str) -> list[str]:
    lines = [f"{goal}: done"]
    if game is not None and game.models == "rehearsal":
        lines.append(
            "rehearsal: no model was called. For real: set your keys, then make debate LIVE=1"
        )

    if undo:
        # With the game still on, make would land it again.
        lines.append(f"undo: {undo} && make new")

    return lines


COMMANDS = (begin, gate, finish, stop)

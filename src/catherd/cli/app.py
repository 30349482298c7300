"""The app: trying what was proved, the box, and where a line of it came from."""

import os
import shutil
import sys

import click

from catherd.cli.terminal import teller_of


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    envvar="PORT",
    help="Where a web app is served; 0 is any free port.",
)
@click.option(
    "--args",
    default="",
    envvar="ARGS",
    help="Run an app of kind cli once, with these arguments.",
)
def run(port: int, args: str) -> None:
    """Start the proved app in its box.

    It says what to try, and asks afterwards whether it worked.
    """
    from catherd.game import lifecycle
    from catherd.gates import delivery

    root = lifecycle.workspace(os.getcwd())
    sys.exit(delivery.try_app(root, teller_of(root), port=port, args=args))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--rw", is_flag=True, help="Work on the folder itself, not on a copy.")
@click.option(
    "--seconds", type=click.IntRange(1), default=60, help="How long it may take."
)
def box(argv: tuple[str, ...], *, rw: bool, seconds: int) -> None:
    """Run a command in the box, on a copy of this folder.

    The copy holds what git knows. For example: catherd box -- python3 -m unittest
    """
    from catherd.box import box_trees, sandbox

    def tell(stream: int, chunk: bytes) -> None:
        to = sys.stderr if stream else sys.stdout
        shown = sandbox.box_text(chunk).encode() if to.isatty() else chunk
        to.buffer.write(shown)
        to.flush()

    here = os.getcwd()
    tree = here if rw else box_trees.copy_of_known(here)
    try:
        order = sandbox.BoxOrder(
            tree=tree,
            mode="rw" if rw else "copy",
            stdin=b"" if sys.stdin.isatty() else sys.stdin.buffer.read(),
            limits=sandbox.Limits(wall_s=seconds, cpu_s=seconds, output_kb=8192),
            tell=tell,
        )
        result = sandbox.run_in_box(list(argv), order)
    finally:
        if tree != here:
            shutil.rmtree(tree, ignore_errors=True)

    if result.why:
        click.echo(f"catherd: stopped: {result.why}", err=True)
    sys.exit(result.rc)


@click.command()
@click.argument("place")
def why(place: str) -> None:
    """Say which pull request, task, story and vote a line came from.

    PLACE is FILE:LINE, like app/server.py:12.
    """
    from catherd.bus.store import Bus
    from catherd.game import lifecycle
    from catherd.game.why import why_line
    from catherd.git.run import head_branch

    root = lifecycle.workspace(os.getcwd())
    game = Bus(root).game() if os.path.isdir(os.path.join(root, "bus")) else None
    branch = game.branch if game else head_branch(root)
    for line in why_line(root, branch, place):
        click.echo(line)


COMMANDS = (run, box, why)

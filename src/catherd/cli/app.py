"""The app and the machine: trying what was proved, running a command in the box, asking where a line came from."""

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
    help="0: any free one",
)
@click.option("--args", default="", envvar="ARGS", help="of a command, to run it once")
def run(port: int, args: str) -> None:
    """Start the proved app in its box, show what to try, ask whether it worked."""
    from catherd.game import lifecycle
    from catherd.gates import delivery

    root = lifecycle.workspace(os.getcwd())
    sys.exit(delivery.try_app(root, teller_of(root), port=port, args=args))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--rw", is_flag=True, help="on the folder itself, not on a copy")
@click.option(
    "--seconds", type=click.IntRange(1), default=60, help="how long it may take"
)
def box(argv: tuple[str, ...], *, rw: bool, seconds: int) -> None:
    """Run a command in the box, on a copy of what git knows of this folder: catherd box -- python3 -m unittest."""
    from catherd.box import box_trees, sandbox

    def tell(stream: int, chunk: bytes) -> None:
        to = sys.stderr if stream else sys.stdout
        to.buffer.write(sandbox.box_text(chunk).encode() if to.isatty() else chunk)
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
    """Which pull request, task, story and vote FILE:LINE came from."""
    from catherd.bus.store import Bus
    from catherd.game import lifecycle
    from catherd.game.why import why_line as ask
    from catherd.git.run import head_branch

    root = lifecycle.workspace(os.getcwd())
    found = Bus(root).game() if os.path.isdir(os.path.join(root, "bus")) else None
    for line in ask(root, found.branch if found else head_branch(root), place):
        click.echo(line)


COMMANDS = (run, box, why)

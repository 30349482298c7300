"""The commands that need no game.

They count any election, lay and restore the files of a workspace, and say what the
machine lacks.
"""

import os
import sys

import click

from catherd.cli.terminal import on
from catherd.core.errors import CatherdError


@click.command()
@click.argument("file", type=click.Path())
def count(file: str) -> None:
    """Count any election with the code that counts the debate.

    FILE holds the ballots; - is standard input.
    """
    from catherd.bus import yaml_read
    from catherd.debate.count import count_text

    if file == "-":
        name = "standard input"
        text = yaml_read.decoded(sys.stdin.buffer.read(), name)
    else:
        name, text = file, _election(file)

    out, code = count_text(text, name)
    click.echo(out, nl=False)
    sys.exit(code)


def _election(file: str) -> str:
    """The text of a file. Raises CatherdError where it cannot be read."""
    from catherd.bus import yaml_read
    from catherd.debate.count import LIMIT

    if os.path.isdir(file):
        raise CatherdError(
            "is a directory", where=file, fix="name a file, or - for standard input"
        )

    try:
        return yaml_read.text_of(file, limit=LIMIT)
    except FileNotFoundError:
        raise CatherdError(
            "is not there",
            where=file,
            fix="name a file that is, or - for standard input",
        ) from None


@click.command()
def schemas() -> None:
    """Write templates/schemas/, for the editor that you type in."""
    from catherd.bus.schemas import write_schemas
    from catherd.game import lifecycle

    for path in write_schemas(lifecycle.workspace(os.getcwd())):
        click.echo(path)


@click.command()
@click.argument("folder", type=click.Path(), default=".")
def init(folder: str) -> None:
    """Lay the files of a game into FOLDER. Nothing is overwritten.

    FOLDER is a new or an existing repository.
    """
    from catherd.git import workspace

    laid = workspace.init_workspace(folder)
    kept = f"{len(laid.kept)} {'was' if len(laid.kept) == 1 else 'were'} there already"
    click.echo(f"{folder}: {len(laid.made)} files laid, {kept}")
    if laid.commit:
        click.echo(f"first commit: {laid.commit}")
    for line in laid.todo:
        click.echo(f"yours to do: {line}")
    go_there = "" if folder == "." else f"cd '{folder}' && "
    click.echo(f"next: {go_there}make debate")


@click.group()
def bus() -> None:
    """Look at the bus as git keeps it.

    Every gate saves it to refs/catherd/bus.
    """


@bus.command()
@click.argument("path", default="")
@click.option(
    "--from",
    "ref",
    default="",
    help="Another snapshot: refs/catherd/games/<id>, or a commit.",
)
@click.option("--overwrite", is_flag=True, help="Also write over files that are there.")
def restore(path: str, ref: str, *, overwrite: bool) -> None:
    """Write back what is missing from bus/.

    That is everything, or PATH and what is below it. A file that is there stays as it
    is.
    """
    from catherd.bus import atomic
    from catherd.bus.store import Bus
    from catherd.game import lifecycle
    from catherd.git import bus_ref

    root = lifecycle.workspace(os.getcwd())
    told = path.removeprefix("bus/")
    written = bus_ref.restore_bus(
        root,
        os.path.join(root, "bus"),
        path=told,
        ref=ref or bus_ref.REF,
        overwrite=overwrite,
    )
    back = Bus(root)
    # A goal that was reached is not restored: nobody is on the way there.
    if not told and "goal" in written and back.closed(back.goal()):
        atomic.remove(back.path, "goal")
        written.remove("goal")

    for name in written:
        click.echo(f"bus/{name}")
    if not written:
        click.echo("nothing is missing")


@bus.command()
def log() -> None:
    """List the snapshots of this bus, newest first."""
    from catherd.game import lifecycle
    from catherd.git import bus_ref

    for sha, subject in bus_ref.history(lifecycle.workspace(os.getcwd())):
        click.echo(f"{sha[:12]} {subject}")


@click.command()
def doctor() -> None:
    """Say what this machine lacks, with a fix to paste.

    LIVE=1 tries each model, too, and the exit code is 1 where something is wrong.
    """
    from catherd.bus.store import Bus
    from catherd.game import lifecycle
    from catherd.herd.doctor import doctor_lines

    root, wrong = lifecycle.workspace(os.getcwd()), False
    if on("LIVE"):
        lifecycle.lay(Bus(root))
    for line in doctor_lines(root, live=on("LIVE")):
        click.echo(line)
        wrong = wrong or line.startswith("--")

    sys.exit(1 if wrong and on("LIVE") else 0)


COMMANDS = (count, schemas, init, bus, doctor)

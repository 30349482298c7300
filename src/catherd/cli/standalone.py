"""What needs no game: counting any election, and what a workspace is made of."""

import os
import sys

import click

from catherd.cli.terminal import on
from catherd.core.errors import CatherdError


@click.command()
@click.argument("file", type=click.Path())
def count(file: str) -> None:
    """Count any election with the code that counts the debate (FILE or -)."""
    from catherd.bus import yaml_read
    from catherd.debate.count import LIMIT, count_text

    if file == "-":
        text = yaml_read.decoded(sys.stdin.buffer.read(), "standard input")
    elif os.path.isdir(file):
        raise CatherdError(
            "is a directory", where=file, fix="name a file, or - for standard input"
        )
    else:
        try:
            text = yaml_read.text_of(file, limit=LIMIT)
        except FileNotFoundError:
            raise CatherdError(
                "is not there",
                where=file,
                fix="name a file that is, or - for standard input",
            ) from None
    out, code = count_text(text, "standard input" if file == "-" else file)
    click.echo(out, nl=False)
    sys.exit(code)


@click.command()
def schemas() -> None:
    """Write templates/schemas/, by which an editor checks what you type."""
    from catherd.bus.schemas import write_schemas
    from catherd.game import lifecycle

    for path in write_schemas(lifecycle.workspace(os.getcwd())):
        click.echo(path)


@click.command()
@click.argument("folder", type=click.Path(), default=".")
def init(folder: str) -> None:
    """Lay the files of a game into FOLDER, a new or an existing repository; nothing is overwritten."""
    from catherd.git import workspace

    laid = workspace.init_workspace(folder)
    kept = f"{len(laid.kept)} {'was' if len(laid.kept) == 1 else 'were'} there already"
    click.echo(f"{folder}: {len(laid.made)} files laid, {kept}")
    if laid.commit:
        click.echo(f"first commit: {laid.commit}")
    for line in laid.todo:
        click.echo(f"yours to do: {line}")
    click.echo(
        f"next: cd '{folder}' && make debate" if folder != "." else "next: make debate"
    )


@click.group()
def bus() -> None:
    """The bus as git keeps it: every gate saves it to refs/catherd/bus."""


@bus.command()
@click.argument("path", default="")
@click.option(
    "--from",
    "ref",
    default="",
    help="another snapshot: refs/catherd/games/<id>, or a commit",
)
@click.option("--overwrite", is_flag=True, help="also write over files that are there")
def restore(path: str, ref: str, *, overwrite: bool) -> None:
    """Write back what is missing from bus/ (all, or PATH and what is below it); a file that is there stays as it is."""
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
    if (
        not told and "goal" in written and back.closed(back.goal())
    ):  # it was reached: nobody is on the way there
        atomic.remove(back.path, "goal")
        written.remove("goal")
    for name in written:
        click.echo(f"bus/{name}")
    if not written:
        click.echo("nothing is missing")


@bus.command()
def log() -> None:
    """The snapshots of this bus, newest first."""
    from catherd.game import lifecycle
    from catherd.git import bus_ref

    for sha, subject in bus_ref.history(lifecycle.workspace(os.getcwd())):
        click.echo(f"{sha[:12]} {subject}")


@click.command()
def doctor() -> None:
    """What this machine lacks, with a fix to paste; LIVE=1 tries each model, and exits 1 where something is wrong."""
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

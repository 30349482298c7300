"""What needs no game: counting any election, and what a workspace is made of."""

import os
import sys

import click

from catherd.errors import CatherdError


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
def count(file: str) -> None:
    """Count any election with the code that counts the debate (FILE or -)."""
    from catherd import yamldoor
    from catherd.count import LIMIT, count_text

    if file == "-":
        text = sys.stdin.read()
    else:
        try:
            text = yamldoor.text_of(file, limit=LIMIT)
        except FileNotFoundError:
            raise CatherdError("is not there", where=file, fix="name a file that is, or - for standard input") from None
    out, code = count_text(text, "standard input" if file == "-" else file)
    click.echo(out, nl=False)
    sys.exit(code)


@click.command()
def schemas() -> None:
    """Write templates/schemas/, by which an editor checks what you type."""
    from catherd import game
    from catherd.schemas import write

    for path in write(game.workspace(os.getcwd())):
        click.echo(path)


COMMANDS = (count, schemas)

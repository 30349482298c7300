"""The door: one click group, thin. `make` is how people come in; every target calls one of these.

Exit codes: 0 done, 1 your mistake, 3 ours (with a log to paste), 75 a human must choose, 130 ^C; make reports any as 2.
"""

import os
import sys
import traceback
from typing import Any

import click

from catherd import __version__
from catherd.doors import app, herding, people, pulls, steps, tools
from catherd.errors import CatherdError, NeedsYou


class _Group(click.Group):
    """Turns every failure into the exit code and the words that are promised."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NeedsYou as error:
            _needs_you(error)
            ctx.exit(error.exit)
        except CatherdError as error:
            click.echo(f"catherd: {error}", err=True)
            ctx.exit(error.exit)
        except KeyboardInterrupt:
            ctx.exit(130)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            _ours(error)
            ctx.exit(3)


def _needs_you(error: NeedsYou) -> None:
    from catherd import game

    try:
        from catherd.bus import Bus

        game.clear_goal(Bus(game.workspace(os.getcwd())), "a person is needed")
    except (CatherdError, OSError):
        pass
    click.echo(f"catherd: needs you: {error}", err=True)


def _ours(error: Exception) -> None:
    lines = "".join(traceback.format_exception(error))
    path = os.path.join(".catherd", "crash.log")
    try:
        os.makedirs(".catherd", exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"catherd {__version__}, Python {sys.version}\n{lines}")
    except OSError:
        path = ""
    click.echo(f"catherd: this is our fault: {type(error).__name__}: {error}", err=True)
    click.echo(f"  fix: paste {path} into a bug report" if path else lines, err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="catherd")
def main() -> None:
    """Several AI agents, one git repo, a folder of YAML files for a bus, and Make for a clock."""


for _command in (*app.COMMANDS, *steps.COMMANDS, *herding.COMMANDS, *people.COMMANDS, *pulls.COMMANDS, *tools.COMMANDS):
    main.add_command(_command)

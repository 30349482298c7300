"""The program `catherd`: one click group with every command.

People come in by `make`, and every target calls one of these. Exit codes: 0 done, 1
your mistake, 3 ours (with a log to paste), 75 a person must choose, 130 ^C, 141 nobody
reads what a step of a goal says. make reports any of them as 2.
"""

import os
import select
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from catherd import __version__
from catherd.cli import app, herding, people, pull_requests, standalone, steps
from catherd.core.errors import CatherdError, NeedsYou

if TYPE_CHECKING:
    from catherd.bus.store import Bus

STEPS = {command.name for command in steps.COMMANDS}


class _Group(click.Group):
    """Turns every failure into the exit code and the words that are promised."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _usage():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _usage():
                done = super().invoke(ctx)
                sys.stdout.flush()
        except NeedsYou as error:
            _needs_you(error, step=ctx.invoked_subcommand in STEPS)
            ctx.exit(error.exit)
        except CatherdError as error:
            click.echo(f"catherd: {error}", err=True)
            ctx.exit(error.exit)
        except KeyboardInterrupt:
            ctx.exit(130)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _unread():
                # `make status | head -1` is done. A step that nobody reads is not: it
                # has not closed its gate.
                ctx.exit(141 if ctx.invoked_subcommand in STEPS else 0)

            _ours(error)
            ctx.exit(3)

        return done


@contextmanager
def _usage() -> Iterator[None]:
    """What click refuses is your mistake, told as every other."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        raise click.exceptions.Exit(1) from None
    except click.UsageError as error:
        what = error.format_message().removesuffix(".")
        typed = error.ctx.command_path if error.ctx else "catherd"
        told = CatherdError(what, where=typed, fix=f".venv/bin/{typed} --help")
        click.echo(f"catherd: {told}", err=True)
        raise click.exceptions.Exit(1) from None


def _unread() -> bool:
    """Whether standard output is a pipe whose reader left.

    What is still to be said then goes nowhere.
    """
    poll = select.poll()
    poll.register(1, 0)
    if not any(event & select.POLLERR for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return True


def _needs_you(error: NeedsYou, *, step: bool) -> None:
    """The goal waits for you: clear it, and say what for.

    Of a step, `make status` says it, too, until the goal is typed again.
    """
    from catherd.bus.store import Bus
    from catherd.game import lifecycle

    try:
        bus = Bus(lifecycle.workspace(os.getcwd()))
        if step and not _told_already(bus, error):
            bus.trouble("goal", error.where, error.what, error.fix)
        lifecycle.clear_goal(bus, "a person is needed")
    except (CatherdError, OSError):
        pass

    click.echo(f"catherd: needs you: {error}", err=True)


def _told_already(bus: "Bus", error: NeedsYou) -> bool:
    """Whether `make status` says it without our help."""
    from catherd.bus.store import TIEBREAK

    if error.where in {f"bus/{TIEBREAK}", "bus/claims/blocked/"}:
        return True
    return any(one.what == error.what for one in bus.troubles())


def _ours(error: Exception) -> None:
    """The failure is a bug of ours: write the log that is to be pasted."""
    lines = "".join(traceback.format_exception(error))
    path = os.path.join(".catherd", "crash.log")
    try:
        os.makedirs(".catherd", exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"catherd {__version__}, Python {sys.version}\n{lines}")
    except OSError:
        path = ""

    click.echo(f"catherd: this is our fault: {type(error).__name__}: {error}", err=True)
    if path:
        click.echo(f"  fix: paste {path} into a bug report", err=True)
    else:
        click.echo(lines, err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="catherd")
def main() -> None:
    """Several AI agents build an app together in one git repo.

    A folder of YAML files is their bus, and Make is the pipeline. `make help` lists
    what you type. These are the commands behind it.
    """


for _command in (
    *app.COMMANDS,
    *steps.COMMANDS,
    *herding.COMMANDS,
    *people.COMMANDS,
    *pull_requests.COMMANDS,
    *standalone.COMMANDS,
):
    main.add_command(_command)

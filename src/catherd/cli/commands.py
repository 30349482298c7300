"""The door: one click group, thin. `make` is how people come in; every target calls one of these.

Exit codes: 0 done, 1 your mistake, 3 ours (with a log to paste), 75 a human must choose, 130 ^C, 141 nobody reads what a
step of a goal says; make reports any as 2.
"""

import os
import select
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from catherd import __version__
from catherd.cli import app, herding, people, pull_requests, standalone, steps
from catherd.core.errors import CatherdError, NeedsYou

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
            if (
                isinstance(error, BrokenPipeError) and _unread()
            ):  # `make status | head -1`; a step that nobody reads has not closed its gate
                ctx.exit(141 if ctx.invoked_subcommand in STEPS else 0)
            _ours(error)
            ctx.exit(3)
        return done


@contextmanager
def _usage() -> Iterator[None]:
    """What click refuses is your mistake, told as every other."""
    try:
        yield
    except click.UsageError as error:
        what = error.format_message()
        if not isinstance(error, click.exceptions.NoArgsIsHelpError):
            typed = error.ctx.command_path if error.ctx else "catherd"
            what = f"catherd: {CatherdError(what.removesuffix('.'), where=typed, fix=f'.venv/bin/{typed} --help')}"
        click.echo(what, err=True)
        raise click.exceptions.Exit(1) from None


def _unread() -> bool:
    """Whether standard output is a pipe whose reader left; what is still to be said then goes nowhere."""
    poll = select.poll()
    poll.register(1, 0)
    if not any(event & select.POLLERR for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return True


def _needs_you(error: NeedsYou, *, step: bool) -> None:
    """The goal waits for you: `make status` says for what until it is typed again, unless it says so already."""
    from catherd.game import lifecycle

    try:
        from catherd.bus.store import TIEBREAK, Bus

        bus = Bus(lifecycle.workspace(os.getcwd()))
        known = {one.what for one in bus.troubles()} if step else set()
        if (
            step
            and error.what not in known
            and error.where not in {f"bus/{TIEBREAK}", "bus/claims/blocked/"}
        ):
            bus.trouble("goal", error.where, error.what, error.fix)
        lifecycle.clear_goal(bus, "a person is needed")
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


for _command in (
    *app.COMMANDS,
    *steps.COMMANDS,
    *herding.COMMANDS,
    *people.COMMANDS,
    *pull_requests.COMMANDS,
    *standalone.COMMANDS,
):
    main.add_command(_command)

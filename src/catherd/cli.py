"""The door: one click group, thin. `make` is how people come in; every target calls one of these.

Exit codes: 0 done, 1 your mistake, 3 ours (with a log to paste), 75 a human must choose, 130 ^C; make reports any as 2.
"""

import os
import sys
import traceback
from typing import Any

import click

from catherd import __version__
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


@main.command()
@click.argument("goal")
@click.option("--dry", is_flag=True, help="only look, as under make -n")
def begin(goal: str, *, dry: bool) -> None:
    """What `make GOAL` does before the gates: look, mend, begin a game, wake the herd."""
    from catherd import game

    begun = game.begin(
        game.workspace(os.getcwd()),
        goal,
        brief=os.environ.get("CATHERD_BRIEF", ""),
        live=_on("LIVE"),
        step=_on("STEP"),
        dry=dry,
    )
    for line in begun.lines:
        click.echo(line)


@main.command()
@click.argument("name")
def gate(name: str) -> None:
    """Close one gate, or follow whoever is closing it."""
    from catherd import crank, game

    root = game.workspace(os.getcwd())
    teller = _teller(root)
    try:
        crank.turn(root, name, teller)
    except KeyboardInterrupt:
        from catherd.bus import Bus

        game.clear_goal(Bus(root), "^C")
        teller.line("stopped; the same command goes on from here")
        raise
    except NeedsYou:
        teller.bell()
        raise


@main.command()
@click.argument("goal")
def finish(goal: str) -> None:
    """What `make GOAL` does after the last gate: the goal is reached, the herd may leave."""
    from catherd import game

    root = game.workspace(os.getcwd())
    found, undo = game.finish(root, goal)
    teller = _teller(root)
    for line in _last_lines(goal, found, undo):
        teller.line(line)
    teller.bell()


def _last_lines(goal: str, found: Any, undo: str) -> list[str]:
    lines = [f"{goal}: done"]
    if found is not None and found.models == "rehearsal":
        lines.append("rehearsal: no model was called. To play for real: set your keys, then make debate LIVE=1")
    if undo:
        lines.append(f"undo: {undo}")
    return lines


def _teller(root: str) -> Any:
    from catherd import config
    from catherd.bus import Bus
    from catherd.tell import Teller

    game = Bus(root).game() if os.path.isdir(os.path.join(root, "bus")) else None
    names = {name: agent.name for name, agent in config.agents(root).items()}
    return Teller(names, rehearsal=game is None or game.models == "rehearsal")


@main.command()
@click.argument("file")
def agent(file: str) -> None:
    """Be the daemon of the agent in FILE."""
    from catherd import agent as daemon
    from catherd import game

    here = os.path.dirname(os.path.abspath(file))
    root = game.workspace(os.path.dirname(here) if os.path.basename(here) == "agents" else os.getcwd())
    os.chdir(root)
    sys.exit(daemon.main(root, os.path.relpath(os.path.join(here, os.path.basename(file)), root)))


@main.command()
def up() -> None:
    """Start one daemon per agents/*.yaml; those that run are left alone."""
    from catherd import config, game, herd
    from catherd.bus import Bus

    root = game.workspace(os.getcwd())
    bus = Bus(root)
    game.lay(bus)
    begun = herd.Herd(bus, config.agents(root)).look()
    click.echo(f"started: {', '.join(begun)}" if begun else "all are running")


@main.command()
def down() -> None:
    """Stop the herd; what was in flight is gone on with next time."""
    from catherd import game, herd
    from catherd.bus import Bus

    bus = Bus(game.workspace(os.getcwd()))
    game.clear_goal(bus, "down")
    stopped = herd.down(bus)
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "none was running")


@main.command()
def go() -> None:
    """Close the gate that STEP=1 holds."""
    from catherd import game

    game.go(game.workspace(os.getcwd()))


@main.command()
def new() -> None:
    """Put this game away (bus/archive/ and refs/catherd/games/) so that another can begin."""
    from catherd import game

    put = game.archive(game.workspace(os.getcwd()))
    click.echo(f"put away: {put}; its bus is refs/catherd/games/{put}" if put else "no game is on")


@main.command()
def status() -> None:
    """One screen: what needs you first."""
    from catherd import game
    from catherd.status import lines

    for line in lines(game.workspace(os.getcwd())):
        click.echo(line)


@main.command()
def chat() -> None:
    """Follow the group chat; piped, print it and stop."""
    from catherd import game, talk

    root = game.workspace(os.getcwd())
    teller = _teller(root)
    teller.pace = 0.0
    talk.follow(root, teller)


@main.command()
@click.option("--to", default="", envvar="TO", help="the agent that should answer")
@click.option("--binding", is_flag=True, help="a constraint that every later ask carries")
def say(to: str, *, binding: bool) -> None:
    """Talk to the herd: CATHERD_MSG (make say MSG=…), or standard input."""
    from catherd import game, talk

    text = os.environ.get("CATHERD_MSG", "")
    if not text:
        text = sys.stdin.read()
    click.echo(talk.say(game.workspace(os.getcwd()), text, to=to, binding=binding or _on("BINDING")))


@main.command()
def ballot() -> None:
    """Put your ballot where it counts, as a form to fill in."""
    from catherd import config, election, game
    from catherd.bus import OPEN, Bus
    from catherd.messages import Ask

    root = game.workspace(os.getcwd())
    bus = Bus(root)
    step = next(g.step for phase in config.phases(root).values() for g in phase.gates.values() if g.kind == "ballot")
    ask = bus.get(f"{step}/{OPEN}", Ask)
    if ask is None:
        raise CatherdError("the ballots are not open yet", where=f"bus/{step}/", fix="make ballots goes on to them")
    click.echo(f"bus/{election.form(bus, ask)}")


@main.command()
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


def _on(name: str) -> bool:
    return os.environ.get(name, "") not in {"", "0", "no", "false"}

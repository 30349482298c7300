"""Pull requests, the design document, and what leaves the machine."""

import os
import shlex
import sys
from collections import Counter
from typing import TYPE_CHECKING, Literal

import click

from catherd.core.errors import CatherdError

if TYPE_CHECKING:
    from catherd.design.checks import Finding


@click.command()
def prs() -> None:
    """List the pull requests, one a line."""
    from catherd.game import lifecycle
    from catherd.pulls import verdicts

    for line in verdicts.list_pulls(lifecycle.workspace(os.getcwd())):
        click.echo(line)


@click.command()
@click.argument("number", envvar="N")
def pr(number: str) -> None:
    """Show one pull request with its checks, reviews and diff."""
    from catherd.game import lifecycle
    from catherd.pulls import verdicts

    for line in verdicts.pull_lines(lifecycle.workspace(os.getcwd()), number):
        click.echo(line)


@click.command()
@click.argument("number", envvar="N")
def approve(number: str) -> None:
    """Approve a pull request as it is now.

    It goes to main though others object.
    """
    _decide(number, "approve")


@click.command()
@click.argument("number", envvar="N")
def changes(number: str) -> None:
    """Ask for changes in a pull request.

    CATHERD_MSG (make changes N=3 MSG=…) says which.
    """
    _decide(number, "changes")


def _decide(number: str, verdict: Literal["approve", "changes"]) -> None:
    from catherd.game import lifecycle
    from catherd.pulls import verdicts

    root = lifecycle.workspace(os.getcwd())
    words = os.environ.get("CATHERD_MSG", "")
    click.echo(verdicts.decide_pull(root, number, verdict, words))


@click.command()
@click.argument("rev", default="")
def audit(rev: str) -> None:
    """Prove that every merge on REV was reviewed and green.

    Git alone is asked. REV is your branch if you name none. The exit code is 1 where a
    proof is missing.
    """
    from catherd.git import merge, run
    from catherd.pulls import audits

    found, merges = audits.audit_branch(run.root(os.getcwd()), rev)
    for one in found:
        click.echo(str(one))
    errors = len({one.path for one in found if one.severity == "error"})
    yours = sum(one.code == merge.MERGED for one in found)
    proved = f"{errors} commits without proof" if errors else "each proved"
    by_people = f"; {yours} more by people, not reviewed" if yours else ""
    click.echo(f"{merges} merges, {proved}{by_people}")
    sys.exit(1 if errors else 0)


@click.command()
@click.argument("path", default="docs/")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the findings as one JSON array."
)
def check(path: str, *, as_json: bool) -> None:
    """Check a design document, and tell findings like a compiler.

    The exit code is 1 when a finding is an error, or something could not be looked at.
    """
    from catherd.design import checks

    root, only = checks.place_of(path)
    ours = os.path.join(root, ".catherd")
    cache = os.path.join(ours, "checks") if os.path.isdir(ours) else None
    found = checks.check(root, only, cache)
    if as_json:
        click.echo(checks.to_json(found))
    else:
        _tell_findings(root, found)

    sys.exit(0 if checks.passes(found) else 1)


def _tell_findings(root: str, found: "list[Finding]") -> None:
    """The findings, and one line that counts them."""
    from catherd.design import checks

    for one in found:
        click.echo(str(one))
    documents = checks.list_documents(root)
    if not checks.designed(documents):
        what = "and no page: nothing to look at"
        if documents:
            what = "only pages: links and diagrams looked at"
        click.echo(f"no design document here, {what}")

    count = Counter(one.severity for one in found)
    click.echo(
        f"{count['error']} errors, {count['warning']} warnings, {count['unknown']} unknown"
    )


@click.command()
@click.argument("path", default="")
@click.option("--out", default="design.html", help="The file to write.")
def design(path: str, out: str) -> None:
    """Render the design document as one HTML file.

    It is the one on the game's branch, or the one below PATH. Below PATH the generated
    files are made anew.
    """
    from catherd.box import box_trees
    from catherd.bus.store import Bus
    from catherd.design import html as page
    from catherd.game import lifecycle
    from catherd.git import landing, objects, run

    if path:
        page.generate_all(path)
        page.render_design(path, out)
    else:
        root = lifecycle.workspace(os.getcwd())
        on_it = Bus(root).game()
        main = landing.tip(root, on_it.branch if on_it else run.head_branch(root))
        if not objects.list_tree(root, main, "docs/index.md"):
            raise CatherdError(
                "is not there", where=f"{main[:12]}:docs/index.md", fix="make plan"
            )

        with box_trees.scratch_directory("design") as folder:
            objects.export(root, main, folder)
            page.render_design(folder, out, os.path.join(root, ".catherd", "checks"))

    click.echo(os.path.abspath(out))


@click.command()
@click.option("--to", default="origin", help="The remote.")
def publish(to: str) -> None:
    """Push the game to a remote, after a look for secrets.

    Main goes, the open branches of the agents, and refs/catherd/*.
    """
    from catherd.game import lifecycle
    from catherd.game import publish as push

    root = lifecycle.workspace(os.getcwd())
    done = push.publish_game(root, to=to, seen=_words("SEEN"))
    pushed = len(done.refs) - len(done.refused)
    what = f"{pushed} refs, {done.objects} new objects looked through"
    click.echo(f"{done.url}: {what}")
    for line in done.refused:
        click.echo(f"refused: {line}")
    sys.exit(1 if done.refused else 0)


def _words(name: str) -> list[str]:
    """The words of a variable of the environment, quoted as for a shell."""
    try:
        return shlex.split(os.environ.get(name, ""))
    except ValueError as error:
        raise CatherdError(
            str(error).lower(), where=name, fix=f"make publish {name}='docs/x.md:12'"
        ) from None


@click.command()
def tidy() -> None:
    """Remove merged branches and archived games that git holds in full."""
    from catherd.game import lifecycle, tidying

    lines = tidying.tidy_game(lifecycle.workspace(os.getcwd()))
    for line in lines or ["nothing to tidy"]:
        click.echo(line)


COMMANDS = (prs, pr, approve, changes, audit, check, design, publish, tidy)

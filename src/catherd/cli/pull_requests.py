"""Pull requests, the design document, and what leaves the machine."""

import os
import shlex
import sys
from typing import Literal

import click

from catherd.core.errors import CatherdError


@click.command()
def prs() -> None:
    """The pull requests, one a line."""
    from catherd.game import lifecycle
    from catherd.pulls import verdicts

    for line in verdicts.list_pulls(lifecycle.workspace(os.getcwd())):
        click.echo(line)


@click.command()
@click.argument("number", envvar="N")
def pr(number: str) -> None:
    """One pull request: how it stands, its checks, its reviews, its diff."""
    from catherd.game import lifecycle
    from catherd.pulls import verdicts

    for line in verdicts.pull_lines(lifecycle.workspace(os.getcwd()), number):
        click.echo(line)


@click.command()
@click.argument("number", envvar="N")
def approve(number: str) -> None:
    """Approve a pull request as it is now: it goes to main though others object."""
    _decide(number, "approve")


@click.command()
@click.argument("number", envvar="N")
def changes(number: str) -> None:
    """Ask for changes in a pull request: CATHERD_MSG (make changes N=3 MSG=…) says which."""
    _decide(number, "changes")


def _decide(number: str, verdict: Literal["approve", "changes"]) -> None:
    from catherd.game import lifecycle
    from catherd.pulls import verdicts

    click.echo(
        verdicts.decide_pull(
            lifecycle.workspace(os.getcwd()),
            number,
            verdict,
            os.environ.get("CATHERD_MSG", ""),
        )
    )


@click.command()
@click.argument("rev", default="")
def audit(rev: str) -> None:
    """Prove from git alone that every merge on REV (your branch) had its reviews and its green checks."""
    from catherd.git import merge, run
    from catherd.pulls import audits

    found, merges = audits.audit_branch(run.root(os.getcwd()), rev)
    for one in found:
        click.echo(str(one))
    errors = len({one.path for one in found if one.severity == "error"})
    yours = sum(one.code == merge.MERGED for one in found)
    proved = f"{errors} commits without proof" if errors else "each proved"
    click.echo(
        f"{merges} merges, {proved}"
        + (f"; {yours} more by people, not reviewed" if yours else "")
    )
    sys.exit(1 if errors else 0)


@click.command()
@click.argument("path", default="docs/")
@click.option("--json", "as_json", is_flag=True, help="one JSON array")
def check(path: str, *, as_json: bool) -> None:
    """Check a design document: findings like a compiler's; 1 when one is an error or could not be looked at."""
    from catherd.design import checks

    root, only = checks.place_of(path)
    cache = (
        os.path.join(root, ".catherd", "checks")
        if os.path.isdir(os.path.join(root, ".catherd"))
        else None
    )
    found = checks.check(root, only, cache)
    if as_json:
        click.echo(checks.to_json(found))
    else:
        for one in found:
            click.echo(str(one))
        if not checks.designed(paths := checks.list_documents(root)):
            what = (
                "only pages: links and diagrams looked at"
                if paths
                else "and no page: nothing to look at"
            )
            click.echo(f"no design document here, {what}")
        counts = {
            kind: sum(one.severity == kind for one in found)
            for kind in ("error", "unknown", "warning")
        }
        click.echo(
            f"{counts['error']} errors, {counts['warning']} warnings, {counts['unknown']} unknown"
        )
    sys.exit(0 if checks.passes(found) else 1)


@click.command()
@click.argument("path", default="")
@click.option("--out", default="design.html", help="the file to write")
def design(path: str, out: str) -> None:
    """Render the design document on the game's branch as one HTML file (or that below PATH, its generated files made anew)."""
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
@click.option("--to", default="origin", help="the remote")
def publish(to: str) -> None:
    """Push main, the agents' open branches and refs/catherd/* to origin, after a look for secrets."""
    from catherd.game import lifecycle
    from catherd.game import publish as push

    done = push.publish_game(
        lifecycle.workspace(os.getcwd()), to=to, seen=_words("SEEN")
    )
    click.echo(
        f"{done.url}: {len(done.refs) - len(done.refused)} refs, {done.objects} new objects looked through"
    )
    for line in done.refused:
        click.echo(f"refused: {line}")
    sys.exit(1 if done.refused else 0)


def _words(name: str) -> list[str]:
    """A variable's words, quoted as a shell would have them."""
    try:
        return shlex.split(os.environ.get(name, ""))
    except ValueError as error:
        raise CatherdError(
            str(error).lower(), where=name, fix=f"make publish {name}='docs/x.md:12'"
        ) from None


@click.command()
def tidy() -> None:
    """Remove merged branches and archived games that git holds in full."""
    from catherd.game import lifecycle
    from catherd.git import tidying

    for line in tidying.tidy_game(lifecycle.workspace(os.getcwd())) or [
        "nothing to tidy"
    ]:
        click.echo(line)


COMMANDS = (prs, pr, approve, changes, audit, check, design, publish, tidy)

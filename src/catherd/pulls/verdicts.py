"""Pull requests for a person: the list, one of them with its diff, and your own verdict
on it.

Everything that an agent wrote is stripped of what a terminal would obey. Your verdict
is a review like any other, at `prs/PR-0003/reviews/<head12>.human.yaml`. To write that
file by hand does the same.
"""

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from catherd.bus import atomic, config, yaml_write
from catherd.bus.narrator import cut_line, terminal_text
from catherd.bus.store import Bus, now
from catherd.core.errors import CatherdError
from catherd.core.merge_rules import Stand, stand, wanted
from catherd.core.messages import FORMAT, Base, Game
from catherd.core.tasks import Check, Closed, Head, Merged, Opinion, Pr, Review, View
from catherd.git import landing, merge, objects, pr_rules
from catherd.git.run import git, rev
from catherd.pulls import pr_files
from catherd.pulls.board import Desk

WIDTH = 80
M = TypeVar("M", bound=Base)


class PullTable(msgspec.Struct, frozen=True):
    """A game's pull requests as a person looks at them. `vendors`: agent → vendor."""

    bus: Bus
    game: Game
    desk: Desk
    vendors: dict[str, str]

    def stand(self, view: View) -> Stand:
        """How a PR stands."""
        return stand(view, self.game.roll, self.vendors)

    def main(self) -> str:
        """The commit at the tip of the game's branch."""
        return landing.tip(self.bus.root, self.game.branch)

    def state(self, view: View) -> str:
        """Merged, closed or open."""
        if pr_files.is_merged(self.bus, view.name):
            return "merged"
        return "closed" if pr_files.is_over(self.bus, view.name) else "open"


def list_pulls(root: str) -> list[str]:
    """One line a pull request, at most `WIDTH` columns where names allow.

    It has the name, state, author, task, approvals (and whether you overrode), checks
    and title.
    """
    table = _table(root)
    rows = []
    for name in table.bus.names("prs"):
        view = table.desk.view(name)
        if view is not None:
            rows.append(_row(table, view))
            continue

        fault = _fault(table.bus, name)
        if fault is not None:
            told = terminal_text(fault.what)
            rows.append(f"{name}  cannot be read: {fault.where}: {told}")

    return rows or ["no pull request yet"]


def _row(table: PullTable, view: View) -> str:
    pr, how = view.pr, table.stand(view)
    state = table.state(view)

    verdicts = {check.verdict for check in _checks(table, view)}
    checks = ", ".join(sorted(verdicts)) or "not checked"
    if how.overrides:
        checks = f"by you, {checks:<11}"

    approvals = f"{len(how.approvals)}/{wanted(pr.author, table.game.roll)}"
    row = (
        f"{view.name}  {state:<8} {pr.author:<10} {pr.task:<15} "
        f"{approvals}  {checks:<11} "
    )
    room = max(10, WIDTH - 2 - len(row))
    return row + cut_line(terminal_text(pr.title), room)


def pull_lines(root: str, number: str) -> Iterator[str]:
    """One pull request in lines: its author, how it stands, what its checks found, the
    reviews, the diff.
    """
    table = _table(root)
    view = _view(table, number)
    yield f"{view.name}  {terminal_text(view.pr.title)}"
    yield from _standing(table, view)

    for check in _checks(table, view):
        yield f"check {check.check}: {check.verdict} on {check.tree[:12]} in {check.seconds:.1f} s"
        yield from _indented(check.findings)

    for who, review in sorted(view.reviews.items()):
        reader = "you" if who == "human" else who
        yield f"review by {reader}: {terminal_text(review.verdict)}"
        yield from _indented(_review_lines(review))

    yield ""
    yield from _diff(table, view).splitlines()


def _standing(table: PullTable, view: View) -> Iterator[str]:
    """Its state, head and approvals, what is due now, and what it needs."""
    how = table.stand(view)
    state = table.state(view)

    needed = wanted(view.pr.author, table.game.roll)
    told = f"{len(how.approvals)} of {needed} approvals"
    if how.overrides:
        told += ", overridden by you"

    yield f"{state}; {view.pr.branch} at {view.head[:12]}, {told}"

    if state == "open" and how.why:
        yield f"now: {terminal_text(how.why)}"

    if view.needs is not None:
        yield from _indented(view.needs.files)
        yield from _indented(view.needs.findings)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {terminal_text(line)}"


def _review_lines(review: Review) -> Iterator[str]:
    """Each note of a review with its place, then its text."""
    for note in review.notes:
        place = f"{note.file}:{note.line}: " if note.file else ""
        yield f"{place}{note.text}"
    if review.body:
        yield review.body


def decide_pull(root: str, number: str, verdict: Opinion, text: str) -> str:
    """Write your review, `approve` or `changes`, of the PR's head as git has it now.

    Gives its path from the root. A verdict of yours on the same head is replaced.
    Raises CatherdError for a PR that is none or over, or for changes that are not
    named.
    """
    table = _table(root)
    view = _view(table, number)
    bus, plain = table.bus, int(view.name[3:])
    if pr_files.is_over(bus, view.name):
        raise CatherdError(
            "is over; nothing is decided about it any more",
            where=f"bus/prs/{view.name}/",
            fix=f"make pr N={plain}",
        )
    if verdict == "changes" and not text.strip():
        raise CatherdError(
            "changes are asked for without saying which",
            where="MSG",
            fix=f"make changes N={plain} MSG='what and why'",
        )
    head = rev(root, f"refs/heads/{view.pr.branch}") or view.head
    path = f"prs/{view.name}/reviews/{head[:12]}.human.yaml"
    body = text.strip()[:2000]
    mine = Review(catherd=FORMAT, verdict=verdict, head=head, body=body, at=now())
    bus.by = "human"
    atomic.replace(bus.path, path, yaml_write.dumps(mine))
    bus.event("posted", path, verdict=verdict)
    return f"bus/{path}"


def _table(root: str) -> PullTable:
    """Raises CatherdError when no game is on."""
    bus = Bus(root)
    game = bus.game() if os.path.isdir(bus.path) else None
    if game is None:
        raise CatherdError(
            "no game is on", where="bus/game.yaml", fix="make plan begins one"
        )
    agents = config.agents(root)
    vendors = {name: agent.vendor for name, agent in agents.items()}
    return PullTable(bus, game, Desk(bus, agents), vendors)


def _view(table: PullTable, number: str) -> View:
    """The PR that a person means by `3` or `PR-0003`. Raises CatherdError where there is none."""
    digits = number.upper().removeprefix("PR-")
    if digits.isdecimal():
        name = f"PR-{int(digits):04d}"
        view = table.desk.view(name)
        if view is not None:
            return view
        fault = _fault(table.bus, name)
        if fault is not None:
            raise fault

    numbers = [name[3:] for name in table.bus.names("prs")]
    known = ", ".join(str(int(one)) for one in numbers if one.isdecimal())
    raise CatherdError(
        f"there is no pull request '{terminal_text(number)}'",
        where="N",
        fix=f"one of: {known or 'none yet'}",
    )


def _fault(bus: Bus, name: str) -> CatherdError | None:
    """Why a PR cannot be read.

    None where it is none, or its author has not finished opening it.
    """
    for file in bus.names(f"prs/{name}"):
        try:
            if file == "pr.yaml":
                bus.get(f"prs/{name}/{file}", Pr)
            elif file.startswith("head-"):
                bus.get(f"prs/{name}/{file}", Head)
        except CatherdError as error:
            return error

    return None


def _checks(table: PullTable, view: View) -> list[Check]:
    """The verdicts on the tree that it was merged as, or would be merged as now."""
    bus, root = table.bus, table.bus.root
    done = _there(bus, f"prs/{view.name}/merged.yaml", Merged)
    if done is not None:
        tree = git(root, "rev-parse", f"{done.commit}^{{tree}}")
    elif rev(root, view.head):
        tree = objects.merge_tree(root, table.main(), view.head).tree
    else:
        return []

    about = f"{tree[:12]}-"
    files = [name for name in bus.names("ci") if name.startswith(about)]
    found = [bus.look(f"ci/{name}", Check) for name in files]
    return [one for one in found if one is not None]


def _there(bus: Bus, path: str, kind: type[M]) -> M | None:
    """The message at `path` if one is there and can be read."""
    return bus.look(path, kind) if bus.there(path) else None


def _diff(table: PullTable, view: View) -> str:
    """What it changed, or changes; why it was closed; or that its head is not here."""
    root = table.bus.root
    closed = _there(table.bus, f"prs/{view.name}/closed.yaml", Closed)
    if closed is not None and closed.why:
        return terminal_text(closed.why)

    done = merge.merged(root, view.name)
    if done:
        return pr_rules.diff(root, f"{done}^1", done)

    if not rev(root, view.head):
        return f"its head {view.head[:12]} is not in this repository"
    base = git(root, "merge-base", table.main(), view.head)
    return pr_rules.diff(root, base, view.head)

"""Pull requests for a person: the list, one of them with its diff, checks and reviews, and your own verdict on it.

Everything that an agent wrote is stripped of what a terminal would obey. Your verdict is a review like any other, at
`prs/PR-0003/reviews/<head12>.human.yaml`; writing that file by hand does the same.
"""

import os
from collections.abc import Iterator

from catherd.bus import atomic, config, yaml_write
from catherd.bus.narrator import cut_line, terminal_text
from catherd.bus.store import Bus, now
from catherd.core.errors import CatherdError
from catherd.core.merge_rules import stand, wanted
from catherd.core.messages import FORMAT, Game
from catherd.core.tasks import Check, Closed, Head, Merged, Opinion, Pr, Review, View
from catherd.git import landing, merge, objects, pr_rules
from catherd.git.run import git, rev
from catherd.pulls.board import Desk

WIDTH = 80


def list_pulls(root: str) -> list[str]:
    """One line a pull request, at most `WIDTH` columns where names allow: name, state, author, task, approvals (and whether
    you overrode), checks, title.
    """
    bus, game, desk, vendors = _table(root)
    rows = []
    for name in bus.names("prs"):
        view = desk.view(name)
        if view is None:
            fault = _fault(bus, name)
            rows += (
                [f"{name}  cannot be read: {fault.where}: {terminal_text(fault.what)}"]
                if fault
                else []
            )
            continue
        pr = view.pr
        state, approvals = _state(bus, game, view, vendors)
        checks = (
            ", ".join(sorted({one.verdict for one in _checks(bus, game, view)}))
            or "not checked"
        )
        yours = "by you, " if stand(view, game.roll, vendors).overrides else ""
        row = f"{name}  {state:<8} {pr.author:<10} {pr.task:<15} {approvals}/{wanted(pr.author, game.roll)}  {yours}{checks:<11} "
        rows.append(
            row + cut_line(terminal_text(pr.title), max(10, WIDTH - 2 - len(row)))
        )
    return rows or ["no pull request yet"]


def pull_lines(root: str, number: str) -> Iterator[str]:
    """One pull request in lines: who, how it stands, what its checks found, the reviews, the diff."""
    bus, game, desk, vendors = _table(root)
    view = _view(bus, desk, number)
    state, approvals = _state(bus, game, view, vendors)
    how = stand(view, game.roll, vendors)
    yield f"{view.name}  {terminal_text(view.pr.title)}"
    yours = ", overridden by you" if how.overrides else ""
    yield f"{state}; {view.pr.branch} at {view.head[:12]}, {approvals} of {wanted(view.pr.author, game.roll)} approvals{yours}"
    if state == "open" and how.why:
        yield f"now: {terminal_text(how.why)}"
    if view.needs is not None:
        yield from (
            f"  {terminal_text(line)}"
            for line in [*view.needs.files, *view.needs.findings]
        )
    for check in _checks(bus, game, view):
        yield f"check {check.check}: {check.verdict} on {check.tree[:12]} in {check.seconds:.1f} s"
        yield from (f"  {terminal_text(line)}" for line in check.findings)
    for who, review in sorted(view.reviews.items()):
        yield f"review by {'you' if who == 'human' else who}: {terminal_text(review.verdict)}"
        notes = [
            f"{one.file}:{one.line}: {one.text}" if one.file else one.text
            for one in review.notes
        ]
        yield from (
            f"  {terminal_text(line)}"
            for line in [*notes, *([review.body] if review.body else [])]
        )
    yield ""
    yield from _diff(bus, game, view).splitlines()


def decide_pull(root: str, number: str, verdict: Opinion, text: str) -> str:
    """Write your review, `approve` or `changes`, of the PR's head as git has it now; its path from the root.

    A verdict of yours on the same head is replaced. Raises CatherdError for a PR that is none or over, or changes unnamed.
    """
    bus, _, desk, _ = _table(root)
    view = _view(bus, desk, number)
    fix = f"make pr N={int(view.name[3:])}"
    if bus.there(f"prs/{view.name}/merged.yaml") or bus.there(
        f"prs/{view.name}/closed.yaml"
    ):
        raise CatherdError(
            "is over; nothing is decided about it any more",
            where=f"bus/prs/{view.name}/",
            fix=fix,
        )
    if verdict == "changes" and not text.strip():
        what = "changes are asked for without saying which"
        raise CatherdError(
            what,
            where="MSG",
            fix=f"make changes N={int(view.name[3:])} MSG='what and why'",
        )
    head = rev(root, f"refs/heads/{view.pr.branch}") or view.head
    path = f"prs/{view.name}/reviews/{head[:12]}.human.yaml"
    mine = Review(
        catherd=FORMAT, verdict=verdict, head=head, body=text.strip()[:2000], at=now()
    )
    bus.by = "human"
    atomic.replace(bus.path, path, yaml_write.dumps(mine))
    bus.event("posted", path, verdict=verdict)
    return f"bus/{path}"


def _table(root: str) -> tuple[Bus, Game, Desk, dict[str, str]]:
    bus = Bus(root)
    game = bus.game() if os.path.isdir(bus.path) else None
    if game is None:
        raise CatherdError(
            "no game is on", where="bus/game.yaml", fix="make plan begins one"
        )
    agents = config.agents(root)
    return (
        bus,
        game,
        Desk(bus, agents),
        {name: agent.vendor for name, agent in agents.items()},
    )


def _view(bus: Bus, desk: Desk, number: str) -> View:
    digits = number.upper().removeprefix("PR-")
    name = f"PR-{int(digits):04d}" if digits.isdecimal() else ""
    view = desk.view(name) if name else None
    if view is None:
        if fault := _fault(bus, name) if name else None:
            raise fault
        known = ", ".join(
            str(int(n[3:])) for n in bus.names("prs") if n[3:].isdecimal()
        )
        raise CatherdError(
            f"there is no pull request '{terminal_text(number)}'",
            where="N",
            fix=f"one of: {known or 'none yet'}",
        )
    return view


def _fault(bus: Bus, name: str) -> CatherdError | None:
    """Why a PR cannot be read; None where it is none, or its author has not finished opening it."""
    for file in bus.names(f"prs/{name}"):
        try:
            if file == "pr.yaml":
                bus.get(f"prs/{name}/{file}", Pr)
            elif file.startswith("head-"):
                bus.get(f"prs/{name}/{file}", Head)
        except CatherdError as error:
            return error
    return None


def _state(
    bus: Bus, game: Game, view: View, vendors: dict[str, str]
) -> tuple[str, int]:
    how = stand(view, game.roll, vendors)
    state = "merged" if bus.there(f"prs/{view.name}/merged.yaml") else ""
    state = state or ("closed" if bus.there(f"prs/{view.name}/closed.yaml") else "open")
    return state, len(how.approvals)


def _checks(bus: Bus, game: Game, view: View) -> list[Check]:
    """The verdicts on the tree that it was merged as, or would be merged as now."""
    done = (
        bus.look(f"prs/{view.name}/merged.yaml", Merged)
        if bus.there(f"prs/{view.name}/merged.yaml")
        else None
    )
    if done is not None:
        tree = git(bus.root, "rev-parse", f"{done.commit}^{{tree}}")
    elif rev(bus.root, view.head):
        tree = objects.merge_tree(
            bus.root, landing.tip(bus.root, game.branch), view.head
        ).tree
    else:
        return []
    found = [
        bus.look(f"ci/{name}", Check)
        for name in bus.names("ci")
        if name.startswith(f"{tree[:12]}-")
    ]
    return [one for one in found if one is not None]


def _diff(bus: Bus, game: Game, view: View) -> str:
    root = bus.root
    closed = (
        bus.look(f"prs/{view.name}/closed.yaml", Closed)
        if bus.there(f"prs/{view.name}/closed.yaml")
        else None
    )
    if closed is not None and closed.why:
        return terminal_text(closed.why)
    done = merge.merged(root, view.name)
    if done:
        return pr_rules.diff(root, f"{done}^1", done)
    if not rev(root, view.head):
        return f"its head {view.head[:12]} is not in this repository"
    return pr_rules.diff(
        root,
        git(root, "merge-base", landing.tip(root, game.branch), view.head),
        view.head,
    )

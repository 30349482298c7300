"""When a pull request may merge, and who is asked to review it: the rules of docs/handbook/building.md, one function each.

`stand` walks `RULES` in their order. Conditions 2 to 4 of the handbook are found out by
the merge queue, which writes what does not hold into `needs-<head12>.yaml`.
"""

from collections.abc import Callable, Collection, Mapping

import msgspec

from catherd.core.tasks import Review, View

ROUNDS = 3  # heads at which changes were asked for before a person is called
HEADS = 8  # … and heads in all, whatever sent them back


class Stand(msgspec.Struct, frozen=True):
    """How a PR stands: `act` is merge, wait, revise or human, `why` says it in words.

    `approvals` are by whom, yours aside in `overrides`; `forged` reviews do not count.
    """

    act: str
    approvals: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    why: str = ""
    forged: tuple[str, ...] = ()


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules go by: the PR, the reviews of its head that count, and how many approvals it needs.

    `approvals` and `blocking` are the reviewers, sorted. `foreign` are the agents on
    the roll of another vendor than the author's.
    """

    view: View
    needed: int
    counted: Mapping[str, Review]
    approvals: tuple[str, ...]
    blocking: tuple[str, ...]
    foreign: frozenset[str]
    forged: tuple[str, ...]

    def stands(self, act: str, why: str = "") -> Stand:
        """The verdict of a rule."""
        return Stand(act, self.approvals, why=why, forged=self.forged)

    def waits(self) -> Stand:
        """The verdict of a rule that asks for another review."""
        count = len(self.approvals)
        return self.stands("wait", f"{count} of {self.needed} approvals")


def wanted(author: str, roll: Collection[str]) -> int:
    """Approvals that a PR needs: two, or all others where there are fewer."""
    return min(2, len([name for name in roll if name != author]))


def stand(view: View, roll: Collection[str], vendors: Mapping[str, str]) -> Stand:
    """Whether an open PR may merge: what the first rule says that is not content."""
    case = _case(view, roll, vendors)
    for rule in RULES:
        verdict = rule(case)
        if verdict is not None:
            return verdict
    return case.stands("merge")


def _case(view: View, roll: Collection[str], vendors: Mapping[str, str]) -> Case:
    forged = {
        who: review
        for who, review in view.reviews.items()
        if not _counts(who, review, view, roll)
    }
    counted = {who: view.reviews[who] for who in sorted(view.reviews.keys() - forged)}
    approving = (who for who, one in counted.items() if one.verdict == "approve")
    approvals = tuple(approving)

    return Case(
        view=view,
        needed=wanted(view.pr.author, roll),
        counted=counted,
        approvals=approvals,
        blocking=tuple(who for who in counted if who not in approvals),
        foreign=_foreign(view.pr.author, roll, vendors),
        forged=tuple(sorted(forged)),
    )


def _counts(who: str, review: Review, view: View, roll: Collection[str]) -> bool:
    """A review counts for exactly the head that it saw, and never the author's own."""
    invited = who in roll or who == "human"
    return invited and who != view.pr.author and review.head == view.head


def _foreign(
    author: str, roll: Collection[str], vendors: Mapping[str, str]
) -> frozenset[str]:
    own = vendors.get(author, "")
    others = (name for name in roll if name != author)
    return frozenset(name for name in others if vendors.get(name, "") != own)


# The rules: None where the rule is content.


def _you_approved(case: Case) -> Stand | None:
    """“`make approve N=7`”: your approval overrides objections, but no conflict and no red check."""
    view = case.view
    if "human" not in case.approvals:
        return None
    if view.needs is not None and not view.needs.yours:
        return None
    others = tuple(name for name in case.approvals if name != "human")
    return Stand("merge", others, ("human",), forged=case.forged)


def _conditions_2_to_4(case: Case) -> Stand | None:
    """“If a condition does not hold, the pull request goes back to the author.”"""
    needs = case.view.needs
    return None if needs is None else _back(case, needs.why)


def _changes_are_asked_for(case: Case) -> Stand | None:
    """“… every reviewer that asked for changes”: it goes back once all have looked, or at your word."""
    complete = len(case.counted) >= case.needed or "human" in case.blocking
    if not case.blocking or not complete:
        return None
    names = ["you" if who == "human" else who for who in case.blocking]
    return _back(case, f"{' and '.join(names)} asked for changes")


def _back(case: Case, why: str) -> Stand:
    """“After three heads with objections you are called.” Before that, the author works on it."""
    view = case.view
    if view.rejected >= ROUNDS or view.heads >= HEADS:
        return case.stands("human", f"no agreement after {view.heads} rounds: {why}")
    return case.stands("revise", why)


def _nobody_else_can_review(case: Case) -> Stand | None:
    """“All others if there are fewer”: where there are none, your approval is the one that is needed."""
    if case.needed:
        return None
    return case.stands("human", "nobody else can review it: your approval is needed")


def _you_look_again(case: Case) -> Stand | None:
    """“Every reviewer that asked for changes has looked again”: you too."""
    if "human" not in case.view.objectors or "human" in case.counted:
        return None
    return case.stands("human", "you asked for changes; it was worked on, look again")


def _two_others_approved(case: Case) -> Stand | None:
    """“Two other agents approved exactly this head (all others if there are fewer)”."""
    return case.waits() if len(case.approvals) < case.needed else None


def _another_vendor_approved(case: Case) -> Stand | None:
    """“One of them of another vendor if there is one”."""
    missing = case.foreign and case.foreign.isdisjoint(case.approvals)
    return case.waits() if missing else None


def _objectors_looked_again(case: Case) -> Stand | None:
    """“Every reviewer that asked for changes has looked again”, and none asks for more."""
    looked = case.counted.keys() >= set(case.view.objectors)
    return None if looked and not case.blocking else case.waits()


RULES: tuple[Callable[[Case], Stand | None], ...] = (
    _you_approved,
    _conditions_2_to_4,
    _changes_are_asked_for,
    _nobody_else_can_review,
    _you_look_again,
    _two_others_approved,
    _another_vendor_approved,
    _objectors_looked_again,
)


# Who reviews


def reviewers(
    view: View,
    roll: Collection[str],
    vendors: Mapping[str, str],
    load: Mapping[str, int],
    asked: Collection[str] = (),
    spent: Collection[str] = (),
) -> list[str]:
    """Who is to be asked now for a review of the last head, beside those who are `asked` already; `spent`: in vain.

    Whoever asked for changes looks again. Then come as many as are missing, another
    vendor among them, those with the least work first.
    """

    def order(name: str) -> tuple[bool, int, int, str]:
        is_new = name not in view.objectors
        return is_new, load.get(name, 0), _turn(view.name, name), name

    author = view.pr.author
    busy = {author, *view.reviews, *asked, *spent}
    free = sorted(set(roll) - busy, key=order)

    looking = view.reviews.keys() - {"human"} | set(asked)
    again = len(set(free).intersection(view.objectors))
    missing = wanted(author, roll) - len(looking)
    chosen = free[: max(missing, again)]

    foreign = _foreign(author, roll, vendors)
    able = [name for name in free if name in foreign]
    if not able or foreign & (looking | set(chosen)):
        return chosen

    # One of another vendor comes too, in place of the last who need not look again.
    if len(chosen) > again:
        chosen.pop()
    return [*chosen, able[0]]


def _turn(pr: str, name: str) -> int:
    """A rotation by PR number, so that reviews spread evenly."""
    digits = "".join(c for c in pr if c.isdigit()) or "0"
    return (sum(name.encode()) + 7 * int(digits)) % 97

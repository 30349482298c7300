"""Who does what, who reviews what, and when a pull request may merge: the rules of the plan, without a file."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catherd.answers.envelopes import Unusable
from catherd.core import jobs
from catherd.core.jobs import Examine, Revise, Slot, Take, Work, Write, next_job
from catherd.core.merge_rules import reviewers, stand, wanted
from catherd.core.messages import Ask, Input
from catherd.core.tasks import Needs, Opinion, Pr, Review, Task, View, cycle
from catherd.pulls import allot
from catherd.pulls.bids import read_bid, read_swap

ROLL = ("chatgpt", "claude", "gemini", "wildcard")
VENDORS = {
    "chatgpt": "openai",
    "claude": "anthropic",
    "gemini": "google",
    "wildcard": "google",
}
HEAD = "a" * 40

names = st.lists(
    st.sampled_from(["ann", "bea", "cid", "dan"]), min_size=1, max_size=4, unique=True
)
tasks = st.lists(
    st.sampled_from([f"D-{c}" for c in "abcdefg"]), min_size=1, max_size=6, unique=True
)


@st.composite
def bids(draw: st.DrawFn) -> tuple[list[str], list[str], dict[str, dict[str, int]]]:
    who, what = draw(names), draw(tasks)
    return (
        what,
        who,
        {
            a: {t: draw(st.integers(0, 5)) for t in what if draw(st.booleans())}
            for a in who
        },
    )


def worth(chosen: dict[str, str], fits: dict[str, dict[str, int]]) -> int:
    return sum(fits.get(a, {}).get(t, allot.NEUTRAL) for t, a in chosen.items())


@given(bids())
def test_loads_are_even_and_nobody_is_without_work(
    given_: tuple[list[str], list[str], dict[str, dict[str, int]]],
) -> None:
    what, who, fits = given_
    chosen = allot.allot(what, who, fits)
    assert set(chosen) == set(what)
    loads = [list(chosen.values()).count(agent) for agent in who]
    assert max(loads) - min(loads) <= 1


@given(bids())
def test_no_exchange_of_two_tasks_and_no_order_of_the_names_is_better(
    given_: tuple[list[str], list[str], dict[str, dict[str, int]]],
) -> None:
    what, who, fits = given_
    chosen = allot.allot(what, who, fits)
    best = worth(chosen, fits)
    for a, b in permutations(what, 2):
        assert worth({**chosen, a: chosen[b], b: chosen[a]}, fits) <= best
    assert allot.allot(what[::-1], who[::-1], fits) == chosen


@given(bids())
def test_a_swap_on_offer_costs_neither_side_anything(
    given_: tuple[list[str], list[str], dict[str, dict[str, int]]],
) -> None:
    what, who, fits = given_
    chosen = allot.allot(what, who, fits)
    for a, b in allot.swappable(chosen, fits):
        x, y = chosen[a], chosen[b]
        after = allot.swapped(chosen, {x: (a, b), y: (b, a)})
        assert (after[a], after[b]) == (y, x)
        for agent, had, has in ((x, a, b), (y, b, a)):
            assert fits[agent].get(has, allot.NEUTRAL) >= fits[agent].get(
                had, allot.NEUTRAL
            )
        assert worth(after, fits) == worth(chosen, fits)


def test_a_swap_that_only_one_side_wants_is_not_made() -> None:
    chosen = {"D-a": "ann", "D-b": "bea", "D-c": "cid"}
    assert allot.swapped(chosen, {"ann": ("D-a", "D-b")}) == chosen
    assert (
        allot.swapped(
            chosen,
            {"ann": ("D-a", "D-b"), "bea": ("D-b", "D-c"), "cid": ("D-c", "D-a")},
        )
        == chosen
    )
    assert (
        allot.swapped(chosen, {"ann": ("D-b", "D-a"), "bea": ("D-a", "D-b")}) == chosen
    )


def view(
    author: str = "claude", heads: int = 1, rejected: int = 0, **said: Opinion
) -> View:
    reviews = {who: Review(verdict=word, head=HEAD) for who, word in said.items()}
    pr = Pr(task="D-a", author=author, branch=f"{author}/D-a", title="A")
    return View(
        name="PR-0001",
        pr=pr,
        head=HEAD,
        heads=heads,
        reviews=reviews,
        rejected=rejected,
    )


def act(seen: View, roll: tuple[str, ...] = ROLL) -> str:
    return stand(seen, roll, VENDORS).act


def test_two_approvals_by_others_merge_and_one_does_not() -> None:
    assert act(view(gemini="approve")) == "wait"
    assert act(view(gemini="approve", chatgpt="approve")) == "merge"


def test_an_author_that_approves_itself_counts_for_nothing() -> None:
    how = stand(view(claude="approve", gemini="approve"), ROLL, VENDORS)
    assert (how.act, how.approvals, how.forged) == ("wait", ("gemini",), ("claude",))


def test_an_approval_of_another_head_or_by_a_stranger_counts_for_nothing() -> None:
    seen = view(gemini="approve", mallory="approve")
    seen.reviews["chatgpt"] = Review(verdict="approve", head="b" * 40)
    how = stand(seen, ROLL, VENDORS)
    assert (how.act, how.forged) == ("wait", ("chatgpt", "mallory"))


def test_another_vendor_must_be_among_the_approvals_where_there_is_one() -> None:
    roll = ("gemini", "wildcard", "gemma", "claude")
    vendors = VENDORS | {"gemma": "google"}
    seen = view("gemini", wildcard="approve", gemma="approve")
    assert stand(seen, roll, vendors).act == "wait"
    assert reviewers(seen, roll, vendors, {}) == ["claude"]
    assert stand(seen, roll[:3], vendors).act == "merge"


def test_changes_block_until_that_reviewer_looks_again() -> None:
    assert act(view(gemini="approve", chatgpt="changes")) == "revise"
    later = view(heads=2, rejected=1, gemini="approve", wildcard="approve")
    again = View(
        **{
            **{f: getattr(later, f) for f in later.__struct_fields__},
            "objectors": ("chatgpt",),
        }
    )
    assert act(again) == "wait"
    assert reviewers(again, ROLL, VENDORS, {"chatgpt": 99}) == ["chatgpt"]
    again.reviews["chatgpt"] = Review(verdict="approve", head=HEAD)
    assert act(again) == "merge"


def test_your_changes_block_until_you_look_again_and_your_approval_overrides_the_others() -> (
    None
):
    assert act(view(human="changes")) == "revise"
    later = view(heads=2, rejected=1, gemini="approve", chatgpt="approve")
    again = View(
        **{
            **{f: getattr(later, f) for f in later.__struct_fields__},
            "objectors": ("human",),
        }
    )
    how = stand(again, ROLL, VENDORS)
    assert (how.act, how.why) == (
        "human",
        "you asked for changes; it was worked on, look again",
    )
    how = stand(
        view(human="approve", gemini="changes", chatgpt="changes"), ROLL, VENDORS
    )
    assert (how.act, how.overrides) == ("merge", ("human",))


def test_your_approval_overrides_a_rule_that_is_yours_to_lift_and_no_conflict() -> None:
    seen = view(human="approve")
    fields = {f: getattr(seen, f) for f in seen.__struct_fields__}
    assert (
        act(
            View(
                **{
                    **fields,
                    "needs": Needs(
                        why="it breaks the rules for pull requests", yours=True
                    ),
                }
            )
        )
        == "merge"
    )
    assert (
        act(View(**{**fields, "needs": Needs(why="it conflicts with main")}))
        == "revise"
    )


def test_three_rounds_without_agreement_call_the_person() -> None:
    how = stand(
        view(heads=3, rejected=3, gemini="changes", chatgpt="approve"), ROLL, VENDORS
    )
    assert (how.act, how.why) == (
        "human",
        "no agreement after 3 rounds: gemini asked for changes",
    )


@pytest.mark.parametrize(
    ("roll", "need"), [(("claude",), 0), (("claude", "gemini"), 1), (ROLL, 2)]
)
def test_all_others_where_there_are_fewer_and_you_where_there_is_nobody(
    roll: tuple[str, ...], need: int
) -> None:
    assert wanted("claude", roll) == need
    assert act(view(), roll) == ("human" if need == 0 else "wait")


@given(
    st.sets(st.sampled_from(ROLL[:1] + ROLL[2:])),
    st.sets(st.sampled_from(ROLL[:1] + ROLL[2:])),
)
def test_no_more_reviews_are_asked_for_than_are_missing(
    asked: set[str], approved: set[str]
) -> None:
    seen = view()
    seen.reviews.update({who: Review(verdict="approve", head=HEAD) for who in approved})
    chosen = reviewers(seen, ROLL, VENDORS, {}, asked - approved)
    assert not set(chosen) & (asked | approved | {"claude"})
    assert len(set(chosen) | asked | approved) <= max(2, len(asked | approved))


def work(**more: object) -> Work:
    return Work(**{"roll": ROLL, "vendors": VENDORS, "alive": frozenset(ROLL), **more})  # type: ignore[arg-type]


def task(*needs: str) -> Task:
    return Task(kind="design", title="T", needs=list(needs))


def test_what_others_wait_for_comes_first() -> None:
    slot = Slot("PR-0002", "b" * 12, "claude")
    red = view(heads=1)
    mended = View(
        **{
            **{f: getattr(red, f) for f in red.__struct_fields__},
            "needs": Needs(why="its checks are red"),
        }
    )
    other = View(name="PR-0002", pr=Pr(task="D-b", author="gemini", branch="gemini/D-b", title="B"), head="b" * 40, heads=1, reviews={})  # fmt: skip
    everything = work(mine={"D-a": task(), "D-d": task()}, open={"D-c": task()}, slots=(slot,), prs={"PR-0001": mended, "PR-0002": other})  # fmt: skip
    order = []
    rest: set[str] = set()
    while (job := next_job("claude", everything, rest)) is not None:
        order.append(job)
        rest.add(repr(job))
    assert order == [Revise("PR-0001", "D-a"), Examine(slot), Write("D-d"), Take("D-c")]


def test_the_task_that_most_others_wait_for_is_taken_first() -> None:
    ready = {"D-a": task(), "D-b": task(), "D-c": task()}
    later = {"D-x": task("D-b"), "D-y": task("D-x"), "D-z": task("D-c")}
    assert jobs.waiting(ready, later) == {"D-a": (0, 0), "D-b": (2, 2), "D-c": (1, 1)}
    assert next_job("claude", work(open=ready, later=later)) == Take("D-b")


def test_the_allotted_agent_has_the_first_right_while_it_lives_and_not_for_ever() -> (
    None
):
    mine = {"open": {"D-a": task()}, "assignment": {"D-a": "gemini"}}
    assert next_job("claude", work(**mine)) is None
    assert next_job("gemini", work(**mine)) == Take("D-a")
    assert next_job("claude", work(**mine, alive=frozenset({"claude"}))) == Take("D-a")
    assert next_job("claude", work(**mine, age={"D-a": jobs.FIRST_RIGHT + 1})) == Take(
        "D-a"
    )


def test_who_objected_is_the_one_that_looks_again_while_it_lives() -> None:
    slot = Slot("PR-0001", HEAD[:12], "chatgpt")
    seen = view()
    again = View(
        **{
            **{f: getattr(seen, f) for f in seen.__struct_fields__},
            "objectors": ("chatgpt",),
        }
    )
    there = {"slots": (slot,), "prs": {"PR-0001": again}, "age": {slot.lock: 999.0}}
    assert next_job("gemini", work(**there)) is None
    assert next_job("chatgpt", work(**there)) == Examine(slot)
    assert next_job("gemini", work(**there, alive=frozenset({"gemini"}))) == Examine(
        slot
    )


def test_a_circle_of_needs_is_found_and_named() -> None:
    assert cycle({"a": task("c"), "b": task("a"), "c": task("b")}) == [
        "a",
        "c",
        "b",
        "a",
    ]
    assert cycle({"a": task(), "b": task("a"), "c": task("a", "b", "elsewhere")}) == []


ASK = Ask(
    gate="bids",
    step="plan/bids",
    kind="bid",
    template="work/bid.md.j2",
    roll=["claude"],
    inputs=[Input(path="", sha256="", kind="task", by=name) for name in ("D-a", "D-b")],
)


def test_a_bid_for_a_task_that_is_none_goes_back_with_what_there_is() -> None:
    text = "---\nkind: bid\n---\n- D-a: fit 3, effort 1: mine\n- D-z: fit 9, effort 1: mine\n- D-b: fit 7, effort 1: no\n"
    with pytest.raises(Unusable) as caught:
        read_bid(ASK, text, last_try=False)
    assert caught.value.errors == [
        "'D-z' is no task; there are D-a, D-b",
        "D-b: the fit is a number from 0 to 5, not 7",
        "no line for D-b; each is `- ID: fit 0–5, effort hours: reason`",
    ]


def test_a_bid_may_add_a_task() -> None:
    text = "---\nkind: bid\n---\n- D-a: fit 3, effort 1: mine\n- D-b: fit 1: no\n- add D-words (docs/words.md; needs D-a): Words\n"
    bid = read_bid(ASK, text, last_try=False)
    assert (bid.fits, bid.effort) == ({"D-a": 3, "D-b": 1}, {"D-a": 1, "D-b": 0})
    assert bid.adds == [
        {
            "id": "D-words",
            "title": "Words",
            "paths": ["docs/words.md"],
            "needs": ["D-a"],
        }
    ]


def test_a_swap_that_was_not_offered_goes_back() -> None:
    told = {"mine": "D-a", "theirs": "D-b"}
    ask = Ask(gate="", step="plan/swaps", kind="swap", template="", roll=["claude"], inputs=[Input(path="", sha256="", kind="swap", by="claude", data=told)])  # fmt: skip
    assert read_swap(
        ask, "claude", "---\nkind: swap\n---\n- give D-a, take D-b: fair\n"
    ).swap == {
        "give": "D-a",
        "take": "D-b",
    }
    assert read_swap(ask, "claude", "---\nkind: swap\n---\n- keep\n").swap == {}
    with pytest.raises(Unusable) as caught:
        read_swap(ask, "gemini", "---\nkind: swap\n---\n- give D-a, take D-b: fair\n")
    assert caught.value.errors == [
        "give D-a, take D-b is not on offer; say one that is, or keep"
    ]

"""The count against published elections, against a second reference written apart from it, and its properties."""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catherd.debate.papers import Cast
from catherd.debate.runoff import Round
from catherd.debate.tally import CountResult, Outcome, count_ballots, what_ifs

Ranking = list[str | list[str]]
Recused = Mapping[str, Collection[str]]


def lines(*rows: tuple[int, str]) -> list[Cast]:
    """Ballots written `A > B = C`, each cast `times`; line n is voter `n`."""
    casts = []
    for n, (times, row) in enumerate(rows):
        levels: Ranking = [
            ids if len(ids) > 1 else ids[0]
            for ids in (part.split("=") for part in row.split(">"))
        ]
        cleaned: Ranking = [
            [i.strip() for i in e] if isinstance(e, list) else e.strip() for e in levels
        ]
        casts.append(Cast(str(n), cleaned, times))
    return casts


def votes_of(result: CountResult) -> tuple[str, str | None, list[str]]:
    return result.method, result.winner, result.tied


# -- published elections -------------------------------------------------------------------------------------------

# Where the capital of Tennessee goes: Wikipedia, "Condorcet method" and "Instant-runoff voting".
TENNESSEE = lines(
    (42, "Memphis > Nashville > Chattanooga > Knoxville"),
    (26, "Nashville > Chattanooga > Knoxville > Memphis"),
    (15, "Chattanooga > Knoxville > Nashville > Memphis"),
    (17, "Knoxville > Chattanooga > Nashville > Memphis"),
)
CITIES = ["Memphis", "Nashville", "Chattanooga", "Knoxville"]

# Mayor of Burlington, Vermont, 2009, reduced to the last three; pairwise numbers as electowiki gives them.
BURLINGTON = lines(
    (1332, "Montroll > Kiss > Wright"),
    (767, "Montroll > Wright > Kiss"),
    (455, "Montroll"),
    (2043, "Kiss > Montroll > Wright"),
    (371, "Kiss > Wright > Montroll"),
    (568, "Kiss"),
    (1513, "Wright > Montroll > Kiss"),
    (495, "Wright > Kiss > Montroll"),
    (1289, "Wright"),
)
# The Schulze method's example, Wikipedia, "Schulze method": 45 voters, no Condorcet winner, pairwise numbers published.
SCHULZE = lines(
    (5, "A > C > B > E > D"),
    (5, "A > D > E > C > B"),
    (8, "B > E > D > A > C"),
    (3, "C > A > B > E > D"),
    (7, "C > A > E > B > D"),
    (2, "C > B > A > D > E"),
    (7, "D > C > E > B > A"),
    (8, "E > B > A > D > C"),
)


def test_tennessee_gives_nashville_though_the_runoff_alone_gives_knoxville() -> None:
    result = count_ballots(CITIES, TENNESSEE)

    assert votes_of(result) == ("condorcet", "Nashville", [])
    assert result.pairwise["Nashville"] == {
        "Memphis": 58,
        "Chattanooga": 68,
        "Knoxville": 68,
    }
    assert result.rounds == []
    ifs = what_ifs(CITIES, TENNESSEE)
    assert ifs.irv == Outcome("irv", "Knoxville", [])
    assert ifs.first_choices == {
        "Memphis": 42,
        "Nashville": 26,
        "Knoxville": 17,
        "Chattanooga": 15,
    }
    # Borda there: Nashville 194, Chattanooga 173, Memphis 126, Knoxville 107; over pairs that is 2 n - 300.
    assert ifs.borda == {
        "Nashville": 88,
        "Chattanooga": 46,
        "Memphis": -48,
        "Knoxville": -86,
    }
    assert ifs.copeland == {
        "Nashville": 3,
        "Chattanooga": 1,
        "Knoxville": -1,
        "Memphis": -3,
    }


def test_burlington_2009_gives_montroll_who_lost_the_real_runoff_to_kiss() -> None:
    result = count_ballots(["Kiss", "Montroll", "Wright"], BURLINGTON)

    assert votes_of(result) == ("condorcet", "Montroll", [])
    assert result.pairwise == {
        "Kiss": {"Montroll": 3477, "Wright": 4314},
        "Montroll": {"Kiss": 4067, "Wright": 4597},
        "Wright": {"Kiss": 4064, "Montroll": 3668},
    }
    assert what_ifs(["Kiss", "Montroll", "Wright"], BURLINGTON).irv == Outcome(
        "irv", "Kiss", []
    )


def test_the_schulze_example_has_no_condorcet_winner_and_its_published_table() -> None:
    result = count_ballots("ABCDE", SCHULZE)

    assert result.pairwise == {
        "A": {"B": 20, "C": 26, "D": 30, "E": 22},
        "B": {"A": 25, "C": 16, "D": 33, "E": 18},
        "C": {"A": 19, "B": 29, "D": 17, "E": 24},
        "D": {"A": 15, "B": 12, "C": 28, "E": 14},
        "E": {"A": 23, "B": 27, "C": 21, "D": 31},
    }
    assert result.method == "irv"
    assert [(r.counts, r.eliminated) for r in result.rounds[:1]] == [
        ({"A": 10, "B": 8, "C": 12, "D": 7, "E": 8}, ("D",))
    ]


# Debian project leader: beat matrices as published, debian.org/vote/2002/vote_0001 and /2003/vote_0001; None Of The Above is "-".
DEBIAN_2002 = {
    ("Robinson", "Hertzog"): (255, 199),
    ("Robinson", "Garbee"): (178, 291),
    ("Robinson", "-"): (385, 68),
    ("Hertzog", "Garbee"): (134, 327),
    ("Hertzog", "-"): (406, 50),
    ("Garbee", "-"): (443, 18),
}
DEBIAN_2003 = {
    ("Zadka", "-"): (228, 202),
    ("Garbee", "Zadka"): (428, 34),
    ("Garbee", "Robinson"): (238, 221),
    ("Garbee", "-"): (449, 29),
    ("Robinson", "Zadka"): (385, 66),
    ("Robinson", "-"): (405, 65),
    ("Michlmayr", "Zadka"): (397, 38),
    ("Michlmayr", "Garbee"): (228, 224),
    ("Michlmayr", "Robinson"): (237, 226),
    ("Michlmayr", "-"): (424, 39),
}


@pytest.mark.parametrize(
    ("matrix", "winner"), [(DEBIAN_2002, "Garbee"), (DEBIAN_2003, "Michlmayr")]
)
def test_debian_leaders_follow_from_their_beat_matrices(
    matrix: dict[tuple[str, str], tuple[int, int]], winner: str
) -> None:
    ids = sorted({c for pair in matrix for c in pair})
    casts = []
    # McGarvey, Econometrica 1953: two ballots that differ from each other's reverse in one pair move only that pair.
    for (a, b), (for_a, for_b) in matrix.items():
        others = [c for c in ids if c not in {a, b}]
        for first, second, times in ((a, b, for_a), (b, a, for_b)):
            casts += [
                Cast("x", [first, second, *others], times),
                Cast("y", [*reversed(others), first, second], times),
            ]
    result = count_ballots(ids, casts)

    assert votes_of(result) == ("condorcet", winner, [])
    for (a, b), (for_a, for_b) in matrix.items():
        assert result.pairwise[a][b] - result.pairwise[b][a] == 2 * (for_a - for_b)


@pytest.mark.parametrize(
    ("ballots", "expected"),
    [
        # The Condorcet paradox: nobody beats everybody, and which of three equal last goes decides.
        (
            [(1, "A > B > C"), (1, "B > C > A"), (1, "C > A > B")],
            ("tie", None, ["A", "B", "C"]),
        ),
        # The same with unequal blocks: C has fewest firsts, its ballots go to A, who then beats B.
        ([(4, "A > B > C"), (3, "B > C > A"), (2, "C > A > B")], ("irv", "A", [])),
        # Center squeeze: the compromise has fewest first choices and still wins.
        (
            [(40, "L > M > R"), (39, "R > M > L"), (21, "M > L > R")],
            ("condorcet", "M", []),
        ),
        # Undefeated, but level with someone, is not a Condorcet winner: A is level with B and beats C.
        ([(1, "A > B > C"), (1, "B > A > C")], ("tie", None, ["A", "B"])),
        # Dead heat between two, a third far behind.
        ([(3, "A > B > C"), (3, "B > A > C"), (1, "C")], ("tie", None, ["A", "B"])),
        # Smith set {A, B, C} in a cycle, D below all of them; B and C tie for last, and who wins hangs on who goes.
        (
            [(5, "A > B > C > D"), (3, "B > C > A > D"), (3, "C > A > B > D")],
            ("tie", None, ["A", "C"]),
        ),
        # A tie for last (D and E) that is harmless: both go, in either order, and C wins.
        (
            [
                (6, "A > B > C"),
                (5, "B > C > A"),
                (3, "C > A > B"),
                (2, "D > C > A > B"),
                (2, "E > C > A > B"),
            ],
            ("irv", "C", []),
        ),
        # Two, level; two, one vote apart; an equal rank at the top of the third ballot changes nothing.
        ([(2, "A > B"), (2, "B > A")], ("tie", None, ["A", "B"])),
        ([(2, "A > B"), (1, "B > A"), (5, "A = B")], ("condorcet", "A", [])),
    ],
)
def test_textbook_cases(
    ballots: list[tuple[int, str]], expected: tuple[str, str | None, list[str]]
) -> None:
    ids = sorted(
        {c.strip() for _, row in ballots for c in row.replace("=", ">").split(">")}
    )

    assert votes_of(count_ballots(ids, lines(*ballots))) == expected


def test_the_rounds_tell_counts_eliminations_and_the_last_two() -> None:
    result = count_ballots(
        "ABC", lines((4, "A > B > C"), (3, "B > C > A"), (2, "C > A > B"), (1, "X"))
    )

    assert result.rounds == [
        Round(("A", "B", "C"), {"A": 4, "B": 3, "C": 2}, eliminated=("C",)),
        Round(("A", "B"), {"A": 6, "B": 3}, elected=("A",), head_to_head=True),
    ]
    assert result.notes == ["3: 'X' is not a candidate, dropped", "3: blank"]


def test_equal_ranks_are_split_into_exact_fractions() -> None:
    result = count_ballots(
        "ABCD",
        lines((1, "A = B = C"), (1, "A > D > B"), (1, "B > D > C"), (1, "D > C > A")),
    )

    third = Fraction(1, 3)
    assert result.rounds[0].counts == {
        "A": 1 + third,
        "B": 1 + third,
        "C": third,
        "D": 1,
    }


# -- edges ---------------------------------------------------------------------------------------------------------


def test_nobody_one_and_nothing_cast() -> None:
    assert votes_of(count_ballots([], [Cast("a", ["A"])])) == ("no_ballots", None, [])
    assert votes_of(count_ballots(["A"], [])) == ("unopposed", "A", [])
    assert votes_of(count_ballots(["B", "A"], [])) == ("no_ballots", None, ["A", "B"])
    assert votes_of(
        count_ballots(["B", "A"], [Cast("a", [], abstain=True), Cast("b", ["Z"])])
    ) == (
        "no_ballots",
        None,
        ["A", "B"],
    )


def test_a_ballot_that_a_person_edited_by_hand_never_stops_the_count() -> None:
    odd: list[object] = [
        "B",
        "nobody",
        ["A", "B", "C"],
        "A",
        7,
        None,
        {"x": 1},
        [],
        "own",
    ]

    cast = Cast("claude", odd)  # type: ignore[arg-type]
    result = count_ballots(["A", "B", "C", "own"], [cast], {"claude": ["own", "gone"]})

    assert result.papers[0].ranking == ("B", ("A", "C"))
    assert result.notes == [
        "claude: 'nobody' is not a candidate, dropped",
        "claude: 'B' again, the first mention counts",
        "claude: 'A' again, the first mention counts",
        "claude: 7 is not a candidate, dropped",
        "claude: None is not a candidate, dropped",
        "claude: {'x': 1} is not a candidate, dropped",
        "claude: 'own' is recused, dropped",
    ]
    assert votes_of(result) == ("irv", "B", [])


def test_an_author_has_no_say_on_pairs_with_its_own_proposal() -> None:
    """The trap: with the own id struck and what is unranked counted last, an author would vote against its own idea."""
    casts = [Cast("ann", ["B", "C"]), Cast("bob", ["A", "C"]), Cast("cat", ["A", "B"])]
    own = {"ann": ["A"], "bob": ["B"], "cat": ["C"]}

    result = count_ballots("ABC", casts, own)

    assert result.pairwise == {
        "A": {"B": 1, "C": 1},
        "B": {"A": 0, "C": 1},
        "C": {"A": 0, "B": 0},
    }
    assert votes_of(result) == ("condorcet", "A", [])


def test_recusal_that_would_leave_nothing_counts_self_votes_and_says_so() -> None:
    casts = [
        Cast("ann", ["A", "B"]),
        Cast("bob", ["A", "B"]),
        Cast("cat", [], abstain=True),
    ]
    own = {"ann": ["A", "B"], "bob": ["B", "A"]}

    result = count_ballots("AB", casts, own)

    assert votes_of(result) == ("condorcet", "A", [])
    assert result.notes == [
        "every voter is an author of every candidate: self-votes are counted",
        "cat: abstains",
    ]
    assert votes_of(count_ballots("AB", [*casts, Cast("dan", ["B"])], own)) == (
        "condorcet",
        "B",
        [],
    )


def test_recusal_keeps_an_author_out_of_its_own_final() -> None:
    """A first choice for A stays with A in the runoff; in the last pair the table decides, where B's author is silent."""
    casts = [
        Cast("b", ["A", "C"]),
        *lines((2, "A > B > C"), (2, "B > C > A"), (1, "C > A > B")),
    ]
    result = count_ballots("ABC", casts, {"b": ["B"]})

    assert result.pairwise["A"]["B"] == 3
    assert result.pairwise["B"]["A"] == 2


def test_a_long_tail_of_equal_last_does_not_drown_the_count() -> None:
    """Twenty write-ins with a vote each are 2^20 ways to break ties; together they hold less than the next one."""
    tail = [f"w{n:02}" for n in range(20)]
    casts = lines(
        (400, "A > B > C"),
        (300, "B > C > A"),
        (200, "C > A > B"),
        *((1, w) for w in tail),
    )

    result = count_ballots(["A", "B", "C", *tail], casts)

    assert votes_of(result) == ("irv", "A", [])
    assert result.rounds[0].eliminated == tuple(tail)


def test_more_ways_than_the_cap_are_a_tie_of_all_who_may_still_win() -> None:
    ids = [f"c{n:02}" for n in range(30)]
    casts = [Cast(str(n), ids[n:] + ids[:n]) for n in range(30)]

    result = count_ballots(ids, casts)

    assert votes_of(result) == ("tie", None, ids)
    assert result.notes == ["gave up after 20000 sets: all who may still win are tied"]
    assert len(result.rounds) == 100


def test_voters_are_noted_in_natural_order() -> None:
    result = count_ballots("AB", [Cast(f"ballot {n}", ["A", "X"]) for n in (10, 9, 1)])

    assert [note.split(":")[0] for note in result.notes] == [
        "ballot 1",
        "ballot 9",
        "ballot 10",
    ]


# -- what if -------------------------------------------------------------------------------------------------------


def test_what_ifs_name_the_pivotal_voters_and_check_the_position() -> None:
    casts = [Cast("ann", ["B", "C"]), Cast("bob", ["A", "C"]), Cast("cat", ["A", "B"])]
    own = {"ann": ["A"], "bob": ["B"], "cat": ["C"]}
    shown = {"ann": ["A", "B", "C"], "bob": ["C", "A", "B"], "cat": ["B", "C", "A"]}

    ifs = what_ifs("ABC", casts, own, shown)

    assert ifs.pivotal == ["cat"]
    assert ifs.without == {
        "ann": Outcome("condorcet", "A", []),
        "bob": Outcome("irv", "A", []),
        "cat": Outcome("tie", None, ["A", "B"]),
    }
    assert ifs.self_votes == Outcome("condorcet", "A", [])
    assert ifs.first_shown == (1, 3)
    assert ifs.borda == {"A": 2, "B": 0, "C": -2}


# -- the second reference: slow, by the words of the rule, sharing nothing with the first ----------------------------


def ref_ranks(
    ranking: Ranking, ids: Sequence[str], own: Collection[str]
) -> dict[str, int]:
    """Id -> place; unranked ids share the place below all; own ids have none."""
    ranks: dict[str, int] = {}
    for place, level in enumerate(ranking):
        for c in [level] if isinstance(level, str) else level:
            if c in ids and c not in own and c not in ranks:
                ranks[c] = place
    return ranks


def reference(  # noqa: C901 - the rule read off the page, in one piece
    ids: Sequence[str], casts: Sequence[Cast], own: Recused
) -> tuple[str, str | None, list[str]]:
    if len(ids) == 1:
        return "unopposed", ids[0], []
    ballots: list[tuple[dict[str, int], set[str]]] = []
    for striking in (True, False):
        ballots = []
        spoke = []
        for c in casts:
            mine = set(own.get(c.voter, ())) & set(ids)
            ranking: Ranking = [] if c.abstain else list(c.ranking)  # type: ignore[arg-type]
            if c.times and ref_ranks(ranking, ids, ()):
                spoke.append(mine >= set(ids))
            ranks = ref_ranks(ranking, ids, mine if striking else ())
            ballots += [(ranks, mine if striking else set())] * c.times if ranks else []
        if not (spoke and all(spoke)):
            break
    if not ballots:
        return "no_ballots", None, sorted(ids)

    def beats(a: str, b: str) -> int:
        n = 0
        for ranks, mine in ballots:
            if a not in mine and b not in mine:
                n += ranks.get(a, 99) < ranks.get(b, 99)
        return n

    for a in ids:
        if all(beats(a, b) > beats(b, a) for b in ids if b != a):
            return "condorcet", a, []

    def winners(alive: frozenset[str]) -> set[str]:
        if len(alive) == 1:
            return set(alive)
        if len(alive) == 2:
            a, b = alive
            return {c for c, d in ((a, b), (b, a)) if beats(c, d) >= beats(d, c)}
        firsts = dict.fromkeys(alive, Fraction(0))
        for ranks, _ in ballots:
            there = {c: r for c, r in ranks.items() if c in alive}
            top = [c for c, r in there.items() if r == min(there.values())]
            for c in top:
                firsts[c] += Fraction(1, len(top))
        low = min(firsts.values())
        last = {c for c in alive if firsts[c] == low}
        if low == 0:
            return winners(alive - last)
        return set().union(*(winners(alive - {c}) for c in last))

    elected = winners(frozenset(ids))
    return (
        ("irv", elected.pop(), [])
        if len(elected) == 1
        else ("tie", None, sorted(elected))
    )


@st.composite
def elections(draw: st.DrawFn) -> tuple[list[str], list[Cast], dict[str, list[str]]]:
    ids = list("ABCDEF"[: draw(st.integers(1, 6))])
    known = st.sampled_from([*ids, *ids, "?"])
    level = st.one_of(known, known, st.lists(known, max_size=3))
    casts = []
    for n in range(draw(st.integers(0, 7))):
        whole = draw(st.booleans())
        ranking = (
            draw(st.permutations(ids)) if whole else draw(st.lists(level, max_size=6))
        )
        casts.append(
            Cast(
                f"v{n}",
                ranking,
                draw(st.sampled_from([1, 1, 1, 2, 0])),
                draw(st.integers(0, 9)) == 0,
            )
        )
    own = draw(
        st.dictionaries(
            st.sampled_from([f"v{n}" for n in range(7)]),
            st.lists(st.sampled_from(ids)),
            max_size=7,
        )
    )
    return ids, casts, own


Election = tuple[list[str], list[Cast], dict[str, list[str]]]
many = settings(max_examples=600, deadline=None, database=None)
some = settings(max_examples=150, deadline=None, database=None)


@many
@given(elections())
def test_the_count_agrees_with_the_slow_reference(election: Election) -> None:
    assert votes_of(count_ballots(*election)) == reference(*election)


@some
@given(elections(), st.randoms(use_true_random=False))
def test_the_order_of_candidates_and_ballots_never_matters(
    election: Election, random: Random
) -> None:
    ids, casts, own = election
    expected = count_ballots(ids, casts, own)
    ids, casts = list(ids), list(casts)
    random.shuffle(ids)
    random.shuffle(casts)

    assert count_ballots(ids, casts, own) == expected


@some
@given(elections(), st.permutations("ABCDEF"))
def test_renaming_the_candidates_renames_the_result(
    election: Election, names: list[str]
) -> None:
    ids, casts, own = election
    new = dict(zip("ABCDEF", names, strict=True)) | {"?": "?"}

    def renamed(each: str | Sequence[str]) -> str | Sequence[str]:
        return new[each] if isinstance(each, str) else [new[i] for i in each]

    changed = [
        Cast(c.voter, [renamed(e) for e in c.ranking], c.times, c.abstain)
        for c in casts
    ]
    method, winner, tied = votes_of(count_ballots(ids, casts, own))

    assert votes_of(
        count_ballots(
            [new[c] for c in ids],
            changed,
            {v: [new[c] for c in o] for v, o in own.items()},
        )
    ) == (
        method,
        None if winner is None else new[winner],
        sorted(new[c] for c in tied),
    )


@some
@given(elections())
def test_an_abstention_or_a_blank_ballot_changes_nothing(election: Election) -> None:
    ids, casts, own = election
    more = [
        *casts,
        Cast("zoe", ids, abstain=True),
        Cast("zak", []),
        Cast("zed", ["?"]),
        Cast("zip", ids, 0),
    ]

    assert votes_of(count_ballots(ids, more, {**own, "zoe": ids[:1]})) == votes_of(
        count_ballots(ids, casts, own)
    )


@some
@given(elections())
def test_doubling_every_ballot_changes_nothing(election: Election) -> None:
    ids, casts, own = election
    double = [Cast(c.voter, c.ranking, 2 * c.times, c.abstain) for c in casts]

    expected = votes_of(count_ballots(ids, casts, own))
    assert (
        votes_of(count_ballots(ids, double, own))
        == votes_of(count_ballots(ids, casts + casts, own))
        == expected
    )


@some
@given(elections())
def test_a_condorcet_winner_always_wins_and_nobody_else_is_called_one(
    election: Election,
) -> None:
    result = count_ballots(*election)

    beats_all = [
        a
        for a, row in result.pairwise.items()
        if all(n > result.pairwise[b][a] for b, n in row.items())
    ]
    if len(result.pairwise) > 1:
        assert ([result.winner] if result.method == "condorcet" else []) == beats_all


@some
@given(elections())
def test_more_than_half_of_the_first_choices_always_win(election: Election) -> None:
    ids, casts, _ = election
    result = count_ballots(ids, casts)
    cast = sum(p.times for p in result.papers if p.ranking)

    for c in ids:
        if (
            2 * sum(p.times for p in result.papers if p.ranking and p.ranking[0] == c)
            > cast
        ):
            assert result.winner == c


@some
@given(elections(), st.integers(0, 5))
def test_what_a_recused_author_says_on_its_own_proposal_never_counts(
    election: Election, place: int
) -> None:
    """Wherever an author puts its own proposal, or leaves it out, the result is the same."""
    ids, casts, own = election
    mine = {v: o for v, o in own.items() if not set(o) >= set(ids)}
    without = [
        Cast(
            c.voter,
            [e for e in c.ranking if e not in mine.get(c.voter, ())],
            c.times,
            c.abstain,
        )
        for c in casts
    ]
    placed = [
        Cast(
            c.voter,
            [*c.ranking[:place], *mine.get(c.voter, ()), *c.ranking[place:]],
            c.times,
            c.abstain,
        )
        for c in without
    ]

    assert votes_of(count_ballots(ids, placed, mine)) == votes_of(
        count_ballots(ids, without, mine)
    )


def test_four_agents_with_four_proposals_agree_with_the_reference_on_every_vote() -> (
    None
):
    """A sample of all 6^4 votes in which each agent ranks the other three strictly: every seventh one."""
    ids = list("ABCD")
    own = {f"v{c}": [c] for c in ids}
    orders = [list(permutations([c for c in ids if c != own_id])) for own_id in ids]
    for n in range(0, 6**4, 7):
        casts = [Cast(f"v{c}", orders[k][n // 6**k % 6]) for k, c in enumerate(ids)]
        assert votes_of(count_ballots(ids, casts, own)) == reference(ids, casts, own)

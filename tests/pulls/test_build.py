"""Building by a herd in one process, step by step: what goes wrong comes back to its author, or calls the person."""

from pathlib import Path

import msgspec
import pytest

from catherd.box import sandbox
from catherd.bus import config, yaml_write
from catherd.core.errors import CatherdError, NeedsYou
from catherd.core.jobs import Take
from catherd.core.model import ModelError
from catherd.core.tasks import Assignment, Head, Review, Task
from catherd.gates import merge_wait
from catherd.git import merge, objects, run, worktree
from catherd.herd import dispatch, readiness
from catherd.herd.processes import Herd
from catherd.pulls import board
from support.build_checks import needs, passes
from support.build_herd import Workshop, alter, crank_of, lay
from support.git_repos import put, sh
from support.packs import NAMES, PACKS, SWEEP

pytestmark = pytest.mark.slow

needs_box = pytest.mark.skipif(
    sandbox.probe_tier().name != "bwrap",
    reason=f"no bubblewrap box: {sandbox.probe_tier().why_not}",
)


@needs_box
@pytest.mark.parametrize("name", NAMES if SWEEP else NAMES[:1])
def test_two_who_write_the_same_lines_both_get_to_main(
    name: str, tmp_path: Path
) -> None:
    owner = {"T-003": "claude", "T-004": "chatgpt"}
    shop = lay(
        tmp_path / "game",
        ["T-001", "T-002"],
        only=["T-003", "T-004"],
        name=name,
        owner=owner,
    )
    shop.until("T-003")
    shop.until("T-004")
    assert [one.why for task in owner for one in needs(shop, task)] == [
        "it conflicts with main"
    ]
    assert [passes(shop, task, tmp_path / task) for task in ("T-003", "T-004")] == [
        True,
        True,
    ]
    assert merge.unproved(shop.bus.root, shop.game.base, shop.main()) == []
    wrote = run.git(
        shop.bus.root,
        "log",
        "--no-merges",
        "--format=%an",
        f"{shop.game.base}..{shop.main()}",
    )
    assert {"Chatgpt (catherd)", "Claude (catherd)"} <= set(wrote.split("\n"))


@needs_box
def test_a_revision_that_was_committed_before_a_kill_is_proposed_as_it_is(
    tmp_path: Path,
) -> None:
    owner = {"T-003": "claude", "T-004": "chatgpt"}
    shop = lay(
        tmp_path / "game", ["T-001", "T-002"], only=["T-003", "T-004"], owner=owner
    )
    shop.until("T-003")
    path = Path(shop.bus.here(f"prs/{shop.pr('T-004')}/head-2.yaml"))
    for _ in range(30):
        if not path.exists():
            shop.turn()
    head = shop.bus.must(f"prs/{path.parent.name}/{path.name}", Head).head
    path.unlink()
    shop.do("chatgpt")
    assert shop.bus.must(f"prs/{path.parent.name}/{path.name}", Head).head == head
    assert shop.bus.names("problems") == []


@needs_box
def test_a_revision_merges_the_main_that_its_prompt_showed_whatever_came_after_a_kill(
    tmp_path: Path,
) -> None:
    owner = {"T-003": "claude", "T-004": "chatgpt"}
    shop = lay(
        tmp_path / "game", ["T-001", "T-002"], only=["T-003", "T-004"], owner=owner
    )
    shop.until("T-003")
    path = Path(shop.bus.here(f"prs/{shop.pr('T-004')}/head-2.yaml"))
    shown = shop.main()
    for _ in range(30):
        if not path.exists():
            shop.turn()
    first = shop.bus.must(f"prs/{path.parent.name}/head-1.yaml", Head).head
    path.unlink()
    sh(
        shop.bus.root, "update-ref", "refs/heads/chatgpt/T-004", first
    )  # killed right before the commit
    sh(shop.bus.root, "commit", "-q", "--allow-empty", "-m", "more")
    shop.do("chatgpt")
    head = shop.bus.must(f"prs/{path.parent.name}/{path.name}", Head).head
    assert (
        run.git(shop.bus.root, "log", "-1", "--format=%P", head) == f"{first} {shown}"
    )


@needs_box
def test_who_begins_after_the_partner_was_merged_writes_what_both_meant(
    tmp_path: Path,
) -> None:
    shop = lay(
        tmp_path / "game",
        ["T-001", "T-002", "T-004"],
        only=["T-003"],
        owner={"T-003": "claude"},
    )
    shop.until("T-003")
    assert shop.bus.names(f"prs/{shop.pr('T-003')}") == [
        "head-1.yaml",
        "merged.yaml",
        "pr.yaml",
        "reviews",
    ]
    routes = (
        objects.read_blob(shop.bus.root, shop.main(), "app/shelf/routes.py") or b""
    ).decode()
    assert "list_things" in routes
    assert "give_back" in routes


@needs_box
def test_whoever_leaves_out_a_partners_lines_is_told_whose_accept_fails(
    tmp_path: Path,
) -> None:
    shop = lay(
        tmp_path / "game",
        ["T-001", "T-002", "T-004"],
        only=["T-003"],
        owner={"T-003": "claude"},
    )
    shop.do("claude")
    shop.do("claude")
    alone = (
        PACKS / NAMES[0] / "build" / "T-003" / "app" / "shelf" / "routes.py"
    ).read_text()
    put(Path(shop.bus.root, "worktrees/claude"), {"app/shelf/routes.py": alone})
    worktree.commit(
        shop.bus.root, "claude", ["app/shelf/routes.py"], "Without the loans\n"
    )
    shop.until("T-003")
    (red,) = needs(shop, "T-003")
    assert red.why == "its checks are red"
    assert red.findings[:3] == [
        "the accept of T-004, merged before, fails now:",
        "$ python3 -m unittest app/tests/test_loans_api.py",
        "exit 1",
    ]
    assert passes(shop, "T-004", tmp_path / "main")


@needs_box
@pytest.mark.parametrize(
    ("switch", "said"),
    [
        ("badaccept", "AssertionError: rehearsal: told to fail"),
        ("memory", "stopped: memory"),
        ("time", "stopped: wall"),
        ("disk", "No space left on device"),
    ],
)
def test_what_the_box_stops_comes_back_to_its_author_who_mends_it(
    switch: str, said: str, tmp_path: Path
) -> None:
    shop = lay(tmp_path / "game", [], only=["T-001"], owner={"T-001": "claude"})
    if switch == "time":
        alter(shop, "T-001", accept_s=6.0)
    shop.misbehave = f"{switch}=build/T-001"
    shop.do("claude")
    shop.do("claude")
    asked = shop.said("claude", "poc.T-001.write.1")
    assert len(asked) == 2
    assert asked[1].startswith(
        "Findings:\n$ python3 -m unittest app/tests/test_store.py\n"
    )
    assert said in asked[1]
    assert shop.pr("T-001") == "PR-0001"


@needs_box
def test_a_review_that_asks_for_changes_is_done_and_looked_at_again_by_who_asked(
    tmp_path: Path,
) -> None:
    shop = lay(tmp_path / "game", [], only=["T-005"], owner={"T-005": "claude"})
    shop.until("T-005")
    reviews = [
        shop.bus.must(f"prs/PR-0001/reviews/{n}", Review)
        for n in shop.bus.names("prs/PR-0001/reviews")
    ]
    first, second = (
        shop.bus.must(f"prs/PR-0001/head-{n}.yaml", Head).head for n in (1, 2)
    )
    assert [one.verdict for one in reviews if one.head == first] == [
        "changes",
        "changes",
    ]
    assert [one.verdict for one in reviews if one.head == second] == [
        "approve",
        "approve",
    ]
    (note,) = next(one.notes for one in reviews if one.head == first)
    assert (note.file, note.text[:37]) == (
        "app/static/shelf.js",
        "`title.innerHTML = thing.name` runs w",
    )


@needs_box
def test_who_never_gives_an_answer_that_works_calls_the_person(tmp_path: Path) -> None:
    shop = lay(tmp_path / "game", [], only=["T-001"], owner={"T-001": "claude"})
    shop.misbehave = "garbage=all"
    for _ in range(5):
        shop.do("claude")
    assert shop.bus.names("claims/blocked") == ["T-001.lock"]
    with pytest.raises(NeedsYou) as caught:
        merge_wait.stuck(shop.bus, ["T-001"], [])
    assert str(caught.value) == (
        "bus/claims/blocked/: 3 attempts at T-001 failed\n"
        "  fix: edit bus/tasks/T-001.yaml, then mv bus/claims/blocked/T-001.lock bus/claims/open/"
    )
    lock = Path(shop.bus.here("claims/blocked/T-001.lock"))
    lock.rename(lock.parent.parent / "open" / lock.name)
    shop.misbehave = ""
    shop.do("claude")
    shop.do("claude")
    assert (shop.pr("T-001"), shop.bus.names("problems")) == ("PR-0001", [])
    assert shop.said("claude", "poc.T-001.write.4")


def refuse(shop: Workshop, who: str) -> None:
    """Let an agent do what it may while its model gives no answer, as its daemon would."""
    shop.misbehave = "silent=all"
    while (job := shop.next(who)) is not None:
        seen = shop.desks[who].look(who, tuple(shop.game.roll), ("poc",))
        try:
            shop.do(who)
        except ModelError as error:
            dispatch.release(shop.bus, who, job, seen, error.what)


def test_a_task_that_all_who_may_take_it_were_refused_calls_the_person(
    tmp_path: Path,
) -> None:
    owner = {"T-003": "chatgpt", "T-006": "gemini"}
    shop = lay(tmp_path / "game", ["T-001", "T-002"], only=["T-003"], owner=owner)
    shop.bus.post(
        "tasks/T-005.yaml", Task(kind="build", title="waits", needs=["T-003"])
    )
    board.open_claim(shop.bus, "T-005")
    given = shop.bus.must("poc/assignment.yaml", Assignment)
    Path(shop.bus.here("poc/assignment.yaml")).write_text(
        yaml_write.dumps(msgspec.structs.replace(given, proves=["T-006"]))
    )
    for who in ("chatgpt", "gemini"):
        refuse(shop, who)
        merge_wait.stuck(shop.bus, ["T-003", "T-005"], [])
        assert shop.bus.names("claims/open") == ["T-003.lock", "T-005.lock"]
    refuse(shop, "claude")
    with pytest.raises(NeedsYou) as caught:
        merge_wait.stuck(shop.bus, ["T-003", "T-005"], [])
    assert str(caught.value) == (
        "bus/claims/blocked/: nobody who may take T-003 could do it; claude last: rehearsal: told to be silent in build/T-003\n"
        "  fix: edit bus/tasks/T-003.yaml, then mv bus/claims/blocked/T-003.lock bus/claims/open/"
    )
    lock = Path(shop.bus.here("claims/blocked/T-003.lock"))
    lock.rename(lock.parent.parent / "open" / lock.name)
    assert shop.next("chatgpt") == Take("T-003")


def test_an_agent_that_could_not_have_a_box_calls_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = lay(tmp_path / "game", [], only=["T-001"], owner={"T-001": "claude"})
    shop.bus.trouble(
        "turn-claude",
        "sandbox",
        "the sandbox is weak, bwrap is needed: no rights",
        "sysctl …",
    )
    with pytest.raises(NeedsYou) as caught:
        readiness.box_refused(shop.bus)
    assert (
        str(caught.value)
        == "sandbox: the sandbox is weak, bwrap is needed: no rights\n  fix: sysctl …"
    )
    monkeypatch.setenv("CATHERD_BOX", "weak")
    herd = Herd(shop.bus, {})
    with pytest.raises(NeedsYou) as caught:
        merge_wait.merge_some(crank_of(shop, "poc-build", herd), ["T-001"])
    assert str(caught.value) == (
        "sandbox: poc cannot be built here: the sandbox is weak, bwrap is needed: CATHERD_BOX=weak is set\n"
        "  fix: unset CATHERD_BOX"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_rehearsal_says_at_once_where_its_pack_ends(
    name: str, tmp_path: Path
) -> None:
    shop = lay(
        tmp_path / "game", [], only=["T-001"], name=name, owner={"T-001": "claude"}
    )
    phases = config.phases(shop.bus.root)
    if name == "lending-shelf":
        readiness.packed(shop.bus, phases, shop.game, "release")
        return
    readiness.packed(shop.bus, phases, shop.game, "mvp")
    readiness.packed(
        shop.bus, phases, msgspec.structs.replace(shop.game, models="live"), "alpha"
    )
    with pytest.raises(CatherdError) as caught:
        readiness.packed(shop.bus, phases, shop.game, "alpha")
    assert str(caught.value) == (
        "make alpha: the rehearsal's Halfpast ends at mvp\n"
        "  fix: make new && make alpha BRIEF='a page in the browser' plays the pack that goes on; or make debate LIVE=1"
    )


def test_a_build_is_left_when_its_goal_is_cleared(tmp_path: Path) -> None:
    shop = lay(tmp_path / "game", [], only=["T-001"], owner={"T-001": "claude"})
    goal = Path(shop.bus.here("goal"))
    goal.write_text("poc\n")
    herd = Herd(shop.bus, {})
    goal.unlink()
    with pytest.raises(CatherdError) as caught:
        merge_wait.merge_some(crank_of(shop, "poc-build", herd), ["T-001"])
    assert (
        str(caught.value) == "bus/goal: stopped: the goal was cleared\n  fix: make poc"
    )

"""The switches with which a person sees the herd get through what goes wrong between agents, by a herd in one process."""

import threading
from pathlib import Path

import pytest

from catherd.box import sandbox
from catherd.bus.narrator import Teller
from catherd.core.tasks import Head, Review
from catherd.gates import mends, proof
from catherd.git import merge, objects
from catherd.pulls import board
from catherd.rehearsal.misbehaviour import ASKED, LEFT, TWICE
from support.build_checks import needs, passes
from support.build_herd import Workshop, lay
from support.packs import NAMES
from support.typed import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sandbox.probe_tier().name != "bwrap",
        reason=f"no bubblewrap box: {sandbox.probe_tier().why_not}",
    ),
]


def main_has(shop: Workshop, path: str) -> str:
    """A file on main."""
    return (objects.read_blob(shop.bus.root, shop.main(), path) or b"").decode()


def test_conflict_keeps_an_answer_until_another_stands_in_its_way_and_both_get_to_main(
    tmp_path: Path,
) -> None:
    owner = {"T-003": "claude", "T-004": "chatgpt"}
    shop = lay(
        tmp_path / "game", ["T-001", "T-002"], only=["T-003", "T-004"], owner=owner
    )
    shop.misbehave = "conflict=T-004+T-003"
    for who in ("claude", "chatgpt", "claude"):  # they claim, T-003 is proposed
        shop.do(who)
    assert shop.queue.turn() == []
    for who in ("chatgpt", "gemini"):
        shop.do(who)
    late = threading.Thread(target=shop.do, args=["chatgpt"])
    late.start()
    asked = Path(shop.bus.here("runs/chatgpt/poc.T-004.write.1.1.yaml"))
    until("the question is there", asked.exists)
    assert shop.queue.turn() == ["PR-0001"]
    late.join()
    shop.until("T-004")
    assert [one.why for task in owner for one in needs(shop, task)] == [
        "it conflicts with main"
    ]
    assert [passes(shop, task, tmp_path / task) for task in owner] == [True, True]


def test_changes_asks_for_something_at_first_and_approves_once_it_is_there(
    tmp_path: Path,
) -> None:
    shop = lay(tmp_path / "game", [], only=["T-001"], owner={"T-001": "claude"})
    shop.misbehave = "changes=build/T-001"
    shop.until("T-001")
    reviews = [
        shop.bus.must(f"prs/PR-0001/reviews/{n}", Review)
        for n in shop.bus.names("prs/PR-0001/reviews")
    ]
    first, second = (
        shop.bus.must(f"prs/PR-0001/head-{n}.yaml", Head).head for n in (1, 2)
    )
    assert {one.verdict for one in reviews if one.head == first} == {"changes"}
    assert {
        note.text for one in reviews if one.head == first for note in one.notes
    } == {ASKED}
    assert {one.verdict for one in reviews if one.head == second} == {"approve"}
    assert main_has(shop, "app/shelf/__init__.py").endswith(f"{TWICE}\n")
    assert shop.bus.names("problems") == []


def test_red_brings_what_only_the_gate_sees_and_its_mend_takes_it_out(
    tmp_path: Path,
) -> None:
    halfpast = next(name for name in NAMES if name == "halfpast")
    rest = ["T-001", "T-002", "T-003", "T-004", "T-006", "T-007"]
    shop = lay(
        tmp_path / "game",
        rest,
        only=["T-005"],
        name=halfpast,
        owner={"T-005": "claude"},
    )
    shop.misbehave = "red=build/T-005"
    shop.until("T-005")
    assert LEFT in main_has(shop, "app/timelog/spans.py")
    teller = Teller({}, rehearsal=True)
    evidence, _ = proof.run_gate(shop.bus, shop.phase, shop.game, teller)
    assert evidence.verdict == "red"
    assert (
        "it left 1 running when it ended: /usr/bin/python3 -c import signal; signal.pause()"
        in evidence.reasons[0]
    )
    task = mends.mend_task("poc", mends.mend_body("poc", "M-poc-1", evidence), [])
    task.paths, task.milestone = ["app/"], "poc"
    shop.bus.post("tasks/M-poc-1.yaml", task)
    board.open_claim(shop.bus, "M-poc-1")
    shop.until("M-poc-1")
    assert LEFT not in main_has(shop, "app/timelog/spans.py")
    assert proof.run_gate(shop.bus, shop.phase, shop.game, teller)[0].verdict == "green"
    assert merge.unproved(shop.bus.root, shop.game.base, shop.main()) == []

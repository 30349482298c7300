"""How large things may get: what a cap of the phase file stops, whom it asks, and that raising it goes on."""

import re
from pathlib import Path

import pytest

from catherd.bus import size_limits
from catherd.core.errors import CatherdError
from catherd.git import worktree
from crash import lab
from support import games
from support.build_herd import Workshop, lay
from support.cli_agents import agent_of, needs_box, step


def allow(phase: Path, **megabytes: float) -> None:
    """Set caps in a phase file."""
    text = re.sub(r"(?m)^  caps: .*\n", "", phase.read_text())
    text += "" if "options:\n" in text else "options:\n"
    told = ", ".join(f"{name}: {mb:.6f}" for name, mb in megabytes.items())
    phase.write_text(text.replace("options:\n", f"options:\n  caps: {{{told}}}\n"))


@pytest.mark.herd
def test_a_bus_over_its_cap_stops_the_game_and_a_higher_cap_lets_it_go_on(
    tmp_path: Path,
) -> None:
    game = games.lay(tmp_path / "game")
    allow(game / "phases/debate.yaml", bus=0.001)
    try:
        stopped = games.make(game, "round-1")
        assert stopped.returncode == 2
        assert (
            "bus/: is over its cap of 0.001 MB\n  fix: make tidy; or options: {caps: {bus: 1}} in phases/debate.yaml\n"
        ) in stopped.stdout + stopped.stderr
        assert not (game / "bus/goal").exists()
        assert not (game / "bus/gates/round-1.yaml").exists()
        allow(game / "phases/debate.yaml", bus=1)
        assert games.make(game, "round-1").returncode == 0
        assert (game / "bus/gates/round-1.yaml").exists()
    finally:
        lab.end(game)


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """T-003 is Claude's, claimed, its worktree laid."""
    made = lay(
        tmp_path / "game", ["T-001", "T-002"], only=["T-003"], owner={"T-003": "claude"}
    )
    made.do("claude")
    worktree.begin_branch(made.bus.root, "claude", "T-003", made.main())
    return made


def large(shop: Workshop) -> float:
    """Megabytes of Claude's worktree."""
    return size_limits.used(str(Path(shop.bus.root) / "worktrees/claude"))


def test_a_worktree_over_its_cap_before_any_work_calls_you_and_asks_no_model(
    shop: Workshop,
) -> None:
    mb = large(shop)
    allow(Path(shop.bus.root) / "phases/poc.yaml", worktree=mb - 0.01)
    with pytest.raises(CatherdError) as caught:
        shop.do("claude")
    assert str(caught.value) == (
        f"worktrees/claude/: is over its cap before any work: {mb:.1f} MB; at most {mb - 0.01:g}\n"
        "  fix: du -a worktrees/claude | sort -n | tail; "
        f"or options: {{caps: {{worktree: {max(1, round(2 * float(f'{mb:.1f}')))}}}}} in phases/poc.yaml"
    )
    assert shop.said("claude", "poc.T-003.write.1") == []


def test_a_worktree_that_grows_over_its_cap_goes_back_to_its_author(
    shop: Workshop,
) -> None:
    mb = large(shop)
    allow(Path(shop.bus.root) / "phases/poc.yaml", worktree=mb + 0.0001)
    shop.do("claude")
    _, complaint, *_ = shop.said("claude", "poc.T-003.write.1")
    assert complaint.startswith(
        f"Findings:\nthe whole directory is too large: {large(shop):.1f} MB; at most {mb + 0.0001:g}; "
        "take out what is not needed\n"
    )
    assert shop.bus.names("prs") == []
    allow(Path(shop.bus.root) / "phases/poc.yaml", worktree=400)
    for _ in range(3):
        shop.do("claude")
    assert shop.bus.names("prs") == ["PR-0001"]


def test_a_file_over_its_cap_goes_back_to_its_author(shop: Workshop) -> None:
    allow(Path(shop.bus.root) / "phases/poc.yaml", artifact=0.0001)
    shop.do("claude")
    _, complaint, *_ = shop.said("claude", "poc.T-003.write.1")
    assert re.match(
        r"app/\S+: is larger than 100 bytes\n  fix: give it a plain name under the task's paths",
        complaint,
    )


@pytest.mark.slow
@needs_box
def test_what_a_program_leaves_lying_about_counts_for_the_cap_of_the_worktree(
    shop: Workshop, tmp_path: Path
) -> None:
    mb = large(shop)
    allow(Path(shop.bus.root) / "phases/poc.yaml", worktree=mb + 0.2)
    agent = agent_of(shop, tmp_path, 'open("app/heap.txt", "w").write("x" * 900_000)\n')
    step(shop, agent)
    _, complaint, *_ = shop.said("claude", "poc.T-003.write.1")
    said = re.match(
        r"Not taken: \.: size error: more than (\d+) bytes in all\n", complaint
    )
    assert said is not None
    assert (
        abs(int(said[1]) - (mb + 0.2) * 1e6) <= 1
    )  # a number with decimals, written and read

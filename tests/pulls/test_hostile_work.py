"""What an answer, a program or you can do to a worktree in the middle of a task: each is told, nothing is lost, work goes on."""

import os
import shutil
from pathlib import Path
from threading import Thread

import pytest

from catherd.answers.fences import File
from catherd.bus.yaml_write import dumps
from catherd.core.errors import CatherdError
from catherd.core.messages import Answer, Trouble
from catherd.core.model import ModelError, Reply
from catherd.git import objects, run, safewrite
from catherd.git.pr_rules import Rules
from support.build_herd import Workshop, lay
from support.cli_agents import agent_of, needs_box, step
from support.git_repos import everything, sh
from support.typed import until

pytestmark = pytest.mark.herd

HOOK = "#!/bin/sh\ntouch HOOKED\n"


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """T-003 is Claude's, and claimed."""
    made = lay(
        tmp_path / "game", ["T-001", "T-002"], only=["T-003"], owner={"T-003": "claude"}
    )
    made.do("claude")
    return made


def hooked(shop: Workshop) -> list[str]:
    """What a hook left, or would be run from."""
    root = Path(shop.bus.root)
    hooks = [
        p.name
        for p in (root / ".git/hooks").iterdir()
        if not p.name.endswith(".sample")
    ]
    return hooks + [str(p.relative_to(root)) for p in root.rglob("HOOKED")]


@needs_box
def test_an_answer_with_a_hook_in_it_goes_back_and_the_next_one_is_taken(
    shop: Workshop,
) -> None:
    shop.misbehave = "silent=all"
    with pytest.raises(ModelError):
        shop.do("claude")
    shop.misbehave = ""
    text = f"---\nkind: work\n---\nDone.\n\n~~~~~~file path=.GIT/hooks/post-commit\n{HOOK}~~~~~~\n"
    answer = Path(shop.bus.here("runs/claude/poc.T-003.write.1.1.answer.yaml"))
    answer.write_text(
        dumps(Answer(text=text, model="m", at="2026-01-01T00:00:00.000Z"))
    )  # as if that had been said
    shop.do("claude")
    (complaint,) = shop.said("claude", "poc.T-003.write.1")[1:]
    assert complaint == (
        "line 6: the path '.GIT/hooks/post-commit' belongs to git\n"
        "\nReturn the full document again, corrected, and nothing else."
    )
    assert hooked(shop) == []
    assert shop.bus.names("prs") == ["PR-0001"]


IN_THE_WAY = (
    "is a directory there\n  fix: use another name, or delete the files below it first"
)


@needs_box
def test_an_answer_with_a_file_where_a_directory_stands_goes_back_each_time_it_is_read(
    shop: Workshop,
) -> None:
    text = "---\nkind: work\n---\nDone.\n\n~~~~~~file path=app/shelf\nx\n~~~~~~\n"
    shop.misbehave = "silent=all"
    answer = Path(shop.bus.here("runs/claude/poc.T-003.write.1.1.answer.yaml"))
    with pytest.raises(ModelError):
        shop.do("claude")
    answer.write_text(
        dumps(Answer(text=text, model="m", at="2026-01-01T00:00:00.000Z"))
    )
    with pytest.raises(ModelError):
        shop.do("claude")
    shop.misbehave = ""
    shop.do("claude")
    assert {
        one.partition("\n\n")[0] for one in shop.said("claude", "poc.T-003.write.1")[1:]
    } == {f"app/shelf: {IN_THE_WAY}"}
    assert shop.bus.names("prs") == ["PR-0001"]


def test_a_file_takes_the_place_of_an_empty_directory_and_of_no_other(
    tmp_path: Path,
) -> None:
    rules = Rules(("app/",))
    safewrite.put(str(tmp_path), File("app/new/x", "x\n"), rules)
    for wrong in (File("app/new", "y\n"), File("app/new", delete=True)):
        with pytest.raises(CatherdError) as caught:
            safewrite.put(str(tmp_path), wrong, rules)
        assert str(caught.value) == f"app/new: {IN_THE_WAY}"
    safewrite.put(str(tmp_path), File("app/new/x", delete=True), rules)
    safewrite.put(str(tmp_path), File("app/new", "y\n"), rules)
    assert everything(str(tmp_path)) == {"app/new": b"y\n"}


def test_half_a_character_in_an_answer_is_replaced_and_two_halves_are_one() -> None:
    assert Reply("a\ud800b \ud83d\ude00\ud83d", "m").text == "a\ufffdb \U0001f600\ufffd"


LITTER = f"""
import shutil
if "nested error" in prompt:
    shutil.rmtree("app/.GIT")
else:
    os.makedirs("app/.GIT/hooks", exist_ok=True)
    open("app/.GIT/hooks/post-commit", "w").write({HOOK!r})
    os.chmod("app/.GIT/hooks/post-commit", 0o755)
"""


@needs_box
def test_a_worktree_with_a_hook_in_it_goes_back_to_the_program_that_left_it(
    shop: Workshop, tmp_path: Path
) -> None:
    agent = agent_of(shop, tmp_path, LITTER)
    step(shop, agent)
    complaint = shop.said("claude", "poc.T-003.write.1")[1]
    assert complaint == (
        "Not taken: app/.GIT: nested error: a repository inside the worktree; remove its .git\n"
        "\nReturn the full document again, corrected, and nothing else."
    )
    assert shop.bus.names("prs") == ["PR-0001"]
    branch = run.git(
        shop.bus.root, "ls-tree", "-r", "--name-only", "claude/T-003"
    ).lower()
    assert ".git/" not in branch
    assert hooked(shop) == []


@needs_box
def test_a_worktree_that_you_remove_during_a_call_is_made_again_and_the_answer_is_not_asked_for_twice(
    shop: Workshop,
) -> None:
    shop.misbehave = "latency=1"
    asked = Path(shop.bus.here("runs/claude/poc.T-003.write.1.1.yaml"))

    def remove() -> None:
        until("it is asked", asked.exists)
        shutil.rmtree(os.path.join(shop.bus.root, "worktrees/claude"))

    you = Thread(target=remove)
    you.start()
    with pytest.raises(CatherdError) as caught:
        shop.do("claude")
    you.join()
    assert str(caught.value) == (
        "worktrees/claude: was removed while Claude worked in it\n"
        "  fix: nothing: it is made again, and the answer is not asked for twice"
    )
    shop.do("claude")
    assert len(shop.said("claude", "poc.T-003.write.1")) == 1
    told = shop.bus.must("problems/worktree-claude.yaml", Trouble)
    assert (told.where, told.what, told.fix) == (
        "worktrees/claude",
        "worktrees/claude was removed: made again from the last commit",
        "rm bus/problems/worktree-claude.yaml",
    )
    assert shop.bus.names("prs") == ["PR-0001"]


@needs_box
def test_a_worktree_that_you_remove_between_two_heads_is_made_again_from_the_branch(
    tmp_path: Path,
) -> None:
    shop = lay(tmp_path / "game", [], only=["T-005"], owner={"T-005": "claude"})
    while not shop.bus.there("prs/PR-0001/head-1.yaml"):
        shop.turn()
    first = run.rev(shop.bus.root, "claude/T-005")
    shutil.rmtree(os.path.join(shop.bus.root, "worktrees"))
    assert shop.until("T-005") == ["PR-0001"]
    assert shop.bus.names("prs/PR-0001")[:2] == ["head-1.yaml", "head-2.yaml"]
    assert objects.is_ancestor(shop.bus.root, first, shop.main())
    assert sh(shop.bus.root, "fsck", "--no-dangling") == ""

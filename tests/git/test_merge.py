"""The merge machine: exactly once, nothing lost, proved by the history alone."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from catherd.core.errors import CatherdError, Fault, NeedsYou
from catherd.git import landing, merge, objects, run, trailers, worktree
from support.git_repos import everything, put, repo, sh

BENCH = Path(__file__).parents[2] / "bench" / "merge_load.py"


START = {"app/main.py": "print(1)\n", "app/shared.txt": "a\nb\nc\n"}


def work(root: str, files: dict[str, str], topic: str = "claude/T-001") -> str:
    """An agent's turn: these files, committed on its branch."""
    name, _, task = topic.partition("/")
    tree = Path(worktree.begin_branch(root, name, task, "main").path)
    put(tree, files)
    return worktree.commit(
        root, name, worktree.changed_paths(root, name), f"Work on {task}"
    )


def text(
    head: str,
    tree: str,
    topic: str = "claude/T-001",
    pr: str = "PR-0001",
    **more: list[str],
) -> str:
    said = {
        "reviewers": ["chatgpt", "gemini"],
        "checks": ["tests", "lint"],
        "overrides": [],
        **more,
    }
    return trailers.message(
        trailers.MergeCandidate(pr=pr, topic=topic, head=head, tree=tree),
        "the app starts",
        "It prints.",
        said["reviewers"],
        said["checks"],
        said["overrides"],
    )


def go(
    root: str,
    head: str,
    topic: str = "claude/T-001",
    pr: str = "PR-0001",
    **more: list[str],
) -> merge.Done:
    """Everything between the reviews and main."""
    main = run.rev(root, "main")
    tree, conflicts = objects.merge_tree(root, main, head)
    assert conflicts == ()
    message = text(head, tree, topic, pr, **more)
    return merge.merge(
        root,
        "main",
        trailers.MergeCandidate(pr=pr, topic=topic, head=head, tree=tree),
        message=message,
        main=main,
    )


def test_a_merge_moves_your_checkout_along_and_marks_the_pr(root: str) -> None:
    start = run.rev(root, "main")
    head = work(root, {"app/new.py": "x\n"})
    put(Path(root), {"app/shared.txt": "edited by you\n", ".env": "S=1\n"})
    done = go(root, head)
    assert done == merge.Done(run.rev(root, "main"), root, new=True)
    assert merge.merged(root, "PR-0001") == done.sha
    assert sh(root, "show", "-s", "--format=%P|%an|%cn|%s", "main") == (
        f"{start} {head}|Claude (catherd)|catherd|Merge claude/T-001: the app starts (PR-0001)"
    )
    assert Path(root, "app/new.py").read_text() == "x\n"
    assert sh(root, "status", "--porcelain") == " M app/shared.txt"


def test_merging_again_is_the_same_merge(root: str) -> None:
    head = work(root, {"app/new.py": "x\n"})
    done = go(root, head)
    again = merge.merge(
        root,
        "main",
        trailers.MergeCandidate(pr="PR-0001", topic="claude/T-001", head=head, tree=""),
        message="",
        main="whatever it was then",
    )
    assert again == merge.Done(done.sha, "", new=False)
    assert sh(root, "rev-list", "--count", "--merges", "main") == "1"


def test_a_lost_mark_is_made_again_from_the_history(root: str) -> None:
    head = work(root, {"app/new.py": "x\n"})
    done = go(root, head)
    work(root, {"app/two.py": "x\n"}, "gemini/T-002")
    go(root, run.rev(root, "gemini/T-002"), "gemini/T-002", "PR-0002")
    sh(root, "update-ref", "-d", merge.merged_ref("PR-0001"))
    again = merge.merge(
        root,
        "main",
        trailers.MergeCandidate(pr="PR-0001", topic="claude/T-001", head=head, tree=""),
        message="",
        main="",
    )
    assert again == merge.Done(done.sha, "", new=False)
    assert merge.merged(root, "PR-0001") == done.sha


@pytest.mark.parametrize(
    "how", [["merge", "-q", "--no-ff", "-m", "by hand"], ["merge", "-q", "--ff-only"]]
)
def test_a_branch_that_you_merged_by_hand_is_only_marked(
    root: str, how: list[str]
) -> None:
    head = work(root, {"app/new.py": "x\n"})
    sh(root, *how, "claude/T-001")
    mine = run.rev(root, "main")
    done = merge.merge(
        root,
        "main",
        trailers.MergeCandidate(pr="PR-0001", topic="claude/T-001", head=head, tree=""),
        message="",
        main="",
    )
    assert done == merge.Done(mine, "", new=False)


def test_main_or_the_branch_moved_since_the_verdict_asks_for_a_new_one(
    root: str,
) -> None:
    head = work(root, {"app/new.py": "x\n"})
    main = run.rev(root, "main")
    tree = objects.merge_tree(root, main, head).tree
    landing.land(root, "main", {"docs/game/chat.md": b"hi\n"}, [], "chat")
    moved = run.rev(root, "main")
    with pytest.raises(run.Moved):
        merge.merge(
            root,
            "main",
            trailers.MergeCandidate(
                pr="PR-0001", topic="claude/T-001", head=head, tree=tree
            ),
            message="m",
            main=main,
        )
    tree = objects.merge_tree(root, moved, head).tree
    put(Path(root, "worktrees/claude"), {"app/more.py": "y\n"})
    worktree.commit(root, "claude", ["app/more.py"], "more")
    with pytest.raises(run.Moved):
        merge.merge(
            root,
            "main",
            trailers.MergeCandidate(
                pr="PR-0001", topic="claude/T-001", head=head, tree=tree
            ),
            message="m",
            main=moved,
        )
    assert run.rev(root, "main") == moved
    assert merge.merged(root, "PR-0001") == ""


def test_a_tree_that_was_not_the_merge_is_refused(root: str) -> None:
    head = work(root, {"app/new.py": "x\n"})
    main = run.rev(root, "main")
    with pytest.raises(Fault) as caught:
        merge.merge(
            root,
            "main",
            trailers.MergeCandidate(
                pr="PR-0001", topic="claude/T-001", head=head, tree="0" * 40
            ),
            message="m",
            main=main,
        )
    assert (
        caught.value.what
        == f"the merge of {head[:12]} into {main[:12]} is not 000000000000"
    )


def test_a_clash_with_your_files_waits_and_leaves_no_mark(root: str) -> None:
    head = work(root, {"app/new.py": "x\n"})
    put(Path(root), {"app/new.py": "my own draft\n"})
    before = everything(root, besides=(".git", "worktrees"))
    main = run.rev(root, "main")
    with pytest.raises(NeedsYou):
        go(root, head)
    assert everything(root, besides=(".git", "worktrees")) == before
    assert (run.rev(root, "main"), merge.merged(root, "PR-0001")) == (main, "")
    Path(root, "app/new.py").unlink()
    assert go(root, head).new


def test_attributes_in_your_checkout_do_not_change_the_merge(root: str) -> None:
    head = work(root, {"app/shared.txt": "theirs\nb\nc\n"})
    sh(root, "switch", "-q", "-c", "side")
    put(Path(root), {"app/shared.txt": "mine\nb\nc\n"})
    sh(root, "commit", "-qam", "mine")
    put(Path(root), {".gitattributes": "* merge=union\n"})
    assert objects.merge_tree(root, "side", head).conflicts == ("app/shared.txt",)


def test_an_export_has_every_file_and_no_links_whatever_the_attributes_say(
    root: str, tmp_path: Path
) -> None:
    oid = objects.blobs(root, [b"../../etc/passwd", b"* export-ignore\n"])
    tree = objects.build_tree(
        root,
        "main",
        {"app/link": ("120000", oid[0]), ".gitattributes": ("100644", oid[1])},
    )
    (tmp_path / "out").mkdir()
    objects.export(root, tree, str(tmp_path / "out"))
    found = everything(str(tmp_path / "out"), besides=())
    assert found.keys() == {
        ".gitattributes",
        ".gitignore",
        "README.md",
        "app/main.py",
        "app/shared.txt",
        "app/link",
    }
    assert not (tmp_path / "out/app/link").is_symlink()


def test_the_author_takes_main_in_and_resolves_the_conflict(root: str) -> None:
    mine = work(root, {"app/shared.txt": "claude\nb\nc\n"})
    theirs = work(
        root,
        {
            "app/shared.txt": "gemini\nb\nc\n",
            "app/hidden.log": "x\n",
            "app/.gitignore": "*.log\n",
        },
        "gemini/T-002",
    )
    sh(f"{root}/worktrees/gemini", "add", "-f", "app/hidden.log")
    theirs = worktree.commit(
        root, "gemini", ["app/hidden.log"], "an ignored file, tracked"
    )
    go(root, theirs, "gemini/T-002", "PR-0002")
    main = run.rev(root, "main")
    merged = objects.merge_tree(root, mine, main)
    assert merged.conflicts == ("app/shared.txt",)
    worktree.update(root, "claude", merged.tree)
    shared = Path(root, "worktrees/claude/app/shared.txt")
    assert "<<<<<<< " in shared.read_text()
    with pytest.raises(CatherdError) as caught:
        worktree.commit(root, "claude", [], "resolved", merging=main)
    fix = "resolve the conflict"
    assert (
        str(caught.value)
        == f"app/shared.txt: conflict markers are left in the file\n  fix: {fix}"
    )
    shared.write_text("claude and gemini\nb\nc\n")
    put(Path(root, "worktrees/claude"), {"app/extra.py": "needed for it\n"})
    head = worktree.commit(root, "claude", [], "Take main in", merging=main)
    assert sh(root, "show", "-s", "--format=%P", head) == f"{mine} {main}"
    assert objects.read_blob(root, head, "app/hidden.log") == b"x\n"
    assert objects.read_blob(root, head, "app/extra.py") == b"needed for it\n"
    assert sh(root, "diff", "--name-only", main, head).split() == [
        "app/extra.py",
        "app/shared.txt",
    ]
    go(root, head)
    assert sh(f"{root}/worktrees/claude", "status", "--porcelain") == ""


def test_a_branch_goes_only_when_git_proves_that_it_is_on_main(root: str) -> None:
    head = work(root, {"app/new.py": "x\n"})
    with pytest.raises(CatherdError) as caught:
        merge.drop_branch(root, "main", "claude/T-001")
    fix = "git branch -D claude/T-001  (only if you do not want it)"
    assert (
        str(caught.value)
        == f"{root}: claude/T-001 is kept: its head {head[:12]} is not on main\n  fix: {fix}"
    )
    go(root, head)
    with run.locked(root, "worktree-claude"):
        busy = subprocess.run(
            [sys.executable, "-c", f"from catherd.git import merge; print(merge.drop_branch({root!r}, 'main', 'claude/T-001'))"],
            capture_output=True, text=True,
        )  # fmt: skip
    assert busy.stdout == "False\n"
    assert merge.drop_branch(root, "main", "claude/T-001") is True
    assert run.rev(root, "refs/heads/claude/T-001") == ""
    assert (
        sh(f"{root}/worktrees/claude", "status", "--porcelain", "-b")
        == "## HEAD (no branch)"
    )
    assert merge.drop_branch(root, "main", "claude/T-001") is True
    sh(root, "branch", "gemini/T-004")
    sh(root, "switch", "-q", "gemini/T-004")
    assert merge.drop_branch(root, "main", "gemini/T-004") is False


CASES: dict[str, tuple[str, dict[str, list[str]], list[str]]] = {
    "good": ("", {}, []),
    "its author among them": (
        "",
        {"reviewers": ["claude", "gemini"]},
        ["own", "reviews"],
    ),
    "one review": ("", {"reviewers": ["gemini"]}, ["reviews"]),
    "the same twice": ("", {"reviewers": ["gemini", "gemini"]}, ["reviews"]),
    "overridden by a person": ("", {"reviewers": [], "overrides": ["human"]}, []),
    "no verdict": ("", {"checks": []}, ["ci"]),
    "reviews of another head": ("head", {}, ["stale", "stale", "reviews"]),
    "a verdict for another tree": ("tree", {}, ["ci"]),
    "two whom nobody knows": (
        "",
        {"reviewers": ["bogus", "ghost"]},
        ["roll", "roll", "reviews"],
    ),
    "overridden by its author": (
        "",
        {"reviewers": [], "overrides": ["claude"]},
        ["override", "reviews"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_audit_reads_the_proof_from_the_history(root: str, case: str) -> None:
    swap, more, codes = CASES[case]
    base = run.rev(root, "main")
    head = work(root, {"app/new.py": "x\n"})
    tree = objects.merge_tree(root, base, head).tree
    seen, tested = (
        ("f" * 40 if swap == "head" else head),
        ("f" * 40 if swap == "tree" else tree),
    )
    said = text(seen, tested, "claude/T-001", "PR-0001", **more)
    merge.merge(
        root,
        "main",
        trailers.MergeCandidate(
            pr="PR-0001", topic="claude/T-001", head=head, tree=tree
        ),
        message=said,
        main=base,
    )
    landing.land(root, "main", {"docs/game/chat.md": b"hi\n"}, [], "chat")
    assert [
        f.code
        for f in merge.unproved(
            root, base, "main", roll=["chatgpt", "claude", "gemini"]
        )
    ] == codes


def test_the_audit_finds_what_did_not_come_through_the_machine(
    root: str, tmp_path: Path
) -> None:
    base = run.rev(root, "main")
    landing.land(root, "main", {"app/main.py": b"sneaked in\n"}, [], "not a document")
    head = work(root, {"app/new.py": "x\n"})
    main = run.rev(root, "main")
    tree = objects.merge_tree(root, main, head).tree
    evil = objects.build_tree(
        root, tree, {"app/evil.py": ("100644", objects.blobs(root, [b"x"])[0])}
    )
    sha = objects.commit_tree(
        root,
        evil,
        [main, head],
        text(head, evil),
        run.agent_identity("claude"),
        run.CATHERD,
    )
    sh(root, "merge", "-q", "--ff-only", sha)
    sh(root, "commit", "-q", "--allow-empty", "-m", "a person's own")
    work(root, {"app/z.py": "x\n"}, "gemini/T-009")
    sh(root, "merge", "-q", "--ff-only", "gemini/T-009")
    sh(root, "cherry-pick", "-Xtheirs", work(root, {"app/y.py": "x\n"}, "gemini/T-010"))
    sh(tmp_path, "clone", "-q", root, "copy")
    found = merge.unproved(f"{tmp_path}/copy", base, "origin/main")
    assert [(f.code, f.severity, f.text) for f in found] == [
        ("outside", "error", "catherd itself changed app/main.py"),
        ("tree", "error", "its tree is not the merge of its parents"),
        ("yours", "note", "by you@example.org: a person's own"),
        (
            "agent",
            "error",
            "an agent's commit is on main without a merge of catherd's: Work on T-009",
        ),
        (
            "agent",
            "error",
            "an agent's commit is on main without a merge of catherd's: Work on T-010",
        ),
    ]
    with pytest.raises(CatherdError) as caught:
        merge.unproved(root, "gemini/T-009", base)
    assert "is not in the history of" in caught.value.what


def test_the_audit_tells_what_you_merged_yourself_and_holds_it_to_the_same(
    root: str,
) -> None:
    base = run.rev(root, "main")
    work(root, {"app/evil.py": "x\n"}, "claude/T-666")
    sh(root, "merge", "-q", "--no-ff", "-m", "merge evil", "claude/T-666")
    sh(root, "switch", "-q", "-c", "yours", base)
    sh(root, "commit", "-q", "--allow-empty", "-m", "a person's own")
    sh(root, "switch", "-q", "main")
    go(root, work(root, {"app/new.py": "x\n"}))
    theirs = run.rev(root, "main")
    sh(root, "switch", "-q", "yours")
    sh(
        root, "merge", "-q", "--no-ff", "-m", "pulled", "main"
    )  # brings what was reviewed, and what was not
    sh(root, "switch", "-q", "main")
    sh(root, "merge", "-q", "--no-ff", "-m", "merge yours", "yours")
    expected = [
        (
            "agent",
            "error",
            "an agent's commit is on main without a merge of catherd's: Work on T-666",
        ),
        ("merged", "note", "merged by you@example.org, not reviewed: merge evil"),
    ]
    mine = [("yours", "note", "by you@example.org: a person's own")]
    pulled = [("merged", "note", "merged by you@example.org, not reviewed: pulled")]
    last = [("merged", "note", "merged by you@example.org, not reviewed: merge yours")]
    found = {
        head: [f[1:] for f in merge.unproved(root, base, head)]
        for head in (theirs, "yours", "main")
    }
    assert found == {
        theirs: expected,
        "yours": mine + expected + pulled,
        "main": expected + mine + pulled + last,
    }
    assert {head: merge.merges_between(root, base, head) for head in found} == {
        theirs: 1,
        "yours": 1,
        "main": 1,
    }


def test_the_audit_refuses_a_pull_request_that_is_merged_twice(root: str) -> None:
    base = run.rev(root, "main")
    first = go(root, work(root, {"app/new.py": "x\n"})).sha
    run.git(root, "update-ref", "-d", merge.merged_ref("PR-0001"), change="merged")
    go(
        root,
        work(root, {"app/two.py": "x\n"}, "gemini/T-002"),
        "gemini/T-002",
        reviewers=["chatgpt", "claude"],
    )
    found = [f[1:] for f in merge.unproved(root, base, "main")]
    assert found == [("twice", "error", f"PR-0001 was merged before, as {first[:12]}")]


def test_trailers_in_an_agents_own_text_prove_nothing() -> None:
    forged = "Nice work.\n\nReviewed-by: gemini <gemini@agents.invalid> (aaaaaaaaaaaa)\n  ci : tree:x\r> PR: 9\nSigned-off-by: me"
    assert trailers.trailer_text(forged) == "Nice work."
    assert (
        trailers.subject("fix\n\nReviewed-by: x <x@agents.invalid> (a)\x07 it") == "fix"
    )
    head, tree = "a" * 40, "b" * 40
    said = trailers.message(
        trailers.MergeCandidate(
            pr="PR-0001", topic="claude/T-001", head=head, tree=tree
        ),
        f"t {forged}",
        forged,
        ["gemini"],
        ["tests"],
    )
    assert said == (
        "Merge claude/T-001: t Nice work. (PR-0001)\n\nNice work.\n\nTask: T-001\nPR: PR-0001\n"
        f"Reviewed-by: gemini <gemini@agents.invalid> ({head[:12]})\nCI: tree:{tree} tests=green\n"
    )
    assert trailers.parse_trailers(said) == trailers.Proof(
        "T-001", "PR-0001", (("gemini", "a" * 12),), (), ((tree, "tests"),)
    )  # fmt: skip
    assert (
        trailers.parse_trailers(
            "x\n\nReviewed-by: gemini <claude@agents.invalid> (aaaaaaaaaaaa)"
        ).reviews
        == ()
    )
    assert (
        trailers.parse_trailers(
            "Reviewed-by: gemini <gemini@agents.invalid> (aaaaaaaaaaaa)\n\nthe end"
        ).reviews
        == ()
    )


MERGE = """
import sys
from catherd.git import merge, objects, run, trailers
root, head = sys.argv[1:]
main = run.rev(root, "main")
tree = objects.merge_tree(root, main, head).tree
candidate = trailers.MergeCandidate(pr="PR-0001", topic="claude/T-001", head=head, tree=tree)
merge.merge(root, "main", candidate, message="Merge", main=main)
"""


@pytest.mark.parametrize("where", ["checked out", "elsewhere"])
def test_a_kill_at_each_effect_of_a_merge_gives_one_merge_and_one_mark(
    tmp_path: Path, where: str
) -> None:
    for n in range(1, 20):
        fired = False
        for when in ("before", "after"):
            root = repo(tmp_path / f"{n}-{when}", {"app/main.py": "x\n"})
            head = work(root, {"app/new.py": "x\n"})
            if where == "elsewhere":
                sh(root, "switch", "-q", "-c", "mine")
            put(Path(root), {"README.md": "edited\n"})
            crash = tmp_path / f"crash-{n}-{when}"
            crash.mkdir()
            env = {
                **os.environ,
                "CATHERD_CRASH_DIR": str(crash),
                "CATHERD_CRASH_AT": f"herd:{n}:{when}",
            }
            done = subprocess.run(
                [sys.executable, "-c", MERGE, root, head],
                env=env,
                stderr=subprocess.PIPE,
            )
            fired = (crash / "fired").exists()
            assert done.returncode == (-signal.SIGKILL if fired else 0), done.stderr
            subprocess.run([sys.executable, "-c", MERGE, root, head], check=True)
            assert sh(root, "rev-list", "--count", "--merges", "main") == "1"
            assert merge.merged(root, "PR-0001") == run.rev(root, "main")
            assert sh(root, "status", "--porcelain") == " M README.md"
            assert Path(root, "README.md").read_text() == "edited\n"
        if not fired:
            break
    assert n == {"checked out": 5, "elsewhere": 2}[where]


def test_agents_merging_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    agents, prs = "4", "3"  # make merge-proof: 8 and 13
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, str(BENCH), "--agents", agents, "--prs", prs, "--dir", str(tmp_path / "load"), "--kill"],
        env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    total = int(agents) * int(prs)
    assert f"merged {total} of {total}, lost 0, doubled 0, fsck clean" in done.stdout
    shutil.rmtree(tmp_path / "load")

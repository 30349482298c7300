"""The merge machine under load: N agents, each a process, take M tasks each through branch, PR and merge, instantly.

Every third task edits the same lines of one file, so that conflicts happen and are resolved by their author. With `--kill`
agents are killed with SIGKILL at random moments and started again. At the end everything is counted from git alone: lost
lines, doubled merges, unmarked PRs, heads that are not on main, `git fsck`. Exit 0 only when all of it is right.

    python bench/merge_load.py --agents 8 --prs 13
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from catherd.git import merge, objects, trailers, worktree
from catherd.git import run as run_
from catherd.herd import recovery

SHARED = "app/shared.txt"
Start = Callable[[str], "subprocess.Popen[bytes]"]


def author(root: str, name: str, count: int) -> None:
    """One agent's life: each task that is not merged yet, from branch to merge."""
    recovery.recover(root)
    for n in range(count):
        pr, topic = f"PR-{name}-{n:03}", f"{name}/T-{n:03}"
        if merge.merged(root, pr):
            merge.drop_branch(root, "main", topic)
            continue
        head = write(root, name, n)
        while not attempt(root, name, topic, pr, head):
            head = run_.rev(root, f"refs/heads/{topic}")
        merge.drop_branch(root, "main", topic)


def write(root: str, name: str, n: int) -> str:
    """The work itself: a file of its own, and every third time a line that all want to put at the same place."""
    begun = worktree.begin_branch(root, name, f"T-{n:03}", "main")
    own = f"app/{name}/{n:03}.txt"
    if objects.read_blob(root, begun.head, own) is not None:
        return begun.head  # done before the kill
    os.makedirs(os.path.dirname(os.path.join(begun.path, own)), exist_ok=True)
    with open(os.path.join(begun.path, own), "w", encoding="utf-8") as file:
        file.write(f"{name} {n}\n")
    if n % 3 == 0:
        with open(os.path.join(begun.path, SHARED), "a", encoding="utf-8") as file:
            file.write(f"{name}-{n:03}\n")
    return worktree.commit(root, name, worktree.changed_paths(root, name), f"Task {n}")


def attempt(root: str, name: str, topic: str, pr: str, head: str) -> bool:
    """One try to merge; False when main moved or the conflict had to be resolved first."""
    main = run_.rev(root, "refs/heads/main")
    tree, conflicts = objects.merge_tree(root, main, head)
    if conflicts and not objects.is_ancestor(root, head, main):
        worktree.begin_branch(root, name, topic.partition("/")[2], "main")
        merged = objects.merge_tree(root, head, main)
        worktree.update(root, name, merged.tree)
        path = os.path.join(worktree.folder(root, name), SHARED)
        with open(path, encoding="utf-8") as file:
            kept = [line for line in file if not re.match("[<=>]{7}", line)]
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(kept)
        worktree.commit(root, name, [], "Take main in", merging=main)
        return False
    candidate = trailers.MergeCandidate(pr=pr, topic=topic, head=head, tree=tree)
    message = trailers.message(candidate, "work", "", ["x", "y"], ["tests"])
    try:
        merge.merge(root, "main", candidate, message=message, main=main)
    except run_.Moved:
        return False
    return True


def run(root: str, agents: int, prs: int, *, kill: bool) -> int:
    """All agents at once; gives how many were killed on the way."""
    dice = random.Random(os.environ.get("SEED", "7"))

    def start(name: str) -> "subprocess.Popen[bytes]":
        argv = [
            sys.executable,
            __file__,
            "--author",
            name,
            "--prs",
            str(prs),
            "--dir",
            root,
        ]
        return subprocess.Popen(argv, start_new_session=True)

    crowd = {name: start(name) for name in (f"agent{n}" for n in range(agents))}
    killed = 0
    try:
        while crowd:
            killed += beat(crowd, start, dice, kill=kill and killed < 2 * agents)
    finally:
        for left in crowd.values():
            left.kill()
            left.wait()
    return killed


def beat(
    crowd: "dict[str, subprocess.Popen[bytes]]",
    start: Start,
    dice: random.Random,
    *,
    kill: bool,
) -> int:
    """Wait a moment for one agent; 1 when it was killed and started again."""
    name = dice.choice(sorted(crowd))
    try:
        code = crowd[name].wait(dice.uniform(0.05, 0.6))
    except subprocess.TimeoutExpired:
        if kill:
            end(crowd[name], git_too=dice.random() < 0.5)
            crowd[name] = start(name)
        return int(kill)
    if code != 0:
        sys.exit(f"{name} ended with {code}")
    del crowd[name]
    return 0


def end(agent: "subprocess.Popen[bytes]", *, git_too: bool) -> None:
    """SIGKILL an agent; with `git_too` also the git that it runs at this moment, as a power cut would."""
    agent.send_signal(signal.SIGSTOP)
    if git_too:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(
                    f"/proc/{pid}/stat", encoding="utf-8", errors="replace"
                ) as file:
                    parent = file.read().rpartition(")")[2].split()[1]
                if parent == str(agent.pid):
                    os.kill(int(pid), signal.SIGKILL)
            except OSError:
                continue
    agent.kill()
    agent.wait()


def verdict(root: str, agents: int, prs: int, base: str) -> str:
    """What git says about the outcome."""
    total = agents * prs
    lines = run_.call(root, "cat-file", "blob", f"main:{SHARED}").out.decode().split()
    wanted = {f"agent{a}-{n:03}" for a in range(agents) for n in range(0, prs, 3)}
    files = objects.list_tree(root, "main", "app")
    missing = wanted - set(lines)
    missing |= {
        f"app/agent{a}/{n:03}.txt" for a in range(agents) for n in range(prs)
    } - set(files)
    subjects = run_.git(
        root, "log", "--first-parent", "--format=%s", f"{base}..main"
    ).splitlines()
    marks = [
        merge.merged(root, f"PR-agent{a}-{n:03}")
        for a in range(agents)
        for n in range(prs)
    ]
    good = sum(bool(m) and objects.is_ancestor(root, m, "main") for m in marks)
    doubled = (
        len(subjects)
        - len(set(subjects))
        + len(lines)
        - len(set(lines))
        + (len(marks) - len(set(marks)))
    )
    faults = (
        run_.call(root, "fsck", "--strict", "--no-dangling", okay=(0, 1, 2, 3, 4))
        .out.decode()
        .strip()
    )
    audit = [f for f in merge.unproved(root, base, "main") if f.severity == "error"]
    clean = "fsck clean" if not faults else f"fsck: {faults[:200]}"
    return f"merged {good} of {total}, lost {len(missing)}, doubled {doubled}, {clean}, audit {len(audit)}"


def main() -> int:
    """Run it, print one line, 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=8)
    parser.add_argument("--prs", type=int, default=13, help="of each agent")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--dir", default="", help="where the repository is made; kept")
    parser.add_argument("--author", default="", help="internal: be this agent")
    told = parser.parse_args()
    if told.author:
        author(told.dir, told.author, told.prs)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        root = os.path.realpath(told.dir or scratch)
        os.makedirs(os.path.join(root, "app"), exist_ok=True)
        subprocess.run(["git", "init", "-q", "-b", "main", root], check=True)
        base = objects.commit_files(
            root,
            "refs/heads/main",
            {SHARED: b"start\n", ".gitignore": b"/worktrees/\n"},
            "start",
        )
        run_.call(run_.at(root, person=True), "reset", "--hard", "--quiet")
        began = time.monotonic()
        killed = run(root, told.agents, told.prs, kill=told.kill)
        seconds = time.monotonic() - began
        said = verdict(root, told.agents, told.prs, base)
        count = told.agents * told.prs
        print(
            f"{said}, {killed} killed, {seconds:.1f} s, {60 * count / seconds:.0f} PRs a minute"
        )
        left = run_.git(run_.at(root, person=True), "status", "--porcelain")
        good = f"merged {count} of {count}, lost 0, doubled 0, fsck clean, audit 0"
        return 0 if said == good and not left else 1


if __name__ == "__main__":
    sys.exit(main())

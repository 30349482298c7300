"""`make tidy`: takes away what git proves to be kept elsewhere, and nothing else.

A branch of an agent goes when its head is on main; an archived game goes from bus/archive/ when refs/catherd/games/<id> holds
every file of it, byte for byte. `keep_branches: true` in any phase file keeps the branches.
"""

import hashlib
import os
import shutil

from catherd.bus import config
from catherd.bus.crashpoints import effect
from catherd.bus.store import Bus
from catherd.git import landing, merge, objects
from catherd.git.run import call, head_branch, rev
from catherd.git.worktree import BRANCH


def tidy_game(root: str) -> list[str]:
    """Tidy up; one line for each thing that went, or that was kept and why."""
    bus = Bus(root)
    game = bus.game() if os.path.isdir(bus.path) else None
    return [
        *_branches(root, game.branch if game else head_branch(root)),
        *_archives(bus),
    ]


def _branches(root: str, branch: str) -> list[str]:
    keeping = [
        p.name for p in config.phases(root).values() if p.options.get("keep_branches")
    ]
    names = set(config.agents(root))
    rows = (
        call(root, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
        .out.decode()
        .split()
    )
    topics = [
        name for name in rows if BRANCH.match(name) and name.partition("/")[0] in names
    ]
    if keeping:
        return (
            [
                f"{len(topics)} branches are kept: keep_branches in phases/{keeping[0]}.yaml"
            ]
            if topics
            else []
        )
    lines = []
    tip = landing.tip(root, branch)
    for topic in topics:
        if not objects.is_ancestor(root, f"refs/heads/{topic}", tip):
            lines.append(f"kept: {topic} is not on {branch or 'main'}")
        elif merge.drop_branch(root, branch, topic):
            lines.append(f"removed: branch {topic}, which is on {branch or 'main'}")
        else:
            lines.append(f"kept: {topic} is checked out")
    return lines


def _archives(bus: Bus) -> list[str]:
    lines = []
    for name in bus.names("archive"):
        ref, folder = f"refs/catherd/games/{name}", bus.here(f"archive/{name}")
        missing = (
            _missing(bus.root, ref, folder)
            if rev(bus.root, ref)
            else ["no ref of that name"]
        )
        if missing:
            lines.append(f"kept: bus/archive/{name}; not in {ref}: {missing[0]}")
            continue
        with effect("remove", f"archive/{name}"):
            shutil.rmtree(folder)
        lines.append(f"removed: bus/archive/{name}; it is {ref}")
    return lines


def _missing(root: str, ref: str, folder: str) -> list[str]:
    """The files below `folder` that the snapshot does not hold with the same bytes."""
    kept = objects.list_tree(root, ref, "bus")
    found = []
    for at, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(at, name)
            relative = os.path.relpath(path, folder)
            if os.path.islink(path) or not os.path.isfile(path):
                found.append(relative)
                continue
            with open(path, "rb") as file:
                content = file.read()
            oid = kept.get(f"bus/{relative}", ("", ""))[1]
            make = hashlib.sha256 if len(oid) == 64 else hashlib.sha1
            if make(b"blob %d\0" % len(content) + content).hexdigest() != oid:
                found.append(relative)
    return sorted(found)

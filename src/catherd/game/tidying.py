"""`make tidy`: takes away what git proves to be kept elsewhere, and nothing else.

A branch of an agent goes when its head is on main. An archived game goes from
bus/archive/ when refs/catherd/games/<id> holds every file of it, byte for byte.
`keep_branches: true` in any phase file keeps the branches.
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
    """Tidy up; one line for each thing that went, or that stays and why."""
    bus = Bus(root)
    game = bus.game() if os.path.isdir(bus.path) else None
    branch = game.branch if game else head_branch(root)
    return [*_tidy_branches(root, branch), *_tidy_archives(bus)]


def _tidy_branches(root: str, branch: str) -> list[str]:
    topics = _topics(root)
    keeping = [
        phase.name
        for phase in config.phases(root).values()
        if phase.options.get("keep_branches")
    ]
    if keeping and topics:
        where = f"keep_branches in phases/{keeping[0]}.yaml"
        return [f"{len(topics)} branches are kept: {where}"]
    if keeping:
        return []
    tip = landing.tip(root, branch)
    main = branch or "main"
    lines = []
    for topic in topics:
        if not objects.is_ancestor(root, f"refs/heads/{topic}", tip):
            lines.append(f"kept: {topic} is not on {main}")
        elif merge.drop_branch(root, branch, topic):
            lines.append(f"removed: branch {topic}, which is on {main}")
        else:
            lines.append(f"kept: {topic} is checked out")
    return lines


def _topics(root: str) -> list[str]:
    """The branches of agents."""
    agents = set(config.agents(root))
    out = call(root, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").out
    names = [name for name in out.decode().split() if BRANCH.match(name)]
    return [name for name in names if name.partition("/")[0] in agents]


def _tidy_archives(bus: Bus) -> list[str]:
    lines = []
    for name in bus.names("archive"):
        ref, folder = f"refs/catherd/games/{name}", bus.here(f"archive/{name}")
        missing = ["no ref of that name"]
        if rev(bus.root, ref):
            missing = _missing(bus.root, ref, folder)
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
    for folder_of, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(folder_of, name)
            relative = os.path.relpath(path, folder)
            oid = kept.get(f"bus/{relative}", ("", ""))[1]
            if not _is_blob(path, oid):
                found.append(relative)
    return sorted(found)


def _is_blob(path: str, oid: str) -> bool:
    """Whether `path` is a plain file with the content of the git blob `oid`."""
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        content = file.read()
    make = hashlib.sha256 if len(oid) == 64 else hashlib.sha1
    return make(b"blob %d\0" % len(content) + content).hexdigest() == oid

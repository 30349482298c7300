"""`make publish`: the game to your remote with plain git: main, the open branches of the agents, refs/catherd/*.

Before anything leaves, every object that the remote does not have is looked through for secrets; one finding, and nothing
is pushed. Nothing is forced: a ref that has moved on over there is named and left alone. The game may go on meanwhile: what
is pushed is what was looked through, main and the marks of its merges as of one moment, not older than the saved bus.
"""

import re
import shlex
from collections.abc import Collection

import msgspec

from catherd.bus import config
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.git import bus_ref, landing, objects, remote, secrets
from catherd.git.pr_rules import shown_path
from catherd.git.run import call, head_branch, locked
from catherd.git.worktree import BRANCH

SHOWN = 10
LARGEST = 4_000_000  # bytes of an object that is looked through; more is told
_OBJECT = re.compile(r"^([0-9a-f]{40,64})(?: (.*))?$")


class Published(msgspec.Struct, frozen=True):
    """What was pushed, what was refused and why, and how many objects were looked through."""

    url: str
    refs: list[str]
    refused: list[str]
    objects: int


def publish_game(
    root: str, *, to: str = "origin", seen: Collection[str] = ()
) -> Published:
    """Push the game to the remote `to`. `seen`: `path:line` of findings that you looked at, and they are no secrets.

    Raises CatherdError when there is no remote, it cannot be reached, or a secret would leave.
    """
    bus = Bus(root)
    game = bus.game()
    if game is not None:
        bus_ref.snapshot(root, "publish")
    branch = game.branch if game is not None else head_branch(root)
    refs = refs_of(root, branch)
    theirs = remote.list_refs(root, "refs/*", to)
    shas = list(refs.values())
    leaving = _leaving(root, shas, sorted(set(theirs.values())))
    _scan(root, leaving, shas, sorted(set(theirs.values())), to, seen)
    refused = remote.push_refs(root, refs, to)
    return Published(remote.url(root, to), list(refs), refused, len(leaving))


def refs_of(root: str, branch: str) -> dict[str, str]:
    """The refs that make up the game and where they are: its branch, the open branches of agents, everything under refs/catherd/."""
    agents = set(config.agents(root))
    main = landing.ref_of(branch)
    form = "--format=%(refname) %(objectname)"
    with locked(root):  # no merge between reading one ref and the next
        tip = landing.tip(root, branch)
        rows = (
            call(root, "for-each-ref", form, "refs/heads", "refs/catherd")
            .out.decode()
            .splitlines()
        )
    there = dict(line.split() for line in rows)
    found = {main: there[main]} if main in there else {}
    for ref, sha in there.items():
        name = ref.removeprefix("refs/heads/")
        topic = (
            ref.startswith("refs/heads/")
            and BRANCH.match(name)
            and name.partition("/")[0] in agents
        )
        if ref != main and (
            ref.startswith("refs/catherd/")
            or (topic and not objects.is_ancestor(root, sha, tip))
        ):
            found[ref] = sha
    return found


def _known(root: str, theirs: list[str]) -> list[str]:
    """What the remote has and we have too."""
    asked = "".join(f"{sha}\n" for sha in theirs).encode()
    out = (
        call(
            root, "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked
        ).out.decode()
        if theirs
        else ""
    )
    return [
        line.split()[0]
        for line in out.splitlines()
        if line.endswith((" commit", " tag"))
    ]


def _leaving(root: str, shas: list[str], theirs: list[str]) -> dict[str, str]:
    """Object → a path that it has, of everything that the remote does not have."""
    asked = "".join(
        f"{line}\n" for line in [*shas, *(f"^{sha}" for sha in _known(root, theirs))]
    ).encode()
    out = call(root, "rev-list", "--objects", "--stdin", stdin=asked).out.decode(
        "utf-8", "replace"
    )
    return {m[1]: m[2] or "" for line in out.splitlines() if (m := _OBJECT.match(line))}


def _scan(
    root: str,
    leaving: dict[str, str],
    shas: list[str],
    theirs: list[str],
    to: str,
    seen: Collection[str],
) -> None:
    asked = "".join(f"{oid}\n" for oid in leaving).encode()
    out = call(
        root,
        "cat-file",
        "--batch-check=%(objectname) %(objecttype) %(objectsize)",
        stdin=asked,
    ).out.decode()
    sizes = {
        row[0]: int(row[2])
        for row in map(str.split, out.splitlines())
        if row[1:2] == ["blob"]
    }
    told = {  # what SEEN calls it → what is said of it
        shown_path(
            leaving[oid] or oid[:12]
        ): f"{size} bytes, too large to be looked through"
        for oid, size in sizes.items()
        if size > LARGEST
    }
    small = [oid for oid, size in sizes.items() if size <= LARGEST]
    named = config.secret_names(root)
    for start in range(0, len(small), 200):
        part = small[start : start + 200]
        for oid, content in zip(part, objects.read_blobs(root, part), strict=True):
            told |= _found(content, leaving[oid] or oid[:12], named)
    asked = "".join(
        f"{line}\n" for line in [*shas, *(f"^{sha}" for sha in _known(root, theirs))]
    ).encode()
    told |= _found(
        call(root, "log", "--stdin", "--format=%H%n%an %ae%n%B", stdin=asked).out,
        "a commit message",
        named,
    )
    found = {name: told[name] for name in sorted(set(told) - set(seen))}
    if found:
        said = [f"{name}: {what}" for name, what in found.items()]
        more = f" (and {len(said) - SHOWN} more)" if len(said) > SHOWN else ""
        names = shlex.join([*sorted(set(seen) & set(told)), *found])
        raise CatherdError(
            f"a secret would leave, so nothing was pushed: {'; '.join(said[:SHOWN])}{more}",
            where=remote.url(root, to),
            fix="revoke it and take it out of the history first; "
            f"or, if you looked at each and none is a secret: make publish SEEN={shlex.quote(names)}",
        )


def _found(content: bytes, where: str, named: Collection[str]) -> dict[str, str]:
    found = secrets.find_secrets(content.decode("utf-8", "replace"), where, None, named)
    return {f"{shown_path(one.where)}:{one.line}": one.kind for one in found}

"""`make publish`: the game goes to your remote with plain git.

That is main, the open branches of the agents, and refs/catherd/*. Before anything
leaves, every object that the remote does not have is looked through for secrets; one
finding, and nothing is pushed. Nothing is forced: a ref that has moved on over there is
named and left alone.

The game may go on meanwhile. What is pushed is what was looked through: main and the
marks of its merges as of one moment, not older than the saved bus.
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
_TOGETHER = 200  # objects that are read at once
_OBJECT = re.compile(r"^([0-9a-f]{40,64})(?: (.*))?$")


class Published(msgspec.Struct, frozen=True):
    """What was pushed, what was refused and why, how many objects were scanned."""

    url: str
    refs: list[str]
    refused: list[str]
    objects: int


class _Push(msgspec.Struct, frozen=True):
    """What is on its way to the remote `to`.

    `tips`: the commits of the refs that are pushed. `theirs`: what the remote's refs
    are at. `seen`: findings that a person looked at and that are no secrets.
    """

    root: str
    to: str
    tips: list[str]
    theirs: list[str]
    seen: frozenset[str]


def publish_game(
    root: str, *, to: str = "origin", seen: Collection[str] = ()
) -> Published:
    """Push the game to the remote `to`.

    `seen`: `path:line` of findings that you looked at, and they are no secrets. Raises
    CatherdError when there is no remote, it cannot be reached, or a secret would leave.
    """
    game = Bus(root).game()
    if game is not None:
        bus_ref.snapshot(root, "publish")
    refs = refs_of(root, game.branch if game is not None else head_branch(root))
    theirs = remote.list_refs(root, "refs/*", to)
    push = _Push(
        root,
        to,
        tips=list(refs.values()),
        theirs=sorted(set(theirs.values())),
        seen=frozenset(seen),
    )

    leaving = _leaving(push)
    _refuse_secrets(push, _secrets(push, leaving))
    refused = remote.push_refs(root, refs, to)
    return Published(remote.url(root, to), list(refs), refused, len(leaving))


def refs_of(root: str, branch: str) -> dict[str, str]:
    """The refs that make up the game, and where they are.

    They are its branch, the open branches of agents, and all under refs/catherd/.
    """
    agents = set(config.agents(root))
    main = landing.ref_of(branch)
    form = "--format=%(refname) %(objectname)"
    with locked(root):  # no merge between reading one ref and the next
        tip = landing.tip(root, branch)
        out = call(root, "for-each-ref", form, "refs/heads", "refs/catherd").out

    there = dict(line.split() for line in out.decode().splitlines())

    found = {main: there[main]} if main in there else {}
    for ref, sha in there.items():
        if ref == main:
            continue
        topic = _is_topic(ref, agents) and not objects.is_ancestor(root, sha, tip)
        if topic or ref.startswith("refs/catherd/"):
            found[ref] = sha

    return found


def _is_topic(ref: str, agents: Collection[str]) -> bool:
    """Whether the ref is a branch on which an agent does a task."""
    name = ref.removeprefix("refs/heads/")
    if name == ref or not BRANCH.match(name):
        return False
    return name.partition("/")[0] in agents


def _known(push: _Push) -> list[str]:
    """What the remote has and we have too."""
    if not push.theirs:
        return []
    asked = "".join(f"{sha}\n" for sha in push.theirs).encode()

    form = "--batch-check=%(objectname) %(objecttype)"
    out = call(push.root, "cat-file", form, stdin=asked).out.decode()
    commits = (" commit", " tag")
    return [line.split()[0] for line in out.splitlines() if line.endswith(commits)]


def _range(push: _Push) -> bytes:
    """The history that is pushed, as git is told: the tips, without what is known."""
    known = [f"^{sha}" for sha in _known(push)]
    return "".join(f"{line}\n" for line in [*push.tips, *known]).encode()


def _leaving(push: _Push) -> dict[str, str]:
    """Object → a path that it has, of everything that the remote does not have."""
    done = call(push.root, "rev-list", "--objects", "--stdin", stdin=_range(push))
    found = {}
    for line in done.out.decode("utf-8", "replace").splitlines():
        one = _OBJECT.match(line)
        if one:
            found[one[1]] = one[2] or ""

    return found


def _sizes(root: str, ids: Collection[str]) -> dict[str, int]:
    """The size of each of these objects that is a file, in bytes."""
    asked = "".join(f"{oid}\n" for oid in ids).encode()
    form = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
    out = call(root, "cat-file", form, stdin=asked).out.decode()
    sizes = {}
    for line in out.splitlines():
        oid, kind, *size = line.split()
        if kind == "blob":
            sizes[oid] = int(size[0])

    return sizes


def _secrets(push: _Push, leaving: dict[str, str]) -> dict[str, str]:
    """What would leave and should not: the name that SEEN calls it by → what it is.

    What is too large to be looked through is among it.
    """
    named = config.secret_names(push.root)
    found: dict[str, str] = {}
    small = []
    for oid, size in _sizes(push.root, leaving).items():
        if size > LARGEST:
            name = shown_path(leaving[oid] or oid[:12])
            found[name] = f"{size} bytes, too large to be looked through"
        else:
            small.append(oid)

    for start in range(0, len(small), _TOGETHER):
        part = small[start : start + _TOGETHER]
        contents = objects.read_blobs(push.root, part)
        for oid, content in zip(part, contents, strict=True):
            found |= _found(content, leaving[oid] or oid[:12], named)

    form = "--format=%H%n%an %ae%n%B"
    messages = call(push.root, "log", "--stdin", form, stdin=_range(push)).out
    return found | _found(messages, "a commit message", named)


def _refuse_secrets(push: _Push, told: dict[str, str]) -> None:
    """Raises CatherdError when there is a finding that nobody looked at."""
    found = {name: told[name] for name in sorted(set(told) - push.seen)}
    if not found:
        return

    said = [f"{name}: {what}" for name, what in found.items()]
    more = f" (and {len(said) - SHOWN} more)" if len(said) > SHOWN else ""
    looked_at = sorted(push.seen & set(told))
    names = shlex.join([*looked_at, *found])
    raise CatherdError(
        f"a secret would leave, so nothing was pushed: {'; '.join(said[:SHOWN])}{more}",
        where=remote.url(push.root, push.to),
        fix="revoke it and take it out of the history first; "
        f"or, if you looked at each and none is a secret: make publish SEEN={shlex.quote(names)}",
    )


def _found(content: bytes, where: str, named: Collection[str]) -> dict[str, str]:
    found = secrets.find_secrets(content.decode("utf-8", "replace"), where, None, named)
    return {f"{shown_path(one.where)}:{one.line}": one.kind for one in found}

"""Landing on the game's branch: engine commits, and the one way in which that branch moves.

Where you have the branch checked out it is fast-forwarded like `git pull --ff-only`: nothing that you edited, staged, left
untracked or told git to ignore changes; a clash raises NeedsYou before anything is touched, and the caller waits for you.
Elsewhere (another branch, detached, bare) only the ref moves, in one compare-and-swap transaction.
A game that began on a detached HEAD has no branch (`branch` is empty): the engine then keeps its main in
refs/catherd/main, which starts at your HEAD; `git switch -c NAME refs/catherd/main` makes it a branch.

Before a fast-forward its intent is written to .git/catherd/ff.yaml; after a kill at any point `recover` finishes it: a file
that git had half written (a true prefix of the new content) is copied to .git/catherd/saved/ and put right; a file that you
changed in between is left alone and named.
"""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote_from_bytes

import msgspec

from catherd.bus import config, yaml_read, yaml_write
from catherd.bus.crashpoints import effect
from catherd.bus.store import Bus, slug
from catherd.core.errors import CatherdError, Fault, NeedsYou
from catherd.git import checkouts, secrets
from catherd.git.objects import ZERO, child, is_ancestor, transaction
from catherd.git.run import GitError, call, locked, rev, state
from catherd.git.stale_locks import drop

DETACHED = "refs/catherd/main"


class Landed(NamedTuple):
    """The tip of the branch now; the checkout that was moved with it (empty: only the ref); whether there was a new commit."""

    sha: str
    where: str
    new: bool


class Forward(msgspec.Struct, kw_only=True):
    """`.git/catherd/ff.yaml`: a fast-forward that has begun. Paths are percent-quoted; `creates` are refs made after it."""

    catherd: int = 1
    ref: str
    old: str
    new: str
    path: str
    dirty: list[str]
    creates: dict[str, str]


def ref_of(branch: str) -> str:
    """The full name of the ref that is the game's main."""
    return f"refs/heads/{branch}" if branch else DETACHED


def tip(root: str, branch: str) -> str:
    """The commit that is the game's main now. Raises CatherdError when you deleted the branch."""
    found = rev(root, ref_of(branch)) or ("" if branch else rev(root, "HEAD"))
    if not found:
        raise CatherdError(
            f"the game's branch {branch} is gone",
            where=root,
            fix=f"git branch {shlex.quote(branch)} <the commit it was at>",
        )
    return found


def save_before(root: str, game: str, branch: str) -> str:
    """Save where main stands before the game's first commit, once, in refs/catherd/before/<game>; gives the undo line."""
    name = f"refs/catherd/before/{game}"
    with locked(root):
        if not rev(root, name):
            lines = [f"create {name} {tip(root, branch)}"]
            if not branch:  # an earlier game's engine ref: kept beside it, then main is your HEAD again
                left, now = rev(root, DETACHED), rev(root, "HEAD")
                lines = [
                    f"create {name} {now}",
                    f"update {DETACHED} {now} {left or ZERO}",
                ]
                lines += (
                    [f"create {name}-main {left}"]
                    if left and not is_ancestor(root, left, now)
                    else []
                )
            transaction(root, lines, f"before {game}")
    if not branch:
        return f"git update-ref -d {DETACHED}"
    if checkouts.of_ref(root, ref_of(branch)):
        return f"git reset --keep {name}"
    return f"git update-ref {ref_of(branch)} {name}"


def land(
    root: str,
    branch: str,
    files: Mapping[str, bytes],
    removed: Iterable[str],
    message: str,
) -> Landed:
    """One single-parent commit by catherd on the game's branch. The same content is there already: no commit.

    No secret is committed: what is found is taken out, and a problem on the bus says what it was and where it stood.
    Raises NeedsYou when a file of yours stands in the way (nothing was touched), CatherdError when the branch is gone.
    """
    named = config.secret_names(root)
    files, found = secrets.without_secrets(files, named)
    message = secrets.redact(message, "", None, named)[0]
    with locked(root):
        finish_landing(root)
        old = tip(root, branch)
        new = child(root, old, files, message, remove=removed)
        if new == old:
            return Landed(old, "", new=False)
        _tell(root, found)
        return Landed(
            new,
            advance(root, branch, old, new, {}, (), message.partition("\n")[0]),
            new=True,
        )


def _tell(root: str, found: Sequence[secrets.SecretFound]) -> None:
    for path in sorted({one.where for one in found}):
        here = [one for one in found if one.where == path]
        name, kinds = (
            f"secret-{slug(path)}",
            ", ".join(f"{one.kind} (line {one.line})" for one in here),
        )
        Bus(root).trouble(
            name,
            path,
            f"was landed without what must not be committed: {kinds}",
            f"revoke it where it was issued, the bus still holds it; then rm bus/problems/{name}.yaml",
        )


def advance(
    root: str,
    branch: str,
    old: str,
    new: str,
    creates: Mapping[str, str],
    verify: Sequence[str],
    why: str,
) -> str:
    """Move main from `old` to its descendant `new` and make the refs of `creates`; gives the checkout moved, or "".

    To be called with `locked(root)` held, after `recover`. `verify` are lines `verify REF SHA` that must hold. With main
    checked out, the refs are made right after the fast-forward (after a kill: by `recover`), else in the same transaction.
    Raises Moved when main or a verified ref is not where it should be, NeedsYou on a clash with your files.
    """
    ref = ref_of(branch)
    checkout = checkouts.of_ref(root, ref)
    made = [f"create {name} {sha}" for name, sha in creates.items()]
    if not checkout:
        was = old if branch or rev(root, ref) else ZERO
        transaction(root, [f"update {ref} {new} {was}", *made, *verify], why)
        return ""
    transaction(root, [f"verify {ref} {old}", *verify], why)
    changed = checkouts.tree_changes(root, old, new)
    dirty = checkouts.dirty(checkout, changed)
    _refuse(checkout, branch, checkouts.clashes(checkout, new, changed, dirty))
    names = sorted(quote_from_bytes(os.fsencode(p)) for p in dirty)
    journal = Forward(
        ref=ref, old=old, new=new, path=checkout, dirty=names, creates=dict(creates)
    )
    _write(root, journal)
    _forward(root, journal)
    return checkout


def _refuse(checkout: str, branch: str, files: Sequence[str]) -> None:
    if not files:
        return
    names = " ".join(shlex.quote(f) for f in files[:20])
    more = f" and {len(files) - 20} more" if len(files) > 20 else ""
    raise NeedsYou(
        f"{branch} cannot move forward: it would overwrite what you have in {', '.join(files[:20])}{more}; nothing was touched",
        where=checkout,
        fix=f"commit them, or put them aside: cd {shlex.quote(checkout)} && mkdir -p ../aside && mv {names} ../aside/",
    )


def _forward(root: str, journal: Forward) -> None:
    """Let git fast-forward the checkout, then finish. Refused with nothing touched: the journal goes, NeedsYou is raised."""
    place = checkouts.checkout_place(journal.path)
    branch = journal.ref.removeprefix("refs/heads/")
    try:
        call(
            place,
            *(
                "merge",
                "--ff-only",
                "--no-overwrite-ignore",
                "--no-autostash",
                "--no-verify-signatures",
                "--no-squash",
                "--quiet",
            ),
            journal.new,
            change=journal.ref,
        )
    except GitError as refused:
        changed = checkouts.tree_changes(root, journal.old, journal.new)
        now = sorted(
            quote_from_bytes(os.fsencode(p))
            for p in checkouts.dirty(journal.path, changed)
        )
        if rev(root, journal.ref) == journal.old and now == journal.dirty:
            _drop(root)
        _refuse(
            journal.path,
            branch,
            [line[1:] for line in refused.stderr.splitlines() if line.startswith("\t")],
        )
        locked_by_you = "index.lock" in refused.stderr
        raise NeedsYou(
            f"{branch} cannot move forward: {refused.stderr.splitlines()[0] if refused.stderr else 'git refused'}",
            where=journal.path,
            fix="let the git command in this checkout end (none runs: rm .git/index.lock)"
            if locked_by_you
            else "git status",
        ) from refused
    _finish(root, journal)


def _finish(root: str, journal: Forward) -> None:
    """Main is there: make the refs that go with it, drop the journal."""
    if not is_ancestor(root, journal.new, journal.ref):
        raise Fault(
            f"{journal.ref} was to be at {journal.new[:12]} and is not",
            where=journal.path,
            fix="git reflog",
        )
    _create(root, journal)
    _drop(root)


def _create(root: str, journal: Forward) -> None:
    made = [
        f"create {name} {sha}"
        for name, sha in journal.creates.items()
        if not rev(root, name)
    ]
    if made:
        transaction(root, made, "landed")


def finish_landing(root: str) -> bool:
    """Finish a fast-forward that a kill interrupted; True when there was one. Raises NeedsYou where only you can decide."""
    with locked(root):
        path = os.path.join(state(root), "ff.yaml")
        if not os.path.exists(path):
            return False
        journal = yaml_read.typed(yaml_read.read_yaml(path), Forward)
        now = rev(root, journal.ref)
        since = os.stat(path).st_mtime
        git_dir = (
            checkouts.checkout_place(journal.path).git_dir
            if os.path.isdir(journal.path)
            else ""
        )
        for name in (
            os.path.join(git_dir, "HEAD.lock"),
            os.path.join(root, ".git", f"{journal.ref}.lock"),
        ):
            drop(name, checkout=journal.path, since=since)
        if (
            now != journal.old
        ):  # it was done; or you moved the branch yourself, and then that holds
            if now and is_ancestor(root, journal.new, now):
                _create(root, journal)
            _drop(root)
            return True
        if not git_dir or checkouts.of_ref(root, journal.ref) != journal.path:
            _drop(root)  # you left the branch: git took care of the files when you did
            return True
        index_lock = os.path.join(git_dir, "index.lock")
        if not drop(index_lock, checkout=journal.path, since=since):
            raise NeedsYou(
                "a git command works in this checkout",
                where=index_lock,
                fix=f"rm {index_lock}  (if none does)",
            )
        _mend(root, journal)
        _forward(root, journal)
        return True


def _mend(root: str, journal: Forward) -> None:
    """Bring each path of an interrupted fast-forward to exactly its old or its new state, so that git accepts the rest."""
    changed = checkouts.tree_changes(root, journal.old, journal.new)
    known = set(journal.dirty)
    todo = {
        p: c
        for p, c in changed.items()
        if quote_from_bytes(os.fsencode(p)) not in known
    }
    states = {p: checkouts.state_of(journal.path, p, c) for p, c in todo.items()}
    _refuse(
        journal.path,
        journal.ref.removeprefix("refs/heads/"),
        [p for p, s in states.items() if s == "yours"],
    )
    saved = os.path.join(state(root), "saved", journal.new[:12])
    checkouts.put_back(
        journal.path, {p: todo[p] for p, s in states.items() if s == "torn"}, saved
    )
    checkouts.stage_paths(
        journal.path, {p: todo[p] for p, s in states.items() if s == "new"}
    )


def _write(root: str, journal: Forward) -> None:
    path = os.path.join(state(root), "ff.yaml")
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
        file.write(yaml_write.dumps(journal))
        file.flush()
        os.fsync(file.fileno())
    with effect("journal", "ff.yaml"):
        os.rename(f"{path}.tmp", path)
    _sync(root)


def _drop(root: str) -> None:
    with effect("journal", "ff.yaml done"):
        os.unlink(os.path.join(state(root), "ff.yaml"))
    _sync(root)


def _sync(root: str) -> None:
    fd = os.open(state(root), os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""Landing on the game's branch: engine commits, and the one way that branch moves.

Where you have the branch checked out it is fast-forwarded like `git pull --ff-only`:
nothing changes that you edited, staged, left untracked or told git to ignore. A clash
raises NeedsYou before anything is touched, and the caller waits for you. Elsewhere
(another branch, detached, bare) only the ref moves, in one compare-and-swap
transaction.

A game that began on a detached HEAD has no branch (`branch` is empty). The engine then
keeps its main in refs/catherd/main, which starts at your HEAD; `git switch -c NAME
refs/catherd/main` makes it a branch.

Before a fast-forward its intent is written to .git/catherd/ff.yaml. After a kill at any
point `finish_landing` finishes it. A file that git had half written (a true prefix of
the new content) is copied to .git/catherd/saved/ and put right. A file that you changed
in between is left alone and named.
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
    """What came of a landing.

    `sha`: the tip of the branch now. `where`: the checkout that was moved with it;
    empty when only the ref moved. `new`: whether there was a new commit.
    """

    sha: str
    where: str
    new: bool


class Forward(msgspec.Struct, kw_only=True):
    """`.git/catherd/ff.yaml`: a fast-forward that has begun.

    Paths are percent-quoted. `path` is the checkout, `dirty` is what of yours it held
    at the start, `creates` are the refs to make afterwards.
    """

    catherd: int = 1
    ref: str
    old: str
    new: str
    path: str
    dirty: list[str]
    creates: dict[str, str]


class MainStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of main, from `old` to its descendant `new`.

    `why`: for the log of refs. `creates`: {ref: commit} to make with it. `verify`:
    lines `verify REF SHA` that must hold.
    """

    old: str
    new: str
    why: str
    creates: dict[str, str] = {}
    verify: list[str] = []


def ref_of(branch: str) -> str:
    """The full name of the ref that is the game's main."""
    return f"refs/heads/{branch}" if branch else DETACHED


def tip(root: str, branch: str) -> str:
    """The commit that is the game's main now.

    Raises CatherdError when you deleted the branch.
    """
    found = rev(root, ref_of(branch)) or ("" if branch else rev(root, "HEAD"))
    if not found:
        raise CatherdError(
            f"the game's branch {branch} is gone",
            where=root,
            fix=f"git branch {shlex.quote(branch)} <the commit it was at>",
        )
    return found


def save_before(root: str, game: str, branch: str) -> str:
    """Save where main stands before the game's first commit; gives the undo line.

    It is saved once, in refs/catherd/before/<game>.
    """
    name = f"refs/catherd/before/{game}"
    with locked(root):
        if not rev(root, name):
            if branch:
                lines = [f"create {name} {tip(root, branch)}"]
            else:
                lines = _detached_start(root, name)

            transaction(root, lines, f"before {game}")

    if not branch:
        return f"git update-ref -d {DETACHED}"
    if checkouts.of_ref(root, ref_of(branch)):
        return f"git reset --keep {name}"
    return f"git update-ref {ref_of(branch)} {name}"


def _detached_start(root: str, name: str) -> list[str]:
    """Ref updates that make HEAD the engine's main; an earlier game's is kept."""
    left, now = rev(root, DETACHED), rev(root, "HEAD")
    lines = [f"create {name} {now}", f"update {DETACHED} {now} {left or ZERO}"]
    if left and not is_ancestor(root, left, now):
        lines.append(f"create {name}-main {left}")
    return lines


def land(
    root: str,
    branch: str,
    files: Mapping[str, bytes],
    removed: Iterable[str],
    message: str,
) -> Landed:
    """One single-parent commit by catherd on the game's branch.

    There is no commit when the same content is there already. No secret is committed:
    a secret is taken out, and a problem on the bus says what it was and where it stood.
    Raises NeedsYou when a file of yours stands in the way (nothing was touched), and
    CatherdError when the branch is gone.
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
        _report_secrets(root, found)
        step = MainStep(old=old, new=new, why=message.partition("\n")[0])
        return Landed(new, advance(root, branch, step), new=True)


def _report_secrets(root: str, found: Sequence[secrets.SecretFound]) -> None:
    for path in sorted({one.where for one in found}):
        here = [one for one in found if one.where == path]
        name = f"secret-{slug(path)}"
        kinds = ", ".join(f"{one.kind} (line {one.line})" for one in here)
        Bus(root).trouble(
            name,
            path,
            f"was landed without what must not be committed: {kinds}",
            "revoke it where it was issued, the bus still holds it; "
            f"then rm bus/problems/{name}.yaml",
        )


def advance(root: str, branch: str, step: MainStep) -> str:
    """Move main by one step and make its refs; gives the checkout moved, or "".

    To be called with `locked(root)` held, after `finish_landing`. With main checked out
    the refs are made right after the fast-forward (after a kill: by `finish_landing`),
    else in the same transaction. Raises Moved when main or a verified ref is not where
    it should be, NeedsYou on a clash with your files.
    """
    ref = ref_of(branch)
    checkout = checkouts.of_ref(root, ref)
    if not checkout:
        was = step.old if branch or rev(root, ref) else ZERO
        made = [f"create {name} {sha}" for name, sha in step.creates.items()]
        lines = [f"update {ref} {step.new} {was}", *made, *step.verify]
        transaction(root, lines, step.why)
        return ""

    transaction(root, [f"verify {ref} {step.old}", *step.verify], step.why)
    changed = checkouts.tree_changes(root, step.old, step.new)
    dirty = checkouts.dirty(checkout, changed)
    _refuse(checkout, branch, checkouts.clashes(checkout, step.new, changed, dirty))
    journal = Forward(
        ref=ref,
        old=step.old,
        new=step.new,
        path=checkout,
        dirty=_quoted(dirty),
        creates=step.creates,
    )
    _write_journal(root, journal)
    _forward(root, journal)
    return checkout


def _quoted(paths: Iterable[str]) -> list[str]:
    return sorted(quote_from_bytes(os.fsencode(path)) for path in paths)


def _refuse(checkout: str, branch: str, files: Sequence[str]) -> None:
    """Raise NeedsYou when there are `files` that a fast-forward would overwrite."""
    if not files:
        return
    some = files[:20]
    more = f" and {len(files) - 20} more" if len(files) > 20 else ""
    what = (
        f"{branch} cannot move forward: it would overwrite what you have in "
        f"{', '.join(some)}{more}; nothing was touched"
    )
    names = " ".join(shlex.quote(name) for name in some)
    fix = (
        f"commit them, or put them aside: cd {shlex.quote(checkout)} && "
        f"mkdir -p ../aside && mv {names} ../aside/"
    )
    raise NeedsYou(
        what,
        where=checkout,
        fix=fix,
    )


_FAST_FORWARD = (
    "--ff-only",
    "--no-overwrite-ignore",
    "--no-autostash",
    "--no-verify-signatures",
    "--no-squash",
    "--quiet",
)


def _forward(root: str, journal: Forward) -> None:
    """Let git fast-forward the checkout, then finish.

    When git refuses with nothing touched, the journal goes and NeedsYou is raised.
    """
    place = checkouts.checkout_place(journal.path)
    try:
        call(place, "merge", *_FAST_FORWARD, journal.new, change=journal.ref)
    except GitError as refused:
        changed = checkouts.tree_changes(root, journal.old, journal.new)
        dirty = _quoted(checkouts.dirty(journal.path, changed))
        if rev(root, journal.ref) == journal.old and dirty == journal.dirty:
            _drop_journal(root)

        lines = refused.stderr.splitlines()
        branch = journal.ref.removeprefix("refs/heads/")
        # git names the files in its way on lines that begin with a tab.
        in_the_way = [line[1:] for line in lines if line.startswith("\t")]
        _refuse(journal.path, branch, in_the_way)
        said = lines[0] if lines else "git refused"
        fix = "git status"
        if "index.lock" in refused.stderr:
            fix = (
                "let the git command in this checkout end "
                "(none runs: rm .git/index.lock)"
            )

        what = f"{branch} cannot move forward: {said}"
        raise NeedsYou(
            what,
            where=journal.path,
            fix=fix,
        ) from refused

    _finish(root, journal)


def _finish(root: str, journal: Forward) -> None:
    """Main is there: make the refs that go with it, drop the journal."""
    if not is_ancestor(root, journal.new, journal.ref):
        what = f"{journal.ref} was to be at {journal.new[:12]} and is not"
        raise Fault(
            what,
            where=journal.path,
            fix="git reflog",
        )

    _create_refs(root, journal)
    _drop_journal(root)


def _create_refs(root: str, journal: Forward) -> None:
    missing = {ref: sha for ref, sha in journal.creates.items() if not rev(root, ref)}
    if missing:
        lines = [f"create {ref} {sha}" for ref, sha in missing.items()]
        transaction(root, lines, "landed")


def finish_landing(root: str) -> bool:
    """Finish a fast-forward that a kill interrupted; True when there was one.

    Raises NeedsYou where only you can decide.
    """
    with locked(root):
        path = os.path.join(state(root), "ff.yaml")
        if not os.path.exists(path):
            return False
        journal = yaml_read.typed(yaml_read.read_yaml(path), Forward)
        now = rev(root, journal.ref)
        git_dir = ""
        if os.path.isdir(journal.path):
            git_dir = checkouts.checkout_place(journal.path).git_dir

        # Our git began after the journal was written: a lock made since then is its.
        since = os.stat(path).st_mtime
        locks = [os.path.join(root, ".git", f"{journal.ref}.lock")]
        if git_dir:
            locks.append(os.path.join(git_dir, "HEAD.lock"))

        for lock in locks:
            drop(lock, checkout=journal.path, since=since)

        if now != journal.old:
            # It was done; or you moved the branch yourself, and then that holds.
            if now and is_ancestor(root, journal.new, now):
                _create_refs(root, journal)

            _drop_journal(root)
        elif not git_dir or checkouts.of_ref(root, journal.ref) != journal.path:
            # You left the branch: git took care of the files when you did.
            _drop_journal(root)
        else:
            _unlock_index(os.path.join(git_dir, "index.lock"), journal, since)
            _mend(root, journal)
            _forward(root, journal)

        return True


def _unlock_index(lock: str, journal: Forward, since: float) -> None:
    if not drop(lock, checkout=journal.path, since=since):
        what = "a git command works in this checkout"
        raise NeedsYou(
            what,
            where=lock,
            fix=f"rm {lock}  (if none does)",
        )


def _mend(root: str, journal: Forward) -> None:
    """Prepare an interrupted fast-forward, so that git accepts the rest of it.

    Each path is brought to exactly its old or its new state.
    """
    changed = checkouts.tree_changes(root, journal.old, journal.new)
    yours = set(journal.dirty)
    ours = {
        path: change
        for path, change in changed.items()
        if quote_from_bytes(os.fsencode(path)) not in yours
    }
    found: dict[str, dict[str, checkouts.Change]] = {}
    for path, change in ours.items():
        where = checkouts.state_of(journal.path, path, change)
        found.setdefault(where, {})[path] = change

    branch = journal.ref.removeprefix("refs/heads/")
    _refuse(journal.path, branch, list(found.get("yours", {})))
    saved = os.path.join(state(root), "saved", journal.new[:12])
    checkouts.put_back(journal.path, found.get("torn", {}), saved)
    checkouts.stage_paths(journal.path, found.get("new", {}))


def _write_journal(root: str, journal: Forward) -> None:
    path = os.path.join(state(root), "ff.yaml")
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
        file.write(yaml_write.dumps(journal))
        file.flush()
        os.fsync(file.fileno())

    with effect("journal", "ff.yaml"):
        os.rename(f"{path}.tmp", path)

    _sync_state(root)


def _drop_journal(root: str) -> None:
    with effect("journal", "ff.yaml done"):
        os.unlink(os.path.join(state(root), "ff.yaml"))
    _sync_state(root)


def _sync_state(root: str) -> None:
    """Make the kernel write the directory with the journal to disk."""
    fd = os.open(state(root), os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""`catherd init DIR`: the files that a game is played with, laid into a repository.

The repository may be new or an existing one; nothing is overwritten. The files are the
very files of catherd's own repository: an installed wheel has them in
`catherd/workspace/`, a source tree at its root. What only this machine can know goes to
`.catherd/`, which git ignores: `origin` (where this catherd came from, PEP 610) and
`locks/` (the packages it was tested with), so that the workspace's `.venv` gets the
same catherd.
"""

import json
import os
import re
from importlib import metadata
from urllib.parse import unquote, urlsplit

import msgspec

from catherd.bus.crashpoints import effect
from catherd.core.errors import CatherdError, Fault
from catherd.git import run

LAID = (
    "agents",
    "phases",
    "templates",
    "docs/handbook",
    "bus/README.md",
    "worktrees/README.md",
    "catherd.mk",
)
ORIGIN = ".catherd/origin"
LOCKS = ".catherd/locks"
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
MAKEFILE = (
    "# Plain `make` lists what you can do.\n.DEFAULT_GOAL := help\ninclude catherd.mk\n"
)
IGNORED = (
    "/bus/*",
    "!/bus/README.md",
    "/worktrees/*",
    "!/worktrees/README.md",
    "/.catherd/",
    "/design.html",
    ".venv/",
)


class Laid(msgspec.Struct):
    """What `catherd init` did.

    `made`: the files made. `kept`: those that were there already. `todo`: what remains
    for you to do.
    """

    root: str
    made: list[str]
    kept: list[str]
    todo: list[str]
    commit: str = ""


def source() -> str:
    """The directory with the workspace's files.

    It lies inside the package in a wheel; else it is the root of the source tree.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    wheel = os.path.join(package, "workspace")
    tree = os.path.dirname(os.path.dirname(package))
    for folder in (wheel, tree):
        if os.path.isfile(os.path.join(folder, "catherd.mk")):
            return folder

    raise Fault(
        "the files of a workspace are missing",
        where=package,
        fix="install catherd again, from its wheel or its source",
    )


def origin() -> str:
    """Where this catherd came from, as pip takes it.

    It is a folder, a wheel, a URL with its commit, or `catherd==<version>`.
    """
    root = source()
    if os.path.isfile(os.path.join(root, "pyproject.toml")):
        return root
    try:
        dist = metadata.distribution("catherd")
    except metadata.PackageNotFoundError:
        raise Fault(
            "this catherd was not installed",
            where=root,
            fix="install it from its wheel or its source",
        ) from None

    told = json.loads(dist.read_text("direct_url.json") or "{}")
    url = str(told.get("url", ""))
    if not url:
        return f"catherd=={dist.version}"
    if url.startswith("file:"):
        return unquote(urlsplit(url).path)
    if "vcs_info" in told:
        return f"{told['vcs_info']['vcs']}+{url}@{told['vcs_info']['commit_id']}"
    return url


def init_workspace(folder: str) -> Laid:
    """Lay the workspace into `folder`, made if need be.

    Raises CatherdError where that is no place for one.
    """
    root = os.path.realpath(folder)
    home = source()
    new = _repository(root, folder)
    laid = Laid(root=root, made=[], kept=[], todo=[])
    for path in _listed(home):
        content = _read(os.path.join(home, path))
        executable = re.fullmatch(r"agents/.+\.ya?ml", path) is not None
        _lay(laid, path, content, executable=executable)

    _lay_makefile(laid)
    _ignore(laid)
    if root != os.path.realpath(home):
        _remember(root, home)

    if new:
        laid.commit = _commit(laid)
    elif laid.made:
        tops = " ".join(_tops(laid.made))
        laid.todo.append(f"git add {tops} && git commit -m 'Add catherd'")

    return laid


def _lay_makefile(laid: Laid) -> None:
    """Lay a Makefile, or tell what a person's own must include."""
    paths = {name: os.path.join(laid.root, name) for name in MAKEFILES}
    there = [name for name in MAKEFILES if os.path.lexists(paths[name])]
    if not there:
        _lay(laid, "Makefile", MAKEFILE.encode())
        return

    text = _read(paths[there[0]]).decode("utf-8", "replace")
    if "catherd.mk" not in text:
        laid.todo.append(f"put this line into {there[0]}: include catherd.mk")


def _repository(root: str, folder: str) -> bool:
    """Make `root` the top of a repository; whether it has no commit yet."""
    if os.path.lexists(root) and not os.path.isdir(root):
        fix = ".venv/bin/catherd init another-name"
        raise CatherdError(
            "is a file",
            where=folder,
            fix=fix,
        )

    os.makedirs(root, exist_ok=True)
    if not os.path.lexists(os.path.join(root, ".git")):
        above = _above(root)
        if above:
            what = f"is inside the repository {above}"
            fix = f".venv/bin/catherd init '{above}'"
            raise CatherdError(
                what,
                where=folder,
                fix=fix,
            )

        place = run.WorkPlace(root, os.path.join(root, ".git"))
        run.call(place, "init", "--quiet", "--initial-branch=main", change=root)

    place = run.WorkPlace(root, run.git_dir(root))
    options = ("--quiet", "--verify", "HEAD^{commit}")
    return run.call(place, "rev-parse", *options, okay=(0, 1)).rc != 0


def _above(root: str) -> str:
    """The nearest repository above `root`; empty when there is none."""
    folder = os.path.dirname(root)
    while folder != os.path.dirname(folder):
        if os.path.lexists(os.path.join(folder, ".git")):
            return folder
        folder = os.path.dirname(folder)

    return ""


def _listed(home: str) -> list[str]:
    """The files to lay, relative to `home`.

    The decisions behind catherd (`docs/handbook/adr/`) stay with catherd.
    """
    found = []
    for top in LAID:
        if os.path.isfile(os.path.join(home, top)):
            found.append(top)

        for folder, folders, names in os.walk(os.path.join(home, top)):
            folders[:] = sorted(set(folders) - {"adr", "__pycache__"})
            shown = [name for name in sorted(names) if not name.startswith(".")]
            paths = [os.path.join(folder, name) for name in shown]
            found += [os.path.relpath(path, home) for path in paths]

    return found


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _lay(laid: Laid, path: str, content: bytes, *, executable: bool = False) -> None:
    """Write a file of the workspace, unless there is one of its name."""
    full = os.path.join(laid.root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    mode = 0o755 if executable else 0o644
    try:
        with effect("lay", path):
            fd = os.open(full, flags, mode)
    except FileExistsError:
        laid.kept.append(path)
        return

    with open(fd, "wb") as file:
        file.write(content)

    laid.made.append(path)


def _ignore(laid: Laid) -> None:
    """Append to .gitignore the lines that are not there."""
    path = os.path.join(laid.root, ".gitignore")
    have = _read(path).decode("utf-8", "replace") if os.path.isfile(path) else ""
    missing = [line for line in IGNORED if line not in have.splitlines()]
    if missing:
        gap = "" if not have or have.endswith("\n") else "\n"
        with effect("lay", ".gitignore"), open(path, "a", encoding="utf-8") as file:
            file.write(gap + "".join(f"{line}\n" for line in missing))

        laid.made.append(".gitignore")


def _remember(root: str, home: str) -> None:
    """Write what only this machine can know to `.catherd/`."""
    os.makedirs(os.path.join(root, LOCKS), exist_ok=True)
    for name in sorted(os.listdir(os.path.join(home, "locks"))):
        _put(os.path.join(root, LOCKS, name), _read(os.path.join(home, "locks", name)))
    _put(os.path.join(root, ORIGIN), f"{origin()}\n".encode())


def _put(path: str, content: bytes) -> None:
    """Write a file that is ours alone.

    The same content is left as it is, so that make sees no change.
    """
    if not os.path.isfile(path) or _read(path) != content:
        with effect("lay", path), open(path, "wb") as file:
            file.write(content)


def _commit(laid: Laid) -> str:
    place = run.WorkPlace(laid.root, run.git_dir(laid.root))
    run.call(place, "add", "--", *laid.made, change="index")
    run.call(
        place,
        "commit",
        "--quiet",
        "-m",
        "Lay the workspace of a catherd game",
        "--",
        *laid.made,
        change="HEAD",
    )
    return run.git(place, "rev-parse", "--short", "HEAD")


def _tops(paths: list[str]) -> list[str]:
    """What to name to `git add`: the directories and files that hold `paths`."""
    tops = set()
    for path in paths:
        in_docs = path.startswith("docs/")
        tops.add("docs/handbook" if in_docs else path.partition("/")[0])
    return sorted(tops)

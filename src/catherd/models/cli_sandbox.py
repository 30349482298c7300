"""The walls of a program as hands.

It can reach its own HOME, its worktree, the system read-only and its vendor's network.
Nothing of catherd (`bus/`, the other worktrees, the repository) and nothing of yours
(home directories, /tmp, /run) is there for it but the program itself. It needs its
vendor's network, so this is no box: what it writes is tested in one. Its git is a copy
with the one commit that its branch stands at, so it may commit, reset or break it.
"""

import contextlib
import os
import pwd
import re
import shutil
from collections.abc import Iterable

from catherd.bus.crashpoints import effect
from catherd.git import run
from catherd.git.run import WorkPlace

_SCRATCH = ("/tmp", "/var/tmp")  # noqa: S108 - empty ones of its own
_HIDDEN = ("/home", "/root", "/run", "/mnt", "/media", *_SCRATCH)
_NEEDED = "/etc/resolv.conf"  # often a link into /run
_FIRST_LINE = re.compile(rb"#!\s*(\S+)(?:\s+(?:-S\s+)?(\S+))?")
_CONFINED = [
    "bwrap",
    "--die-with-parent",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--cap-drop",
    "ALL",
]
_SYSTEM = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]


def words(root: str, tree: str, home: str, program: str, sees: list[str]) -> list[str]:
    """What stands before the program's command line.

    `sees` are paths of yours that it may read. `root` is the game's. `tree` and `home`
    may be written, and only they.

    bwrap mounts in the order of its words, and a later mount covers an earlier one. So
    each line below opens or closes what the lines above it left.
    """
    root, tree, home = (os.path.realpath(path) for path in (root, tree, home))
    hidden = _outermost([*_HIDDEN, *_yours()])
    wanted = [os.path.realpath(_NEEDED), *_parts(program, hidden)]
    wanted += [os.path.expanduser(path) for path in sees]
    return [
        *_CONFINED,
        # The whole system, read-only: everything else is a hole in it or a patch on it.
        *_SYSTEM,
        # Your own places become empty.
        *_for_each(hidden, "--tmpfs"),
        # What it needs of them comes back; before this it would be covered again.
        *_shown_outside(wanted, hidden, root),
        # /proc is a new mount, whose settings root could write.
        *_for_each(_kernel_settings(), "--ro-bind", twice=True),
        # The game goes after what was shown: a folder of yours may hold the game.
        "--tmpfs",
        root,
        # A program that is installed inside the game comes back alone.
        *_shown_inside(wanted, root),
        # Both places that it may write lie in the game or in your places: after these.
        *_for_each([home, tree], "--bind", twice=True),
        # The `.git` file of the tree, which it must not turn to another repository.
        *_own_gitlink(tree, home),
        # Last, since nothing can be mounted in a place that is read-only: the empty
        # places. Only scratch stays writable.
        *_for_each([p for p in [*hidden, root] if p not in _SCRATCH], "--remount-ro"),
        "--chdir",
        tree,
        "--",
    ]


def _for_each(paths: Iterable[str], option: str, *, twice: bool = False) -> list[str]:
    """`option path` for each path; `twice` where it wants a source and a target."""
    made = []
    for path in paths:
        made += [option, path, path] if twice else [option, path]
    return made


def _shown_outside(wanted: list[str], hidden: list[str], root: str) -> list[str]:
    """The wanted paths that lie in your places but not in the game, read-only.

    A path that lies in another wanted one is shown with that.
    """
    lost = [p for p in wanted if _within(p, hidden) and not _within(p, [root])]
    made = []
    for path in dict.fromkeys(lost):
        if os.path.exists(path) and not _in_another(path, lost):
            made += ["--ro-bind", os.path.realpath(path), path]
    return made


def _shown_inside(wanted: list[str], root: str) -> list[str]:
    """The wanted paths that lie in the game, read-only."""
    real = [os.path.realpath(path) for path in wanted]
    inside = [path for path in real if _within(path, [root]) and os.path.exists(path)]
    return _for_each(inside, "--ro-bind", twice=True)


def _own_gitlink(tree: str, home: str) -> list[str]:
    """Put the `.git` file that names its own copy over that of a worktree."""
    git, link = os.path.join(tree, ".git"), os.path.join(home, "gitlink")
    if os.path.isfile(git) and os.path.exists(link):
        return ["--ro-bind", link, git]
    return []


def own_git(place: WorkPlace, home: str, agent: str) -> None:
    """Make a git directory in `home` with the commit and the branch of the worktree.

    Beside it stands `gitlink`, the `.git` file that names it.
    """
    head = run.git(place, "rev-parse", "HEAD")
    branch = (
        run.git_ok(place, "symbolic-ref", "--quiet", "HEAD").removeprefix("refs/heads/")
        or "work"
    )
    wanted = f"--shallow {head}\n{head}\n".encode()
    pack = run.call(
        place,
        "pack-objects",
        "--quiet",
        "--revs",
        "--shallow",
        "--stdout",
        stdin=wanted,
    ).out
    mine = WorkPlace(place.tree, os.path.join(home, "git"))
    with effect("home", agent):
        shutil.rmtree(mine.git_dir, ignore_errors=True)
        run.call(mine, "init", "--quiet", "--template=", "-b", branch)
        run.call(mine, "index-pack", "--stdin", stdin=pack)
        for name, text in (
            (os.path.join("git", "shallow"), head),
            ("gitlink", f"gitdir: {mine.git_dir}"),
        ):
            with open(os.path.join(home, name), "w", encoding="utf-8") as file:
                file.write(f"{text}\n")
        run.call(mine, "update-ref", f"refs/heads/{branch}", head)
        run.call(mine, "read-tree", "HEAD")


def _yours() -> list[str]:
    """Your home directories: that of the environment and that of the system's list."""
    found = [os.path.expanduser("~")]
    with contextlib.suppress(KeyError):  # a container's number without a name
        found.append(pwd.getpwuid(os.getuid()).pw_dir)
    return [path for path in found if path != "/"]


def _kernel_settings() -> list[str]:
    """The parts of /proc with settings of the kernel, where they could be written.

    To root they are writable without any capability. The parts of /proc that belong to
    processes are left out: a program's own sandbox needs them.
    """
    if os.getuid() != 0:
        return []
    found = []
    for name in sorted(os.listdir("/proc")):
        path = f"/proc/{name}"
        if name.isdigit() or os.path.islink(path):
            continue
        if os.path.isdir(path) or path.endswith(("sysrq-trigger", "mtrr")):
            found.append(path)
    return found


def _outermost(paths: list[str]) -> list[str]:
    """Those that exist and lie in no other, without links."""
    real = sorted({os.path.realpath(path) for path in paths if os.path.isdir(path)})
    return [path for path in real if not _in_another(path, real)]


def _in_another(path: str, paths: list[str]) -> bool:
    """Whether a path lies below one of the paths."""
    return any(path.startswith(f"{other}/") for other in paths)


def _within(path: str, folders: list[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _parts(program: str, hidden: list[str]) -> list[str]:
    """The paths that a program is made of.

    They are its links, the folder that it is installed in, and the interpreter that its
    first line names.
    """
    found: list[str] = []
    for name in _interpreted(shutil.which(program) or program):
        real = os.path.realpath(name)
        found += [name, _installed(real, hidden)]
        above = os.path.dirname(os.path.dirname(name))
        if os.path.exists(os.path.join(above, "pyvenv.cfg")):
            found.append(above)

    return found


def _interpreted(path: str) -> list[str]:
    """The program, and what its `#!` line starts, in turn."""
    found = [path]
    while len(found) < 4 and os.path.isfile(found[-1]):
        with open(found[-1], "rb") as file:
            line = _FIRST_LINE.match(file.readline(512))
        if line is None:
            break
        first, second = (os.fsdecode(word or b"") for word in line.groups())
        if os.path.basename(first) == "env":
            first = shutil.which(second) or second
        found.append(first)

    return found


def _installed(real: str, hidden: list[str]) -> str:
    """The folder that a program was installed in if it can be told, else the file."""
    packages = "/node_modules/"
    if packages in real:
        return real[: real.index(packages) + len(packages) - 1]
    folder = os.path.dirname(real)
    above = os.path.dirname(folder)
    has_lib = os.path.isdir(os.path.join(above, "lib"))
    if os.path.basename(folder) == "bin" and has_lib and not _shared(above, hidden):
        return above
    return real


def _shared(folder: str, hidden: list[str]) -> bool:
    """Whether a folder holds more than one program's own things."""
    if folder in hidden or os.path.basename(folder) == ".local":
        return True
    return os.path.dirname(folder) in {"/home", "/"}

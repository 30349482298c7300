"""What a program as hands can reach: its own HOME, its worktree, the system read-only, the network of its vendor.

Nothing of catherd (`bus/`, the other worktrees, the repository) and nothing of yours (home directories, /tmp, /run) is there
for it but the program itself. It needs its vendor's network, so this is no box: what it writes is tested in one. Its git
is a copy with the one commit that its branch stands at, so it may commit, reset or break what it likes.
"""

import contextlib
import os
import pwd
import re
import shutil

from catherd.bus.crashpoints import effect
from catherd.git import run
from catherd.git.run import WorkPlace

_SCRATCH = ("/tmp", "/var/tmp")  # noqa: S108 - empty ones of its own
_HIDDEN = ("/home", "/root", "/run", "/mnt", "/media", *_SCRATCH)
_NEEDED = "/etc/resolv.conf"  # often a link into /run


def words(root: str, tree: str, home: str, program: str, sees: list[str]) -> list[str]:
    """What stands before the program's command line. `sees`: paths of yours that it may read.

    `root` is the game's; `tree` and `home` may be written, and only they.
    """
    root, tree, home = (os.path.realpath(path) for path in (root, tree, home))
    hidden = _outermost([*_HIDDEN, *_yours()])
    shown = [
        os.path.realpath(_NEEDED),
        *_parts(program, hidden),
        *map(os.path.expanduser, sees),
    ]
    outside = [
        path for path in shown if _within(path, hidden) and not _within(path, [root])
    ]
    outside = [
        path
        for path in dict.fromkeys(outside)
        if not any(path.startswith(f"{other}/") for other in outside)
    ]
    inside = [path for path in map(os.path.realpath, shown) if _within(path, [root])]
    made = [
        "bwrap",
        "--die-with-parent",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--cap-drop",
        "ALL",
    ]
    made += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    made += [word for path in hidden for word in ("--tmpfs", path)]
    made += [
        word
        for path in outside
        if os.path.exists(path)
        for word in ("--ro-bind", os.path.realpath(path), path)
    ]
    if (
        os.getuid() == 0
    ):  # to root the kernel's settings are writable without any capability
        made += [word for path in _settings() for word in ("--ro-bind", path, path)]
    made += ["--tmpfs", root]
    made += [
        word
        for path in inside
        if os.path.exists(path)
        for word in ("--ro-bind", path, path)
    ]
    made += ["--bind", home, home, "--bind", tree, tree]
    link = os.path.join(home, "gitlink")
    if os.path.isfile(os.path.join(tree, ".git")) and os.path.exists(link):
        made += ["--ro-bind", link, os.path.join(tree, ".git")]
    made += [
        word
        for path in [*hidden, root]
        if path not in _SCRATCH
        for word in ("--remount-ro", path)
    ]
    return [*made, "--chdir", tree, "--"]


def own_git(place: WorkPlace, home: str, agent: str) -> None:
    """A git directory in `home` with the commit and the branch of the worktree, and `gitlink`, the `.git` file that names it."""
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
    """The home directories of whoever runs this: that of the environment and that of the system's list."""
    found = [os.path.expanduser("~")]
    with contextlib.suppress(KeyError):  # a container's number without a name
        found.append(pwd.getpwuid(os.getuid()).pw_dir)
    return [path for path in found if path != "/"]


def _settings() -> list[str]:
    """What of /proc belongs to the kernel and to no process; its programs' own sandboxes need the rest."""
    found = [
        f"/proc/{name}" for name in sorted(os.listdir("/proc")) if not name.isdigit()
    ]
    return [
        path
        for path in found
        if not os.path.islink(path)
        and (os.path.isdir(path) or path.endswith(("sysrq-trigger", "mtrr")))
    ]


def _outermost(paths: list[str]) -> list[str]:
    """Those that exist and lie in no other, without links."""
    real = sorted({os.path.realpath(path) for path in paths if os.path.isdir(path)})
    return [
        path for path in real if not any(path.startswith(f"{other}/") for other in real)
    ]


def _within(path: str, folders: list[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _parts(program: str, hidden: list[str]) -> list[str]:
    """The paths that a program is made of: its links, what it is installed in, what its first line names."""
    found: list[str] = []
    for name in _interpreted(shutil.which(program) or program):
        real = os.path.realpath(name)
        found += [name, _installed(real, hidden)]
        above = os.path.dirname(os.path.dirname(name))
        if os.path.exists(os.path.join(above, "pyvenv.cfg")):
            found.append(above)
    return found


def _interpreted(path: str) -> list[str]:
    """The program, and whatever its `#!` line starts, in turn."""
    found = [path]
    while len(found) < 4 and os.path.isfile(found[-1]):
        with open(found[-1], "rb") as file:
            line = re.match(rb"#!\s*(\S+)(?:\s+(?:-S\s+)?(\S+))?", file.readline(512))
        if line is None:
            break
        first, second = (os.fsdecode(word or b"") for word in line.groups())
        found.append(
            (shutil.which(second) or second)
            if os.path.basename(first) == "env"
            else first
        )
    return found


def _installed(real: str, hidden: list[str]) -> str:
    """The folder that a program was installed in, where that can be told; else the file alone."""
    if "/node_modules/" in real:
        return real[: real.index("/node_modules/") + len("/node_modules")]
    above = os.path.dirname(os.path.dirname(real))
    shared = (
        above in hidden
        or os.path.dirname(above) in {"/home", "/"}
        or os.path.basename(above) == ".local"
    )
    own = os.path.basename(os.path.dirname(real)) == "bin" and os.path.isdir(
        os.path.join(above, "lib")
    )
    return above if own and not shared else real

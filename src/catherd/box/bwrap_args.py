"""The arguments of bubblewrap: what a box sees of the host, and what it may use.

It sees /usr read-only, a handful of files of /etc (certificates, time zone, the loader's cache), its own /proc, /dev and /tmp, and the tree
at /work. Nothing else exists: no home, no other worktree, no bus, no /var, /run or /sys.
"""

import fcntl
import os
import platform
from collections.abc import Callable

import msgspec

from catherd.box import box_trees, seccomp
from catherd.core.errors import CatherdError

PATH = "/usr/local/bin:/usr/bin:/bin"
_ETC = (
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ssl/certs",
    "localtime",
    "mime.types",
)
_FILES = {
    "/etc/passwd": "root:x:0:0::/:/usr/sbin/nologin\nbox:x:1000:1000::/home/box:/bin/sh\n",
    "/etc/group": "root:x:0:\nbox:x:1000:\n",
    "/etc/hosts": "127.0.0.1 localhost box\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_SCRATCH = (("/tmp", 64, "1777"), ("/home/box", 8, "0755"), ("/dev/shm", 16, "1777"))  # noqa: S108 - inside the box
_STDIN = "/etc/.stdin"
# A box must die with us, and until its init has asked the kernel for that it would not: so nothing runs before we say go.
_ASKED = "read -r go || exit 125; "
_COPY_IN = "cp -R /src/. /work && rm -rf /work/.git && "
_GO_IN = 'cd "$0" && exec "$@"'


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a box may use. `wall_s`, `cpu_s`: seconds (0: no deadline; cpu is per process). `memory_mb`: resident memory of all its processes together;
    `address_mb`: address space of each (0: any). `processes`, `files`: at once. `output_kb`: what it may print. `disk_mb`: /work in mode
    copy, growth of the tree and of writable binds otherwise; `file_mb`: one file.
    """

    wall_s: float = 60.0
    cpu_s: int = 60
    memory_mb: int = 512
    address_mb: int = 4096
    processes: int = 128
    files: int = 512
    output_kb: int = 256
    disk_mb: int = 256
    file_mb: int = 64


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """A host path that the box sees as `inside`; read-only unless `write`. Writable ones belong to the box's uid."""

    host: str
    inside: str
    write: bool = False


class BoxPlan(msgspec.Struct, kw_only=True):
    """One launch: the whole command line and the descriptors that it inherits (close them after the start)."""

    argv: list[str]
    fds: list[int]
    info: int  # our end of --info-fd
    scratch: str = ""  # a directory to remove afterwards
    filtered: bool = True  # whether there is a system-call filter for this machine


def box_environment() -> dict[str, str]:
    """What everything in the box finds in its environment."""
    return {
        "PATH": PATH,
        "HOME": "/home/box",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def dressed(argv: list[str], env: dict[str, str]) -> list[str]:
    """`argv` with `env` for it alone: what sets the limits must not find its programs, or its libraries, by the app's word.

    Raises CatherdError for a NUL, which ends a word.
    """
    if any("\0" in word for word in (*argv, *env, *env.values())):
        what = "a NUL among the words of a command: no program can be given one"
        raise CatherdError(what, where="sandbox", fix="take it out")
    return [
        *(
            ["/usr/bin/env", "--", *(f"{key}={value}" for key, value in env.items())]
            if env
            else []
        ),
        *argv,
    ]


def memory_file(data: bytes) -> int:
    """A descriptor from which `data` can be read; it cannot be written, and nothing of it is on any disk."""
    fd = os.memfd_create("catherd", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    fcntl.fcntl(
        fd,
        fcntl.F_ADD_SEALS,
        fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK,
    )
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def limit_prefix(limits: Limits) -> list[str]:
    """The command prefix that sets resource limits; it stands inside the box, so that processes are counted in the box alone."""
    words = [f"--nproc={limits.processes}", f"--fsize={limits.file_mb << 20}"]
    words += [f"--nofile={limits.files}", "--core=0"]
    if limits.address_mb:
        words.append(f"--as={limits.address_mb << 20}")
    if limits.cpu_s:
        words.append(f"--cpu={limits.cpu_s}")
    return ["prlimit", *words, "--"]


def plan(
    argv: list[str],
    tree: str,
    binds: tuple[Bind, ...],
    limits: Limits,
    *,
    mode: str,
    cwd: str,
    uid: int | None,
    stdin: bytes | None = None,
    info_to: int | None = None,
    counted: bool = True,
) -> BoxPlan:
    """The command line for `argv` in a box on `tree`. `uid`: become that user first (we are root). `stdin`: with it the box waits for a
    line on its standard input before it begins, and `argv` reads these bytes. `info_to`: a descriptor that is told the
    pid of the box's init, in place of a new pipe. `counted`: no memory that no process is seen to hold; Chromium needs such.
    """
    fds: list[int] = []

    def data(text: str | bytes) -> str:
        fds.append(memory_file(text.encode() if isinstance(text, str) else text))
        return str(fds[-1])

    words = _walls()
    for path, text in _FILES.items():
        words += ["--ro-bind-data", data(text), path]
    if stdin is not None:
        words += ["--ro-bind-data", data(stdin), _STDIN]
    seen = "/src" if mode == "copy" else "/work"
    mounts = [Bind(host=tree, inside=seen, write=mode == "rw"), *binds]
    mounts, scratch, hoist = _within_reach(mounts, uid)
    for bind in mounts:
        words += ["--bind" if bind.write else "--ro-bind", bind.host, bind.inside]
    words += _mask_git(tree, seen, data, make=mode == "rw")
    if mode == "copy":
        words += [
            "--size",
            str(limits.disk_mb << 20),
            "--perms",
            "0755",
            "--tmpfs",
            "/work",
        ]
    words += ["--remount-ro", "/"]
    code = seccomp.filter_program(platform.machine(), counted=counted)
    if code is not None:
        fds.append(memory_file(code))
        words += ["--seccomp", str(fds[-1])]
    ours, theirs = os.pipe() if info_to is None else (-1, info_to)
    fds.append(theirs)
    words += ["--info-fd", str(theirs)]
    fds.append(memory_file(b"".join(word.encode() + b"\0" for word in words)))
    script = (_COPY_IN if mode == "copy" else "") + _GO_IN
    script = script if stdin is None else f"{_ASKED}{script} <{_STDIN}"
    start = ["sh", "-c", script, os.path.normpath(os.path.join("/work", cwd))]
    line = [
        *hoist,
        *become(uid),
        "bwrap",
        "--args",
        str(fds[-1]),
        "--",
        *limit_prefix(limits),
        *start,
        *argv,
    ]
    return BoxPlan(
        argv=line, fds=fds, info=ours, scratch=scratch, filtered=code is not None
    )


def _walls() -> list[str]:
    words = [
        "--unshare-all",
        "--unshare-user",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--hostname",
        "box",
    ]
    words += [
        "--cap-drop",
        "ALL",
        "--disable-userns",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
    ]
    for key, value in box_environment().items():
        words += ["--setenv", key, value]
    words += [*_system(), "--proc", "/proc", "--dev", "/dev"]
    for path, size_mb, mode in _SCRATCH:
        words += ["--size", str(size_mb << 20), "--perms", mode, "--tmpfs", path]
    return words


def become(uid: int | None) -> list[str]:
    """The command prefix that drops root for good; empty when we are not root."""
    if uid is None:
        return []
    drop = [
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
    ]
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", *drop, "--"]


def _system() -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = "/" + name
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            words += ["--ro-bind", path, path]
    for name in _ETC:
        if os.path.exists(f"/etc/{name}"):
            words += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    return words


def _mask_git(
    tree: str, inside: str, data: Callable[[str | bytes], str], *, make: bool
) -> list[str]:
    git = os.path.join(tree, ".git")
    if os.path.isdir(git):
        return [
            "--perms",
            "0555",
            "--tmpfs",
            f"{inside}/.git",
            "--remount-ro",
            f"{inside}/.git",
        ]
    if os.path.lexists(git) or make:
        return ["--ro-bind-data", data(""), f"{inside}/.git"]
    return []


def _within_reach(
    mounts: list[Bind], uid: int | None
) -> tuple[list[Bind], str, list[str]]:
    # Root's paths (/root/…) cannot be walked by the other uid. Root can show them elsewhere: bind them below a
    # directory of /tmp in a mount namespace that only this launch lives in, and drop to the uid after that.
    if uid is None or all(_walkable(bind.host, uid) for bind in mounts):
        return mounts, "", []
    scratch = box_trees.scratch("reach")
    moved, pairs = [], []
    for number, bind in enumerate(mounts):
        spot = os.path.join(scratch, str(number))
        os.mkdir(spot, 0o755)
        moved.append(Bind(host=spot, inside=bind.inside, write=bind.write))
        pairs += [bind.host, spot]
    script = 'n=$1; shift; while [ "$n" -gt 0 ]; do mount --bind "$1" "$2" || exit 125; shift 2; n=$((n-1)); done; exec "$@"'
    return (
        moved,
        scratch,
        [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            str(len(mounts)),
            *pairs,
        ],
    )


def _walkable(path: str, uid: int) -> bool:
    folder = os.path.dirname(os.path.realpath(path))
    while True:
        info = os.stat(folder)
        if not info.st_mode & (0o100 if info.st_uid == uid else 0o001):
            return False
        if folder == "/":
            return True
        folder = os.path.dirname(folder)

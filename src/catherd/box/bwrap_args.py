"""The arguments of bubblewrap: what a box sees of the host, and what it may use.

It sees /usr read-only, a handful of files of /etc (certificates, time zone, the
loader's cache), its own /proc, /dev and /tmp, and the tree at /work. Nothing else
exists: no home, no other worktree, no bus, no /var, /run or /sys.

bubblewrap carries out its mounts in the order in which they are given, and a later
one hides or freezes an earlier one: the order of `plan_launch` is part of the box's
security.
"""

import fcntl
import os
import platform
import stat
from typing import Literal

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
    "/etc/passwd": (
        "root:x:0:0::/:/usr/sbin/nologin\nbox:x:1000:1000::/home/box:/bin/sh\n"
    ),
    "/etc/group": "root:x:0:\nbox:x:1000:\n",
    "/etc/hosts": "127.0.0.1 localhost box\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_SCRATCH = (  # path in the box, size in MB, mode
    ("/tmp", 64, "1777"),  # noqa: S108 - inside the box
    ("/home/box", 8, "0755"),
    ("/dev/shm", 16, "1777"),  # noqa: S108 - inside the box
)
_STDIN = "/etc/.stdin"

# The shell lines of a box, run in it as its first program. A box must die with us, but
# its init needs a moment until it has asked the kernel for that. So a box that is told
# to wait runs nothing before we say go.
_WAIT_FOR_GO = "read -r go || exit 125; "
_COPY_IN = "cp -R /src/. /work && rm -rf /work/.git && "
_GO_IN = 'cd "$0" && exec "$@"'

Mode = Literal["copy", "ro", "rw"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a box may use.

    `wall_s`, `cpu_s`: seconds; 0 means no deadline, and `cpu_s` counts per process.
    `memory_mb`: resident memory of all its processes together. `address_mb`: address
    space of each process; 0 means any. `processes`, `files`: how many at once.
    `output_kb`: how much it may print. `disk_mb`: the size of /work in mode copy, the
    growth of the tree and of writable binds otherwise. `file_mb`: the size of one file.
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
    """A host path that the box sees as `inside`; read-only unless `write`.

    A writable one must belong to the box's uid (see `sandbox.hand_over`).
    """

    host: str
    inside: str
    write: bool = False


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run in a box, and what that box is to be.

    `tree`: the host directory that the box sees as /work. `mode`: "copy" (the box works
    on a copy that is lost with it), "ro" (on the tree, read-only) or "rw" (on the tree
    itself). `cwd`: where `argv` starts, relative to /work. `uid`: the user to become
    first, because we are root; None when we are not. `stdin`: with it the box waits for
    a line on its standard input before it begins, and `argv` reads these bytes.
    `info_to`: a descriptor to write the pid of the box's init to, in place of a new
    pipe. `counted`: refuse memory that no process is seen to hold; Chromium needs such.
    """

    argv: list[str]
    tree: str
    uid: int | None
    binds: tuple[Bind, ...] = ()
    limits: Limits = Limits()
    mode: Mode = "copy"
    cwd: str = "."
    stdin: bytes | None = None
    info_to: int | None = None
    counted: bool = True


class BoxPlan(msgspec.Struct, kw_only=True):
    """One launch: the whole command line and what goes with it.

    `fds`: the descriptors that the command inherits; close them after the start.
    `info`: our end of --info-fd, -1 when the launch named its own. `scratch`: a
    directory to remove afterwards, or "". `filtered`: whether there is a system-call
    filter for this machine.
    """

    argv: list[str]
    fds: list[int]
    info: int
    scratch: str = ""
    filtered: bool = True


class _Reach(msgspec.Struct, frozen=True):
    """Mounts that the box's uid can walk to.

    `prefix`: the command prefix that puts them there. `scratch`: the directory that
    they were put in; both are empty when nothing had to move.
    """

    mounts: list[Bind]
    prefix: list[str]
    scratch: str


def box_environment() -> dict[str, str]:
    """The environment of everything in the box."""
    return {
        "PATH": PATH,
        "HOME": "/home/box",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def dressed(argv: list[str], env: dict[str, str]) -> list[str]:
    """`argv` as a command that gets `env` for itself alone.

    The programs that set the box's limits run before it: the app's variables must not
    decide which programs or libraries those are. Raises CatherdError for a NUL, which
    ends a word of bubblewrap's.
    """
    if any("\0" in word for word in (*argv, *env, *env.values())):
        what = "a NUL among the words of a command: no program can be given one"
        raise CatherdError(what, where="sandbox", fix="take it out")

    if not env:
        return list(argv)
    settings = [f"{key}={value}" for key, value in env.items()]
    return ["/usr/bin/env", "--", *settings, *argv]


def memory_file(data: bytes) -> int:
    """A descriptor from which `data` can be read.

    It cannot be written to, and nothing of it is on any disk.
    """
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
    """The command prefix that sets resource limits.

    It stands inside the box, so that only the box's own processes are counted.
    """
    words = [f"--nproc={limits.processes}", f"--fsize={limits.file_mb << 20}"]
    words += [f"--nofile={limits.files}", "--core=0"]
    if limits.address_mb:
        words.append(f"--as={limits.address_mb << 20}")

    if limits.cpu_s:
        words.append(f"--cpu={limits.cpu_s}")

    return ["prlimit", *words, "--"]


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


class _Descriptors:
    """The descriptors that a launch hands to bubblewrap, in one list to close later."""

    def __init__(self) -> None:
        self.fds: list[int] = []

    def keep(self, fd: int) -> str:
        """Take over `fd`; its number as an argument."""
        self.fds.append(fd)
        return str(fd)

    def holding(self, data: bytes) -> str:
        """The number of a new descriptor from which `data` can be read."""
        return self.keep(memory_file(data))


def plan_launch(launch: Launch) -> BoxPlan:
    """The command line for a launch. The sections stand in an order that matters."""
    handed = _Descriptors()
    reach = _within_reach(_mounts_of(launch), launch.uid)

    # 1. The walls: namespaces, no capabilities, an empty environment, the system's
    #    read-only /usr, scratch. Everything that follows is put into that empty room.
    words = _walls()
    # 2. Our own small files of /etc, beside what the walls show of the host's.
    words += _files(launch.stdin, handed)
    # 3. The tree and what the caller binds. They come after the walls, so that a caller
    #    may show a path below /etc or /opt, and before the masks, which must win.
    words += _binds(reach.mounts)
    # 4. The masks: over the tree that is now mounted. Given earlier, the mount of the
    #    tree would cover them, and the box could read or change the repository.
    words += _mask_git(launch, handed)
    # 5. Where the box works on a copy, the room for it.
    if launch.mode == "copy":
        words += _tmpfs("/work", launch.limits.disk_mb, "0755")

    # 6. The root directory is frozen last: every mount point above was made in it.
    words += ["--remount-ro", "/"]
    # 7. The filter. bubblewrap loads it after its own mounts, which the filter forbids.
    code = seccomp.filter_program(platform.machine(), counted=launch.counted)
    if code is not None:
        words += ["--seccomp", handed.holding(code)]

    # 8. Where bubblewrap tells us the pid of the box's init.
    ours, theirs = (-1, launch.info_to) if launch.info_to is not None else os.pipe()
    words += ["--info-fd", handed.keep(theirs)]
    # All of it goes by descriptor, each word ended with NUL. On the command line stands
    # only what follows `--`, so no word of the program can be one of bubblewrap's.
    arguments = handed.holding(b"".join(word.encode() + b"\0" for word in words))

    return BoxPlan(
        argv=_command_line(launch, reach, arguments),
        fds=handed.fds,
        info=ours,
        scratch=reach.scratch,
        filtered=code is not None,
    )


def _command_line(launch: Launch, reach: _Reach, arguments: str) -> list[str]:
    """The host's command line, outermost program first.

    Root's mounts are moved within reach while we are still root; then root is dropped;
    then the box is built. Inside it, the limits are set before the first program of
    anybody's choosing starts.
    """
    script = _GO_IN
    if launch.mode == "copy":
        script = _COPY_IN + script

    if launch.stdin is not None:
        script = f"{_WAIT_FOR_GO}{script} <{_STDIN}"

    start = os.path.normpath(os.path.join("/work", launch.cwd))
    return [
        *reach.prefix,
        *become(launch.uid),
        *["bwrap", "--args", arguments, "--"],
        *limit_prefix(launch.limits),
        *["sh", "-c", script, start],
        *launch.argv,
    ]


def _walls() -> list[str]:
    words = ["--unshare-all", "--unshare-user"]
    words += ["--uid", "1000", "--gid", "1000", "--hostname", "box"]
    words += ["--cap-drop", "ALL", "--disable-userns"]
    words += ["--die-with-parent", "--new-session", "--clearenv"]
    # After --clearenv, which would take these away too.
    for key, value in box_environment().items():
        words += ["--setenv", key, value]

    words += [*_system(), "--proc", "/proc", "--dev", "/dev"]
    # After --dev: /dev/shm lies in it.
    for path, size_mb, mode in _SCRATCH:
        words += _tmpfs(path, size_mb, mode)

    return words


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


def _tmpfs(path: str, size_mb: int, mode: str) -> list[str]:
    # --size and --perms hold for the next mount alone: the three stay together.
    return ["--size", str(size_mb << 20), "--perms", mode, "--tmpfs", path]


def _files(stdin: bytes | None, handed: _Descriptors) -> list[str]:
    words: list[str] = []
    for path, text in _FILES.items():
        words += ["--ro-bind-data", handed.holding(text.encode()), path]
    if stdin is not None:
        words += ["--ro-bind-data", handed.holding(stdin), _STDIN]
    return words


def _seen_as(launch: Launch) -> str:
    """Where the box sees the tree. A copy is made of it from there into /work."""
    return "/src" if launch.mode == "copy" else "/work"


def _mounts_of(launch: Launch) -> list[Bind]:
    writable = launch.mode == "rw"
    tree = Bind(host=launch.tree, inside=_seen_as(launch), write=writable)
    # A bind may lie below the tree: the tree comes first.
    return [tree, *launch.binds]


def _binds(mounts: list[Bind]) -> list[str]:
    words: list[str] = []
    for bind in mounts:
        words += ["--bind" if bind.write else "--ro-bind", bind.host, bind.inside]
    return words


def _mask_git(launch: Launch, handed: _Descriptors) -> list[str]:
    """Hide the `.git` of the tree. Where the box may write, keep it from making one."""
    git = os.path.join(launch.tree, ".git")
    inside = f"{_seen_as(launch)}/.git"
    if os.path.isdir(git):
        return ["--perms", "0555", "--tmpfs", inside, "--remount-ro", inside]
    if os.path.lexists(git) or launch.mode == "rw":
        return ["--ro-bind-data", handed.holding(b""), inside]
    return []


_MOUNT_PAIRS = (
    'n=$1; shift; while [ "$n" -gt 0 ]; do mount --bind "$1" "$2" || exit 125; '
    'shift 2; n=$((n-1)); done; exec "$@"'
)


def _within_reach(mounts: list[Bind], uid: int | None) -> _Reach:
    """The mounts where the box's uid can walk to them.

    That uid cannot walk root's own paths (/root/…). Root shows them elsewhere: it binds
    them below a directory of /tmp, in a mount namespace that only this launch lives in,
    and drops to the uid after that.
    """
    if uid is None or all(_walkable(bind.host, uid) for bind in mounts):
        return _Reach(mounts, prefix=[], scratch="")
    scratch = box_trees.scratch("reach")
    moved: list[Bind] = []
    pairs: list[str] = []
    for number, bind in enumerate(mounts):
        spot = os.path.join(scratch, str(number))
        os.mkdir(spot, 0o755)
        moved.append(Bind(host=spot, inside=bind.inside, write=bind.write))
        pairs += [bind.host, spot]

    prefix = ["unshare", "--mount", "--propagation", "private"]
    prefix += ["sh", "-c", _MOUNT_PAIRS, "sh", str(len(mounts)), *pairs]
    return _Reach(moved, prefix, scratch)


def _walkable(path: str, uid: int) -> bool:
    """Whether `uid` may pass through every directory above `path`."""
    folder = os.path.dirname(os.path.realpath(path))
    while True:
        info = os.stat(folder)
        needed = stat.S_IXUSR if info.st_uid == uid else stat.S_IXOTH
        if not info.st_mode & needed:
            return False
        if folder == "/":
            return True
        folder = os.path.dirname(folder)

"""What hostile code tries in the box, as data: run as a script (by an ordinary user) it prints what came of each as JSON.

Every attempt prints `held NAME …` or `ESCAPED NAME …`; an attack that never ran prints neither, and its test fails.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from catherd.box import sandbox

PRELUDE = """
import ctypes, errno, os, signal, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, act):
    try:
        what = act()
    except BaseException as error:
        print("held", name, type(error).__name__, errno.errorcode.get(getattr(error, "errno", 0) or 0, ""), flush=True)
    else:
        print("ESCAPED", name, repr(what)[:200], flush=True)
def call(name, number, *args, want=errno.EPERM):
    ctypes.set_errno(0)
    got = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    code = ctypes.get_errno()
    print("held" if got == -1 and code == want else "ESCAPED", name, errno.errorcode.get(code, got), flush=True)
def fill(path, megabytes):
    try:
        for n in range(megabytes):
            with open(f"{path}/f{n}", "wb") as file:
                file.write(b"x" * (1 << 20))
        print("ESCAPED fill", path, flush=True)
    except OSError as error:
        print("held fill", path, errno.errorcode[error.errno], flush=True)
arm = os.uname().machine == "aarch64"
"""

FORK = """
kids = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60); os._exit(0)
        kids += 1
except OSError as error:
    print("held" if kids < 64 else "ESCAPED", "fork", kids, errno.errorcode[error.errno], flush=True)
"""
LINKS = """
secret, = sys.argv[1:]
os.symlink(secret, "/work/link"); attempt("read", lambda: open("/work/link").read())
os.symlink("/usr/lib/planted", "/work/out"); attempt("write", lambda: open("/work/out", "w"))
os.symlink("/etc/passwd", "/work/passwd"); attempt("append", lambda: open("/work/passwd", "a"))
print("held passwd" if "box:x:1000" in open("/etc/passwd").read() and "daemon" not in open("/etc/passwd").read() else "ESCAPED passwd")
attempt("up", lambda: os.listdir("/work/../../../root"))
attempt("hardlink", lambda: os.link("/usr/bin/env", "/work/env"))
attempt("rename", lambda: os.rename("/work", "/tmp/work"))
"""
GIT = """
attempt("hook", lambda: (os.makedirs("/work/.git/hooks"), open("/work/.git/hooks/post-commit", "w")))
attempt("write", lambda: open("/work/.git", "w"))
attempt("remove", lambda: os.remove("/work/.git"))
attempt("rmdir", lambda: os.rmdir("/work/.git"))
attempt("move", lambda: os.rename("/work/.git", "/work/git2"))
attempt("over", lambda: (os.symlink("/tmp", "/work/new"), os.rename("/work/new", "/work/.git")))
attempt("read", lambda: open("/work/.git/config").read())
attempt("git", lambda: subprocess.run(["git", "-C", "/work", "rev-parse", "HEAD"], check=True, capture_output=True).stdout)
attempt("update-ref", lambda: subprocess.run(["git", "-C", "/work", "update-ref", "refs/heads/main", "0" * 40], check=True, capture_output=True))
"""
PLACES = """
repo, = sys.argv[1:]
for place in (repo, "/root", "/etc/shadow", "/var", "/run", "/sys", "/boot", "/mnt", "/etc/hostname", "/etc/ssh", "/srv"):
    attempt(place, lambda: os.stat(place))
print("held root" if set(os.listdir("/")) <= {"bin","dev","etc","home","lib","lib32","lib64","libx32","proc","sbin","src","tmp","usr","work"} else "ESCAPED root")
"""
PIDS = """
host, secret = sys.argv[1:]
pids = [name for name in os.listdir("/proc") if name.isdigit()]
print("held pids" if len(pids) <= 4 else "ESCAPED pids", pids)
attempt("kill", lambda: os.kill(int(host), 0))
attempt("root", lambda: open("/proc/1/root" + secret).read())
status = dict(line.split(":", 1) for line in open("/proc/1/status").read().splitlines())
print("held init" if status["Seccomp"].strip() == "2" and int(status["CapEff"], 16) == 0 else "ESCAPED init")
links = [os.readlink(f"/proc/1/fd/{n}") for n in os.listdir("/proc/1/fd")]
print("held fds" if all(link.startswith(("/memfd:", "pipe:", "anon_inode:")) for link in links) else "ESCAPED fds", links)
attempt("killall", lambda: os.kill(-1, 0))
attempt("stdin", lambda: os.write(os.open("/proc/self/fd/0", os.O_RDWR), b"x"))
"""
ENV = """
for place in ("/proc/self/environ", "/proc/1/environ"):
    try:
        text = open(place).read()
    except OSError as error:
        text = ""
    print("ESCAPED env" if "hunter2" in text else "held env", place)
print("KEYS", " ".join(sorted(os.environ)))
print("FDS", sorted(int(n) for n in os.listdir("/proc/self/fd"))[:4])
print("CMD", "ESCAPED" if "/" + "tmp/catherd" in open("/proc/1/cmdline").read() else "held")
print("TTY", [os.isatty(n) for n in (0, 1, 2)], sys.stdin.read() == "")
"""
DISK = """
fill("/tmp", 80); fill("/dev/shm", 20); fill("/home/box", 10); fill("/work", 40)
def big():
    with open("/work/big", "wb") as file:
        for _ in range(20): file.write(b"x" * (1 << 20))
attempt("big", big)
"""
FILES = """
made = 0
try:
    for n in range(400):
        with open(f"/work/f{n}", "wb") as file:
            file.write(b"x" * (1 << 20))
        made = n
        time.sleep(0.005)
except OSError as error:
    pass
print("ESCAPED", made)
"""
LEFT = """
os.chmod("/work", 0o755)
open("/work/tool", "w").close(); os.chmod("/work/tool", 0o4755)
os.mkfifo("/work/pipe")
s = socket.socket(socket.AF_UNIX); s.bind("/work/sock")
with open("/work/sparse", "wb") as file: file.truncate(4 << 20)
print("held made")
"""
DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in (0, 1, 2): os.close(n)
        while True:
            open("/work/beat", "a").write(".")
            time.sleep(0.001)
    os._exit(0)
time.sleep(0.05)
print("held parent ends")
"""
STUBBORN = """
for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)
print("held", flush=True)
while True: time.sleep(1)
"""
KERNEL = """
from ctypes import c_char_p, create_string_buffer
z = create_string_buffer(256)
n = (lambda x86, a: a if arm else x86)
call("ptrace", n(101, 117), 16, 1, 0, 0)
call("vm_readv", n(310, 270), 1, z, 1, z, 1, 0)
call("vm_writev", n(311, 271), 1, z, 1, z, 1, 0)
call("add_key", n(248, 217), c_char_p(b"user"), c_char_p(b"a"), z, 1, -3)
call("request_key", n(249, 218), c_char_p(b"user"), c_char_p(b"a"), 0, -3)
call("keyctl", n(250, 219), 0, -3, 1)
call("bpf", n(321, 280), 0, z, 64)
call("perf", n(298, 241), z, 0, -1, -1, 0)
call("userfaultfd", n(323, 282), 0)
call("io_uring", 425, 4, z)
call("open_by_handle", n(304, 265), -100, z, 0)
call("name_to_handle", n(303, 264), -100, c_char_p(b"/"), z, z, 0)
call("mount", n(165, 40), c_char_p(b"none"), c_char_p(b"/tmp"), c_char_p(b"tmpfs"), 0, 0)
call("remount", n(165, 40), 0, c_char_p(b"/usr"), 0, 32 | 4096, 0)
call("umount", n(166, 39), c_char_p(b"/usr"), 2)
call("fsopen", 430, c_char_p(b"tmpfs"), 0)
call("open_tree", 428, -100, c_char_p(b"/"), 1)
call("unshare user", n(272, 97), 0x10000000)
call("unshare net", n(272, 97), 0x40000000)
call("setns", n(308, 268), 0, 0)
call("clone newuser", n(56, 220), 0x10000011, 0, 0, 0, 0)
call("clone3", 435, z, 64, want=errno.ENOSYS)
call("chroot", n(161, 51), c_char_p(b"/tmp"))
call("pivot_root", n(155, 41), c_char_p(b"/"), c_char_p(b"/"))
call("reboot", n(169, 142), 0)
call("kexec", n(246, 104), 0, 0, 0, 0)
call("init_module", n(175, 105), z, 1, z)
call("sethostname", n(170, 161), c_char_p(b"x"), 1)
call("settime", n(227, 112), 0, z)
call("pidfd_getfd", 438, 0, 0, 0)
call("memfd", n(319, 279), c_char_p(b"x"), 0)  # memory that no process is seen to hold
call("memfd_secret", 447, 0)
call("shmget", n(29, 194), 0, 1 << 20, 0o1600)
call("setuid", n(105, 146), 0, want=errno.EINVAL)  # uid 0 does not exist here
call("mknod", n(259, 33), -100, c_char_p(b"/work/disk"), 0o60600, 0x800)
"""
SOCKETS = """
port, sock, abstract = sys.argv[1:]
attempt("host port", lambda: socket.create_connection(("127.0.0.1", int(port)), 2))
attempt("host port v6", lambda: socket.create_connection(("::1", int(port)), 2))
def unix(name):
    s = socket.socket(socket.AF_UNIX); s.connect(name)
attempt("unix file", lambda: unix(sock))
attempt("unix abstract", lambda: unix("\\0" + abstract))
attempt("docker", lambda: unix("/var/run/docker.sock"))
attempt("out", lambda: socket.create_connection(("198.51.100.1", 80), 2))
attempt("dns", lambda: socket.getaddrinfo("example.com", 80))
for name, family, kind in (("packet", 17, 3), ("netlink", 16, 3), ("vsock", 40, 1), ("alg", 38, 5), ("bluetooth", 31, 3)):
    attempt(name, lambda: socket.socket(family, kind, 0))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
a = socket.create_server(("127.0.0.1", 0)); b = socket.create_connection(a.getsockname())
print("held own loopback works")
"""
TTY = """
import fcntl, pty, termios
attempt("tty", lambda: open("/dev/tty", "w"))
primary, secondary = pty.openpty()
attempt("sti", lambda: fcntl.ioctl(secondary, termios.TIOCSTI, b"x"))
attempt("linux", lambda: fcntl.ioctl(secondary, 0x541C, b"\\x03"))
"""
SETTINGS = """
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/sys/power/state"):
    attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)))
attempt("oom", lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-1000"))
attempt("nice", lambda: os.nice(-5))
attempt("usr", lambda: open("/usr/x", "w"))
attempt("etc", lambda: open("/etc/x", "w"))
attempt("root", lambda: open("/x", "w"))
attempt("hosts", lambda: open("/etc/hosts", "a"))
attempt("su", lambda: subprocess.run(["su", "-c", "true"], check=True, capture_output=True, stdin=subprocess.DEVNULL))
attempt("umount", lambda: subprocess.run(["umount", "/usr"], check=True, capture_output=True))
attempt("box in box", lambda: subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], check=True, capture_output=True))
attempt("unshare", lambda: subprocess.run(["unshare", "-Ur", "true"], check=True, capture_output=True))
attempt("nsenter", lambda: subprocess.run(["nsenter", "-t", "1", "-a", "true"], check=True, capture_output=True))
attempt("raise limit", lambda: __import__("resource").setrlimit(6, (4096, 4096)))
"""
MANY = """
for n in range(20000): os.close(os.open(f"/tmp/{n}", os.O_CREAT))
print("held", len(os.listdir("/tmp")))
"""
ODD = r"""
sys.stdout.write("\x1b]52;c;aGk=\x07red\x1b[31m\0\r\n\x9b\u202eevil\u2066")
"""
EAT = "x = []\nwhile True: x.append(bytearray(8 << 20)); time.sleep(0.004)"
EAT_MANY = """
for n in range(12):
    if os.fork() == 0:
        x = [bytearray(16 << 20)]
        time.sleep(20); os._exit(0)
time.sleep(20)
"""
EAT_UNSEEN = """
import mmap
held = []
for n in range(20):
    held.append(mmap.mmap(-1, 32 << 20)); held[-1].write(b"x" * (32 << 20)); held[-1].madvise(mmap.MADV_DONTNEED); time.sleep(0.06)
"""
TOKEN = "token-of-this-test"


def tries(
    facts: dict[str, str],
) -> dict[str, tuple[str, list[str], sandbox.Mode, dict[str, Any]]]:
    """name: (code, arguments, mode, limits) of each attack; `facts` name what of the host is to be reached."""
    return {
        "fork bomb": (FORK, [TOKEN], "copy", {"processes": 60}),
        "links": (LINKS, [facts["secret"]], "copy", {}),
        "git file": (GIT, [], "rw", {"tree": "gitfile"}),
        "git folder": (GIT, [], "rw", {"tree": "gitdir"}),
        "git made": (GIT, [], "rw", {"tree": "plain"}),
        "git copy": (
            "print('ESCAPED' if os.path.lexists('/work/.git') else 'held')",
            [],
            "copy",
            {"tree": "gitdir"},
        ),
        "environment": (ENV, [], "copy", {}),
        "processes": (PIDS, [facts["pid"], facts["secret"]], "copy", {}),
        "disk": (DISK, [], "copy", {"disk_mb": 32, "file_mb": 16}),
        "many big files": (FILES, [], "rw", {"disk_mb": 32, "tree": "full"}),
        "endless output": (
            "while True: print('y' * 1000)",
            [],
            "copy",
            {"output_kb": 64},
        ),
        "daemon": (DAEMON, [TOKEN], "rw", {"tree": "daemon"}),
        "deaf": (STUBBORN, [TOKEN], "copy", {"wall_s": 0.6}),
        "kernel": (KERNEL, [], "copy", {}),
        "left on disk": (LEFT, [], "rw", {"tree": "left"}),
        "sockets": (
            SOCKETS,
            [facts["port"], facts["unix"], facts["abstract"]],
            "copy",
            {},
        ),
        "terminal": (TTY, [], "copy", {}),
        "one eats memory": (EAT, [], "copy", {"memory_mb": 160}),
        "many eat memory": (EAT_MANY, [], "copy", {"memory_mb": 128}),
        "one eats memory unseen": (EAT_UNSEEN, [], "copy", {"memory_mb": 160}),
        "spins": ("while True: pass", [], "copy", {"cpu_s": 1}),
        "places": (PLACES, [facts["repo"]], "copy", {}),
        "settings": (SETTINGS, [], "copy", {}),
        "many files": (MANY, [], "copy", {}),
        "odd output": (ODD, [], "copy", {}),
        "exit code": ("sys.exit(7)", [], "copy", {}),
        "crash": ("os.kill(os.getpid(), signal.SIGSEGV)", [], "copy", {}),
    }


def trees(root: str) -> None:
    """The trees that attacks run on: plain, with a worktree's .git file, with a .git folder; all readable by anyone."""
    for name in ("plain", "gitfile", "gitdir", "full", "daemon", "left"):
        os.makedirs(f"{root}/{name}")
        Path(f"{root}/{name}/a.txt").write_text("a\n", encoding="ascii")
    Path(f"{root}/gitfile/.git").write_text("gitdir: /nowhere\n", encoding="ascii")
    subprocess.run(
        ["git", "init", "-q", f"{root}/gitdir"],
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": root},
    )


def run_all(root: str) -> dict[str, dict[str, Any]]:
    """Every attack on trees below `root`, as whoever we are: what came of each, as builtins."""
    trees(root)
    secret = f"{root}/secret"
    Path(secret).write_text("s3cret\n", encoding="ascii")
    results: dict[str, dict[str, Any]] = {}
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as file,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        file.bind(f"{root}/sock")
        file.listen()
        abstract.bind("\0catherd-" + root)
        abstract.listen()
        port = str(tcp.getsockname()[1])
        facts = {
            "secret": secret,
            "pid": str(os.getpid()),
            "port": port,
            "unix": f"{root}/sock",
            "abstract": "catherd-" + root,
        }
        facts["repo"] = str(Path(__file__).resolve().parents[2])
        for name, (code, args, mode, extra) in tries(facts).items():
            limits = {key: value for key, value in extra.items() if key != "tree"}
            tree = f"{root}/{extra.get('tree', 'plain')}"
            got = sandbox.run_in_box(
                ["python3", "-c", PRELUDE + code, *args],
                sandbox.BoxOrder(
                    tree=tree,
                    mode=mode,
                    limits=sandbox.Limits(**{"wall_s": 20, **limits}),
                ),
            )
            results[name] = {
                "rc": got.rc, "why": got.why, "log": got.log, "tier": got.tier, "peak": got.peak_mb, "mended": sorted(got.mended),
                "tree": sorted(os.listdir(tree)),
            }  # fmt: skip
    return results


def as_user() -> list[str] | None:
    """The command prefix of an interpreter, run as an ordinary user, that finds our packages (root's own may stand below /root); else None."""
    root = Path(__file__).resolve().parents[2]
    packages = os.pathsep.join(
        [str(root / "src"), str(Path(msgspec.__file__).parents[1])]
    )
    drop = [
        "setpriv",
        "--reuid=64123",
        "--regid=64123",
        "--clear-groups",
        "--inh-caps=-all",
    ]
    for python in (
        sys.executable,
        f"/usr/bin/python3.{sys.version_info[1]}",
        "/usr/bin/python3",
    ):
        line = [
            *drop,
            "env",
            f"PYTHONPATH={packages}",
            "PYTHONDONTWRITEBYTECODE=1",
            python,
        ]
        if (
            subprocess.run(
                [*line, "-c", "import msgspec, catherd"], capture_output=True
            ).returncode
            == 0
        ):
            return line
    return None


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="catherd-attack-") as scratch:
        print(json.dumps(run_all(scratch)))
        sys.stdout.flush()

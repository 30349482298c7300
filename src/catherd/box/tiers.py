"""Which tier this machine has.

It is found by building a box and attacking it three times, never by looking at version
numbers. Two variables of the environment have a say:

- `CATHERD_BOX=weak` (or none) pretends that nothing better is there. It can only lower
  what is found.
- `CATHERD_BOX_UID`: the user that boxes run as when we are root; 65534 ("nobody") when
  unset. Root itself is refused, because a box built by root can reach the host's
  kernel settings.
"""

import functools
import os
import shutil
import socket
import subprocess
import sys

import msgspec

from catherd.box import box_trees, bwrap_args, proc_tree
from catherd.box.bwrap_args import Launch
from catherd.core.errors import CatherdError

RANK = {"none": 0, "weak": 1, "bwrap": 2}
_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine has.

    `name`: bwrap, weak or none. `why_not`: what keeps it from the next tier up. `fix`:
    what to paste for that. Both are empty at the top.
    """

    name: str
    why_not: str = ""
    fix: str = ""


def box_uid() -> int | None:
    """The user that boxes run as when we are root; None when they run as we do.

    Raises CatherdError for a uid that is no ordinary user's.
    """
    if os.geteuid() != 0:
        return None
    text = os.environ.get("CATHERD_BOX_UID", "65534")
    if not text.isdigit() or int(text) == 0:
        raise CatherdError(
            f"not an ordinary user's number: {text}",
            where="CATHERD_BOX_UID",
            fix="unset CATHERD_BOX_UID",
        )
    return int(text)


@functools.cache
def find_tier(forced: str, _path: str) -> Tier:
    """The tier, given the two environment variables that it depends on."""
    if forced in {"weak", "none"}:
        why_not = f"CATHERD_BOX={forced} is set"
        return Tier(name=forced, why_not=why_not, fix="unset CATHERD_BOX")

    if sys.platform != "linux":
        why_not = "bubblewrap exists for Linux only"
        return Tier(name="weak", why_not=why_not, fix=_allow("weak"))

    missing = _missing()
    if missing:
        why_not = f"not installed: {', '.join(missing)}"
        return Tier(name="weak", why_not=why_not, fix=install_line(packages()))

    box_trees.sweep_boxes()
    scratch = box_trees.scratch("probe")
    try:
        wrong = _attack(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

    if not wrong:
        return Tier(name="bwrap")
    return Tier(name="weak", why_not=wrong, fix=_cure(wrong))


def _missing() -> list[str]:
    programs = ["bwrap", "prlimit"]
    if os.geteuid() == 0:
        programs.append("setpriv")
    return [name for name in programs if shutil.which(name) is None]


def packages() -> list[str]:
    """The packages that a box needs and that this machine does not have."""
    return sorted(
        {"bubblewrap" if name == "bwrap" else "util-linux" for name in _missing()}
    )


def _attack(scratch: str) -> str:
    """Attack a box that stands in `scratch`; say what it could reach, "" for nothing.

    Each attack answers only if its wall stands. They are a host file; the kernel's
    core_pattern, opened for append, to which nothing is written; and a server on the
    host's loopback, whose port is not known in the box's own network.
    """
    secret = os.path.join(scratch, "secret")
    with open(secret, "w", encoding="ascii") as file:
        file.write("x")

    tree = os.path.join(scratch, "tree")
    os.mkdir(tree, 0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        knock = f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'"
        script = (
            f"test ! -e {secret} || echo a host file can be read;"
            "(: >> /proc/sys/kernel/core_pattern) 2>/dev/null"
            " && echo the kernel can be set from the box;"
            f"({knock}) 2>/dev/null && echo the host network can be reached; echo done"
        )
        tried = _in_a_box(script, tree)
        lines = tried.out.split("\n")
        if "done" not in lines:
            return tried.why_silent
        try:
            server.accept()
        except BlockingIOError:
            return next((line for line in lines if "can be" in line), "")

        return "the host network can be reached"


class _Tried(msgspec.Struct, frozen=True):
    """What a shell in a box printed, and, should that be nothing, why."""

    out: str
    why_silent: str


def _in_a_box(script: str, tree: str) -> _Tried:
    launch = Launch(argv=["sh", "-c", script], tree=tree, uid=box_uid())
    plan = bwrap_args.plan_launch(launch)
    try:
        process = subprocess.Popen(
            plan.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": bwrap_args.PATH + ":/usr/sbin:/sbin"},
            pass_fds=plan.fds,
            start_new_session=True,
        )
    finally:
        for fd in plan.fds:
            os.close(fd)

    proc_tree.read_info(plan.info, 20.0)
    try:
        out, err = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()

    if plan.scratch:
        shutil.rmtree(plan.scratch, ignore_errors=True)

    why = err.decode("utf-8", "replace").strip().split("\n")[0]
    return _Tried(
        out.decode("utf-8", "replace"),
        why or f"the probe ended with {process.returncode}",
    )


_INSTALLERS = {
    "apt-get": "apt-get install -y",
    "dnf": "dnf install -y",
    "pacman": "pacman -S --noconfirm",
    "apk": "apk add",
}
_DOCKER = (
    "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined …"
)


def install_line(names: list[str]) -> str:
    """What to paste to install packages on this machine."""
    words = " ".join(names)
    for program, line in _INSTALLERS.items():
        if shutil.which(program):
            return f"{_sudo()}{line} {words}"
    return f"install {words}"


def _sudo() -> str:
    return "" if os.geteuid() == 0 else "sudo "


def _allow(tier: str) -> str:
    return f"write `sandbox: {tier}` under options: in phases/poc.yaml to accept it"


def _cure(wrong: str) -> str:
    """What to paste for what was `wrong` with the box that was tried."""
    if os.path.exists(_APPARMOR) and _read(_APPARMOR) == "1":
        return f"{_sudo()}sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    if _read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return f"{_sudo()}sysctl -w kernel.unprivileged_userns_clone=1"
    if _read("/proc/sys/user/max_user_namespaces") == "0":
        return f"{_sudo()}sysctl -w user.max_user_namespaces=15000"
    if "nknown option" in wrong:
        return install_line(["bubblewrap"]) + "  # 0.8.0 or newer"
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return _DOCKER
    return _allow("weak")


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""

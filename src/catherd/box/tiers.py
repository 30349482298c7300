"""Which tier this machine has: found by really building a box and attacking it three times, never by looking at version numbers.

`CATHERD_BOX=weak` (or none) pretends that nothing better is there: it can only lower what is found. `CATHERD_BOX_UID`: who boxes run as when
we are root (65534, "nobody", when unset); root itself is refused, because a box built by root can reach the host's kernel settings.
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
    """`name`: bwrap, weak or none. `why_not`: what keeps it from the next one up; `fix`: what to paste; both empty at the top."""

    name: str
    why_not: str = ""
    fix: str = ""


def box_uid() -> int | None:
    """The user that boxes run as when we are root, else None: they run as we do. Raises CatherdError for a uid that is none."""
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
        return Tier(
            name=forced, why_not=f"CATHERD_BOX={forced} is set", fix="unset CATHERD_BOX"
        )
    if sys.platform != "linux":
        return Tier(
            name="weak", why_not="bubblewrap exists for Linux only", fix=_allow("weak")
        )
    if missing := _missing():
        return Tier(
            name="weak",
            why_not=f"not installed: {', '.join(missing)}",
            fix=install_line(packages()),
        )
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
    programs = ("bwrap", "prlimit", *(["setpriv"] if os.geteuid() == 0 else []))
    return [name for name in programs if shutil.which(name) is None]


def packages() -> list[str]:
    """The packages that a box needs and this machine has not."""
    return sorted(
        {"bubblewrap" if name == "bwrap" else "util-linux" for name in _missing()}
    )


def _attack(scratch: str) -> str:
    # Each answers only if the wall stands: a host file, the kernel's core_pattern (opened for append, nothing is
    # written), a server on the host's loopback (its port is not known in the box's own network).
    secret = os.path.join(scratch, "secret")
    with open(secret, "w", encoding="ascii") as file:
        file.write("x")
    tree = os.path.join(scratch, "tree")
    os.mkdir(tree, 0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        knock = f"""bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'"""
        script = (
            f"test ! -e {secret} || echo a host file can be read;"
            "(: >> /proc/sys/kernel/core_pattern) 2>/dev/null && echo the kernel can be set from the box;"
            f"({knock}) 2>/dev/null && echo the host network can be reached; echo done"
        )
        out, error = _in_a_box(script, tree)
        lines = out.split("\n")
        if "done" not in lines:
            return error
        try:
            server.accept()
        except BlockingIOError:
            return next((line for line in lines if "can be" in line), "")
        return "the host network can be reached"


def _in_a_box(script: str, tree: str) -> tuple[str, str]:
    # What a shell in a box prints, and, should it print nothing, why.
    launch = Launch(argv=["sh", "-c", script], tree=tree, uid=box_uid())
    plan = bwrap_args.plan_launch(launch)
    env = {"PATH": bwrap_args.PATH + ":/usr/sbin:/sbin"}
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            plan.argv,
            stdin=null,
            stdout=pipe,
            stderr=pipe,
            cwd="/",
            env=env,
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
    return out.decode(
        "utf-8", "replace"
    ), why or f"the probe ended with {process.returncode}"


def install_line(names: list[str]) -> str:
    """What to paste to install packages on this machine."""
    for program, line in (
        ("apt-get", "apt-get install -y"),
        ("dnf", "dnf install -y"),
        ("pacman", "pacman -S --noconfirm"),
        ("apk", "apk add"),
    ):
        if shutil.which(program):
            return f"{'' if os.geteuid() == 0 else 'sudo '}{line} {' '.join(names)}"
    return f"install {' '.join(names)}"


def _allow(tier: str) -> str:
    return f"write `sandbox: {tier}` under options: in phases/poc.yaml to accept it"


def _cure(wrong: str) -> str:
    sudo = "" if os.geteuid() == 0 else "sudo "
    if os.path.exists(_APPARMOR) and _read(_APPARMOR) == "1":
        return f"{sudo}sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    if _read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return f"{sudo}sysctl -w kernel.unprivileged_userns_clone=1"
    if _read("/proc/sys/user/max_user_namespaces") == "0":
        return f"{sudo}sysctl -w user.max_user_namespaces=15000"
    if "nknown option" in wrong:
        return install_line(["bubblewrap"]) + "  # 0.8.0 or newer"
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined …"
    return _allow("weak")


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""

"""The box: the only place where code that a model wrote runs.

`run` waits for a command, `start` gives a living `Box`, `probe` says which tier this machine has and how to get a better one.
Tiers: `bwrap` (namespaces, no network but the box's own loopback, seccomp, limits) > `weak` (limits, a clean environment, its own process
group: no walls) > `none` (a clean environment only). Below `minimum` nothing is started: CatherdError with the fix. Every
result is stamped with the tier that it was made in.
A box dies with the thread that started it (the kernel's parent-death signal is per thread).
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from catherd.box import box_trees, bwrap_args, proc_tree, supervise, tiers
from catherd.box.bwrap_args import Bind, Limits
from catherd.box.tiers import RANK, Tier, box_uid
from catherd.core.errors import CatherdError, Fault

__all__ = [
    "Bind",
    "Box",
    "BoxResult",
    "Limits",
    "Stopped",
    "Tier",
    "box_text",
    "hand_over",
    "probe_tier",
    "run_in_box",
    "start_box",
]


class BoxResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a run. `rc`: exit status, 128+n when a signal ended it. `why`: wall, memory, output, disk, processes when we ended it.

    `log`: both streams as they arrived, escaped (see `plain`); `out`, `err`: each as text, not escaped. `mended`: what the scan of a
    writable tree stripped or removed.
    """

    rc: int
    why: str | None
    seconds: float
    peak_mb: int
    log: str
    tier: str
    out: str = ""
    err: str = ""
    mended: list[str] = []


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """How a box took the signal: `ended` in time or not, after how long, and the command lines of what stayed behind."""

    ended: bool
    seconds: float
    left: list[str]


def box_text(text: str | bytes) -> str:
    """Text that is safe on a terminal and in YAML: control and bidi characters as backslash xNN or uNNNN, CR LF as LF."""
    return supervise.escaped_text(text)


def probe_tier(*, fresh: bool = False) -> Tier:
    """The tier of this machine, found by running the recipe and three attacks on it; asked once per process unless `fresh`."""
    if fresh:
        tiers.find_tier.cache_clear()
    return tiers.find_tier(
        os.environ.get("CATHERD_BOX", ""), os.environ.get("PATH", "")
    )


def hand_over(path: str) -> None:
    """Give `path` and all below it to the user that boxes run as: what a writable Bind needs when we are root."""
    uid = box_uid()
    if uid is not None:
        box_trees.chown_tree(path, uid)


class _Order(msgspec.Struct, kw_only=True):
    argv: list[str]
    tree: str
    stdin: bytes = b""
    mode: str = "copy"
    env: dict[str, str] = {}
    limits: Limits = Limits()
    binds: tuple[Bind, ...] = ()
    cwd: str = "."
    owned: bool = False
    tell: Callable[[int, bytes], None] | None = None


class Box:
    """A running box. `pid`: the program itself; `netns`: a descriptor of its network namespace (None in lower tiers)."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", tier: str, order: _Order, staged: str
    ) -> None:
        self.process, self.tier, self.mode, self.tree, self.staged = (
            process,
            tier,
            order.mode,
            order.tree,
            staged,
        )
        self.init: int | None = None  # pidfd of the namespace's init
        self.init_pid = process.pid
        self.netns: int | None = None
        self.begun = True  # whether it was built; the program may have run
        self.watch = supervise.BoxWatch(order.limits)
        self.watch.tell = order.tell
        self.scratch = ""
        self.made_git = False
        self.grown = (
            [staged or order.tree] if order.mode == "rw" or tier != "bwrap" else []
        )  # directories whose growth counts as disk use
        self.mended: list[str] = []
        self._pid = 0
        self._settled = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The program's own pid on the host; 0 when it has ended."""
        if self.tier == "bwrap" and self.init is not None and not self._pid:
            self._pid = proc_tree.first_child(self.init_pid, self.init)
        return (self._pid or self.process.pid) if self.alive() else 0

    def alive(self) -> bool:
        """Whether the program still runs."""
        return self.process.poll() is None

    def attend(self) -> None:
        """Read its output and watch its limits until it has ended, then make sure that nothing of it lives."""
        try:
            self.watch.attend(self.process, self.init_pid, self.grown, self._end)
        finally:
            self._end()
            self.watch.drain()
            self.settle()

    def go_on(self) -> None:
        """Let a thread attend to it."""
        self.watch.endless = True
        _ = (
            self.pid
        )  # later on an orphan could stand first among the children of the box's init
        self._thread = threading.Thread(target=self.attend, daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it has ended within so many seconds."""
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def kill(self) -> BoxResult:
        """End all its processes at once and wait for that."""
        self._end()
        self.wait(10.0)
        return self.result()

    def stop(
        self, sig: signal.Signals = signal.SIGTERM, within_s: float = 5.0
    ) -> Stopped:
        """Ask the program to stop and look at what it leaves behind; then kill whatever is left."""
        stopped = supervise.stop_box(self.process, self.init, self.pid, sig, within_s)
        self.kill()
        return Stopped(ended=stopped[0], seconds=stopped[1], left=stopped[2])

    def result(self) -> BoxResult:
        """What is known by now; final once `alive()` is false."""
        watch, rc = self.watch, self.process.poll()
        rc = 128 - rc if rc is not None and rc < 0 else rc
        return BoxResult(
            rc=-1 if rc is None else rc, why=watch.why, seconds=round(watch.seconds(), 3), peak_mb=watch.peak_kb >> 10,
            log=box_text(watch.log()), tier=self.tier, out=watch.text(0), err=watch.text(1), mended=self.mended,
        )  # fmt: skip

    def _end(self) -> None:
        if self.init is not None:
            proc_tree.kill_all(self.init)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.process.wait()

    def settle(self) -> None:
        """Close and remove what the box needed, scan what it wrote, carry a staged tree back; once."""
        with self._settled:
            for fd in (self.init, self.netns):
                if fd is not None:
                    os.close(fd)
            self.init = self.netns = None
            if self.made_git and os.path.isfile(os.path.join(self.tree, ".git")):
                os.unlink(os.path.join(self.tree, ".git"))
            if self.mode == "rw" and self.tree:
                self.mended = box_trees.make_harmless(self.staged or self.tree)
            if self.staged and self.mode == "rw":
                box_trees.carry_back(self.staged, self.tree)
            supervise.discard(os.path.dirname(self.staged))
            supervise.discard(self.scratch)
            self.staged = self.scratch = ""


def run_in_box(argv: list[str], **options: Any) -> BoxResult:
    """Run `argv` in a box and wait. Options as for `start`. Raises CatherdError below `minimum` or when no box can be built."""
    box = _launch(argv, **options)
    box.attend()
    got = box.result()
    if not box.begun:
        raise _unbuilt(got.err)
    return got


def start_box(argv: list[str], **options: Any) -> Box:
    """Start `argv` in a box; it goes on by itself, watched by a thread, and its log keeps the last `output_kb`.

    tree: the directory that it sees as /work. mode: "copy" (a copy, lost with the box), "ro" (the tree itself, which cannot be written; below the
    tier bwrap it can) or "rw" (the tree itself; as root a staged copy that is carried back). owned: the tree is scratch that was handed over to
    the box's user: used as it is. stdin: bytes.
    env: beside PATH HOME LANG TERM, for `argv` alone. limits: Limits. binds: Binds beside the tree. cwd: below /work. minimum: the lowest tier.
    tell: is given each piece of output (0 out, 1 err; bytes) as it comes.
    """
    box = _launch(argv, **options)
    box.go_on()
    return box


def _launch(argv: list[str], minimum: str = "bwrap", **options: Any) -> Box:
    tier, order = probe_tier(), _Order(argv=argv, **options)
    if RANK[tier.name] < RANK[minimum]:
        raise CatherdError(
            f"the sandbox is {tier.name}, {minimum} is needed: {tier.why_not}",
            where="sandbox",
            fix=tier.fix,
        )
    if not os.path.isdir(order.tree):
        raise Fault(f"no such tree: {order.tree}", where="sandbox")
    order.tree, order.argv = (
        os.path.realpath(order.tree),
        bwrap_args.dressed(order.argv, order.env),
    )
    return _boxed(order) if tier.name == "bwrap" else _unboxed(order, tier.name)


def _boxed(order: _Order) -> Box:
    uid, tree = box_uid(), order.tree
    theirs = order.owned or (order.mode != "rw" and box_trees.tree_readable(tree))
    staged = "" if uid is None or theirs else box_trees.stage_copy(tree, uid)
    git = os.path.lexists(os.path.join(staged or tree, ".git"))
    plan = bwrap_args.plan(
        order.argv, staged or tree, order.binds, order.limits,
        mode=order.mode, cwd=order.cwd, uid=uid, stdin=order.stdin,
    )  # fmt: skip
    feed, go = os.pipe()
    try:
        process = _spawn(
            plan.argv,
            feed,
            "/",
            {"PATH": bwrap_args.PATH + ":/usr/sbin:/sbin", **proc_tree.marked()},
            tuple(plan.fds),
        )
    finally:
        for fd in (feed, *plan.fds):
            os.close(fd)
    box = Box(process, "bwrap", order, staged)
    box.made_git = order.mode == "rw" and not git and not staged
    box.grown += [bind.host for bind in order.binds if bind.write]
    child = proc_tree.read_info(plan.info, 20.0)
    box.scratch = plan.scratch
    if child:
        box.init_pid, box.init = child, proc_tree.open_pid(child, process.pid)
        try:
            box.netns = os.open(f"/proc/{child}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            box.netns = None  # it has ended already
        box.watch.begin(process, box.grown)
        box.begun = proc_tree.say_go(go, child, box.init, plan.filtered)
        return box
    os.close(go)
    error = process.communicate(timeout=20)[1].decode("utf-8", "replace").strip()
    box.settle()
    raise _unbuilt(error)


def _unbuilt(error: str) -> CatherdError:
    return CatherdError(
        f"the box could not be built: {box_text(error.strip())}",
        where="sandbox",
        fix="make doctor",
    )


def _unboxed(order: _Order, tier: str) -> Box:
    uid = box_uid() if tier == "weak" else None
    own = order.mode == "rw" and not order.owned
    staged = (
        box_trees.stage_copy(order.tree, uid)
        if order.mode == "copy" or (uid is not None and own)
        else ""
    )
    script = supervise.limit_line(order.limits) if tier == "weak" else 'exec "$@"'
    work = os.path.normpath(os.path.join(staged or order.tree, order.cwd))
    feed = supervise.scratch_file(order.stdin)
    env = {**bwrap_args.box_environment(), "HOME": work, **proc_tree.marked()}
    try:
        process = _spawn(
            [*bwrap_args.become(uid), "sh", "-c", script, "sh", *order.argv],
            feed,
            work,
            env,
            (),
        )
    finally:
        os.close(feed)
    box = Box(process, tier, order, staged)
    box.watch.begin(process, box.grown)
    return box


def _spawn(
    argv: list[str], feed: int, cwd: str, env: dict[str, str], fds: tuple[int, ...]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv,
        stdin=feed,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=env,
        pass_fds=fds,
        start_new_session=True,
    )

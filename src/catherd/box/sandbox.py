"""The box: the only place where code that a model wrote runs.

`run_in_box` waits for a command, `start_box` gives a living `Box`, `probe_tier` says
which tier this machine has and how to get a better one. The tiers, best first:

- `bwrap`: namespaces, no network but the box's own loopback, seccomp, limits;
- `weak`: limits, a clean environment and a process group of its own, but no walls;
- `none`: a clean environment only.

Below the `minimum` of an order nothing is started: CatherdError with the fix. Every
result names the tier that it was made in. A box dies with the thread that started it,
because the kernel's parent-death signal is per thread.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable

import msgspec

from catherd.box import box_trees, bwrap_args, proc_tree, supervise, tiers
from catherd.box.bwrap_args import Bind, Launch, Limits, Mode
from catherd.box.supervise import Stopped
from catherd.box.tiers import RANK, Tier, box_uid
from catherd.core.errors import CatherdError, Fault

__all__ = [
    "Bind",
    "Box",
    "BoxOrder",
    "BoxResult",
    "Limits",
    "Mode",
    "Stopped",
    "Tier",
    "box_text",
    "hand_over",
    "probe_tier",
    "run_in_box",
    "start_box",
]


class BoxResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of a run.

    `rc`: the exit status, 128+n when a signal ended it, -1 while it runs. `why`: the
    limit that made us end it (wall, memory, output, disk or processes), else None.
    `log`: both streams as they arrived, escaped (see `box_text`). `out`, `err`: each
    stream as text, not escaped. `mended`: what the scan of a writable tree stripped or
    removed.
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


class BoxOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a command is given to run with.

    `tree`: the directory that it sees as /work. `mode`: "copy" (it works on a copy that
    is lost with the box), "ro" (on the tree itself, which it cannot write; below the
    tier bwrap it can) or "rw" (on the tree itself; as root on a staged copy that is
    carried back). `owned`: the tree is scratch that was handed over to the box's user,
    and is used as it is. `cwd`: where it starts, below /work. `env`: variables beside
    PATH, HOME, LANG and TERM, for the command alone. `binds`: what it sees beside the
    tree. `minimum`: the lowest tier that will do. `tell`: is called with each piece of
    output as it comes (0 out, 1 err; bytes).
    """

    tree: str
    mode: Mode = "copy"
    owned: bool = False
    cwd: str = "."
    stdin: bytes = b""
    env: dict[str, str] = {}
    limits: Limits = Limits()
    binds: tuple[Bind, ...] = ()
    minimum: str = "bwrap"
    tell: Callable[[int, bytes], None] | None = None


def box_text(text: str | bytes) -> str:
    """Text that is safe on a terminal and in YAML.

    Control and bidi characters become backslash xNN or uNNNN, CR LF becomes LF.
    """
    return supervise.escaped_text(text)


def probe_tier(*, fresh: bool = False) -> Tier:
    """The tier of this machine, found by building a box and attacking it three times.

    Asked once per process unless `fresh`.
    """
    if fresh:
        tiers.find_tier.cache_clear()

    return tiers.find_tier(
        os.environ.get("CATHERD_BOX", ""), os.environ.get("PATH", "")
    )


def hand_over(path: str) -> None:
    """Give `path` and all below it to the user that boxes run as.

    A writable Bind needs that when we are root; else nothing happens.
    """
    uid = box_uid()
    if uid is not None:
        box_trees.chown_tree(path, uid)


class Box:
    """A running box.

    `pid`: the program itself. `netns`: a descriptor of its network namespace, None in
    lower tiers. `begun`: whether the box was built, so that the program may have run.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        tier: str,
        order: BoxOrder,
        staged: str,
    ) -> None:
        self.process = process
        self.tier = tier
        self.mode = order.mode
        self.tree = order.tree
        self.staged = staged  # the copy that stands for the tree, or ""
        self.init: int | None = None  # pidfd of the namespace's init
        self.init_pid = process.pid
        self.netns: int | None = None
        self.begun = True
        self.watch = supervise.BoxWatch(order.limits)
        self.watch.tell = order.tell
        self.scratch = ""
        self.made_git = False
        self.grown: list[str] = []  # directories whose growth counts as disk use
        if order.mode == "rw" or tier != "bwrap":
            self.grown.append(staged or order.tree)

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
        """Read its output and watch its limits until it and all its processes ended."""
        try:
            self.watch.attend(self.process, self.init_pid, self.grown, self._end)
        finally:
            self._end()
            self.watch.drain()
            self.settle()

    def go_on(self) -> None:
        """Let a thread attend to it."""
        self.watch.endless = True
        # Find the program now: later on an orphan could stand first among the children
        # of the box's init.
        _ = self.pid
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
        """Ask the program to stop, look at what it leaves behind, and kill that."""
        stopped = supervise.stop_box(self.process, self.init, self.pid, sig, within_s)
        self.kill()
        return stopped

    def result(self) -> BoxResult:
        """What is known by now; final once `alive()` is false."""
        watch = self.watch
        rc = self.process.poll()
        if rc is None:
            rc = -1
        elif rc < 0:
            rc = 128 - rc  # a signal ended it

        return BoxResult(
            rc=rc,
            why=watch.why,
            seconds=round(watch.seconds(), 3),
            peak_mb=watch.peak_kb >> 10,
            log=box_text(watch.log()),
            tier=self.tier,
            out=watch.text(0),
            err=watch.text(1),
            mended=self.mended,
        )

    def _end(self) -> None:
        if self.init is not None:
            proc_tree.kill_all(self.init)

        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

        self.process.wait()

    def settle(self) -> None:
        """Close and remove what the box needed, scan what it wrote, carry it back.

        Called again it does nothing. The scan comes before the way back: what a box
        made with a set-id bit never reaches the tree.
        """
        with self._settled:
            for fd in (self.init, self.netns):
                if fd is not None:
                    os.close(fd)

            self.init = self.netns = None
            git = os.path.join(self.tree, ".git")
            if self.made_git and os.path.isfile(git):
                os.unlink(git)

            if self.mode == "rw" and self.tree:
                self.mended = box_trees.make_harmless(self.staged or self.tree)

            if self.staged and self.mode == "rw":
                box_trees.carry_back(self.staged, self.tree)

            supervise.discard(os.path.dirname(self.staged))
            supervise.discard(self.scratch)
            self.staged = self.scratch = ""


def run_in_box(argv: list[str], order: BoxOrder) -> BoxResult:
    """Run `argv` in a box and wait.

    Raises CatherdError when this machine's tier is below the order's minimum, and when
    no box can be built.
    """
    box = _launch(argv, order)
    box.attend()
    got = box.result()
    if not box.begun:
        raise _not_built(got.err)
    return got


def start_box(argv: list[str], order: BoxOrder) -> Box:
    """Start `argv` in a box. A thread watches it; the log keeps the last `output_kb`.

    Raises CatherdError as `run_in_box` does.
    """
    box = _launch(argv, order)
    box.go_on()
    return box


def _launch(argv: list[str], order: BoxOrder) -> Box:
    tier = probe_tier()
    if RANK[tier.name] < RANK[order.minimum]:
        what = f"the sandbox is {tier.name}, {order.minimum} is needed: {tier.why_not}"
        raise CatherdError(what, where="sandbox", fix=tier.fix)

    if not os.path.isdir(order.tree):
        raise Fault(f"no such tree: {order.tree}", where="sandbox")
    command = bwrap_args.dressed(argv, order.env)
    order = msgspec.structs.replace(order, tree=os.path.realpath(order.tree))
    if tier.name == "bwrap":
        return _launch_boxed(command, order)
    return _launch_unboxed(command, order, tier.name)


def _launch_boxed(argv: list[str], order: BoxOrder) -> Box:
    uid = box_uid()
    staged = _staged_for_box(order, uid)
    seen = staged or order.tree
    had_git = os.path.lexists(os.path.join(seen, ".git"))
    plan = bwrap_args.plan_launch(
        Launch(
            argv=argv,
            tree=seen,
            uid=uid,
            binds=order.binds,
            limits=order.limits,
            mode=order.mode,
            cwd=order.cwd,
            stdin=order.stdin,
        )
    )
    feed, go = os.pipe()
    env = {"PATH": bwrap_args.PATH + ":/usr/sbin:/sbin", **proc_tree.marked()}
    try:
        process = _spawn(plan.argv, feed, "/", env, tuple(plan.fds))
    finally:
        for fd in (feed, *plan.fds):
            os.close(fd)

    box = Box(process, "bwrap", order, staged)
    # bubblewrap makes an empty file to mount the mask of .git on.
    box.made_git = order.mode == "rw" and not had_git and not staged
    box.grown += [bind.host for bind in order.binds if bind.write]
    init = proc_tree.read_info(plan.info, 20.0)
    box.scratch = plan.scratch
    if not init:
        os.close(go)
        error = process.communicate(timeout=20)[1].decode("utf-8", "replace")
        box.settle()
        raise _not_built(error)

    box.init_pid = init
    box.init = proc_tree.open_pid(init, process.pid)
    box.netns = _network_of(init)
    box.watch.begin(process, box.grown)
    # Only now may it begin: its limits are watched, and its init dies with us.
    box.begun = proc_tree.say_go(go, init, box.init, plan.filtered)
    return box


def _staged_for_box(order: BoxOrder, uid: int | None) -> str:
    """A copy of the tree for the box's user; "" where it can use the tree itself."""
    if uid is None or order.owned:
        return ""
    if order.mode != "rw" and box_trees.tree_readable(order.tree):
        return ""
    return box_trees.stage_copy(order.tree, uid)


def _network_of(pid: int) -> int | None:
    """A descriptor of its network namespace; None when it has ended already."""
    try:
        return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _not_built(error: str) -> CatherdError:
    what = f"the box could not be built: {box_text(error.strip())}"
    return CatherdError(what, where="sandbox", fix="make doctor")


def _launch_unboxed(argv: list[str], order: BoxOrder, tier: str) -> Box:
    uid = box_uid() if tier == "weak" else None
    staged = _staged_for_unboxed(order, uid)
    script = supervise.limit_line(order.limits) if tier == "weak" else 'exec "$@"'
    work = os.path.normpath(os.path.join(staged or order.tree, order.cwd))
    feed = supervise.scratch_file(order.stdin)
    env = {**bwrap_args.box_environment(), "HOME": work, **proc_tree.marked()}
    command = [*bwrap_args.become(uid), "sh", "-c", script, "sh", *argv]
    try:
        process = _spawn(command, feed, work, env, ())
    finally:
        os.close(feed)

    box = Box(process, tier, order, staged)
    box.watch.begin(process, box.grown)
    return box


def _staged_for_unboxed(order: BoxOrder, uid: int | None) -> str:
    """A copy of the tree where the command must not have, or cannot use, the tree."""
    other_user = uid is not None and order.mode == "rw" and not order.owned
    if order.mode == "copy" or other_user:
        return box_trees.stage_copy(order.tree, uid)
    return ""


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

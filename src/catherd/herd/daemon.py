"""An agent's daemon: look, decide, do; wait for the bus to change; leave when there is nothing left to be here for.

It leaves at the goal, after `idle_minutes` without a turn, when `bus/` is gone or is another directory, and on SIGTERM
within a second, in the middle of a call too. Its life is the lock on `agents/<name>.lock`: the kernel frees it, however it dies.
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from catherd.answers.seat import Seat
from catherd.bus import atomic, config, crashpoints
from catherd.bus.config import Agent
from catherd.bus.reader import Looker
from catherd.bus.store import Bus
from catherd.bus.watch import Watch
from catherd.core.errors import CatherdError
from catherd.core.jobs import Examine, Job, Take, Work, next_job
from catherd.core.ledger import Entry
from catherd.core.messages import Game
from catherd.core.model import ModelError
from catherd.core.turns import Mention, Snapshot, Speak, Turn, next_turn
from catherd.herd import speak
from catherd.herd.seats import choose
from catherd.models import cooldown
from catherd.pulls.board import Desk

FLAT = ("", "chat", "prs")
CRANK = "crank"  # the trouble that says that a goal cannot be reached without you
UNHELD = 5.0  # seconds without anybody at the crank before a daemon takes it up


class Leave(BaseException):
    """SIGTERM, or the bus is gone. No handler of errors may swallow it, so it is no Exception."""


def run_daemon(root: str, path: str) -> None:
    """The daemon of the agent in `path` (relative to `root`), until it leaves. Raises CatherdError when one lives already."""
    agent = config.agent(root, path)
    crashpoints.take_role(agent.id)
    bus = Bus(root)
    bus.by = agent.id
    if not atomic.whole(bus.path):
        raise CatherdError("is not there", where="bus/", fix="make debate")
    lock = _live(bus, agent)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    try:
        Daemon(bus, agent).loop()
    except FileNotFoundError:
        if atomic.whole(bus.path):
            raise
    except Leave as why:
        signal.setitimer(signal.ITIMER_REAL, 0)
        with _quietly():
            bus.event("left", agent.id, why=str(why))
            atomic.write_holder(lock, f"agents/{agent.id}.lock", 0)
    finally:
        os.close(lock)


def _leave(_number: int, _frame: object) -> None:
    signal.setitimer(
        signal.ITIMER_REAL, 0.9, 0.9
    )  # again, should whatever is running swallow it
    signal.signal(signal.SIGALRM, _leave)
    raise Leave("told to stop")


@contextmanager
def _while_there(bus: Bus, inode: int) -> Iterator[None]:
    """In a long call too: leave within a second or two when the bus is gone or is another directory."""

    def look(_number: int, _frame: object) -> None:
        try:
            if os.stat(bus.path).st_ino == inode:
                return
        except FileNotFoundError:
            pass
        raise Leave("bus/ is gone")

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGALRM) is look:
            signal.setitimer(signal.ITIMER_REAL, 0)


class _quietly:  # noqa: N801 - reads as a statement
    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, (OSError, CatherdError))


def _live(bus: Bus, agent: Agent) -> int:
    """The lock that says that we live; a moment of patience with one that is just dying or being probed."""
    path = f"agents/{agent.id}.lock"
    lock = atomic.handed(os.environ.pop("CATHERD_LOCK", ""), bus.here(path))
    for _ in range(40):
        lock = lock or atomic.take_lock(bus.here(path), wait=False)
        if lock is not None:
            atomic.write_holder(lock, path, os.getpid())
            bus.event("came", agent.id, pid=os.getpid())
            return lock
        time.sleep(0.025)
    raise CatherdError(
        f"{agent.name} is already running",
        where=f"bus/agents/{agent.id}.lock",
        fix="make down stops it; make status shows it",
    )


class Daemon:
    """One agent at work."""

    def __init__(self, bus: Bus, agent: Agent) -> None:
        self.bus, self.agent = bus, agent
        self.inode = os.stat(bus.path).st_ino
        self.ordered = config.phases_stamp(
            bus.root
        )  # which phase files these phases were read from
        self.phases = config.phases(bus.root)
        self.looker = Looker(bus, self.phases, self._agents())
        self.desk = Desk(bus, self._agents())
        self.works = Work()
        self.had_goal = bool(os.environ.pop("CATHERD_GOAL", ""))
        self.given_up: dict[str, float] = {}  # turn → when it may be tried again
        self.setback = cooldown.again(bus, agent.id)
        self.unheld = time.monotonic()
        self.crank: subprocess.Popen[bytes] | None = None
        self.tries = 0  # at the crank
        self.warmed = False
        self.spent: dict[str, Entry] = {}  # what of the journal can change no more

    def _agents(self) -> dict[str, Agent]:
        return config.readable_agents(self.bus.root)[0] or {self.agent.id: self.agent}

    def loop(self) -> None:
        """Until it leaves; raises Leave."""
        since = time.monotonic()
        deep = {gate.step.partition("/")[0] for gate in self.looker.gates()} | {
            "claims"
        }
        with Watch(self.bus.path, FLAT, tuple(sorted(deep))) as watch:
            self.bus.heard = watch.heard
            for ask in self.look().asks:  # an answer that a killed self posted last
                speak.mark_posted(self.bus, self.agent.id, ask)
            while True:
                snapshot = self.look()
                turn = self.turn(snapshot) or self.job(snapshot)
                self.warm(snapshot)
                watch.follow(f"prs/{name}" for name in self.desk.going)
                if turn is not None and snapshot.game is not None:
                    self.do(turn, snapshot)
                    since = time.monotonic()
                    continue
                if snapshot.paused or self.setback.until:
                    since = time.monotonic()
                if time.monotonic() - since > 60 * min(
                    phase.idle_minutes for phase in self.phases.values()
                ):
                    raise Leave("idle")
                self.take_up_the_crank(snapshot)
                watch.wait(self.patience(snapshot))

    def warm(self, snapshot: Snapshot) -> None:
        """In a live game LiteLLM, which takes seconds to import, is on its way before the first call."""
        if (
            not self.warmed
            and snapshot.game is not None
            and snapshot.game.models == "live"
            and self.agent.model
        ):
            from catherd.models import llm

            llm.warm()
            self.warmed = True

    def look(self) -> Snapshot:
        """A fresh snapshot; raises Leave when the bus is gone or the goal was reached."""
        try:
            if os.stat(self.bus.path).st_ino != self.inode:
                raise Leave("bus/ is another directory")
            self._reorder()
            snapshot = self.looker.look()
        except FileNotFoundError:
            raise Leave("bus/ is gone") from None
        if self.had_goal and not snapshot.goal:
            raise Leave("the goal is reached or cleared")
        self.had_goal = bool(snapshot.goal)
        return snapshot

    def _reorder(self) -> None:
        """Read the phase files again when one was edited; while one is broken, which make tells, the order stays as it was."""
        if self.ordered != (stamp := config.phases_stamp(self.bus.root)):
            self.ordered = stamp
            with _quietly():
                self.phases = config.phases(self.bus.root)
                self.looker = Looker(self.bus, self.phases, self._agents())

    def turn(self, snapshot: Snapshot) -> Turn | None:
        """The next turn, one that just failed left out until its time; none while the agent rests."""
        if self.rests():
            return None
        turn = next_turn(self.agent.id, snapshot)
        return (
            None
            if turn is None or self.given_up.get(key(turn), 0) > time.monotonic()
            else turn
        )

    def rests(self) -> bool:
        """Whether its model failed and is left alone for now. Raises Leave when you want it tried again."""
        self.heed_you()
        if time.time() >= self.setback.until:
            self.setback.until = 0.0
        return bool(self.setback.until)

    def heed_you(self) -> None:
        """You typed the goal, which takes back what was told of the model: leave, to begin anew with the keys and the YAML of now."""
        if self.setback.told and not self.bus.there(
            f"problems/model-{self.agent.id}.yaml"
        ):
            raise Leave("its model is to be tried again")

    def job(self, snapshot: Snapshot) -> Job | None:
        """The next piece of work, where there is any; one that just failed left out until its time."""
        if snapshot.game is None or snapshot.paused or self.setback.until:
            return None
        work = self.desk.look(
            self.agent.id, tuple(snapshot.game.roll), tuple(self.phases)
        )
        self.works = work
        moment = time.monotonic()
        return next_job(
            self.agent.id,
            work,
            {name for name, until in self.given_up.items() if until > moment},
        )

    def do(self, turn: Turn | Job, snapshot: Snapshot) -> None:
        """Carry out a turn. What a model or a file did wrong is told; it does not end the daemon."""
        assert snapshot.game is not None  # noqa: S101 - loop asked
        try:
            with _while_there(self.bus, self.inode):
                done = self.carry_out(
                    turn, choose(self.bus, self.agent, snapshot.game, self.spent)
                )
            self.bus.solved(f"turn-{self.agent.id}")
            if not isinstance(turn, Take):  # a claim is won without the model
                cooldown.end_rest(self.bus, self.agent.id, self.setback)
            if not done:  # an ask is answered once; a task has more attempts, which are counted on the bus
                rest = 3600.0 if isinstance(turn, Speak) else 1.0
                self.given_up[key(turn)] = time.monotonic() + rest
        except ModelError as error:
            self.unanswered(turn, error, snapshot.game)
        except CatherdError as error:
            self.bus.trouble(
                f"turn-{self.agent.id}", error.where, error.what, error.fix, key(turn)
            )
            self.given_up[key(turn)] = time.monotonic() + 5

    def carry_out(self, turn: Turn | Job, seat: Seat) -> bool:
        """False when it cannot be done and is not to be tried again soon."""
        if isinstance(turn, Speak):
            return speak.speak(seat, turn.ask)
        if isinstance(turn, Mention):
            speak.reply_in_chat(seat, turn.stem)
            return True
        from catherd.herd import (
            dispatch,
        )  # the checks and git are not needed while nobody builds

        return dispatch.work(seat, turn, self.works)

    def unanswered(self, turn: Turn | Job, error: ModelError, game: Game) -> None:
        """The model gave no answer: try again later where that can help, else tell the person and give the turn up."""
        hopeless = False
        if error.kind == "budget":
            from catherd.herd import budget

            self.given_up[key(turn)] = time.monotonic() + 1
            budget.pause(self.bus, self.agent, error)
        elif (
            error.kind == "rate_limited" and not error.requests
        ):  # not the vendor: the money is reserved for others
            self.given_up[key(turn)] = time.monotonic() + (error.retry_after_s or 1)
        else:
            self.heed_you()
            hopeless = cooldown.met(self.bus, self.agent, game, error, self.setback)
        until = cooldown.time_text(self.setback.until)
        self.bus.event(
            "unanswered", f"{self.agent.id}:{key(turn)}", error=error.kind, until=until
        )
        if hopeless:
            self.given_up[key(turn)] = time.monotonic() + 3600
        if hopeless and not isinstance(turn, Speak | Mention):
            from catherd.herd import dispatch

            dispatch.release(self.bus, self.agent.id, turn, self.works, error.what)
            if not isinstance(turn, Examine):
                self.given_up.pop(
                    key(turn), None
                )  # no longer its own; who was refused is told on the bus

    def patience(self, snapshot: Snapshot) -> float:
        """Seconds until it looks again by itself."""
        if not snapshot.goal or snapshot.paused:
            return 15.0
        return min(5.0, max(0.2, self.unheld + UNHELD - time.monotonic()))

    def take_up_the_crank(self, snapshot: Snapshot) -> None:
        """The terminal that typed the goal is gone and nobody turns the crank: go on to that goal, no further."""
        moment = time.monotonic()
        if self.crank is not None and self.crank.poll() is not None:
            self.crank, self.unheld = (
                None,
                moment + 30,
            )  # it ended short of the goal: a person is needed, not a hammer
            self.tries += 1
            if self.tries > 1:
                self.bus.trouble(
                    CRANK,
                    "bus/agents/crank.log",
                    f"make {snapshot.goal} fails without a terminal",
                    f"make {snapshot.goal}",
                )
        crank = self.bus.here(".crank.lock")
        if (
            not snapshot.goal
            or snapshot.paused
            or atomic.is_held(crank)
            or atomic.touched(crank) < UNHELD
        ):
            self.unheld = max(self.unheld, moment)
            return
        if (
            self.crank is not None
            or moment - self.unheld < UNHELD
            or os.environ.get("CATHERD_NO_CRANK")
        ):
            return
        if self.bus.there(f"problems/{CRANK}.yaml"):
            return
        lock = atomic.take_lock(self.bus.here(".auto.lock"), wait=False)
        if lock is None:
            return
        self.bus.event("crank-taken-up", snapshot.goal)
        with open(self.bus.here("agents/crank.log"), "ab") as log:
            self.crank = subprocess.Popen(
                ["make", "--no-print-directory", snapshot.goal],
                cwd=self.bus.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock,),
            )
        os.close(lock)  # the make holds it now: one crank at a time, whoever started it


def key(turn: Turn | Job) -> str:
    """The turn's name in logs and in what was given up."""
    if isinstance(turn, Speak):
        return f"{turn.ask.step}.{turn.ask.kind}"
    return turn.stem if isinstance(turn, Mention) else repr(turn)


def main(root: str, path: str) -> int:
    """Exit code of the daemon: 0 left, 1 your mistake; what was not foreseen goes into its log and ends it with 3."""
    try:
        run_daemon(root, path)
    except CatherdError as error:
        sys.stderr.write(f"catherd: {error}\n")
        return error.exit
    except Exception:
        traceback.print_exc()
        return 3
    return 0

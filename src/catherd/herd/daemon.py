"""An agent's daemon: it looks, decides, does, and waits for the bus to change.

It leaves at the goal, after `idle_minutes` without a turn, when `bus/` is gone or is
another directory, and on SIGTERM within a second, in the middle of a call too. Its life
is the lock on `agents/<name>.lock`: the kernel frees it, however it dies.
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
HOUR = 3600.0
UNHELD = 5.0  # seconds without anybody at the crank before a daemon takes it up


class Leave(BaseException):
    """SIGTERM, or the bus is gone.

    No handler of errors may swallow it, so it is no Exception.
    """


def run_daemon(root: str, path: str) -> None:
    """The daemon of the agent in `path` (relative to `root`), until it leaves.

    Raises CatherdError when one lives already.
    """
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
    # Again, should the code that runs now swallow it.
    signal.setitimer(signal.ITIMER_REAL, 0.9, 0.9)
    signal.signal(signal.SIGALRM, _leave)
    raise Leave("told to stop")


@contextmanager
def _while_there(bus: Bus, inode: int) -> Iterator[None]:
    """In a long call too: leave within a second or two when the bus is gone or is
    another directory.
    """

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
    """The lock that says that we live.

    There is a moment of patience with a holder that is just dying or being probed.
    Raises CatherdError when another lives.
    """
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
        # The stamp before the phases: an edit between the two is seen at the next look.
        self.ordered = config.phases_stamp(bus.root)
        self.phases = config.phases(bus.root)
        self.looker = Looker(bus, self.phases, self._agents())
        self.desk = Desk(bus, self._agents())
        self.works = Work()
        self.had_goal = bool(os.environ.pop("CATHERD_GOAL", ""))
        self.given_up: dict[str, float] = {}  # turn → when it may be tried again
        self.setback = cooldown.again(bus, agent.id)
        self.unheld = time.monotonic()  # since when nobody turns the crank
        self.crank: subprocess.Popen[bytes] | None = None
        self.tries = 0  # at the crank
        self.warmed = False
        # The entries of the journal that can change no more.
        self.spent: dict[str, Entry] = {}

    def _agents(self) -> dict[str, Agent]:
        return config.readable_agents(self.bus.root)[0] or {self.agent.id: self.agent}

    def loop(self) -> None:
        """Look, decide, do, and wait for the bus to change, until it leaves.

        Raises Leave.
        """
        busy = time.monotonic()
        with self._watch() as watch:
            self.bus.heard = watch.heard
            # A self that was killed may have posted an answer without marking it.
            for ask in self.look().asks:
                speak.mark_posted(self.bus, self.agent.id, ask)

            while True:
                snapshot = self.look()
                turn = self.decide(snapshot)
                self.warm(snapshot)
                watch.follow(f"prs/{name}" for name in self.desk.going)
                if turn is not None and snapshot.game is not None:
                    self.do(turn, snapshot.game)
                    busy = time.monotonic()
                    continue

                if snapshot.paused or self.setback.until:
                    busy = time.monotonic()

                if time.monotonic() - busy > self._idle_seconds():
                    raise Leave("idle")
                self.take_up_the_crank(snapshot)
                watch.wait(self.patience(snapshot))

    def _watch(self) -> Watch:
        """A watch over the bus: the gates' folders and the claims with all that is
        below them.
        """
        deep = {gate.step.partition("/")[0] for gate in self.looker.gates()}
        return Watch(self.bus.path, FLAT, tuple(sorted({*deep, "claims"})))

    def _idle_seconds(self) -> float:
        """How long it stays without a turn."""
        return 60 * min(phase.idle_minutes for phase in self.phases.values())

    def warm(self, snapshot: Snapshot) -> None:
        """In a live game begin to import LiteLLM, which takes seconds, before the first
        call.
        """
        live = snapshot.game is not None and snapshot.game.models == "live"
        if live and self.agent.model and not self.warmed:
            from catherd.models import llm

            llm.warm()
            self.warmed = True

    def look(self) -> Snapshot:
        """A fresh snapshot.

        Raises Leave when the bus is gone or the goal was reached.
        """
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
        """Read the phase files again when one was edited.

        While one is broken, which make tells, the order stays as it was.
        """
        stamp = config.phases_stamp(self.bus.root)
        if stamp == self.ordered:
            return
        self.ordered = stamp
        with _quietly():
            self.phases = config.phases(self.bus.root)
            self.looker = Looker(self.bus, self.phases, self._agents())

    def decide(self, snapshot: Snapshot) -> Turn | Job | None:
        """What to do now: a turn in the debate comes before work.

        None when there is nothing.
        """
        return self.turn(snapshot) or self.job(snapshot)

    def turn(self, snapshot: Snapshot) -> Turn | None:
        """The next turn.

        None while the agent rests, or while one that failed has to wait.
        """
        if self.rests():
            return None
        turn = next_turn(self.agent.id, snapshot)
        if turn is None or self.given_up.get(key(turn), 0) > time.monotonic():
            return None
        return turn

    def rests(self) -> bool:
        """Whether its model failed and is left alone for now.

        Raises Leave when you want it tried again.
        """
        self.heed_you()
        if time.time() >= self.setback.until:
            self.setback.until = 0.0
        return bool(self.setback.until)

    def heed_you(self) -> None:
        """Leave when you typed the goal, which takes back the trouble told of the
        model.

        So the next daemon begins with the keys and the YAML of now.
        """
        trouble = f"problems/model-{self.agent.id}.yaml"
        if self.setback.told and not self.bus.there(trouble):
            raise Leave("its model is to be tried again")

    def job(self, snapshot: Snapshot) -> Job | None:
        """The next piece of work, where there is any.

        One that failed waits until its time.
        """
        if snapshot.game is None or snapshot.paused or self.setback.until:
            return None
        roll = tuple(snapshot.game.roll)
        self.works = self.desk.look(self.agent.id, roll, tuple(self.phases))
        moment = time.monotonic()
        resting = {name for name, until in self.given_up.items() if until > moment}
        return next_job(self.agent.id, self.works, resting)

    def do(self, turn: Turn | Job, game: Game) -> None:
        """Carry out a turn.

        What a model or a file did wrong is told; it does not end the daemon.
        """
        try:
            with _while_there(self.bus, self.inode):
                seat = choose(self.bus, self.agent, game, self.spent)
                done = self.carry_out(turn, seat)

            self._answered(turn, done=done)
        except ModelError as error:
            self.unanswered(turn, error, game)
        except CatherdError as error:
            trouble = f"turn-{self.agent.id}"
            self.bus.trouble(trouble, error.where, error.what, error.fix, key(turn))
            self._give_up(turn, 5)

    def carry_out(self, turn: Turn | Job, seat: Seat) -> bool:
        """False when it cannot be done and is not to be tried again soon."""
        if isinstance(turn, Speak):
            return speak.speak(seat, turn.ask)
        if isinstance(turn, Mention):
            speak.reply_in_chat(seat, turn.stem)
            return True

        # The checks and git are not needed while nobody builds.
        from catherd.herd import dispatch

        return dispatch.work(seat, turn, self.works)

    def _answered(self, turn: Turn | Job, *, done: bool) -> None:
        """The turn is over: its trouble is solved, and the rest of the agent ends."""
        self.bus.solved(f"turn-{self.agent.id}")
        if not isinstance(turn, Take):  # a claim is won without the model
            cooldown.end_rest(self.bus, self.agent.id, self.setback)

        if not done:
            # An ask is answered once. A task has more attempts, which the bus counts.
            self._give_up(turn, HOUR if isinstance(turn, Speak) else 1)

    def _give_up(self, turn: Turn | Job, seconds: float) -> None:
        """Leave the turn alone for a while."""
        self.given_up[key(turn)] = time.monotonic() + seconds

    def unanswered(self, turn: Turn | Job, error: ModelError, game: Game) -> None:
        """The model gave no answer: try again later where that can help.

        Else tell the person, and give the turn up.
        """
        hopeless = False
        if error.kind == "budget":
            from catherd.herd import budget

            self._give_up(turn, 1)
            budget.pause(self.bus, self.agent, error)
        elif error.kind == "rate_limited" and not error.requests:
            # Not the vendor: the money is reserved for other calls.
            self._give_up(turn, error.retry_after_s or 1)
        else:
            self.heed_you()
            hopeless = cooldown.met(self.bus, self.agent, game, error, self.setback)

        until = cooldown.time_text(self.setback.until)
        name = f"{self.agent.id}:{key(turn)}"
        self.bus.event("unanswered", name, error=error.kind, until=until)
        if hopeless:
            self._hand_over(turn, error.what)

    def _hand_over(self, turn: Turn | Job, why: str) -> None:
        """Give the turn up; work goes to another agent."""
        self._give_up(turn, HOUR)
        if isinstance(turn, Speak | Mention):
            return
        from catherd.herd import dispatch

        dispatch.release(self.bus, self.agent.id, turn, self.works, why)
        if not isinstance(turn, Examine):
            # It is no longer its own, and the bus says whose model refused it.
            self.given_up.pop(key(turn), None)

    def patience(self, snapshot: Snapshot) -> float:
        """Seconds until it looks again by itself."""
        if not snapshot.goal or snapshot.paused:
            return 15.0
        return min(5.0, max(0.2, self.unheld + UNHELD - time.monotonic()))

    def take_up_the_crank(self, snapshot: Snapshot) -> None:
        """Go on to the goal, no further, when nobody turns the crank any more.

        The terminal that typed the goal is gone then.
        """
        self._crank_ended(snapshot.goal)
        moment = time.monotonic()
        if not snapshot.goal or snapshot.paused or self._cranked():
            self.unheld = max(self.unheld, moment)
            return

        if self.crank is not None or moment - self.unheld < UNHELD:
            return
        if os.environ.get("CATHERD_NO_CRANK") or self.bus.there(
            f"problems/{CRANK}.yaml"
        ):
            return
        lock = atomic.take_lock(self.bus.here(".auto.lock"), wait=False)
        if lock is None:
            return
        self.bus.event("crank-taken-up", snapshot.goal)
        self.crank = self._make(snapshot.goal, lock)
        # The make holds it now: one crank at a time, whoever started it.
        os.close(lock)

    def _crank_ended(self, goal: str) -> None:
        """Note that the make that it started ended short of the goal.

        A person is needed then, not a hammer: the next try waits, and the second is
        told.
        """
        if self.crank is None or self.crank.poll() is None:
            return
        self.crank = None
        self.unheld = time.monotonic() + 30
        self.tries += 1
        if self.tries > 1:
            what = f"make {goal} fails without a terminal"
            self.bus.trouble(CRANK, "bus/agents/crank.log", what, f"make {goal}")

    def _cranked(self) -> bool:
        """Whether somebody turns the crank, or did a moment ago."""
        crank = self.bus.here(".crank.lock")
        return atomic.is_held(crank) or atomic.touched(crank) < UNHELD

    def _make(self, goal: str, lock: int) -> subprocess.Popen[bytes]:
        """A make for the goal that outlives this daemon, and holds `lock`."""
        with open(self.bus.here("agents/crank.log"), "ab") as log:
            return subprocess.Popen(
                ["make", "--no-print-directory", goal],
                cwd=self.bus.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock,),
            )


def key(turn: Turn | Job) -> str:
    """The turn's name in logs and in what was given up."""
    if isinstance(turn, Speak):
        return f"{turn.ask.step}.{turn.ask.kind}"
    return turn.stem if isinstance(turn, Mention) else repr(turn)


def main(root: str, path: str) -> int:
    """Exit code of the daemon: 0 it left, 1 your mistake, 3 an error that was not
    foreseen.

    Such an error goes into its log.
    """
    try:
        run_daemon(root, path)
    except CatherdError as error:
        sys.stderr.write(f"catherd: {error}\n")
        return error.exit
    except Exception:
        traceback.print_exc()
        return 3

    return 0

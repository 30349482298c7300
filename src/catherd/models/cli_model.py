"""Command agents: any CLI as hands in the agent's worktree, and as its voice.

It is the voice where the agent has no model of its own.

A program is a model like every other. What it wrote comes back as the whole files of an
ordinary answer and is journalled as one; from there on nothing knows that it was no
completion. So a kill costs no second run, the checks send the same findings back, and
the daemon commits. It runs in its own HOME (`.catherd/home/<agent>`), with the keys
that its YAML names and no others, behind walls (`cli_sandbox`): no `bus/`, nothing of
yours. Where there can be no walls it is not started.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess

import msgspec

from catherd.answers.journal import Reserve
from catherd.answers.seat import Seat
from catherd.box import box_trees, sandbox
from catherd.bus import atomic, config
from catherd.bus.config import Agent
from catherd.bus.crashpoints import effect
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.core.ledger import MAY_BE_BILLED, Entry
from catherd.core.messages import Game
from catherd.core.model import Model, ModelError, Reply, Request
from catherd.git import run, secrets, tamper, worktree
from catherd.git.pr_rules import bad_name
from catherd.models import accounts, cli_sandbox, prices
from catherd.models.cli_run import (
    CliOutcome,
    Surroundings,
    furnish,
    program_environment,
    run_command,
)
from catherd.models.cli_spec import CliTranscript, Driver, driver

# A run that only speaks may cost this part of `usd:`. So a debate of five turns leaves
# most of its cap to others.
TALK = 8
NOT_TAKEN = "Not taken: "  # what an answer begins with that holds no files
TAKE_OUT = "take it out; nothing that is secret may be committed"
_HANDS = """You work in the current directory, a git worktree. Change its files directly: whatever is said below about returning
files in fences does not apply to you. Touch nothing outside this directory. Do not commit, switch branches or change anything of
git: what you leave in the files is taken, tested and committed for you.

"""
# Results of a run that gave no answer → the kind of ModelError.
_FAILED = {
    "spawn_failed": "not_found",
    "auth": "auth",
    "budget": "quota",
    "error": "unavailable",
    "scope_violation": "refused",
    "idle_timeout": "timeout",
    "wall_timeout": "timeout",
}


def seat(
    bus: Bus, agent: Agent, game: Game, settled: dict[str, Entry] | None = None
) -> Seat:
    """The seat of an agent without a model, for which its program speaks too."""
    return Seat(
        bus,
        agent,
        game,
        Program(bus, agent),
        "command",
        reserve_run(bus, agent, game, settled, talking=True),
    )


def hands(
    it: Seat, tree: str, most: int, settled: dict[str, Entry] | None = None
) -> Seat:
    """The same seat with the agent's program at work in `tree`; `most` bytes in all.

    It stays as it is where the agent has no program, or the game is a rehearsal.
    """
    if not it.agent.command or it.game.models == "rehearsal":
        return it
    return msgspec.structs.replace(
        it,
        model=Program(it.bus, it.agent, tree, most),
        model_name="command",
        reserve=reserve_run(it.bus, it.agent, it.game, settled, talking=False),
    )


def reserve_run(
    bus: Bus,
    agent: Agent,
    game: Game,
    settled: dict[str, Entry] | None = None,
    *,
    talking: bool,
) -> Reserve:
    """A function that gives the dollars that one run may cost, if every cap allows it.

    It raises as accounts.allow does. `talking`: the program gets no worktree.
    """
    known: dict[str, Entry] = {} if settled is None else settled
    usd = worst(agent, talking=talking)

    def allowed(request: Request) -> float:
        phase = accounts.paying_phase(request)
        accounts.allow(bus, agent, game, phase, usd, known)
        return usd

    return allowed


def worst(agent: Agent, *, talking: bool) -> float:
    """Dollars set aside for one run, told to the program if its argv has a place."""
    usd = driver(agent.command, f"agents/{agent.id}.yaml").usd
    return usd / TALK if talking else usd


def probe_program(agent: Agent) -> str:
    """A line for `make doctor`: which version of the program answers behind its walls.

    Or what is wrong with it. It gets no task and no key.
    """
    try:
        made = driver(agent.command, f"agents/{agent.id}.yaml")
    except CatherdError as error:
        return f"--  {agent.id}: {error.what}"

    name = str(made.argv[0])
    if not shutil.which(name):
        return f"--  {agent.id}: there is no program {name} here; install it, or correct `argv:`"
    if lack := _unwalled(made):
        return f"--  {agent.id}: {lack}"
    asked = made.version or [name, "--version"]
    shown = f"{agent.id}: {' '.join(asked)}"
    try:
        done = _version(made, asked)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"--  {shown} gives no answer ({type(error).__name__})"

    lines = (done.stdout or done.stderr).decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1][:80]}" if lines else ""
    mark = "ok " if done.returncode == 0 else "-- "
    return f"{mark} {shown}{said}"


def _version(made: Driver, asked: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Ask the program, in an empty game, which version it is."""
    with box_trees.scratch_directory("probe") as root:
        home, tree = os.path.join(root, "home"), os.path.join(root, "tree")
        os.mkdir(tree)
        furnish(made, home)
        before: list[str] = []
        if made.sandbox == "bwrap":
            program = str(made.argv[0])
            before = cli_sandbox.words(root, tree, home, program, made.sees)

        env = program_environment(
            msgspec.structs.replace(made, keys=[]),
            Surroundings(worktree=tree, home=home),
            {"home": home, "worktree": tree},
        )
        return subprocess.run(
            [*before, *asked],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=False,
            env=env,
            cwd=tree,
        )


def _unwalled(made: Driver) -> str:
    """Why the program cannot be kept from `bus/` and your files on this machine.

    Empty where it can, or need not.
    """
    tier = sandbox.probe_tier()
    if tier.name == "bwrap" or made.sandbox == "none":
        return ""
    return (
        f"without bubblewrap {os.path.basename(str(made.argv[0]))} could reach bus/ and your files ({tier.why_not}): "
        "make doctor says how to get it, or write `sandbox: none` into its `command:`"
    )


class _TakenFile(msgspec.Struct, frozen=True):
    """A changed file as a part of an answer, and why it must not be taken."""

    fence: str = ""
    faults: list[str] = []


class Program(Model):
    """The agent's CLI.

    With a `tree` its answer is its work there, without one it is what the program says.
    """

    def __init__(
        self,
        bus: Bus,
        agent: Agent,
        tree: str = "",
        most: int = tamper.TreeLimits().total,
    ) -> None:
        self.bus = bus
        self.agent = agent
        self.tree = tree
        self.limits = tamper.TreeLimits(total=most)
        self.home = os.path.join(bus.root, ".catherd", "home", agent.id)
        self.named = {
            *config.secret_names(bus.root),
            agent.key,
            *accounts.program_keys(agent),
        }
        # What the worktree held before the run, by path.
        self.was: dict[str, str] = {}
        if tree:
            for path in worktree.changed_paths(bus.root, agent.id):
                self.was[path] = _sum(tree, path)

    def complete(self, request: Request) -> Reply:
        """The files that it left, as an answer. Raises ModelError."""
        made = driver(self.agent.command, f"agents/{self.agent.id}.yaml")
        with effect("home", self.agent.id):
            os.makedirs(self.home, mode=0o700, exist_ok=True)

        self._end_what_is_left()
        name = str(made.argv[0])
        if not shutil.which(name):
            raise ModelError(
                "not_found",
                f"there is no program {os.path.basename(name)} here: install it, or correct `argv:`",
            )

        tree = self.tree or self._desk()
        made.usd = worst(self.agent, talking=not self.tree)
        if not self.tree:  # work has the time that its YAML gives it
            made.wall_s = min(made.wall_s, max(request.deadline_s, 0.0))

        outcome = self._run(made, self._prompt(request), tree)
        self.bus.event(
            "ran",
            f"{self.agent.id}:{request.turn}",
            result=outcome.result,
            detail=outcome.detail,
            rc=outcome.rc,
            sandbox=made.sandbox,
            seconds=outcome.seconds,
            changed=len(outcome.changed),
        )
        self._check(made, outcome)
        return self._answer(made, outcome, tree)

    def _prompt(self, request: Request) -> str:
        """What the program is told, without secrets.

        What it answered before is left out: that stands in the tree.
        """
        texts = [_HANDS if self.tree else "", request.system]
        texts += [said.content for said in request.messages if said.role == "user"]
        prompt = "\n\n".join(text for text in texts if text)
        return secrets.redact(prompt, named=self.named)[0]

    def _run(self, made: Driver, prompt: str, tree: str) -> CliOutcome:
        around = Surroundings(
            worktree=tree,
            home=self.home,
            keys=[self.agent.key] if self.agent.key else [],
            # Beside its HOME, not in it: what it left there may be a link.
            log=f"{self.home}.log",
            started=self._started,
        )
        return run_command(self._apart(made, tree), prompt, around)

    def _check(self, made: Driver, outcome: CliOutcome) -> None:
        """Raise ModelError where the run gave no answer."""
        heard, name = outcome.heard, os.path.basename(str(made.argv[0]))
        walls_failed = heard.muttered.startswith("bwrap: ")
        if walls_failed and not heard.events and not outcome.changed:
            raise ModelError(
                "not_found",
                f"{name} does not start behind its walls ({heard.muttered}): name what it lacks under `sees:`",
            )

        # Work that ran out of time is taken as far as it got.
        is_work = _ran_out_of_time(outcome) and outcome.changed
        if outcome.result in _FAILED and not is_work:
            raise self._failed(made, outcome)

    def _answer(self, made: Driver, outcome: CliOutcome, tree: str) -> Reply:
        text = outcome.heard.text
        if self.tree:
            # A merge that it was given to finish is not its own work.
            outcome.changed = [
                path
                for path in outcome.changed
                if _sum(tree, path) != self.was.get(path)
            ]
            text = self._taken(outcome, tree)

        usd = self._usd(made, outcome.heard)
        # Not told, or not told to the end: it was never for nothing.
        if not usd or _ran_out_of_time(outcome):
            usd = max(usd, made.usd)

        return self._reply(text, made, outcome, usd)

    def _desk(self) -> str:
        """An empty repository to talk in, with nothing to read and nothing to break."""
        tree = os.path.join(self.home, "talk")
        if os.path.isdir(os.path.join(tree, ".git")):
            return tree
        with effect("talk", self.agent.id):
            shutil.rmtree(tree, ignore_errors=True)
            os.makedirs(tree)
            run.git(tree, "init", "--quiet")
            who = run.agent_identity(self.agent.id)
            words = ("commit", "--quiet", "--allow-empty", "-m", "empty")
            run.call(tree, *words, author=who, committer=who)

        return tree

    def _apart(self, made: Driver, tree: str) -> Driver:
        """The command behind its walls.

        Raises ModelError where there are none and its YAML does not say that it needs
        none.
        """
        if lack := _unwalled(made):
            raise ModelError("refused", lack)
        if made.sandbox == "none":
            return made
        if os.path.isfile(os.path.join(tree, ".git")):
            place = run.WorkPlace(tree, _git_dir(tree))
            cli_sandbox.own_git(place, self.home, self.agent.id)

        program = str(made.argv[0])
        before = cli_sandbox.words(self.bus.root, tree, self.home, program, made.sees)
        return msgspec.structs.replace(made, argv=[*before, *made.argv])

    def _taken(self, outcome: CliOutcome, tree: str) -> str:
        """What it wrote, as an answer with whole files.

        The answer says instead what must not be taken. The program's own commits are
        undone.
        """
        if outcome.commits:
            run.call(
                run.WorkPlace(tree, _git_dir(tree)),
                "reset",
                "--quiet",
                outcome.base,
                change=f"worktrees/{self.agent.id}",
            )
        faults = [str(one) for one in tamper.scan_tree(tree, self.limits)]
        parts = []
        for path in outcome.changed:
            taken = self._file(tree, path)
            faults += taken.faults
            parts.append(taken.fence)

        if faults:
            return NOT_TAKEN + "\n".join(faults[:40])
        if not outcome.changed:
            return (
                f"{NOT_TAKEN}nothing was changed ({outcome.detail or outcome.result})"
            )
        said = f"{len(outcome.changed)} files, as {outcome.result}."
        return "\n".join([f"---\nkind: work\n---\n{said}\n", *parts])

    def _file(self, tree: str, path: str) -> _TakenFile:
        """One file that the program changed, as a part of an answer."""
        if odd := bad_name(path):
            return _TakenFile(faults=[f"{path}: {odd}"])
        try:
            with open(os.path.join(tree, path), encoding="utf-8", newline="") as file:
                text = file.read()
        except FileNotFoundError:
            return _TakenFile(f"~~~~~~delete path={path}\n~~~~~~\n")
        except (UnicodeDecodeError, OSError) as error:
            return _TakenFile(faults=[f"{path}: no text file ({type(error).__name__})"])

        found = secrets.find_secrets(text, path, None, self.named)
        return _TakenFile(_fenced(path, text), [f"{one}: {TAKE_OUT}" for one in found])

    def _failed(self, made: Driver, outcome: CliOutcome) -> ModelError:
        """The error of a run without an answer, with what it took.

        Where nobody can know that, it may have been billed.
        """
        name = os.path.basename(str(made.argv[0]))
        told = f"{outcome.result.replace('_', ' ')}: {outcome.detail}".strip(": ")
        usd = self._usd(made, outcome.heard)
        what = f"the command {name} gave no answer ({told})"
        if not _cost_is_known(outcome, usd):
            what += f"; {MAY_BE_BILLED}"

        took = self._reply("", made, outcome, usd)
        return ModelError(_FAILED[outcome.result], what, requests=1, took=took)

    def _usd(self, made: Driver, heard: CliTranscript) -> float:
        """Dollars by its own word, else by its tokens; 0 where neither is known."""
        if heard.usd or not heard.prompt_tokens:
            return heard.usd
        # The vendor as LiteLLM calls it.
        vendor = {"google": "gemini"}.get(self.agent.vendor, self.agent.vendor)
        bare = made.model.removeprefix(f"{vendor}/")
        try:
            price = prices.price_of(f"{vendor}/{bare}")
        except ModelError:
            return 0.0

        return price.usd(
            heard.prompt_tokens, heard.cached_tokens, 0, heard.completion_tokens
        )

    def _reply(self, text: str, made: Driver, outcome: CliOutcome, usd: float) -> Reply:
        heard = outcome.heard
        return Reply(
            text=text,
            model=made.model or str(made.argv[0]),
            prompt_tokens=heard.prompt_tokens,
            cached_tokens=heard.cached_tokens,
            completion_tokens=heard.completion_tokens,
            usd=usd,
            seconds=outcome.seconds,
            requests=1,
        )

    def _started(self, pid: int) -> None:
        with (
            effect("pid", self.agent.id),
            open(os.path.join(self.home, "pid"), "w", encoding="utf-8") as file,
        ):
            file.write(f"{pid} {atomic.started(pid)}")

    def _end_what_is_left(self) -> None:
        """End the run of a daemon that was killed.

        The program is still at it. The journal says that it may have been billed.
        """
        with contextlib.suppress(OSError, ValueError):
            with open(os.path.join(self.home, "pid"), encoding="utf-8") as file:
                pid, started = file.read().split(" ", 1)

            if atomic.started(int(pid)) == started:
                os.killpg(int(pid), signal.SIGKILL)


def _ran_out_of_time(outcome: CliOutcome) -> bool:
    return outcome.result.endswith("_timeout")


def _cost_is_known(outcome: CliOutcome, usd: float) -> bool:
    """Whether it is certain what a run without an answer cost."""
    heard = outcome.heard
    if outcome.result == "spawn_failed" or (heard.finished and usd > 0):
        return True
    if usd or heard.prompt_tokens or outcome.changed:
        return False
    return heard.counted or outcome.result == "auth"


def _git_dir(tree: str) -> str:
    with open(os.path.join(tree, ".git"), encoding="utf-8") as file:
        return file.read().removeprefix("gitdir:").strip()


def _sum(tree: str, path: str) -> str:
    try:
        with open(os.path.join(tree, path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "gone"


def _fenced(path: str, text: str) -> str:
    fence = "~" * 8
    while fence in text:
        fence += "~"
    end = "" if text.endswith("\n") else "\n"
    return f"{fence}file path={path}\n{text}{end}{fence}\n"

"""Command agents: any CLI as hands in the agent's worktree, and as its voice where the agent has no model of its own.

Behind the seam of every other model: what the program wrote comes back as the whole files of an ordinary answer, is
journalled as one, and from there on nothing knows that it was no completion. So a kill costs no second run, the checks
send the same findings back, and the daemon commits. It runs in its own HOME (`.catherd/home/<agent>`), with the keys that its
YAML names and no others, behind walls: no `bus/`, nothing of yours (walls.py). Where there can be none it is not started.
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
from catherd.models.cli_run import CliOutcome, furnish, program_environment, run_command
from catherd.models.cli_spec import CliTranscript, Driver, driver

TALK = 8  # what a run that only speaks may cost is this part of `usd:`; a debate of five turns leaves most of its cap to others
NOT_TAKEN = "Not taken: "  # what an answer begins with that holds no files
TAKE_OUT = "take it out; nothing that is secret may be committed"
_HANDS = """You work in the current directory, a git worktree. Change its files directly: whatever is said below about returning
files in fences does not apply to you. Touch nothing outside this directory. Do not commit, switch branches or change anything of
git: what you leave in the files is taken, tested and committed for you.

"""
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
    """The seat of an agent that has a command and no model: the program speaks for it too."""
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
    """The same seat with the agent's program at work in `tree`, where it has one and the game is live; `most` bytes in all."""
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
    """Dollars that one run may cost, if every cap allows it; raises as live.reserve does. `talking`: it gets no worktree."""
    known: dict[str, Entry] = {} if settled is None else settled
    usd = worst(agent, talking=talking)

    def allowed(request: Request) -> float:
        accounts.allow(
            bus,
            agent,
            game,
            request.phase or request.turn.partition("/")[0],
            usd,
            known,
        )
        return usd

    return allowed


def worst(agent: Agent, *, talking: bool) -> float:
    """Dollars set aside for one run, and told to the program where its argv has a place for them."""
    return driver(agent.command, f"agents/{agent.id}.yaml").usd / (
        TALK if talking else 1
    )


def probe_program(agent: Agent) -> str:
    """A line for `make doctor`: which version of the program answers behind its walls, or what is wrong with it. It gets no task and no key."""
    try:
        made = driver(agent.command, f"agents/{agent.id}.yaml")
    except CatherdError as error:
        return f"--  {agent.id}: {error.what}"
    name = str(made.argv[0])
    if not shutil.which(name):
        return f"--  {agent.id}: there is no program {name} here; install it, or correct `argv:`"
    if lack := _unwalled(made):
        return f"--  {agent.id}: {lack}"
    argv = made.version or [name, "--version"]
    with box_trees.scratch_directory("probe") as root:
        home, tree = (os.path.join(root, part) for part in ("home", "tree"))
        os.mkdir(tree)
        furnish(made, home)
        before = (
            cli_sandbox.words(root, tree, home, name, made.sees)
            if made.sandbox == "bwrap"
            else []
        )
        keyless = msgspec.structs.replace(made, keys=[])
        env = program_environment(
            keyless, [], home, os.environ, {"home": home, "worktree": tree}
        )
        try:
            done = subprocess.run(
                [*before, *argv],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=30,
                check=False,
                env=env,
                cwd=tree,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"--  {agent.id}: {' '.join(argv)} gives no answer ({type(error).__name__})"
    words = (done.stdout or done.stderr).decode("utf-8", "replace").strip().splitlines()
    said = f": {words[-1][:80]}" if words else ""
    return (
        f"{'ok ' if done.returncode == 0 else '-- '} {agent.id}: {' '.join(argv)}{said}"
    )


def _unwalled(made: Driver) -> str:
    """Why the program cannot be kept from `bus/` and your files on this machine; "" where it can, or need not."""
    tier = sandbox.probe_tier()
    if tier.name == "bwrap" or made.sandbox == "none":
        return ""
    return (
        f"without bubblewrap {os.path.basename(str(made.argv[0]))} could reach bus/ and your files ({tier.why_not}): "
        "make doctor says how to get it, or write `sandbox: none` into its `command:`"
    )


class Program(Model):
    """The agent's CLI. With a `tree` its work there is the answer, without one what it says is."""

    def __init__(
        self,
        bus: Bus,
        agent: Agent,
        tree: str = "",
        most: int = tamper.TreeLimits().total,
    ) -> None:
        self.bus, self.agent, self.tree = bus, agent, tree
        self.limits = tamper.TreeLimits(total=most)
        self.home = os.path.join(bus.root, ".catherd", "home", agent.id)
        self.named = config.secret_names(bus.root) | {
            agent.key,
            *map(str, agent.command.get("keys") or []),
        }
        self.was = (
            {
                path: _sum(tree, path)
                for path in worktree.changed_paths(bus.root, agent.id)
            }
            if tree
            else {}
        )

    def complete(self, request: Request) -> Reply:
        """The files that it left, as an answer; empty when it changed nothing. Raises ModelError."""
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
        asked = [
            said.content for said in request.messages if said.role == "user"
        ]  # what it answered stands in the tree
        texts = [_HANDS if self.tree else "", request.system, *asked]
        prompt = secrets.redact(
            "\n\n".join(text for text in texts if text), named=self.named
        )[0]
        made.usd = worst(self.agent, talking=not self.tree)
        made.wall_s = min(
            made.wall_s, max(request.deadline_s, made.wall_s if self.tree else 0.0)
        )
        keys = [self.agent.key] if self.agent.key else []
        apart, log = (
            self._apart(made, tree),
            f"{self.home}.log",
        )  # beside its HOME, not in it: what it left there may be a link
        outcome = run_command(
            apart, prompt, tree, keys, self.home, log=log, started=self._started
        )
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
        heard = outcome.heard
        if (
            heard.muttered.startswith("bwrap: ")
            and not heard.events
            and not outcome.changed
        ):
            raise ModelError(
                "not_found",
                f"{os.path.basename(name)} does not start behind its walls ({heard.muttered}): name what it lacks under `sees:`",
            )
        if outcome.result in _FAILED and not (
            outcome.result.endswith("_timeout") and outcome.changed
        ):
            raise self._failed(made, name, outcome)
        if self.tree:  # a merge that it was given to finish is not its own work
            outcome.changed = [
                path
                for path in outcome.changed
                if _sum(tree, path) != self.was.get(path)
            ]
        text = self._taken(outcome, tree) if self.tree else outcome.heard.text
        usd = self._usd(made, outcome.heard)
        if not usd or outcome.result.endswith(
            "_timeout"
        ):  # not said, or not to the end: never for nothing
            usd = max(usd, made.usd)
        return self._reply(text, made, outcome, usd)

    def _desk(self) -> str:
        """An empty repository to talk in: there is nothing to read and nothing to break."""
        tree = os.path.join(self.home, "talk")
        if not os.path.isdir(os.path.join(tree, ".git")):
            with effect("talk", self.agent.id):
                shutil.rmtree(tree, ignore_errors=True)
                os.makedirs(tree)
                run.git(tree, "init", "--quiet")
                who = run.agent_identity(self.agent.id)
                run.call(
                    tree,
                    "commit",
                    "--quiet",
                    "--allow-empty",
                    "-m",
                    "empty",
                    author=who,
                    committer=who,
                )
        return tree

    def _apart(self, made: Driver, tree: str) -> Driver:
        """The command behind its walls. Raises ModelError where there are none and its YAML does not say that it needs none."""
        if lack := _unwalled(made):
            raise ModelError("refused", lack)
        if made.sandbox == "none":
            return made
        if os.path.isfile(os.path.join(tree, ".git")):
            cli_sandbox.own_git(
                run.WorkPlace(tree, _git_dir(tree)), self.home, self.agent.id
            )
        before: list[str | list[str]] = [
            *cli_sandbox.words(
                self.bus.root, tree, self.home, str(made.argv[0]), made.sees
            )
        ]
        return msgspec.structs.replace(made, argv=[*before, *made.argv])

    def _taken(self, outcome: CliOutcome, tree: str) -> str:
        """What it wrote, as an answer with whole files; what must not be taken is said instead. Its own commits are undone."""
        place = run.WorkPlace(tree, _git_dir(tree))
        if outcome.commits:
            run.call(
                place,
                "reset",
                "--quiet",
                outcome.base,
                change=f"worktrees/{self.agent.id}",
            )
        faults = [str(one) for one in tamper.scan_tree(tree, self.limits)]
        parts = [
            f"---\nkind: work\n---\n{len(outcome.changed)} files, as {outcome.result}.\n"
        ]
        for path in outcome.changed:
            if odd := bad_name(path):
                faults.append(f"{path}: {odd}")
                continue
            try:
                with open(
                    os.path.join(tree, path), encoding="utf-8", newline=""
                ) as file:
                    text = file.read()
                faults += [
                    f"{one}: {TAKE_OUT}"
                    for one in secrets.find_secrets(text, path, None, self.named)
                ]
                parts.append(_fenced(path, text))
            except FileNotFoundError:
                parts.append(f"~~~~~~delete path={path}\n~~~~~~\n")
            except (UnicodeDecodeError, OSError) as error:
                faults.append(f"{path}: no text file ({type(error).__name__})")
        if faults:
            return NOT_TAKEN + "\n".join(faults[:40])
        return (
            "\n".join(parts)
            if outcome.changed
            else f"{NOT_TAKEN}nothing was changed ({outcome.detail or outcome.result})"
        )

    def _failed(self, made: Driver, name: str, outcome: CliOutcome) -> ModelError:
        """The error of a run without an answer, with what it took; where nobody can know that, it may have been billed."""
        heard, told = (
            outcome.heard,
            f"{outcome.result.replace('_', ' ')}: {outcome.detail}".strip(": "),
        )
        usd = self._usd(made, heard)
        nothing = not (usd or heard.prompt_tokens or outcome.changed) and (
            heard.counted or outcome.result == "auth"
        )
        known = (
            outcome.result == "spawn_failed" or nothing or (heard.finished and usd > 0)
        )
        what = f"the command {os.path.basename(name)} gave no answer ({told}){'' if known else f'; {MAY_BE_BILLED}'}"
        took = self._reply("", made, outcome, usd)
        return ModelError(_FAILED[outcome.result], what, requests=1, took=took)

    def _usd(self, made: Driver, heard: CliTranscript) -> float:
        """Dollars by its own word, else by its tokens; 0 where neither is known."""
        if heard.usd or not heard.prompt_tokens:
            return heard.usd
        vendor = {"google": "gemini"}.get(
            self.agent.vendor, self.agent.vendor
        )  # as LiteLLM calls it
        try:
            price = prices.price_of(f"{vendor}/{made.model.removeprefix(f'{vendor}/')}")
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
        """A run whose daemon was killed is still at it: end it, the journal says that it may have been billed."""
        with contextlib.suppress(OSError, ValueError):
            with open(os.path.join(self.home, "pid"), encoding="utf-8") as file:
                pid, started = file.read().split(" ", 1)
            if atomic.started(int(pid)) == started:
                os.killpg(int(pid), signal.SIGKILL)


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
    return f"{fence}file path={path}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}\n"

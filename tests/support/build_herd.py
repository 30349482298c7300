"""A herd at work in one process: a real repository with a pack's plan on main, a real bus, the box, the rehearsal as model.

No daemons: `Workshop.turn` lets each agent do its next job and the queue look once, so that a test sees every step.
"""

from pathlib import Path

import msgspec

from catherd.bus import config, yaml_read, yaml_write
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus
from catherd.core.jobs import Job, next_job
from catherd.core.messages import Game
from catherd.core.tasks import Assignment, Pr, Task
from catherd.game import lifecycle
from catherd.gates.step import Crank
from catherd.git import landing
from catherd.herd import dispatch, seats
from catherd.herd.processes import Herd
from catherd.pulls import board, main_tasks, merge_queue
from support import games
from support.git_repos import sh
from support.packs import NAMES, document, tree

IDEA = {"lending-shelf": "Lending Shelf", "halfpast": "Halfpast"}


class Workshop(msgspec.Struct):
    """A game in its PoC: what a test needs to look at it and to drive it."""

    bus: Bus
    game: Game
    agents: dict[str, config.Agent]
    queue: merge_queue.Queue
    desks: dict[str, board.Desk]
    phase: config.Phase
    misbehave: str = ""

    def main(self) -> str:
        """The commit that main is at."""
        return landing.tip(self.bus.root, "main")

    def next(self, who: str) -> Job | None:
        """What an agent would do now."""
        return next_job(who, self.desks[who].look(who, tuple(self.game.roll), ("poc",)))

    def do(self, who: str) -> Job | None:
        """Let an agent do one job, as its daemon would."""
        seen = self.desks[who].look(who, tuple(self.game.roll), ("poc",))
        job = next_job(who, seen)
        if job is not None:
            agent = msgspec.structs.replace(self.agents[who], rehearsal=self.told())
            dispatch.work(seats.choose(self.bus, agent, self.game), job, seen)
        return job

    def told(self) -> dict[str, str]:
        """The switches of the rehearsal."""
        return dict(part.split("=", 1) for part in self.misbehave.split(",") if part)

    def turn(self) -> list[str]:
        """One job each, then a look of the queue; the PRs that were merged."""
        for who in self.game.roll:
            self.do(who)
        return self.queue.turn()

    def until(self, task: str, turns: int = 30) -> list[str]:
        """Turn until a task is done; the PRs merged on the way."""
        merged = []
        for _ in range(turns):
            merged += self.turn()
            if self.bus.there(f"claims/done/{task}.lock"):
                return merged
        raise AssertionError(
            f"{task} is not done after {turns} turns: {self.bus.names('problems')}"
        )

    def pr(self, task: str) -> str:
        """The name of the last PR of a task."""
        of = [
            n
            for n in self.bus.names("prs")
            if self.bus.must(f"prs/{n}/pr.yaml", Pr).task == task
        ]
        return of[-1]

    def said(self, who: str, turn: str) -> list[str]:
        """The last message of each prompt of a turn: the ask, then each complaint that came back."""
        folder = Path(self.bus.here(f"runs/{who}"))
        calls = [
            p for p in sorted(folder.glob(f"{turn}.*.yaml")) if ".answer." not in p.name
        ]
        return [words(path)[-1] for path in calls]


def crank_of(shop: Workshop, gate: str, herd: Herd) -> Crank:
    """What closing that gate of the workshop's phase works with, told to nobody."""
    quiet = Teller({}, rehearsal=True)
    one = shop.phase.gates[gate]
    return Crank(shop.bus, shop.phase, one, shop.game, shop.agents, herd, quiet)


def words(path: Path) -> list[str]:
    """The messages of a journalled call."""
    return [
        str(one["content"]) for one in yaml_read.read_yaml(str(path)).data["messages"]
    ]


def lay(
    where: Path,
    merged: list[str],
    *,
    only: list[str],
    name: str = NAMES[0],
    owner: dict[str, str],
) -> Workshop:
    """A workshop at `where`: the tasks `merged` are on main, `only` are open, each allotted to its `owner`."""
    root = games.lay(where)
    document(name, root)
    decision = root / "docs" / "debate" / "decision.yaml"
    decision.parent.mkdir(parents=True)
    decision.write_text(
        f"catherd: 1\ntitle: {IDEA[name]}\nwinner: p1\ntext: As the pack says.\nauthors: [claude]\n"
    )
    tree(name, merged, root)
    sh(root, "add", "-A")
    sh(root, "commit", "-q", "-m", "the plan, and what is built so far")
    bus = Bus(str(root))
    lifecycle.lay(bus)
    agents = config.agents(str(root))
    roll = ["claude", "chatgpt", "gemini"]
    bus.post(
        "game.yaml",
        Game(
            id="g-workshop",
            branch="main",
            base=sh(root, "rev-parse", "HEAD"),
            roll=roll,
        ),
    )
    phase = config.phases(str(root))["poc"]
    tasks = main_tasks.tasks_of(bus, phase, landing.tip(str(root), "main"))
    bus.post("poc/assignment.yaml", Assignment(tasks=owner))
    for one in [*merged, *only]:
        bus.post(f"tasks/{one}.yaml", tasks[one])
        board.open_claim(bus, one)
        if one in merged:
            board.settle_claim(bus, one, "open", "done")
    played = bus.must("game.yaml", Game)
    desks = {who: board.Desk(bus, agents) for who in roll}
    queue = merge_queue.Queue(bus, played, agents, board.Desk(bus, agents), tuple(roll))
    return Workshop(bus, played, agents, queue, desks, phase)


def alter(shop: Workshop, task: str, **fields: object) -> None:
    """Edit a task as a person would."""
    seen = shop.bus.must(f"tasks/{task}.yaml", Task)
    path = Path(shop.bus.here(f"tasks/{task}.yaml"))
    path.write_text(yaml_write.dumps(msgspec.structs.replace(seen, **fields)))

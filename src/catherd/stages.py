"""The gates of plan and of the milestones: allot the tasks, wait until they are merged, land what the engine adds.

Called by the crank, which holds its lock: so there is one merger, and what it does is repeatable.
"""

import os
import re
import time
from typing import Any

from catherd import caps, config, criteria, desk, landing, mergequeue, objects, ready, recovery, snapshot, yamldoor
from catherd.bus import Bus, now, slug
from catherd.config import Phase
from catherd.errors import CatherdError, NeedsYou
from catherd.herd import Herd
from catherd.messages import Game, Input, Receipt, Trouble
from catherd.tasks import Head, Pr, Review, Task, cycle
from catherd.tell import Teller
from catherd.watch import Watch


def tasks_of(bus: Bus, phase: Phase, main: str) -> dict[str, Task]:
    """The tasks of a phase: those that its phase file lists, or those of its milestone in main's `docs/tasks/`."""
    where = f"phases/{phase.name}.yaml"
    if "tasks" in phase.options:
        found = {}
        for name, data in phase.options["tasks"].items():
            found[name] = yamldoor.typed(yamldoor.loads(yamldoor.dumps({"kind": "design", **data}), where), Task)
        return _sound(found, where)
    milestone = phase.options.get("milestone", phase.name)
    found = {}
    for path in sorted(objects.list_tree(bus.root, main, "docs/tasks")):
        if not (name := re.fullmatch(r"docs/tasks/(T-\d{3,})\.yaml", path)):
            continue  # no artifact's name, as the checks say; and an id stands in prompts where no text by others may
        text = (objects.read_blob(bus.root, main, path) or b"").decode("utf-8", "replace")
        data = yamldoor.loads(text, path).data
        if isinstance(data, dict) and data.get("milestone") == milestone:
            found[name[1]] = _build(data, milestone, str(phase.options.get("sandbox", "bwrap")))
    if not found:
        raise CatherdError(
            f"no task of the milestone {milestone} is on main", where="docs/tasks/", fix="make plan writes them"
        )
    return _sound(found, "docs/tasks/")


def _build(data: dict[str, Any], milestone: str, tier: str) -> Task:
    accept = data.get("accept") or {}
    run = accept.get("run", []) if isinstance(accept, dict) else accept
    seconds = accept.get("timeout_s", 60) if isinstance(accept, dict) else 60
    words = {k: [str(w) for w in data.get(k) or []] for k in ("needs", "artifacts", "stories", "steps", "skills")}
    return Task(
        kind="build",
        title=str(data.get("title", "")),
        milestone=milestone,
        needs=words["needs"],
        paths=["app/"],
        artifacts=words["artifacts"],
        accept=[str(w) for w in run] if isinstance(run, list) else [],
        accept_s=float(seconds),
        sandbox=tier,
        stories=words["stories"],
        steps=words["steps"],
        skills=words["skills"],
    )


def _sound(tasks: dict[str, Task], where: str) -> dict[str, Task]:
    if round_trip := cycle(tasks):
        raise CatherdError(
            f"the tasks need each other in a circle: {' → '.join(round_trip)}",
            where=where,
            fix=f"take one of the needs of {round_trip[0]} away",
        )
    return tasks


def inputs(bus: Bus, phase: Phase, branch: str) -> list[Input]:
    """What a bid is shown: the decision and the tasks."""
    from catherd.material import DECISION

    if (game := bus.game()) is not None:
        ready.packed(bus, config.phases(bus.root), game, phase.name)
    main = landing.tip(bus.root, branch)
    text = (objects.read_blob(bus.root, main, DECISION) or b"").decode("utf-8", "replace")
    data = yamldoor.loads(text, DECISION).data or {}
    made = [
        Input(
            path=DECISION,
            sha256="",
            kind="decision",
            data={"title": data.get("title", ""), "text": data.get("text", "")},
        )
    ]
    for name, task in tasks_of(bus, phase, main).items():
        told = {
            "title": task.title,
            "needs": ", ".join(task.needs),
            "skills": ", ".join(task.skills),
            "body": task.body,
        }
        made.append(Input(path=f"tasks/{name}.yaml", sha256="", kind="task", by=name, data=told))
    for name, (passed, of) in sorted(rates(bus).items()):
        made.append(Input(path="", sha256="", kind="record", by=name, data={"passed": passed, "of": of}))
    return made


def rates(bus: Bus) -> dict[str, tuple[int, int]]:
    """Agent → (pull requests whose first head no other agent asked to change, those whose first head one reviewed)."""
    found: dict[str, tuple[int, int]] = {}
    for name in bus.names("prs"):
        try:
            pr, head = bus.get(f"prs/{name}/pr.yaml", Pr), bus.get(f"prs/{name}/head-1.yaml", Head)
            first = f"{head.head[:12]}." if head is not None else "-"
            seen = [n for n in bus.names(f"prs/{name}/reviews") if n.startswith(first)]
            others = [n for n in seen if n.split(".")[1] not in {"human", pr.author if pr is not None else ""}]
            read = [bus.get(f"prs/{name}/reviews/{n}", Review) for n in others]
            said = [one.verdict for one in read if one is not None and head is not None and one.head == head.head]
        except CatherdError:
            continue  # reported by who reads PRs
        if pr is not None and said:
            passed, of = found.get(pr.author, (0, 0))
            found[pr.author] = (passed + all(word == "approve" for word in said), of + 1)
    return found


def merge_all(bus: Bus, phase: Phase, gate: str, game: Game, herd: Herd, teller: Teller) -> None:
    """Turn the merge queue until every task of the phase is merged."""
    given = bus.must(f"gates/{_gate(phase, 'allot')}.yaml", Receipt)
    tasks = list(given.data["tasks"])
    if any(one.does == "prove" for one in phase.gates.values()):
        milestone = str(phase.options.get("milestone", phase.name))
        for asked in criteria.entry(bus.root, landing.tip(bus.root, game.branch), milestone):
            teller.line(f"  before {phase.name}: {asked}")
    merge_some(bus, phase, gate, tasks, game, herd, teller)
    forget(bus, phase.name, tasks)
    bus.post(f"gates/{gate}.yaml", Receipt(gate=gate, closed=now(), roll=game.roll, data={"tasks": tasks}))
    teller.line(f"{gate} closed: {len(tasks)} tasks merged")


def forget(bus: Bus, phase: str, tasks: list[str]) -> None:
    """All is merged: what was wrong with a bid or with the allotment needs a person no more."""
    for name in [n for n in bus.names("problems") if n.startswith((f"bid-{phase}-", f"added-{phase}-"))]:
        bus.solved(name.removesuffix(".yaml"))
    for task in tasks:
        bus.solved(f"assignment-{slug(task)}")


def merge_some(bus: Bus, phase: Phase, gate: str, tasks: list[str], game: Game, herd: Herd, teller: Teller) -> None:
    """Turn the merge queue until these tasks are merged. Raises NeedsYou when all that is left is blocked, CatherdError when the
    goal is cleared meanwhile.
    """
    agents = config.agents(bus.root)
    recovery.recover(bus.root)
    kept = bool(phase.options.get("keep_branches", False))
    largest = int(caps.caps(phase).artifact * caps.MB)
    ready.boxed(phase)
    queue = mergequeue.Queue(bus, game, agents, desk.Desk(bus, agents), tuple(game.roll), kept, largest)
    grace = config.seconds(phase.grace, "grace")
    dead: dict[str, float] = {}
    began, told, weigh = time.monotonic(), bus.told(), caps.scale(bus, phase)
    with Watch(bus.path, ("", "chat", "problems", "prs"), ("claims",)) as watch:
        while True:
            if not os.path.isdir(bus.path):
                raise CatherdError(
                    "was removed while the game was on", where="bus/", fix=".venv/bin/catherd bus restore"
                )
            if herd.goal and not bus.goal():
                raise CatherdError("stopped: the goal was cleared", where="bus/goal", fix=f"make {herd.goal}")
            weigh()
            done = [t for t in tasks if bus.there(f"claims/done/{t}.lock")]
            teller.troubles(bus.troubles(told))
            prs = queue.desk.pulls()  # before the turn: what came last to those that are merged in it is told too
            watch.follow(f"prs/{name}" for name in prs)
            if not bus.paused():
                if len(done) == len(tasks):
                    break
                merged = queue.turn()
                if merged:
                    teller.work(bus, gate, prs, len(done), len(tasks), time.monotonic() - began)
                for name in merged:
                    teller.merged(bus, name)
                    snapshot.snapshot(bus.root, f"{name} merged")
                    watch.ring()
                herd.look()
                for name in agents:
                    herd.fine(name)
                mergequeue.frees(queue, dead, grace)
                ready.refused(bus)
                stuck(bus, tasks, done)
            teller.work(bus, gate, prs, len(done), len(tasks), time.monotonic() - began)
            watch.wait(teller.patience(2.0))


def _gate(phase: Phase, does: str) -> str:
    return next(g.name for g in phase.gates.values() if g.does == does)


def stuck(bus: Bus, tasks: list[str], done: list[str]) -> None:
    """Every task that is left is blocked, or open and waits for one that is: a person must look."""
    left = [t for t in tasks if t not in done]
    held, looking = {t: desk.holder(bus, t) for t in left}, desk.Desk(bus, {})
    blocked = [t for t in left if held[t] == "blocked"]
    stopped, more = set(blocked), [t for t in left if held[t] == "open"] if blocked else []
    needs = {t: task.needs for t in more if (task := looking.task(t)) is not None}
    while new := {t for t in needs if t not in stopped and not stopped.isdisjoint(needs[t])}:
        stopped |= new
    if blocked and stopped == set(left):
        first = blocked[0]
        said = bus.look(f"problems/blocked-{first.lower()}.yaml", Trouble)
        raise NeedsYou(
            said.what if said and len(blocked) == 1 else f"{', '.join(blocked)} failed too often",
            where="bus/claims/blocked/",
            fix=f"edit bus/tasks/{first}.yaml, then mv bus/claims/blocked/{first}.lock bus/claims/open/",
        )

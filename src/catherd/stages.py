"""The gates of plan and of the milestones: allot the tasks, wait until they are merged, land what the engine adds.

Called by the crank, which holds its lock: so there is one merger, and what it does is repeatable.
"""

import os
import time
from typing import Any

from catherd import caps, config, desk, landing, mergequeue, objects, plan, recovery, snapshot, yamldoor
from catherd.bus import Bus, now, slug
from catherd.config import Phase
from catherd.errors import CatherdError, NeedsYou
from catherd.herd import Herd
from catherd.messages import Game, Input, Receipt
from catherd.tasks import Assignment, Bid, Task, cycle
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
        text = (objects.read_blob(bus.root, main, path) or b"").decode("utf-8", "replace")
        data = yamldoor.loads(text, path).data
        if isinstance(data, dict) and data.get("milestone") == milestone:
            found[os.path.basename(path).removesuffix(".yaml")] = _build(
                data, milestone, str(phase.options.get("sandbox", "bwrap"))
            )
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
    return made


def allot(bus: Bus, phase: Phase, gate: str, branch: str, teller: Teller) -> None:
    """Publish the allotment and the tasks, and open their claims."""
    main = landing.tip(bus.root, branch)
    tasks = tasks_of(bus, phase, main)
    asked = next(g for g in phase.gates.values() if g.kind == "bid")
    receipt = bus.must(f"gates/{asked.name}.yaml", Receipt)
    bids: dict[str, Bid] = {}
    for spoken in receipt.counted:
        name = os.path.basename(spoken.path).removesuffix(".yaml")
        bids[name] = yamldoor.typed(yamldoor.loads(spoken.text, f"bus/{spoken.path}"), Bid)
        for odd in sorted(set(bids[name].fits) - set(tasks)):
            bus.trouble(
                f"bid-{slug(spoken.path)}",
                f"bus/{spoken.path}",
                f"a bid for '{odd}', which is no task, is not counted",
                f"one of: {', '.join(tasks)}",
                spoken.sha256,
            )
    fits = {name: bid.fits for name, bid in bids.items()}
    proves = sorted(name for name, task in tasks.items() if "app/app.yaml" in task.artifacts)
    chosen = plan.allot_apart(list(tasks), sorted(bids) or receipt.roll, fits, proves)
    path = f"{phase.name}/assignment.yaml"
    header = "# Yours to edit until a task is claimed: task: agent. `why` only explains.\n"
    bus.post(
        path,
        Assignment(
            tasks=chosen, proves=proves, why=plan.reasons(chosen, fits, {n: b.reasons for n, b in bids.items()})
        ),
        header,
    )
    for name, task in tasks.items():
        bus.post(f"tasks/{name}.yaml", task)
        desk.offer(bus, name, task.title)
    bus.post(f"gates/{gate}.yaml", Receipt(gate=gate, closed=now(), roll=receipt.roll, data={"tasks": chosen}))
    loads = {a: sum(1 for owner in chosen.values() if owner == a) for a in sorted(set(chosen.values()))}
    teller.line(f"{gate}: " + ", ".join(f"{teller.names.get(a, a)} {n}" for a, n in loads.items()))


def merge_all(bus: Bus, phase: Phase, gate: str, game: Game, herd: Herd, teller: Teller) -> None:
    """Turn the merge queue until every task of the phase is merged."""
    given = bus.must(f"gates/{_gate(phase, 'allot')}.yaml", Receipt)
    tasks = list(given.data["tasks"])
    merge_some(bus, phase, gate, tasks, game, herd, teller)
    bus.post(f"gates/{gate}.yaml", Receipt(gate=gate, closed=now(), roll=game.roll, data={"tasks": tasks}))
    teller.line(f"{gate} closed: {len(tasks)} tasks merged")


def merge_some(bus: Bus, phase: Phase, gate: str, tasks: list[str], game: Game, herd: Herd, teller: Teller) -> None:
    """Turn the merge queue until these tasks are merged. Raises NeedsYou when all that is left is blocked."""
    agents = config.agents(bus.root)
    recovery.recover(bus.root)
    kept = bool(phase.options.get("keep_branches", False))
    largest = int(caps.caps(phase).artifact * caps.MB)
    queue = mergequeue.Queue(bus, game, agents, desk.Desk(bus, agents), tuple(game.roll), kept, largest)
    caps.watch(bus, phase, list(agents))
    grace = config.seconds(phase.grace, "grace")
    dead: dict[str, float] = {}
    began = time.monotonic()
    with Watch(bus.path, ("", "chat"), ("claims", "prs")) as watch:
        while True:
            if not os.path.isdir(bus.path):
                raise CatherdError("was removed while the game was on", where="bus/", fix="catherd bus restore")
            done = [t for t in tasks if bus.there(f"claims/done/{t}.lock")]
            if not bus.paused():
                if len(done) == len(tasks):
                    break
                merged = queue.turn()
                if merged:
                    teller.work(bus, gate, len(done), len(tasks), time.monotonic() - began)
                for name in merged:
                    teller.merged(bus, name)
                    snapshot.snapshot(bus.root, f"{name} merged")
                    watch.ring()
                herd.look()
                for name in agents:
                    herd.fine(name)
                mergequeue.frees(queue, dead, grace)
                stuck(bus, tasks, done)
            teller.work(bus, gate, len(done), len(tasks), time.monotonic() - began)
            watch.wait(teller.patience(2.0))


def _gate(phase: Phase, does: str) -> str:
    return next(g.name for g in phase.gates.values() if g.does == does)


def stuck(bus: Bus, tasks: list[str], done: list[str]) -> None:
    """Every task that is left is blocked: a person must look."""
    left = [t for t in tasks if t not in done]
    if left and all(desk.holder(bus, t) == "blocked" for t in left):
        raise NeedsYou(
            f"{', '.join(left)} failed too often",
            where="bus/claims/blocked/",
            fix=f"edit bus/tasks/{left[0]}.yaml, then mv bus/claims/blocked/{left[0]}.lock bus/claims/open/",
        )

"""What the gate found wrong becomes a task of mending, with the evidence; a bounded number of times, counted by the tasks on the bus.

The evidence of a red run stays in `bus/<phase>/red/<task>/`, its pictures in `.catherd/red/<task>/`, until the milestone is proved.
"""

import os
import re
import shutil
from collections.abc import Collection

from catherd.app.evidence import Evidence
from catherd.bus import atomic, yaml_write
from catherd.bus.config import Phase
from catherd.bus.crashpoints import effect
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus
from catherd.core.messages import Game
from catherd.core.tasks import Task
from catherd.gates import merge_wait
from catherd.gates.note import lines_for_agents
from catherd.git import landing, secrets
from catherd.herd.processes import Herd
from catherd.pulls import authors, board

MENDS = 3
BODY = 8000  # characters of a task's body
PICTURES = ".catherd/red"


def rounds(bus: Bus, phase: str) -> list[str]:
    """The tasks of mending that the gate of `phase` has made so far, oldest first."""
    found = [
        int(m[1])
        for n in bus.names("tasks")
        if (m := re.fullmatch(rf"M-{re.escape(phase)}-(\d+)\.yaml", n))
    ]
    return [f"M-{phase}-{n}" for n in sorted(found)]


def name_of(bus: Bus, phase: str, noes: int) -> str:
    """The id of the round that is on, else of the next; "" when there were as many as there may be: each no of yours grants as many again."""
    so_far = rounds(bus, phase)
    going = [name for name in so_far if not bus.there(f"claims/done/{name}.lock")]
    n = 1
    while bus.there(f"claims/done/M-{phase}-{n}.lock"):
        n += 1
    return (
        going[0]
        if going
        else f"M-{phase}-{n}"
        if len(so_far) < MENDS * (1 + noes)
        else ""
    )


def mend_body(
    phase: str, name: str, evidence: Evidence, named: Collection[str] = ()
) -> str:
    """What a red gate saw, for who mends it, without secrets (`named` as there): the reasons; of each journey that failed its steps, the end of the app's log, its pictures."""
    parts = ["\n".join(evidence.reasons)]
    if evidence.log.strip() and not evidence.journeys:
        parts.append(f"The installation printed at last:\n{evidence.log[-1500:]}")
    for one in lines_for_agents(evidence):
        parts.append(
            f"{one['journey']} ({one['story']}), step by step:\n{one['steps']}"
        )
        parts += (
            [f"The app printed at last:\n{one['log']}"] if one["log"].strip() else []
        )
        parts += (
            [f"Pictures: {PICTURES}/{name}/: {one['shots']}"] if one["shots"] else []
        )
    end = f"\n\nAll that was seen: bus/{phase}/red/{name}/evidence.yaml"
    text = secrets.redact("\n\n".join(parts), named=named)[0]
    return (
        text if len(text) + len(end) <= BODY else f"{text[: BODY - len(end) - 2]} …"
    ) + end


def keep(
    bus: Bus, phase: str, name: str, evidence: Evidence, pictures: dict[str, bytes]
) -> None:
    """Keep what a red run saw until it is mended."""
    os.makedirs(bus.here(f"{phase}/red/{name}"), exist_ok=True)
    atomic.replace(
        bus.path, f"{phase}/red/{name}/evidence.yaml", yaml_write.dumps(evidence)
    )
    folder = os.path.join(bus.root, PICTURES, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for file, content in sorted(pictures.items()):
        with (
            effect("cache", f"red/{name}/{file}"),
            open(os.path.join(folder, file), "wb") as picture,
        ):
            picture.write(content)


def forget_mends(bus: Bus, phase: str) -> None:
    """It is proved: what red runs saw is no longer needed."""
    for name in bus.names(f"{phase}/red"):
        shutil.rmtree(os.path.join(bus.root, PICTURES, name), ignore_errors=True)
        atomic.remove(bus.path, f"{phase}/red/{name}/evidence.yaml")


def mend_red(
    bus: Bus,
    phase: Phase,
    gate: str,
    name: str,
    task: Task,
    game: Game,
    herd: Herd,
    teller: Teller,
) -> None:
    """One more task for the herd; waits until it is merged. Done already: returns. Not for who wrote the journeys that judge it."""
    if bus.there(f"claims/done/{name}.lock"):
        return
    task.kind, task.paths = "build", ["app/"]
    task.milestone = phase.options.get("milestone", phase.name)
    task.apart = authors.provers(bus.root, landing.tip(bus.root, game.branch))
    bus.post(f"tasks/{name}.yaml", task)
    board.open_claim(bus, name, "mend what the gate found")
    merge_wait.merge_some(bus, phase, gate, [name], game, herd, teller)


def mend_task(phase: str, body: str, stories: list[str]) -> Task:
    """The task that says so."""
    return Task(
        kind="build",
        title=f"Mend what the {phase} gate found",
        stories=stories,
        body=body,
    )

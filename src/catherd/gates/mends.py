"""A red gate becomes a task of mending, with the evidence, a bounded number of times.

The tasks on the bus count the rounds. What a red run saw is kept until the milestone is
proved: the evidence in `bus/<phase>/red/<task>/`, its pictures in
`.catherd/red/<task>/`.
"""

import os
import re
import shutil
from collections.abc import Collection

from catherd.app.evidence import Evidence
from catherd.bus import atomic, yaml_write
from catherd.bus.crashpoints import effect
from catherd.bus.store import Bus
from catherd.core.tasks import Task
from catherd.gates import merge_wait
from catherd.gates.note import FailedJourney, failed_journeys
from catherd.gates.step import Crank
from catherd.git import landing, secrets
from catherd.pulls import authors, board

MENDS = 3
BODY = 8000  # characters of a task's body
PICTURES = ".catherd/red"


def rounds(bus: Bus, phase: str) -> list[str]:
    """The tasks of mending that the gate of `phase` has made so far, oldest first."""
    task = re.compile(rf"M-{re.escape(phase)}-(\d+)\.yaml")
    numbers = []
    for name in bus.names("tasks"):
        found = task.fullmatch(name)
        if found:
            numbers.append(int(found[1]))

    return [f"M-{phase}-{number}" for number in sorted(numbers)]


def name_of(bus: Bus, phase: str, noes: int) -> str:
    """The task of the round that is on, else of the next one; "" if there is none.

    There are `MENDS` rounds, and as many again for each no of yours (`noes`).
    """
    so_far = rounds(bus, phase)
    for name in so_far:
        if not _done(bus, name):
            return name

    if len(so_far) >= MENDS * (1 + noes):
        return ""
    number = 1
    while _done(bus, f"M-{phase}-{number}"):
        number += 1

    return f"M-{phase}-{number}"


def _done(bus: Bus, task: str) -> bool:
    return bus.there(f"claims/done/{task}.lock")


def mend_body(
    phase: str, name: str, evidence: Evidence, named: Collection[str] = ()
) -> str:
    """What a red gate saw, for the agent that mends it: at most `BODY` characters.

    It holds the reasons and, of each journey that failed, the steps, the end of the
    app's log, and the names of the pictures. Secrets are taken out, also the values of
    the variables `named`.
    """
    parts = ["\n".join(evidence.reasons)]
    installing = not evidence.journeys
    if installing and evidence.log.strip():
        printed = evidence.log[-1500:]
        parts.append(f"The installation printed at last:\n{printed}")

    for one in failed_journeys(evidence):
        parts += _told(one, name)

    text = secrets.redact("\n\n".join(parts), named=named)[0]
    end = f"\n\nAll that was seen: bus/{phase}/red/{name}/evidence.yaml"
    room = BODY - len(end)
    if len(text) > room:
        text = f"{text[: room - 2]} …"

    return text + end


def _told(one: FailedJourney, task: str) -> list[str]:
    """The paragraphs on a journey that failed."""
    steps = "\n".join(one.steps)
    parts = [f"{one.journey} ({one.story}), step by step:\n{steps}"]
    if one.log.strip():
        parts.append(f"The app printed at last:\n{one.log}")
    if one.shots:
        parts.append(f"Pictures: {PICTURES}/{task}/: {', '.join(one.shots)}")

    return parts


def keep(
    bus: Bus, phase: str, name: str, evidence: Evidence, pictures: dict[str, bytes]
) -> None:
    """Keep what a red run saw until it is mended."""
    kept = f"{phase}/red/{name}"
    os.makedirs(bus.here(kept), exist_ok=True)
    atomic.replace(bus.path, f"{kept}/evidence.yaml", yaml_write.dumps(evidence))

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


def mend_red(crank: Crank, name: str, task: Task) -> None:
    """Give the herd one more task and wait until it is merged.

    Returns at once where it is done already. The agents that wrote the journeys are
    kept away from it: those judge it.
    """
    bus = crank.bus
    if _done(bus, name):
        return

    main = landing.tip(bus.root, crank.game.branch)
    task.kind = "build"
    task.paths = ["app/"]
    task.milestone = crank.milestone
    task.apart = authors.provers(bus.root, main)
    bus.post(f"tasks/{name}.yaml", task)
    board.open_claim(bus, name, "mend what the gate found")
    merge_wait.merge_some(crank, [name])


def mend_task(phase: str, body: str, stories: list[str]) -> Task:
    """The task of mending what the gate of `phase` found in those stories."""
    return Task(
        kind="build",
        title=f"Mend what the {phase} gate found",
        stories=stories,
        body=body,
    )

"""The milestone gate: main's tree, clean, in the box; every journey; the evidence bound to that commit; the note that says so.

A red gate becomes a task for the herd with the evidence attached, a bounded number of times; then a person is called. Green
makes the milestone *proved*; only your yes, after `make run`, makes it *delivered*.
"""

import os
import re

import msgspec

from catherd.app import criteria, wheels
from catherd.app.evidence import Evidence, judge_evidence
from catherd.app.judge import Asked, accept
from catherd.box import box_trees
from catherd.bus import event_log, yaml_read, yaml_write
from catherd.bus.config import Phase, agents, secret_names
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus, now
from catherd.core.errors import CatherdError, NeedsYou
from catherd.core.messages import Base, Game, Receipt
from catherd.debate import documents
from catherd.gates import mends, tags
from catherd.gates.delivery import refusals
from catherd.gates.note import note_md
from catherd.git import checkouts, landing, objects, run
from catherd.herd import readiness
from catherd.herd.processes import Herd
from catherd.pulls import authors

_MARKS = {"pass": "✓", "fail": "✗"}
_UNSEEN = {
    "unknown": " (not played to the end)",
    "waived": " (not seen; you waived it)",
}
ORDER = ("poc", "mvp", "vertical-slice", "alpha", "beta", "release")


class Waiver(Base, kw_only=True):
    """`<phase>/waiver.yaml`: you let browser steps go unseen, with your reason, where there is no browser."""

    reason: str


def prove(
    bus: Bus, phase: Phase, gate: str, game: Game, herd: Herd, teller: Teller
) -> None:
    """Prove the milestone of `phase` on main, or hand what is wrong back to the herd. Raises NeedsYou after three rounds."""
    noes = refusals(bus, phase.name)
    for name, words in noes:
        readiness.mendable(bus, phase, game, name, words)
        mends.mend_red(
            bus,
            phase,
            gate,
            name,
            mends.mend_task(phase.name, words, []),
            game,
            herd,
            teller,
        )
    if done := _landed(bus, phase, game):
        return _close(bus, phase, gate, *done, teller)
    while True:
        evidence, pictures = run_gate(bus, phase, game, teller)
        for shown in evidence.journeys:
            teller.line(
                f"  {_MARKS.get(shown.verdict, '·')} {shown.id} {shown.title}{_UNSEEN.get(shown.verdict, '')}"
            )
        if evidence.verdict == "green":
            return _land(bus, phase, gate, game, evidence, pictures, teller)
        if evidence.verdict == "unknown":
            raise NeedsYou(
                f"{phase.name} cannot be proved here: {evidence.reasons[0]}",
                where=f"docs/milestones/{phase.name}.md",
                fix=f"install what is missing, or sign bus/{phase.name}/waiver.yaml with a `reason:`, and type make {phase.name}",
            )
        so_far = mends.rounds(bus, phase.name)
        bus.event(
            "gate-red", f"{phase.name}:{len(so_far) + 1}", reasons=evidence.reasons[:5]
        )
        name = mends.name_of(bus, phase.name, len(noes))
        if not name:
            raise NeedsYou(
                f"{phase.name} is still red after {len(so_far)} rounds: {evidence.reasons[0]}",
                where=f"bus/{phase.name}/evidence.yaml",
                fix=f"read it, mend main, and type make {phase.name}; rm bus/tasks/{so_far[-1]}.yaml grants the herd one round more",
            )
        teller.line(f"{gate} is red: {evidence.reasons[0]}")
        mends.keep(bus, phase.name, name, evidence, pictures)
        told = mends.mend_body(phase.name, name, evidence, secret_names(bus.root))
        failed = sorted(
            {shown.story for shown in evidence.journeys if shown.verdict == "fail"}
            | set(evidence.unshown)
        )
        mends.mend_red(
            bus,
            phase,
            gate,
            name,
            mends.mend_task(phase.name, told, failed),
            game,
            herd,
            teller,
        )


def _landed(bus: Bus, phase: Phase, game: Game) -> tuple[Evidence, str] | None:
    """The green evidence that main's last commit brought, of the commit before it, and that commit: a kill kept its receipt out."""
    main = landing.tip(bus.root, game.branch)
    path = f"docs/milestones/{phase.name}/evidence.yaml"
    text = objects.read_blob(bus.root, main, path)
    if not text:
        return None
    evidence = yaml_read.typed(
        yaml_read.loads(text.decode("utf-8", "replace"), path), Evidence
    )
    return (
        (evidence, main)
        if evidence.verdict == "green"
        and run.rev(bus.root, f"{main}^") == evidence.commit
        else None
    )


def run_gate(
    bus: Bus, phase: Phase, game: Game, teller: Teller
) -> tuple[Evidence, dict[str, bytes]]:
    """Run the gate on main as it is; the evidence, and the screenshots by file name."""
    main = landing.tip(bus.root, game.branch)
    milestone = phase.options.get("milestone", phase.name)
    with box_trees.scratch_directory("proof") as folder:
        tree, shots = os.path.join(folder, "tree"), os.path.join(folder, "shots")
        os.makedirs(tree)
        os.makedirs(shots)
        objects.export(bus.root, main, tree)
        teller.line(
            f"{phase.name}: proving {main[:12]}, each journey against a null app and twice against the real one"
        )
        asked = Asked(
            tree=tree,
            stories=stories(tree, milestone),
            commit=main,
            tree_id=run.git(bus.root, "rev-parse", f"{main}^{{tree}}"),
            shots=shots,
            waiver=_waiver(bus, phase.name),
            minimum=str(phase.options.get("sandbox", "bwrap")),
        )
        evidence = criteria.judge_criteria(
            _judged(bus, asked), tree, milestone, asked.minimum
        )
        _authors(bus.root, main, evidence)
        pictures = {}
        for name in sorted(os.listdir(shots)):
            with open(os.path.join(shots, name), "rb") as file:
                pictures[name] = file.read()
    _keep(bus, phase.name, evidence)
    return evidence, pictures


def _authors(root: str, main: str, evidence: Evidence) -> None:
    """Say who wrote each journey, and whose journeys prove their own code."""
    wrote = authors.of_journeys(root, main)
    for shown in evidence.journeys:
        shown.by = wrote.get(shown.id, "")
    evidence.own = authors.judged_own(wrote, authors.coders(root, main))


def _judged(bus: Bus, asked: Asked) -> Evidence:
    """The gate's evidence; what the app depends on is fetched first, outside the box."""
    try:
        return accept(
            msgspec.structs.replace(
                asked, wheels=wheels.fetch_wheels(bus.root, asked.tree)
            )
        )
    except wheels.Unfetched as error:
        return judge_evidence(
            Evidence(commit=asked.commit, tree=asked.tree_id), [], [str(error)]
        )
    except CatherdError as error:
        return judge_evidence(
            Evidence(commit=asked.commit, tree=asked.tree_id), [str(error)], []
        )


def stories(tree: str, milestone: str) -> list[str]:
    """The stories due by that milestone: its own and those of the ones before, which must stay green."""
    due = ORDER[: ORDER.index(milestone) + 1] if milestone in ORDER else (milestone,)
    folder = os.path.join(tree, "docs", "stories")
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(
            os.path.join(folder, name), encoding="utf-8", errors="replace"
        ) as file:
            head = re.search(r"^milestone:\s*(\S+)", file.read(), re.MULTILINE)
        if head and head[1] in due and name.endswith(".md"):
            found.append(name.removesuffix(".md"))
    return found


def _waiver(bus: Bus, phase: str) -> str:
    try:
        found = bus.get(f"{phase}/waiver.yaml", Waiver)
    except CatherdError as error:
        bus.broken(f"{phase}/waiver.yaml", error)
        return ""
    return found.reason if found else ""


def _keep(bus: Bus, phase: str, evidence: Evidence) -> None:
    from catherd.bus import atomic

    os.makedirs(bus.here(phase), exist_ok=True)
    atomic.replace(bus.path, f"{phase}/evidence.yaml", yaml_write.dumps(evidence))


def _land(
    bus: Bus,
    phase: Phase,
    gate: str,
    game: Game,
    evidence: Evidence,
    pictures: dict[str, bytes],
    teller: Teller,
) -> None:
    name = phase.name
    made = {
        f"docs/milestones/{name}/{file}": content for file, content in pictures.items()
    }
    made[f"docs/milestones/{name}.md"] = note_md(
        evidence, name, root=bus.root, shots=name
    ).encode()
    made[f"docs/milestones/{name}/evidence.yaml"] = yaml_write.dumps(evidence).encode()
    event_log.log_missing(bus)
    made |= documents.talk(bus, agents(bus.root))
    landed = landing.land(
        bus.root,
        game.branch,
        made,
        [],
        f"Prove {name}: {evidence.app}\n\nGame {game.id}.\n",
    )
    _close(bus, phase, gate, evidence, landed.sha, teller)


def _close(
    bus: Bus, phase: Phase, gate: str, evidence: Evidence, sha: str, teller: Teller
) -> None:
    """The receipt of a proof that is on main as `sha`."""
    mends.forget_mends(bus, phase.name)
    name, made = phase.name, checkouts.tree_changes(bus.root, f"{sha}^", sha)
    tagged = tags.tag_candidate(bus.root, phase, sha, evidence.app)
    bus.post(
        f"gates/{gate}.yaml",
        Receipt(
            gate=gate,
            closed=now(),
            commit=sha,
            outcome="proved",
            data={"files": sorted(made), "proved": evidence.commit},
        ),
    )
    teller.line(
        f"{name} is proved: {len(evidence.journeys)} journeys; docs/milestones/{name}.md"
    )
    if tagged:
        teller.line(f"tagged {tagged}; your yes makes it {tags.tag_name(phase)}")
    teller.line("make run starts the app for you; your yes makes it delivered")

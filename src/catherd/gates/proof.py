"""The milestone gate: every journey is played on main, and the note says what was seen.

Main's tree is exported, clean, into the box, and the evidence is bound to its commit. A
red gate becomes a task for the herd with the evidence attached, a bounded number of
times; then a person is called. Green makes the milestone *proved*. Only your yes, after
`make run`, makes it *delivered*.
"""

import os
import re

import msgspec

from catherd.app import criteria, wheels
from catherd.app.evidence import Evidence, judge_evidence
from catherd.app.judge import Asked, accept
from catherd.box import box_trees
from catherd.bus import atomic, event_log, yaml_read, yaml_write
from catherd.bus.config import Phase, agents, secret_names
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus, now
from catherd.core.errors import CatherdError, NeedsYou
from catherd.core.messages import Base, Game, Receipt
from catherd.debate import documents
from catherd.gates import mends, tags
from catherd.gates.delivery import refusals
from catherd.gates.note import note_md
from catherd.gates.step import Crank
from catherd.git import checkouts, landing, objects, run
from catherd.herd import readiness
from catherd.pulls import authors

_MARKS = {"pass": "✓", "fail": "✗"}
_UNSEEN = {
    "unknown": " (not played to the end)",
    "waived": " (not seen; you waived it)",
}
ORDER = ("poc", "mvp", "vertical-slice", "alpha", "beta", "release")


class Waiver(Base, kw_only=True):
    """`<phase>/waiver.yaml`: you let browser steps go unseen where there is no browser.

    `reason` is yours, in your words.
    """

    reason: str


class _Landed(msgspec.Struct, frozen=True):
    """A proof that is on main: the green evidence, and the commit that brought it."""

    evidence: Evidence
    commit: str


def prove(crank: Crank) -> None:
    """Prove the milestone on main, or hand what is wrong back to the herd.

    Raises NeedsYou after three red rounds, or where it cannot be proved at all.
    """
    bus, phase = crank.bus, crank.phase
    noes = refusals(bus, phase.name)
    for task, words in noes:
        readiness.mendable(bus, phase, crank.game, task, words)
        mends.mend_red(crank, task, mends.mend_task(phase.name, words, []))

    landed = _landed(bus, phase, crank.game)
    while landed is None:
        evidence, pictures = run_gate(bus, phase, crank.game, crank.teller)
        _tell_journeys(crank.teller, evidence)
        if evidence.verdict == "green":
            landed = _land(crank, evidence, pictures)
        elif evidence.verdict == "red":
            _hand_back(crank, evidence, pictures, len(noes))
        else:
            raise NeedsYou(
                f"{phase.name} cannot be proved here: {evidence.reasons[0]}",
                where=f"docs/milestones/{phase.name}.md",
                fix=f"install what is missing, or sign bus/{phase.name}/waiver.yaml with a `reason:`, and type make {phase.name}",
            )

    _close(crank, landed)


def _tell_journeys(teller: Teller, evidence: Evidence) -> None:
    for shown in evidence.journeys:
        mark = _MARKS.get(shown.verdict, "·")
        unseen = _UNSEEN.get(shown.verdict, "")
        teller.line(f"  {mark} {shown.id} {shown.title}{unseen}")


def _hand_back(
    crank: Crank, evidence: Evidence, pictures: dict[str, bytes], noes: int
) -> None:
    """Give the herd a task with the evidence, and wait until it is merged.

    `noes`: how often you said no since your last yes. Raises NeedsYou when the rounds
    are used up.
    """
    bus, phase = crank.bus, crank.phase.name
    why = evidence.reasons[0]
    so_far = mends.rounds(bus, phase)
    bus.event("gate-red", f"{phase}:{len(so_far) + 1}", reasons=evidence.reasons[:5])

    task = mends.name_of(bus, phase, noes)
    if not task:
        raise NeedsYou(
            f"{phase} is still red after {len(so_far)} rounds: {why}",
            where=f"bus/{phase}/evidence.yaml",
            fix=f"read it, mend main, and type make {phase}; rm bus/tasks/{so_far[-1]}.yaml grants the herd one round more",
        )

    crank.teller.line(f"{crank.gate.name} is red: {why}")
    mends.keep(bus, phase, task, evidence, pictures)

    body = mends.mend_body(phase, task, evidence, secret_names(bus.root))
    failed = {one.story for one in evidence.journeys if one.verdict == "fail"}
    claimed = sorted(failed | set(evidence.unshown))
    mends.mend_red(crank, task, mends.mend_task(phase, body, claimed))


def _landed(bus: Bus, phase: Phase, game: Game) -> _Landed | None:
    """The proof that main's last commit brought, of the commit before it.

    It is there when a kill came between the landing and its receipt.
    """
    main = landing.tip(bus.root, game.branch)
    path = f"docs/milestones/{phase.name}/evidence.yaml"
    content = objects.read_blob(bus.root, main, path)
    if not content:
        return None
    document = yaml_read.loads(content.decode("utf-8", "replace"), path)
    evidence = yaml_read.typed(document, Evidence)
    before = run.rev(bus.root, f"{main}^")
    if evidence.verdict != "green" or before != evidence.commit:
        return None

    return _Landed(evidence, main)


def run_gate(
    bus: Bus, phase: Phase, game: Game, teller: Teller
) -> tuple[Evidence, dict[str, bytes]]:
    """Run the gate on main as it is.

    Gives the evidence, and the screenshots by file name.
    """
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
        _say_authors(bus.root, main, evidence)
        pictures = _files(shots)

    os.makedirs(bus.here(phase.name), exist_ok=True)
    kept = f"{phase.name}/evidence.yaml"
    atomic.replace(bus.path, kept, yaml_write.dumps(evidence))
    return evidence, pictures


def _files(folder: str) -> dict[str, bytes]:
    """The content of each file in `folder`, by its name."""
    found = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


def _say_authors(root: str, main: str, evidence: Evidence) -> None:
    """Say who wrote each journey, and whose journeys prove their own code."""
    wrote = authors.of_journeys(root, main)
    for shown in evidence.journeys:
        shown.by = wrote.get(shown.id, "")
    evidence.own = authors.judged_own(wrote, authors.coders(root, main))


def _judged(bus: Bus, asked: Asked) -> Evidence:
    """The gate's evidence.

    What the app depends on is fetched first, outside the box. A lock file that is wrong
    is the herd's to mend; wheels that do not come are for a person.
    """
    nothing = Evidence(commit=asked.commit, tree=asked.tree_id)
    try:
        fetched = wheels.fetch_wheels(bus.root, asked.tree)
        return accept(msgspec.structs.replace(asked, wheels=fetched))
    except wheels.Unfetched as error:
        return judge_evidence(nothing, [], [str(error)])
    except CatherdError as error:
        return judge_evidence(nothing, [str(error)], [])


def stories(tree: str, milestone: str) -> list[str]:
    """The ids of the stories that are due by that milestone, sorted.

    They are its own and those of the milestones before, which must stay green.
    """
    due: tuple[str, ...] = (milestone,)
    if milestone in ORDER:
        due = ORDER[: ORDER.index(milestone) + 1]
    folder = os.path.join(tree, "docs", "stories")
    if not os.path.isdir(folder):
        return []
    files = [name for name in sorted(os.listdir(folder)) if name.endswith(".md")]
    return [
        name.removesuffix(".md")
        for name in files
        if _milestone_of(os.path.join(folder, name)) in due
    ]


def _milestone_of(story: str) -> str:
    """The milestone that the head of a story file names.

    It is "" where it names none.
    """
    with open(story, encoding="utf-8", errors="replace") as file:
        found = re.search(r"^milestone:\s*(\S+)", file.read(), re.MULTILINE)
    return found[1] if found else ""


def _waiver(bus: Bus, phase: str) -> str:
    """Your words in the waiver of `phase`.

    It is "" where it cannot be read or is not there.
    """
    path = f"{phase}/waiver.yaml"
    try:
        found = bus.get(path, Waiver)
    except CatherdError as error:
        bus.broken(path, error)
        return ""

    return found.reason if found else ""


def _land(crank: Crank, evidence: Evidence, pictures: dict[str, bytes]) -> _Landed:
    """Land the note, the evidence and the pictures as one commit on main."""
    bus, game, name = crank.bus, crank.game, crank.phase.name
    folder = f"docs/milestones/{name}"
    note = note_md(evidence, name, root=bus.root, shots=name)
    made = {
        f"{folder}.md": note.encode(),
        f"{folder}/evidence.yaml": yaml_write.dumps(evidence).encode(),
    }
    for file, content in pictures.items():
        made[f"{folder}/{file}"] = content

    event_log.log_missing(bus)
    made |= documents.talk(bus, agents(bus.root))

    message = f"Prove {name}: {evidence.app}\n\nGame {game.id}.\n"
    landed = landing.land(bus.root, game.branch, made, [], message)
    return _Landed(evidence, landed.sha)


def _close(crank: Crank, proof: _Landed) -> None:
    """The receipt of a proof that is on main."""
    bus, phase, teller = crank.bus, crank.phase, crank.teller
    sha, evidence = proof.commit, proof.evidence
    mends.forget_mends(bus, phase.name)
    made = checkouts.tree_changes(bus.root, f"{sha}^", sha)
    tagged = tags.tag_candidate(bus.root, phase, sha, evidence.app)
    crank.close(
        Receipt(
            gate=crank.gate.name,
            closed=now(),
            commit=sha,
            outcome="proved",
            data={"files": sorted(made), "proved": evidence.commit},
        )
    )
    teller.line(
        f"{phase.name} is proved: {len(evidence.journeys)} journeys; docs/milestones/{phase.name}.md"
    )
    if tagged:
        teller.line(f"tagged {tagged}; your yes makes it {tags.tag_name(phase)}")
    teller.line("make run starts the app for you; your yes makes it delivered")

"""The rehearsal at work: it bids, writes, revises and reviews from the pack of the idea
that won.

It reads in the prompt which attempt is due. While nothing was found it writes the first
attempt, with its flaws. After findings it mends what a check can see, and after a
review what a reviewer saw too.
"""

import os
import re
from typing import NamedTuple

from catherd.core.model import ModelError
from catherd.rehearsal import library
from catherd.rehearsal.misbehaviour import ASKED, LEFT, TWICE
from catherd.rehearsal.pack import Flaw, Pack, Part, files_below, find_pack, pack_text
from catherd.rehearsal.reading import FencedBlock, Scene, draw_number

FENCE = "~" * 8
KEENNESS = (
    "not my field",
    "if nobody else will",
    "can do",
    "would like to",
    "this is what I argued for",
)


class PackJob(NamedTuple):
    """The part of the pack that an ask is about, and the folder with its right files."""

    part: Part
    folder: str


def bid(scene: Scene) -> str:
    """A sealed bid: fits drawn from the voice's lens and the task, so that each agent
    has its own field.
    """
    asked = re.search(r"^Tasks: (.+)$", scene.bare, re.MULTILINE)
    names = asked[1].split(", ") if asked else []
    titles = {block.status: block.text for block in scene.of("task")}
    lines = [_bid_line(scene, name, titles[name]) for name in names if name in titles]
    return "---\nkind: bid\n---\n" + "\n".join(lines) + "\n"


def _bid_line(scene: Scene, task: str, title: str) -> str:
    lens = library.voice(scene.me).lens
    keen = draw_number("fit", scene.me, lens, task) % len(KEENNESS)
    effort = 1 + draw_number("effort", task) % 4
    short = title.partition(" (")[0].lower()
    return f"- {task}: fit {keen + 1}, effort {effort}: {KEENNESS[keen]}; {short}"


def swap(scene: Scene) -> str:
    """A swap now and then. Both sides draw the same of the same pair."""
    offered = re.findall(
        r"^- ([A-Z]-[\w-]+) for ([A-Z]-[\w-]+), which ", scene.bare, re.MULTILINE
    )
    line = "- keep"
    for give, take in offered:
        if draw_number("swap", *sorted([give, take])) % 5 == 0:
            line = f"- give {give}, take {take}: I would rather"
            break

    return f"---\nkind: swap\n---\n{line}\n"


def play_write(scene: Scene) -> str:
    """The files of a task: with its flaws at first, without those that were found."""
    if scene.step.startswith("build/M-"):
        return _mend(scene)
    if scene.step.startswith("design/D-mend"):
        raise ModelError(
            "refused",
            "the rehearsal's document needs no mending; something else changed it",
        )
    job = _job(scene)
    files = files_below(job.folder)
    if not files:
        raise ModelError("refused", f"the rehearsal has no files for {scene.step}")

    both = files_below(os.path.join(job.folder, "resolved"))
    if _clashes(scene, job, both):
        files |= both

    for flaw in job.part.flaws:
        if flaw.file in files and not _over(scene, flaw):
            files[flaw.file] = files[flaw.file].replace(flaw.good, flaw.bad, 1)

    for path in files:
        if _line_wished(scene, path):
            files[path] += TWICE + "\n"

    task = scene.step.partition("/")[2]
    return _answer(f"{len(files)} file{'s' * (len(files) != 1)} for {task}.", files)


def _pack(scene: Scene) -> Pack:
    """The pack of the idea that the prompt says was decided."""
    decisions = scene.of("decision")
    return find_pack(decisions[0].status if decisions else "")


def _job(scene: Scene) -> PackJob:
    pack = _pack(scene)
    kind, _, task = scene.step.partition("/")
    if kind == "design":
        key = task.removeprefix("D-")
        return PackJob(pack.part(key), os.path.join(pack.folder, "design", key))
    return PackJob(pack.task(task), os.path.join(pack.folder, "build", task))


def _line_wished(scene: Scene, path: str) -> bool:
    """Whether a reviewer asked for the line of the switch `changes`, now or before."""
    wish = re.compile(rf"^{re.escape(path)}:\d+: {ASKED}$", re.MULTILINE)
    if any(wish.search(review.text) for review in scene.of("review")):
        return True
    return scene.form == "revise" and any(
        file.status == path and TWICE in file.text for file in scene.of("file")
    )


def _mend(scene: Scene) -> str:
    """The mend of a gate's findings: every file on main that still has a flaw of the
    pack, made right.
    """
    shown = {block.status: block.text for block in scene.of("file")}
    files = {}
    for path, text in shown.items():
        if LEFT in text:
            files[path] = text.replace(LEFT, "").rstrip() + "\n"

    for part in _pack(scene).tasks:
        for flaw in part.flaws:
            if flaw.file not in shown:
                continue
            text = files.get(flaw.file, shown[flaw.file] + "\n")
            if flaw.bad in text:
                files[flaw.file] = text.replace(flaw.bad, flaw.good, 1)

    if not files:
        raise ModelError(
            "refused",
            "the rehearsal knows nothing that could be wrong with these files",
        )
    names = ", ".join(sorted(files))
    return _answer(f"Mended {names}; the evidence said where to look.", files)


def _clashes(scene: Scene, job: PackJob, resolved: dict[str, str]) -> bool:
    """Whether the other side of the pack's merge conflict is there already.

    Then the files that hold both are to be written. Git reports the conflict, a check
    misses the lines of the other side, or a file in the prompt shows them.
    """
    other = job.part.clash
    if not other or not resolved:
        return False
    if any(_tells_of(block, other) for block in scene.blocks):
        return True

    beside = os.path.join(os.path.dirname(job.folder), other)
    for path in resolved:
        mine = _words(pack_text(job.folder, path))
        theirs = _words(pack_text(beside, path)) - mine
        if theirs and theirs <= _words_shown(scene, path):
            return True

    return False


def _tells_of(block: FencedBlock, other: str) -> bool:
    """Whether a fence tells of a conflict, or that the accept of `other` fails."""
    if block.kind == "finding":
        return f"the accept of {other}," in block.text
    return block.kind == "conflict"


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _words_shown(scene: Scene, path: str) -> set[str]:
    """The words of the file as the prompt shows it."""
    shown = [block.text for block in scene.of("file") if block.status == path]
    return _words("\n".join(shown))


def _over(scene: Scene, flaw: Flaw) -> bool:
    """Whether the author no longer makes this mistake."""
    return _pointed_at(scene, flaw.seen_by) or _right(scene, flaw)


def _right(scene: Scene, flaw: Flaw) -> bool:
    """Whether the file that is revised has it right already."""
    return scene.form == "revise" and any(
        file.status == flaw.file and flaw.good in file.text + "\n"
        for file in scene.of("file")
    )


def _pointed_at(scene: Scene, seen_by: str) -> bool:
    """Whether somebody has pointed at a flaw of that kind.

    A re-ask, red checks or a review point at what a program sees, a review at what a
    reviewer sees, and a red gate at what the gate sees.
    """
    if seen_by == "review":
        return bool(scene.of("review"))
    if seen_by == "gate":
        red = any("journey" in finding.text for finding in scene.of("finding"))
        return red or scene.reasked == "gate"

    return bool(scene.of("finding") or scene.of("review") or scene.reasked)


def play_review(scene: Scene) -> str:
    """A review: changes where the diff has a flaw that a reviewer can see, else an
    approval.

    The changes quote the flaw. The approval says what was checked.
    """
    diff = "\n".join(block.text for block in scene.of("diff"))
    for flaw in _job(scene).part.flaws:
        if flaw.seen_by == "review" and flaw.bad.strip("\n") in _added(diff):
            line = _line(scene.of("file"), flaw)
            note = " ".join(flaw.objection.split())
            return f"---\nverdict: changes\n---\n- {flaw.file}:{line}: {note}\n"

    touched = re.findall(r"^\+\+\+ b/(\S+)", diff, re.MULTILINE)
    hardest = "the change"
    if touched:
        hardest = min(touched, key=lambda path: draw_number(scene.me, path))

    lens = library.voice(scene.me).lens
    return (
        "---\nverdict: approve\n---\n"
        f"I checked hardest whether {hardest} keeps to what the stories promise, with an eye for the {lens}. It does.\n"
    )


def _added(diff: str) -> str:
    """The lines that a diff adds."""
    signed = [line for line in diff.splitlines() if line.startswith("+")]
    return "\n".join(line[1:] for line in signed if not line.startswith("+++"))


def _line(files: list[FencedBlock], flaw: Flaw) -> int:
    """The line at which the flaw stands in its file; 1 where it is not found."""
    text = next((file.text for file in files if file.status == flaw.file), "")
    at = text.find(flaw.bad.strip("\n"))
    return text.count("\n", 0, at) + 1 if at >= 0 else 1


def _answer(words: str, files: dict[str, str]) -> str:
    """An answer with whole files, each in a fence that is longer than any in its text."""
    parts = [f"---\nkind: work\n---\n{words}\n"]
    for path, text in files.items():
        fence = FENCE
        while fence in text:
            fence += "~"

        end = "" if text.endswith("\n") else "\n"
        parts.append(f"{fence}file path={path}\n{text}{end}{fence}\n")

    return "\n".join(parts)

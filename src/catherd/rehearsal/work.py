"""The rehearsal at work: it bids, writes, revises and reviews from the pack of the idea that won.

A pack holds the right files and what the agent gets wrong at first. Which of the two comes is read in the prompt: nothing
found yet, then the first attempt; findings, then what a check can see is mended; a review, then what a reviewer saw too.
"""

import os
import re
from functools import lru_cache
from typing import Any

from catherd.bus import yaml_read
from catherd.core.model import ModelError
from catherd.rehearsal import library
from catherd.rehearsal.misbehaviour import ASKED, LEFT, TWICE
from catherd.rehearsal.reading import FencedBlock, Scene, draw_number

PACKS = os.path.join(os.path.dirname(__file__), "packs")
FENCE = "~" * 8


@lru_cache(maxsize=4)
def pack(title: str) -> tuple[str, dict[str, Any]]:
    """(folder, manifest) of the pack of the decided idea. ModelError where there is none."""
    for name in sorted(os.listdir(PACKS)):
        path = os.path.join(PACKS, name, "pack.yaml")
        if os.path.isfile(path):
            data = yaml_read.read_yaml(path).data
            if data["idea"].casefold() == title.casefold():
                return os.path.join(PACKS, name), data
    raise ModelError(
        "refused",
        f"the rehearsal can debate '{title}' but not build it: it has packs for two ideas only",
    )


def last_phase(title: str) -> str:
    """The last phase for which the pack of the decided idea has files; debate where there is no pack."""
    try:
        folder, _ = pack(title)
    except ModelError:
        return "debate"
    last = "plan"
    plans = os.path.join(folder, "design", "tasks", "docs", "tasks")
    for name in sorted(os.listdir(plans)):  # their numbers follow the milestones
        if os.path.isdir(os.path.join(folder, "build", name.removesuffix(".yaml"))):
            last = str(yaml_read.read_yaml(os.path.join(plans, name)).data["milestone"])
    return last


def _decided(scene: Scene) -> str:
    return next((b.status for b in scene.of("decision")), "")


def _parts(scene: Scene) -> tuple[str, dict[str, Any], str]:
    """(folder of the pack, the entry of this task, the folder with its files)."""
    folder, data = pack(_decided(scene))
    kind, _, task = scene.step.partition("/")
    if kind == "design":
        key = task.removeprefix("D-")
        entry: dict[str, Any] = next(
            (e for e in data["design"] if e["key"] == key), {"flaws": []}
        )
        return folder, entry, os.path.join(folder, "design", key)
    entry = next((e for e in data["tasks"] if e["id"] == task), {"flaws": []})
    return folder, entry, os.path.join(folder, "build", task)


def _files(where: str, skip: str = "resolved") -> dict[str, str]:
    found = {}
    for folder, folders, names in os.walk(where):
        if folder == where and skip in folders:
            folders.remove(skip)
        folders[:] = sorted(f for f in folders if f != "__pycache__")
        for name in sorted(names):
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                found[os.path.relpath(path, where)] = file.read()
    return found


def bid(scene: Scene) -> str:
    """A sealed bid: fits drawn from the voice's lens and the task, so that each agent has its own field."""
    asked = re.search(r"^Tasks: (.+)$", scene.bare, re.MULTILINE)
    told = {b.status: b.text for b in scene.of("task")}
    tasks = [
        (name, told[name])
        for name in (asked[1].split(", ") if asked else [])
        if name in told
    ]
    lens = library.voice(scene.me).lens
    lines = []
    for name, title in tasks:
        fit = 1 + draw_number("fit", scene.me, lens, name) % 5
        why = (
            "not my field",
            "if nobody else will",
            "can do",
            "would like to",
            "this is what I argued for",
        )[fit - 1]
        lines.append(
            f"- {name}: fit {fit}, effort {1 + draw_number('effort', name) % 4}: {why}; {title.split(' (')[0].lower()}"
        )
    return "---\nkind: bid\n---\n" + "\n".join(lines) + "\n"


def swap(scene: Scene) -> str:
    """A swap now and then: both sides draw the same of the same pair."""
    offered = re.findall(
        r"^- ([A-Z]-[\w-]+) for ([A-Z]-[\w-]+), which ", scene.bare, re.MULTILINE
    )
    wanted = [pair for pair in offered if draw_number("swap", *sorted(pair)) % 5 == 0]
    line = (
        f"- give {wanted[0][0]}, take {wanted[0][1]}: I would rather"
        if wanted
        else "- keep"
    )
    return f"---\nkind: swap\n---\n{line}\n"


def play_write(scene: Scene) -> str:
    """The files of a task: with its flaws at first, without those that were found."""
    _, entry, where = _parts(scene)
    if scene.step.startswith("build/M-"):
        return _mend(scene)
    if scene.step.startswith("design/D-mend"):
        raise ModelError(
            "refused",
            "the rehearsal's document needs no mending; something else changed it",
        )
    files = _files(where)
    if not files:
        raise ModelError("refused", f"the rehearsal has no files for {scene.step}")
    both = _files(os.path.join(where, "resolved"))
    if both and _clashes(scene, entry, where, both):
        files |= both
    for flaw in entry.get("flaws", []):
        if (
            not _mended(scene, flaw["seen_by"])
            and not _right(scene, flaw)
            and flaw["file"] in files
        ):
            files[flaw["file"]] = files[flaw["file"]].replace(
                flaw["good"], flaw["bad"], 1
            )
    for path in files:
        if _wished(scene, path):
            files[path] += TWICE + "\n"
    words = f"{len(files)} file{'s' * (len(files) != 1)} for {scene.step.partition('/')[2]}."
    return _answer(words, files)


def _wished(scene: Scene, path: str) -> bool:
    """Whether a reviewer asked for the line that the switch `changes` asks for, now or before."""
    if any(
        re.search(rf"^{re.escape(path)}:\d+: {ASKED}$", b.text, re.MULTILINE)
        for b in scene.of("review")
    ):
        return True
    return scene.form == "revise" and any(
        b.status == path and TWICE in b.text for b in scene.of("file")
    )


def _mend(scene: Scene) -> str:
    """What a gate found: every file on main that still has a flaw of the pack, right."""
    _, data = pack(_decided(scene))
    files = {
        b.status: b.text.replace(LEFT, "").rstrip() + "\n"
        for b in scene.of("file")
        if LEFT in b.text
    }
    for entry in data["tasks"]:
        for flaw in entry.get("flaws", []):
            for block in scene.of("file"):
                text = files.get(flaw["file"], block.text + "\n")
                if block.status == flaw["file"] and flaw["bad"] in text:
                    files[flaw["file"]] = text.replace(flaw["bad"], flaw["good"], 1)
    if not files:
        raise ModelError(
            "refused",
            "the rehearsal knows nothing that could be wrong with these files",
        )
    return _answer(
        f"Mended {', '.join(sorted(files))}; the evidence said where to look.", files
    )


def _clashes(
    scene: Scene, entry: dict[str, Any], where: str, shared: dict[str, str]
) -> bool:
    """Whether the other side of the pack's merge conflict is there already, so that what both meant is to be written: git
    reports the conflict, the lines of the other stand in a file that the prompt shows, or a check misses them.
    """
    other = str(entry.get("clash") or "")
    if not other:
        return False
    if any(
        b.kind == "conflict"
        or (b.kind == "finding" and f"the accept of {other}," in b.text)
        for b in scene.blocks
    ):
        return True
    for path in shared:
        mine, theirs = (
            {*re.findall(r"\w+", _read(side, path))}
            for side in (where, _beside(where, other))
        )
        shown = {
            word
            for b in scene.of("file")
            if b.status == path
            for word in re.findall(r"\w+", b.text)
        }
        if theirs - mine and theirs - mine <= shown:
            return True
    return False


def _beside(where: str, other: str) -> str:
    return os.path.join(os.path.dirname(where), other)


def _read(folder: str, path: str) -> str:
    with open(os.path.join(folder, path), encoding="utf-8") as file:
        return file.read()


def _right(scene: Scene, flaw: dict[str, Any]) -> bool:
    """Whether the file that is worked on again has it right already."""
    return scene.form == "revise" and any(
        b.status == flaw["file"] and flaw["good"] in b.text + "\n"
        for b in scene.of("file")
    )


def _mended(scene: Scene, seen_by: str) -> bool:
    """Whether somebody has pointed at a flaw of that kind: a re-ask or red checks for what a program sees, a review, a red gate."""
    if seen_by == "review":
        return bool(scene.of("review"))
    if seen_by == "gate":
        return (
            any(b.kind == "finding" and "journey" in b.text for b in scene.blocks)
            or scene.reasked == "gate"
        )
    return bool(scene.of("finding")) or bool(scene.of("review")) or bool(scene.reasked)


def play_review(scene: Scene) -> str:
    """A review: the flaw that a reviewer can see, quoted, where the change has it; else an approval that says what was checked."""
    _, entry, _ = _parts(scene)
    diff = "\n".join(b.text for b in scene.of("diff"))
    added = "\n".join(
        line[1:]
        for line in diff.splitlines()
        if line.startswith("+") and not line.startswith("+++")
    )
    voice = library.voice(scene.me)
    for flaw in entry.get("flaws", []):
        if flaw["seen_by"] == "review" and flaw["bad"].strip("\n") in added:
            line = _line(scene.of("file"), flaw["file"], flaw["bad"])
            note = " ".join(str(flaw["objection"]).split())
            return f"---\nverdict: changes\n---\n- {flaw['file']}:{line}: {note}\n"
    touched = re.findall(r"^\+\+\+ b/(\S+)", diff, re.MULTILINE)
    hardest = (
        min(touched, key=lambda path: draw_number(scene.me, path))
        if touched
        else "the change"
    )
    return (
        "---\nverdict: approve\n---\n"
        f"I checked hardest whether {hardest} keeps to what the stories promise, with an eye for the {voice.lens}. It does.\n"
    )


def _line(files: list[FencedBlock], path: str, bad: str) -> int:
    text = next((b.text for b in files if b.status == path), "")
    at = text.find(bad.strip("\n"))
    return text.count("\n", 0, at) + 1 if at >= 0 else 1


def _answer(words: str, files: dict[str, str]) -> str:
    parts = [f"---\nkind: work\n---\n{words}\n"]
    for path, text in files.items():
        fence = FENCE
        while fence in text:
            fence += "~"
        parts.append(
            f"{fence}file path={path}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}\n"
        )
    return "\n".join(parts)

"""The rehearsal packs as files: their manifests, the trees that their tasks make, their documents."""

import functools
import os
import shutil
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from catherd.bus import yaml_read
from catherd.design.checks.plans import MILESTONES

SWEEP = bool(os.environ.get("CATHERD_SWEEP"))


PACKS = Path(__file__).parents[2] / "src" / "catherd" / "rehearsal" / "packs"


NAMES = ["lending-shelf", "halfpast"]


KEYS = [
    "index",
    "ux",
    "journeys",
    "stories",
    "architecture",
    "api",
    "data",
    "decisions",
    "roadmap",
    "tasks",
]


@functools.cache
def manifest(name: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml_read.read_yaml(str(PACKS / name / "pack.yaml")).data
    return data


@functools.cache
def planned(name: str) -> dict[str, dict[str, Any]]:
    """docs/tasks of the pack, by id."""
    files = sorted(
        (PACKS / name / "design" / "tasks" / "docs" / "tasks").glob("T-*.yaml")
    )
    return {file.stem: yaml_read.read_yaml(str(file)).data for file in files}


def built(name: str, upto: str = "release") -> list[str]:
    """The tasks that have an answer, milestone by milestone, each after those that it needs."""
    order: list[str] = []
    for milestone in MILESTONES[: MILESTONES.index(upto) + 1]:
        ids = manifest(name)["milestones"][milestone]
        graph = {
            ident: [need for need in planned(name)[ident]["needs"] if need in ids]
            for ident in ids
        }
        order += TopologicalSorter(graph).static_order()
    return order


def below(folder: Path, skip: str = "resolved") -> set[str]:
    """The files below `folder`, relative to it, without those of `skip` and what an installation compiles."""
    files = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return {
        str(file)
        for file in files
        if file.parts[0] != skip and "__pycache__" not in file.parts
    }


def lay(part: Path, root: Path, *, resolved: bool = False) -> None:
    """Copies the files of a part into `root`; with `resolved`, those that hold both sides of the clash."""
    for file in below(part):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(part / file, root / file)
    if resolved and (part / "resolved").is_dir():
        lay(part / "resolved", root)


def merge(name: str, task: str, root: Path) -> None:
    """What is in `root` once `task` is merged."""
    entry = next(entry for entry in manifest(name)["tasks"] if entry["id"] == task)
    clash = entry.get("clash")
    done = clash is not None and set(planned(name)[clash]["artifacts"]) <= below(root)
    lay(PACKS / name / "build" / task, root, resolved=done)


def tree(name: str, tasks: Iterable[str], root: Path) -> Path:
    """`root`, with these tasks merged one after the other."""
    for task in tasks:
        merge(name, task, root)
    return root


def document(name: str, root: Path, keys: Iterable[str] = KEYS) -> Path:
    """`root`, with these artifacts of the design merged, both sides of the clash included."""
    for key in keys:
        lay(PACKS / name / "design" / key, root, resolved=True)
    return root

"""Packs: for an idea that can be built, the right files and the flaws of the first
attempt.

A pack is a folder below `packs/`. Its `design/` and `build/` hold the right files of
each part, its `pack.yaml` the flaws.
"""

import os
from functools import lru_cache

import msgspec

from catherd.bus import yaml_read
from catherd.core.model import ModelError

PACKS = os.path.join(os.path.dirname(__file__), "packs")


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent gets wrong at first: `good` occurs once in `file` and is `bad`
    there.

    `seen_by` is what notices it: check, accept, review or gate. `objection` is what a
    reviewer says of it.
    """

    file: str
    good: str
    bad: str
    seen_by: str
    objection: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the document (`key`) or a task (`id`), with its flaws.

    `clash` names the part that changes the same lines without an order between the two.
    """

    key: str = ""
    id: str = ""
    clash: str = ""
    flaws: tuple[Flaw, ...] = ()


class _Manifest(msgspec.Struct, frozen=True):
    """`pack.yaml`."""

    idea: str
    design: list[Part]
    tasks: list[Part]


class Pack(msgspec.Struct, frozen=True):
    """The pack of an idea: its folder, the parts of its document and its tasks."""

    folder: str
    design: list[Part]
    tasks: list[Part]

    def part(self, key: str) -> Part:
        """The part of the document called `key`.

        One without flaws where it is not listed.
        """
        return next((one for one in self.design if one.key == key), Part())

    def task(self, ident: str) -> Part:
        """The task `ident`; one without flaws where it is not listed."""
        return next((one for one in self.tasks if one.id == ident), Part())


@lru_cache(maxsize=4)
def find_pack(title: str) -> Pack:
    """The pack of the decided idea. Raises ModelError where there is none."""
    for name in sorted(os.listdir(PACKS)):
        path = os.path.join(PACKS, name, "pack.yaml")
        if not os.path.isfile(path):
            continue
        found = msgspec.convert(yaml_read.read_yaml(path).data, _Manifest)
        if found.idea.casefold() == title.casefold():
            return Pack(os.path.join(PACKS, name), found.design, found.tasks)

    raise ModelError(
        "refused",
        f"the rehearsal can debate '{title}' but not build it: it has packs for two ideas only",
    )


def last_phase(title: str) -> str:
    """The last phase for which the pack of the decided idea has files.

    It is debate where there is no pack.
    """
    try:
        folder = find_pack(title).folder
    except ModelError:
        return "debate"

    last = "plan"
    plans = os.path.join(folder, "design", "tasks", "docs", "tasks")
    # The numbers of the tasks follow the milestones.
    for name in sorted(os.listdir(plans)):
        if os.path.isdir(os.path.join(folder, "build", name.removesuffix(".yaml"))):
            plan = yaml_read.read_yaml(os.path.join(plans, name))
            last = str(plan.data["milestone"])

    return last


def files_below(where: str, skip: str = "resolved") -> dict[str, str]:
    """Path below `where` → text of each file.

    The folder `skip` at the top is left out.
    """
    found = {}
    for folder, folders, names in os.walk(where):
        if folder == where and skip in folders:
            folders.remove(skip)

        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), where)
            found[path] = pack_text(where, path)

    return found


def pack_text(folder: str, path: str) -> str:
    """The text of the file at `path` below `folder`."""
    with open(os.path.join(folder, path), encoding="utf-8") as file:
        return file.read()

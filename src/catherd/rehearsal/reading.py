"""What the rehearsal model reads out of a prompt.

A prompt has task lines outside its fences and texts inside them. A Scene holds both.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from catherd.core.model import Request

T = TypeVar("T")
_FENCE = re.compile(
    r"^<<<data ([0-9a-f]{8}) (.+)\n((?:.*\n)*?)>>>data \1$", re.MULTILINE
)
_LABEL = re.compile(r"(\w+)(?: by ([\w-]+))?(?: (?:to|for) ([\w-]+))?(?:, (.+))?$")
_TARGETS = (
    r"^(?:Object to|Answer the objections by|Answer message|Speak for one of|Speak for"
    r"|Candidates): (.+)$"
)
_CHAT = re.compile(
    r"^(m\d+) ([\w-]+)(?: \(to (m\d+)\))?( \(binding\))?: (.*)$", re.MULTILINE
)


class FencedBlock(msgspec.Struct, frozen=True):
    """One fence of a prompt.

    The label `objection by birch to amber` has the kind objection, by birch, to amber.
    `status` is the text after a comma in the label.
    """

    kind: str
    by: str
    to: str
    status: str
    text: str


class Line(msgspec.Struct, frozen=True):
    """One message of the chat.

    `by` wrote it, `to` is the id of the message that it answers. A `binding` message is
    a constraint of the person's.
    """

    id: str
    by: str
    to: str
    text: str
    binding: bool = False


class Scene(msgspec.Struct, frozen=True):
    """A prompt, read. Names that a task line did not give are empty.

    `targets` are those of this round: the rivals to object to, the critics to answer,
    the proposals that may be spoken for, or the candidates.
    """

    me: str
    step: str
    form: str
    code: str
    seed: int
    roll: list[str]
    targets: list[str]
    own: bool
    blocks: list[FencedBlock]
    chat: list[Line]
    brief: str
    bare: str = ""  # the prompt outside its fences
    reasked: str = ""  # the complaint about the last answer, where it is asked again

    def of(self, kind: str) -> list[FencedBlock]:
        """The fences of one kind, sorted.

        Nothing may depend on the order in which the prompt shows them.
        """
        found = [block for block in self.blocks if block.kind == kind]
        return sorted(found, key=lambda block: (block.to, block.by, block.text))

    def objections(self, code: str) -> list[FencedBlock]:
        """The objections to the proposal under a code name, sorted."""
        return [block for block in self.of("objection") if block.to == code]

    def proposal(self, code: str) -> FencedBlock | None:
        """The proposal under a code name, None where there is none."""
        return self._standing().get(code)

    def proposals(self) -> list[FencedBlock]:
        """Every proposal as it stands now, sorted by code name."""
        return [block for _, block in sorted(self._standing().items())]

    def _standing(self) -> dict[str, FencedBlock]:
        """Code name → the proposal, with its revisions put in."""
        now = {block.by: block for block in self.of("proposal")}
        for block in self.blocks:
            if block.kind == "standing":
                now[block.by] = block
            elif block.kind == "revision" and block.by in now:
                now[block.by] = _revised(now[block.by], block)

        return now

    def mine(self) -> FencedBlock | None:
        """The agent's own proposal, None where it has none."""
        return self.proposal(self.code) if self.code else None


def read_prompt(request: Request) -> Scene:
    """The scene that a request describes.

    The first message is the prompt. Later ones ask for the same answer again.
    """
    messages = [said.content for said in request.messages]
    prompt = messages[0] if messages else ""
    blocks = [_block(label, text) for _, label, text in _FENCE.findall(prompt)]
    bare = _FENCE.sub("", prompt)
    task = bare[bare.rfind("\nYour task: ") :]
    taking_part = _first(r"^Taking part: (.+)$", bare)
    briefs = [block.text.strip() for block in blocks if block.kind == "brief"]
    return Scene(
        me=_first(r"\(`([\w-]+)`\)", request.system) or request.agent,
        step=_first(r"^Your task: (\S+) \(\w+\)$", task),
        form=_first(r"^Your task: \S+ \((\w+)\)$", task),
        code=_first(r"^Your code name: ([\w-]+)", task),
        seed=request.seed,
        roll=sorted(taking_part.replace(",", " ").split()),
        targets=_targets(task),
        own="is your own" in task or "You speak for your own" in task,
        blocks=blocks,
        chat=_chat(blocks),
        brief=briefs[0] if briefs else "",
        bare=bare,
        reasked=messages[-1] if len(messages) > 1 else "",
    )


def _first(pattern: str, text: str) -> str:
    """The first group of the first match, "" where there is none."""
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def _targets(task: str) -> list[str]:
    """The names that the task line lists, sorted; none where it lists nobody."""
    listed = _first(_TARGETS, task)
    if not listed:
        return []
    return sorted(name for name in listed.split(", ") if name != "nobody")


def _chat(blocks: list[FencedBlock]) -> list[Line]:
    """The messages of the chat in the order of the prompt."""
    lines = []
    for block in blocks:
        if block.kind != "chat":
            continue
        for ident, by, to, binding, text in _CHAT.findall(block.text):
            lines.append(Line(ident, by, to, text, bool(binding)))

    return lines


def _block(label: str, text: str) -> FencedBlock:
    found = _LABEL.match(label)
    text = text.rstrip("\n")
    if found is None:
        return FencedBlock(label, "", "", "", text)
    kind, by, to, status = found.groups(default="")
    return FencedBlock(kind, by, to, status, text)


def _revised(before: FencedBlock, revision: FencedBlock) -> FencedBlock:
    """A proposal with the title of its revision and, under the headings of that, its
    text.
    """
    head, *changed = _sections(revision.text)
    instead = {_heading(section): section for section in changed}
    kept = [
        instead.get(_heading(section), section)
        for section in _sections(before.text)[1:]
    ]
    return msgspec.structs.replace(before, text="\n\n".join([head, *kept]))


def _sections(text: str) -> list[str]:
    """What stands before the first heading, then each section with its heading."""
    parts = re.split(r"^(?=## )", text + "\n", flags=re.MULTILINE)
    return [part.strip() for part in parts]


def _heading(section: str) -> str:
    return section.partition("\n")[0]


def title(block: FencedBlock) -> str:
    """The title of a proposal."""
    return block.text.split("\n", 1)[0].removeprefix("# ").strip()


def proposal_body(block: FencedBlock) -> str:
    """A proposal without its title."""
    return block.text.partition("\n")[2].strip("\n")


def draw_number(*parts: object) -> int:
    """A number below 2**48 that depends on the parts and on nothing else."""
    joined = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(joined.encode()).digest()[:6], "big")


def pick(options: Sequence[T], *parts: object) -> T:
    """One of `options`, always the same for the same parts."""
    return options[draw_number(*parts) % len(options)]

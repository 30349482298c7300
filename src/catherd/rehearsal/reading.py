"""What the rehearsal model reads out of a prompt: the task lines outside the fences, and the texts inside them."""

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
_CHAT = re.compile(
    r"^(m\d+) ([\w-]+)(?: \(to (m\d+)\))?( \(binding\))?: (.*)$", re.MULTILINE
)


class FencedBlock(msgspec.Struct, frozen=True):
    """One fence: `objection by birch to amber` has kind objection, by birch, to amber; `status` is what follows a comma."""

    kind: str
    by: str
    to: str
    status: str
    text: str


class Line(msgspec.Struct, frozen=True):
    """One chat message: its id, who wrote it, the id that it answers, the text, and whether it is a constraint of the person's."""

    id: str
    by: str
    to: str
    text: str
    binding: bool = False


class Scene(msgspec.Struct, frozen=True):
    """A prompt, read. Names that a task line did not give are empty."""

    me: str
    step: str
    form: str
    code: str
    seed: int
    roll: list[str]
    targets: list[
        str
    ]  # of this round: whom to object to, whom to answer, what may be spoken for, the candidates
    own: bool
    blocks: list[FencedBlock]
    chat: list[Line]
    brief: str
    bare: str = ""  # the prompt outside its fences
    reasked: str = ""  # the complaint about the last answer, where it is asked again

    def of(self, kind: str) -> list[FencedBlock]:
        """The fences of one kind, sorted: nothing may depend on the order in which they were shown."""
        return sorted(
            (b for b in self.blocks if b.kind == kind),
            key=lambda b: (b.to, b.by, b.text),
        )

    def proposal(self, code: str) -> FencedBlock | None:
        """The proposal under a code name."""
        return next((b for b in self.proposals() if b.by == code), None)

    def proposals(self) -> list[FencedBlock]:
        """Every proposal as it stands now, sorted."""
        now = {b.by: b for b in self.of("proposal")}
        for b in self.blocks:
            if b.kind == "standing":
                now[b.by] = b
            elif b.kind == "revision" and b.by in now:
                now[b.by] = msgspec.structs.replace(
                    now[b.by], text=_revised(now[b.by].text, b.text)
                )
        return [now[by] for by in sorted(now)]

    def mine(self) -> FencedBlock | None:
        """The agent's own proposal."""
        return self.proposal(self.code) if self.code else None


def read_prompt(request: Request) -> Scene:
    """The scene that a request describes. The first message is the prompt; later ones are re-asks of the same."""
    prompt = request.messages[0].content if request.messages else ""
    blocks = [_block(label, text) for _, label, text in _FENCE.findall(prompt)]
    bare = _FENCE.sub("", prompt)
    task = bare[bare.rfind("\nYour task: ") :]
    found = re.search(r"^Your task: (\S+) \((\w+)\)$", task, re.MULTILINE)
    named = re.search(r"\(`([\w-]+)`\)", request.system)
    targets = re.search(
        r"^(?:Object to|Answer the objections by|Answer message|Speak for one of|Speak for|Candidates): (.+)$",
        task,
        re.MULTILINE,
    )
    said = [m for b in blocks if b.kind == "chat" for m in _CHAT.findall(b.text)]
    chat = [Line(m, by, to, text, bool(binding)) for m, by, to, binding, text in said]
    return Scene(
        me=named[1] if named else request.agent,
        step=found[1] if found else "",
        form=found[2] if found else "",
        code=_one(r"^Your code name: ([\w-]+)", task),
        seed=request.seed,
        roll=sorted(_one(r"^Taking part: (.+)$", bare).replace(",", " ").split()),
        targets=sorted(t for t in targets[1].split(", ") if t != "nobody")
        if targets
        else [],
        own="is your own" in task or "You speak for your own" in task,
        blocks=blocks,
        chat=chat,
        brief=next((b.text.strip() for b in blocks if b.kind == "brief"), ""),
        bare=bare,
        reasked=request.messages[-1].content if len(request.messages) > 1 else "",
    )


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def _block(label: str, text: str) -> FencedBlock:
    found = _LABEL.match(label)
    kind, by, to, status = found.groups(default="") if found else (label, "", "", "")
    return FencedBlock(kind, by, to, status, text.rstrip("\n"))


def _revised(before: str, part: str) -> str:
    """A proposal with the title of `part` and, under the headings that it has, its text."""
    was, new = (
        re.split(r"^(?=## )", text + "\n", flags=re.MULTILINE)
        for text in (before, part)
    )
    instead = {section.partition("\n")[0]: section.strip() for section in new[1:]}
    kept = [
        instead.get(section.partition("\n")[0], section.strip()) for section in was[1:]
    ]
    return "\n\n".join([new[0].strip(), *kept])


def title(block: FencedBlock) -> str:
    """The title of a proposal."""
    return block.text.split("\n", 1)[0].removeprefix("# ").strip()


def proposal_body(block: FencedBlock) -> str:
    """A proposal without its title."""
    return block.text.partition("\n")[2].strip("\n")


def draw_number(*parts: object) -> int:
    """A number that depends on the parts and on nothing else."""
    return int.from_bytes(
        hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:6], "big"
    )


def pick(options: Sequence[T], *parts: object) -> T:
    """One of `options`, always the same for the same parts."""
    return options[draw_number(*parts) % len(options)]

"""The group chat: an aside with each answer from round 2 on, and a line for an agent
that is called by name.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from catherd.rehearsal import library
from catherd.rehearsal.library import Voice
from catherd.rehearsal.reading import FencedBlock, Line, Scene, draw_number, pick, title


class Aside(NamedTuple):
    """A line for the chat and the id of the message that it answers.

    Both may be empty.
    """

    text: str = ""
    reply_to: str = ""


def opening_aside(scene: Scene) -> Aside:
    """Round 2: answer the person if they spoke, else tease a rival."""
    answer = _answer_to_you(scene)
    if answer is not None:
        return answer

    rivals = [block for block in scene.proposals() if block.by in scene.targets]
    if not rivals:
        return Aside()
    return Aside(_tease(scene, sorted(rivals, key=title)))


def _tease(scene: Scene, rivals: list[FencedBlock]) -> str:
    """A tease of one of the rivals: the one that this voice keeps, else a parody."""
    titles = [title(rival) for rival in rivals]

    rival = pick(rivals, "tease", scene.seed, scene.me, *titles)
    known = library.idea_behind(rival)
    parody = "a very small hammer looking for its nail"
    if known:
        kept = known.tease.get(scene.me, "")
        if kept and _all_there(scene, kept):
            return kept
        parody = known.parody

    frame = pick(library.voice(scene.me).tease, "tease", scene.me, title(rival))
    return _voiced(scene, frame.format(title=title(rival), parody=parody))


def _all_there(scene: Scene, text: str) -> bool:
    """Whether everybody that `text` calls by name takes part."""
    return set(re.findall(r"@([\w-]+)", text)) <= set(scene.roll)


def banter(scene: Scene) -> Aside:
    """Round 3: answer a message about one's own idea, else one that a draw over the
    texts chooses.
    """
    return _respond(scene, library.voice(scene.me).banter)


def last_word(scene: Scene) -> Aside:
    """Round 4: have the last word in a thread, preferably one that answered this agent."""
    return _respond(scene, library.voice(scene.me).close)


def _respond(scene: Scene, frames: list[str]) -> Aside:
    """Answer the person, else the message that concerns this agent most."""
    answer = _answer_to_you(scene)
    if answer is not None:
        return answer
    line = _message_to_answer(scene)
    if line is None:
        return Aside()
    retort = _retort(scene.me, line)
    if retort:
        return Aside(_voiced(scene, retort), line.id)
    if _about_mine(scene, line):
        frames = library.voice(scene.me).defend

    own = scene.mine()
    frame = pick(frames, "aside", scene.seed, scene.me, scene.form, line.by, line.text)
    said = frame.format(
        who=line.by,
        quote=_short(line.text),
        title=title(own) if own else "nothing at all",
    )
    return Aside(_voiced(scene, said), line.id)


def _message_to_answer(scene: Scene) -> Line | None:
    """The message of another agent that concerns this one most; None where there is
    none.

    Replies to mentions arrive at any time. Nothing may depend on which of them were in
    time for this ask, so they are left out.
    """
    lines = [line for line in scene.chat if not _was_reply(line)]
    others = [line for line in lines if line.by not in {scene.me, "you", "catherd"}]
    return min(others, key=_concern(scene, lines), default=None)


def _concern(scene: Scene, lines: list[Line]) -> Callable[[Line], tuple[int, int]]:
    """How a message ranks: least is what concerns this agent most.

    A draw decides ties.
    """
    written = {line.id for line in lines if line.by == scene.me}
    answered = {line.to for line in lines if line.by == scene.me}

    def rank(line: Line) -> tuple[int, int]:
        # A mention is answered by `reply_aside`, not here. Neither is a message that
        # this agent has answered already.
        elsewhere = line.id in answered or f"@{scene.me}" in line.text
        concern = -4 if elsewhere else 0
        if line.to in written:
            concern += 2

        if line.to:
            concern += 1

        if _about_mine(scene, line):
            concern += 1

        draw = draw_number("who", scene.seed, scene.me, line.by, line.text)
        return -concern, draw

    return rank


def _about_mine(scene: Scene, line: Line) -> bool:
    """Whether a message names the agent's own proposal."""
    own = scene.mine()
    return own is not None and title(own).lower() in line.text.lower()


def reply_aside(scene: Scene) -> str:
    """The whole answer to a mention: front matter, then the line.

    A tease about the agent's own idea gets its retort, the person gets a careful
    answer, and others get a line.
    """
    line = _mention(scene)
    frame = pick(_frames(scene, line), "mention", scene.me, line.by, line.text)
    said = frame.format(who=line.by, quote=_short(line.text))
    text = _voiced(scene, _retort(scene.me, line) or said)
    reply_to = f"reply_to: {line.id}\n" if line.id else ""
    return f"---\nkind: chat\n{reply_to}---\n{text}\n"


def _mention(scene: Scene) -> Line:
    """The message to reply to: the one asked about, else the last that names the agent,
    else the last.
    """
    for line in scene.chat:
        if line.id in scene.targets:
            return line

    for line in reversed(scene.chat):
        if f"@{scene.me}" in line.text and line.by != scene.me:
            return line

    return scene.chat[-1] if scene.chat else Line("", "you", "", "")


def _frames(scene: Scene, line: Line) -> list[str]:
    """What the voice has for a message of an agent, of the person, or for a constraint."""
    voice: Voice = library.voice(scene.me)
    if line.by != "you":
        return voice.answer
    return voice.bound if line.binding else voice.to_you


def _answer_to_you(scene: Scene) -> Aside | None:
    """The answer to the person's latest message.

    None where it is not this agent's to give.
    """
    line = next((line for line in reversed(scene.chat) if line.by == "you"), None)
    if line is None or not _mine_to_answer(scene, line):
        return None
    frame = pick(_frames(scene, line), "you", scene.me, line.text)
    return Aside(_voiced(scene, frame.format(quote=_short(line.text))), line.id)


def _voiced(scene: Scene, text: str) -> str:
    """The text as this voice writes it: the wild one never uses a capital letter, not
    in quotes either.
    """
    return text.lower() if library.voice(scene.me).lens == "wild" else text


def _retort(me: str, line: Line) -> str:
    """The line that `me` keeps for exactly this tease; "" where it keeps none."""
    for name in library.shelf():
        known = library.idea(name)
        if known and line.text == known.tease.get(line.by):
            return known.retort.get(me, {}).get(line.by, "")
    return ""


def _was_reply(line: Line) -> bool:
    """Whether a rehearsed agent said this because it was called by name."""
    if any(line.text in _retorts(name, line.by) for name in library.shelf()):
        return True
    voice = library.voice(line.by)
    frames = [*voice.answer, *voice.to_you, *voice.bound]
    return any(_fills(frame, line.text) for frame in frames)


def _fills(frame: str, text: str) -> bool:
    """Whether `text` is the frame with something in its slots."""
    pattern = re.sub(r"\\\{\w+\\\}", ".*", re.escape(frame))
    return re.fullmatch(pattern, text) is not None


def _retorts(name: str, by: str) -> list[str]:
    """The answers of `by` to the teases of the idea `name` that call it by name."""
    known = library.idea(name)
    if known is None:
        return []
    answers = known.retort.get(by, {})
    return [text for who, text in answers.items() if f"@{by}" in known.tease[who]]


def _mine_to_answer(scene: Scene, line: Line) -> bool:
    """Whether this agent answers the person in passing.

    It does so once, when the message names nobody and the draw over the roll hits it.
    """
    if "@" in line.text or not scene.roll:
        return False
    if any(other.by == scene.me and other.to == line.id for other in scene.chat):
        return False
    return pick(scene.roll, "host", line.text) == scene.me


def _short(text: str) -> str:
    """The first words of a message, to quote it back without the names that it called."""
    text = _without_names(text)
    sentences = re.split(r"(?<=[.!?])\s", text)
    long_enough = [one for one in sentences if len(one.split()) > 2]
    words = next(iter(long_enough), text).split()
    more = "…" if len(words) > 8 else ""
    return " ".join(words[:8]).rstrip(".,;:?!") + more


def _without_names(text: str) -> str:
    """The text on one line without the names that it calls, and without quotes and
    braces.
    """
    text = re.sub(r"^(?:@[\w-]+|[\w-]+(?=[,:] ))[,:]?\s*", "", text)
    text = re.sub(r",? ?@[\w-]+|[\"“”‘{}]|’(?!\w)", "", text)
    return " ".join(text.split()).lstrip(" ,.:;?!")

"""The group chat: an aside with each answer from round 2 on, and a line for whoever is called by name."""

import re

from catherd.rehearsal import library
from catherd.rehearsal.reading import Line, Scene, draw_number, pick, title


def opening_aside(scene: Scene) -> tuple[str, str]:
    """Round 2: answer the person if they spoke, else tease the rival whose text suits this voice best."""
    voice = library.voice(scene.me)
    yours = _yours(scene)
    if yours and _mine_to_answer(scene, yours):
        return _to_you(scene, yours), yours.id
    rivals = [b for b in scene.proposals() if b.by in scene.targets]
    if not rivals:
        return "", ""
    rival = pick(
        sorted(rivals, key=title),
        "tease",
        scene.seed,
        scene.me,
        *sorted(title(b) for b in rivals),
    )
    known = library.idea(library.title_slug(title(rival)))
    said = known.tease.get(scene.me, "") if known else ""
    if said and set(re.findall(r"@([\w-]+)", said)) <= set(
        scene.roll
    ):  # nobody is called who is not there
        return said, ""
    parody = known.parody if known else "a very small hammer looking for its nail"
    return _voiced(
        scene,
        pick(voice.tease, "tease", scene.me, title(rival)).format(
            title=title(rival), parody=parody
        ),
    ), ""


def second(scene: Scene) -> tuple[str, str]:
    """Round 3: answer what was said about one's own idea, else whatever a draw over the texts points at."""
    return _respond(scene, library.voice(scene.me).banter)


def third(scene: Scene) -> tuple[str, str]:
    """Round 4: have the last word in a thread, preferably one that answered this agent."""
    return _respond(scene, library.voice(scene.me).close)


def _respond(scene: Scene, frames: list[str]) -> tuple[str, str]:
    voice = library.voice(scene.me)
    yours = _yours(scene)
    if yours and _mine_to_answer(scene, yours):
        return _to_you(scene, yours), yours.id
    # Answers to mentions come whenever they come: nothing may hang on which of them were in time for this ask.
    lines = [line for line in scene.chat if not _was_reply(line)]
    others = [line for line in lines if line.by not in {scene.me, "you", "catherd"}]
    if not others:
        return "", ""
    own = scene.mine()
    written = {line.id for line in lines if line.by == scene.me}
    answered = {line.to for line in lines if line.by == scene.me}

    def rank(line: Line) -> tuple[int, int]:
        elsewhere = (
            line.id in answered or f"@{scene.me}" in line.text
        )  # a mention is answered by `reply`
        about = own is not None and title(own).lower() in line.text.lower()
        return (
            4 * elsewhere - 2 * (line.to in written) - about - bool(line.to),
            draw_number("who", scene.seed, scene.me, line.by, line.text),
        )

    line = min(others, key=rank)
    retort = _retort(scene.me, line)
    about = own is not None and title(own).lower() in line.text.lower()
    said = retort or pick(
        voice.defend if about else frames,
        "aside",
        scene.seed,
        scene.me,
        scene.form,
        line.by,
        line.text,
    )
    slots = {
        "who": line.by,
        "quote": _short(line.text),
        "title": title(own) if own else "nothing at all",
    }
    return _voiced(scene, said if retort else said.format(**slots)), line.id


def reply_aside(scene: Scene) -> str:
    """A mention is answered: a tease about one's own idea as it deserves, the person with care, others with a line."""
    voice = library.voice(scene.me)
    named = [
        line
        for line in scene.chat
        if f"@{scene.me}" in line.text and line.by != scene.me
    ]
    asked = [line for line in scene.chat if line.id in scene.targets]
    line = (
        asked[0]
        if asked
        else named[-1]
        if named
        else scene.chat[-1]
        if scene.chat
        else Line("", "you", "", "")
    )
    frames = (
        voice.answer
        if line.by != "you"
        else voice.bound
        if line.binding
        else voice.to_you
    )
    said = pick(frames, "mention", scene.me, line.by, line.text).format(
        who=line.by, quote=_short(line.text)
    )
    head = ["---", "kind: chat", *([f"reply_to: {line.id}"] if line.id else []), "---"]
    return "\n".join([*head, _voiced(scene, _retort(scene.me, line) or said), ""])


def _to_you(scene: Scene, line: Line) -> str:
    voice = library.voice(scene.me)
    frames = voice.bound if line.binding else voice.to_you
    return _voiced(
        scene, pick(frames, "you", scene.me, line.text).format(quote=_short(line.text))
    )


def _voiced(scene: Scene, text: str) -> str:
    """Whoever never uses a capital letter quotes without them too."""
    return text.lower() if library.voice(scene.me).lens == "wild" else text


def _retort(me: str, line: Line) -> str:
    """What `me` has always wanted to answer to exactly this tease."""
    for name in library.shelf():
        known = library.idea(name)
        if known and line.text == known.tease.get(line.by):
            return known.retort.get(me, {}).get(line.by, "")
    return ""


def _was_reply(line: Line) -> bool:
    """Whether a rehearsed agent said this because it was called by name."""
    voice = library.voice(line.by)
    if any(
        line.text == said
        for name in library.shelf()
        for said in _retorts(name, line.by)
    ):
        return True
    return any(
        re.fullmatch(re.sub(r"\\\{\w+\\\}", ".*", re.escape(frame)), line.text)
        for frame in voice.answer + voice.to_you + voice.bound
    )


def _retorts(name: str, by: str) -> list[str]:
    """What `by` answers to the teases that call it by name."""
    known = library.idea(name)
    said = known.retort.get(by, {}) if known else {}
    return [
        text for who, text in said.items() if known and f"@{by}" in known.tease[who]
    ]


def _yours(scene: Scene) -> Line | None:
    """The person's latest message."""
    return next((line for line in reversed(scene.chat) if line.by == "you"), None)


def _mine_to_answer(scene: Scene, line: Line) -> bool:
    """Whether this agent answers the person in passing: nobody was named, the draw over the roll hits it, and once."""
    if "@" in line.text or any(
        other.by == scene.me and other.to == line.id for other in scene.chat
    ):
        return False
    return bool(scene.roll) and pick(scene.roll, "host", line.text) == scene.me


def _short(text: str) -> str:
    """The first words of a message, as one quotes it back: without the names that it called."""
    text = re.sub(r"^(?:@[\w-]+|[\w-]+(?=[,:] ))[,:]?\s*", "", text)
    text = re.sub(r",? ?@[\w-]+|[\"“”‘{}]|’(?!\w)", "", text)
    text = " ".join(text.split()).lstrip(" ,.:;?!")
    sentences = re.split(r"(?<=[.!?])\s", text)
    words = next((s for s in sentences if len(s.split()) > 2), text).split()
    return " ".join(words[:8]).rstrip(".,;:?!") + ("…" if len(words) > 8 else "")

"""The group chat: an aside with each answer from round 2 on, and a line for whoever is called by name."""

import re

from catherd.rehearsal import library
from catherd.rehearsal.reading import Line, Scene, draw, pick, title


def opening(scene: Scene) -> tuple[str, str]:
    """Round 2: answer the person if they spoke, else tease the rival whose text suits this voice best."""
    voice = library.voice(scene.me)
    yours = _yours(scene)
    if yours and _mine_to_answer(scene, yours):
        return pick(voice.to_you, "you", scene.me, yours.text).format(quote=_short(yours.text)), yours.id
    rivals = [b for b in scene.proposals() if b.by in scene.targets]
    if not rivals:
        return "", ""
    rival = pick(sorted(rivals, key=title), "tease", scene.me, *sorted(title(b) for b in rivals))
    known = library.idea(library.slug(title(rival)))
    said = known.tease.get(scene.me, "") if known else ""
    if said and set(re.findall(r"@([\w-]+)", said)) <= set(scene.roll):  # nobody is called who is not there
        return said, ""
    parody = known.parody if known else "a very small hammer looking for its nail"
    return pick(voice.tease, "tease", scene.me, title(rival)).format(title=title(rival), parody=parody), ""


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
        return pick(voice.to_you, "you", scene.me, yours.text).format(quote=_short(yours.text)), yours.id
    others = [line for line in scene.chat if line.by not in {scene.me, "you", "catherd"}]
    if not others:
        return "", ""
    own = scene.mine()
    written = {line.id for line in scene.chat if line.by == scene.me}
    answered = {line.to for line in scene.chat if line.by == scene.me}

    def rank(line: Line) -> tuple[int, int]:
        to_me = line.to in written or f"@{scene.me}" in line.text
        about = own is not None and title(own) in line.text
        return (
            -2 * (line.id not in answered) - 2 * to_me - about - bool(line.to),
            draw("who", scene.me, line.by, line.text),
        )

    line = min(others, key=rank)
    about = own is not None and title(own) in line.text
    known = library.idea(library.slug(title(own))) if own and about else None
    if known and line.text == known.tease.get(line.by) and line.by in known.retort.get(scene.me, {}):
        return known.retort[scene.me][line.by], line.id
    said = pick(voice.defend if about else frames, "aside", scene.me, scene.form, line.by, line.text)
    return said.format(who=line.by, quote=_short(line.text), title=title(own) if own else "nothing at all"), line.id


def reply(scene: Scene) -> str:
    """A mention is answered."""
    voice = library.voice(scene.me)
    named = [line for line in scene.chat if f"@{scene.me}" in line.text and line.by != scene.me]
    line = named[-1] if named else scene.chat[-1] if scene.chat else Line("", "you", "", "")
    frames = voice.to_you if line.by == "you" else voice.answer
    said = pick(frames, "mention", scene.me, line.by, line.text).format(who=line.by, quote=_short(line.text))
    return "\n".join(["---", "kind: chat", *([f"reply_to: {line.id}"] if line.id else []), "---", said, ""])


def _yours(scene: Scene) -> Line | None:
    """The person's latest message."""
    return next((line for line in reversed(scene.chat) if line.by == "you"), None)


def _mine_to_answer(scene: Scene, line: Line) -> bool:
    """Whether this agent answers the person: it was named, or nobody was and the draw over the roll hits it; once."""
    if any(other.by == scene.me and other.to == line.id for other in scene.chat):
        return False
    named = re.findall(r"@([\w-]+)", line.text)
    return scene.me in named if named else bool(scene.roll) and pick(scene.roll, "host", line.text) == scene.me


def _short(text: str) -> str:
    """The first words of a message, as one quotes it back: without the names that it called."""
    text = re.sub(r"^(?:@[\w-]+|[\w-]+(?=, ))[,:]?\s*", "", text)
    text = re.sub(r",? ?@[\w-]+|[\"{}]", "", text).replace("“", "‘").replace("”", "’")
    sentence = re.split(r"(?<=[.!?])\s", " ".join(text.split()).lstrip(" ,.:;?!"))[0]
    words = sentence.split()
    return " ".join(words[:8]).rstrip(".,;:?!") + ("…" if len(words) > 8 else "")

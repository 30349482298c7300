"""The ballot.

A score is read off the frozen texts, the statements and the open objections, and each
voice weighs them in its own way.
"""

import re

from catherd.rehearsal import library
from catherd.rehearsal.library import Voice
from catherd.rehearsal.reading import FencedBlock, Scene, draw_number, pick, title

_WEB = r"(?i)\b(web|browser|page|website|site|html|neighbou?rs?|lend\w*|click\w*)\b"
_TERMINAL = r"(?i)\b(terminal|command|commands|command-line|cli|shell|console|prompt|keyboard)\b"
_NEEDS = r"(?i)\b(record\w*|microphone|phone|camera|photos?|forecast|weather|strangers|volunteers|calendar|dictionary|units|GPS|map|gong|lamp|everyone)\b"
_ODD = r"(?i)\b(ghosts?|moon|burn\w*|ashes|silence|sounds?|letters?|forget\w*|drill)\b"
_UNWANTED = (
    r"(?i)\b(?:no|not|without|never|instead of|rather than)(?:\s+(?!but\b)[\w-]+){1,3}"
)
_SALT = "lean-2681"
NOTHING_TO_RANK = """\
---
kind: ballot
abstain: true
why: there is nothing on this ballot that is not mine
---
"""


def medium(text: str) -> int:
    """1 when a web page is meant, -1 for a terminal, 0 for neither or both."""
    web = len(re.findall(_WEB, text))
    terminal = len(re.findall(_TERMINAL, text))
    return (web > terminal) - (web < terminal)


def wished(brief: str) -> int:
    """The medium that a brief asks for. Words after a `not` count for nothing."""
    return medium(re.sub(_UNWANTED, " ", brief))


def lean(me: str, seed: int) -> float:
    """A voice's taste in this game, from -1 (a terminal) to 1 (a page), never near 0.

    Most of a herd lean the same way.
    """
    tide = 1 if draw_number(_SALT, seed) % 2 == 0 else -1
    own = draw_number(_SALT, seed, me)
    way = tide if own % 4 else -tide
    return way * (0.6 + (own >> 8) % 400 / 1000)


def score(scene: Scene, proposal: FencedBlock) -> float:
    """What a proposal is worth to this voter: higher is better.

    Every term can be found in the texts that the voter was shown, but the last: a straw
    that decides between equals.
    """
    text, code = proposal.text, proposal.by
    worth = _buildable(scene.me, text)

    harshness = 1.5 if scene.me == "claude" else 1
    worth -= harshness * _still_open(scene, code)

    statements = [b for b in scene.of("statement") if b.to == code]
    worth += 0.5 * bool(statements)

    worth += _taste(scene.me, text)
    worth += _right_medium(scene, text)

    shared = _long_words(scene.brief) & _long_words(text)
    worth += min(1.0, 0.2 * len(shared))

    straw = draw_number("straw", scene.me, scene.seed, title(proposal)) % 1000
    return worth + straw / 10_000


def _buildable(me: str, text: str) -> float:
    """Points for a whole text, plain storage and a concrete plan, less for each need of
    the outside.
    """
    headings = [f"## {heading}" for heading in library.HEADINGS.values()]
    worth = 0.5 * sum(heading in text for heading in headings)

    if re.search(r"(?i)sqlite|plain text|text file", text):
        worth += 6.0

    plan = text.partition("## PoC in a day")[2].partition("\n## ")[0]
    commands = min(3, plan.count("`") // 2)
    worth += 0.5 * commands * (1.5 if me == "chatgpt" else 1)

    needs = {word.lower() for word in re.findall(_NEEDS, text)}
    return worth - min(3.0, 0.7 * len(needs))


def _still_open(scene: Scene, code: str) -> float:
    """The weight of the objections to a proposal.

    Only a ballot shows which are open.
    """
    if scene.form != "ballot":
        return 0.0
    weight = 0.0
    for block in scene.objections(code):
        weight += 1.0 if "not answered" in block.text else 0.6

    return weight


def _taste(me: str, text: str) -> float:
    """Points that one voice alone gives: gemini likes numbers, wildcard odd words."""
    if me == "gemini":
        return min(1.0, len(re.findall(r"\d+", text)) / 10)
    if me == "wildcard":
        return min(1.0, len(re.findall(_ODD, text)) / 4)
    return 0.0


def _right_medium(scene: Scene, text: str) -> float:
    """Whether it is a page or a terminal: as the brief wishes, else as this voice
    leans.
    """
    wanted = wished(scene.brief)
    if wanted:
        return 6.0 * wanted * medium(text)
    return 2.0 * lean(scene.me, scene.seed) * medium(text)


def _long_words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{5,}", text.lower()))


def play_ballot(scene: Scene) -> str:
    """Reasons for every candidate in the order of code names, then the ranking."""
    voice = library.voice(scene.me)
    proposals = {block.by: block for block in scene.proposals()}
    candidates = {by: proposals[by] for by in scene.targets if by in proposals}

    def rank(proposal: FencedBlock) -> float:
        return -score(scene, proposal)

    order = sorted(candidates.values(), key=rank)
    if not order:
        return NOTHING_TO_RANK

    parts = []
    for code, proposal in sorted(candidates.items()):
        place = order.index(proposal)
        frames = _frames(voice, place, last=len(order) - 1)
        reason = _reason(scene, proposal, frames)
        parts.append(f"## {code}\n{reason}\n")

    ranking = "\n".join(f"{n}. {block.by}" for n, block in enumerate(order, 1))
    text = "\n".join([*parts, "## Ranking", ranking])

    return f"---\nkind: ballot\n---\n{text}\n"


def _frames(voice: Voice, place: int, *, last: int) -> list[str]:
    """How a voice speaks of the first (0), of the `last` place, and of the others."""
    if place == 0:
        return voice.reason_high
    return voice.reason_low if place == last else voice.reason_mid


def _reason(scene: Scene, proposal: FencedBlock, frames: list[str]) -> str:
    """What is good and what is bad about a candidate."""
    known = library.idea_behind(proposal)
    good = "It says what is done and when it is done."
    bad = "nobody has tried it"
    if known:
        lens = library.voice(scene.me).lens
        good = known.best_point(lens)
        bad = known.weak

    objections = scene.objections(proposal.by)
    if objections:
        bad = _quoted(objections[0].text)

    frame = pick(frames, "reason", scene.me, title(proposal))
    return frame.format(title=title(proposal), good=good, bad=bad)


def _quoted(text: str) -> str:
    """The words that an open objection quotes, or its beginning."""
    found = re.search(r'["“]([^"”]{6,})["”]', text)
    if found:
        return f"“{found[1]}” is still open"
    return " ".join(text.removeprefix("Objection: ").split()[:14]) + " …"

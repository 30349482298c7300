"""The four rounds: a pitch, objections, answers and revisions, a final statement.

Each function reads its scene and nothing else.
"""

import re
from typing import NamedTuple

from catherd.rehearsal import library, talk, vote
from catherd.rehearsal.library import Idea, Spot
from catherd.rehearsal.reading import (
    FencedBlock,
    Scene,
    draw_number,
    pick,
    proposal_body,
    title,
)

TOPICS = [
    "sourdough",
    "tomatoes",
    "night trains",
    "choir practice",
    "the allotment",
    "chess openings",
    "bike tyres",
    "letters",
]
# Two authors who should merge in round 3 both say this in round 2.
ONE_APP = "one app"
FIRST_DAY = "The user does the core loop once on the first day and sees that it worked."
PROMISES = r"(?i)\b(every|all|always|never|just|simply|easy|any|will|best)\b"


class Found(NamedTuple):
    """What a voice finds in a rival's text: a weak spot and the best point."""

    spot: Spot
    best: str


class Verdict(NamedTuple):
    """What is said to one objection, and the proposal's text after it."""

    said: str
    text: str


class Fate(NamedTuple):
    """What becomes of a proposal: stand, revise, withdraw, or merge.

    A merge has a partner and the idea that the two become.
    """

    kind: str
    partner: str = ""
    merged: Idea | None = None


def envelope(head: dict[str, str], text: str) -> str:
    """An answer: front matter without the empty keys, then the text.

    A value is quoted where a colon in it could mislead.
    """
    lines = [f"{key}: {_quoted(value)}" for key, value in head.items() if value]
    return "\n".join(["---", *lines, "---", text.strip(), ""])


def _quoted(value: str) -> str:
    if re.fullmatch(r"[\w][\w .,;/-]*", value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def pitch(scene: Scene) -> str:
    """Round 1."""
    name = library.assigned(scene.me, scene.roll, scene.seed)
    alone = len(scene.roll) < 2
    if alone and vote.wished(scene.brief) < 0:
        name = library.TERMINAL

    found = library.shelved(name)
    topic = pick(TOPICS, "topic", scene.seed, scene.me)
    text = library.body_text(found.pitch)
    if scene.brief:
        text = _to_the_brief(text, scene.brief, found.fit)

    head = {"kind": "pitch", "title": found.title.replace("{topic}", topic)}
    return envelope(head, text.replace("{topic}", topic))


def _to_the_brief(text: str, brief: str, fit: str) -> str:
    """The pitch with an answer to the brief before its problem."""
    words = brief.split()
    asked = " ".join(words[:12]) + ("…" if len(words) > 12 else "")
    answer = f"The brief says “{asked}”. What this gives it: {fit}."
    return text.replace("\n\n## Problem", f"\n\n{answer}\n\n## Problem", 1)


def objections(scene: Scene) -> str:
    """Round 2: for each rival the weak spot that this voice's lens finds."""
    voice = library.voice(scene.me)
    mine = scene.mine()
    parts = []
    for code in scene.targets:
        rival = scene.proposal(code)
        if rival is None:
            continue
        spot, best = found_spot(rival, voice.lens, scene)
        said = spot.objection
        if mine and _pair(mine, rival):
            said = f"Read beside {scene.code} this is {ONE_APP} told twice. {said}"

        frame = pick(voice.object, "object", scene.me, title(rival))
        lines = [
            f"## {code}",
            f"Best point: {best}",
            f"Objection: {frame.format(quote=spot.quote, text=said)}",
            f"Question: {spot.question}",
            f"Risk: {spot.risk}, {spot.why}\n",
        ]
        parts.append("\n".join(lines))

    aside, to = talk.opening_aside(scene)
    head = {"kind": "objections", "aside": aside, "reply_to": to}
    return envelope(head, "\n".join(parts))


def found_spot(rival: FencedBlock, lens: str, scene: Scene) -> Found:
    """A weak spot of `rival` whose words really stand in it, through a lens.

    In a text that the shelf does not know it is the sentence that promises most.
    """
    known = library.idea_behind(rival)
    if known is None:
        return _unknown(rival, scene)

    for each in _lenses(known, lens, scene, rival):
        spot = known.spots.get(each)
        if spot is not None and spot.quote in rival.text:
            return Found(spot, known.best_point(each))

    return _unknown(rival, scene)


def _lenses(known: Idea, lens: str, scene: Scene, rival: FencedBlock) -> list[str]:
    """The lenses to look through, in order: one's own first; `any` draws its order."""
    if lens != "any":
        return [lens, *sorted(known.spots)]

    def draw(each: str) -> int:
        return draw_number("lens", scene.me, title(rival), each)

    return sorted(known.spots, key=draw)


def _unknown(rival: FencedBlock, scene: Scene) -> Found:
    quote = _boldest(rival, scene) or title(rival)
    best = f"“{title(rival)}” names one thing to do, and one can tell when it is done."
    spot = Spot(
        quote=quote,
        objection=pick(library.voice(scene.me).vague, "vague", scene.me, quote),
        question="If one person uses this for three days without its author, does the core loop happen on the third?",
        risk=3,
        why="nothing in the text says what is left out when the day is half over",
        stance="accept",
        reply="",
    )
    return Found(spot, best)


def _boldest(rival: FencedBlock, scene: Scene) -> str:
    """The first words of the sentence that promises most.

    "" where there is no sentence.
    """
    parts = re.split(r"(?<=[.!?])\s+|\n+", proposal_body(rival))
    plain = [part.strip() for part in parts if not part.startswith("#")]
    sentences = [part for part in plain if len(part.split()) >= 4]
    if not sentences:
        return ""

    def rank(sentence: str) -> tuple[int, int]:
        promises = len(re.findall(PROMISES, sentence))
        return -promises, draw_number("s", scene.me, sentence)

    boldest = min(sentences, key=rank)
    words = boldest.rstrip(".!?").split()
    return " ".join(words[:14]).replace('"', "'")


def _pair(one: FencedBlock, other: FencedBlock) -> bool:
    """Whether two proposals are really the same app, as both ideas say."""
    a, b = library.idea_behind(one), library.idea_behind(other)
    if a is None or b is None:
        return False
    return a.merges_with == library.title_slug(
        title(other)
    ) and b.merges_with == library.title_slug(title(one))


def answers(scene: Scene) -> str:
    """Round 3: every objection accepted or rebutted, then what becomes of the proposal.

    To accept changes the text. After that the author stands, revises, withdraws or
    merges.
    """
    own = scene.mine()
    if own is None or not scene.own:
        return _guest(scene)
    text = proposal_body(own)
    verdicts = []
    received = _received(scene)
    for block in received:
        said, text = _verdict(scene, library.idea_behind(own), block, text)
        verdicts.append(f"## {block.by}\n{said}\n")

    decision = _decide(scene, own, received, changed=text != proposal_body(own))
    aside, to = talk.banter(scene)
    head = {
        "kind": "answers",
        "decision": decision.kind,
        "merge_with": decision.partner,
        "aside": aside,
        "reply_to": to,
    }
    tail = ""
    if decision.kind == "revise":
        tail = f"# Proposal: {title(own)}\n{text}"
    elif decision.merged:
        merged = decision.merged
        tail = f"# Proposal: {merged.title}\n{library.body_text(merged.pitch)}"

    lead = _lead(scene, decision.kind, own)
    return envelope(head, "\n".join([*lead, *verdicts, tail]))


def _received(scene: Scene) -> list[FencedBlock]:
    """The objections to the agent's own proposal, in the order in which they are
    answered.
    """
    by_author = {block.by: block for block in scene.objections(scene.code)}
    return [by_author[by] for by in scene.targets if by in by_author]


def _guest(scene: Scene) -> str:
    """The answer of an agent that has no proposal of its own."""
    aside, to = talk.banter(scene)
    head = {"kind": "answers", "decision": "stand", "aside": aside, "reply_to": to}
    return envelope(head, pick(library.voice(scene.me).stand, "guest", scene.me))


def _lead(scene: Scene, kind: str, own: FencedBlock) -> list[str]:
    """The words that go before the verdicts.

    A revision speaks for itself and has none.
    """
    voice = library.voice(scene.me)
    frames = {"withdraw": voice.withdraw, "merge": voice.merge, "stand": voice.stand}
    if kind not in frames:
        return []
    return [pick(frames[kind], kind, scene.me, title(own)) + "\n"]


def _verdict(
    scene: Scene, known: Idea | None, block: FencedBlock, text: str
) -> Verdict:
    """The verdict on one objection: as the shelf has it, else by a draw."""
    said = re.search(r"^Objection: (.+)$", block.text, re.MULTILINE)
    objection = said[1] if said else block.text
    spot = _spot_meant(known, objection)
    if spot is None:
        return _unplanned(scene, objection, text)

    if spot.stance == "accept" and spot.old and spot.old in text:
        changed = text.replace(spot.old, spot.new, 1)
        return Verdict(_accept(scene, spot.quote, spot.reply), changed)

    if spot.reply:
        return Verdict(_rebut(scene, spot.quote, spot.reply), text)

    return _unplanned(scene, objection, text)


def _spot_meant(known: Idea | None, objection: str) -> Spot | None:
    """The weak spot that an objection quotes; None where the shelf has none such."""
    if known is None:
        return None
    spots = known.spots.values()
    return next((spot for spot in spots if spot.quote in objection), None)


def _unplanned(scene: Scene, objection: str, text: str) -> Verdict:
    """The verdict on an objection that the shelf has no answer to: half are accepted,
    by a draw.
    """
    words = " ".join(_quote(objection).split()[:12])
    drawn = draw_number("unknown", scene.me, objection) % 2
    room = len(text.split()) < 360

    if drawn and room and f"“{words}”" not in text:
        reply = f"the risk section now says so in plain words: “{words}” is an open point, and the first thing that the trial week tests."
        more = f"\n\nRaised in the debate: “{words}”. The first trial week tests this before anything else is built."
        return Verdict(_accept(scene, words, reply), _into_risk(text, more))

    reply = f"“{words}” would be fatal for a product for everyone. This is for the one person whom the first section names, and they can live with it."
    return Verdict(_rebut(scene, words, reply), text)


def _accept(scene: Scene, quote: str, reply: str) -> str:
    frame = pick(library.voice(scene.me).accept, "accept", scene.me, quote)
    return f"Accept: {frame.format(text=reply)}"


def _rebut(scene: Scene, quote: str, reply: str) -> str:
    frame = pick(library.voice(scene.me).rebut, "rebut", scene.me, quote)
    return f"Rebut: {frame.format(text=reply)}"


def _quote(objection: str) -> str:
    found = re.search(r'["“]([^"”]{6,})["”]', objection)
    return (found[1] if found else objection).replace('"', "'")


def _into_risk(text: str, more: str) -> str:
    """The text with `more` at the end of its section on risk, or at its own end."""
    at = text.find("## Biggest risk")
    end = text.find("\n## ", at + 4) if at >= 0 else -1
    if end <= 0:
        return text.rstrip() + more
    return text[:end].rstrip() + more + "\n" + text[end:]


def _decide(
    scene: Scene, own: FencedBlock, received: list[FencedBlock], *, changed: bool
) -> Fate:
    """What becomes of the proposal, read flat out of the texts.

    A mutual "one app" merges. Risks of 4 on average withdraw.
    """
    known = library.idea_behind(own)
    partner = _partner(scene)
    if known and partner:
        merged = library.idea(known.merged)
        if merged:
            return Fate("merge", partner, merged)

    risks = _risks(received)
    if risks and sum(risks) >= 4 * len(risks):
        return Fate("withdraw")
    return Fate("revise" if changed else "stand")


def _risks(received: list[FencedBlock]) -> list[int]:
    """The risks from 1 to 5 that the objections name."""
    found = [re.search(r"PoC risk: (\d)", block.text) for block in received]
    return [int(one[1]) for one in found if one]


def _partner(scene: Scene) -> str:
    """The code name of a rival that said "one app" and was told the same.

    "" for none.
    """
    for block in scene.objections(scene.code):
        if ONE_APP in block.text and _said_so_too(scene, block.by):
            return block.by
    return ""


def _said_so_too(scene: Scene, code: str) -> bool:
    return any(
        block.by == scene.code and ONE_APP in block.text
        for block in scene.objections(code)
    )


def final_statement(scene: Scene) -> str:
    """Round 4: why, the weak point, the best rival.

    An agent that has no proposal left speaks for the one that it scores best.
    """
    voice = library.voice(scene.me)
    standing = [block for block in scene.proposals() if not block.status]
    standing.sort(key=lambda block: -vote.score(scene, block))
    own = _own_code(scene, standing)
    code = own
    if not own:
        code = standing[0].by if standing else scene.targets[0]

    rival = next((block for block in standing if block.by != code), None)
    frames = voice.final if own else voice.advocate
    said = _case(scene, frames, code, rival)

    aside, to = talk.last_word(scene)
    head = {"kind": "final", "speaks_for": code, "aside": aside, "reply_to": to}
    return envelope(head, said)


def _case(scene: Scene, frames: list[str], code: str, rival: FencedBlock | None) -> str:
    """The case for the proposal under a code name, in one of the frames."""
    mine = scene.proposal(code)
    heading = title(mine) if mine else ""
    first_day, weak = FIRST_DAY, "it has been tried by nobody yet."
    known = library.idea_behind(mine)
    if known:
        first_day, weak = known.first_day, known.weak

    reason = "It asks less of its user."
    other = library.idea_behind(rival)
    if other:
        reason = other.best_point(library.voice(scene.me).lens)

    frame = pick(frames, "final", scene.me, heading)
    return frame.format(
        title=heading or code,
        first_day=first_day,
        weak=weak,
        rival=rival.by if rival else "none",
        reason=reason,
    )


def _own_code(scene: Scene, standing: list[FencedBlock]) -> str:
    """The code name of the agent's proposal, or of the one that it was merged into.

    "" when that no longer stands.
    """
    was = scene.mine()
    code = scene.code
    if was and was.status:
        code = was.status.removeprefix("merged into ")

    return code if any(block.by == code for block in standing) else ""

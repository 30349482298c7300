"""The four rounds: a pitch, objections, answers and revisions, a final statement. Each reads its scene and nothing else."""

import re

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
ONE_APP = "one app"  # what two authors say in round 2 who should merge in round 3


def envelope(head: dict[str, str], text: str) -> str:
    """An answer: front matter without the empty keys, then the text. Values are quoted where a colon could mislead."""
    lines = [f"{key}: {_quoted(value)}" for key, value in head.items() if value]
    return "\n".join(["---", *lines, "---", text.strip(), ""])


def _quoted(value: str) -> str:
    plain = re.fullmatch(r"[\w][\w .,;/-]*", value)
    return (
        value if plain else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


def pitch(scene: Scene) -> str:
    """Round 1."""
    name = library.assigned(scene.me, scene.roll, scene.seed)
    if len(scene.roll) < 2 and vote.wished(scene.brief) < 0:
        name = library.TERMINAL
    found, topic = library.shelved(name), pick(TOPICS, "topic", scene.seed, scene.me)
    head, text = (
        found.title.replace("{topic}", topic),
        library.body_text(found.pitch).replace("{topic}", topic),
    )
    if scene.brief:
        asked = " ".join(scene.brief.split()[:12]) + (
            "…" if len(scene.brief.split()) > 12 else ""
        )
        text = text.replace(
            "\n\n## Problem",
            f"\n\nThe brief says “{asked}”. What this gives it: {found.fit}.\n\n## Problem",
            1,
        )
    return envelope({"kind": "pitch", "title": head}, text)


def objections(scene: Scene) -> str:
    """Round 2: for each rival the spot that this voice's lens finds; of a text it does not know, the sentence that promises most."""
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
        parts.append(
            f"## {code}\nBest point: {best}\nObjection: {frame.format(quote=spot.quote, text=said)}\n"
            f"Question: {spot.question}\nRisk: {spot.risk}, {spot.why}\n"
        )
    aside, to = talk.opening_aside(scene)
    return envelope(
        {"kind": "objections", "aside": aside, "reply_to": to}, "\n".join(parts)
    )


def found_spot(rival: FencedBlock, lens: str, scene: Scene) -> tuple[Spot, str]:
    """A weak spot of `rival` whose words really stand in it, and its best point, through a lens."""
    known = library.idea(library.title_slug(title(rival)))
    if known:
        order = (
            [lens, *sorted(known.spots)]
            if lens != "any"
            else sorted(
                known.spots,
                key=lambda s: draw_number("lens", scene.me, title(rival), s),
            )
        )
        for each in order:
            if each in known.spots and known.spots[each].quote in rival.text:
                best = known.best.get(each) or next(iter(known.best.values()))
                return known.spots[each], best
    return _unknown(rival, scene)


def _unknown(rival: FencedBlock, scene: Scene) -> tuple[Spot, str]:
    sentences = [
        s.strip()
        for s in re.split(r"(?<=[.!?])\s+|\n+", proposal_body(rival))
        if len(s.split()) >= 4 and not s.startswith("#")
    ]
    ranked = sorted(
        sentences,
        key=lambda s: (
            -len(
                re.findall(
                    r"(?i)\b(every|all|always|never|just|simply|easy|any|will|best)\b",
                    s,
                )
            ),
            draw_number("s", scene.me, s),
        ),
    )
    quote = (
        " ".join(ranked[0].rstrip(".!?").split()[:14]).replace('"', "'")
        if ranked
        else title(rival)
    )
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
    return spot, best


def _pair(one: FencedBlock, other: FencedBlock) -> bool:
    a, b = (
        library.idea(library.title_slug(title(one))),
        library.idea(library.title_slug(title(other))),
    )
    return bool(
        a
        and b
        and a.merges_with == library.title_slug(title(other))
        and b.merges_with == library.title_slug(title(one))
    )


def answers(scene: Scene) -> str:
    """Round 3: every objection accepted, and then the text changes, or rebutted; then stand, revise, withdraw or merge."""
    aside, to = talk.second(scene)
    own = scene.mine()
    if own is None or not scene.own:
        voice = library.voice(scene.me)
        return envelope(
            {"kind": "answers", "decision": "stand", "aside": aside, "reply_to": to},
            pick(voice.stand, "guest", scene.me),
        )
    known = library.idea(library.title_slug(title(own)))
    received = {b.by: b for b in scene.of("objection") if b.to == scene.code}
    text, verdicts, risks = proposal_body(own), [], []
    for by in scene.targets:
        block = received.get(by)
        if block is None:
            continue
        said, text = _verdict(scene, known, block, text)
        verdicts.append(f"## {by}\n{said}\n")
        found = re.search(r"PoC risk: (\d)", block.text)
        risks += [int(found[1])] if found else []
    decision, partner, new_title = _decide(
        scene, own, known, risks, changed=text != proposal_body(own)
    )
    merged = library.idea(known.merged) if decision == "merge" and known else None
    text = library.body_text(merged.pitch) if merged else text
    head = {
        "kind": "answers",
        "decision": decision,
        "merge_with": partner,
        "aside": aside,
        "reply_to": to,
    }
    voice = library.voice(scene.me)
    tail = f"# Proposal: {new_title}\n{text}" if decision in {"revise", "merge"} else ""
    lead = {"withdraw": voice.withdraw, "merge": voice.merge, "stand": voice.stand}.get(
        decision
    )
    return envelope(
        head,
        "\n".join(
            [
                *([pick(lead, decision, scene.me, title(own)) + "\n"] if lead else []),
                *verdicts,
                tail,
            ]
        ),
    )


def _verdict(
    scene: Scene, known: Idea | None, block: FencedBlock, text: str
) -> tuple[str, str]:
    """What is said to one objection, and the text after it."""
    voice = library.voice(scene.me)
    said = re.search(r"^Objection: (.+)$", block.text, re.MULTILINE)
    objection = said[1] if said else block.text
    spot = (
        next((s for s in known.spots.values() if s.quote in objection), None)
        if known
        else None
    )
    if spot and spot.stance == "accept" and spot.old and spot.old in text:
        return (
            f"Accept: {pick(voice.accept, 'accept', scene.me, spot.quote).format(text=spot.reply)}",
            text.replace(spot.old, spot.new, 1),
        )
    if spot and spot.reply:
        return (
            f"Rebut: {pick(voice.rebut, 'rebut', scene.me, spot.quote).format(text=spot.reply)}",
            text,
        )
    words = " ".join(_quote(objection).split()[:12])
    if (
        draw_number("unknown", scene.me, objection) % 2
        and f"“{words}”" not in text
        and len(text.split()) < 360
    ):
        reply = f"the risk section now says so in plain words: “{words}” is an open point, and the first thing that the trial week tests."
        more = f"\n\nRaised in the debate: “{words}”. The first trial week tests this before anything else is built."
        return (
            f"Accept: {pick(voice.accept, 'accept', scene.me, words).format(text=reply)}",
            _into_risk(text, more),
        )
    reply = f"“{words}” would be fatal for a product for everyone. This is for the one person whom the first section names, and they can live with it."
    return (
        f"Rebut: {pick(voice.rebut, 'rebut', scene.me, words).format(text=reply)}",
        text,
    )


def _quote(objection: str) -> str:
    found = re.search(r'["“]([^"”]{6,})["”]', objection)
    return (found[1] if found else objection).replace('"', "'")


def _into_risk(text: str, more: str) -> str:
    at = text.find("## Biggest risk")
    end = text.find("\n## ", at + 4) if at >= 0 else -1
    return (
        text[:end].rstrip() + more + "\n" + text[end:]
        if end > 0
        else text.rstrip() + more
    )


def _decide(
    scene: Scene,
    own: FencedBlock,
    known: Idea | None,
    risks: list[int],
    *,
    changed: bool,
) -> tuple[str, str, str]:
    """(decision, partner, title). Flat out of the texts: a mutual "one app" merges, risks of 4 on average withdraw."""
    partner = next(
        (
            b.by
            for b in scene.of("objection")
            if b.to == scene.code and ONE_APP in b.text and _said_so_too(scene, b.by)
        ),
        "",
    )
    merged = library.idea(known.merged) if known and partner else None
    if merged:
        return "merge", partner, merged.title
    if risks and sum(risks) >= 4 * len(risks):
        return "withdraw", "", title(own)
    return ("revise" if changed else "stand"), "", title(own)


def _said_so_too(scene: Scene, code: str) -> bool:
    return any(
        b.by == scene.code and b.to == code and ONE_APP in b.text
        for b in scene.of("objection")
    )


def final_statement(scene: Scene) -> str:
    """Round 4: why, the weak point, the best rival; who has no proposal left speaks for the one that it scores best."""
    voice = library.voice(scene.me)
    standing = [b for b in scene.proposals() if not b.status]
    order = sorted(standing, key=lambda b: -vote.score(scene, b))
    was = scene.mine()
    own = was.status.removeprefix("merged into ") if was and was.status else scene.code
    own = own if own in {b.by for b in standing} else ""
    for_ = own or (order[0].by if order else scene.targets[0])
    mine = scene.proposal(for_)
    rival = next((b for b in order if b.by != for_), None)
    known = library.idea(library.title_slug(title(mine))) if mine else None
    first_day = (
        known.first_day
        if known
        else "The user does the core loop once on the first day and sees that it worked."
    )
    weak = known.weak if known else "it has been tried by nobody yet."
    other = library.idea(library.title_slug(title(rival))) if rival else None
    reason = (
        (other.best.get(voice.lens) or next(iter(other.best.values())))
        if other
        else "It asks less of its user."
    )
    frames = voice.final if own else voice.advocate
    said = pick(frames, "final", scene.me, for_ and title(mine) if mine else "").format(
        title=title(mine) if mine else for_,
        first_day=first_day,
        weak=weak,
        rival=rival.by if rival else "none",
        reason=reason,
    )
    aside, to = talk.third(scene)
    return envelope(
        {"kind": "final", "speaks_for": for_, "aside": aside, "reply_to": to}, said
    )

"""The ballot: a score read off the frozen texts, the statements and the open objections, weighed as each voice weighs."""

import re

from catherd.rehearsal import library
from catherd.rehearsal.reading import FencedBlock, Scene, draw_number, pick, title

_WEB = r"(?i)\b(web|browser|page|website|site|html|neighbou?rs?|lend\w*|click\w*)\b"
_TERMINAL = r"(?i)\b(terminal|command|commands|command-line|cli|shell|console|prompt|keyboard)\b"
_NEEDS = r"(?i)\b(record\w*|microphone|phone|camera|photos?|forecast|weather|strangers|volunteers|calendar|dictionary|units|GPS|map|gong|lamp|everyone)\b"
_ODD = r"(?i)\b(ghosts?|moon|burn\w*|ashes|silence|sounds?|letters?|forget\w*|drill)\b"
_UNWANTED = (
    r"(?i)\b(?:no|not|without|never|instead of|rather than)(?:\s+(?!but\b)[\w-]+){1,3}"
)
_SALT = "lean-2681"


def medium(text: str) -> int:
    """Above 0: a web page is meant; below: a terminal; 0: neither or both."""
    web, terminal = len(re.findall(_WEB, text)), len(re.findall(_TERMINAL, text))
    return (web > terminal) - (web < terminal)


def wished(brief: str) -> int:
    """The medium that a brief asks for; what it says that it does not want counts for nothing."""
    return medium(re.sub(_UNWANTED, " ", brief))


def lean(me: str, seed: int) -> float:
    """A voice's taste in this game, from -1 (a terminal) to 1 (a page), never near 0. Most of a herd lean the same way."""
    tide = 1 if draw_number(_SALT, seed) % 2 == 0 else -1
    own = draw_number(_SALT, seed, me)
    return (tide if own % 4 else -tide) * (0.6 + (own >> 8) % 400 / 1000)


def score(scene: Scene, proposal: FencedBlock) -> float:
    """What a proposal is worth to this voter: higher is better. Every term can be found in the texts that it was shown."""
    text, code = proposal.text, proposal.by
    poc = text.partition("## PoC in a day")[2].partition("\n## ")[0]
    mine = [b for b in scene.of("objection") if b.to == code]
    bare = (
        sum(1.0 if "not answered" in b.text else 0.6 for b in mine)
        if scene.form == "ballot"
        else 0.0
    )
    worth = 0.5 * sum(f"## {h}" in text for h in library.HEADINGS.values())
    worth += 6.0 * bool(re.search(r"(?i)sqlite|plain text|text file", text))
    worth += 0.5 * min(3, poc.count("`") // 2) * (1.5 if scene.me == "chatgpt" else 1)
    worth -= min(3.0, 0.7 * len({w.lower() for w in re.findall(_NEEDS, text)}))
    worth -= bare * (1.5 if scene.me == "claude" else 1)
    worth += 0.5 * any(b.kind == "statement" and b.to == code for b in scene.blocks)
    worth += min(1.0, len(re.findall(r"\d+", text)) / 10) * (scene.me == "gemini")
    worth += min(1.0, len(re.findall(_ODD, text)) / 4) * (scene.me == "wildcard")
    is_page = medium(text)
    wanted = wished(scene.brief)
    worth += (
        6.0 * wanted * is_page if wanted else 2.0 * lean(scene.me, scene.seed) * is_page
    )
    words = set(re.findall(r"[a-z]{5,}", scene.brief.lower()))
    worth += min(1.0, 0.2 * len(words & set(re.findall(r"[a-z]{5,}", text.lower()))))
    return (
        worth
        + draw_number("straw", scene.me, scene.seed, title(proposal)) % 1000 / 10_000
    )


def play_ballot(scene: Scene) -> str:
    """Reasons for every candidate, then the ranking."""
    voice = library.voice(scene.me)
    found = [(code, scene.proposal(code)) for code in scene.targets]
    order = sorted((b for _, b in found if b), key=lambda b: -score(scene, b))
    if not order:
        return "---\nkind: ballot\nabstain: true\nwhy: there is nothing on this ballot that is not mine\n---\n"
    parts = []
    for code, each in sorted(found):
        if each is None:
            continue
        place = order.index(each)
        frames = (
            voice.reason_high
            if place == 0
            else voice.reason_low
            if place == len(order) - 1
            else voice.reason_mid
        )
        known = library.idea(library.title_slug(title(each)))
        good = (
            (known.best.get(voice.lens) or next(iter(known.best.values())))
            if known
            else "It says what is done and when it is done."
        )
        open_ = [b for b in scene.of("objection") if b.to == code]
        bad = (
            _bad(open_[0].text)
            if open_
            else known.weak
            if known
            else "nobody has tried it"
        )
        said = pick(frames, "reason", scene.me, title(each)).format(
            title=title(each), good=good, bad=bad
        )
        parts.append(f"## {code}\n{said}\n")
    ranking = "\n".join(f"{n}. {b.by}" for n, b in enumerate(order, 1))
    return (
        "---\nkind: ballot\n---\n" + "\n".join([*parts, "## Ranking", ranking]) + "\n"
    )


def _bad(text: str) -> str:
    """The words that an open objection quotes, or how it begins."""
    found = re.search(r'["“]([^"”]{6,})["”]', text)
    return (
        f"“{found[1]}” is still open"
        if found
        else " ".join(text.removeprefix("Objection: ").split()[:14]) + " …"
    )

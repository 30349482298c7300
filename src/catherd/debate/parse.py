"""What an agent said in a debate, read from its answer: lenient in, strict after. Pure parsing, no I/O.

`hear` returns the message to post, or raises Unusable with sentences that can be sent back to the model as they stand.
Nothing is guessed: a ballot that cannot be read is an error each time; to abstain for a voter is the caller's act.
With `last_try=True` what is only too long is cut at its limit, and what is only missing from a text is let pass; `notes`
say so. Limits are in words, as `str.split` counts them.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from catherd.answers import envelopes, passages, prompts
from catherd.answers.envelopes import Unusable
from catherd.answers.prompts import Card
from catherd.core.messages import (
    Answered,
    Argument,
    Ask,
    Ballot,
    Chat,
    Objection,
    Pitch,
)

PITCH_WORDS = 400
SECTION_WORDS = 150
REPLY_WORDS = 100
FINAL_WORDS = 150
ASIDE_WORDS = 80
TITLE_WORDS = 10
HEADINGS = {
    "User": r"user|who",
    "Problem": r"problem",
    "Core loop": r"loop",
    "PoC in a day": r"\bpoc\b|proof of concept",
    "Biggest risk": r"risk",
    "What it is not": r"\bnot\b",
}
_PROPOSAL = re.compile(
    r"^ {0,3}#{1,3}\s+(?:revised |merged |new )?proposal\b\s*[:：—–-]?\s*(.*?)\s*#*\s*$",
    re.IGNORECASE,
)


class Statement(msgspec.Struct, frozen=True):
    """The message to post, the line for the chat ("" for none) with the stem it answers, and what was tolerated."""

    message: Pitch | Argument | Ballot | Chat
    aside: str = ""
    reply_to: str = ""
    notes: list[str] = msgspec.field(default_factory=list)


class _Page(msgspec.Struct):
    """One answer while it is read: what it holds, what is wrong with it, what was let pass."""

    ask: Ask
    card: Card
    head: dict[str, Any]
    body: str
    last_try: bool
    errors: list[str] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)

    def text(self, key: str) -> str:
        value = self.head.get(key, "")
        return (
            " ".join(str(v) for v in value)
            if isinstance(value, list)
            else str(value).strip()
        )

    def fit(self, what: str, text: str, limit: int) -> str:
        """`text`, if it keeps to its limit; on the last try cut there."""
        count = len(text.split())
        if count <= limit:
            return text
        if not self.last_try:
            self.errors.append(f"{what} has {count} words; the limit is {limit}")
            return text
        self.notes.append(f"{what} had {count} words and was cut at {limit}")
        return passages.cut_words(text, limit)

    def lack(self, error: str) -> None:
        """Something is missing that a second try should bring and a third need not."""
        (self.notes if self.last_try else self.errors).append(error)


def read_statement(
    ask: Ask, card: Card, text: str, *, last_try: bool = False
) -> Statement:
    """What `card`'s agent said to `ask`: a Pitch, Argument, Ballot or, for a mention, Chat. Raises Unusable."""
    envelope = envelopes.parse_envelope(text)
    head = {
        str(k).strip().lower().replace(" ", "_"): v for k, v in envelope.head.items()
    }
    page = _Page(
        ask, card, head, envelope.body.strip(), last_try, notes=list(envelope.notes)
    )
    wanted = prompts.answer_form(ask)
    said = page.text("kind").lower()
    if (
        said in prompts.FORMS.values() and said != wanted
    ):  # any other word is a slip, not another answer
        raise Unusable([f"kind: '{said}' where '{wanted}' was asked for"])
    read: dict[str, Callable[[_Page], Pitch | Argument | Ballot | Chat]] = {
        "pitch": _pitch,
        "objections": _objections,
        "answers": _answers,
        "final": _final,
        "ballot": _ballot,
        "chat": _chat,
    }
    if wanted not in read:
        raise Unusable([f"nothing here reads an answer to '{wanted}'"])
    message = read[wanted](page)
    aside, to = ("", "") if wanted in {"pitch", "ballot", "chat"} else _aside(page)
    if page.errors:
        raise Unusable(page.errors)
    return Statement(message, aside, to, page.notes)


def _pitch(page: _Page) -> Pitch:
    title, body = _titled(page.text("title"), page.body)
    if not title:
        page.errors.append("title: missing; give the app a name in the front matter")
    return Pitch(
        title=page.fit("title", title, TITLE_WORDS), body=_proposal(page, body)
    )


def _titled(title: str, body: str) -> tuple[str, str]:
    """A first `# Heading` is the title, said once more or only there."""
    first, _, rest = body.partition("\n")
    found = passages.HEADING.match(first)
    if (
        found
        and len(found[1]) == 1
        and not any(re.search(p, found[2], re.IGNORECASE) for p in HEADINGS.values())
    ):
        return title or found[2], rest.strip()
    return title, body


def _proposal(page: _Page, body: str) -> str:
    if not body:
        page.errors.append("the proposal has no text")
        return ""
    seen = " / ".join(h[2] for h in map(passages.heading, body.split("\n")) if h)
    missing = [
        name
        for name, pattern in HEADINGS.items()
        if not re.search(pattern, seen, re.IGNORECASE)
    ]
    if missing:
        page.lack(f"the proposal lacks {', '.join(f'## {name}' for name in missing)}")
    return page.fit("the proposal", body, PITCH_WORDS)


def _objections(page: _Page) -> Argument:
    rivals = prompts.rivals(page.ask, page.card.name)
    sections = passages.sections(page.body, rivals)
    made: list[Objection] = []
    for to in rivals:
        if to not in sections:
            page.lack(
                f"{to}: no section '## {to}'; every rival needs an objection: {', '.join(rivals)}"
            )
            continue
        part = passages.labelled(sections[to])
        if not part.get("objection"):
            page.lack(f"{to}: no line 'Objection: …'")
            continue
        for name in ("best", "question", "risk"):
            if not part.get(name):
                page.lack(
                    f"{to}: no line '{'Best point' if name == 'best' else name.capitalize()}: …'"
                )
        risk, why = _risk(page, to, part.get("risk", ""))
        objection = page.fit(f"{to}: the section", part["objection"], SECTION_WORDS)
        made.append(
            Objection(
                to=to,
                best=passages.cut_words(part.get("best", ""), SECTION_WORDS),
                objection=objection,
                question=passages.cut_words(part.get("question", ""), SECTION_WORDS),
                risk=risk,
                why=passages.cut_words(part.get("why") or why, SECTION_WORDS),
            )
        )
    if rivals and not made and not page.errors:
        page.errors.append(f"there is no objection to any of {', '.join(rivals)}")
    return Argument(objections=made)


def _risk(page: _Page, to: str, text: str) -> tuple[int, str]:
    if not text:
        return 0, ""
    found = re.match(
        r"\W*([1-5])(?!\d)(?:\s*(?:/|of|out of)\s*5)?[\s,;:.—–-]*(?:because\s+)?(.*)",
        text,
        re.DOTALL,
    )
    if not found:
        page.lack(
            f"{to}: 'Risk: {' '.join(text.split()[:6])}' does not begin with a number from 1 to 5"
        )
        return 0, text
    return int(found[1]), found[2].strip(" *_")


def _answers(page: _Page) -> Argument:
    ask, mine = page.ask, prompts.code_name(page.ask, page.card.name)
    own = prompts.shown_standing(ask).get(mine)
    if own is None:
        return Argument(
            decision="stand", body=page.fit("the text", page.body, FINAL_WORDS)
        )
    received = objectors(ask, mine)
    lines = page.body.split("\n")
    at = next((i for i, line in enumerate(lines) if _PROPOSAL.match(line)), len(lines))
    made = _verdicts(page, mine, received, "\n".join(lines[:at]))
    decision = page.text("decision").lower().split(" ")[0].strip(".,;:*")
    if decision not in {"stand", "revise", "withdraw", "merge"}:
        page.lack(f"decision: '{decision}' is none of stand, revise, withdraw, merge")
        return Argument(decision="stand", answers=made)
    title = body = ""
    if decision in {"revise", "merge"}:
        found = _PROPOSAL.match(lines[at]) if at < len(lines) else None
        if found is None:
            page.errors.append(
                f"decision: {decision}, but there is no line '# Proposal: <title>' with the whole new text below it"
            )
        else:
            title, body = _titled(
                found[1].strip(" *`") or page.text("title"),
                "\n".join(lines[at + 1 :]).strip(),
            )
            title = page.fit("title", title or str(own.data["title"]), TITLE_WORDS)
            body = _proposal(page, body)
            if decision == "revise" and (title, body) == (
                own.data["title"],
                str(own.data["body"]).strip(),
            ):
                page.errors.append(
                    "decision: revise, but the text is the same as before; change it or write stand"
                )
    partner = _partner(page) if decision == "merge" else ""
    return Argument(
        decision=decision, merge_with=partner, answers=made, title=title, body=body
    )


def objectors(ask: Ask, mine: str) -> list[str]:
    """Whose objections to proposal `mine` this ask shows, each once."""
    found = [
        i.by
        for i in ask.inputs
        if i.kind == "argument"
        for o in i.data.get("objections") or []
        if o.get("to") == mine
    ]
    return list(dict.fromkeys(found))


def _verdicts(page: _Page, mine: str, received: list[str], body: str) -> list[Answered]:
    sections = passages.sections(body, received)
    made: list[Answered] = []
    for by in received:
        part = passages.labelled(sections.get(by, []))
        given = [v for v in ("accept", "rebut") if part.get(v)]
        if not given:
            page.lack(
                f"answers: {by}'s objection to {mine} is not answered; under '## {by}' write 'Accept: …' or 'Rebut: …'"
            )
            continue
        if len(given) > 1:
            page.lack(
                f"answers: {by}'s objection is both accepted and rebutted; decide"
            )
        text = page.fit(f"the answer to {by}", part[given[0]], REPLY_WORDS)
        made.append(Answered(by=by, verdict=given[0], text=text))
    return made


def _partner(page: _Page) -> str:
    rivals = prompts.rivals(page.ask, page.card.name)
    wanted = page.text("merge_with").strip("`").lower()
    if wanted not in rivals:
        page.errors.append(
            f"merge_with: '{wanted}' is not a rival proposal; there are {', '.join(rivals)}"
        )
    return wanted


def _final(page: _Page) -> Argument:
    ask, mine = page.ask, prompts.code_name(page.ask, page.card.name)
    still = prompts.still_open(ask, page.card.name)
    wanted = page.text("speaks_for").strip("`").lower() or (
        mine if mine in still else ""
    )
    if wanted not in still:
        page.errors.append(
            f"speaks_for: '{wanted}' is not on the ballot; there are {', '.join(still)}"
        )
    elif mine in still and wanted != mine:
        page.errors.append(
            f"speaks_for: '{wanted}', but your own proposal {mine} is on the ballot; speak for it"
        )
    if not page.body:
        page.errors.append("the statement has no text")
    return Argument(
        speaks_for=wanted, body=page.fit("the statement", page.body, FINAL_WORDS)
    )


def _ballot(page: _Page) -> Ballot:
    on = prompts.shown_candidates(page.ask, page.card.name)
    if page.text("abstain").lower() in {"true", "yes", "y", "1"}:
        why = page.fit("why", page.text("why") or page.body, SECTION_WORDS)
        if not why:
            page.lack("abstain: true needs a reason in 'why:'")
        return Ballot(abstain=True, why=why, shown=on)
    ranking = _ranking(page, on)
    sections = passages.sections(page.body, on)
    reasons = {
        c: passages.cut_words("\n".join(sections[c]).strip(), SECTION_WORDS)
        for c in on
        if c in sections
    }
    given = page.head.get("reasons")
    if isinstance(given, dict):
        reasons = {str(k): str(v) for k, v in given.items() if k in on} | {
            c: r for c, r in reasons.items() if r
        }
    for each in (c for c in on if not reasons.get(c)):
        page.lack(
            f"reasons: no section '## {each}' says why it stands where you put it"
        )
    if set(ranking) < set(on) and ranking:
        page.notes.append(
            f"not ranked, so level with each other at the end: {', '.join(c for c in on if c not in ranking)}"
        )
    return Ballot(
        ranking=list(ranking), reasons={c: r for c, r in reasons.items() if r}, shown=on
    )


def _ranking(page: _Page, on: list[str]) -> list[str]:
    """The ranking of the front matter or of the section `## Ranking`; where both are there they must agree."""
    listed = page.head.get("ranking", page.head.get("ranked_choices"))
    above = passages.items(listed) if listed else []
    below = passages.items(passages.under_ranking(page.body))
    if above and below and above != below:
        page.errors.append(
            f"ranking: the front matter says {', '.join(above)}, the section says {', '.join(below)}; give one"
        )
    ranking = above or below
    if not ranking:
        page.errors.append(
            f"ranking: missing; list {', '.join(on)} under '## Ranking', best first, or write abstain: true"
        )
    for each in dict.fromkeys(ranking):
        if "=" in each:
            page.errors.append(
                f"ranking: '{each}' is an equal rank; put one before the other"
            )
        elif each not in on:
            page.errors.append(
                f"ranking: '{each}' is not on this ballot; it lists {', '.join(on)}"
            )
        elif ranking.count(each) > 1:
            page.errors.append(f"ranking: '{each}' stands there twice")
    return ranking


def _chat(page: _Page) -> Chat:
    text = " ".join((page.body or page.text("text") or page.text("aside")).split())
    if not text:
        page.errors.append("the message has no text")
    to = _reply_to(page) or next(reversed(prompts.chat_ids(page.ask).values()), "")
    return Chat(text=page.fit("the message", text, ASIDE_WORDS), reply_to=to)


def _aside(page: _Page) -> tuple[str, str]:
    text = " ".join(page.text("aside").split())
    if text.lower() in {"none", "null", "-", "n/a", "(none)"} or text.startswith(
        "(a line for the chat"
    ):
        text = ""
    return (page.fit("aside", text, ASIDE_WORDS), _reply_to(page)) if text else ("", "")


def _reply_to(page: _Page) -> str:
    """The stem that `reply_to` means; what is not in the chat that was shown is dropped: not worth a call."""
    ids = prompts.chat_ids(page.ask)
    wanted = page.text("reply_to").strip("`[]() ")
    if not wanted or wanted.lower() in {"none", "null", "all"}:
        return ""
    found = ids.get(wanted.lower(), wanted if wanted in ids.values() else "")
    if not found:
        page.notes.append(f"reply_to: '{wanted}' is not a message that was shown")
    return found

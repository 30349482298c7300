"""What an agent said in a debate, read from its answer. No I/O.

`read_statement` returns the message to post, or raises Unusable with sentences that can
be sent back to the model as they stand. Nothing is guessed: a ballot that cannot be
read is an error each time, and only the caller may abstain for a voter. With
`last_try=True` a text that is too long is cut at its limit, and a part that is missing
from a text is let pass; `notes` say so. Limits are in words, as `str.split` counts
them.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from catherd.answers import envelopes, passages, prompts
from catherd.answers.envelopes import Envelope, Unusable
from catherd.answers.prompts import Card
from catherd.core.messages import (
    Answered,
    Argument,
    Ask,
    Ballot,
    Chat,
    Input,
    Objection,
    Pitch,
)
from catherd.debate.page import AnswerPage

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
_RISK = re.compile(
    r"\W*([1-5])(?!\d)(?:\s*(?:/|of|out of)\s*5)?[\s,;:.—–-]*(?:because\s+)?(.*)",
    re.DOTALL,
)


class Statement(msgspec.Struct, frozen=True):
    """What was read from an answer.

    That is the message to post, the line for the chat ("" for none) with the stem that
    it answers, and `notes` on what was tolerated.
    """

    message: Pitch | Argument | Ballot | Chat
    aside: str = ""
    reply_to: str = ""
    notes: list[str] = msgspec.field(default_factory=list)


def read_statement(
    ask: Ask, card: Card, text: str, *, last_try: bool = False
) -> Statement:
    """What `card`'s agent said to `ask`. Raises Unusable.

    The message is a Pitch, Argument, Ballot or, for a mention, Chat.
    """
    envelope = envelopes.parse_envelope(text)
    page = _page(ask, card, envelope, last_try=last_try)
    wanted = prompts.answer_form(ask)
    said = page.text("kind").lower()

    # Any other word is a slip of the pen, not another answer.
    if said in prompts.FORMS.values() and said != wanted:
        raise Unusable([f"kind: '{said}' where '{wanted}' was asked for"])

    read: dict[str, Callable[[AnswerPage], Pitch | Argument | Ballot | Chat]] = {
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
    aside, reply_to = "", ""
    if wanted in {"objections", "answers", "final"}:
        aside, reply_to = _aside(page)
    if page.errors:
        raise Unusable(page.errors)
    return Statement(message, aside, reply_to, page.notes)


def _page(ask: Ask, card: Card, envelope: Envelope, *, last_try: bool) -> AnswerPage:
    """The answer with the keys of its front matter in one spelling."""
    head = {}
    for key, value in envelope.head.items():
        head[str(key).strip().lower().replace(" ", "_")] = value
    body, notes = envelope.body.strip(), list(envelope.notes)
    return AnswerPage(ask, card, head, body, last_try, notes=notes)


def _pitch(page: AnswerPage) -> Pitch:
    title, body = _titled(page.text("title"), page.body)
    if not title:
        page.errors.append("title: missing; give the app a name in the front matter")
    title = page.fit("title", title, TITLE_WORDS)
    return Pitch(title=title, body=_proposal(page, body))


def _titled(title: str, body: str) -> tuple[str, str]:
    """(title, body): a first `# Heading` is the title, said once more or only there."""
    first, _, rest = body.partition("\n")
    found = passages.HEADING.match(first)
    if found is None:
        return title, body

    mark, heading = found[1], found[2]
    if mark != "#" or _is_section(heading):
        return title, body
    return title or heading, rest.strip()


def _is_section(heading: str) -> bool:
    """Whether a heading is that of a section of a proposal."""
    patterns = HEADINGS.values()
    return any(re.search(one, heading, re.IGNORECASE) for one in patterns)


def _proposal(page: AnswerPage, body: str) -> str:
    if not body:
        page.errors.append("the proposal has no text")
        return ""
    headings = [passages.heading(line) for line in body.split("\n")]
    seen = " / ".join(found[2] for found in headings if found)
    missing = [
        f"## {name}"
        for name, pattern in HEADINGS.items()
        if not re.search(pattern, seen, re.IGNORECASE)
    ]
    if missing:
        page.lack(f"the proposal lacks {', '.join(missing)}")
    return page.fit("the proposal", body, PITCH_WORDS)


def _objections(page: AnswerPage) -> Argument:
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
        if part.get("objection"):
            made.append(_objection(page, to, part))
        else:
            page.lack(f"{to}: no line 'Objection: …'")

    if rivals and not made and not page.errors:
        page.errors.append(f"there is no objection to any of {', '.join(rivals)}")
    return Argument(objections=made)


def _objection(page: AnswerPage, to: str, part: Mapping[str, str]) -> Objection:
    """The objection to `to`, of the labelled lines of its section."""
    for key, label in (
        ("best", "Best point"),
        ("question", "Question"),
        ("risk", "Risk"),
    ):
        if not part.get(key):
            page.lack(f"{to}: no line '{label}: …'")

    risk, why = _risk(page, to, part.get("risk", ""))
    return Objection(
        to=to,
        best=passages.cut_words(part.get("best", ""), SECTION_WORDS),
        objection=page.fit(f"{to}: the section", part["objection"], SECTION_WORDS),
        question=passages.cut_words(part.get("question", ""), SECTION_WORDS),
        risk=risk,
        why=passages.cut_words(part.get("why") or why, SECTION_WORDS),
    )


def _risk(page: AnswerPage, to: str, text: str) -> tuple[int, str]:
    """(the number from 1 to 5 that a risk begins with, why); 0 where there is none."""
    if not text:
        return 0, ""
    found = _RISK.match(text)
    if not found:
        begins = " ".join(text.split()[:6])
        page.lack(f"{to}: 'Risk: {begins}' does not begin with a number from 1 to 5")
        return 0, text

    return int(found[1]), found[2].strip(" *_")


def _answers(page: AnswerPage) -> Argument:
    """The verdicts on the objections to one's own proposal, and what becomes of it."""
    mine = prompts.code_name(page.ask, page.card.name)
    own = prompts.shown_standing(page.ask).get(mine)
    if own is None:  # without a proposal there is nothing to defend
        body = page.fit("the text", page.body, FINAL_WORDS)
        return Argument(decision="stand", body=body)

    lines = page.body.split("\n")
    at = _proposal_line(lines)
    answers = _verdicts(page, mine, "\n".join(lines[:at]))

    decision = _decision(page)
    if decision not in {"stand", "revise", "withdraw", "merge"}:
        page.lack(f"decision: '{decision}' is none of stand, revise, withdraw, merge")
        return Argument(decision="stand", answers=answers)

    title = body = partner = ""
    if decision in {"revise", "merge"}:
        title, body = _new_text(page, decision, own, lines[at:])
    if decision == "merge":
        partner = _partner(page)
    return Argument(
        decision=decision,
        merge_with=partner,
        answers=answers,
        title=title,
        body=body,
    )


def _proposal_line(lines: Sequence[str]) -> int:
    """Where `# Proposal: …` stands; behind the last line where it is missing."""
    for n, line in enumerate(lines):
        if _PROPOSAL.match(line):
            return n
    return len(lines)


def _decision(page: AnswerPage) -> str:
    """The first word of `decision:`."""
    first = page.text("decision").lower().split(" ")[0]
    return first.strip(".,;:*")


def _new_text(
    page: AnswerPage, decision: str, own: Input, lines: Sequence[str]
) -> tuple[str, str]:
    """(title, body) of a revised or merged proposal; `lines` begin with its title."""
    found = _PROPOSAL.match(lines[0]) if lines else None
    if found is None:
        page.errors.append(
            f"decision: {decision}, but there is no line '# Proposal: <title>' with the whole new text below it"
        )
        return "", ""

    title, body = _titled(
        found[1].strip(" *`") or page.text("title"), "\n".join(lines[1:]).strip()
    )
    title = page.fit("title", title or str(own.data["title"]), TITLE_WORDS)
    body = _proposal(page, body)

    before = (own.data["title"], str(own.data["body"]).strip())
    if decision == "revise" and (title, body) == before:
        page.errors.append(
            "decision: revise, but the text is the same as before; change it or write stand"
        )

    return title, body


def objectors(ask: Ask, mine: str) -> list[str]:
    """Whose objections to proposal `mine` this ask shows, each once."""
    found: list[str] = []
    for shown in ask.inputs:
        if shown.kind != "argument" or shown.by in found:
            continue

        objections = shown.data.get("objections") or []
        if any(objection.get("to") == mine for objection in objections):
            found.append(shown.by)

    return found


def _verdicts(page: AnswerPage, mine: str, body: str) -> list[Answered]:
    """The answer to each objection that was shown to one's own proposal."""
    received = objectors(page.ask, mine)
    sections = passages.sections(body, received)
    made: list[Answered] = []
    for by in received:
        part = passages.labelled(sections.get(by, []))
        given = [verdict for verdict in ("accept", "rebut") if part.get(verdict)]
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


def _partner(page: AnswerPage) -> str:
    rivals = prompts.rivals(page.ask, page.card.name)
    wanted = page.text("merge_with").strip("`").lower()
    if wanted not in rivals:
        page.errors.append(
            f"merge_with: '{wanted}' is not a rival proposal; there are {', '.join(rivals)}"
        )
    return wanted


def _final(page: AnswerPage) -> Argument:
    mine = prompts.code_name(page.ask, page.card.name)
    still = prompts.still_open(page.ask, page.card.name)
    wanted = page.text("speaks_for").strip("`").lower()
    if not wanted and mine in still:
        wanted = mine
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
    body = page.fit("the statement", page.body, FINAL_WORDS)
    return Argument(speaks_for=wanted, body=body)


def _ballot(page: AnswerPage) -> Ballot:
    on = prompts.shown_candidates(page.ask, page.card.name)
    if page.text("abstain").lower() in {"true", "yes", "y", "1"}:
        why = page.fit("why", page.text("why") or page.body, SECTION_WORDS)
        if not why:
            page.lack("abstain: true needs a reason in 'why:'")
        return Ballot(abstain=True, why=why, shown=on)

    ranking = _ranking(page, on)
    reasons = _reasons(page, on)
    for each in on:
        if each not in reasons:
            page.lack(
                f"reasons: no section '## {each}' says why it stands where you put it"
            )

    left = [each for each in on if each not in ranking]
    if ranking and set(ranking) < set(on):
        page.notes.append(
            f"not ranked, so level with each other at the end: {', '.join(left)}"
        )

    return Ballot(ranking=ranking, reasons=reasons, shown=on)


def _reasons(page: AnswerPage, on: list[str]) -> dict[str, str]:
    """Candidate → why it stands where it was put.

    A section of the text comes before the front matter's `reasons:`.
    """
    reasons: dict[str, str] = {}
    given = page.head.get("reasons")
    if isinstance(given, dict):
        for key, value in given.items():
            if key in on:
                reasons[str(key)] = str(value)

    sections = passages.sections(page.body, on)
    for each in on:
        lines = sections.get(each, [])
        text = "\n".join(lines).strip()
        if text:
            reasons[each] = passages.cut_words(text, SECTION_WORDS)

    return {each: reason for each, reason in reasons.items() if reason}


def _ranking(page: AnswerPage, on: list[str]) -> list[str]:
    """The ranking of the front matter or of the section `## Ranking`.

    Where both are there they must agree.
    """
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
        _check_rank(page, each, ranking.count(each), on)

    return list(ranking)


def _check_rank(page: AnswerPage, each: str, times: int, on: list[str]) -> None:
    """Tell what is wrong with one entry of a ranking, which stands there `times`."""
    if "=" in each:
        page.errors.append(
            f"ranking: '{each}' is an equal rank; put one before the other"
        )
    elif each not in on:
        page.errors.append(
            f"ranking: '{each}' is not on this ballot; it lists {', '.join(on)}"
        )
    elif times > 1:
        page.errors.append(f"ranking: '{each}' stands there twice")


def _chat(page: AnswerPage) -> Chat:
    said = page.body or page.text("text") or page.text("aside")
    text = " ".join(said.split())
    if not text:
        page.errors.append("the message has no text")
    last_shown = next(reversed(prompts.chat_ids(page.ask).values()), "")
    reply_to = _reply_to(page) or last_shown
    return Chat(text=page.fit("the message", text, ASIDE_WORDS), reply_to=reply_to)


def _aside(page: AnswerPage) -> tuple[str, str]:
    """(a line for the chat, the stem that it answers); empty where there is none."""
    text = " ".join(page.text("aside").split())
    copied = text.startswith("(a line for the chat")  # the form's own words
    if not text or copied or text.lower() in {"none", "null", "-", "n/a", "(none)"}:
        return "", ""
    return page.fit("aside", text, ASIDE_WORDS), _reply_to(page)


def _reply_to(page: AnswerPage) -> str:
    """The stem that `reply_to` means.

    A message that was not shown is dropped and noted: it is not worth another call.
    """
    ids = prompts.chat_ids(page.ask)
    wanted = page.text("reply_to").strip("`[]() ")
    if not wanted or wanted.lower() in {"none", "null", "all"}:
        return ""
    if wanted.lower() in ids:
        return ids[wanted.lower()]
    if wanted in ids.values():
        return wanted
    page.notes.append(f"reply_to: '{wanted}' is not a message that was shown")
    return ""

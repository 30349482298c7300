"""Reviewing: one agent looks at exactly one head of another's pull request and says approve or changes, with notes."""

import re

from catherd.answers import prompts
from catherd.answers.envelopes import Unusable, parse_envelope
from catherd.answers.journal import converse
from catherd.answers.seat import Seat, request
from catherd.bus.chat import remark
from catherd.bus.store import now, tidy_text
from catherd.core.jobs import Slot
from catherd.core.tasks import Note, Review, Task, View, phase_of
from catherd.git import landing
from catherd.pulls import board
from catherd.pulls.context import ask_for

_NOTE = re.compile(r"^[-*]\s+(?:`?([\w./-]+?)`?(?::(\d+))?:\s+)?(.+)$")


def do_review(seat: Seat, slot: Slot, view: View, task: Task) -> bool:
    """Carry out a claimed review and post it; the slot is done either way. False when no answer could be used."""
    bus, me = seat.bus, seat.agent.id
    path = f"prs/{view.name}/reviews/{slot.head12}.{me}.yaml"
    if view.head[:12] != slot.head12 or view.pr.author == me or bus.there(path):
        board.settle_claim(bus, slot.lock, me, "done")
        return True
    main = landing.tip(bus.root, seat.game.branch)
    ask = ask_for(seat, view.pr.task, task, "review", main, view=view)
    rendered = prompts.render_prompt(bus.root, ask, seat.card())
    kept: list[Review] = []

    def reread(text: str, last: bool) -> str:  # noqa: ARG001 - the journal's call
        try:
            kept.append(read_review(text, view.head))
        except Unusable as error:
            return "\n".join(error.errors)
        return ""

    turn = f"{phase_of(task)}/{view.name}.review-{slot.head12}.1"
    text = converse(
        bus, seat.model, request(seat, turn, "review", rendered), seat.reserve, reread
    )
    if text is not None:
        kept[-1].wrote = {"model": seat.model_name, "turn": turn}
        kept[-1].at = now()
        bus.post(path, kept[-1], agent=me, verdict=kept[-1].verdict)
        posted = bus.get(path, Review)
        if posted is not None and posted.verdict == "changes":
            first = next((note.text for note in posted.notes), posted.body)
            remark(bus, me, posted.at, path, f"{view.name}, not like this: {first}")
    else:
        bus.trouble(
            f"no-review-{slot.lock.lower()}",
            f"bus/prs/{view.name}/",
            f"{seat.agent.name} gave no usable review in three tries",
            f"write bus/{path} yourself (verdict: approve, head: {view.head}), or make down and make again",
        )
    board.settle_claim(bus, slot.lock, me, "done")
    return text is not None


def read_review(text: str, head: str) -> Review:
    """The review in a model's answer. Raises Unusable when the verdict is not said, or changes are asked for without a note."""
    envelope = parse_envelope(text)
    verdict = str(envelope.head.get("verdict", "")).strip().lower()
    if verdict not in {"approve", "changes"}:
        raise Unusable([f"verdict: approve or changes, not '{verdict}'"])
    notes, rest = [], []
    for line in envelope.body.splitlines():
        found = _NOTE.match(line.strip())
        if found:
            notes.append(
                Note(
                    file=found[1] or "",
                    line=int(found[2] or 0),
                    text=tidy_text(found[3]),
                )
            )
        elif line.strip():
            rest.append(line.strip())
    body = tidy_text(" ".join(rest))[:2000]
    if verdict == "changes" and not notes and not body:
        raise Unusable(
            [
                "changes are asked for without saying which: one line `- path:line: what and why` each"
            ]
        )
    return Review(
        verdict="approve" if verdict == "approve" else "changes",
        head=head,
        notes=notes[:40],
        body=body,
    )

"""Reviewing: one agent looks at exactly one head of another's pull request.

It says approve or changes, with notes.
"""

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
from catherd.pulls.context import Matter, ask_for

_NOTE = re.compile(r"^[-*]\s+(?:`?([\w./-]+?)`?(?::(\d+))?:\s+)?(.+)$")


def do_review(seat: Seat, slot: Slot, view: View, task: Task) -> bool:
    """Carry out a claimed review and post it; the slot is done either way.

    False when no answer could be used.
    """
    bus, me = seat.bus, seat.agent.id
    path = f"prs/{view.name}/reviews/{slot.head12}.{me}.yaml"
    if view.head[:12] != slot.head12 or view.pr.author == me or bus.there(path):
        board.settle_claim(bus, slot.lock, me, "done")
        return True

    review = _ask(seat, slot, view, task)
    if review is None:
        bus.trouble(
            f"no-review-{slot.lock.lower()}",
            f"bus/prs/{view.name}/",
            f"{seat.agent.name} gave no usable review in three tries",
            f"write bus/{path} yourself (verdict: approve, head: {view.head}), or make down and make again",
        )
    else:
        bus.post(path, review, agent=me, verdict=review.verdict)
        _remark_changes(seat, view, path)

    board.settle_claim(bus, slot.lock, me, "done")
    return review is not None


def _ask(seat: Seat, slot: Slot, view: View, task: Task) -> Review | None:
    """The review that the model gives; None when no answer could be used."""
    bus = seat.bus
    main = landing.tip(bus.root, seat.game.branch)
    matter = Matter(
        kind="review", task_id=view.pr.task, task=task, main=main, view=view
    )
    rendered = prompts.render_prompt(bus.root, ask_for(seat, matter), seat.card())
    kept: list[Review] = []

    def reread(text: str, last: bool) -> str:  # noqa: ARG001 - the journal's call
        try:
            kept.append(read_review(text, view.head))
        except Unusable as error:
            return "\n".join(error.errors)
        return ""

    turn = f"{phase_of(task)}/{view.name}.review-{slot.head12}.1"
    asked = request(seat, turn, "review", rendered)
    if converse(bus, seat.model, asked, seat.reserve, reread) is None:
        return None
    review = kept[-1]
    review.wrote = {"model": seat.model_name, "turn": turn}
    review.at = now()
    return review


def _remark_changes(seat: Seat, view: View, path: str) -> None:
    """Let the reviewer say in the chat what it wants changed."""
    posted = seat.bus.get(path, Review)
    if posted is None or posted.verdict != "changes":
        return
    first = next((note.text for note in posted.notes), posted.body)
    text = f"{view.name}, not like this: {first}"
    remark(seat.bus, seat.agent.id, posted.at, path, text)


def read_review(text: str, head: str) -> Review:
    """The review in a model's answer.

    Raises Unusable when the verdict is not said, or changes are asked for without a
    note.
    """
    envelope = parse_envelope(text)
    verdict = str(envelope.head.get("verdict", "")).strip().lower()
    if verdict not in {"approve", "changes"}:
        raise Unusable([f"verdict: approve or changes, not '{verdict}'"])

    notes, rest = [], []
    for line in envelope.body.splitlines():
        note = _note(line.strip())
        if note is not None:
            notes.append(note)
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


def _note(line: str) -> Note | None:
    """The note in a line `- path:line: text`, None where it is none."""
    found = _NOTE.match(line)
    if found is None:
        return None
    return Note(file=found[1] or "", line=int(found[2] or 0), text=tidy_text(found[3]))

"""The rehearsal model: a whole game offline, free and the same every time, behind the
seam of the real models.

It sees a Request and nothing else. All that it knows it read in the prompt: the form of
the answer, its code name, the texts in their fences. What it says depends on the ask
and on the seed, never on a clock, on who asked first, or on the order in which others
wrote. `voices/` holds how each agent talks, `ideas/` what they propose and how that
fares.

Two switches stand in `request.options`: `latency` (seconds for each answer) and `rehearsal`.
See `misbehaviour.py` for both. Start with `reading.py`, then `debate.py`.
"""

from collections.abc import Callable

from catherd.core.model import ModelError, Reply, Request
from catherd.rehearsal import misbehaviour, reading
from catherd.rehearsal.reading import Scene

NAME = "rehearsal/1"


class Rehearsal:
    """A Model that was never trained."""

    def complete(self, request: Request) -> Reply:
        """The answer to `request`.

        Raises ModelError where it was told to fail or cannot know what is wanted.
        """
        scene = reading.read_prompt(request)
        misbehaviour.misbehave_before(request, scene.step)
        answer = _book(scene.form)(scene)
        text = misbehaviour.misbehave_after(request, scene.step, answer)
        sizes = [len(said.content) for said in request.messages]
        asked = len(request.system) + sum(sizes)
        return Reply(
            text,
            NAME,
            prompt_tokens=-(-asked // 4),
            completion_tokens=-(-len(text) // 4),
            requests=1,
        )


def _book(form: str) -> Callable[[Scene], str]:
    """The function that answers an ask of this form.

    Each module is imported when it is first asked for.
    """
    if form in {"pitch", "objections", "answers", "final"}:
        from catherd.rehearsal import debate

        return {
            "pitch": debate.pitch,
            "objections": debate.objections,
            "answers": debate.answers,
            "final": debate.final_statement,
        }[form]

    if form == "ballot":
        from catherd.rehearsal import vote

        return vote.play_ballot

    if form == "chat":
        from catherd.rehearsal import talk

        return talk.reply_aside

    if form in {"bid", "swap", "write", "revise", "review"}:
        from catherd.rehearsal import work

        return {
            "bid": work.bid,
            "swap": work.swap,
            "write": work.play_write,
            "revise": work.play_write,
            "review": work.play_review,
        }[form]

    raise ModelError(
        "refused",
        f"the rehearsal has no answer to '{form}': the prompt needs a line 'Your task: <step> (<form>)'",
    )

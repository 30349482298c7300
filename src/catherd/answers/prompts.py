"""Prompts: what a model is shown. A prompt is a function of its ask and the agent's card alone: no clock, no draw.

`render` finds two templates: the ask's own (`templates/debate/round-2.md.j2`) and `system.md.j2` beside it. The order
is fixed for the vendors' prompt caches, which keep what begins a request: the system prompt with the rules of all rounds,
what earlier rounds showed, in the same bytes, what is new; what is asked now comes last. Everything that another agent or a person wrote stands in a fence (`data.md.j2`) whose
nonce is a hash of the text and the reader, chosen so that it does not occur in the text: a text cannot end its own fence,
and a fence keeps its nonce in every prompt that shows it again.
"""

import hashlib
import itertools
import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from catherd.core import hidden
from catherd.core.errors import CatherdError
from catherd.core.messages import Ask, Input

if TYPE_CHECKING:
    from jinja2 import Environment

FORMS = {
    "round-1": "pitch",
    "round-2": "objections",
    "round-3": "answers",
    "round-4": "final",
    "ballot": "ballot",
    "reply": "chat",
}
REPLY = "reply"  # `since` of the chat messages that only a reply shows
CUT = "\x1e"  # what `{{ cut }}` of a template leaves; no text by others can hold it


class Card(msgspec.Struct, frozen=True):
    """Who is asked: `name` is the stem of agents/<name>.yaml, the rest stands in that file."""

    name: str
    display: str = ""
    temper: str = ""
    lens: str = ""
    vendor: str = ""


class Rendered(msgspec.Struct, frozen=True):
    """A prompt. `shown` is the order in which a ballot displays its candidates; empty elsewhere. `cuts` are places (characters)
    up to which the same agent's later prompts begin with the same bytes: where a vendor's cache may end.
    """

    system: str
    prompt: str
    shown: list[str] = []
    cuts: list[int] = []


def answer_form(ask: Ask) -> str:
    """What kind of answer an ask wants: pitch, objections, answers, final, ballot or chat.

    The ask's `kind` says it, or else the name of its template: a fifth round asks with the template of another one.
    """
    if ask.kind in FORMS.values():
        return ask.kind
    stem = os.path.basename(ask.template).split(".")[0]
    return FORMS.get(stem, ask.kind)


def code_name(ask: Ask, name: str) -> str:
    """The code name under which agent `name` speaks in this debate; empty before there is one."""
    return next((c for c, who in sorted(ask.names.items()) if who == name), "")


def proposals(ask: Ask, name: str) -> list[Input]:
    """The proposals of an ask as this reader sees them: the frozen order, rotated by the reader's place on the roll."""
    found = [i for i in ask.inputs if i.kind == "proposal"]
    at = ask.roll.index(name) % len(found) if found and name in ask.roll else 0
    return found[at:] + found[:at]


def shown_standing(ask: Ask) -> dict[str, Input]:
    """Every proposal by code name as it stands now: an input of kind `standing` overrules the `proposal` it was."""
    first = {i.by: i for i in ask.inputs if i.kind == "proposal"}
    return first | {i.by: i for i in ask.inputs if i.kind == "standing"}


def rivals(ask: Ask, name: str) -> list[str]:
    """The open proposals by others, in this reader's order."""
    now, mine = shown_standing(ask), code_name(ask, name)
    return [p.by for p in proposals(ask, name) if p.by != mine and _open(now[p.by])]


def still_open(ask: Ask, name: str) -> list[str]:
    """Every open proposal, in this reader's order."""
    now = shown_standing(ask)
    return [p.by for p in proposals(ask, name) if _open(now[p.by])]


def _open(proposal: Input) -> bool:
    return bool(proposal.data.get("status", "open") == "open")


def shown_candidates(ask: Ask, name: str) -> list[str]:
    """The ballot's candidates in this voter's order; what the voter wrote, alone or with others, is struck."""
    mine = {c for c, who in ask.names.items() if who == name} | {name}
    return [
        p.by
        for p in proposals(ask, name)
        if p.by not in mine and not mine & set(p.data.get("authors") or [])
    ]


def chat_ids(ask: Ask) -> dict[str, str]:
    """m1, m2 … as a prompt names the chat messages it shows, and the stem of the file behind each."""
    stems = [
        os.path.basename(i.path).removesuffix(".yaml")
        for i in ask.inputs
        if i.kind == "chat"
    ]
    return {f"m{n}": stem for n, stem in enumerate(stems, 1)}


def render_prompt(root: str, ask: Ask, card: Card) -> Rendered:
    """The prompt for one agent; `ask.template` is looked up under `root` and under `root/templates`.

    Raises CatherdError with template:line and a fix when a template is missing or wrong.
    """
    view = _view(ask, card)
    name = ask.template.removeprefix("templates/")
    system = f"{os.path.dirname(name)}/system.md.j2".lstrip("/")
    parts = _fill(root, name, view).split(CUT)
    cuts = list(itertools.accumulate(len(part) for part in parts[:-1]))
    return Rendered(_fill(root, system, view), "".join(parts), view["shown"], cuts)


def tame(text: str) -> str:
    """Text by others as a prompt may hold it: no hidden characters, nothing that looks like a fence."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return (
        hidden.removed(text)
        .replace("<<<data", "<< <data")
        .replace(">>>data", ">> >data")
        .strip("\n")
    )


def one_line(text: str) -> str:
    """The same on one line, for places where a line break could pass for another speaker."""
    return " ".join(tame(" ".join(text.split())).split())


def _nonce(reader: str) -> Callable[[str, str], str]:
    def nonce(label: str, text: str) -> str:
        for n in range(1 << 16):
            mark = hashlib.sha256(
                f"{reader}\0{n}\0{label}\0{text}".encode()
            ).hexdigest()[:8]
            if mark not in text:
                return mark
        raise AssertionError("a text that holds 65,536 hashes of itself")

    return nonce


def _view(ask: Ask, card: Card) -> dict[str, Any]:
    """The names that a template may use."""
    mine = code_name(ask, card.name)

    def inputs_of(kind: str) -> list[Input]:
        return [one for one in ask.inputs if one.kind == kind]

    form = answer_form(ask)
    return {
        "me": card,
        "display": card.display or card.name,
        "code": mine,
        "step": ask.step,
        "form": form,
        "roll": ask.roll,
        "brief": ask.brief.strip(),
        "constraints": ask.constraints,
        "proposals": proposals(ask, card.name),
        "chapters": _chapters(ask, card.name),
        "own": shown_standing(ask).get(mine),
        "rivals": rivals(ask, card.name),
        "open": still_open(ask, card.name),
        "received": _objectors(inputs_of("argument"), mine),
        "statements": inputs_of("statement"),
        "objections": inputs_of("objection"),
        "message": _message(ask),
        "shown": shown_candidates(ask, card.name) if form == "ballot" else [],
        "of": inputs_of,
        "nonce": _nonce(card.name),
        "cut": CUT,
    }


def _objectors(arguments: list[Input], code: str) -> list[str]:
    """The authors of objections to proposal `code`, one for each objection."""
    found = []
    for one in arguments:
        targets = [each.get("to") for each in one.data.get("objections") or []]
        found += [one.by] * targets.count(code)
    return found


def _chapters(ask: Ask, name: str) -> list[dict[str, Any]]:
    """The inputs in their order, in chapters of one kind each: what a template shows of a debate, the oldest first.

    `ends` is true where an earlier prompt ended: before the next round's texts, or before
    the messages that a reply is about.
    """
    made: list[dict[str, Any]] = []
    for item in ask.inputs:
        kind, step = _chapter_of(item)
        if not made or (made[-1]["kind"], made[-1]["step"]) != (kind, step):
            made.append({"kind": kind, "step": step, "texts": []})
        made[-1]["texts"].append(item)
    lines = iter(_chat(ask))
    for one, then in itertools.zip_longest(made, made[1:]):
        one["ends"] = then is None or _begins_news(then)
        if one["kind"] == "proposal":
            one["texts"] = proposals(ask, name)
        if one["kind"] == "chat":
            one["text"] = "\n".join(itertools.islice(lines, len(one["texts"])))
    return made


def _chapter_of(item: Input) -> tuple[str, str]:
    """The kind and the step of the chapter that an input belongs to."""
    if item.kind != "argument":
        return item.kind, str(item.data.get("since", ""))
    kind = "objections" if item.data.get("objections") else "answers"
    return kind, os.path.basename(os.path.dirname(item.path)).replace("-", " ")


def _begins_news(chapter: dict[str, Any]) -> bool:
    return chapter["kind"] in {"objections", "answers"} or chapter["step"] == REPLY


def _message(ask: Ask) -> str:
    """The id of the chat message that a reply answers: its step is named after it."""
    ids = chat_ids(ask)
    return next(
        (short for short, stem in ids.items() if ask.step == f"chat/{stem}"),
        next(reversed(ids), ""),
    )


def _chat(ask: Ask) -> list[str]:
    ids = {stem: short for short, stem in chat_ids(ask).items()}
    lines: list[str] = []
    for item in (i for i in ask.inputs if i.kind == "chat"):
        to = ids.get(str(item.data.get("reply_to") or ""), "")
        head = (
            f"m{len(lines) + 1} {one_line(item.by)}"
            + (f" (to {to})" if to else "")
            + (" (binding)" if item.data.get("binding") else "")
        )
        lines.append(f"{head}: {one_line(str(item.data.get('text', '')))}")
    return lines


@lru_cache(maxsize=4)
def _environment(root: str) -> "Environment":
    # Jinja2 costs 80 ms to import: whoever never renders never pays.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    env = Environment(
        loader=FileSystemLoader([os.path.join(root, "templates"), root]),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is a prompt, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["tame"] = tame
    env.filters["line"] = one_line
    return env


def _fill(root: str, name: str, view: dict[str, Any]) -> str:
    from jinja2 import TemplateNotFound, TemplateSyntaxError

    try:
        return _environment(root).get_template(name).render(view).strip("\n") + "\n"
    except TemplateNotFound as e:
        missing = e.name or name
        raise CatherdError(
            f"there is no template {missing}",
            where=os.path.join("templates", name),
            fix=f"git checkout -- templates/{missing}, or name another one in phases/",
        ) from e
    except TemplateSyntaxError as e:
        at = f"templates/{e.name or name}:{e.lineno}"
        raise CatherdError(
            f"template error: {e.message}",
            where=at,
            fix=f"edit {at}, or git checkout -- templates/{e.name or name}",
        ) from e
    except Exception as e:  # whatever an edited template makes Python do
        at = _place(e, name)
        what = f"template error: {type(e).__name__}: {e}"
        raise CatherdError(
            what, where=at, fix=f"edit {at}, or git checkout -- {at.split(':')[0]}"
        ) from e


def _place(error: Exception, name: str) -> str:
    """`templates/<file>:<line>` of the innermost template frame: Jinja2 maps its frames to the template's own lines."""
    at, frame = f"templates/{name}", error.__traceback__
    while frame is not None:
        path = frame.tb_frame.f_code.co_filename
        if path.endswith(".j2"):
            at = f"templates/{'/'.join(path.split(os.sep)[-2:])}:{frame.tb_lineno}"
        frame = frame.tb_next
    return at

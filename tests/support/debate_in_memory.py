"""A whole debate in memory: real templates, real parser, real count, no bus. What test_rehearsal and test_prompts play on."""

from pathlib import Path
from typing import Any

import msgspec

from catherd.answers import prompts
from catherd.answers.prompts import Card
from catherd.core.messages import Argument, Ask, Ballot, Chat, Input, Pitch
from catherd.core.model import Reply, Request, Said
from catherd.debate import parse, proposals, tally
from catherd.debate.papers import Cast
from catherd.rehearsal import Rehearsal

ROOT = str(Path(__file__).resolve().parents[2])
STEP = {
    "pitch": "round-1",
    "objections": "round-2",
    "answers": "round-3",
    "final": "round-4",
    "ballot": "ballots",
}
FOUR = ("chatgpt", "claude", "gemini", "wildcard")


def card(name: str) -> Card:
    return Card(
        name,
        name.capitalize(),
        f"as {name} is",
        f"what {name} looks for",
        f"{name} inc",
    )


def ask(form: str, roll: tuple[str, ...] = FOUR, **more: Any) -> Ask:
    step = STEP.get(form)
    template = (
        "chat/reply.md.j2"
        if form == "chat"
        else f"debate/{'ballot' if form == 'ballot' else step}.md.j2"
    )
    where = f"debate/{step}" if step else "chat/reply"
    return Ask(
        gate=step or "chat",
        step=where,
        kind=form,
        template=template,
        roll=list(roll),
        **more,
    )


def prefix(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    pairs = zip(one, other, strict=False)
    return next(
        (n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other))
    )


class Debate(msgspec.Struct):
    """One debate and everything that was said in it."""

    roll: tuple[str, ...] = FOUR
    seed: int = 0
    brief: str = ""
    options: dict[str, dict[str, str]] = {}
    chat: list[tuple[str, str, str, str]] = []  # stem, who, text, reply_to
    said: dict[str, dict[str, Any]] = {}
    replies: dict[tuple[str, str], Reply] = {}
    rendered: dict[tuple[str, str], prompts.Rendered] = {}
    shown_to: dict[str, Ask] = {}
    names: dict[str, str] = {}
    stand: dict[str, proposals.Proposal] = {}
    notes: list[str] = []
    news: dict[str, list[Input]] = {}  # gate → what was new in the chat after it
    apart: bool = True  # of a revision the new sections are shown, else the whole text
    backwards: bool = False  # agents answer in the opposite order: nothing may change

    def chats(self) -> list[Input]:
        return [
            Input(
                path=f"chat/{stem}.yaml",
                sha256="0",
                kind="chat",
                by="you" if who == "human" else who,
                data={"text": t, "reply_to": r},
            )
            for stem, who, t, r in self.chat
        ]

    def post(self, who: str, text: str, reply_to: str = "") -> str:
        self.chat.append((f"20260101T{len(self.chat):06}Z.{who}", who, text, reply_to))
        return self.chat[-1][0]

    def hold(self, form: str, inputs: list[Input]) -> None:
        """One gate: everybody is asked, answers, is heard; asides appear in the chat when all are in."""
        one = ask(form, self.roll, brief=self.brief, inputs=inputs, names=self.names)
        self.shown_to[form] = one
        asides: list[tuple[str, str, str]] = []
        self.said[form] = {}
        for name in sorted(self.roll, reverse=self.backwards):
            heard = self.turn(one, name)
            self.said[form][name] = heard.message
            self.notes += heard.notes
            if heard.aside:
                asides.append((name, heard.aside, heard.reply_to))
        for who, text, to in sorted(asides):
            self.post(who, text, to)

    def turn(self, one: Ask, name: str) -> parse.Statement:
        shown = prompts.render_prompt(ROOT, one, card(name))
        form = prompts.answer_form(one)
        self.rendered[form, name] = shown
        request = Request(
            agent=name,
            turn=f"{one.step}.{name}",
            model="rehearsal",
            system=shown.system,
            messages=(Said("user", shown.prompt),),
            seed=self.seed,
            options=self.options.get(name, {}),
        )
        self.replies[form, name] = Rehearsal().complete(request)
        return parse.read_statement(one, card(name), self.replies[form, name].text)

    def shown(self) -> list[Input]:
        """What the next ask shows: as the bus would give it, with every message of the chat."""
        said = [
            proposals.ClosedAsk(STEP[form], form, dict(self.said[form]))
            for form in self.said
        ]
        sources = {
            (STEP[f], a): (f"debate/{STEP[f]}/{a}.yaml", "0")
            for f in self.said
            for a in self.roll
        }
        known = {one.path for new in self.news.values() for one in new}
        self.news[said[-1][0]] = [one for one in self.chats() if one.path not in known]
        inputs = proposals.timeline(self.names, said, sources, self.news)
        for one in inputs:
            if not self.apart:
                one.data.pop("changed", None)
        return inputs

    def candidates(self) -> list[Input]:
        shown = {n: p for n, p in self.stand.items() if p.status == "open"}
        made = proposals.proposal_inputs(shown, dict.fromkeys(self.stand, ("p", "0")))
        return [
            msgspec.structs.replace(
                i, data=i.data | {"authors": self.stand[i.by].authors}
            )
            for i in made
        ]

    def play(self) -> "Debate":
        self.hold("pitch", [])
        pitches: dict[str, Pitch] = self.said["pitch"]
        self.names = proposals.code_names(pitches, self.roll, self.seed)
        self.stand = proposals.standing(self.names, pitches, [])
        self.hold("objections", self.shown())
        self.hold("answers", self.shown())
        self.stand = proposals.standing(self.names, pitches, [self.said["answers"]])
        self.hold("final", self.shown())
        code = {agent: c for c, agent in self.names.items()}
        finals: dict[str, Argument] = self.said["final"]
        inputs = self.candidates()
        for agent in sorted(finals, key=lambda a: code[a]):
            data = {"speaks_for": finals[agent].speaks_for, "body": finals[agent].body}
            inputs.append(
                Input(path="s", sha256="0", kind="statement", by=code[agent], data=data)
            )
        for one in proposals.open_objections(
            self.names, self.said["objections"], self.said["answers"]
        ):
            if one["verdict"] != "accept" and self.stand[one["to"]].status == "open":
                inputs.append(
                    Input(path="", sha256="", kind="objection", by=one["by"], data=one)
                )
        self.hold("ballot", inputs)
        return self

    def count(self, **more: list[str]) -> tally.CountResult:
        """The result, with the ballots of `more` (a person's) added."""
        on = [c for c, p in self.stand.items() if p.status == "open"]
        ballots: dict[str, Ballot] = self.said["ballot"]
        casts = [
            Cast(n, b.ranking, abstain=b.abstain) for n, b in sorted(ballots.items())
        ]
        casts += [Cast(n, ranking) for n, ranking in more.items()]
        recused = {a: [c for c in on if a in self.stand[c].authors] for a in self.roll}
        return tally.count_ballots(on, casts, recused)

    def title(self, code: str | None) -> str:
        return self.stand[code].title if code else ""

    def chains(self) -> list[list[str]]:
        """Every path of replies from a message that answers nothing to one that nobody answers, of two or more."""
        parent = {stem: to for stem, _, _, to in self.chat}
        leaves = [s for s in parent if s not in parent.values() and parent[s]]
        found = []
        for leaf in leaves:
            path = [leaf]
            while parent.get(path[-1]):
                path.append(parent[path[-1]])
            found.append(path[::-1])
        return found


def debate_of(**more: Any) -> Debate:
    return Debate(**more).play()


__all__ = ["FOUR", "ROOT", "Chat", "Debate", "ask", "card", "debate_of", "prefix"]

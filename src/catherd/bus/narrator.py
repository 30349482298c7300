"""What a person sees while the herd works: headlines and asides as they come, one line on who is still thinking, the bell.

On a terminal: coloured per agent, at a readable pace in a rehearsal (`PACE=0` for none). Piped: plain lines, no pace.
Whatever an agent wrote is stripped of control and escape sequences first: a model's text is hostile to terminals.
"""

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping

import msgspec

from catherd.bus.chat import MARK
from catherd.bus.store import Bus
from catherd.core import closing, hidden
from catherd.core.closing import Heard
from catherd.core.messages import Argument, Ask, Ballot, Chat, Pitch, Trouble
from catherd.core.tasks import Bid, Needs, Pr, Review
from catherd.core.turns import YOU, who

LONG = 320  # characters of a headline; the whole text is a `cat` away
COLOURS = (
    34,
    35,
    36,
    33,
    32,
    31,
)  # of the terminal's own palette; the name is always there too


def terminal_text(text: str) -> str:
    """`text` without anything that a terminal or a bidi reader would obey; line breaks become blanks."""
    return hidden.removed(text.replace("\n", " ").replace("\t", " "))


class VoteOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a vote ended, as it is told."""

    method: str
    winner: str
    title: str
    choice: str = ""
    reason: str = ""
    turnout: str = ""


class Teller:
    """Tells of one make step."""

    def __init__(
        self, names: dict[str, str], *, rehearsal: bool, tty: bool | None = None
    ) -> None:
        self.names = names
        self.tty = sys.stdout.isatty() if tty is None else tty
        self.asking = self.tty and sys.stdin.isatty()
        self.pace = _pace(rehearsal=rehearsal) if self.tty else 0.0
        self.colour = self.tty and "NO_COLOR" not in os.environ
        self.width = min(100, shutil.get_terminal_size((80, 24)).columns)
        self._told: set[str] = set()
        self._status = ""
        self._held = False
        self._since = time.monotonic()
        self._steps: set[str] = set()
        self._troubles: set[str] = set()

    # Plain output

    def line(self, text: str) -> None:
        """One line, over the line that says who is thinking."""
        self._wipe()
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def bell(self) -> None:
        """You are needed, or the goal is reached: the bell, and NOTIFY='cmd'."""
        if self.tty:
            sys.stdout.write("\a")
        if command := os.environ.get("NOTIFY"):
            subprocess.run(
                ["sh", "-c", command], stdin=subprocess.DEVNULL, timeout=20, check=False
            )

    def _wipe(self) -> None:
        if self._status:
            sys.stdout.write("\r\x1b[K")
            self._status = ""

    def _called(self, agent: str) -> str:
        return "you" if agent in YOU else terminal_text(self.names.get(agent, agent))

    def _name(self, agent: str) -> str:
        shown = self._called(agent)
        if not self.colour:
            return shown
        order = list(self.names)
        code = COLOURS[order.index(agent) % len(COLOURS)] if agent in order else 37
        return f"\x1b[1;{code}m{shown}\x1b[0m"

    def _say(self, agent: str, text: str, mark: str) -> None:
        shown = self._called(agent)
        indent = " " * 11
        body = textwrap.fill(
            terminal_text(text),
            self.width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_on_hyphens=False,
        ).lstrip()
        self.line(f"{self._name(agent)}{' ' * max(1, 9 - len(shown))}{mark} {body}")
        if self.pace:
            time.sleep(self.pace)

    # What a gate tells

    def knows(self, stems: set[str]) -> None:
        """These messages of the chat were told already, by an earlier step."""
        self._told |= {f"chat/{stem}" for stem in stems}

    def troubles(self, found: list[Trouble]) -> None:
        """What a person must look at, each once, as soon as it is there."""
        for one in map(trouble, found):
            if one not in self._troubles:
                self._troubles.add(one)
                self.line(folded(one))

    def said(self, ask: Ask, heard: dict[str, Heard], chat: dict[str, Chat]) -> None:
        """What is new: each answer's headline once, each message of the chat once."""
        if ask.gate not in self._steps:
            self._steps.add(ask.gate)
            self.line(
                f"── {ask.gate.replace('-', ' ')} {'─' * max(4, self.width - len(ask.gate) - 4)}"
            )
        for name in sorted(heard):
            if (
                f"{ask.step}/{name}" not in self._told and not heard[name].fault
            ):  # a fault is told as trouble
                self._told.add(f"{ask.step}/{name}")
                self._say(name, cut_line(headline(heard[name].message), LONG), "│")
        for stem, message in chat.items():
            if f"chat/{stem}" not in self._told:
                self._told.add(f"chat/{stem}")
                self.chat_line(
                    who(stem),
                    message.text,
                    who(message.reply_to) if message.reply_to in chat else "",
                )

    def chat_line(self, speaker: str, text: str, to: str) -> None:
        """One message of the chat; `to` is whom it answers."""
        lead = f"@{self._called(to)}: " if to and not text.startswith("@") else ""
        self._say(speaker, lead + text, "»")

    def waiting(
        self, gate: str, verdict: closing.CloseVerdict, paused: bool, waited: float
    ) -> None:
        """One line on who is still thinking and for how long; nothing when piped."""
        if not self.tty:
            return
        what = (
            "paused: rm bus/PAUSE goes on"
            if paused
            else self._thinking(gate, verdict, waited)
        )
        self._line(what)

    def _line(self, what: str) -> None:
        text = what[: self.width - 1]
        if text != self._status:
            sys.stdout.write(f"\r\x1b[K{text}")
            sys.stdout.flush()
            self._status = text

    def _thinking(self, gate: str, verdict: closing.CloseVerdict, waited: float) -> str:
        names = ", ".join(map(self._called, verdict.waiting)) or "answers in the chat"
        why = f" ({verdict.why})" if verdict.why else ""
        return f"{gate}: {int(waited)} s, waiting for {names}{why}"

    def patience(self, seconds: float) -> float:
        """How long the gate may sleep: on a terminal the seconds tick."""
        return min(seconds, 1.0) if self.tty else seconds

    def held(self, gate: str) -> None:
        """STEP: the gate is held."""
        if not self._held:
            self._held = True
            self.line(f"{gate}: held (STEP); make go closes it")

    def closed(self, gate: str, counted: int, ask: Ask, absent: list[str]) -> None:
        """The gate is closed: who counted, who was absent."""
        of = len([n for n in ask.roll if n != "human"])
        silent = (
            f"; not heard: {', '.join(map(self._called, absent))}" if absent else ""
        )
        what = "ballots" if ask.kind == "ballot" else "heard"
        self.line(f"{gate} closed: {counted} of {of} {what}{silent}")

    def code_names(self, titles: Mapping[str, str]) -> None:
        """Code name → title, said when proposals begin to go by code names."""
        named = "; ".join(f"{code} is {titles[code]}" for code in sorted(titles))
        text = f"from here on each proposal goes by a code name: {named}"
        self.line(textwrap.fill(terminal_text(text), self.width))

    def merged(self, bus: Bus, name: str) -> None:
        """A pull request is on main."""
        pr = bus.look(f"prs/{name}/pr.yaml", Pr)
        self._say(
            pr.author if pr else "catherd",
            f"{name} merged" + (f": {pr.task}, {pr.title}" if pr else ""),
            "✓",
        )

    def work(
        self, bus: Bus, gate: str, prs: list[str], done: int, of: int, waited: float
    ) -> None:
        """What moves while tasks are worked on.

        These pull requests and their reviews are told as they come, and one line of the
        rest: `done` of `of` tasks after `waited` seconds.
        """
        said = bus.chat()
        if gate not in self._steps:
            self._steps.add(gate)
            self._told |= {f"chat/{stem}" for stem in said}
            self.line(f"── {gate} {'─' * max(4, self.width - len(gate) - 4)}")
        for stem, message in said.items():
            # A line of the work is told as what it is about.
            if not message.wrote.get("turn", "").startswith(MARK):
                self._once(f"chat/{stem}", who(stem), message.text, "»")
        for name in prs:
            self._opened(bus, name)
            self._sent_back(bus, name)
            self._reviewed(bus, name)
        if self.tty:
            self._line(f"{gate}: {done} of {of} tasks merged, {int(waited)} s")

    def _opened(self, bus: Bus, name: str) -> None:
        pr = bus.look(f"prs/{name}/pr.yaml", Pr)
        if pr is not None:
            text = f"opens {name}: {pr.task}, {pr.title}"
            self._once(f"prs/{name}", pr.author, text, "│")

    def _sent_back(self, bus: Bus, name: str) -> None:
        for file in bus.names(f"prs/{name}"):
            path = f"prs/{name}/{file}"
            needs = bus.look(path, Needs) if file.startswith("needs-") else None
            if needs is not None:
                first = " ".join([*needs.files, *needs.findings][:1])
                text = f"{name} goes back: {needs.why}. {first}".strip()
                self._once(path, "catherd", text, "│")

    def _reviewed(self, bus: Bus, name: str) -> None:
        for file in bus.names(f"prs/{name}/reviews"):
            path = f"prs/{name}/reviews/{file}"
            review = None if path in self._told else bus.look(path, Review)
            if review is not None:
                reviewer = file.removesuffix(".yaml").partition(".")[2]
                self._once(path, reviewer, _verdict(name, review), "│")

    def _once(self, key: str, speaker: str, text: str, mark: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self._say(speaker, text, mark)

    def decided(self, outcome: VoteOutcome) -> None:
        """The decision, in one line."""
        how = {
            "condorcet": "it beats every rival",
            "irv": "by instant runoff",
            "unopposed": "unopposed",
            "human": "you chose it",
        }[outcome.method]
        self.line(
            f"decided: {terminal_text(outcome.title)} ({outcome.winner}; {how}; {outcome.turnout})"
        )

    def landed(self, sha: str, where: str) -> None:
        """Where the documents are now."""
        see = (
            "docs/debate/"
            if where
            else f"git show {sha[:12]}:docs/debate/vote-results.md"
        )
        self.line(f"landed {sha[:12]}: {see}")

    # What a gate asks

    def vote_too(self) -> bool:
        """Whether you want a ballot; asked once, on a terminal only."""
        if not self.asking:
            return False
        self._wipe()
        self.bell()
        sys.stdout.write("vote too? [y/N] ")
        sys.stdout.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def your_ballot(self, path: str, ids: list[str]) -> None:
        """Where your ballot is, and what may stand on it."""
        self.line(
            folded(
                f"your ballot: {path}, best first behind `ranking:`; it lists {', '.join(ids)}"
            )
        )

    def pick(self, card: str, options: list[str]) -> str:
        """Your choice among the tied, on a terminal; "" without one."""
        lines = [
            terminal_text(line) if line.strip() else "" for line in card.split("\n")
        ]
        self.line("\n".join(lines))
        if not self.asking:
            return ""
        self.bell()
        while typed := self._choice_typed(options):
            choice = _chosen(typed.strip(), options)
            if choice:
                return choice
        return ""

    def _choice_typed(self, options: list[str]) -> str:
        """A line with a choice, "" at the end of the input."""
        offered = ", ".join(f"{n} {one}" for n, one in enumerate(options, 1))
        numbers = "/".join(str(n) for n in range(1, len(options) + 1))
        sys.stdout.write(f"{offered}  {numbers}? ")
        sys.stdout.flush()
        return sys.stdin.readline()


def _chosen(typed: str, options: list[str]) -> str:
    """The option that was typed, by its number or its name; "" when it is none."""
    if typed.isdigit() and 1 <= int(typed) <= len(options):
        return options[int(typed) - 1]
    return typed if typed in options else ""


def trouble(one: Trouble) -> str:
    """What a person must look at: where, what, and the fix on a line of its own, to be pasted."""
    return f"look at {terminal_text(one.where)}: {terminal_text(one.what)}" + (
        f"\n  fix: {terminal_text(one.fix)}" if one.fix else ""
    )


def cut_line(text: str, limit: int) -> str:
    """`text`, ended with `…` between two words where it is longer."""
    return (
        text
        if len(text) <= limit
        else text[:limit].rpartition(" ")[0].rstrip(" ,;:.") + " …"
    )


def folded(line: str) -> str:
    """A line for a person's terminal, at most 80 columns; a fix stays as it is, to be pasted, and so does piped output."""
    if not sys.stdout.isatty():
        return line
    rows = [
        part
        if part.startswith("  fix:")
        else textwrap.fill(part, 80, break_long_words=False, break_on_hyphens=False)
        for part in line.split("\n")
    ]
    return "\n".join(rows)


def headline(message: Pitch | Argument | Ballot | Bid) -> str:
    """An answer in a line or two."""
    if isinstance(message, Pitch):
        return f"{message.title}. {_first_sentence(message.body)}"
    if isinstance(message, Bid):
        return _bid_line(message)
    if isinstance(message, Ballot):
        return _ballot_line(message)
    return _argument_line(message)


def _first_sentence(body: str) -> str:
    """The first line that is neither blank nor a heading."""
    for line in body.splitlines():
        if line.strip() and not line.startswith("#"):
            return line
    return ""


def _bid_line(bid: Bid) -> str:
    if bid.swap:
        give, take = bid.swap.get("give", ""), bid.swap.get("take", "")
        return f"would give {give} for {take}. {bid.note}".strip()
    if bid.kind == "swap":
        return "keeps what it has"
    best = sorted(bid.fits, key=lambda task: (-bid.fits[task], task))[:3]
    if not best:
        return "bids for nothing"
    return "would take " + ", ".join(f"{task} (fit {bid.fits[task]})" for task in best)


def _ballot_line(ballot: Ballot) -> str:
    if ballot.abstain:
        return f"abstains. {ballot.why}".strip()
    ranks = [r if isinstance(r, list) else [str(r)] for r in ballot.ranking]
    return " > ".join("=".join(equal) for equal in ranks)


def _argument_line(argument: Argument) -> str:
    if argument.objections:
        first, *others = argument.objections
        more = f" (and {len(others)} more)" if others else ""
        return f"to {first.to}: {first.objection}{more}"
    if argument.decision:
        accepted = [one for one in argument.answers if one.verdict == "accept"]
        to = f" with {argument.merge_with}" if argument.merge_with else ""
        of = f"{len(accepted)} of {len(argument.answers)} objections"
        return f"{argument.decision}{to}; accepts {of}"
    if argument.speaks_for:
        return f"for {argument.speaks_for}: {argument.body}"
    return argument.body


def _verdict(pr: str, review: Review) -> str:
    if review.verdict == "approve":
        return f"approves {pr}."
    reason = review.notes[0].text if review.notes else ""
    return f"asks for changes in {pr}. {reason}".strip()


def _pace(*, rehearsal: bool) -> float:
    told = os.environ.get("PACE", "")
    try:
        return float(told) if told else (0.7 if rehearsal else 0.0)
    except ValueError:
        return 0.0

"""Hearing: which answers to an ask are there and can be counted.

Nothing that a person wrote is ever thrown away for being wrong.
"""

import hashlib
import os
from collections.abc import Collection, Iterable

from catherd.bus import yaml_read
from catherd.bus.config import Gate
from catherd.bus.store import OPEN, Bus, slug
from catherd.core.closing import KINDS, Heard, Message
from catherd.core.errors import CatherdError
from catherd.core.messages import Argument, Ask, Ballot, Spoken, Trouble


class Hearing:
    """The answers to one ask, read again only when their file changed."""

    def __init__(self, bus: Bus, gate: Gate, ask: Ask) -> None:
        self.bus, self.gate, self.ask = bus, gate, ask
        self.heard: dict[str, Heard] = {}
        self.broken: dict[str, str] = {}  # agent → what is wrong with its file
        self._seen: dict[str, tuple[int, int, int]] = {}

    def look(self) -> None:
        """Read what is new or changed."""
        names = [
            n.removesuffix(".yaml")
            for n in self.bus.names(self.ask.step)
            if n.endswith(".yaml") and n != OPEN
        ]
        for gone in set(self._seen) - set(names):
            self._seen.pop(gone)
            self.heard.pop(gone, None)
            self.broken.pop(gone, None)

        for name in names:
            path = f"{self.ask.step}/{name}.yaml"
            try:
                info = os.lstat(self.bus.here(path))
            except FileNotFoundError:
                continue
            mark = (info.st_mtime_ns, info.st_ino, info.st_size)
            if self._seen.get(name) != mark:
                self._seen[name] = mark
                self._read(name, path)

    def _read(self, name: str, path: str) -> None:
        self.heard.pop(name, None)
        self.broken.pop(name, None)
        try:
            text = yaml_read.text_of(self.bus.here(path), f"bus/{path}")
            document = yaml_read.loads(text, f"bus/{path}")
            message = yaml_read.typed(document, KINDS.get(self.gate.kind, Argument))
        except CatherdError as error:
            self.broken[name] = error.what
            self.bus.broken(path, error)
            return
        except FileNotFoundError:
            self._seen.pop(name, None)
            return

        sha = hashlib.sha256(text.encode()).hexdigest()
        fault = None
        if isinstance(message, Ballot):
            fault = self._fault(name, message, document)
        self._tell(path, fault, sha)
        if fault is None and _is_empty_form(message):
            return
        unknown_keys = self.bus.unknown(path, document, type(message))
        spoken = Spoken(
            path=path,
            sha256=sha,
            edited=bool(unknown_keys) or self._by_you(name, message),
            text=text,
        )
        self.heard[name] = Heard(message, spoken, fault.what if fault else "")

    def _tell(self, path: str, fault: CatherdError | None, sha: str) -> None:
        """Report a fault once per content of the file, or that there is none now."""
        if fault is None:
            self.bus.solved(slug(path))
        else:
            self.bus.trouble(slug(path), fault.where, fault.what, fault.fix, sha)

    def _by_you(self, name: str, message: Message) -> bool:
        """Whether you wrote or edited an answer.

        What a daemon posts is sealed. So an answer is yours when its seal is broken, or
        when it has none although its agent has a journal.
        """
        if self.bus.edited(message):
            return True
        return not message.seal and bool(self.bus.names(f"runs/{name}"))

    def _fault(
        self, voter: str, ballot: Ballot, document: yaml_read.Document
    ) -> CatherdError | None:
        """What the count would drop from a ballot, and where it stands."""
        seen: set[str] = set()
        for n, entry in enumerate(ballot.ranking):
            for one in entry if isinstance(entry, list) else [entry]:
                what = self._dropped(voter, one, seen)
                if what:
                    return CatherdError(
                        what,
                        where=document.where("ranking", n),
                        fix="correct the line (the gate reads it again at once), or delete the file and the vote is asked for again",
                    )
                seen.add(one)
        return None

    def _dropped(self, voter: str, one: str, seen: Collection[str]) -> str:
        """Why the count would drop an id that comes after those `seen`; "" if not."""
        ids = self.candidates()
        if one not in ids:
            return f"'{one}' is not on this ballot; it lists {', '.join(ids)}"
        if one in seen:
            return f"'{one}' is ranked twice"
        if self.own(voter, one):
            return f"'{one}' is {voter}'s own proposal; it has no say on it"
        return ""

    def candidates(self) -> list[str]:
        """The ids on the ballot, in the ask's order."""
        return [one.by for one in self.ask.inputs if one.kind == "proposal"]

    def own(self, voter: str, proposal: str) -> bool:
        """Whether `voter` is among the authors of a proposal on the ballot."""
        proposals = [one for one in self.ask.inputs if one.kind == "proposal"]
        entry = next(one for one in proposals if one.by == proposal)
        authors = [proposal, *entry.data.get("authors", [])]
        return voter in [self.ask.names.get(author) for author in authors]

    def ready(self) -> set[str]:
        """The agents that need not be waited for.

        They are heard, and there is nothing in their answers that could be mended.
        """
        return {name for name, one in self.heard.items() if not one.fault}


def _is_empty_form(message: Message) -> bool:
    """Whether this is a ballot that is not filled in yet."""
    if not isinstance(message, Ballot):
        return False
    return not message.ranking and not message.abstain


def mended_first(bus: Bus, ask: Ask, waiting: Iterable[str]) -> None:
    """Raise CatherdError, with place and fix, where a template must be mended first.

    A template that broke for everybody who is waited for breaks at every try.
    """
    agents = [name for name in waiting if name != "human"]
    troubles = [_template_trouble(bus, ask, name) for name in agents]
    broken = [trouble for trouble in troubles if trouble is not None]
    if broken and len(broken) == len(agents):
        raise CatherdError(broken[0].what, where=broken[0].where, fix=broken[0].fix)


def _template_trouble(bus: Bus, ask: Ask, name: str) -> Trouble | None:
    """What was reported of a template that an agent could not fill in for this ask."""
    try:
        found = bus.get(f"problems/turn-{name}.yaml", Trouble)
    except CatherdError:
        return None
    if found is None or found.of != f"{ask.step}.{ask.kind}":
        return None
    return found if found.where.startswith("templates/") else None

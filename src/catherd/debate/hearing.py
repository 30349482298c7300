"""Hearing: which answers to an ask are there and can be counted. Nothing of a person's is ever thrown away for being wrong."""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress

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
        trouble = slug(path)
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
        fault = (
            self._fault(name, message, document)
            if isinstance(message, Ballot)
            else None
        )
        if fault is not None:
            self.bus.trouble(trouble, fault.where, fault.what, fault.fix, sha)
        else:
            self.bus.solved(trouble)
        if (
            isinstance(message, Ballot)
            and not message.ranking
            and not message.abstain
            and fault is None
        ):
            return  # a form that is not filled in yet
        more = self.bus.unknown(path, document, type(message))
        spoken = Spoken(
            path=path,
            sha256=sha,
            edited=bool(more) or self._by_you(name, message),
            text=text,
        )
        self.heard[name] = Heard(message, spoken, fault.what if fault else "")

    def _by_you(self, name: str, message: Message) -> bool:
        """Its seal is broken, or it has none where an agent has a journal: what a daemon posts is sealed."""
        return self.bus.edited(message) or (
            not message.seal and bool(self.bus.names(f"runs/{name}"))
        )

    def _fault(
        self, voter: str, ballot: Ballot, document: yaml_read.Document
    ) -> CatherdError | None:
        """What the count would drop from a ballot, and where it stands."""
        ids = self.candidates()
        mine = {
            i.by
            for i in self.ask.inputs
            if i.kind == "proposal" and self.own(voter, i.by)
        }
        seen: set[str] = set()
        for n, entry in enumerate(ballot.ranking):
            for one in entry if isinstance(entry, list) else [entry]:
                where = document.where("ranking", n)
                fix = "correct the line (the gate reads it again at once), or delete the file and the vote is asked for again"
                if one not in ids:
                    return CatherdError(
                        f"'{one}' is not on this ballot; it lists {', '.join(ids)}",
                        where=where,
                        fix=fix,
                    )
                if one in seen:
                    return CatherdError(
                        f"'{one}' is ranked twice", where=where, fix=fix
                    )
                if one in mine:
                    return CatherdError(
                        f"'{one}' is {voter}'s own proposal; it has no say on it",
                        where=where,
                        fix=fix,
                    )
                seen.add(one)
        return None

    def candidates(self) -> list[str]:
        """The ids on the ballot, in the ask's order."""
        return [i.by for i in self.ask.inputs if i.kind == "proposal"]

    def own(self, voter: str, proposal: str) -> bool:
        """Whether `voter` is among the proposal's authors."""
        entry = next(
            i for i in self.ask.inputs if i.kind == "proposal" and i.by == proposal
        )
        return any(
            self.ask.names.get(name) == voter
            for name in [proposal, *entry.data.get("authors", [])]
        )

    def ready(self) -> set[str]:
        """Who needs not be waited for: heard, and nothing in it that could still be mended."""
        return {name for name, one in self.heard.items() if not one.fault}


def mended_first(bus: Bus, ask: Ask, waiting: Iterable[str]) -> None:
    """A template that broke for everybody who is waited for breaks at every try: raises CatherdError with its place and fix."""
    agents, broken = [name for name in waiting if name != "human"], []
    for name in agents:
        with suppress(CatherdError):
            one = bus.get(f"problems/turn-{name}.yaml", Trouble)
            if (
                one
                and one.of == f"{ask.step}.{ask.kind}"
                and one.where.startswith("templates/")
            ):
                broken.append(one)
    if broken and len(broken) == len(agents):
        raise CatherdError(broken[0].what, where=broken[0].where, fix=broken[0].fix)

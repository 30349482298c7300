"""The bus: `bus/` as typed messages. Reads what is there now, posts what is new, says once what is wrong.

Everything is named by its path relative to `bus/`. A posted message carries a `seal`, a hash over the rest of it, by which
a later reader sees that a person changed it; a message without one (yours, a foreign agent's) cannot be told from an edited one.
"""

import contextlib
import datetime as dt
import errno
import hashlib
import os
import re
import stat
import time
from collections import deque
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import msgspec

from catherd.bus import atomic, yaml_read, yaml_write
from catherd.bus.config import IGNORED
from catherd.core import hidden
from catherd.core.errors import CatherdError
from catherd.core.messages import FORMAT, Base, Chat, Game, Receipt, Trouble

M = TypeVar("M", bound=Base)

OPEN = "open.yaml"
TIEBREAK = "debate/tiebreak.yaml"
# From the root: the file by which every clone knows the game.
DECISION = "docs/debate/decision.yaml"
# Seconds for which the names that a watch heard are taken for all that came to the chat.
RELIST = 5.0


def now() -> str:
    """UTC in ISO 8601, to the millisecond."""
    return (
        dt.datetime.now(dt.UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def seal_of(message: Base) -> str:
    """The hash over everything else in `message`."""
    data = msgspec.to_builtins(message)
    data.pop("seal", None)
    return hashlib.sha256(msgspec.json.encode(data, order="sorted")).hexdigest()[:16]


def tidy_text(text: str) -> str:
    """Text as the bus keeps it, so that `cat` shows it as a block.

    It has no trailing blanks, no tabs and no hidden characters.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    plain = hidden.removed(lines)
    return "\n".join(line.rstrip() for line in plain.split("\n")).strip("\n")


class Bus:
    """`<root>/bus`, as this process sees it.

    The files are the state. Beside them it holds `by` (whose events these are) and the
    tail of the chat, parsed, so that no message is read twice. `heard` are names under
    chat/ that a watch tells of, where there is one.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.path = os.path.join(root, "bus")
        self.by = "catherd"
        self.heard: deque[str] | None = None
        self.relist_s = RELIST
        self._tail = ChatTail(self)

    # Reading

    def here(self, path: str) -> str:
        """The absolute path of `path`."""
        return os.path.join(self.path, path)

    def there(self, path: str) -> bool:
        """Whether anything has that name."""
        return os.path.lexists(self.here(path))

    def names(self, folder: str) -> list[str]:
        """The sorted names in `folder`, editors' leftovers left out; empty when it is not there."""
        try:
            return sorted(
                name
                for name in os.listdir(self.here(folder))
                if not IGNORED.match(name)
            )
        except (FileNotFoundError, NotADirectoryError):
            return []

    def get(self, path: str, kind: type[M]) -> M | None:
        """The message at `path`, None when there is none. Raises CatherdError where it cannot be read or typed."""
        try:
            document = yaml_read.read_yaml(self.here(path), f"bus/{path}")
        except FileNotFoundError:
            self.solved(slug(path))
            return None
        message = yaml_read.typed(document, kind)
        self.solved(slug(path))
        self.unknown(path, document, kind)
        return message

    def look(self, path: str, kind: type[M]) -> M | None:
        """As `get`, but what cannot be read is reported and passed over: for files that a person may be editing."""
        try:
            return self.get(path, kind)
        except CatherdError as error:
            self.broken(path, error)
            return None

    def unknown(
        self, path: str, document: yaml_read.Document, kind: type[Base]
    ) -> list[str]:
        """The top-level keys that `kind` does not know; the first is reported until it is gone."""
        found = yaml_read.unknown(document, kind)
        if found:
            self.trouble(
                f"unknown-{slug(path)}",
                document.where(found[0]),
                f"the key '{found[0]}' is not known here; it is kept and not used",
                f"one of: {', '.join(f for f in kind.__struct_fields__ if f not in {'catherd', 'seal', 'wrote'})}",
                self.sha(path),
            )
        else:
            self.solved(f"unknown-{slug(path)}")
        return found

    def must(self, path: str, kind: type[M]) -> M:
        """The message at `path`; CatherdError when there is none."""
        found = self.get(path, kind)
        if found is None:
            raise CatherdError(
                "is gone",
                where=f"bus/{path}",
                fix=f".venv/bin/catherd bus restore '{path}'",
            )
        return found

    def sha(self, path: str) -> str:
        """The sha256 of the file's bytes. OSError where no regular file stands there: opening a FIFO would wait for ever."""
        fd = os.open(self.here(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", path)
        with open(fd, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def game(self) -> Game | None:
        """The game that is on, or None before the first."""
        return self.get("game.yaml", Game)

    def goal(self) -> str:
        """The make target that the herd works toward, "" when there is none."""
        try:
            return yaml_read.text_of(self.here("goal"), "bus/goal").strip()[:200]
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def paused(self) -> bool:
        """Whether `PAUSE` is there."""
        return self.there("PAUSE")

    def receipt(self, gate: str) -> Receipt | None:
        """The receipt of a closed gate."""
        return self.get(f"gates/{gate}.yaml", Receipt)

    def closed(self, gate: str) -> bool:
        """Whether the gate has its receipt: one look-up, nothing parsed."""
        return self.there(f"gates/{gate}.yaml")

    def alive(self, agent: str) -> bool:
        """Whether the agent's daemon lives: it holds its lock."""
        return atomic.is_held(self.here(f"agents/{agent}.lock"))

    def edited(self, message: Base) -> bool:
        """Whether a sealed message was changed after it was posted."""
        return bool(message.seal) and message.seal != seal_of(message)

    def chat(self, last: int = 200, *, fresh: bool = False) -> dict[str, Chat]:
        """The last messages of the chat by stem (`<utc>.<who>`), oldest first.

        A broken one is reported once and left out. What you edit in place is seen with
        the next message that comes, or when `fresh` asks for it; a broken one at once.
        """
        return self._tail.read(last, fresh=fresh)

    # Writing

    def post(self, path: str, message: Base, header: str = "", **facts: Any) -> bool:
        """Publish `message` at `path`, sealed, and say so in the events; False when the name is taken."""
        message.catherd = FORMAT
        message.seal = ""
        message.seal = seal_of(message)
        checked = msgspec.convert(msgspec.to_builtins(message), type(message))
        made = atomic.publish(self.path, path, yaml_write.dumps(checked, header))
        self.event("posted", path, **facts)
        if self.heard is not None and path.startswith("chat/"):
            self.heard.append(path.removeprefix("chat/"))
        return made

    def event(self, kind: str, subject: str, **facts: Any) -> None:
        """One line in `events/<date>.jsonl`; the id is stable, so that a repeated event is known as one."""
        at = now()
        line = {
            "v": FORMAT,
            "id": f"{kind}:{subject}",
            "at": at,
            "by": self.by,
            "kind": kind,
            "subject": subject,
            **facts,
        }
        with contextlib.suppress(
            FileNotFoundError
        ):  # the bus is gone, and its log with it
            atomic.append(
                self.path,
                f"events/{at[:10]}.jsonl",
                msgspec.json.encode(line).decode() + "\n",
            )

    def trouble(
        self, name: str, where: str, what: str, fix: str, of: str = "", until: str = ""
    ) -> None:
        """Say once, per content `of`, what a person must look at."""
        path = f"problems/{name}.yaml"
        try:
            old = self.get(path, Trouble)
        except CatherdError:
            old = None
        if old is not None and old.of == of and old.what == what:
            return
        text = yaml_write.dumps(
            Trouble(catherd=FORMAT, where=where, what=what, fix=fix, of=of, until=until)
        )
        atomic.replace(self.path, path, text)
        self.event("problem", name, where=where, what=what)

    def broken(self, path: str, error: CatherdError) -> None:
        """The file at `path` cannot be read: it stays where it is and is taken up as soon as it is right."""
        try:
            of = self.sha(path)
        except OSError:
            of = ""
        self.trouble(
            slug(path), error.where or f"bus/{path}", error.what, error.fix, of
        )

    def told(self) -> float:
        """Until when what is in `problems/` was told: the last receipt, or the goal as it was typed (Unix time)."""
        stamps = [0.0]
        for path in ["goal", *(f"gates/{name}" for name in self.names("gates"))]:
            with contextlib.suppress(OSError):
                stamps.append(os.stat(self.here(path)).st_mtime)
        return max(stamps)

    def troubles(self, after: float = 0.0) -> list[Trouble]:
        """What a person must look at, as far as it can be read; `after`: only what was reported since then (Unix time)."""
        found = []
        for name in self.names("problems"):
            with contextlib.suppress(CatherdError, OSError):
                if os.stat(self.here(f"problems/{name}")).st_mtime > after:
                    found.append(self.get(f"problems/{name}", Trouble))
        return [one for one in found if one is not None]

    def solved(self, name: str) -> None:
        """The trouble of that name is over."""
        if self.there(f"problems/{name}.yaml"):
            atomic.remove(self.path, f"problems/{name}.yaml")


class _Read(NamedTuple):
    """A message of the chat, None when it is broken, with the mark of its file."""

    mark: tuple[int, int, int]
    message: Chat | None


class ChatTail:
    """The last messages of the chat, each read once for as long as its file stays the same.

    Where a watch fills `bus.heard`, the names in it are taken for all that came, and the
    folder is listed `bus.relist_s` seconds later. So a long chat costs a turn no more
    than a short one, and a lost event costs those seconds.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._read: dict[str, _Read] = {}
        self._folder = (-1, 0, 0)  # its mtime and inode, and how many were asked for
        self._relist_at = 0.0  # monotonic; 0: nothing has come since it was listed

    def read(self, last: int, *, fresh: bool) -> dict[str, Chat]:
        """See `Bus.chat`."""
        try:
            info = os.stat(self._bus.here("chat"))
        except FileNotFoundError:
            return {}
        folder = (info.st_mtime_ns, info.st_ino, last)
        heard, overflown = self._take_heard()
        broken = [stem for stem, read in self._read.items() if read.message is None]
        unheard = folder != self._folder and not heard

        if fresh or overflown or unheard or self._must_list(folder, broken):
            found = {stem: self._message(stem) for stem in self._newest(last)}
            self._relist_at = 0.0
        else:
            found = self._with(heard, last)

        for gone in set(broken) - found.keys():
            self._bus.solved(slug(f"chat/{gone}.yaml"))
        self._folder, self._read = folder, found
        return _whole(found)

    def _take_heard(self) -> tuple[set[str], bool]:
        """The stems that a watch told of, and whether it may have told of more than it could hold."""
        names = self._bus.heard
        if names is None:
            return set(), False
        overflown = len(names) == names.maxlen
        taken = {names.popleft() for _ in range(len(names))}
        return {_stem(name) for name in taken if _is_message(name)}, overflown

    def _must_list(self, folder: tuple[int, int, int], broken: list[str]) -> bool:
        """Whether the folder is another, it is time to look again, or a broken message was edited."""
        if folder[1:] != self._folder[1:]:
            return True
        if 0 < self._relist_at < time.monotonic():
            return True
        return any(self._mark(stem) != self._read[stem].mark for stem in broken)

    def _with(self, heard: set[str], last: int) -> dict[str, _Read]:
        """What was read before with what was heard of, and without what is gone."""
        found = self._read | {stem: self._message(stem) for stem in heard}
        newest = sorted(found, key=lambda stem: f"{stem}.yaml")[-last:]
        if heard and not self._relist_at:
            self._relist_at = time.monotonic() + self._bus.relist_s
        return {
            stem: found[stem]
            for stem in newest
            if stem not in heard or self._bus.there(f"chat/{stem}.yaml")
        }

    def _newest(self, last: int) -> list[str]:
        """The last stems of the chat. What is older than the oldest of last time need not be sorted again."""
        names = os.listdir(self._bus.here("chat"))
        oldest = next(iter(self._read), "")
        newer = [name for name in names if name >= oldest]
        found = sorted(newer if len(newer) > last else names, reverse=True)
        good = (_stem(name) for name in found if _is_message(name))
        return list(islice(good, last))[::-1]

    def _mark(self, stem: str) -> tuple[int, int, int]:
        """What changes when the message is edited."""
        try:
            info = os.lstat(self._bus.here(f"chat/{stem}.yaml"))
        except OSError:
            return (0, 0, 0)
        return (info.st_mtime_ns, info.st_ino, info.st_size)

    def _message(self, stem: str) -> _Read:
        path, mark = f"chat/{stem}.yaml", self._mark(stem)
        before = self._read.get(stem)
        if before is not None and before.mark == mark:
            return before
        try:
            found = self._bus.get(path, Chat)
        except CatherdError as error:
            self._bus.broken(path, error)
            return _Read(mark, None)
        if before is not None and before.message is None:
            self._bus.solved(slug(path))
        return _Read(mark, found)


def _whole(read: dict[str, _Read]) -> dict[str, Chat]:
    """The messages that are not broken."""
    found = {}
    for stem, one in read.items():
        if one.message is not None:
            found[stem] = one.message
    return found


def _is_message(name: str) -> bool:
    return name.endswith(".yaml") and not IGNORED.match(name)


def _stem(name: str) -> str:
    return name.removesuffix(".yaml")


def slug(path: str) -> str:
    """A path as one file name."""
    return re.sub(r"[^a-z0-9.]+", "-", path.removesuffix(".yaml").lower()).strip("-")

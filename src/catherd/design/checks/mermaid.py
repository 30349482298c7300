"""The Mermaid adapter: mermaidx in long-lived processes, else `mmdc` on PATH, else nobody (the verdict is unknown).

Each diagram has LIMIT_S seconds of processor time (and PATIENCE times that on the wall); one with more than EDGES edges is not drawn at all (600 edges took half a minute).
"""

import contextlib
import html
import json
import os
import queue
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import NamedTuple

from catherd.design.checks.finding import Facts
from catherd.design.checks.kept import Store
from catherd.design.checks.tools import here, hidden

LIMIT_S = 20.0
PATIENCE = 6
EDGES = 80
_ARROW = re.compile(
    r"(?:<|o|x)?(?:--+|==+|-\.+-|~~~+)(?:>{1,2}|[ox)](?=\s)|-)?|->>?|-[x)]|\|[|o]--|\}[|o]--|\bRel\w*\("
)


class Drawn(NamedTuple):
    """A verdict: `svg` when it was drawn, else `error` at `line` of the source (from 1). `unknown`: nobody could look."""

    svg: str = ""
    error: str = ""
    line: int = 1
    unknown: bool = False


def engine() -> str:
    """Which tool draws: mermaidx, mmdc or "" (none)."""
    if here("mermaidx"):
        return "mermaidx"
    return "mmdc" if not hidden("mmdc") and shutil.which("mmdc") else ""


def edges(source: str) -> int:
    """About how many edges a diagram has: at most one per arrow, counted without labels in quotes."""
    bare = re.sub(r'"[^"\n]*"|%%.*', "", source)
    return sum(len(_ARROW.findall(line)) for line in bare.splitlines())


def first_line(source: str) -> int:
    """The line (from 1) that says what kind of diagram it is: the first after front matter and comments."""
    lines = source.splitlines()
    start = _front(lines)
    return next(
        (
            n
            for n, line in enumerate(lines[start:], start + 1)
            if line.strip() and line.strip()[:2] != "%%"
        ),
        1,
    )


def _front(lines: list[str]) -> int:
    """How many lines of front matter there are."""
    if not lines or lines[0].strip() != "---":
        return 0
    return next(
        (n + 1 for n, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0
    )


def visible(svg: str) -> str:
    """The words that a reader of the picture sees."""
    svg = re.sub(r"(?s)<(style|script|title|desc|defs)\b.*?</\1>", " ", svg)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", svg)).split())


class Drawer:
    """Draws diagrams, `hands` at a time at most: a process is started with the first, another one for each that is asked for
    meanwhile by another thread, and one that hangs is replaced. Close it.

    `kept` remembers verdicts between runs, and pictures too when it was made for them.
    """

    def __init__(
        self,
        kept: Store | None = None,
        *,
        pictures: bool = False,
        limit_s: float = LIMIT_S,
        hands: int = 1,
    ) -> None:
        self._tool = engine()
        self._kept, self._pictures, self.limit_s = (
            kept or Store(None),
            pictures,
            limit_s,
        )
        self._hands = [_Hand() for _ in range(hands)]
        self._free: queue.LifoQueue[_Hand] = (
            queue.LifoQueue()
        )  # the last one that drew has a process
        for hand in reversed(self._hands):
            self._free.put(hand)

    def __enter__(self) -> "Drawer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, if there are any; who still waits for one learns nothing."""
        self._tool = ""
        for hand in self._hands:
            hand.close()

    def kill(self) -> None:
        """Let the processes die under us, as the out-of-memory killer would."""
        for hand in self._hands:
            if hand.process is not None:
                hand.process.kill()
                hand.process.wait()

    def draw(self, source: str) -> Drawn:
        """The picture of `source`, or what is wrong with it; a remembered verdict may lack the picture."""
        key = self._kept.key("mermaid", self._tool, source)
        known = self._kept.get(key)
        if known is None:
            drawn = self._draw(source)
            if not drawn.unknown:
                data = {
                    "svg": drawn.svg if self._pictures else "",
                    "error": drawn.error,
                    "line": drawn.line,
                }
                self._kept.put(key, Facts(path="", data=data))
            return drawn
        return Drawn(known.data["svg"], known.data["error"], known.data["line"])

    def _draw(self, source: str) -> Drawn:
        if not self._tool:
            return Drawn(
                error="neither mermaidx nor mmdc is here to look", unknown=True
            )
        count = edges(source)
        if count > EDGES:
            return Drawn(
                error=f"{count} edges; more than {EDGES} is neither drawn nor read: split it"
            )
        hand = self._free.get()
        try:
            drawn = (
                hand.ask(source, self.limit_s)
                if self._tool == "mermaidx"
                else _mmdc(source, self.limit_s)
            )
        except TimeoutError:
            hand.close()
            return Drawn(error=f"not drawn within {self.limit_s:.0f} s")
        except OSError as error:
            hand.close()
            return Drawn(error=f"the drawing process died: {error}", unknown=True)
        finally:
            self._free.put(hand)
        return drawn if drawn.error else _look(source, drawn)


class _Hand:
    """A process that draws one diagram after the other."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(
                        BrokenPipeError
                    ):  # what was still to be sent
                        pipe.close()

    def ask(self, source: str, limit_s: float) -> Drawn:
        if self.process is None:
            worker = os.path.join(os.path.dirname(__file__), "mermaid_worker.py")
            self.process = subprocess.Popen(
                [sys.executable, "-P", worker],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            _line(self.process)  # ready: a slow start is not the diagram's fault
        process = self.process
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        process.stdin.write(
            json.dumps({"source": source, "seconds": limit_s}).encode() + b"\n"
        )
        process.stdin.flush()
        answer = json.loads(_line(process))
        if "svg" in answer:
            return Drawn(svg=answer["svg"])
        return _wrong(source, answer["error"])


def _line(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    pipe, data = process.stdout.fileno(), b""
    while not data.endswith(b"\n"):
        if not select.select([pipe], [], [], LIMIT_S * PATIENCE)[0]:
            raise TimeoutError
        chunk = os.read(pipe, 1 << 20)
        if not chunk:
            if process.wait() == -signal.SIGPROF:
                raise TimeoutError
            raise OSError("it ended")
        data += chunk
    return data


def _mmdc(source: str, limit_s: float) -> Drawn:
    with tempfile.TemporaryDirectory() as folder:
        given, made = os.path.join(folder, "in.mmd"), os.path.join(folder, "out.svg")
        with open(given, "w", encoding="utf-8") as file:
            file.write(source)
        try:
            done = subprocess.run(
                ["mmdc", "-q", "-i", given, "-o", made],
                capture_output=True,
                text=True,
                timeout=limit_s * PATIENCE,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        if done.returncode or not os.path.exists(made):
            return _wrong(source, done.stderr or done.stdout)
        with open(made, encoding="utf-8") as file:
            return Drawn(svg=file.read())


def _wrong(source: str, message: str) -> Drawn:
    """The tool's complaint in one line, at its line of the source."""
    message = message.removeprefix("Mermaid rendering failed: ").removeprefix("Error: ")
    kept = _kept(source)
    found = re.search(
        r"[Pp]arse error on line (\d+)|Lexical error on line (\d+)", message
    )
    if found:
        n = min(int(found[1] or found[2]), len(kept))
        detail = (
            message.splitlines()[-1]
            if "Expecting" in message
            else message.splitlines()[0]
        )
        return Drawn(
            error=re.sub(r"Expecting .*, got", "did not expect", detail),
            line=kept[n - 1],
        )
    first = message.splitlines()[0] if message.strip() else "cannot be drawn"
    if "cannot read property" in first or "undefined" in first:
        return Drawn(
            error=f"cannot be drawn: a relation names something that is not there? ({first})",
            line=kept[0],
        )
    date = re.match(r"Invalid date: ?(.*)", first)
    at = next(
        (n for n in kept if date and date[1] and date[1] in source.splitlines()[n - 1]),
        kept[0],
    )
    return Drawn(error=first, line=at)


def _kept(source: str) -> list[int]:
    """The lines that the parser counts: it drops front matter, leading blank lines and comments before it starts."""
    lines = source.splitlines() or [""]
    start = _front(lines)
    start += next((n for n, line in enumerate(lines[start:]) if line.strip()), 0)
    last = max((n for n, line in enumerate(lines, 1) if line.strip()), default=1)
    return [
        n
        for n, line in enumerate(lines[:last], 1)
        if n > start and not re.match(r"\s*%%(?!\{)", line)
    ] or [1]


def _look(source: str, drawn: Drawn) -> Drawn:
    """What the tools let pass: an empty picture, a score that is no number, a Gantt bar after nothing."""
    lines = source.splitlines()
    first = first_line(source)
    kind = lines[first - 1].split()[0] if lines else ""
    if not visible(drawn.svg):
        return Drawn(error="the picture shows no word", line=first)
    if kind == "journey":
        for n, line in enumerate(lines, 1):
            task = re.match(
                r"\s+(?!title\b|section\b|acc\w+\b)([^:]+):\s*([^:]+?)\s*(?::.*)?$",
                line,
            )
            if task and not re.fullmatch(r"[1-5]", task[2]):
                return Drawn(
                    error=f"the score of '{task[1].strip()}' is '{task[2]}', not 1 to 5",
                    line=n,
                )
    if kind == "gantt":
        known = set(
            re.findall(
                r":\s*(?:(?:done|active|crit|milestone|vert)\s*,\s*)*([A-Za-z][\w-]*)\s*,",
                source,
            )
        )
        for n, line in enumerate(lines, 1):
            for name in (
                word
                for part in re.findall(r"\bafter ([\w\- ]+)", line)
                for word in part.split()
            ):
                if name not in known:
                    return Drawn(error=f"'after {name}': no bar has that id", line=n)
    return drawn

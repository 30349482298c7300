"""The Mermaid adapter: mermaidx in long-lived processes. Without it all is unknown.

Each diagram has LIMIT_S seconds of processor time, and PATIENCE times that on the wall.
"""

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys

from catherd.design.checks.adapters.mermaid_text import (
    Drawn,
    complaint,
    look_again,
    too_large,
)
from catherd.design.checks.adapters.tools import here
from catherd.design.checks.finding import Facts
from catherd.design.checks.kept import Store

LIMIT_S = 20.0
PATIENCE = 6


class Drawer:
    """Draws diagrams, at most `hands` at a time. Close it.

    The first diagram starts a process. A further one is started for each diagram that
    another thread asks for meanwhile. A process that hangs is replaced.

    `kept` remembers verdicts between runs, and pictures too when `pictures` is set.
    """

    def __init__(
        self,
        kept: Store | None = None,
        *,
        pictures: bool = False,
        limit_s: float = LIMIT_S,
        hands: int = 1,
    ) -> None:
        self._tool = "mermaidx" if here("mermaidx") else ""
        self._kept = kept or Store(None)
        self._pictures = pictures
        self.limit_s = limit_s
        self._hands = [_Hand() for _ in range(hands)]
        # last in, first out: the hand that drew last has a process already
        self._free: queue.LifoQueue[_Hand] = queue.LifoQueue()
        for hand in reversed(self._hands):
            self._free.put(hand)

    def __enter__(self) -> "Drawer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; a thread that still waits for one gets `unknown`."""
        self._tool = ""
        for hand in self._hands:
            hand.close()

    def draw(self, source: str) -> Drawn:
        """The picture of `source`, or what is wrong with it.

        A remembered verdict may lack the picture.
        """
        key = self._kept.key("mermaid", self._tool, source)
        known = self._kept.get(key)
        if known is not None:
            data = known.data
            return Drawn(data["svg"], data["error"], data["line"])

        drawn = self._draw(source)
        if not drawn.unknown:
            svg = drawn.svg if self._pictures else ""
            data = {"svg": svg, "error": drawn.error, "line": drawn.line}
            self._kept.put(key, Facts(path="", data=data))
        return drawn

    def _draw(self, source: str) -> Drawn:
        if not self._tool:
            return Drawn(error="mermaidx is not here to look", unknown=True)
        refused = too_large(source)
        if refused:
            return refused
        hand = self._free.get()
        try:
            drawn = hand.ask(source, self.limit_s)
        except TimeoutError:
            hand.close()
            return Drawn(error=f"not drawn within {self.limit_s:.0f} s")
        except OSError as error:
            hand.close()
            return Drawn(error=f"the drawing process died: {error}", unknown=True)
        finally:
            self._free.put(hand)
        return drawn if drawn.error else look_again(source, drawn)


class _Hand:
    """A process that draws one diagram after the other; started when first asked."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # what was still to be sent has nobody to read it
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def ask(self, source: str, limit_s: float) -> Drawn:
        """Let the process draw.

        Raises TimeoutError when it takes too long, OSError when the process dies.
        """
        process = self._process  # a name of its own: another thread may close the hand
        if process is None:
            process = self._process = _worker()
            # wait until it is ready: a slow start is not the diagram's fault
            _answer(process)
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        request = {"source": source, "seconds": limit_s}
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(_answer(process))
        if "svg" in answer:
            return Drawn(svg=answer["svg"])
        return complaint(source, answer["error"])


def _worker() -> "subprocess.Popen[bytes]":
    program = os.path.join(os.path.dirname(__file__), "mermaid_worker.py")
    return subprocess.Popen(
        [sys.executable, "-P", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _answer(process: "subprocess.Popen[bytes]") -> bytes:
    """The next line that the process writes."""
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    pipe, line = process.stdout.fileno(), b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([pipe], [], [], LIMIT_S * PATIENCE)
        if not readable:
            raise TimeoutError
        chunk = os.read(pipe, 1 << 20)
        if not chunk:
            if process.wait() == -signal.SIGPROF:
                raise TimeoutError
            raise OSError("it ended")
        line += chunk
    return line

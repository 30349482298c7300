"""A person's terminal: a command in a pty of 80 columns, what it shows, and what is typed when it asks."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

Reply = str | Callable[[], object]


class Session:
    """What a command showed: `raw` as it came, `lines` as they stand on the screen in the end, `code` its exit code."""

    def __init__(self, raw: str, code: int) -> None:
        self.raw, self.code = raw, code
        bare = re.sub(r"\x1b\[[0-9;]*m", "", raw).replace("\a", "")
        self.lines = [
            line.rpartition("\r\x1b[K")[2].strip("\r") for line in bare.split("\n")
        ]
        self.widest = max(
            len(part)
            for line in bare.split("\n")
            for part in re.split(r"\r(?:\x1b\[K)?", line)
        )

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def play(
    where: Path,
    argv: Sequence[str],
    env: dict[str, str],
    replies: Sequence[tuple[str, Reply]] = (),
    seconds: float = 90,
) -> Session:
    """Run `argv` in a terminal; each reply is typed (or called) when its cue has appeared. Raises AssertionError when it never ends."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    told = {key: value for key, value in env.items() if key != "COLUMNS"} | {
        "TERM": "xterm"
    }
    child = subprocess.Popen(
        argv,
        cwd=where,
        env=told,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen, asked, left, end = b"", 0, list(replies), time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            ready, _, _ = select.select([ours], [], [], 0.1)
            try:
                seen += os.read(ours, 1 << 16) if ready else b""
            except OSError:  # the last of them closed it
                break
            if left and left[0][0].encode() in seen[asked:]:
                asked = len(seen)
                reply = left.pop(0)[1]
                os.write(ours, reply.encode()) if isinstance(reply, str) else reply()
            if child.poll() is not None and not ready:
                break
        code = child.wait(max(0.1, end - time.monotonic()))
    finally:
        child.kill()
        child.wait()
        os.close(ours)
    assert not left, f"never asked: {left[0][0]}"
    return Session(seen.decode("utf-8", "replace").replace("\r\n", "\n"), code)

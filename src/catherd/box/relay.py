"""Reaching a box's network from outside; the box itself reaches nothing.

The prober asks, the relay lets a person or a browser in. Every child here is
`catherd.box.netchild` in a process of its own, because only a single-threaded process
may join a namespace. `netns` is `Box.netns`, or None where there is no box; then the
host's own loopback is meant.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time
from typing import Any

from catherd.core.errors import Fault


def _child(
    role: str,
    netns: int | None,
    *numbers: int,
    fds: tuple[int, ...] = (),
    talk: bool = False,
) -> "subprocess.Popen[bytes]":
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    above = os.path.dirname(package)
    words = [sys.executable, "-P", "-S", "-m", "catherd.box.netchild", role]
    words += [str(os.getpid()), str(-1 if netns is None else netns)]
    words += [str(number) for number in numbers]
    pipe = subprocess.PIPE if talk else subprocess.DEVNULL
    env = {"PYTHONPATH": above, "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
    keep = fds if netns is None else (netns, *fds)
    return subprocess.Popen(
        words,
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.PIPE if talk else None,
        cwd="/",
        env=env,
        pass_fds=keep,
        start_new_session=True,  # ^C is for us: we end it ourselves, and it dies with us
    )


def end_child(child: "subprocess.Popen[bytes]") -> None:
    """End a child of ours and wait for it."""
    child.kill()
    child.communicate()


class Prober:
    """Asks HTTP requests from inside a box's network."""

    def __init__(self, netns: int | None) -> None:
        self.child = _child("probe", netns, talk=True)
        self._rest = b""

    def ask(
        self,
        port: int,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: str | None = None,
        timeout_s: float = 10.0,
    ) -> dict[str, Any]:
        """{status, headers (lower-case names), body, ms}, or {error, ms}.

        The latter when nobody answered. Takes at most `timeout_s` plus a second.
        """
        request = {
            "port": port,
            "method": method,
            "path": path,
            "headers": headers,
            "body": body,
            "timeout_s": timeout_s,
        }
        assert self.child.stdin is not None  # noqa: S101
        try:
            self.child.stdin.write(json.dumps(request).encode() + b"\n")
            self.child.stdin.flush()
        except OSError:
            what = f"the prober ended: {self._last_words()}"
            raise Fault(what, where="relay") from None

        answer: dict[str, Any] = json.loads(self._line(timeout_s + 20.0))
        return answer

    def _line(self, within_s: float) -> bytes:
        assert self.child.stdout is not None  # noqa: S101
        end_at = time.monotonic() + within_s
        while b"\n" not in self._rest:
            left_s = max(0.0, end_at - time.monotonic())
            ready = select.select([self.child.stdout], [], [], left_s)[0]
            chunk = os.read(self.child.stdout.fileno(), 1 << 16) if ready else b""
            if not chunk:
                what = f"the prober gave no answer: {self._last_words()}"
                raise Fault(what, where="relay")

            self._rest += chunk

        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _last_words(self) -> str:
        self.child.kill()
        said = self.child.communicate()[1].decode("utf-8", "replace")
        return said.strip().split("\n")[-1]

    def close(self) -> None:
        """End the prober."""
        end_child(self.child)


def listen_inside(netns: int | None, port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1:`port` of that network, usable from here."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(20)
        child = _child("listen", netns, port, theirs.fileno(), fds=(theirs.fileno(),))
        theirs.close()
        try:
            fds = socket.recv_fds(ours, 1, 1)[1]
        finally:
            child.wait()

    if not fds:
        raise Fault(f"could not listen on port {port} of the box", where="relay")
    return socket.socket(fileno=fds[0])


def listen_here(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """A socket that listens on the host; port 0: any free one."""
    return socket.create_server((host, port), backlog=64)


def start_relay(
    listening: socket.socket, netns: int | None, port: int
) -> "subprocess.Popen[bytes]":
    """A child that carries every connection on `listening` to `port` of that network.

    End it with `end_child`.
    """
    return _child("relay", netns, listening.fileno(), port, fds=(listening.fileno(),))


def null_app(listening: socket.socket) -> "subprocess.Popen[bytes]":
    """A child that answers 200 to all on `listening`; end it with `end_child`."""
    return _child("null", None, listening.fileno(), fds=(listening.fileno(),))

"""The trusted children that stand in a box's network: `python -P -S -m catherd.box.netchild ROLE PARENT NETNS …`. Standard library only.

PARENT is the pid of who starts us: we die with it. NETNS is an inherited descriptor of a network namespace, or -1 to stay where we are. A child joins nothing but the network: the box cannot see, stop
or imitate it. Roles:
  probe NETNS               one JSON request a line on stdin, one JSON answer a line on stdout; no redirects, sizes capped
  listen NETNS PORT SOCK    binds 127.0.0.1:PORT there and sends the listening socket over the UNIX socket SOCK
  relay NETNS LISTEN PORT   accepts on the inherited socket LISTEN (wherever it was bound), connects to 127.0.0.1:PORT there
  null NETNS LISTEN         the null app: 200 to everything, echoing what it was sent
"""

import ctypes
import encodings.idna  # noqa: F401 - a host name as text needs it, and it could not be loaded any more after the uid is dropped
import fcntl
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_NS_GET_USERNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0xB701, 0x10000000, 0x40000000
_BODY = 1 << 20  # bytes of an answer that are looked at
_NOBODY = 65534
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def join(netns: int) -> None:
    """Enter the network namespace behind descriptor `netns` (by way of the user namespace that owns it, unless we are root)."""
    if netns < 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(fd: int, kind: int) -> None:
        if libc.setns(fd, kind) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    if os.geteuid() != 0:
        enter(fcntl.ioctl(netns, _NS_GET_USERNS), _CLONE_NEWUSER)
        enter(netns, _CLONE_NEWNET)
        return
    enter(netns, _CLONE_NEWNET)
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _die_with(parent: int) -> None:
    # After the uid is dropped: that clears it. Who started us may be dead by now.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def answer_probes() -> None:
    """Answer requests until stdin ends: {port, method, path, headers, body, timeout_s} -> {status, headers, body, ms} or {error}."""

    def late(*_: object) -> None:
        raise TimeoutError("no answer in time")

    signal.signal(signal.SIGALRM, late)
    for line in sys.stdin:
        request = json.loads(line)
        began = time.monotonic()
        try:
            signal.setitimer(signal.ITIMER_REAL, request["timeout_s"])
            answer = _ask(request)
        except (OSError, http.client.HTTPException, ValueError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        answer["ms"] = round((time.monotonic() - began) * 1000)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    connection = http.client.HTTPConnection(
        "127.0.0.1", request["port"], timeout=request["timeout_s"]
    )
    try:
        body = request["body"].encode() if request.get("body") is not None else None
        connection.request(
            request["method"],
            request["path"],
            body=body,
            headers=request.get("headers") or {},
        )
        answer = connection.getresponse()
        data = answer.read(_BODY)
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return {
            "status": answer.status,
            "headers": headers,
            "body": data.decode("utf-8", "replace"),
        }
    finally:
        connection.close()


def listen(port: int, sock: int) -> None:
    """Bind there; hand the listening socket back."""
    with (
        socket.create_server(("127.0.0.1", port), backlog=64) as server,
        socket.socket(fileno=sock) as parent,
    ):
        socket.send_fds(parent, [b"."], [server.fileno()])


def relay_child(listening: int, port: int) -> None:
    """Carry every connection on `listening` to 127.0.0.1:`port`, until killed."""
    with socket.socket(fileno=listening) as server:
        server.settimeout(None)
        while True:
            client, _ = server.accept()
            threading.Thread(target=_carry, args=(client, port), daemon=True).start()


def _carry(client: socket.socket, port: int) -> None:
    with client:
        try:
            inside = socket.create_connection(("127.0.0.1", port), 10)
        except OSError:
            return
        with inside:
            inside.settimeout(None)
            back = threading.Thread(target=_pump, args=(inside, client), daemon=True)
            back.start()
            _pump(client, inside)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def null(listening: int) -> None:
    """The app that does nothing right: 200 to every request, with the path and the body that it was sent."""
    with socket.socket(fileno=listening) as server:
        while True:
            client, _ = server.accept()
            threading.Thread(target=_echo, args=(client,), daemon=True).start()


def _echo(client: socket.socket) -> None:
    with client, client.makefile("rb") as file:
        client.settimeout(10)
        try:
            path = file.readline(65536).split(b" ")[1:2]
            length, kind = 0, b"text/html"
            while (line := file.readline(65536)).strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                kind = value.strip() if name.lower() == b"content-type" else kind
            body = file.read(min(length, _BODY)) or b"".join(path)
            head = (
                b"HTTP/1.0 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
                % (kind, len(body))
            )
            client.sendall(head + body)
        except (OSError, ValueError):
            pass


def main(words: list[str]) -> None:
    """`words`: the role and its numbers, as in the module's text."""
    role, parent, *numbers = words[0], *(int(word) for word in words[1:])
    join(numbers[0])
    _die_with(parent)
    roles: dict[str, Callable[..., None]] = {
        "probe": answer_probes,
        "listen": listen,
        "relay": relay_child,
        "null": null,
    }
    roles[role](*numbers[1:])


if __name__ == "__main__":
    main(sys.argv[1:])

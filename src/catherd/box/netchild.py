"""The trusted children that stand in a box's network. Standard library only.

`python -P -S -m catherd.box.netchild ROLE PARENT NETNS …`

PARENT is the pid of our starter: we die with it. NETNS is an inherited descriptor of a
network namespace, or -1 to stay where we are. A child joins nothing but the network:
the box cannot see, stop or imitate it. Roles:

  probe NETNS               one JSON request a line on stdin, one JSON answer a line on
                            stdout; no redirects, sizes capped
  listen NETNS PORT SOCK    binds 127.0.0.1:PORT there and sends the listening socket
                            over the UNIX socket SOCK
  relay NETNS LISTEN PORT   accepts on the inherited socket LISTEN (wherever it was
                            bound), connects to 127.0.0.1:PORT there
  null NETNS LISTEN         the null app: 200 to everything, echoing what it was sent
"""

import ctypes
import encodings.idna  # noqa: F401 - for host names; cannot be loaded once root is dropped
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
from typing import Any, BinaryIO

_NS_GET_USERNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0xB701, 0x10000000, 0x40000000
_BODY = 1 << 20  # bytes of an answer that are looked at
_NOBODY = 65534
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def join(netns: int) -> None:
    """Enter the network namespace behind descriptor `netns`.

    An ordinary user goes by way of the user namespace that owns it. Root goes straight,
    and is an ordinary user afterwards.
    """
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
    # Called after the uid is dropped, which clears the signal. If our starter died
    # before the signal was set, we have another parent by now.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def answer_probes() -> None:
    """Answer requests until stdin ends.

    A request is {port, method, path, headers, body, timeout_s}, an answer
    {status, headers, body, ms} or {error, ms}.
    """

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
    port, timeout_s = request["port"], request["timeout_s"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    body = request.get("body")
    data = None if body is None else body.encode()
    headers = request.get("headers") or {}
    try:
        connection.request(request["method"], request["path"], data, headers)
        answer = connection.getresponse()
        return {
            "status": answer.status,
            "body": answer.read(_BODY).decode("utf-8", "replace"),
            "headers": {name.lower(): value for name, value in answer.getheaders()},
        }
    finally:
        connection.close()


def listen(port: int, sock: int) -> None:
    """Bind 127.0.0.1:`port` and send the listening socket over the socket `sock`."""
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
    """The app that does nothing right.

    It answers 200 to every request, with the body that it was sent, or else the path.
    """
    with socket.socket(fileno=listening) as server:
        while True:
            client, _ = server.accept()
            threading.Thread(target=_echo, args=(client,), daemon=True).start()


def _echo(client: socket.socket) -> None:
    with client, client.makefile("rb") as file:
        client.settimeout(10)
        try:
            path = b"".join(file.readline(65536).split(b" ")[1:2])
            headers = _headers(file)
            length = int(headers.get(b"content-length", 0))
            kind = headers.get(b"content-type", b"text/html")
            body = file.read(min(length, _BODY)) or path
            status = b"HTTP/1.0 200 OK\r\n"
            head = b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n"
            client.sendall(status + head % (kind, len(body)) + body)
        except (OSError, ValueError):
            pass


def _headers(file: BinaryIO) -> dict[bytes, bytes]:
    """The headers by lower-case name; of two with one name the later counts."""
    headers = {}
    while (line := file.readline(65536)).strip():
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return headers


def main(words: list[str]) -> None:
    """Play a role until its end. `words`: the role and its numbers, as told above."""
    role = words[0]
    parent, netns, *numbers = [int(word) for word in words[1:]]
    join(netns)
    _die_with(parent)
    roles: dict[str, Callable[..., None]] = {
        "probe": answer_probes,
        "listen": listen,
        "relay": relay_child,
        "null": null,
    }
    roles[role](*numbers)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Loaded by every Python process of a game that a test plays: nothing goes outside of this machine, no `.env` is read.

What would is written to the file that WITNESS_FILE names; the test run fails if anything stands there (tests/conftest.py).
"""

import os
import sys

HOME = {"127.0.0.1", "::1", "localhost", "", "0.0.0.0", None}


def _witness(event: str, args: tuple[object, ...]) -> None:
    said = ""
    if (
        event == "socket.connect"
        and isinstance(args[1], tuple)
        and args[1][0] not in HOME
    ):
        said = f"connect {args[1][0]}"
    elif event == "socket.getaddrinfo" and args[0] not in HOME:
        said = f"look up {args[0]!r}"
    elif (
        event == "open"
        and isinstance(args[0], str)
        and os.path.basename(args[0]) == ".env"
    ):
        said = f"open {args[0]}"
    if said:
        with open(os.environ["WITNESS_FILE"], "a", encoding="utf-8") as file:
            file.write(f"{' '.join(sys.argv[:3])}: {said}\n")


if os.environ.get("WITNESS_FILE"):
    sys.addaudithook(_witness)

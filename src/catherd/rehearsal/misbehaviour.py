"""What a rehearsal can be told to do wrong: `options["rehearsal"]`, a comma list of `what=step`; `what=all` is every step.

slow=2                    takes two seconds per answer
silent=debate/round-2     never answers there
garbage=debate/ballots    cannot be read, however often it is asked again
half=debate/round-3       stops in the middle; asked again it is right
late=debate/round-2       answers one second after its deadline
die=debate/round-2        is killed before it answers; once per turn if `options["rehearsal_marker"]` names a file,
                              or a folder, ending in a slash, where `.died` is kept
memory=build/T-001        its first answer to that task eats memory in the box; likewise
time=build/T-001          hangs there,
disk=build/T-001          fills the disk there,
badaccept=build/T-001     fails the task's own tests
red=build/T-001           brings a fault that its tests and reviewers miss and the gate sees: something is left running
changes=build/T-001       as a reviewer asks for changes at first
conflict=T-004+T-003      begins with the first, and answers when the second is merged (a minute at most): written without it
"""

import os
import re
import signal
import threading
from collections.abc import Iterator

from catherd.core.model import ModelError, Request

GARBAGE = "As a large language model I would love to, but first: colourless green ideas sleep furiously, 4 of 5 dentists agree."

SPOILT = {  # appended to the tests that the first answer brings: what the box must stop, and the author mend
    "memory": 'HELD = [b"x" * (1 << 24) for _ in range(1 << 12)]',
    "time": "import threading\n\nthreading.Event().wait()",
    "disk": 'for n in range(1 << 12):\n    with open(f"filler-{n}", "wb") as file:\n        file.write(b"x" * (1 << 24))',
    "badaccept": 'raise AssertionError("rehearsal: told to fail")',
}
LEFT = """\
import subprocess as left
import sys as rehearsal

left.Popen([rehearsal.executable, "-c", "import signal; signal.pause()"], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)\
"""  # what `red` appends to a file of the app
ASKED = "say in a last line that this was looked at twice"  # what `changes` asks for; its author adds the line
TWICE = "# Looked at twice."
_FILE = r"^(~{6,})file path=(%s)\n(.*?)^\1$"
_TESTS = re.compile(_FILE % r"\S*/test_\S+\.py", re.MULTILINE | re.DOTALL)
_ADDED = re.compile(r"^\+\+\+ b/(\S+\.py)$", re.MULTILINE)
_CODE = re.compile(_FILE % r"app/(?!tests/)\S+\.py", re.MULTILINE | re.DOTALL)


def _told(request: Request) -> Iterator[tuple[str, str]]:
    for each in request.options.get("rehearsal", "").split(","):
        what, _, where = each.strip().partition("=")
        if what:
            yield what, where or "all"


def _is(request: Request, what: str, step: str) -> bool:
    return any(w == what and where in {step, "all"} for w, where in _told(request))


def misbehave_before(request: Request, step: str) -> None:
    """What happens before there is an answer: waiting, silence, death. Raises ModelError."""
    wait = float(request.options.get("latency") or 0) * (
        0.1 if request.turn.startswith("chat/") else 1.0
    )
    wait += sum(float(s) for w, s in _told(request) if w == "slow" and s != "all")
    if _is(request, "die", step) and _first(request):
        os.kill(os.getpid(), signal.SIGKILL)
    if _is(request, "late", step):
        wait += request.deadline_s + 1
    if wait > 0:
        threading.Event().wait(wait)
    for mine, other in (
        where.split("+", 1)
        for what, where in _told(request)
        if what == "conflict" and "+" in where
    ):
        if (
            step.endswith(f"/{mine}")
            and ".write." in request.turn
            and len(request.messages) < 2
        ):
            _until(
                os.path.join(
                    request.options.get("rehearsal_marker", ""),
                    "../../claims/done",
                    f"{other}.lock",
                )
            )
    if _is(request, "silent", step):
        raise ModelError("silent", f"rehearsal: told to be silent in {step}")


def _until(path: str) -> None:
    for _ in range(600):
        if os.path.exists(path):
            return
        threading.Event().wait(0.1)


def _spoilt(text: str, code: str) -> str:
    """The answer with `code` at the end of each test file."""
    return _TESTS.sub(lambda m: f"{m[1]}file path={m[2]}\n{m[3]}\n{code}\n{m[1]}", text)


def after(request: Request, step: str, text: str) -> str:
    """The answer as it leaves: whole, cut in half, garbage, with code that the box must stop or the gate see, with a wish."""
    if _is(request, "garbage", step):
        return GARBAGE
    if _is(request, "half", step) and len(request.messages) < 2:
        return text[: len(text) // 2]
    if ".write." in request.turn and len(request.messages) < 2:
        for what, code in SPOILT.items():
            if _is(request, what, step):
                text = _spoilt(text, code)
    if ".write." in request.turn and _is(request, "red", step):
        text = _CODE.sub(
            lambda m: f"{m[1]}file path={m[2]}\n{m[3]}{LEFT}\n{m[1]}", text, count=1
        )
    if ".review-" in request.turn and _is(request, "changes", step):
        added = _ADDED.search(request.messages[0].content)
        if added and TWICE not in request.messages[0].content:
            return f"---\nverdict: changes\n---\n- {added[1]}:1: {ASKED}\n"
    return text


def _first(request: Request) -> bool:
    """Whether this turn has not died yet; without a marker every time is the first."""
    marker = request.options.get("rehearsal_marker")
    if not marker:
        return True
    if marker.endswith("/"):
        os.makedirs(marker, exist_ok=True)
        marker += ".died"
    fd = os.open(marker, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if request.turn in os.read(fd, 1 << 20).decode().split("\n"):
            return False
        os.write(fd, f"{request.turn}\n".encode())
        return True
    finally:
        os.close(fd)

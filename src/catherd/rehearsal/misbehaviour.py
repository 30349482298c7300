"""What a rehearsal can be told to do wrong.

`options["rehearsal"]` is a comma list of `what=step`. `what=all` means every step.

slow=2                    takes two seconds per answer
silent=debate/round-2     never answers there
garbage=debate/ballots    cannot be read, however often it is asked again
half=debate/round-3       stops in the middle; asked again it is right
late=debate/round-2       answers one second after its deadline
die=debate/round-2        is killed before it answers; once a turn where
                          `options["rehearsal_marker"]` names a file, or a folder (ending
                          in a slash) for the file `.died`
memory=build/T-001        its first answer to that task eats memory in the box
time=build/T-001          … hangs there
disk=build/T-001          … fills the disk there
badaccept=build/T-001     … fails the task's own tests
red=build/T-001           … leaves something running: its tests and reviewers miss that, and
                          the gate sees it
changes=build/T-001       as a reviewer asks for changes at first
conflict=T-004+T-003      begins T-004, and answers when T-003 is merged (a minute at most),
                          so that T-004 is written without it
"""

import os
import re
import signal
import threading
from collections.abc import Iterator

from catherd.core.model import ModelError, Request

GARBAGE = "As a large language model I would love to, but first: colourless green ideas sleep furiously, 4 of 5 dentists agree."

# Code after the tests of the first answer: the box must stop it, the author mend it.
SPOILT = {
    "memory": 'HELD = [b"x" * (1 << 24) for _ in range(1 << 12)]',
    "time": "import threading\n\nthreading.Event().wait()",
    "disk": 'for n in range(1 << 12):\n    with open(f"filler-{n}", "wb") as file:\n        file.write(b"x" * (1 << 24))',
    "badaccept": 'raise AssertionError("rehearsal: told to fail")',
}
# `red` appends this to a file of the app.
LEFT = """\
import subprocess as left
import sys as rehearsal

left.Popen([rehearsal.executable, "-c", "import signal; signal.pause()"], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)\
"""
# `changes` asks for this, and the author adds the line.
ASKED = "say in a last line that this was looked at twice"
TWICE = "# Looked at twice."
_FILE = r"^(~{6,})file path=(%s)\n(.*?)^\1$"
_TESTS = re.compile(_FILE % r"\S*/test_\S+\.py", re.MULTILINE | re.DOTALL)
_ADDED = re.compile(r"^\+\+\+ b/(\S+\.py)$", re.MULTILINE)
_CODE = re.compile(_FILE % r"app/(?!tests/)\S+\.py", re.MULTILINE | re.DOTALL)


def _told(request: Request) -> Iterator[tuple[str, str]]:
    """(what, where) of each switch; where is `all` when none is named."""
    for each in request.options.get("rehearsal", "").split(","):
        what, _, where = each.strip().partition("=")
        if what:
            yield what, where or "all"


def _is(request: Request, what: str, step: str) -> bool:
    """Whether `what` is to happen in this step."""
    told = set(_told(request))
    return (what, step) in told or (what, "all") in told


def _first_write(request: Request) -> bool:
    """Whether this asks for the files of a task for the first time."""
    return ".write." in request.turn and len(request.messages) < 2


def misbehave_before(request: Request, step: str) -> None:
    """What happens before there is an answer: waiting, silence, death.

    Raises ModelError for silence.
    """
    wait = _seconds(request, step)
    if _is(request, "die", step) and _first(request):
        os.kill(os.getpid(), signal.SIGKILL)

    if wait > 0:
        threading.Event().wait(wait)

    for what, where in _told(request):
        if what == "conflict" and "+" in where and _first_write(request):
            mine, other = where.split("+", 1)
            if step.endswith(f"/{mine}"):
                _until_merged(request, other)

    if _is(request, "silent", step):
        raise ModelError("silent", f"rehearsal: told to be silent in {step}")


def _seconds(request: Request, step: str) -> float:
    """How long the answer takes. A line of the chat takes a tenth of the latency."""
    wait = float(request.options.get("latency") or 0)

    if request.turn.startswith("chat/"):
        wait *= 0.1

    for what, seconds in _told(request):
        if what == "slow" and seconds != "all":
            wait += float(seconds)

    if _is(request, "late", step):
        wait += request.deadline_s + 1

    return wait


def _until_merged(request: Request, task: str) -> None:
    """Wait for a minute at most until the claim of `task` is done."""
    folder = request.options.get("rehearsal_marker", "")
    path = os.path.join(folder, "../../claims/done", f"{task}.lock")
    for _ in range(600):
        if os.path.exists(path):
            return
        threading.Event().wait(0.1)


def misbehave_after(request: Request, step: str, text: str) -> str:
    """The answer as it leaves: whole, garbage, cut in half, spoilt, or with a wish."""
    if _is(request, "garbage", step):
        return GARBAGE
    if _is(request, "half", step) and len(request.messages) < 2:
        return text[: len(text) // 2]
    if ".write." in request.turn:
        return _spoilt(request, step, text)
    if ".review-" in request.turn and _is(request, "changes", step):
        return _wish(request) or text
    return text


def _spoilt(request: Request, step: str, text: str) -> str:
    """The files with code that the box must stop, at first, or that the gate must see."""
    if _first_write(request):
        for what, code in SPOILT.items():
            if _is(request, what, step):
                text = _append(_TESTS, text, f"\n{code}")

    if _is(request, "red", step):
        text = _append(_CODE, text, LEFT, count=1)

    return text


def _append(files: re.Pattern[str], answer: str, more: str, count: int = 0) -> str:
    """The answer with `more` at the end of the first `count` fenced files.

    0 means all.
    """

    def longer(found: re.Match[str]) -> str:
        fence, path, text = found.groups()
        return f"{fence}file path={path}\n{text}{more}\n{fence}"

    return files.sub(longer, answer, count=count)


def _wish(request: Request) -> str:
    """A review that asks for one more line; "" once the line is there."""
    prompt = request.messages[0].content
    added = _ADDED.search(prompt)
    if added is None or TWICE in prompt:
        return ""
    return f"---\nverdict: changes\n---\n- {added[1]}:1: {ASKED}\n"


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

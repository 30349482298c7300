"""`make run`: you try the app that was proved, in its box, and say whether it worked.

Only your yes makes a milestone delivered.
"""

import os
import re
import shlex
import signal
import sys
from collections.abc import Callable

from catherd.app import serve
from catherd.app.evidence import Evidence
from catherd.app.manifest_file import load_manifest
from catherd.app.wheels import fetch_wheels
from catherd.box import box_trees, sandbox
from catherd.bus import atomic, config, yaml_read
from catherd.bus.narrator import Teller
from catherd.bus.store import Bus, now, tidy_text
from catherd.core.errors import CatherdError
from catherd.core.messages import Base, Game
from catherd.gates import tags
from catherd.gates.note import note_md, plain_line
from catherd.git import landing, objects
from catherd.pulls import board

Command = Callable[[list[str], bytes], sandbox.BoxResult]


class TrialWords(Base, kw_only=True):
    """`<phase>/said-<n>.yaml`: whether the app of `commit` worked when you tried it.

    `words` are your own.
    """

    worked: bool
    commit: str
    words: str = ""
    at: str = ""


def latest(bus: Bus) -> tuple[str, str]:
    """(phase, commit) of the last milestone that was proved.

    Where a no of yours opened it again, the commit is main's. Raises CatherdError when
    no milestone is proved.
    """
    for name in reversed(config.phases(bus.root)):
        receipt = bus.receipt(name)
        if receipt is not None and receipt.outcome == "proved":
            return name, str(receipt.data.get("proved", receipt.commit))
        game = bus.game() if receipt is None else None
        if game is not None and refusals(bus, name):
            return name, landing.tip(bus.root, game.branch)

    raise CatherdError("no milestone is proved yet", where="bus/gates/", fix="make poc")


def try_app(root: str, teller: Teller, *, port: int = 0, args: str = "") -> int:
    """Let the person use the proved app. On a terminal, ask whether it worked.

    A web app is served at a printed address until ^C. A command reads lines and runs
    each in the box, until end of input. With `args` it runs once, on what a pipe
    brings, and its exit code is given. What the app stores stays in
    `.catherd/run/data`.
    """
    bus = Bus(root)
    phase, commit = latest(bus)
    data = _data(root, bus)
    options = config.phases(root)[phase].options
    minimum = str(options.get("sandbox", "bwrap"))

    with box_trees.scratch_directory("run") as tree:
        objects.export(root, commit, tree)
        app, wheels = load_manifest(tree).app, fetch_wheels(root, tree)
        state = "proved" if bus.closed(phase) else "it is"
        teller.line(f"{app.name}, {phase} as {state} at {commit[:12]}: {app.summary}")
        if app.kind == "web":
            _serve(tree, data, port, wheels, minimum, teller)
        else:
            with serve.commands(tree, data, wheels=wheels, minimum=minimum) as command:
                if args:
                    return _once(command, _words(args), _piped())
                _lines(command, app.try_it, teller)

    if teller.asking:
        _ask(bus, phase, commit, teller)

    return 0


def _data(root: str, bus: Bus) -> str:
    """The directory of what the app stores, `.catherd/run/data`.

    What the app of another game stored is set aside first, beside it, under the id of
    that game. The file `.catherd/run/game` says whose data it is.
    """
    run, game = os.path.join(root, ".catherd", "run"), bus.game()
    data, owner = os.path.join(run, "data"), os.path.join(run, "game")
    ours = game.id if game is not None else ""

    os.makedirs(data, exist_ok=True)
    if os.path.isfile(owner):
        with open(owner, encoding="utf-8") as file:
            other = re.sub(r"[^\w.-]", "", file.read())
        if other not in {"", ours}:
            os.rename(data, os.path.join(run, other))
            os.makedirs(data)

    with open(owner, "w", encoding="utf-8") as file:
        file.write(f"{ours}\n")

    return data


def _piped() -> bytes:
    """What a pipe brings on standard input. A terminal brings nothing."""
    return b"" if sys.stdin.isatty() else sys.stdin.buffer.read()


def _words(args: str) -> list[str]:
    try:
        return shlex.split(args)
    except ValueError as error:
        raise CatherdError(
            f"is not complete: {error}",
            where="ARGS",
            fix="make run ARGS='add \"two words\"'",
        ) from None


def _serve(
    tree: str, data: str, port: int, wheels: str, minimum: str, teller: Teller
) -> None:
    with serve.serve(tree, data, port, wheels=wheels, minimum=minimum) as served:
        try:
            teller.line(served.try_it.rstrip())
            teller.line(
                f"running at {served.url}; ^C stops it, what it stored stays in .catherd/run/data"
            )
            while not served.wait(1.0):
                pass
            teller.line(f"it ended by itself:\n{served.log()[-800:]}")
        except KeyboardInterrupt:
            teller.line("stopped")


def _once(command: Command, args: list[str], stdin: bytes = b"") -> int:
    """Run it once and show what it printed, on a terminal escaped.

    Gives its exit code, 1 when it was stopped.
    """
    result = command(args, stdin)

    for stream, text in ((sys.stdout, result.out), (sys.stderr, result.err)):
        stream.write(sandbox.box_text(text) if stream.isatty() else text)
    if result.why:
        sys.stderr.write(f"(stopped: {result.why})\n")
    elif result.rc:
        sys.stderr.write(f"(exit {result.rc})\n")

    sys.stdout.flush()
    return 1 if result.why and not result.rc else result.rc


def _lines(command: Command, try_it: str, teller: Teller) -> None:
    """A small prompt: each line is the command's arguments.

    ^D stops it, and so does ^C.
    """
    if sys.stdin.isatty():
        import readline  # noqa: F401 - with it a line can be edited, and an earlier one called back
    teller.line(try_it.rstrip())
    teller.line(
        "type the arguments, a line each; ^D or ^C stops; what it stores is in .catherd/run/data"
    )
    try:
        while True:
            try:
                _once(command, shlex.split(_typed()))
            except ValueError as error:
                teller.line(f"that line is not complete: {error}")
    except (EOFError, KeyboardInterrupt):
        teller.line("")


def _typed() -> str:
    """The next line that is typed.

    readline looks for a ^C only where its wait for a key was broken off: one that comes
    while it draws would be lost until the next key. So a timer breaks its wait off a
    few times a second.
    """
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
    try:
        return input("> ")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _ask(bus: Bus, phase: str, commit: str, teller: Teller) -> None:
    while True:
        sys.stdout.write("did it work? [y/n, with a word on what did not] ")
        sys.stdout.flush()
        typed = sys.stdin.readline().strip()
        if not typed:
            teller.line("nothing was written down; make run asks again")
            return

        said = re.fullmatch(r"(y|yes|n|no)\b\W*(.*)", typed, re.IGNORECASE)
        if said:
            worked = said[1][0] in "yY"
            teller.line(say_verdict(bus, phase, commit, worked=worked, words=said[2]))
            return


def say_verdict(bus: Bus, phase: str, commit: str, *, worked: bool, words: str) -> str:
    """Write down what you said. Gives a line on what follows from it.

    A yes lands the note as delivered. A no opens the milestone again.
    """
    number = 1 + max(_said_numbers(bus, phase), default=0)
    bus.by = "human"
    bus.post(
        f"{phase}/said-{number}.yaml",
        TrialWords(worked=worked, commit=commit, words=tidy_text(words), at=now()),
    )
    game = bus.game()
    assert game is not None  # noqa: S101 - something was proved in it
    said = f"you, {now()[:10]}"
    if words:
        said += f": {plain_line(words)}"
    if not worked:
        atomic.remove(bus.path, f"gates/{phase}.yaml")
        bus.event("taken-back", phase, words=words)
        return _open_again(bus, phase, game, said)

    if not bus.closed(phase):
        return _take_no_back(bus, phase, game)

    return _deliver(bus, phase, game, said)


def _open_again(bus: Bus, phase: str, game: Game, said: str) -> str:
    """You said no, and the gate is open again: the note says so."""
    _note(bus, phase, game, f"not accepted ({said})", f"Take {phase} back")
    return f"{phase} is open again; make {phase} hands your words to the herd"


def _take_no_back(bus: Bus, phase: str, game: Game) -> str:
    """You said yes after a no: the herd has nothing to mend for that no any more."""
    for file in bus.names("tasks"):
        if file.startswith(f"M-{phase}-no-"):
            task = file.removesuffix(".yaml")
            board.settle_claim(bus, task, board.holder(bus, task), "done")
            bus.solved(f"blocked-{task.lower()}")

    _note(bus, phase, game, "to be proved again", f"Take the no to {phase} back")
    return f"your no is taken back; make {phase} proves it again, then your yes delivers it"


def _deliver(bus: Bus, phase: str, game: Game, said: str) -> str:
    """You said yes to what is proved: the note says so, and the version is tagged."""
    landed, app = _note(bus, phase, game, f"delivered ({said})", f"Deliver {phase}")
    bus.event("delivered", phase)
    tag = tags.tag_final(bus.root, config.phases(bus.root)[phase], landed, app)
    tagged = f", tagged {tag}" if tag else ""
    return f"{phase} is delivered: docs/milestones/{phase}.md{tagged}"


def _note(
    bus: Bus, phase: str, game: Game, status: str, subject: str
) -> tuple[str, str]:
    """Land the milestone's note with another status.

    Gives (the commit, the app's name).
    """
    path = f"docs/milestones/{phase}/evidence.yaml"
    main = landing.tip(bus.root, game.branch)
    content = objects.read_blob(bus.root, main, path) or b""
    text = content.decode("utf-8", "replace")
    evidence = yaml_read.typed(yaml_read.loads(text, path), Evidence)

    proved = note_md(evidence, phase, root=bus.root, shots=phase)
    body = proved.partition("\n")[2]
    note = f"# {phase}: {tidy_text(status)}\n{body}"

    made = {f"docs/milestones/{phase}.md": note.encode()}
    message = f"{subject}\n\nGame {game.id}.\n"
    landed = landing.land(bus.root, game.branch, made, [], message)
    return landed.sha, evidence.app


def _said_numbers(bus: Bus, phase: str) -> list[int]:
    """The numbers of what you said to this milestone, oldest first."""
    numbers = []
    for name in bus.names(phase):
        found = re.match(r"said-(\d+)\.yaml", name)
        if found:
            numbers.append(int(found[1]))
    return sorted(numbers)


def refusals(bus: Bus, phase: str) -> list[tuple[str, str]]:
    """(task id, your words) of each no to this milestone since your last yes."""
    found: list[tuple[str, str]] = []
    for number in _said_numbers(bus, phase):
        said = bus.get(f"{phase}/said-{number}.yaml", TrialWords)
        if said is None:
            continue
        if said.worked:
            found = []
        else:
            words = said.words or "you said that it did not work"
            found.append((f"M-{phase}-no-{number}", words))

    return found

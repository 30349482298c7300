"""`make run`: you try the app that was proved, in its box, and say whether it worked. Only your yes makes a milestone delivered."""

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
from catherd.gates.note import note_md, one_line
from catherd.git import landing, objects
from catherd.pulls import board

Command = Callable[[list[str], bytes], sandbox.BoxResult]


class TrialWords(Base, kw_only=True):
    """`<phase>/said-<n>.yaml`: you tried the app of `commit`; worked: true or false, in your words."""

    worked: bool
    commit: str
    words: str = ""
    at: str = ""


def latest(bus: Bus) -> tuple[str, str]:
    """The last milestone that was proved, and the commit that was; main's, where a no of yours has opened it again. Raises
    CatherdError when there is none.
    """
    for name in reversed(config.phases(bus.root)):
        receipt = bus.receipt(name)
        if receipt is not None and receipt.outcome == "proved":
            return name, str(receipt.data.get("proved", receipt.commit))
        if receipt is None and (game := bus.game()) is not None and refusals(bus, name):
            return name, landing.tip(bus.root, game.branch)
    raise CatherdError("no milestone is proved yet", where="bus/gates/", fix="make poc")


def try_app(root: str, teller: Teller, *, port: int = 0, args: str = "") -> int:
    """Start the proved app and let the person use it; asks afterwards, on a terminal, whether it worked.

    A web app is served at a printed address until ^C. A command reads lines and runs each in the box, until end of input;
    with `args` it runs once, on what a pipe brings, and its exit code is given. What it stores stays in `.catherd/run/data`.
    """
    bus = Bus(root)
    phase, commit = latest(bus)
    data = _data(root, bus)
    minimum = str(config.phases(root)[phase].options.get("sandbox", "bwrap"))
    with box_trees.scratch_directory("run") as tree:
        objects.export(root, commit, tree)
        app, wheels = load_manifest(tree).app, fetch_wheels(root, tree)
        teller.line(
            f"{app.name}, {phase} as {'proved' if bus.closed(phase) else 'it is'} at {commit[:12]}: {app.summary}"
        )
        if app.kind == "web":
            _serve(tree, data, port, wheels, minimum, teller)
        else:
            with serve.commands(tree, data, wheels=wheels, minimum=minimum) as command:
                if args:
                    return _once(
                        command,
                        _words(args),
                        b"" if sys.stdin.isatty() else sys.stdin.buffer.read(),
                    )
                _lines(command, app.try_it, teller)
    if teller.asking:
        _ask(bus, phase, commit, teller)
    return 0


def _data(root: str, bus: Bus) -> str:
    """`.catherd/run/data`. What the app of another game stored is set aside first, beside it under that game's id."""
    run, game = os.path.join(root, ".catherd", "run"), bus.game()
    data, owner = os.path.join(run, "data"), os.path.join(run, "game")
    whose = game.id if game is not None else ""
    os.makedirs(data, exist_ok=True)
    if os.path.isfile(owner):
        with open(owner, encoding="utf-8") as file:
            other = re.sub(r"[^\w.-]", "", file.read())
        if other not in {"", whose}:
            os.rename(data, os.path.join(run, other))
            os.makedirs(data)
    with open(owner, "w", encoding="utf-8") as file:
        file.write(f"{whose}\n")
    return data


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
    """Run it once and show what it printed, on a terminal escaped; its exit code, 1 when it was stopped."""
    result = command(args, stdin)
    for stream, text in ((sys.stdout, result.out), (sys.stderr, result.err)):
        stream.write(sandbox.box_text(text) if stream.isatty() else text)
    if result.rc or result.why:
        sys.stderr.write(
            f"({f'stopped: {result.why}' if result.why else f'exit {result.rc}'})\n"
        )
    sys.stdout.flush()
    return result.rc or (1 if result.why else 0)


def _lines(command: Command, try_it: str, teller: Teller) -> None:
    """A small prompt: each line is the command's arguments. ^D stops it, and so does ^C."""
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
    """The next line. readline looks for a ^C only where its wait for a key was broken off: one that comes while it draws would
    be lost until the next key. So its wait is broken off a few times a second.
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
        said = re.fullmatch(r"(y|yes|n|no)\b\W*(.*)", typed, re.IGNORECASE)
        if said:
            return teller.line(
                say_verdict(
                    bus, phase, commit, worked=said[1][0] in "yY", words=said[2]
                )
            )
        if not typed:
            return teller.line("nothing was written down; make run asks again")


def say_verdict(bus: Bus, phase: str, commit: str, *, worked: bool, words: str) -> str:
    """Write down what you said; a yes lands the note as delivered, a no opens the milestone again. Gives what follows."""
    n = 1 + len(
        [name for name in bus.names(phase) if re.match(r"said-\d+\.yaml", name)]
    )
    bus.by = "human"
    bus.post(
        f"{phase}/said-{n}.yaml",
        TrialWords(worked=worked, commit=commit, words=tidy_text(words), at=now()),
    )
    game = bus.game()
    assert game is not None  # noqa: S101 - something was proved in it
    about = f"you, {now()[:10]}" + (f": {one_line(words)}" if words else "")
    if not worked:
        atomic.remove(bus.path, f"gates/{phase}.yaml")
        bus.event("taken-back", phase, words=words)
        _note(bus, phase, game, f"not accepted ({about})", f"Take {phase} back")
        return f"{phase} is open again; make {phase} hands your words to the herd"
    if not bus.closed(phase):
        for task in [
            name.removesuffix(".yaml")
            for name in bus.names("tasks")
            if name.startswith(f"M-{phase}-no-")
        ]:
            board.settle_claim(bus, task, board.holder(bus, task), "done")
            bus.solved(f"blocked-{task.lower()}")
        _note(bus, phase, game, "to be proved again", f"Take the no to {phase} back")
        return f"your no is taken back; make {phase} proves it again, then your yes delivers it"
    landed, app = _note(bus, phase, game, f"delivered ({about})", f"Deliver {phase}")
    bus.event("delivered", phase)
    tag = tags.tag_final(bus.root, config.phases(bus.root)[phase], landed, app)
    return f"{phase} is delivered: docs/milestones/{phase}.md" + (
        f", tagged {tag}" if tag else ""
    )


def _note(
    bus: Bus, phase: str, game: Game, status: str, subject: str
) -> tuple[str, str]:
    """Land the milestone's note again with another status; the commit, and the app's name."""
    path = f"docs/milestones/{phase}/evidence.yaml"
    main = landing.tip(bus.root, game.branch)
    text = (objects.read_blob(bus.root, main, path) or b"").decode("utf-8", "replace")
    evidence = yaml_read.typed(yaml_read.loads(text, path), Evidence)
    note = note_md(evidence, phase, root=bus.root, shots=phase).partition("\n")[2]
    made = {
        f"docs/milestones/{phase}.md": f"# {phase}: {tidy_text(status)}\n{note}".encode()
    }
    landed = landing.land(
        bus.root, game.branch, made, [], f"{subject}\n\nGame {game.id}.\n"
    )
    return landed.sha, evidence.app


def refusals(bus: Bus, phase: str) -> list[tuple[str, str]]:
    """(task id, words) of every no that you said to this milestone since your last yes, oldest first."""
    numbers = sorted(
        int(file[1])
        for name in bus.names(phase)
        if (file := re.match(r"said-(\d+)\.yaml", name))
    )
    found: list[tuple[str, str]] = []
    for n in numbers:
        said = bus.get(f"{phase}/said-{n}.yaml", TrialWords)
        if said is not None and said.worked:
            found = []
        elif said is not None:
            found.append(
                (f"M-{phase}-no-{n}", said.words or "you said that it did not work")
            )
    return found

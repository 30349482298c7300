"""Does the app do what its journeys say? It is run, and what is seen is written down.

`accept` judges a tree, a directory that its caller exports from `main`. Each journey
must fail against the null app and pass twice against the real one. A person tries the
app with `serve`.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator

import msgspec

from catherd.app import expectations, manifest_file, manifest_rules
from catherd.app.browser import Browser, find_browser
from catherd.app.evidence import (
    Evidence,
    Run,
    Shown,
    failed_step,
    judge_evidence,
    run_told,
)
from catherd.app.manifest_file import App, Journey, Manifest
from catherd.app.nullstage import NullStage
from catherd.app.play import Play, play
from catherd.app.stage import AppStage
from catherd.box import box_trees, sandbox
from catherd.core.errors import CatherdError

NULL, FIRST, SECOND = "null app", "app, first time", "app, second time"
_NO_BROWSER = "there is no browser"
_LOG = 4000  # characters of an installation's log that evidence keeps


class Asked(msgspec.Struct, kw_only=True, frozen=True):
    """What is to be judged.

    `tree`: a directory. `stories`: those of the milestone. `commit`, `tree_id`: written
    into the evidence. `shots`: a directory for screenshots; "" keeps none. `wheels`: a
    directory for offline installation. `minimum`: the lowest sandbox tier. `waiver`: a
    person's words; with them browser steps may go unseen where there is no browser.
    """

    tree: str
    stories: list[str] = []
    commit: str = ""
    tree_id: str = ""
    shots: str = ""
    wheels: str = ""
    minimum: str = "bwrap"
    waiver: str = ""


def accept(asked: Asked) -> Evidence:
    """The evidence about one tree, with its verdict.

    Nothing that the app does is raised. Infrastructure that fails makes it unknown.
    """
    began = time.monotonic()
    evidence = Evidence(
        commit=asked.commit,
        tree=asked.tree_id,
        waiver=asked.waiver,
        tier=sandbox.probe_tier().name,
    )
    box_trees.sweep_boxes()
    scratch = box_trees.scratch("gate")
    try:
        found = _judged(asked, evidence, scratch)
        judge_evidence(evidence, found.red, found.unknown)
    except CatherdError as error:
        judge_evidence(evidence, [], [str(error)])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        evidence.seconds = round(time.monotonic() - began, 1)

    return evidence


class _Found(msgspec.Struct):
    """What speaks against the app (`red`), and what could not be looked at."""

    red: list[str]
    unknown: list[str]


def _judged(asked: Asked, evidence: Evidence, scratch: str) -> _Found:
    """Judge the app step by step, and write what is seen into `evidence`."""
    try:
        manifest = manifest_file.load_manifest(asked.tree)
    except CatherdError as error:
        return _Found([str(error)], [])

    _describe(evidence, manifest, asked.stories)
    app = manifest.app
    malformed = manifest_rules.malformed_manifest(manifest)
    faults = malformed + manifest_rules.unproven(manifest)
    red = [str(fault) for fault in faults]
    red += [_claimed(app, story) for story in evidence.unshown]
    if malformed:
        return _Found(red, [])

    missing = _requires(app, asked)
    if missing:
        return _Found(red, [missing])

    installed = os.path.join(scratch, "installed")
    evidence.log, wrong = install_app(
        app, asked.tree, installed, asked.wheels, asked.minimum
    )
    if wrong:
        return _Found([*red, wrong], [])

    with _browser(app) as (browser, absent):
        red += _played(_Playing(asked, app, scratch, browser), evidence)

    return _Found(red, _unseen(evidence, absent, waived=bool(asked.waiver)))


def _unseen(evidence: Evidence, absent: str, *, waived: bool) -> list[str]:
    """What was not seen. `absent`: why there is no browser, "" where none is missing.

    A waiver lets pass what was not seen for want of a browser.
    """
    lines = []
    for shown in evidence.journeys:
        unknown = [run for run in shown.runs if run.verdict == "unknown"]
        lines += [run_told(shown, run) for run in unknown]

    if not absent:
        return lines
    if waived:
        return [line for line in lines if _NO_BROWSER not in line]

    return [absent, *lines]


def _describe(evidence: Evidence, manifest: Manifest, stories: list[str]) -> None:
    """Write into the evidence what the manifest says of the app."""
    app = manifest.app
    evidence.app = app.name
    evidence.kind = app.kind
    evidence.summary = app.summary
    evidence.try_it = app.try_it
    evidence.known_gaps = app.known_gaps
    evidence.manifest = manifest.sha256
    evidence.unshown = manifest_rules.unshown(app, stories)


def _claimed(app: App, story: str) -> str:
    """Why a story is not shown."""
    if any(journey.story == story for journey in app.journeys):
        why = "no journey of it sends a fresh value and expects to see it"
    else:
        why = f"no journey has `story: {story}`"
    return f"{story} is claimed, not shown: {why}"


def _requires(app: App, asked: Asked) -> str:
    """What the app requires and the box lacks. Empty when it lacks nothing."""
    for program, least in app.requires.items():
        order = sandbox.BoxOrder(tree=asked.tree, minimum=asked.minimum)
        got = sandbox.run_in_box([program, "--version"], order)
        found = re.search(r"\d+(\.\d+)*", got.out + got.err)

        if got.rc != 0 or found is None:
            return f"{program} {least} is required, and the box has none"
        if _version(found[0]) < _version(least):
            return f"{program} {least} is required, the box has {found[0]}"

    return ""


def _version(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def install_app(
    app: App, tree: str, target: str, wheels: str, minimum: str
) -> tuple[str, str]:
    """Copy `tree` to `target` and install the app there, in the box.

    Gives (the end of the log, what went wrong); the latter is "" when nothing did.
    """
    shutil.copytree(
        tree,
        target,
        symlinks=True,
        ignore=lambda folder, _: {".git"} if folder == tree else set(),
    )
    sandbox.hand_over(target)
    if not app.install:
        return "", ""
    binds = (sandbox.Bind(host=wheels, inside="/wheels"),) if wheels else ()
    names = {"wheels": "/wheels" if sandbox.probe_tier().name == "bwrap" else wheels}
    limits = sandbox.Limits(wall_s=300, cpu_s=300, memory_mb=2048, disk_mb=1024)
    order = sandbox.BoxOrder(
        tree=target,
        mode="rw",
        owned=True,
        cwd="app",
        limits=limits,
        binds=binds,
        minimum=minimum,
    )
    log = ""
    for line in app.install:
        argv = [expectations.filled_text(word, names) for word in line]
        got = sandbox.run_in_box(argv, order)
        log += f"$ {' '.join(argv)}\n{got.log}"
        if got.rc != 0 or got.why:
            why = f" ({got.why})" if got.why else ""
            last = got.log[-300:]
            wrong = f"`{' '.join(argv)}` ended with {got.rc}{why}: {last}"
            return log[-_LOG:], wrong

    return log[-_LOG:], ""


@contextlib.contextmanager
def _browser(app: App) -> Iterator[tuple[Browser | None, str]]:
    """One browser for the whole gate, and only if a journey needs one.

    Gives (the browser, ""), or (None, why there is none; "" where none is needed).
    """
    if not manifest_rules.uses_browser(app):
        yield None, ""
        return

    program, fix = find_browser()
    if not program:
        yield (
            None,
            f"browser: there is no browser on this machine, and unseen never passes\n  fix: {fix}",
        )

        return

    browser = Browser(program, boxed=sandbox.probe_tier().name == "bwrap")
    try:
        yield browser, ""
    finally:
        browser.close()


class _Playing(msgspec.Struct, frozen=True):
    """What the journeys of one app are played with.

    `scratch` holds the installed app, and each run's own folder.
    """

    asked: Asked
    app: App
    scratch: str
    browser: Browser | None


def _played(playing: _Playing, evidence: Evidence) -> list[str]:
    """Play every journey against the null app, then twice against the real one.

    The runs go into `evidence`. Gives what speaks against the app, a line each.
    """
    for journey in playing.app.journeys:
        shown = Shown(
            id=journey.id,
            story=journey.story,
            title=journey.title,
            failure=journey.failure,
            verdict="unknown",
        )
        evidence.journeys.append(shown)

    red = _against_nothing(playing, evidence.journeys)
    for against in (FIRST, SECOND):
        red += _against_the_app(playing, evidence.journeys, against)
        if red:
            break

    for shown in evidence.journeys:
        shown.verdict = _verdict(shown.runs, waived=bool(playing.asked.waiver))

    return red


def _against_nothing(playing: _Playing, journeys: list[Shown]) -> list[str]:
    """Play each journey against the null app: one that passes proves nothing."""
    app = playing.app
    red: list[str] = []
    with contextlib.closing(NullStage(app, playing.browser)) as null:
        for journey, shown in zip(app.journeys, journeys, strict=True):
            run = play(Play(journey, null, app, NULL, _keeps_none))
            shown.runs.append(run)
            if run.verdict == "pass":
                title = f"{shown.id} ({shown.title})"
                red.append(f"{title} passes against the null app: it proves nothing")

    return red


def _keeps_none(_png: bytes, _step: int) -> str:
    return ""


def _against_the_app(
    playing: _Playing, journeys: list[Shown], against: str
) -> list[str]:
    """Play each journey against the real app, each on data of its own."""
    red: list[str] = []
    pairs = zip(playing.app.journeys, journeys, strict=True)
    for number, (journey, shown) in enumerate(pairs):
        folder = f"{against.removeprefix('app, ')}-{number}"
        run = _real(playing, journey, against, os.path.join(playing.scratch, folder))
        shown.runs.append(run)
        if run.verdict == "fail":
            red.append(run_told(shown, run))
        if run.why.startswith("it does not start"):
            break  # nor will it for the others

    return red


def _verdict(runs: list[Run], *, waived: bool) -> str:
    """The verdict on a journey: pass, fail, unknown or waived.

    `runs`: first the null app's, then the real one's.
    """
    null, *real = runs
    verdicts = {run.verdict for run in real}
    if null.verdict == "pass" or "fail" in verdicts:
        return "fail"
    if verdicts == {"pass"} and len(real) == 2:
        return "pass"
    if waived and verdicts == {"unknown"} and all(map(_lacked_a_browser, real)):
        return "waived"

    return "unknown"


def _lacked_a_browser(run: Run) -> bool:
    step = failed_step(run)
    return step is not None and "no browser" in step.why


def _real(playing: _Playing, journey: Journey, against: str, scratch: str) -> Run:
    """One run against the real app, in the folder `scratch`."""
    asked, app = playing.asked, playing.app
    browser = playing.browser if manifest_rules.needs_browser(journey) else None
    tree = os.path.join(playing.scratch, "installed")
    stage = AppStage(app, tree, scratch, minimum=asked.minimum, browser=browser)

    def keep(png: bytes, step: int) -> str:
        if not asked.shots or not png or against == SECOND:
            return ""
        name = f"{journey.id}-{step}.png"
        os.makedirs(asked.shots, exist_ok=True)
        with open(os.path.join(asked.shots, name), "wb") as file:
            file.write(png)
        return name

    try:
        return play(Play(journey, stage, app, against, keep))
    finally:
        stage.remove()

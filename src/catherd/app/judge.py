"""The milestone gate: does the app do what its journeys say? It runs the thing and writes down what it saw.

`accept` judges an exported tree (a directory; who exports it sees to it that it is `main`'s). Each journey must fail against the null app and
pass twice against the real one. A person tries it with `tryout`.
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
from catherd.app.play import play
from catherd.app.stage import AppStage
from catherd.box import box_trees, sandbox
from catherd.core.errors import CatherdError

NULL, FIRST, SECOND = "null app", "app, first time", "app, second time"


class Asked(msgspec.Struct, kw_only=True, frozen=True):
    """What is to be judged. `tree`: a directory. `stories`: those of the milestone. `commit`, `tree_id`: written into the evidence.

    `shots`: a directory for screenshots ("" keeps none). `wheels`: a directory for offline installation. `minimum`: the lowest sandbox tier.
    `waiver`: a person's words; with them browser steps may go unseen where there is no browser.
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
    """The evidence about one tree, with its verdict. Never raises for what the app does; infrastructure that fails is unknown."""
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
        judge_evidence(evidence, *_judged(asked, evidence, scratch))
    except CatherdError as error:
        judge_evidence(evidence, [], [str(error)])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        evidence.seconds = round(time.monotonic() - began, 1)
    return evidence


def _judged(
    asked: Asked, evidence: Evidence, scratch: str
) -> tuple[list[str], list[str]]:
    try:
        manifest = manifest_file.load_manifest(asked.tree)
    except CatherdError as error:
        return [str(error)], []
    _describe(evidence, manifest, asked.stories)
    app, malformed = manifest.app, manifest_rules.malformed(manifest)
    red = [str(finding) for finding in [*malformed, *manifest_rules.unproven(manifest)]]
    red += [_claimed(app, story) for story in evidence.unshown]
    if malformed:
        return red, []
    if missing := _requires(app, asked):
        return red, [missing]
    evidence.log, wrong = install_app(
        app, asked.tree, os.path.join(scratch, "installed"), asked.wheels, asked.minimum
    )
    if wrong:
        return [*red, wrong], []
    with _browser(app) as (browser, absent):
        unknown = [] if browser or not absent else [absent]
        red += _played(asked, app, evidence, scratch, browser)
    unseen = [
        run_told(s, run)
        for s in evidence.journeys
        for run in s.runs
        if run.verdict == "unknown"
    ]
    if asked.waiver and absent:
        return red, [line for line in unseen if "there is no browser" not in line]
    return red, [*unknown, *unseen]


def _describe(evidence: Evidence, manifest: Manifest, stories: list[str]) -> None:
    app = manifest.app
    evidence.app, evidence.kind, evidence.summary, evidence.try_it = (
        app.name,
        app.kind,
        app.summary,
        app.try_it,
    )
    evidence.manifest, evidence.known_gaps = manifest.sha256, app.known_gaps
    evidence.unshown = manifest_rules.unshown(app, stories)


def _claimed(app: App, story: str) -> str:
    there = any(journey.story == story for journey in app.journeys)
    why = (
        "sends a fresh value and expects to see it"
        if there
        else f"has `story: {story}`"
    )
    return f"{story} is claimed, not shown: no journey {'of it ' if there else ''}{why}"


def _requires(app: App, asked: Asked) -> str:
    for program, least in app.requires.items():
        order = sandbox.BoxOrder(tree=asked.tree, minimum=asked.minimum)
        got = sandbox.run_in_box([program, "--version"], order)
        found = re.search(r"\d+(\.\d+)*", got.out + got.err)
        if got.rc != 0 or found is None:
            return f"{program} {least} is required, and the box has none"
        if [int(n) for n in found[0].split(".")] < [
            int(n) for n in re.findall(r"\d+", least)
        ]:
            return f"{program} {least} is required, the box has {found[0]}"
    return ""


def install_app(
    app: App, tree: str, target: str, wheels: str, minimum: str
) -> tuple[str, str]:
    """Copy `tree` to `target` and run the app's install commands there, in the box; (log, what went wrong)."""
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
        argv = [str(expectations.fill_placeholders(word, names)) for word in line]
        got = sandbox.run_in_box(argv, order)
        log += f"$ {' '.join(argv)}\n{got.log}"
        if got.rc != 0 or got.why:
            return (
                log[-4000:],
                f"`{' '.join(argv)}` ended with {got.rc}{f' ({got.why})' if got.why else ''}: {got.log[-300:]}",
            )
    return log[-4000:], ""


@contextlib.contextmanager
def _browser(app: App) -> Iterator[tuple[Browser | None, str]]:
    # One browser for the whole gate, and only if a journey needs one; else (None, why there is none).
    if not any(step.browser for journey in app.journeys for step in journey.steps):
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


def _played(
    asked: Asked, app: App, evidence: Evidence, scratch: str, browser: Browser | None
) -> list[str]:
    evidence.journeys = [
        Shown(
            id=j.id, story=j.story, title=j.title, failure=j.failure, verdict="unknown"
        )
        for j in app.journeys
    ]
    pairs = list(zip(app.journeys, evidence.journeys, strict=True))
    red: list[str] = []
    with contextlib.closing(NullStage(app, browser)) as null:
        for journey, shown in pairs:
            run = play(
                journey,
                null,
                app.start.run,
                NULL,
                lambda _png, _n: "",
                app.limits.seconds,
            )
            shown.runs.append(run)
            if run.verdict == "pass":
                red.append(
                    f"{shown.id} ({shown.title}) passes against the null app: it proves nothing"
                )
    for against in (FIRST, SECOND):
        for number, (journey, shown) in enumerate(pairs):
            run = _real(
                asked,
                app,
                journey,
                against,
                os.path.join(scratch, f"{against[5:]}-{number}"),
                browser,
            )
            shown.runs.append(run)
            if run.verdict == "fail":
                red.append(run_told(shown, run))
            if run.why.startswith("it does not start"):
                break  # nor will it for the others
        if red:
            break
    for shown in evidence.journeys:
        shown.verdict = _verdict(shown.runs, asked.waiver)
    return red


def _verdict(runs: list[Run], waiver: str) -> str:
    null, *real = runs
    verdicts = {run.verdict for run in real}
    if null.verdict == "pass" or "fail" in verdicts:
        return "fail"
    if (
        waiver
        and verdicts == {"unknown"}
        and all((step := failed_step(r)) and "no browser" in step.why for r in real)
    ):
        return "waived"
    return "pass" if verdicts == {"pass"} and len(real) == 2 else "unknown"


def _real(
    asked: Asked,
    app: App,
    journey: Journey,
    against: str,
    scratch: str,
    browser: Browser | None,
) -> Run:
    wanted = browser if any(step.browser for step in journey.steps) else None
    tree = os.path.join(os.path.dirname(scratch), "installed")
    stage = AppStage(app, tree, scratch, minimum=asked.minimum, browser=wanted)

    def keep(png: bytes, step: int) -> str:
        if not asked.shots or not png or against == SECOND:
            return ""
        name = f"{journey.id}-{step}.png"
        os.makedirs(asked.shots, exist_ok=True)
        with open(os.path.join(asked.shots, name), "wb") as file:
            file.write(png)
        return name

    try:
        return play(journey, stage, app.start.run, against, keep, app.limits.seconds)
    finally:
        stage.remove()

"""`make doctor`: what this machine lacks, and for whom it matters.

With LIVE=1 it makes one tiny paid call to each model and program.
"""

import os
import platform
import shutil
from collections.abc import Iterator, Mapping

from catherd.bus import config
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.errors import CatherdError
from catherd.git import run

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)


def doctor_lines(root: str, *, live: bool) -> Iterator[str]:
    """One line a finding: `ok` or `--`, what it is, and a fix to paste for what is
    missing.

    With `live` the bus is laid.
    """
    yield f"ok  Python {platform.python_version()}"
    yield _git(root)
    yield from _box()
    yield _browser()
    try:
        agents = config.agents(root)
        config.phases(root)
    except CatherdError as error:
        yield f"--  {error}"
        return

    for agent in agents.values():
        if agent.command:
            from catherd.models import cli_model

            yield cli_model.probe_program(agent)

        yield from _agent(root, agent, live=live)

    if not live:
        yield "    a rehearsal needs no key; make doctor LIVE=1 tries each model and program with one tiny paid call"


def _git(root: str) -> str:
    try:
        return f"ok  {run.git(root, 'version')}"
    except CatherdError as error:
        return f"--  {error}"


def _box() -> Iterator[str]:
    from catherd.box import sandbox

    tier = sandbox.probe_tier()
    if tier.name == "bwrap":
        yield "ok  sandbox: bwrap"
        return

    yield f"--  sandbox: {tier.name}: {tier.why_not}; make poc needs bwrap"
    yield f"    fix: {tier.fix}"


def _browser() -> str:
    from catherd.app import browser

    path, lacks = browser.find_browser()
    if path:
        return f"ok  browser: {path}"
    if shutil.which("chromium") or shutil.which("google-chrome"):
        return "ok  browser: there; its driver comes with the first make poc"
    return f"--  browser: none; make poc needs one for web apps\n    fix: {lacks}"


def _agent(root: str, agent: Agent, *, live: bool) -> Iterator[str]:
    from catherd.models import accounts as lives

    if agent.runs == "elsewhere":
        yield f"ok  {agent.id}: runs elsewhere"
        return

    if live:
        from catherd.herd import trial

        yield from trial.trial_lines(Bus(root), agent, os.environ)
        return

    chosen = lives.live_model(agent, os.environ) or lives.program_of(agent, os.environ)
    named = " or ".join(lives.keys_named(agent))
    if not chosen:
        yield f"--  {agent.id}: no key; a live game needs {named or 'a model'}"
    elif named:
        yield f"ok  {agent.id}: a key for {chosen} is there"


def lacks(options: Mapping[str, object], *, browser: bool = True) -> tuple[str, str]:
    """(what a milestone's gate needs and this machine lacks, one command to paste for
    all of it).

    Both are empty when nothing is missing. `options` are those of the phase file. The
    box is really built and attacked: a bubblewrap that is there may be forbidden.
    """
    from catherd.box import sandbox, tiers

    tier, needed = sandbox.probe_tier(), str(options.get("sandbox", "bwrap"))
    below = tiers.RANK[tier.name] < tiers.RANK.get(needed, 2)
    packages = tiers.packages() if below and not os.environ.get("CATHERD_BOX") else []
    what, fixes = [], []
    if below and not packages:
        what.append(f"the sandbox is {tier.name}, {needed} is needed: {tier.why_not}")
        fixes.append(tier.fix)

    if browser and not any(shutil.which(name) for name in BROWSERS):
        packages = [*packages, "chromium"]

    if packages:
        what.append(f"not installed: {', '.join(packages)}")
        fixes.append(tiers.install_line(packages))

    return "; ".join(what), " && ".join(fixes)

"""`make doctor`: what this machine lacks, and for whom it matters. With LIVE=1 it makes one tiny paid call to each model and program."""

import os
import platform
import shutil
from collections.abc import Iterator, Mapping

from catherd import config, git
from catherd.bus import Bus
from catherd.config import Agent
from catherd.errors import CatherdError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def lines(root: str, *, live: bool) -> Iterator[str]:
    """One line a finding: `ok` or `--`, what it is, and for what is missing a fix to paste. With `live` the bus is laid."""
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
            from catherd import commanded

            yield commanded.probe(agent)
        yield from _agent(root, agent, live=live)
    if not live:
        yield "    a rehearsal needs no key; make doctor LIVE=1 tries each model and program with one tiny paid call"


def _git(root: str) -> str:
    try:
        return f"ok  {git.git(root, 'version')}"
    except CatherdError as error:
        return f"--  {error}"


def _box() -> Iterator[str]:
    from catherd import sandbox

    tier = sandbox.probe()
    if tier.name == "bwrap":
        yield "ok  sandbox: bwrap"
        return
    yield f"--  sandbox: {tier.name}: {tier.why_not}; make poc needs bwrap"
    yield f"    fix: {tier.fix}"


def _browser() -> str:
    from catherd import browser

    path, lacks = browser.find()
    if path:
        return f"ok  browser: {path}"
    if shutil.which("chromium") or shutil.which("google-chrome"):
        return "ok  browser: there; its driver comes with the first make poc"
    return f"--  browser: none; make poc needs one for web apps\n    fix: {lacks}"


def _agent(root: str, agent: Agent, *, live: bool) -> Iterator[str]:
    from catherd import live as lives

    if agent.runs == "elsewhere":
        yield f"ok  {agent.id}: runs elsewhere"
        return
    if live:
        from catherd import trial

        yield from trial.lines(Bus(root), agent, os.environ)
        return
    chosen = lives.name(agent, os.environ) or lives.program(agent, os.environ)
    named = " or ".join(lives.keys_named(agent))
    if not chosen:
        yield f"--  {agent.id}: no key; a live game needs {named or 'a model'}"
    elif named:
        yield f"ok  {agent.id}: a key for {chosen} is there"


def lacks(options: Mapping[str, object], *, browser: bool = True) -> tuple[str, str]:
    """(what a milestone's gate needs and this machine has not, one command to paste for all of it); empty when nothing is missing.

    `options` are those of the phase file. The box is really built and attacked: a bubblewrap that is there may be forbidden.
    """
    from catherd import boxprobe, sandbox

    tier, needed = sandbox.probe(), str(options.get("sandbox", "bwrap"))
    below = boxprobe.RANK[tier.name] < boxprobe.RANK.get(needed, 2)
    packages = boxprobe.packages() if below and not os.environ.get("CATHERD_BOX") else []
    forbidden = below and not packages
    packages += ["chromium"] if browser and not any(map(shutil.which, BROWSERS)) else []
    what = [f"the sandbox is {tier.name}, {needed} is needed: {tier.why_not}"] if forbidden else []
    what += [f"not installed: {', '.join(packages)}"] if packages else []
    fixes = [tier.fix] * forbidden + ([boxprobe.install(packages)] if packages else [])
    return "; ".join(what), " && ".join(fixes)

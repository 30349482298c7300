"""`make doctor`: what this machine lacks, and for whom it matters. With LIVE=1 it makes one tiny paid call per agent."""

import os
import platform
import shutil
from collections.abc import Iterator, Mapping

from catherd import config, git
from catherd.config import Agent
from catherd.errors import CatherdError


def lines(root: str, *, live: bool) -> Iterator[str]:
    """One line a finding: `ok` or `--`, what it is, and for what is missing a fix to paste."""
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
        if agent.model or not agent.command:
            yield _agent(agent, live=live)
    if not live:
        yield "    a rehearsal needs no key; make doctor LIVE=1 tries each model with one tiny paid call"


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


def _agent(agent: Agent, *, live: bool) -> str:
    from catherd import live as lives

    if agent.runs == "elsewhere":
        return f"ok  {agent.id}: runs elsewhere"
    if live:
        return f"    {lives.probe(agent, os.environ)}"
    chosen = lives.name(agent, os.environ)
    if not chosen:
        return f"--  {agent.id}: no key; a live game needs {' or '.join(lives.keys_named(agent)) or 'a model'}"
    return f"ok  {agent.id}: a key for {chosen} is there"


def lacks(options: Mapping[str, object], *, browser: bool = True) -> str:
    """What a milestone's gate needs and this machine has not, as one command to paste; "" when nothing is missing.

    `options` are those of the phase file. Looks for names on PATH only: it runs in the first second of `make poc`.
    """
    missing = ["bubblewrap"] if options.get("sandbox", "bwrap") == "bwrap" and not shutil.which("bwrap") else []
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    missing += ["chromium"] if browser and not any(shutil.which(name) for name in names) else []
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install -y {' '.join(missing)}" if missing else ""

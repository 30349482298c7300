"""Your remotes: the only place from which git may leave this machine.

It goes with your own keys and settings, and never forces. Unlike every other call it
keeps your environment (HOME, ssh agent, credential helpers). Hooks stay off, and
nothing prompts.
"""

import os
from collections.abc import Mapping, Sequence

from catherd.bus.crashpoints import effect
from catherd.core.errors import CatherdError
from catherd.git.run import at, git_environment, git_ok, git_program, run_process

PROTOCOLS = "file:git:http:https:ssh"


def url(root: str, remote: str = "origin") -> str:
    """Where a remote points, without credentials; empty when there is none."""
    found = git_ok(root, "config", "--get", f"remote.{remote}.url")
    scheme, mark, rest = found.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else found


def push_refs(root: str, refs: Mapping[str, str], remote: str = "origin") -> list[str]:
    """Push {full ref name: commit} to these names there.

    Gives `ref: reason` for each that was refused because it moved there. Raises
    CatherdError when there is no such remote or it cannot be reached.
    """
    specs = [f"{sha}:{ref}" for ref, sha in refs.items()]
    options = [
        "--porcelain",
        "--no-verify",
        "--no-follow-tags",
    ]
    with effect("git", f"push {remote}"):
        out = _talk(root, remote, ["push", *options, "--", remote, *specs])

    refused = []
    for line in filter(_is_refusal, out.splitlines()):
        _, spec, reason = line.split("\t")[:3]
        _, _, ref = spec.partition(":")
        refused.append(f"{ref}: {reason}")

    return refused


def fetch_refs(root: str, specs: Sequence[str], remote: str = "origin") -> None:
    """Fetch refspecs (`refs/catherd/*:refs/catherd/*`).

    A ref of ours that is not behind stays as it is.
    """
    options = ["--quiet", "--no-tags", "--no-write-fetch-head"]
    with effect("git", f"fetch {remote}"):
        _talk(root, remote, ["fetch", *options, "--", remote, *specs])


def list_refs(
    root: str, pattern: str, remote: str = "origin", *, seconds: float = 600.0
) -> dict[str, str]:
    """{ref: commit} of what is there and matches (`refs/catherd/*`)."""
    out = _talk(root, remote, ["ls-remote", "--quiet", "--", remote, pattern], seconds)
    rows = (line.split("\t") for line in out.splitlines())
    return {ref: sha for sha, ref in rows}


_OFF = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
)


def _talk(root: str, remote: str, args: list[str], seconds: float = 600.0) -> str:
    """Let git talk to a remote; its stdout."""
    if not url(root, remote):
        raise CatherdError(
            f"there is no remote {remote}",
            where=root,
            fix=f"git remote add {remote} URL",
        )
    env = _environment(root)
    argv = [git_program(env["PATH"])]
    for setting in _OFF:
        argv += ["-c", setting]

    done = run_process([*argv, *args], root, env, b"", seconds)
    out = done.out.decode("utf-8", "replace")
    # A push of which some refs were refused exits with 1, too.
    refused = any(_is_refusal(line) for line in out.splitlines())
    if done.rc and not refused:
        said = done.err.splitlines()[0] if done.err else "no answer"
        raise CatherdError(
            f"{url(root, remote)}: {said}",
            where=root,
            fix=f"git {args[0]} {remote}",
        )

    return out


def _is_refusal(line: str) -> bool:
    return line.startswith("!")


_KEPT_OF_YOURS = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS")
_NOT_OURS = ("HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")


def _environment(root: str) -> dict[str, str]:
    """Your environment with our rules for git, but your home, settings and keys."""
    yours = {key: value for key, value in os.environ.items() if key[:4] != "GIT_"}
    ours = git_environment(at(root))
    for key in _NOT_OURS:
        del ours[key]

    env = {**yours, **ours}
    for key in _KEPT_OF_YOURS:
        if key in os.environ:
            env[key] = os.environ[key]

    env["GIT_ALLOW_PROTOCOL"] = PROTOCOLS
    return env

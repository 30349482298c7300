"""Your remotes: the only place from which git may leave this machine, with your own keys and settings, never forced.

Unlike every other call it keeps your environment (HOME, ssh agent, credential helpers); hooks stay off, nothing prompts.
"""

import os
from collections.abc import Mapping, Sequence

from catherd.bus.crashpoints import effect
from catherd.core.errors import CatherdError
from catherd.git.run import at, git_environment, git_ok, git_program, run_process

PROTOCOLS = "file:git:http:https:ssh"


def url(root: str, remote: str = "origin") -> str:
    """Where a remote points, without credentials; empty when there is none of that name."""
    found = git_ok(root, "config", "--get", f"remote.{remote}.url")
    scheme, mark, rest = found.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else found


def push_refs(root: str, refs: Mapping[str, str], remote: str = "origin") -> list[str]:
    """Push {full ref name: commit} to these names there; gives `ref: reason` for each that was refused (it moved there).

    Raises CatherdError when there is no such remote or it cannot be reached.
    """
    specs = [f"{sha}:{ref}" for ref, sha in refs.items()]
    with effect("git", f"push {remote}"):
        out = _speak(
            root,
            remote,
            [
                "push",
                "--porcelain",
                "--no-verify",
                "--no-follow-tags",
                "--",
                remote,
                *specs,
            ],
        )
    return [
        f"{line.split(chr(9))[1].partition(':')[2]}: {line.split(chr(9))[2]}"
        for line in out.splitlines()
        if line[:1] == "!"
    ]


def fetch_refs(root: str, specs: Sequence[str], remote: str = "origin") -> None:
    """Fetch refspecs (`refs/catherd/*:refs/catherd/*`); a ref of ours that is not behind stays as it is."""
    with effect("git", f"fetch {remote}"):
        _speak(
            root,
            remote,
            [
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--",
                remote,
                *specs,
            ],
        )


def list_refs(
    root: str, pattern: str, remote: str = "origin", *, seconds: float = 600.0
) -> dict[str, str]:
    """{ref: commit} of what is there and matches (`refs/catherd/*`)."""
    out = _speak(root, remote, ["ls-remote", "--quiet", "--", remote, pattern], seconds)
    rows = (line.split("\t") for line in out.splitlines())
    return {ref: sha for sha, ref in rows}


def _speak(root: str, remote: str, args: list[str], seconds: float = 600.0) -> str:
    if not url(root, remote):
        raise CatherdError(
            f"there is no remote {remote}",
            where=root,
            fix=f"git remote add {remote} URL",
        )
    yours = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    kept = {
        k: v
        for k, v in git_environment(at(root)).items()
        if k not in ("HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")
    }
    ssh = {
        k: v
        for k, v in os.environ.items()
        if k in ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS")
    }
    env = {**yours, **kept, **ssh, "GIT_ALLOW_PROTOCOL": PROTOCOLS}
    safe = (
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "gc.auto=0",
        "maintenance.auto=false",
    )
    argv = [
        git_program(env["PATH"]),
        *(w for option in safe for w in ("-c", option)),
        *args,
    ]
    out = run_process(argv, root, env, b"", seconds)
    refused = any(
        line[:1] == "!" for line in out.out.decode("utf-8", "replace").splitlines()
    )
    if out.rc and not refused:
        fix = f"git {args[0]} {remote}"
        raise CatherdError(
            f"{url(root, remote)}: {out.err.splitlines()[0] if out.err else 'no answer'}",
            where=root,
            fix=fix,
        )
    return out.out.decode("utf-8", "replace")

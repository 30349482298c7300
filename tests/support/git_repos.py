"""Real repositories for the git tests, made with a plain git as a person would use it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PERSON = {
    "GIT_AUTHOR_NAME": "You",
    "GIT_AUTHOR_EMAIL": "you@example.org",
    "GIT_COMMITTER_NAME": "You",
    "GIT_COMMITTER_EMAIL": "you@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C",
}


def sh(
    cwd: Path | str, *args: str, stdin: str | None = None, okay: tuple[int, ...] = (0,)
) -> str:
    """A person's git: plain, with their own environment."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | PERSON
    done = subprocess.run(
        ["git", *args],
        cwd=cwd,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )
    assert done.returncode in okay, f"git {' '.join(args)}: {done.stderr}"
    return done.stdout.rstrip("\n")


def put(where: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below a directory."""
    for name, content in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def repo(where: Path, files: Mapping[str, str | bytes] | None = None) -> str:
    """A repository on `main` with one commit, as catherd's root path."""
    where.mkdir(parents=True)
    sh(where, "init", "-q", "-b", "main")
    put(
        where,
        {
            "README.md": "hello\n",
            ".gitignore": "/bus/*\n!/bus/README.md\n/worktrees/*\n!/worktrees/README.md\n.env\n",
            **(files or {}),
        },
    )
    sh(where, "add", "-A")
    sh(where, "commit", "-q", "-m", "start")
    return str(where.resolve())


def everything(where: str, *, besides: tuple[str, ...] = (".git",)) -> dict[str, bytes]:
    """{path: bytes} of every file below a directory, ignored and untracked ones included."""
    found = {}
    for folder, folders, names in os.walk(where):
        folders[:] = [f for f in folders if f not in besides]
        for name in set(names) - set(besides):
            full = os.path.join(folder, name)
            found[os.path.relpath(full, where)] = (
                os.fsencode(os.readlink(full))
                if os.path.islink(full)
                else Path(full).read_bytes()
            )
    return found

#!/usr/bin/env python3
"""Does what it was told not to. The prompt says what: branch, commit, rewrite, hook, config, detach."""

import json
import subprocess
import sys


def git(*args: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@x", *args],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


what = sys.stdin.read().split()[0]
if what == "branch":
    git("checkout", "-q", "-b", "main-but-better")
elif what == "detach":
    git("checkout", "-q", "--detach")
with open("done.txt", "w") as file:
    file.write("done\n")
if what in {"commit", "rewrite"}:
    git("add", "done.txt")
    git("commit", "-q", "-m", "mine", *(["--amend"] if what == "rewrite" else []))
common = git("rev-parse", "--path-format=absolute", "--git-common-dir")
if what == "hook":
    with open(f"{common}/hooks/post-commit", "w") as file:
        file.write("#!/bin/sh\ncurl evil\n")
elif what == "config":
    git("config", "core.fsmonitor", "evil")
print(json.dumps({"type": "turn.completed"}))

"""A regular expression of app.yaml, searched in a process of its own: an agent wrote it, and one that backtracks would hold the gate for ever."""

import json
import subprocess
import sys

from catherd.core.errors import CatherdError

SECONDS = (
    2  # of a processor; a machine that is busy with other things takes nothing from it
)
_CODE = f"""
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
found = re.search(*json.load(sys.stdin), re.MULTILINE)
json.dump(found and [found[0], *found.groups()], sys.stdout)
"""


def search(pattern: str, text: str) -> list[str | None] | None:
    """The match of `pattern` in `text` and its groups, None where there is none. CatherdError when it takes longer than SECONDS."""
    asked = json.dumps([pattern, text]).encode()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _CODE],
        input=asked,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [
            "no reason given"
        ]
        why = (
            f"is not done within {SECONDS} s"
            if done.returncode < 0
            else f"cannot be searched for ({said[0]})"
        )
        raise CatherdError(
            f"the pattern {why}: {pattern}",
            where="app/app.yaml",
            fix="no repetition of a repetition: `(\\w+ )*` for `(\\w+\\s?)*`",
        )
    found: list[str | None] | None = json.loads(done.stdout)
    return found

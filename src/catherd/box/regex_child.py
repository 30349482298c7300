"""A regular expression of app.yaml, searched in a process of its own.

An agent wrote it, and one that backtracks would hold the gate for ever.
"""

import json
import subprocess
import sys

from catherd.core.errors import CatherdError

# Of a processor: a machine that is busy with other things takes nothing from it.
SECONDS = 2
_CODE = f"""
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
found = re.search(*json.load(sys.stdin), re.MULTILINE)
json.dump(found and [found[0], *found.groups()], sys.stdout)
"""


def search(pattern: str, text: str) -> list[str | None] | None:
    """The match of `pattern` in `text` and its groups; None where there is none.

    Raises CatherdError when it takes longer than SECONDS or is no pattern.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _CODE],
        input=json.dumps([pattern, text]).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise CatherdError(
            f"the pattern {_why_not(done)}: {pattern}",
            where="app/app.yaml",
            fix="no repetition of a repetition: `(\\w+ )*` for `(\\w+\\s?)*`",
        )
    found: list[str | None] | None = json.loads(done.stdout)
    return found


def _why_not(done: "subprocess.CompletedProcess[bytes]") -> str:
    if done.returncode < 0:  # the kernel ended it
        return f"is not done within {SECONDS} s"
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"cannot be searched for ({lines[-1] if lines else 'no reason given'})"

"""The long-lived process that draws Mermaid diagrams: one JSON request a line on stdin, one JSON answer a line on stdout.

Runs as a file of its own (`python -P mermaid_worker.py`), imports nothing of catherd, and may be killed at any time.
"""

import contextlib
import json
import resource
import sys


def main() -> None:
    """Answer until stdin ends. Request: {source}. Answer: {svg} or {error}."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))
    answers = sys.stdout
    sys.stdout = sys.stderr  # mermaid.js may log; nothing but answers goes down the pipe
    import mermaidx

    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = {"svg": mermaidx.render(json.loads(line)["source"]).svg()}
        except Exception as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

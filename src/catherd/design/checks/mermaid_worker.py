"""The long-lived process that draws Mermaid diagrams: one JSON request a line on stdin, one JSON answer a line on stdout.

Runs as a file of its own (`python -P mermaid_worker.py`), imports nothing of catherd, and may be killed at any time.
"""

import contextlib
import json
import resource
import signal
import sys


def main() -> None:
    """Answer until stdin ends. Request: {source, seconds}. Answer: {svg} or {error}.

    A diagram that takes more than `seconds` of processor time ends the process with SIGPROF: no clock on the wall, since
    a busy machine is not the diagram's fault.
    """
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))
    answers = sys.stdout
    sys.stdout = (
        sys.stderr
    )  # mermaid.js may log; nothing but answers goes down the pipe
    import mermaidx

    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        signal.setitimer(
            signal.ITIMER_PROF, request["seconds"]
        )  # nobody catches SIGPROF: it ends us
        try:
            answer = {"svg": mermaidx.render(request["source"]).svg()}
        except Exception as error:
            answer = {"error": str(error)}
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

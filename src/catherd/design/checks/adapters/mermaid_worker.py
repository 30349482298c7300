"""The long-lived process that draws Mermaid diagrams for mermaid.py.

It reads one JSON request a line from stdin and writes one JSON answer a line to stdout.
It runs as a file of its own (`python -P mermaid_worker.py`), imports nothing of
catherd, and may be killed at any time.
"""

import contextlib
import json
import resource
import signal
import sys


def main() -> None:
    """Answer until stdin ends. Request: {source, seconds}. Answer: {svg} or {error}.

    A diagram that takes more than `seconds` of processor time ends the process with
    SIGPROF. No clock on the wall decides, because a busy machine is not the diagram's
    fault.
    """
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))
    # mermaid.js may log: nothing but answers must go down the pipe
    answers = sys.stdout
    sys.stdout = sys.stderr
    import mermaidx

    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        # nobody catches SIGPROF, so it ends this process
        signal.setitimer(signal.ITIMER_PROF, request["seconds"])
        try:
            answer = {"svg": mermaidx.render(request["source"]).svg()}
        except Exception as error:
            answer = {"error": str(error)}
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

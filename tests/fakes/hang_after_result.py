#!/usr/bin/env python3
"""Like codex and claude in a third of somebody's runs: the work is done, the final event is out, and it stays for ever,
deaf to SIGTERM, with a child of its own.
"""

import json
import signal
import subprocess
import sys

sys.stdin.read()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(
    [
        sys.executable,
        "-c",
        "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()",
    ],
    stdout=subprocess.PIPE,
)
assert child.stdout is not None
child.stdout.readline()
with open("done.txt", "w") as file:
    file.write("done\n")
print(
    json.dumps(
        {
            "type": "item.completed",
            "item": {"type": "agent_message", "text": f"child {child.pid}"},
        }
    )
)
print(
    json.dumps(
        {"type": "turn.completed", "usage": {"input_tokens": 1, "output_tokens": 1}}
    ),
    flush=True,
)
while True:
    signal.pause()

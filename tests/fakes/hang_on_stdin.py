#!/usr/bin/env python3
"""Like codex: reads stdin to its end before it says a word, so an open, silent pipe hangs it for ever. "offline" in the
prompt: it then reconnects for ever, on stderr, without an event.
"""

import json
import signal
import sys

prompt = sys.stdin.read()
print(json.dumps({"type": "thread.started", "thread_id": "T-1"}), flush=True)
if "offline" in prompt:
    print("Reconnecting... waiting for network", file=sys.stderr, flush=True)
    while True:
        signal.pause()
with open("done.txt", "w") as file:
    file.write(prompt)
print(
    json.dumps(
        {
            "type": "item.completed",
            "item": {
                "type": "agent_message",
                "text": f"I read {len(prompt)} characters.",
            },
        }
    )
)
print(
    json.dumps(
        {
            "type": "turn.completed",
            "usage": {
                "input_tokens": 120,
                "cached_input_tokens": 100,
                "output_tokens": 7,
            },
        }
    ),
    flush=True,
)

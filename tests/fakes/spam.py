#!/usr/bin/env python3
"""Writes 40 MB of nonsense on both outputs, a line of 20 MB and a broken event among it, does the work and tells what it was given."""

import json
import os
import sys

sys.stdin.read()
junk = "x" * 1023 + "\n"
for _ in range(20_000):
    sys.stderr.write(junk)
    sys.stdout.write(junk)
sys.stdout.write("y" * (20 << 20) + "\n")
sys.stdout.write(
    '{"type": "item.completed", "item"\n{"type": 7}\n\xff\xfe{}\n{"type": "unheard.of", "deep": [[1]]}\n'
)
with open("done.txt", "w") as file:
    file.write("done\n")
with open(".aider.chat.history.md", "w") as file:
    file.write("litter\n")
told = {"env": dict(os.environ), "argv": sys.argv[1:], "cwd": os.getcwd()}
print(
    json.dumps(
        {
            "type": "item.completed",
            "item": {"type": "agent_message", "text": json.dumps(told)},
        }
    )
)
print(
    json.dumps(
        {"type": "turn.completed", "usage": {"input_tokens": 5, "output_tokens": 6}}
    ),
    flush=True,
)

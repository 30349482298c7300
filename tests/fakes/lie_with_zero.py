#!/usr/bin/env python3
"""Like claude and aider: exit 0 whatever happened. The prompt says which lie: login, denied, budget, nothing, silent, retry."""

import json
import os
import sys
import threading

lie = sys.stdin.read().split()[0]
result = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "Done. All tests pass.",
    "total_cost_usd": 0.01,
}
if lie == "login":
    result |= {"is_error": True, "result": "Invalid API key. Please run /login"}
elif lie == "denied":
    result |= {"permission_denials": [{"tool_name": "Write"}]}
elif lie == "budget":
    result |= {"subtype": "error_max_budget_usd", "is_error": True}
if lie == "retry":  # the same wrong key, again and again, each time an event
    while True:
        print(
            json.dumps(
                {
                    "type": "system",
                    "subtype": "api_retry",
                    "error": "authentication_failed",
                    "key": os.environ["SOME_KEY"],
                }
            ),
            flush=True,
        )
        threading.Event().wait(0.02)
print("a last word", file=sys.stderr)
if lie != "silent":
    print(json.dumps(result))
sys.exit(0)

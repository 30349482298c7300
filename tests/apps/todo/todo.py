"""A list of things to do: what the example in docs/handbook/app.md describes."""

import os
import sys
from pathlib import Path

STORE = Path(os.environ["APP_DATA"]) / "todo.txt"


def main(words: list[str]) -> int:
    things = STORE.read_text(encoding="utf-8").splitlines() if STORE.exists() else []
    if words[:1] == ["add"] and len(words) == 2:
        things.append(words[1])
        STORE.write_text("\n".join(things) + "\n", encoding="utf-8")
        print(f"Added {len(things)}: {words[1]}")
        return 0
    if words == ["list"]:
        for number, thing in enumerate(things, 1):
            print(f"{number}. {thing}")
        return 0
    print("usage: todo.py add THING | list", file=sys.stderr)
    return 2


sys.exit(main(sys.argv[1:]))

"""Tokens of every template, and of the prompts of a debate: system, instructions, the whole, and what a cache can have.

python bench/tokens.py     one JSON line per figure; a token is four characters. "same" is the share of a prompt that is a
byte-identical prefix of the same agent's previous prompt; the debate is the rehearsal's, so the same every time.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]
FENCE = re.compile(r"^<<<data ([0-9a-f]{8}) .+\n((?:.*\n)*?)>>>data \1$", re.MULTILINE)


def tell(what: str, **figures: Any) -> None:
    """One figure."""
    print(json.dumps({"bench": "tokens", "what": what, **figures}), flush=True)


def templates() -> None:
    """What each template says by itself: without its comments and with nothing filled in."""
    for path in sorted((ROOT / "templates").rglob("*.md.j2")):
        text = path.read_text(encoding="utf-8")
        said = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.DOTALL)
        tell(f"template {path.relative_to(ROOT / 'templates')}", tokens=len(said) // 4)


def debate() -> None:
    """The prompts of a default debate, averaged over the agents."""
    from support.debate_in_memory import FOUR, debate_of, prefix

    played = debate_of()
    whole = same = 0
    before = dict.fromkeys(FOUR, "")
    for form in ("pitch", "objections", "answers", "final", "ballot"):
        rows = [played.rendered[form, name] for name in FOUR]
        shared = 0
        for name, shown in zip(FOUR, rows, strict=True):
            text = f"{shown.system}\0{shown.prompt}"
            shared, before[name] = shared + prefix(text, before[name]), text
        length = sum(len(shown.system) + len(shown.prompt) for shown in rows)
        whole, same = whole + length, same + shared
        tell(
            f"prompt of {form}",
            system=sum(len(shown.system) for shown in rows) // 16,
            instructions=sum(len(FENCE.sub("", shown.prompt)) for shown in rows) // 16,
            tokens=length // 16,
            same=round(shared / length, 3),
        )
    tell(
        "all prompts of a debate",
        tokens=whole // 4,
        new=(whole - same) // 4,
        same=round(same / whole, 3),
        goal=0.55,
    )


if __name__ == "__main__":
    templates()
    debate()

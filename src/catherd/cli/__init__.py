"""The commands that `make` and people type.

Each is thin: it reads its words, calls one function and prints. Nothing is decided
here. Start with `commands.py`.
"""

from catherd.cli.commands import main

__all__ = ["main"]

"""Which tools may be used: those of the extra `plan` that are installed and not hidden.

`CATHERD_WITHOUT=mermaidx,gherkin` hides tools. That shows what a check says without
them.
"""

import importlib.util
import os


def hidden(tool: str) -> bool:
    """Whether a tool must be treated as absent."""
    return tool in os.environ.get("CATHERD_WITHOUT", "").split(",")


def here(module: str) -> bool:
    """Whether a module can be imported and may be used."""
    return not hidden(module) and importlib.util.find_spec(module) is not None


def need(module: str) -> None:
    """Raise ImportError, naming the module, unless it is here."""
    if not here(module):
        raise ImportError(f"no module named {module}", name=module)
